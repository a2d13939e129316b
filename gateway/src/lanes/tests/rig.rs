//! A lane in memory: the real log machine and the real slot ring over files that are vectors.

use crate::cluster::Cluster;
use crate::lanes::{DoorParts, Lane, LaneStore, Outgoing, Reads};
use bytes::Bytes;
use headworks_format::block::{self, BLOCK_BYTES_MAX, HEAD_BYTES, Seal};
use headworks_format::checkpoint::Partition;
use headworks_format::segment::PAGE_BYTES;
use headworks_format::sidecar::{self, Sidecar};
use headworks_format::{Epoch, LaneId, Nonce, PairId, PartitionId, batch, checksum, record};
use headworks_io::Wake;
use headworks_log::append::{Config, SealOrder, Source};
use headworks_log::recover::blank;
use headworks_log::retain::Limits;
use headworks_log::view::{PartitionView, SealedSegment};
use headworks_log::{Command, Disk, DiskError, FileNumber, Log, PageKind, Receipt, Recovered, Room};
use headworks_ring::{Drain, Filler, Readers, Receiver, Region, Sender, message_ring, slot_ring};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

pub const SEGMENT_BYTES: usize = 8 << 20;
pub const SLOTS: usize = 4;
/// Milliseconds of the first record; each record is one later.
pub const BASE_MS: i64 = 1_800_000_000_000;

/// Files by number, and their sidecars.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<(Files, Files)>>);

type Files = BTreeMap<FileNumber, Vec<u8>>;

impl Memory {
    fn with<T>(&self, look: impl FnOnce(&mut Files, &mut Files) -> T) -> T {
        let mut files = self.0.lock().expect("no test panics while it holds the files");
        let (segments, sidecars) = &mut *files;
        look(segments, sidecars)
    }

    /// Turns one bit of a file.
    pub fn rot(&self, file: FileNumber, position: u64) {
        self.with(|segments, _| segments.get_mut(&file).expect("the file exists")[usize::try_from(position).expect("small")] ^= 1);
    }
}

impl Disk for Memory {
    type Buffer = Vec<u8>;

    fn buffer(&self, bytes: usize) -> Vec<u8> {
        vec![0; bytes]
    }

    fn files(&self) -> Result<Vec<(FileNumber, u64)>, DiskError> {
        Ok(self.with(|segments, _| segments.iter().map(|(file, bytes)| (*file, bytes.len() as u64)).collect()))
    }

    fn read(&self, file: FileNumber, position: u64, bytes: usize, into: &mut Vec<u8>) -> Result<usize, DiskError> {
        let from = usize::try_from(position).expect("small");
        Ok(self.with(|segments, _| {
            let there = segments[&file].get(from..).unwrap_or_default();
            let read = bytes.min(there.len());
            into[..read].copy_from_slice(&there[..read]);
            read
        }))
    }

    fn read_sidecar(&self, file: FileNumber) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.with(|_, sidecars| sidecars.get(&file).cloned()))
    }

    fn write_sidecar(&mut self, file: FileNumber, bytes: &[u8]) -> Result<(), DiskError> {
        self.with(|_, sidecars| sidecars.insert(file, bytes.to_vec()));
        Ok(())
    }

    fn write(&mut self, file: FileNumber, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let from = usize::try_from(position).expect("small");
        self.with(|segments, _| segments.get_mut(&file).expect("the file exists")[from..from + bytes.len()].copy_from_slice(bytes));
        Ok(())
    }

    fn sync(&mut self, _: FileNumber) -> Result<(), DiskError> {
        Ok(())
    }

    fn quarantine(&mut self, _: &str, _: &[u8]) -> Result<(), DiskError> {
        Ok(())
    }
}

/// The lane's side of a door.
pub struct Desk {
    incoming: Receiver<Outgoing>,
    returned: Sender<Bytes>,
    receipts: Sender<Receipt>,
    growing: Receiver<(Partition, PartitionView)>,
}

