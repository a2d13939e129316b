//! Rolling to the next segment, sealing the one before, and giving retired files back as spares.
//!
//! Every start, every truncation and every full segment begins a new one: nothing is written again beyond a recorded end.
//! A new segment is header, then a checkpoint block, then data. If we die before its first group is durable, nothing in
//! it was acknowledged, and recovery takes of it what proves itself.

use crate::FileNumber;
use crate::append::{Command, Log, PageKind, Room, SealOrder, Source, StorageFault, Waiting};
use crate::retain;
use crate::start::SPARES_MAX;
use crate::view::PartitionView;
use headworks_format::block::{self, COUNTERS, FLAG_CONTROL, HEAD_BYTES, Seal};
use headworks_format::checkpoint::Partition;
use headworks_format::segment::{DATA_FROM, PAGE_BYTES, SegmentId};
use headworks_format::{Chain, Epoch, Nonce, PartitionId, Sequence, checkpoint, checksum};
use std::collections::VecDeque;

/// A partition that found no room in its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddError;

/// Spare segments that are kept ready.
pub const SPARES_TARGET: usize = 2;

/// Into how many segments the age that is kept is cut at least: records are given back by segments, so they stay longer than
/// asked for by up to one part.
const SEGMENTS_OF_AGE: u64 = 4;

/// The segment that is being written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    pub file: FileNumber,
    pub nonce: Nonce,
    /// The epoch of its blocks: of one that is followed, its primary's.
    pub epoch: Epoch,
    pub base_sequence: u64,
    pub base_chain: Chain,
    pub created_ns: u64,
    /// Wall time of its first block of records.
    pub first_ns: Option<u64>,
    pub position: u64,
    /// The view's index that takes its entries.
    pub index: usize,
    pub header_written: bool,
    pub checkpoint_busy: bool,
}

/// A segment that is full or was left by an earlier run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rolled {
    pub order: SealOrder,
    pub bytes: u64,
    pub newest_ns: u64,
    /// Offset after its last record of the partition that is kept (see [`PartitionView::keep_from`]).
    pub kept_end: u64,
    pub ordered: bool,
    pub sealed: bool,
}

/// Partitions that were added and that readers do not see yet.
#[derive(Debug, Default)]
pub(crate) struct Unnamed {
    /// As readers will see them, oldest first.
    views: VecDeque<PartitionView>,
    /// How many of the last ones stand in no checkpoint that was ordered.
    pub unordered: usize,
    /// Checkpoints under way, oldest first: the number behind each, and how many partitions it is the first to name.
    pub ordered: VecDeque<(u64, usize)>,
}

impl Unnamed {
    fn add(&mut self, view: PartitionView) {
        self.views.push_back(view);
        self.unordered += 1;
    }

    /// A checkpoint that names all of them is ordered; `end` is the number behind it.
    pub fn order(&mut self, end: u64) {
        let count = std::mem::take(&mut self.unordered);
        if count > 0 {
            self.ordered.push_back((end, count));
        }
    }

    /// The next partition whose checkpoint lies below `durable`.
    fn named(&mut self, durable: u64) -> Option<PartitionView> {
        let (end, count) = self.ordered.front_mut()?;
        if *end > durable {
            return None;
        }
        *count -= 1;
        if *count == 0 {
            self.ordered.pop_front();
        }
        Some(self.views.pop_front().expect("one for each partition added"))
    }
}

impl Log {
    pub(crate) fn room_to_roll(&self) -> Room {
        let roll_busy = self.open.as_ref().is_some_and(|open| !open.header_written || open.checkpoint_busy);
        if roll_busy || self.view.free_index().is_none() || self.rolled.len() >= self.config.segments_max {
            Room::Wait(Waiting::Roll)
        } else if self.spares.is_empty() {
            Room::Wait(Waiting::Segment)
        } else {
            Room::Roll
        }
    }

