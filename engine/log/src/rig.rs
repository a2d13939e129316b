//! A log driven by hand: orders are held back until the test ends them, in any order and with any outcome.
//!
//! The rig keeps books of its own and compares them with the log after every step ([`Rig::check`]): a block counts as
//! durable only if a sync that the log ordered *after* the block's write had been reported has been reported too, and so
//! for every block before it. Nothing of that is read from the log itself.

mod blocks;
mod orders;
mod random;

pub use blocks::sealed;
pub use orders::*;
pub use random::Random;

use crate::append::{Command, Config, PageKind, Room, SealOrder, StorageFault};
use crate::recover::Recovered;
use crate::retain::Limits;
use crate::view::{PartitionView, Position, SealedSegment};
use crate::{FileNumber, Log};
use headworks_format::block::{self, BLOCK_BYTES_MIN, COUNTERS, HEAD_BYTES, Head};
use headworks_format::checkpoint::{self, Partition};
use headworks_format::segment::{DATA_FROM, PAGE_BYTES, Persisted, read_records};
use headworks_format::{Epoch, LaneId, Nonce, PairId, PartitionId};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of every block that the rig makes.
pub const BLOCK_BYTES: u64 = BLOCK_BYTES_MIN as u64;
/// The lane's partitions: ids have a gap, and their order is not that of their places.
pub const IDS: [u32; 3] = [4, 0, 2];
/// Wall time of the first block; each is one later.
pub const WALL_NS: u64 = 1_000;

/// How an order ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Whole,
    /// A write of fewer bytes than ordered.
    Short,
    Refused,
}

/// A log that nothing holds up but its segments of so many blocks, the checkpoint among them.
pub fn config(blocks: u64) -> Config {
    Config {
        pair: PairId(7),
        lane: LaneId(3),
        epoch: Epoch(5),
        window_bytes: 1 << 30,
        depth: 1_000,
        blocks_max: 1_000,
        segment_bytes: DATA_FROM as u64 + blocks * BLOCK_BYTES,
        segments_max: 64,
        entries_max: 1_000,
        limits: Limits { size_bytes: 1 << 30, age_ns: None },
    }
}

pub fn partitions() -> Vec<Partition> {
    let named = |id: u32| Partition { id: PartitionId(id), stream: format!("stream-{id}"), number: 3, next_offset: 0, log_start: 0 };
    IDS.map(named).to_vec()
}

/// A page that the log filled when it ordered its write.
#[derive(Debug, Clone)]
pub struct Page {
    pub kind: PageKind,
    pub file: FileNumber,
    pub position: u64,
    pub bytes: Box<[u8; PAGE_BYTES]>,
}

pub struct Rig {
    pub log: Log,
    /// How much the clock of blocks is ahead.
    pub ahead_ns: u64,
    pub now_ns: u64,
    /// Orders that have not ended, oldest first.
    pub held: Vec<Command>,
    /// Every block of the run as it was stamped.
    pub blocks: BTreeMap<u64, Vec<u8>>,
    pub pages: Vec<Page>,
    /// Every sidecar ordered.
    pub seals: Vec<SealOrder>,
    /// Wall time and records of the blocks that were reported durable.
    pub reported: Vec<(u64, u32)>,
    /// Files handed out.
    pub files: u32,
    batches: BTreeMap<u64, Vec<(usize, u32)>>,
    places: BTreeMap<u64, FileNumber>,
    written: BTreeSet<u64>,
    /// First block of the segment whose header is being written.
    headless_from: Option<u64>,
    /// What the sync under way covers, fixed when it was ordered.
    covered: BTreeSet<u64>,
    synced: BTreeSet<u64>,
    /// Blocks below are written, under a header.
    written_through: u64,
    /// Blocks below are covered by a sync.
    synced_through: u64,
    /// What was durable when the rig last looked, and what that makes the watermarks.
    seen_durable: u64,
    watermarks: [u64; IDS.len()],
    arrived: u64,
    rolls: u64,
}

impl Rig {
    /// A log that has ordered its first spares and has no segment yet.
    pub fn new(config: Config) -> Rig {
        Rig::over(config, partitions())
    }

    /// The same over these partitions, with ids as the others have.
    pub fn over(config: Config, partitions: Vec<Partition>) -> Rig {
        let mut rig = Rig {
            log: Log::start(config, &Recovered::default(), partitions),
            ahead_ns: 0,
            now_ns: 0,
            held: Vec::new(),
            blocks: BTreeMap::new(),
            pages: Vec::new(),
            seals: Vec::new(),
            files: 0,
            batches: BTreeMap::new(),
            places: BTreeMap::new(),
            written: BTreeSet::new(),
            headless_from: None,
            covered: BTreeSet::new(),
            synced: BTreeSet::new(),
            written_through: 0,
            synced_through: 0,
            seen_durable: 0,
            watermarks: [0; IDS.len()],
            reported: Vec::new(),
            arrived: 0,
            rolls: 0,
        };
        rig.take();
        rig
    }