/// A door through which nothing goes.
fn shut() -> DoorParts {
    DoorParts {
        submit: Box::new(Err),
        returned: message_ring(1).1,
        receipts: message_ring(1).1,
        grow: Box::new(|partition, view| Err((partition, view))),
        producers: Vec::new(),
    }
}

/// A lane that is stepped by hand.
pub struct Rig {
    pub log: Log,
    pub disk: Memory,
    pub commits: Wake,
    pub reads: Reads,
    pub cluster: Cluster,
    filler: Filler,
    drain: Drain,
    readers: Readers,
    checkpoint: Vec<u8>,
    next: u64,
    nonce: u64,
}

impl Rig {
    /// A new lane that keeps so many segments.
    pub fn new(segments_kept: u64) -> Rig {
        let region = Arc::new(Region::map(SLOTS * BLOCK_BYTES_MAX).expect("memory"));
        let (filler, drain, readers) = slot_ring(region, SLOTS, BLOCK_BYTES_MAX);
        let config = Config {
            pair: PairId(1),
            lane: LaneId(0),
            epoch: Epoch(5),
            window_bytes: (SLOTS * BLOCK_BYTES_MAX) as u64,
            depth: 4,
            blocks_max: SLOTS + 4,
            segment_bytes: SEGMENT_BYTES as u64,
            segments_max: 64,
            entries_max: sidecar::ENTRIES_MAX,
            limits: Limits { size_bytes: segments_kept * SEGMENT_BYTES as u64, age_ns: None },
        };
        let partition = Partition { id: PartitionId(0), stream: "events".into(), number: 0, next_offset: 0, log_start: 0 };
        let log = Log::start(config, &Recovered::default(), vec![partition]);
        let mut rig = Rig {
            log,
            disk: Memory::default(),
            commits: Wake::new().expect("an eventfd"),
            reads: Reads::default(),
            cluster: Cluster::default(),
            filler,
            drain,
            readers,
            checkpoint: vec![0; BLOCK_BYTES_MAX],
            next: 0,
            nonce: 1,
        };
        rig.pump();
        rig
    }

    /// The store over the lane.
    pub fn store(&self) -> LaneStore<Memory> {
        let lane =
            Lane { view: Arc::clone(self.log.view()), readers: self.readers.clone(), disk: Arc::new(self.disk.clone()), door: shut() };
        LaneStore::new(vec![lane], self.commits.clone(), self.reads.clone(), self.cluster.clone())
    }

    /// The store over the lane as if every slot had been overwritten: everything is read from files.
    pub fn store_without_ring(&self) -> LaneStore<Memory> {
        let region = Arc::new(Region::map(SLOTS * BLOCK_BYTES_MAX).expect("memory"));
        let (_, _, readers) = slot_ring(region, SLOTS, BLOCK_BYTES_MAX);
        let lane = Lane { view: Arc::clone(self.log.view()), readers, disk: Arc::new(self.disk.clone()), door: shut() };
        LaneStore::new(vec![lane], self.commits.clone(), self.reads.clone(), self.cluster.clone())
    }

    /// The store over the lane, and the lane's side of its door, which takes so many batches at once.
    pub fn writable(&self, batches_max: usize) -> (LaneStore<Memory>, Desk) {
        let (mut outgoing, incoming) = message_ring(batches_max);
        let (returned, returned_receiver) = message_ring(64);
        let (receipts, receipts_receiver) = message_ring(64);
        let (mut grow, growing) = message_ring(2);
        let door = DoorParts {
            submit: Box::new(move |batch| outgoing.send(batch).map_err(|full| full.0)),
            returned: returned_receiver,
            receipts: receipts_receiver,
            grow: Box::new(move |partition, view| grow.send((partition, view)).map_err(|full| full.0)),
            producers: Vec::new(),
        };
        let lane = Lane { view: Arc::clone(self.log.view()), readers: self.readers.clone(), disk: Arc::new(self.disk.clone()), door };
        let store = LaneStore::new(vec![lane], self.commits.clone(), self.reads.clone(), self.cluster.clone());
        (store, Desk { incoming, returned, receipts, growing })
    }

