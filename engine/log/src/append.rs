//! Appending: a sealed block gets its number, its place and its chain, and becomes a write.
//!
//! The machine owns no bytes. It stamps the block that is handed to it, says with a [`Command`] where it goes, and from
//! then on knows it by its number. What the owner must do: run every command once, report each with `on_*`, never retry.

use crate::FileNumber;
use crate::commit::Ahead;
use crate::durable::Group;
use crate::producers::Producers;
use crate::retain::Limits;
use crate::roll::Unnamed;
use crate::roll::{Open, Rolled};
use crate::view::{LaneView, Slot, Trailed};
use headworks_format::block::{self, BlockHeader, COUNTERS};
use headworks_format::checkpoint::Partition;
use headworks_format::{Chain, Epoch, LaneId, Nonce, PairId, PartitionId, Sequence};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a lane's log is fixed to for one run.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// The pair's identity.
    pub pair: PairId,
    /// The lane.
    pub lane: LaneId,
    /// The epoch that this start took.
    pub epoch: Epoch,
    /// W: most bytes submitted and not yet durable; the ring's capacity.
    pub window_bytes: u64,
    /// Most block writes under way at once.
    pub depth: usize,
    /// Most blocks that are submitted and not yet durable: the ring's slots and a checkpoint for each roll among them.
    pub blocks_max: usize,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Segments that the lane can have at once.
    pub segments_max: usize,
    /// Batches that the index of an open segment holds; one that is full rolls the segment.
    pub entries_max: usize,
    /// What is kept.
    pub limits: Limits,
}

/// Segments that a start begins, or that are on their way from one use to the next, beyond those that were found.
const SEGMENTS_BEGUN: usize = 4;

/// Segments that a lane can come to have, which is [`Config::segments_max`]: `kept` by retention and `slack` for what must be spared.
///
/// Where nothing may be given back, since nothing is committed, a start does not raise that by more than it begins itself; and who
/// follows has twice the slack: it begins a segment at each of its own starts, and what a primary holds must fit, or the two would wait
/// for each other for ever.
#[must_use]
pub fn segments_max(kept: usize, slack: usize, found: usize, follows: bool) -> usize {
    let slack = if follows { slack.saturating_mul(2) } else { slack };
    kept.saturating_add(slack).max(found + SEGMENTS_BEGUN)
}

/// Where the bytes of a write stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A ring slot.
    Slot(u64),
    /// The buffer that was handed to [`Log::roll`] or [`Log::close`].
    Checkpoint,
}

/// A page that the owner lets the log fill before it writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageKind {
    /// [`Log::header_page`].
    Header,
    /// [`Log::record_page`].
    Records,
}

/// What the owner is to do, once, in any order unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Write a block; report [`Log::on_block_written`].
    WriteBlock {
        /// The block's number.
        sequence: u64,
        /// Its bytes.
        source: Source,
        /// Where to.
        file: FileNumber,
        /// First byte.
        position: u64,
        /// Size.
        bytes: u32,
    },
    /// Write a page; report [`Log::on_page_written`].
    WritePage {
        /// Which page.
        kind: PageKind,
        /// Where to.
        file: FileNumber,
        /// First byte.
        position: u64,
    },
    /// fdatasync the file; report [`Log::on_synced`].
    Sync {
        /// The file.
        file: FileNumber,
    },
    /// Have one more segment made; report [`Log::on_segment`] or [`Log::on_segment_failed`].
    MakeSegment,
    /// Write a rolled segment's sidecar; report [`Log::on_sealed`].
    Seal(SealOrder),
    /// Take a retired file out of the log for good with [`crate::recover::blank`]; report [`Log::on_blanked`].
    Blank {
        /// The file.
        file: FileNumber,
    },
}

