//! What the log loop publishes of a lane for everybody else: positions, the index of fresh segments, high watermarks.
//!
//! Written by the log loop alone, read by the gateway and by snapshots; nothing here allocates, locks or waits on the
//! writer's side. Rolled segments move to [`LaneView::sealed`], whose lock only the files thread and readers take.
//!
//! ```text
//! log loop ──► positions, open indexes (3 fixed arrays), high watermarks          atomics
//! files thread ──► sealed segments (their sidecars are on disk)                    RwLock
//! ```

pub mod gate;
mod index;
mod partitions;
mod trail;

pub use gate::Gate;
pub use index::{Found, OpenIndex, Slot};
pub use partitions::{PartitionView, Partitions};
pub use trail::{Trail, Trailed};

use crate::FileNumber;
use crossbeam_utils::CachePadded;
use headworks_format::checkpoint::{PARTITIONS_MAX, Partition};
use headworks_format::sidecar::Entry;
use headworks_format::{Epoch, LaneId, Nonce, PartitionId};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Indexes of segments that have no sidecar yet: the open one, one being sealed, one to roll to.
pub const INDEXES: usize = 3;

/// One published position: a block number of the lane.
#[derive(Debug, Default)]
pub struct Position(CachePadded<AtomicU64>);

impl Position {
    /// Release: whoever sees the position sees what was published before it (index entries, high watermarks).
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }

    /// Acquire: pairs with the writer's Release.
    #[must_use]
    pub fn load(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The lane's positions, each "every block below".
#[derive(Debug, Default)]
pub struct Positions {
    /// Stamped and handed to the disk.
    pub submitted: Position,
    /// Written.
    pub written: Position,
    /// Covered by an fdatasync that started after the write had completed.
    pub durable: Position,
    /// Durable on every member of the in-sync set; on one node the same as durable.
    pub committed: Position,
    /// Ring slots below this number hold blocks that were stamped.
    pub stamped_slots: Position,
    /// Ring slots below this number hold committed blocks only.
    pub committed_slots: Position,
    /// Ring slots below this number hold blocks that the other required members have in memory, or that are durable here where
    /// none is required.
    pub shared_slots: Position,
    /// Bytes of blocks that are durable here and not committed yet.
    pub uncommitted_bytes: Position,
}

/// A rolled segment with its sidecar on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSegment {
    /// The file.
    pub file: FileNumber,
    /// The segment's nonce: what is read is valid only if the file still carries it.
    pub nonce: Nonce,
    /// Its epoch.
    pub epoch: Epoch,
    /// First block.
    pub base_sequence: u64,
    /// After the last block.
    pub end_sequence: u64,
    /// Byte after the last block.
    pub end_position: u64,
    /// Next offset of each of the lane's partitions at its start, by place in [`LaneView::partitions`].
    pub starts: Vec<u64>,
}

impl SealedSegment {
    /// Next offset of the partition at `place` at the segment's start; 0 for one that was made later.
    #[must_use]
    pub fn start_of(&self, place: usize) -> u64 {
        self.starts.get(place).copied().unwrap_or(0)
    }
}

/// A lane's published state.
#[derive(Debug)]
pub struct LaneView {
    /// The lane.
    pub lane: LaneId,
    epoch: AtomicU32,
    /// The lane's partitions; some may come, none goes.
    pub partitions: Partitions,
    /// Positions.
    pub positions: Positions,
    /// How far the others of the in-sync set are: what keeps `committed` below `durable`.
    pub gate: Gate,
    /// Where the newest blocks stand, by number.
    pub trail: Trail,
    /// Set while no segment can be made for want of space.
    pub disk_full: AtomicBool,
    indexes: [OpenIndex; INDEXES],
    start: AtomicU64,
    sealed: RwLock<VecDeque<Arc<SealedSegment>>>,
}