    /// Takes every batch that was handed over, each into a block of its own, and makes it durable.
    pub fn take(&mut self, desk: &mut Desk) -> usize {
        let mut taken = 0;
        while let Some(batch) = desk.incoming.recv() {
            taken += 1;
            let slot = self.filler.claim().expect("every block before is durable");
            let length = batch.bytes.len();
            slot[HEAD_BYTES..HEAD_BYTES + length].copy_from_slice(&batch.bytes);
            block::directory_entry(slot, 0, batch.partition, HEAD_BYTES, length, batch.records, batch.crc, None);
            block::ticket(slot, 0, batch.ticket);
            let wall_ns = BASE_MS.unsigned_abs() * 1_000_000;
            let counters = [0; block::COUNTERS];
            block::seal(slot, &Seal { payload_bytes: length, batches: 1, records: batch.records, flags: 0, wall_ns, counters });
            self.filler.publish();
            assert!(desk.returned.send(batch.bytes).is_ok(), "room for buffers");
            self.pump();
            while let Some(receipt) = self.log.receipt() {
                desk.receipts.send(receipt).expect("room for receipts");
            }
        }
        self.commits.wake();
        taken
    }

    /// Makes the partitions that were asked for.
    pub fn grow(&mut self, desk: &mut Desk) -> usize {
        let mut made = 0;
        while let Some((partition, view)) = desk.growing.recv() {
            self.log.add_partition(partition, view).expect("room for a partition");
            made += 1;
        }
        if self.log.wants_checkpoint() {
            self.log.checkpoint(0, &mut self.checkpoint);
        }
        self.pump();
        made
    }

    /// Appends a block of one batch of so many records and makes it durable.
    pub fn append(&mut self, records: u32, value_bytes: usize) {
        let slot = self.filler.claim().expect("every block before is durable");
        let from = HEAD_BYTES + batch::BATCH_HEADER_BYTES;
        let mut at = from;
        for delta in 0..i64::from(records) {
            let body = 1 + 2 * record::varint_bytes(delta) + 1 + record::varint_bytes(to_i64(value_bytes)) + value_bytes + 1;
            at += record::write_varint(&mut slot[at..], to_i64(body));
            slot[at] = 0;
            at += 1;
            for field in [delta, delta, -1, to_i64(value_bytes)] {
                at += record::write_varint(&mut slot[at..], field);
            }
            let value = value_of(self.next + delta.unsigned_abs());
            slot[at..at + value_bytes].iter_mut().zip(value.iter().cycle()).for_each(|(to, from)| *to = *from);
            at += value_bytes;
            slot[at] = 0;
            at += 1;
        }
        let base_ms = BASE_MS + self.next.cast_signed();
        let max_ms = base_ms + i64::from(records) - 1;
        let closing = batch::Closing {
            records,
            records_crc: checksum::crc32c(&slot[from..at]),
            base_timestamp_ms: base_ms,
            max_timestamp_ms: max_ms,
        };
        let crc = batch::close(&mut slot[HEAD_BYTES..at], &closing);
        block::directory_entry(slot, 0, PartitionId(0), HEAD_BYTES, at - HEAD_BYTES, records, crc, Some(max_ms - BASE_MS));
        let wall_ns = BASE_MS.unsigned_abs() * 1_000_000;
        let seal = Seal { payload_bytes: at - HEAD_BYTES, batches: 1, records, flags: 0, wall_ns, counters: [0; block::COUNTERS] };
        block::seal(slot, &seal);
        self.filler.publish();
        self.next += u64::from(records);
        self.pump();
    }