    /// A log whose first segment is open, its checkpoint, block 0, durable, and nothing held.
    pub fn ready(config: Config) -> Rig {
        Rig::new(config).begun()
    }

    /// A new log with its first segment open, its checkpoint durable, and nothing held.
    pub fn begun(self) -> Rig {
        let mut rig = self;
        rig.end_all(|order| *order == Command::MakeSegment);
        rig.roll();
        rig.settle();
        rig.pages.clear();
        rig
    }

    /// Appends a block of these batches without asking for room; its number.
    pub fn append_batches(&mut self, batches: &[(usize, u32)]) -> u64 {
        self.arrived += batches.iter().map(|(_, records)| u64::from(*records)).sum::<u64>();
        let mut counters = [0; COUNTERS];
        counters[0] = self.arrived;
        let mut block = sealed(batches, WALL_NS + self.ahead_ns + self.blocks.len() as u64, counters);
        self.log.append(&mut block, 100 + self.blocks.len() as u64);
        self.keep(block, batches)
    }

    /// Appends a block of one record of the first partition.
    pub fn append(&mut self) -> u64 {
        self.append_batches(&[(0, 1)])
    }

    /// Rolls; the checkpoint's number. Nonces are 1, 2, 3 …
    pub fn roll(&mut self) -> u64 {
        self.rolls += 1;
        let nonce = Nonce(self.rolls);
        let mut buffer = vec![0xa5; BLOCK_BYTES_MIN];
        self.log.roll(nonce, self.now_ns, &mut buffer);
        self.keep(buffer, &[])
    }

    pub fn close(&mut self, counters: [u64; COUNTERS]) -> u64 {
        let mut buffer = vec![0xa5; BLOCK_BYTES_MIN];
        self.log.close(self.now_ns, counters, &mut buffer);
        self.keep(buffer, &[])
    }

    fn keep(&mut self, block: Vec<u8>, batches: &[(usize, u32)]) -> u64 {
        let sequence = block::header(&block).expect("a block").sequence.get();
        assert_eq!(sequence, self.blocks.len() as u64, "numbers are dense");
        self.blocks.insert(sequence, block);
        self.batches.insert(sequence, batches.to_vec());
        self.take();
        sequence
    }

    pub fn room(&self) -> Room {
        self.log.room(BLOCK_BYTES_MIN, 1)
    }

    pub fn tick(&mut self) {
        self.log.tick(self.now_ns);
        self.take();
    }

    fn take(&mut self) {
        while let Some(order) = self.log.command() {
            match order {
                Command::WritePage { kind, file, position } => {
                    let mut bytes = Box::new([0; PAGE_BYTES]);
                    match kind {
                        PageKind::Header => self.log.header_page(&mut bytes),
                        PageKind::Records => self.log.record_page(&mut bytes[..]),
                    }
                    if kind == PageKind::Header {
                        self.headless_from = self.blocks.keys().last().copied();
                    }
                    self.pages.push(Page { kind, file, position, bytes });
                }
                Command::WriteBlock { sequence, file, .. } => {
                    self.places.insert(sequence, file);
                }
                Command::Sync { file } => {
                    self.covered = self.written.range(self.synced_through..).copied().filter(|block| self.places[block] == file).collect();
                }
                Command::Seal(order) => self.seals.push(order),
                Command::MakeSegment | Command::Blank { .. } => {}
            }
            self.held.push(order);
        }
        self.check();
    }

    /// Compares the published positions and watermarks with the rig's own books.
    fn check(&mut self) {
        let headed = |block: u64| self.headless_from.is_none_or(|first| block < first);
        while self.written.contains(&self.written_through) && headed(self.written_through) {
            self.written_through += 1;
        }
        while self.synced.contains(&self.synced_through) {
            self.synced_through += 1;
        }
        let [submitted, written, durable, committed] = self.positions();
        assert!(submitted >= written && written >= durable && durable == committed, "{submitted} {written} {durable} {committed}");
        assert_eq!((submitted, written), (self.blocks.len() as u64, self.written_through), "submitted, written");
        assert!((self.seen_durable..=self.synced_through).contains(&durable), "durable {durable}, synced {}", self.synced_through);
        for (place, records) in self.batches.range(self.seen_durable..durable).flat_map(|(_, batches)| batches) {
            self.watermarks[*place] += u64::from(*records);
        }
        self.seen_durable = durable;
        let found: Vec<u64> = self.log.view().partitions.iter().map(PartitionView::high_watermark).collect();
        assert_eq!(found, self.watermarks, "high watermarks at durable {durable}");
        assert_eq!(self.log.durable_records(), self.watermarks.iter().sum::<u64>(), "records of durable blocks");
    }

    /// Submitted, written, durable, committed.
    pub fn positions(&self) -> [u64; 4] {
        let positions = &self.log.view().positions;
        [&positions.submitted, &positions.written, &positions.durable, &positions.committed].map(Position::load)
    }