impl LaneView {
    /// A view over partitions whose next offsets are committed, with the segments that recovery found, oldest first.
    /// `entries_max`: batches that an open segment's index holds.
    #[must_use]
    pub fn new(
        lane: LaneId,
        epoch: Epoch,
        partitions: &[Partition],
        sealed: VecDeque<Arc<SealedSegment>>,
        start: u64,
        next: u64,
        entries_max: usize,
    ) -> LaneView {
        let positions = Positions::default();
        [&positions.submitted, &positions.written, &positions.durable, &positions.committed].iter().for_each(|position| position.set(next));
        LaneView {
            lane,
            epoch: AtomicU32::new(epoch.0),
            partitions: Partitions::new(partitions),
            positions,
            gate: Gate::default(),
            trail: Trail::default(),
            disk_full: AtomicBool::new(false),
            indexes: std::array::from_fn(|_| OpenIndex::new(PARTITIONS_MAX.max(partitions.len()), entries_max)),
            start: AtomicU64::new(start),
            sealed: RwLock::new(sealed),
        }
    }

    /// The epoch in which this node appends, or that it follows.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        // Acquire: who sees an epoch sees what was published when it began.
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    pub(crate) fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Release);
    }

    /// The place of a partition in this lane; none if it is another lane's.
    #[must_use]
    pub fn place(&self, id: PartitionId) -> Option<usize> {
        self.partitions.place(id)
    }

    /// Whether one more partition of that id can be added.
    #[must_use]
    pub fn has_room_for(&self, id: PartitionId) -> bool {
        self.partitions.has_room_for(id)
    }

    /// Shows a partition to readers. For the log loop, once a checkpoint that names it is durable.
    pub(crate) fn add_partition(&self, partition: PartitionView) {
        self.partitions.add(partition);
    }

    /// Block number below which the log was given back.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start.load(Ordering::Acquire)
    }

    /// The index of a segment without sidecar.
    #[must_use]
    pub fn fresh_index(&self, index: usize) -> &OpenIndex {
        &self.indexes[index]
    }

    /// The indexes in use, oldest segment first.
    #[must_use]
    pub fn open_indexes(&self) -> Vec<&OpenIndex> {
        let mut open: Vec<_> = self.indexes.iter().filter(|index| index.is_open()).collect();
        open.sort_by_key(|index| index.base_sequence());
        open
    }

    /// The rolled segments still kept, oldest first.
    #[must_use]
    pub fn sealed(&self) -> Vec<Arc<SealedSegment>> {
        let start = self.start();
        let sealed = self.sealed.read().unwrap_or_else(PoisonError::into_inner);
        sealed.iter().filter(|segment| segment.end_sequence > start).cloned().collect()
    }

    /// Adds a segment whose sidecar is durable and forgets those below the start. For the files thread.
    pub fn add_sealed(&self, segment: SealedSegment) {
        let start = self.start();
        let mut sealed = self.sealed.write().unwrap_or_else(PoisonError::into_inner);
        sealed.retain(|old| old.end_sequence > start);
        // Two sidecars that are written at once may end in either order; readers go by the segments'.
        let place = sealed.partition_point(|old| old.base_sequence < segment.base_sequence);
        sealed.insert(place, Arc::new(segment));
    }

    /// The first offset still kept of the partition at `place`.
    #[must_use]
    pub fn log_start(&self, place: usize) -> u64 {
        let sealed = self.sealed().first().map(|segment| segment.start_of(place));
        let open = || self.open_indexes().first().map(|index| index.start_of(place));
        sealed.or_else(open).unwrap_or_else(|| self.partitions[place].high_watermark())
    }

    pub(crate) fn set_start(&self, sequence: u64) {
        self.start.store(sequence, Ordering::Release);
    }

    pub(crate) fn free_index(&self) -> Option<usize> {
        self.indexes.iter().position(|index| !index.is_open())
    }

    pub(crate) fn open_index(
        &self,
        index: usize,
        file: FileNumber,
        nonce: Nonce,
        epoch: Epoch,
        base_sequence: u64,
        partitions: &[Partition],
    ) {
        self.indexes[index].open(file, nonce, epoch, base_sequence, partitions.iter().map(|partition| partition.next_offset));
    }

    pub(crate) fn close_index(&self, index: usize) {
        self.indexes[index].close();
    }

    /// The batches of a block, each as its partition's place and the offset behind it. `entries`: index, first, one past the last.
    pub(crate) fn ends_of(&self, (index, first, last): (usize, usize, usize)) -> impl Iterator<Item = (usize, u64)> + '_ {
        (first..last).map(move |at| {
            let entry: Entry = self.indexes[index].entry(at).0;
            let place = self.place(entry.partition).expect("the log appends to its own partitions only");
            (place, entry.end_offset())
        })
    }
}

#[cfg(test)]
mod tests;