    /// Whether the open segment has taken records for so long that retention by age wants it closed: only closed segments are
    /// given back, and one of a quiet stream would else stay open until it is full.
    pub(crate) fn is_open_for_long(&self, open: &Open) -> bool {
        let newest_ns = self.newest_ns();
        let since_ns = open.first_ns.map_or(0, |first| newest_ns.saturating_sub(first));
        self.config.limits.age_ns.is_some_and(|age| since_ns > age / SEGMENTS_OF_AGE)
    }

    /// Wall time of the newest record, durable or not. A checkpoint's time is the clock's, which age is not compared with.
    fn newest_ns(&self) -> u64 {
        let flying = self.flights.iter().rev().find(|flight| flight.records > 0);
        flying.map_or(self.newest_ns, |flight| flight.wall_ns)
    }

    /// Bytes that the lane's checkpoint takes.
    pub(crate) fn checkpoint_bytes(&self) -> usize {
        block::block_bytes_for(checkpoint::bytes(&self.offsets.partitions, self.producers.len()))
    }

    /// Closes the open segment and begins the next with a checkpoint, composed in `buffer` (a whole block's size), which
    /// belongs to the write until it is reported. The owner must have been told [`Room::Roll`].
    pub fn roll(&mut self, nonce: Nonce, now_ns: u64, buffer: &mut [u8]) {
        self.begin_segment(nonce, self.config.epoch, now_ns);
        self.view_open_mut(|open| open.checkpoint_busy = true);
        self.write_checkpoint(now_ns, buffer);
        self.want_segments();
    }

    /// Closes the open segment and opens the next, whose first block has to be a checkpoint.
    pub(crate) fn begin_segment(&mut self, nonce: Nonce, epoch: Epoch, now_ns: u64) {
        let file = self.spares.pop_front().expect("room said that a spare is ready");
        let index = self.view.free_index().expect("room said that an index is free");
        self.close_open();
        let open = Open {
            file,
            nonce,
            epoch,
            base_sequence: self.next,
            base_chain: self.chain,
            created_ns: now_ns,
            first_ns: None,
            position: DATA_FROM as u64,
            index,
            header_written: false,
            checkpoint_busy: false,
        };
        self.open = Some(open);
        self.record_page_next = 0;
        self.view.open_index(index, file, nonce, epoch, self.next, &self.offsets.partitions);
        self.commands.push_back(Command::WritePage { kind: PageKind::Header, file, position: 0 });
    }

    /// Appends a last checkpoint with the final counters, so that the books of a clean stop are whole.
    /// The owner must have been told [`Room::Append`] for a block of the largest size.
    pub fn close(&mut self, now_ns: u64, counters: [u64; COUNTERS], buffer: &mut [u8]) {
        self.counters = counters;
        self.checkpoint(now_ns, buffer);
    }

    fn write_checkpoint(&mut self, now_ns: u64, buffer: &mut [u8]) {
        let bytes = checkpoint::write(&mut buffer[HEAD_BYTES..], &self.offsets.partitions, self.producers.iter());
        let crc = checksum::crc32c(&buffer[HEAD_BYTES..HEAD_BYTES + bytes]);
        block::directory_entry(buffer, 0, PartitionId::CONTROL, HEAD_BYTES, bytes, 0, crc, None);
        let seal = Seal { payload_bytes: bytes, batches: 1, records: 0, flags: FLAG_CONTROL, wall_ns: now_ns, counters: self.counters };
        block::seal(buffer, &seal);
        self.write_block(buffer, Source::Checkpoint);
        self.unnamed.order(self.next);
    }

    /// Adds a partition without records. Readers see it, and batches may be routed to it, once a checkpoint that names it
    /// is durable: the owner asks [`Log::wants_checkpoint`] and orders one. `view` is the same partition for readers, made
    /// by the caller so that nothing is allocated here.
    ///
    /// # Errors
    /// The lane holds as many partitions as it can.
    pub fn add_partition(&mut self, partition: Partition, view: PartitionView) -> Result<(), AddError> {
        let partitions = &mut self.offsets.partitions;
        if partitions.len() >= checkpoint::PARTITIONS_MAX || !self.view.has_room_for(partition.id) {
            return Err(AddError);
        }
        partitions.push(partition);
        self.unnamed.add(view);
        Ok(())
    }