    /// Carries out everything the log orders until it is idle.
    fn pump(&mut self) {
        for _ in 0..1000 {
            self.append_published();
            self.log.tick(0);
            let Some(command) = self.log.command() else {
                if self.log.is_idle() && self.drain.shared() == self.drain.published() && self.log.is_open() {
                    self.drain.release(self.drain.shared());
                    self.commits.wake();
                    return;
                }
                continue;
            };
            self.carry_out(command);
        }
        panic!("the log is not idle after 1,000 steps");
    }

    fn append_published(&mut self) {
        if !self.log.is_open() && self.log.room(BLOCK_BYTES_MAX, 1) == Room::Roll {
            self.roll();
        }
        while self.drain.shared() < self.drain.published() {
            let slot = self.drain.shared();
            let bytes = block::header(self.drain.block_mut(slot)).expect("a slot").block_bytes.get() as usize;
            match self.log.room(bytes, 1) {
                Room::Append => {
                    self.log.append(self.drain.block_mut(slot), slot);
                    self.drain.share(slot + 1);
                }
                Room::Roll => self.roll(),
                Room::Wait(_) => return,
            }
        }
    }

    fn roll(&mut self) {
        self.nonce += 1;
        self.log.roll(Nonce(self.nonce), 0, &mut self.checkpoint);
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::WriteBlock { sequence, source, file, position, bytes } => {
                let block = match source {
                    Source::Slot(slot) => self.drain.block(slot)[..bytes as usize].to_vec(),
                    Source::Checkpoint => self.checkpoint[..bytes as usize].to_vec(),
                };
                self.disk.write(file, position, &block).expect("memory");
                self.log.on_block_written(sequence, Ok(bytes)).expect("written");
            }
            Command::WritePage { kind, file, position } => {
                let mut page = [0; PAGE_BYTES];
                match kind {
                    PageKind::Header => self.log.header_page(&mut page),
                    PageKind::Records => self.log.record_page(&mut page),
                }
                self.disk.write(file, position, &page).expect("memory");
                self.log.on_page_written(kind, Ok(4096)).expect("written");
            }
            Command::Sync { .. } => self.log.on_synced(Ok(()), |_, _| ()).expect("synced"),
            Command::MakeSegment => {
                let file = self.disk.with(|segments, _| {
                    let file = FileNumber(u32::try_from(segments.len()).expect("few"));
                    segments.insert(file, vec![0; SEGMENT_BYTES]);
                    file
                });
                self.log.on_segment(file);
            }
            Command::Seal(order) => {
                self.seal(&order);
                self.log.on_sealed(order.file, order.nonce, Ok(())).expect("sealed");
            }
            Command::Blank { file } => {
                blank(&mut self.disk, file).expect("memory");
                self.log.on_blanked(file, Ok(())).expect("blanked");
            }
        }
    }

    fn seal(&mut self, order: &SealOrder) {
        let view = Arc::clone(self.log.view());
        let index = view.fresh_index(order.index);
        let sidecar = Sidecar {
            lane: LaneId(0),
            epoch: order.epoch,
            nonce: order.nonce,
            base_sequence: order.base_sequence,
            end_sequence: order.end_sequence,
            end_position: order.end_position,
            end_chain: order.end_chain,
            counters: order.counters,
            entries: index.entries(),
            holes: Vec::new(),
        };
        self.disk.write_sidecar(order.file, &sidecar.encode()).expect("memory");
        view.add_sealed(SealedSegment {
            file: order.file,
            nonce: order.nonce,
            epoch: order.epoch,
            base_sequence: order.base_sequence.0,
            end_sequence: order.end_sequence.0,
            end_position: order.end_position,
            starts: index.starts(view.partitions.len()),
        });
    }
}

/// The eight bytes that the value at an offset repeats.
pub fn value_of(offset: u64) -> [u8; 8] {
    offset.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()
}

fn to_i64(value: usize) -> i64 {
    i64::try_from(value).expect("small")
}
