//! A directory in memory and a node over it whose every step the test takes.

use crate::append::{Command, Config, PageKind, SealOrder, Source};
use crate::disk::{Disk, DiskError, FileNumber};
use crate::recover::{Recovered, Rules, blank, recover};
use crate::retain::Limits;
use crate::view::SealedSegment;
use crate::{Log, Room};
use headworks_format::batch::{self, BATCH_HEADER_BYTES, Closing};
use headworks_format::block::{self, HEAD_BYTES, Seal};
use headworks_format::checkpoint::Partition;
use headworks_format::segment::PAGE_BYTES;
use headworks_format::sidecar::Sidecar;
use headworks_format::{Epoch, LaneId, Nonce, PairId, PartitionId, checksum, record};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

pub const SEGMENT_BYTES: u64 = 256 << 10;
pub const WINDOW_BYTES: u64 = 64 << 10;
pub const BLOCK_BYTES: u32 = 8192;

#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    pub files: BTreeMap<FileNumber, Vec<u8>>,
    pub sidecars: BTreeMap<FileNumber, Vec<u8>>,
    pub quarantined: BTreeMap<String, Vec<u8>>,
    pub unreadable: BTreeSet<(FileNumber, u64)>,
    pub synced: Vec<FileNumber>,
}

impl MemoryDisk {
    pub fn make(&mut self) -> FileNumber {
        let file = FileNumber(u32::try_from(self.files.len()).expect("few files"));
        self.files.insert(file, vec![0; usize::try_from(SEGMENT_BYTES).expect("small")]);
        file
    }

    pub fn put(&mut self, file: FileNumber, position: u64, bytes: &[u8]) {
        let from = usize::try_from(position).expect("small");
        self.files.get_mut(&file).expect("made")[from..from + bytes.len()].copy_from_slice(bytes);
    }

    /// Harms one byte.
    pub fn rot(&mut self, file: FileNumber, position: u64) {
        self.files.get_mut(&file).expect("made")[usize::try_from(position).expect("small")] ^= 0x40;
    }

    /// Takes a page away as if it had never been written.
    pub fn zero(&mut self, file: FileNumber, position: u64, bytes: usize) {
        self.put(file, position, &vec![0; bytes]);
    }
}

impl Disk for MemoryDisk {
    type Buffer = Vec<u8>;

    fn buffer(&self, bytes: usize) -> Vec<u8> {
        vec![0; bytes]
    }

    fn files(&self) -> Result<Vec<(FileNumber, u64)>, DiskError> {
        Ok(self.files.iter().map(|(file, bytes)| (*file, bytes.len() as u64)).collect())
    }

    fn read(&self, file: FileNumber, position: u64, bytes: usize, into: &mut Vec<u8>) -> Result<usize, DiskError> {
        let pages = position..position + bytes as u64;
        if self.unreadable.iter().any(|(bad, page)| *bad == file && pages.contains(page)) {
            return Err(DiskError { message: format!("{file} cannot be read"), full: false });
        }
        let held = &self.files[&file];
        let from = usize::try_from(position).expect("small").min(held.len());
        let end = (from + bytes).min(held.len());
        into[..end - from].copy_from_slice(&held[from..end]);
        Ok(end - from)
    }

    fn read_sidecar(&self, file: FileNumber) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.sidecars.get(&file).cloned())
    }

    fn write_sidecar(&mut self, file: FileNumber, bytes: &[u8]) -> Result<(), DiskError> {
        self.sidecars.insert(file, bytes.to_vec());
        Ok(())
    }

    fn write(&mut self, file: FileNumber, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.put(file, position, bytes);
        Ok(())
    }

    fn sync(&mut self, file: FileNumber) -> Result<(), DiskError> {
        self.synced.push(file);
        Ok(())
    }

    fn quarantine(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.quarantined.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
}

/// A read of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    pub file: FileNumber,
    pub position: u64,
    pub bytes: usize,
}

/// A directory that remembers what is read of its files.
pub struct Watched(MemoryDisk, Mutex<Vec<Read>>);

impl Watched {
    pub fn new(disk: MemoryDisk) -> Watched {
        Watched(disk, Mutex::default())
    }

    pub fn reads(&self) -> Vec<Read> {
        self.1.lock().expect("nobody panics with it").clone()
    }

    pub fn read_bytes(&self) -> usize {
        self.reads().iter().map(|read| read.bytes).sum()
    }
}

impl Disk for Watched {
    type Buffer = Vec<u8>;