    /// Whether partitions wait for a checkpoint that names them, and none is being written.
    #[must_use]
    pub fn wants_checkpoint(&self) -> bool {
        self.unnamed.unordered > 0 && self.unnamed.ordered.is_empty() && self.open.as_ref().is_none_or(|open| !open.checkpoint_busy)
    }

    /// Appends a checkpoint in the middle of the open segment. The owner must have been told [`Room::Append`] for a block
    /// of the largest size; a roll does as well.
    pub fn checkpoint(&mut self, now_ns: u64, buffer: &mut [u8]) {
        self.view_open_mut(|open| open.checkpoint_busy = true);
        self.write_checkpoint(now_ns, buffer);
    }

    /// Shows readers the partitions whose checkpoint lies below `durable`.
    pub(crate) fn publish_named(&mut self, durable: u64) {
        while let Some(view) = self.unnamed.named(durable) {
            self.view.add_partition(view);
        }
    }

    /// Fills the page that [`PageKind::Header`] names.
    pub fn header_page(&self, page: &mut [u8; PAGE_BYTES]) {
        let open = self.open.as_ref().expect("a header is written for the open segment");
        let id = SegmentId {
            pair: self.config.pair,
            lane: self.config.lane,
            epoch: open.epoch,
            nonce: open.nonce,
            base_sequence: Sequence(open.base_sequence),
            base_chain: open.base_chain,
            created_ns: open.created_ns,
            window_bytes: self.config.window_bytes,
            segment_bytes: self.config.segment_bytes,
        };
        id.write(page);
    }

    pub(crate) fn close_open(&mut self) {
        let Some(open) = self.open.take() else { return };
        let order = SealOrder {
            file: open.file,
            index: open.index,
            nonce: open.nonce,
            epoch: open.epoch,
            base_sequence: Sequence(open.base_sequence),
            end_sequence: Sequence(self.next),
            end_position: open.position,
            end_chain: self.chain,
            counters: self.counters,
        };
        let newest_ns = self.newest_ns();
        let kept_end = self.kept_end();
        self.rolled.push_back(Rolled { order, bytes: self.config.segment_bytes, newest_ns, kept_end, ordered: false, sealed: false });
    }

    /// Next offset of the partition that is kept; 0 without one.
    fn kept_end(&self) -> u64 {
        let kept = self.view.partitions.iter().find(|partition| partition.is_kept());
        let own = kept.and_then(|kept| self.offsets.partitions.iter().find(|partition| partition.id == kept.id));
        own.map_or(0, |partition| partition.next_offset)
    }

    /// Whether a record that is still needed stands in the oldest segment. Those before it are gone, so one below its end is in it.
    fn is_oldest_kept(&self) -> bool {
        let kept = self.view.partitions.iter().find(|partition| partition.is_kept());
        kept.is_some_and(|kept| self.rolled.front().is_some_and(|oldest| oldest.kept_end > kept.keep_from()))
    }

    /// Orders sidecars of rolled segments whose blocks are all durable.
    pub(crate) fn seal_rolled(&mut self) {
        for rolled in self.rolled.iter_mut().filter(|rolled| !rolled.ordered) {
            if rolled.order.end_sequence.0 > self.durable {
                break;
            }
            rolled.ordered = true;
            self.commands.push_back(Command::Seal(rolled.order));
        }
    }