/// A rolled segment whose blocks are all durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealOrder {
    /// The file.
    pub file: FileNumber,
    /// The view's index that holds its entries.
    pub index: usize,
    /// The segment's nonce.
    pub nonce: Nonce,
    /// The segment's epoch.
    pub epoch: Epoch,
    /// First block.
    pub base_sequence: Sequence,
    /// After the last block.
    pub end_sequence: Sequence,
    /// Byte after the last block.
    pub end_position: u64,
    /// Hash of the last header.
    pub end_chain: Chain,
    /// Counters of the last block.
    pub counters: [u64; COUNTERS],
}

/// Whether a block can be appended now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Yes.
    Append,
    /// After a roll, which can be done now.
    Roll,
    /// Not now.
    Wait(Waiting),
}

/// What an append waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// As many writes as allowed are under way.
    Depth,
    /// W bytes are submitted and not yet durable.
    Window,
    /// No spare segment is ready.
    Segment,
    /// The roll before is not written yet, or its index is not free yet.
    Roll,
    /// More batches are durable and not committed than the lane keeps account of.
    Commit,
}

/// A write or fdatasync failed. It is never tried again: the node steps down and stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageFault {
    /// What was being done.
    pub job: &'static str,
    /// On which file.
    pub file: FileNumber,
    /// What the system said.
    pub error: String,
}

/// Batches that may ask for a receipt and have not been told yet.
pub const RECEIPTS_MAX: usize = 4096;

/// Where a batch was put whose producer asked to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The number under which it was asked.
    pub ticket: u64,
    /// Offset of its first record.
    pub base_offset: u64,
    /// Its block: it is durable when the position says so.
    pub sequence: u64,
}

/// A block on its way from stamped to durable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    pub sequence: u64,
    pub source: Source,
    pub file: FileNumber,
    pub nonce: Nonce,
    pub epoch: Epoch,
    pub position: u64,
    pub bytes: u32,
    pub records: u32,
    pub chain: Chain,
    pub wall_ns: u64,
    /// Whether another node stamped it: then its records are in that node's books.
    pub followed: bool,
    /// Its entries in the view's index: index number, first, one past the last.
    pub entries: (usize, usize, usize),
    pub written: bool,
}

/// A block that is whole, on its way into the open segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placing {
    pub source: Source,
    pub bytes: u32,
    pub records: u32,
    pub wall_ns: u64,
    pub followed: bool,
    /// Its entries in the view's index: index number, first, one past the last.
    pub entries: (usize, usize, usize),
}

/// The append machine of one lane.
pub struct Log {
    pub(crate) config: Config,
    pub(crate) view: Arc<LaneView>,
    pub(crate) next: u64,
    pub(crate) chain: Chain,
    pub(crate) counters: [u64; COUNTERS],
    pub(crate) offsets: Offsets,
    pub(crate) producers: Producers,
    pub(crate) receipts: VecDeque<Receipt>,
    /// Partitions that no durable checkpoint names yet.
    pub(crate) unnamed: Unnamed,
    pub(crate) open: Option<Open>,
    pub(crate) rolled: VecDeque<Rolled>,
    /// Whether retention would take the oldest of them and must not.
    pub(crate) held_back: bool,
    pub(crate) spares: VecDeque<FileNumber>,
    pub(crate) making: usize,
    /// The retired file that is being blanked: one at a time, oldest first, so that a crash leaves no gap in the log.
    pub(crate) blanking: Option<FileNumber>,
    pub(crate) flights: VecDeque<Flight>,
    pub(crate) writing: usize,
    pub(crate) undurable_bytes: u64,
    pub(crate) written: u64,
    pub(crate) durable: u64,
    pub(crate) committed: u64,
    /// What is durable here and not committed yet, oldest first.
    pub(crate) ahead: VecDeque<Ahead>,
    pub(crate) durable_records: u64,
    pub(crate) committed_records: u64,
    pub(crate) newest_ns: u64,
    pub(crate) group: Option<Group>,
    pub(crate) record_page_next: u64,
    pub(crate) confirmed: u64,
    pub(crate) quiet_since_ns: u64,
    pub(crate) commands: VecDeque<Command>,
}