    fn buffer(&self, bytes: usize) -> Vec<u8> {
        self.0.buffer(bytes)
    }

    fn files(&self) -> Result<Vec<(FileNumber, u64)>, DiskError> {
        self.0.files()
    }

    fn read(&self, file: FileNumber, position: u64, bytes: usize, into: &mut Vec<u8>) -> Result<usize, DiskError> {
        self.1.lock().expect("nobody panics with it").push(Read { file, position, bytes });
        self.0.read(file, position, bytes, into)
    }

    fn read_sidecar(&self, file: FileNumber) -> Result<Option<Vec<u8>>, DiskError> {
        self.0.read_sidecar(file)
    }

    fn write_sidecar(&mut self, file: FileNumber, bytes: &[u8]) -> Result<(), DiskError> {
        self.0.write_sidecar(file, bytes)
    }

    fn write(&mut self, file: FileNumber, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.0.write(file, position, bytes)
    }

    fn sync(&mut self, file: FileNumber) -> Result<(), DiskError> {
        self.0.sync(file)
    }

    fn quarantine(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.0.quarantine(name, bytes)
    }
}

pub fn config(epoch: u32) -> Config {
    Config {
        pair: PairId(9),
        lane: LaneId(0),
        epoch: Epoch(epoch),
        window_bytes: WINDOW_BYTES,
        depth: 8,
        blocks_max: 70,
        segment_bytes: SEGMENT_BYTES,
        segments_max: 16,
        entries_max: 1_000,
        limits: Limits { size_bytes: u64::MAX, age_ns: None },
    }
}

pub fn rules() -> Rules {
    Rules { lane: LaneId(0), segment_bytes: SEGMENT_BYTES, window_bytes: WINDOW_BYTES, alone: true }
}

pub fn partitions() -> Vec<Partition> {
    let named =
        |(number, name): (u32, &str)| Partition { id: PartitionId(number), stream: name.into(), number: 0, next_offset: 0, log_start: 0 };
    [(0, "a"), (1, "b")].map(named).to_vec()
}

/// A sealed block of one batch with that many records of partition `partition`, 8 KiB in all.
pub fn block_of(partition: u32, records: u32, counter: u64) -> Vec<u8> {
    let mut block = vec![0; block::BLOCK_BYTES_MIN];
    let body = &mut block[HEAD_BYTES..];
    let mut at = BATCH_HEADER_BYTES;
    for delta in 0..records {
        let value = (counter << 16 | u64::from(delta)).to_le_bytes();
        let fixed = 2 + record::varint_bytes(i64::from(delta)) + 1 + 1 + value.len() + 1;
        at += record::write_varint(&mut body[at..], i64::try_from(fixed).expect("small"));
        at += 1;
        for number in [0, i64::from(delta), -1, 8] {
            at += record::write_varint(&mut body[at..], number);
        }
        body[at..at + value.len()].copy_from_slice(&value);
        at += value.len();
        at += record::write_varint(&mut body[at..], 0);
    }
    let closing =
        Closing { records, records_crc: checksum::crc32c(&body[BATCH_HEADER_BYTES..at]), base_timestamp_ms: 1, max_timestamp_ms: 1 };
    let crc = batch::close(&mut body[..at], &closing);
    block::directory_entry(&mut block, 0, PartitionId(partition), HEAD_BYTES, at, records, crc, Some(0));
    let mut counters = [0; block::COUNTERS];
    counters[0] = counter;
    let seal = Seal { payload_bytes: at, batches: 1, records, flags: 0, wall_ns: 1_000 + counter, counters };
    block::seal(&mut block, &seal);
    block
}

/// A node. Commands wait in `orders` until the test carries them out.
pub struct Rig {
    pub disk: MemoryDisk,
    pub log: Log,
    pub orders: Vec<Command>,
    pub blocks: BTreeMap<u64, Vec<u8>>,
    pub counter: u64,
    pub now_ns: u64,
    nonce: u64,
}

impl Rig {
    /// A node on an empty directory.
    pub fn new() -> Rig {
        Rig::start(MemoryDisk::default(), 1)
    }

    /// Recovers the directory and starts in an epoch.
    pub fn start(disk: MemoryDisk, epoch: u32) -> Rig {
        Rig::start_with(disk, config(epoch)).0
    }