    /// Takes the oldest segment out of the log when retention lets it go. It is a spare only once it is blank, durably:
    /// a new segment's first blocks may reach the disk before its header does, and a crash between the two would find
    /// the old header over them and take the file for a part of the log again.
    pub(crate) fn retire(&mut self) {
        let as_seen = self.rolled.iter().map(|rolled| retain::Rolled {
            bytes: rolled.bytes,
            end_sequence: rolled.order.end_sequence.0,
            newest_ns: rolled.newest_ns,
            sealed: rolled.sealed,
        });
        let open_bytes = if self.open.is_some() { self.config.segment_bytes } else { 0 };
        let expired = |below| retain::expired(as_seen.clone(), open_bytes, below, self.newest_ns, &self.config.limits);
        // A member in sync may still need what is not committed. Who needs more than that is none, and begins anew.
        let (expired, waits) = (expired(self.committed), expired(self.durable) > expired(self.committed));
        // Room for spares is bounded: what finds none stays in the log until one is used.
        let room = self.spares.len() + self.making < SPARES_MAX;
        self.held_back = waits || expired > 0 && self.is_oldest_kept();
        if self.held_back {
            // Who keeps it can make it go only by appending, and for that there must be room; and a peer that is behind must not stop
            // the stream before the bound for what is uncommitted does.
            self.want_segments();
        }
        if expired == 0 || self.blanking.is_some() || !room || self.held_back {
            return;
        }
        let rolled = self.rolled.pop_front().expect("expired counts rolled segments");
        // Readers must stop looking here before the file is written again.
        self.view.set_start(rolled.order.end_sequence.0);
        self.blanking = Some(rolled.order.file);
        self.commands.push_back(Command::Blank { file: rolled.order.file });
    }

    /// A retired file is blank, durably: it can be written again.
    ///
    /// # Errors
    /// It could not be blanked: a storage fault.
    pub fn on_blanked(&mut self, file: FileNumber, result: Result<(), String>) -> Result<(), StorageFault> {
        assert!(self.blanking == Some(file), "{file} was blanked, {:?} was to be", self.blanking);
        result.map_err(|error| StorageFault { job: "blanking a retired segment", file, error })?;
        self.blanking = None;
        self.spares.push_back(file);
        Ok(())
    }

    /// Asks for segments until enough spares are ready or on their way. Never for more files than what is kept and the
    /// spares come to: from there on retention gives back what is needed, and making more would only take the disk's time. Where
    /// retention must spare what it would take, the bound is that of the lane.
    pub(crate) fn want_segments(&mut self) {
        let kept = self.config.limits.size_bytes.div_ceil(self.config.segment_bytes).max(1);
        let files_max = usize::try_from(kept).unwrap_or(usize::MAX).saturating_add(SPARES_TARGET);
        let files_max = if self.held_back { files_max.max(self.config.segments_max) } else { files_max };
        while self.spares.len() + self.making < SPARES_TARGET && self.files_taken() < files_max {
            self.making += 1;
            self.commands.push_back(Command::MakeSegment);
        }
    }

    /// Files of the lane, whatever they hold, and those on order.
    fn files_taken(&self) -> usize {
        self.rolled.len() + usize::from(self.open.is_some()) + usize::from(self.blanking.is_some()) + self.spares.len() + self.making
    }

    /// A segment was made and is ready to be written.
    pub fn on_segment(&mut self, file: FileNumber) {
        self.making -= 1;
        self.spares.push_back(file);
    }

    /// No segment could be made, for want of space. The owner reports it once for each order and says when to try again.
    pub fn on_segment_failed(&mut self) {
        self.making -= 1;
    }

    /// Asks again for what [`Log::on_segment_failed`] gave up; to be called when time has passed.
    pub fn retry_segments(&mut self) {
        self.want_segments();
    }

    /// A sidecar is durable: its index can be used again.
    ///
    /// # Errors
    /// It could not be written: a storage fault.
    pub fn on_sealed(&mut self, file: FileNumber, nonce: Nonce, result: Result<(), String>) -> Result<(), StorageFault> {
        result.map_err(|error| StorageFault { job: "sidecar write", file, error })?;
        let rolled = self.rolled.iter_mut().find(|rolled| rolled.order.nonce == nonce && rolled.ordered && !rolled.sealed);
        let rolled = rolled.expect("a sidecar is written once for an ordered segment");
        rolled.sealed = true;
        self.view.close_index(rolled.order.index);
        Ok(())
    }

    pub(crate) fn view_open_mut(&mut self, change: impl FnOnce(&mut Open)) {
        if let Some(open) = self.open.as_mut() {
            change(open);
        }
    }
}

#[cfg(test)]
mod tests;