/// The lane's partitions with the offset that each one's next record gets, in the view's order.
pub(crate) struct Offsets {
    pub partitions: Vec<Partition>,
}

impl Offsets {
    /// Gives out the next offsets of the partition at `place`; returns the first.
    pub(crate) fn take(&mut self, place: usize, records: u32) -> u64 {
        let next = &mut self.partitions[place].next_offset;
        let base = *next;
        *next += u64::from(records);
        base
    }
}

/// The place of a partition in the lane. Panics for one that is not the lane's: routing is by catalog.
fn own(view: &LaneView, partition: PartitionId) -> usize {
    view.place(partition).unwrap_or_else(|| panic!("partition {partition} is none of lane {}'s {}", view.lane, view.partitions.len()))
}

/// The header of a block that this process sealed.
fn header_of(block: &[u8]) -> &BlockHeader {
    block::header(block).expect("a sealed block is larger than a header")
}

impl Log {
    /// Whether a block of that size with so many batches can be appended now.
    #[must_use]
    pub fn room(&self, block_bytes: usize, batches: usize) -> Room {
        if self.writing >= self.config.depth || self.flights.len() >= self.config.blocks_max {
            return Room::Wait(Waiting::Depth);
        }
        // One roll may come first, so its checkpoint counts against the window too.
        if self.undurable_bytes + (block_bytes + self.checkpoint_bytes()) as u64 > self.config.window_bytes {
            return Room::Wait(Waiting::Window);
        }
        if !self.has_room_ahead(batches) {
            return Room::Wait(Waiting::Commit);
        }
        match &self.open {
            Some(open)
                if open.position + block_bytes as u64 <= self.config.segment_bytes
                    && self.view.fresh_index(open.index).room() >= batches =>
            {
                // What could be rolled for its age alone is never waited for.
                if self.is_open_for_long(open) && self.room_to_roll() == Room::Roll { Room::Roll } else { Room::Append }
            }
            _ => self.room_to_roll(),
        }
    }

    /// Stamps the block of ring slot `slot` and orders its write. The owner must have asked [`Log::room`].
    pub fn append(&mut self, block: &mut [u8], slot: u64) {
        let header: &BlockHeader = header_of(block);
        self.counters = header.counters.map(|counter| counter.get());
        self.write_block(block, Source::Slot(slot));
    }

    /// Stamps a block into the open segment and orders its write.
    pub(crate) fn write_block(&mut self, block: &mut [u8], source: Source) {
        let open = self.open.as_mut().expect("room said that a segment is open");
        let header: &BlockHeader = header_of(block);
        let (bytes, records, wall_ns) = (header.block_bytes.get(), header.records.get(), header.wall_ns.get());
        let position = open.position;
        assert!(position + u64::from(bytes) <= self.config.segment_bytes, "{bytes} B at {position} of {}", self.config.segment_bytes);
        let stamp = block::Stamp {
            pair: self.config.pair,
            lane: self.config.lane,
            epoch: open.epoch,
            nonce: open.nonce,
            sequence: Sequence(self.next),
            chain: self.chain,
            committed: self.committed,
        };
        let (view, offsets) = (&self.view, &mut self.offsets);
        let (producers, receipts, sequence) = (&mut self.producers, &mut self.receipts, self.next);
        let index = view.fresh_index(open.index);
        let first = index.len();
        let slot = if let Source::Slot(slot) = source { Slot(slot) } else { Slot::NONE };
        self.chain = block::stamp(
            block,
            &stamp,
            |partition, count| {
                let place = own(view, partition);
                let base = offsets.take(place, count);
                view.partitions[place].extend(base + u64::from(count));
                base
            },
            |stamped| {
                let placed = &stamped.placed;
                index.push(placed, position, slot);
                if let Some(produced) = &stamped.produced {
                    producers.note(placed.partition, produced, placed.base_offset);
                }
                if stamped.ticket > 0 {
                    receipts.push_back(Receipt { ticket: stamped.ticket, base_offset: placed.base_offset, sequence });
                }
            },
        );
        let entries = (open.index, first, index.len());
        self.submit(&Placing { source, bytes, records, wall_ns, followed: false, entries });
    }