    /// Ends a held order.
    pub fn end(&mut self, order: Command, end: End) -> Result<(), StorageFault> {
        let place = self.held.iter().position(|held| *held == order).unwrap_or_else(|| panic!("{order:?} is not in {:?}", self.held));
        self.held.remove(place);
        let bytes = |whole: u32| match end {
            End::Whole => Ok(whole),
            End::Short => Ok(whole - 512),
            End::Refused => Err("refused".to_owned()),
        };
        let done = || if end == End::Whole { Ok(()) } else { Err("refused".to_owned()) };
        let ended = match order {
            Command::WriteBlock { sequence, bytes: whole, .. } => {
                if end == End::Whole {
                    self.written.insert(sequence);
                }
                self.log.on_block_written(sequence, bytes(whole))
            }
            Command::WritePage { kind, .. } => {
                if (kind, end) == (PageKind::Header, End::Whole) {
                    self.headless_from = None;
                }
                self.log.on_page_written(kind, bytes(4096))
            }
            Command::Sync { .. } => {
                if end == End::Whole {
                    self.synced.append(&mut self.covered);
                }
                self.log.on_synced(done(), |wall_ns, records| self.reported.push((wall_ns, records)))
            }
            Command::MakeSegment => {
                self.log.on_segment(FileNumber(self.files));
                self.files += 1;
                Ok(())
            }
            Command::Seal(order) => {
                if end == End::Whole {
                    self.publish_sealed(&order);
                }
                self.log.on_sealed(order.file, order.nonce, done())
            }
            Command::Blank { file } => self.log.on_blanked(file, done()),
        };
        if end == End::Whole {
            self.take();
        }
        ended
    }

    /// What the files thread does once a sidecar is durable.
    fn publish_sealed(&self, order: &SealOrder) {
        let view = self.log.view();
        view.add_sealed(SealedSegment {
            file: order.file,
            nonce: order.nonce,
            epoch: order.epoch,
            base_sequence: order.base_sequence.0,
            end_sequence: order.end_sequence.0,
            end_position: order.end_position,
            starts: view.fresh_index(order.index).starts(view.partitions.len()),
        });
    }

    /// The one held order that fits.
    pub fn only(&self, fits: impl Fn(&Command) -> bool) -> Command {
        let found: Vec<_> = self.held.iter().filter(|order| fits(order)).collect();
        assert_eq!(found.len(), 1, "held are {:?}", self.held);
        *found[0]
    }

    /// Ends the one held order that fits, well.
    pub fn end_only(&mut self, fits: impl Fn(&Command) -> bool) {
        let order = self.only(fits);
        self.end(order, End::Whole).expect("ended well");
    }

    /// Ends well, oldest first, what is held and fits, and what that brings.
    pub fn end_all(&mut self, fits: impl Fn(&Command) -> bool) {
        for _ in 0..10_000 {
            let Some(order) = self.held.iter().copied().find(|order| fits(order)) else { return };
            self.end(order, End::Whole).expect("ended well");
        }
        panic!("{} orders are held after 10,000 steps", self.held.len());
    }

    /// Ends everything, with as many ticks as that takes: then every block is durable.
    pub fn settle(&mut self) {
        self.settle_but(|_| false);
        assert_eq!(self.positions(), [self.log.next; 4], "positions of a settled log");
    }

    /// As [`Rig::settle`], without the orders to be held back.
    pub fn settle_but(&mut self, hold: impl Fn(&Command) -> bool) {
        for _ in 0..1_000 {
            self.end_all(|order| !hold(order));
            self.tick();
            if self.held.iter().all(&hold) {
                return;
            }
        }
        panic!("the log is not settled after 1,000 ticks: {:?}", self.held);
    }

    /// Appends so many blocks of one record, each settled before the next; rolls where that is needed.
    pub fn fill(&mut self, blocks: u64) {
        for _ in 0..blocks {
            if self.room() == Room::Roll {
                self.roll();
            }
            assert_eq!(self.room(), Room::Append);
            self.append();
            self.settle();
        }
    }

    /// What the newest records page says, and where it stands.
    pub fn newest_records(&self) -> (FileNumber, u64, Vec<Persisted>) {
        let page = self.pages.iter().rfind(|page| page.kind == PageKind::Records).expect("a records page was ordered");
        (page.file, page.position, read_records(&page.bytes[..]).collect())
    }

    pub fn head(&self, sequence: u64) -> Head<'_> {
        let page = self.blocks[&sequence][..HEAD_BYTES].try_into().expect("a head page");
        Head::parse(page).unwrap_or_else(|fault| panic!("block {sequence}: {fault:?}"))
    }

    /// The partitions that a control block names, with their next offsets.
    pub fn checkpoint(&self, sequence: u64) -> Vec<(u32, String, u64)> {
        let head = self.head(sequence);
        assert!(head.is_control(), "block {sequence}");
        let payload = &self.blocks[&sequence][HEAD_BYTES..][..head.header().payload_bytes.get() as usize];
        let known = checkpoint::read(payload).expect("a checkpoint");
        known.partitions.into_iter().map(|partition| (partition.id.0, partition.stream, partition.next_offset)).collect()
    }
}