    pub fn start_with(mut disk: MemoryDisk, config: Config) -> (Rig, Recovered) {
        let recovered = recover(&mut disk, &rules()).expect("a directory in memory is always read");
        let known = if recovered.partitions.is_empty() { partitions() } else { recovered.partitions.clone() };
        let log = Log::start(config, &recovered, known);
        let nonce = u64::from(config.epoch.0) << 32;
        let rig = Rig { disk, log, orders: Vec::new(), blocks: BTreeMap::new(), counter: recovered.counters[0], now_ns: 1_000, nonce };
        (rig, recovered)
    }

    /// Appends a block, rolling where that is needed and possible; its number.
    pub fn append(&mut self, partition: u32, records: u32) -> u64 {
        self.take_orders();
        self.run_segments();
        if self.log.room(BLOCK_BYTES as usize, 1) == Room::Roll {
            self.roll();
        }
        let room = self.log.room(BLOCK_BYTES as usize, 1);
        assert_eq!(room, Room::Append, "block {} of the test", self.counter);
        self.counter += 1;
        let mut block = block_of(partition, records, self.counter);
        self.log.append(&mut block, self.counter);
        self.keep(block)
    }

    pub fn roll(&mut self) -> u64 {
        self.nonce += 1;
        let mut buffer = vec![0; block::BLOCK_BYTES_MIN];
        self.log.roll(Nonce(self.nonce), self.now_ns, &mut buffer);
        self.keep(buffer)
    }

    fn keep(&mut self, block: Vec<u8>) -> u64 {
        let sequence = block::header(&block).expect("a block").sequence.get();
        self.blocks.insert(sequence, block);
        self.take_orders();
        sequence
    }

    pub fn take_orders(&mut self) {
        while let Some(command) = self.log.command() {
            self.orders.push(command);
        }
    }

    fn run_segments(&mut self) {
        while let Some(place) = self.orders.iter().position(|order| *order == Command::MakeSegment) {
            self.orders.remove(place);
            let file = self.disk.make();
            self.log.on_segment(file);
        }
    }

    /// Carries out one order.
    pub fn carry_out(&mut self, order: Command) {
        match order {
            Command::WriteBlock { sequence, file, position, bytes, .. } => {
                self.disk.put(file, position, &self.blocks[&sequence]);
                self.log.on_block_written(sequence, Ok(bytes)).expect("written whole");
            }
            Command::WritePage { kind, file, position } => {
                let mut page = [0; PAGE_BYTES];
                match kind {
                    PageKind::Header => self.log.header_page(&mut page),
                    PageKind::Records => self.log.record_page(&mut page),
                }
                self.disk.put(file, position, &page);
                self.log.on_page_written(kind, Ok(4096)).expect("written whole");
            }
            Command::Sync { .. } => self.log.on_synced(Ok(()), |_, _| {}).expect("synced"),
            Command::MakeSegment => {
                let file = self.disk.make();
                self.log.on_segment(file);
            }
            Command::Seal(order) => self.seal(&order),
            Command::Blank { file } => {
                blank(&mut self.disk, file).expect("a directory in memory");
                self.log.on_blanked(file, Ok(())).expect("blanked");
            }
        }
    }

    fn seal(&mut self, order: &SealOrder) {
        let index = self.log.view().fresh_index(order.index);
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
        self.disk.sidecars.insert(order.file, sidecar.encode());
        self.log.view().add_sealed(SealedSegment {
            file: order.file,
            nonce: order.nonce,
            epoch: order.epoch,
            base_sequence: order.base_sequence.0,
            end_sequence: order.end_sequence.0,
            end_position: order.end_position,
            starts: index.starts(self.log.view().partitions.len()),
        });
        self.log.on_sealed(order.file, order.nonce, Ok(())).expect("sealed");
    }

    /// Carries out everything until nothing is left to do.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            self.take_orders();
            if self.orders.is_empty() {
                self.log.tick(self.now_ns);
                self.take_orders();
                if self.orders.is_empty() {
                    return;
                }
            }
            let order = self.orders.remove(0);
            self.carry_out(order);
        }
        panic!("{} orders are left after 10,000 steps", self.orders.len());
    }

    /// Appends blocks of one record each for partition 0, each durable before the next.
    pub fn fill(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.append(0, 1);
            self.settle();
        }
    }

    /// Writes down that the last group is durable.
    pub fn confirm(&mut self) {
        self.now_ns += crate::durable::CONFIRM_AFTER_NS;
        self.settle();
    }

    /// Where a block of this run was written.
    pub fn place_of(&self, order: &Command) -> (FileNumber, u64) {
        match order {
            Command::WriteBlock { file, position, source: Source::Slot(_) | Source::Checkpoint, .. } => (*file, *position),
            other => panic!("{other:?} writes no block"),
        }
    }
}