    /// Orders the write of the next block, which is whole: it stands behind the open segment's last one.
    pub(crate) fn submit(&mut self, placing: &Placing) {
        let open = self.open.as_mut().expect("a block is placed in the open segment");
        let Placing { source, bytes, records, wall_ns, followed, entries } = *placing;
        let (sequence, position, file) = (self.next, open.position, open.file);
        let slot = if let Source::Slot(slot) = source { Slot(slot) } else { Slot::NONE };
        open.position += u64::from(bytes);
        if slot != Slot::NONE {
            open.first_ns.get_or_insert(wall_ns);
        }
        self.flights.push_back(Flight {
            sequence,
            source,
            file,
            nonce: open.nonce,
            epoch: open.epoch,
            position,
            bytes,
            records,
            chain: self.chain,
            wall_ns,
            followed,
            entries,
            written: false,
        });
        self.commands.push_back(Command::WriteBlock { sequence, source, file, position, bytes });
        self.view.trail.note(sequence, &Trailed { slot, file, position, bytes });
        self.next += 1;
        self.writing += 1;
        self.undurable_bytes += u64::from(bytes);
        if slot != Slot::NONE {
            self.view.positions.stamped_slots.set(slot.0 + 1);
        }
        self.view.positions.submitted.set(self.next);
    }

    /// The next thing for the owner to do.
    pub fn command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next batch that was stamped and asked to be told of: before its block can become durable.
    pub fn receipt(&mut self) -> Option<Receipt> {
        self.receipts.pop_front()
    }

    /// Every block below this number is durable here.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Records of the blocks that this node stamped and that became durable in this run.
    #[must_use]
    pub fn durable_records(&self) -> u64 {
        self.durable_records
    }

    /// Records of the blocks that this node stamped and that became committed in this run.
    #[must_use]
    pub fn committed_records(&self) -> u64 {
        self.committed_records
    }

    /// Whether every appended block is durable and nothing is under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.flights.is_empty() && self.group.is_none() && self.commands.is_empty()
    }

    /// Whether a segment is open to be written.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the block under way is a checkpoint, not a ring slot's.
    #[must_use]
    pub fn is_checkpoint(&self, sequence: u64) -> bool {
        self.flights.iter().any(|flight| flight.sequence == sequence && flight.source == Source::Checkpoint)
    }

    /// Whether the last group is durable but no record says so yet: the machine wants a tick after [`crate::durable::CONFIRM_AFTER_NS`].
    #[must_use]
    pub fn wants_confirmation(&self) -> bool {
        self.durable > self.confirmed
    }

    /// Every file that the machine may write: the open segment, which a follower may have gone on in, spares, and segments that
    /// retention may give back.
    pub fn files(&self) -> impl Iterator<Item = FileNumber> + '_ {
        let open = self.open.iter().map(|open| open.file);
        open.chain(self.spares.iter().copied()).chain(self.rolled.iter().map(|rolled| rolled.order.file))
    }

    /// Block writes under way: the producer seals on linger only while this is below the depth.
    #[must_use]
    pub fn writing(&self) -> usize {
        self.writing
    }

    /// The lane's published state.
    #[must_use]
    pub fn view(&self) -> &Arc<LaneView> {
        &self.view
    }

    /// Ring slots below this index hold durable blocks only and may be taken again; none before the first.
    #[must_use]
    pub fn first_undurable_slot(&self) -> Option<u64> {
        self.flights.iter().find_map(|flight| if let Source::Slot(slot) = flight.source { Some(slot) } else { None })
    }
}

#[cfg(test)]
mod tests;
