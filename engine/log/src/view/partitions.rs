//! The lane's partitions as readers see them: a table that grows at its end and never moves what it holds.
//!
//! Orderings: a cell is filled, then its place is stored under its id, then the length, each with Release; who sees the
//! length or the place with Acquire finds the cell filled. There is one writer, the log loop.

use headworks_format::PartitionId;
use headworks_format::checkpoint::{PARTITIONS_MAX, Partition};
use headworks_format::committed::STREAM;
use std::ops::Index;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Ids that a node gives out: small and dense, over all lanes.
pub const IDS_MAX: usize = 1 << 17;
const NOWHERE: u32 = u32::MAX;

/// A partition of the lane, as consumers see it.
#[derive(Debug)]
pub struct PartitionView {
    /// Its id.
    pub id: PartitionId,
    /// Its stream.
    pub stream: String,
    /// Its number within the stream.
    pub number: u32,
    high_watermark: AtomicU64,
    /// First offset that retention spares; `u64::MAX`: none.
    keep_from: AtomicU64,
    log_end: AtomicU64,
}

impl PartitionView {
    /// A partition whose records below its next offset are committed. Of the internal stream everything is kept until somebody
    /// who has read it says what of it is not needed.
    #[must_use]
    pub fn of(partition: &Partition) -> PartitionView {
        PartitionView {
            keep_from: AtomicU64::new(if partition.stream == STREAM { 0 } else { u64::MAX }),
            id: partition.id,
            stream: partition.stream.clone(),
            number: partition.number,
            high_watermark: AtomicU64::new(partition.next_offset),
            log_end: AtomicU64::new(partition.next_offset),
        }
    }

    /// Whether somebody says what of it is needed.
    pub(crate) fn is_kept(&self) -> bool {
        self.keep_from() != u64::MAX
    }

    /// The first offset that retention spares; `u64::MAX` where nothing is.
    #[must_use]
    pub fn keep_from(&self) -> u64 {
        self.keep_from.load(Ordering::Acquire)
    }

    /// Lets retention take what stands below an offset; it never gets less. For who reads an internal stream.
    ///
    /// Release: whoever sees the offset sees committed what stands above it in place of what stood below.
    pub fn release_below(&self, offset: u64) {
        if self.is_kept() {
            self.keep_from.fetch_max(offset.min(u64::MAX - 1), Ordering::Release);
        }
    }

    /// Offset after the last committed record.
    #[must_use]
    pub fn high_watermark(&self) -> u64 {
        self.high_watermark.load(Ordering::Acquire)
    }

    /// Offset after the last record, committed or not: one below it that is not committed yet is no wrong offset, only an early one.
    #[must_use]
    pub fn log_end(&self) -> u64 {
        self.log_end.load(Ordering::Acquire)
    }

    /// Records up to this offset were stamped. For the log loop.
    pub(crate) fn extend(&self, end_offset: u64) {
        self.log_end.store(end_offset, Ordering::Release);
    }

    /// Takes back what is not known to be committed, before anybody looks.
    pub(crate) fn lower(&self, offset: u64) {
        self.high_watermark.fetch_min(offset, Ordering::Relaxed);
    }

    /// Release: whoever sees the watermark sees the entry and the stamped slot behind it.
    pub(crate) fn raise(&self, end_offset: u64) {
        self.high_watermark.store(end_offset, Ordering::Release);
    }
}

/// The table.
#[derive(Debug)]
pub struct Partitions {
    cells: Box<[OnceLock<PartitionView>]>,
    len: AtomicUsize,
    /// Place by id.
    places: Box<[AtomicU32]>,
}

impl Partitions {
    /// Bytes that the table takes, but for names.
    pub const BYTES: usize = PARTITIONS_MAX * size_of::<OnceLock<PartitionView>>() + IDS_MAX * size_of::<AtomicU32>();

    pub(super) fn new(partitions: &[Partition]) -> Partitions {
        let ids = partitions.iter().map(|partition| partition.id.0 as usize + 1).max().unwrap_or(0).max(IDS_MAX);
        let table = Partitions {
            cells: (0..PARTITIONS_MAX.max(partitions.len())).map(|_| OnceLock::new()).collect(),
            len: AtomicUsize::new(0),
            places: (0..ids).map(|_| AtomicU32::new(NOWHERE)).collect(),
        };
        partitions.iter().for_each(|partition| table.add(PartitionView::of(partition)));
        table
    }

    pub(super) fn has_room_for(&self, id: PartitionId) -> bool {
        self.len() < self.cells.len() && (id.0 as usize) < self.places.len()
    }

    pub(super) fn add(&self, partition: PartitionView) {
        let (len, id) = (self.len.load(Ordering::Relaxed), partition.id);
        assert!(self.has_room_for(id), "partition {id} at place {len} of {}", self.cells.len());
        assert!(self.place(id).is_none(), "partition {id} stands at {:?} already", self.place(id));
        assert!(self.cells[len].set(partition).is_ok(), "place {len} was free");
        self.places[id.0 as usize].store(u32::try_from(len).expect("a lane has at most 2,048 partitions"), Ordering::Release);
        self.len.store(len + 1, Ordering::Release);
    }

    /// The place of a partition; none if it is another lane's.
    pub(super) fn place(&self, id: PartitionId) -> Option<usize> {
        let place = self.places.get(id.0 as usize)?.load(Ordering::Acquire);
        (place != NOWHERE).then_some(place as usize)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that are here now, by place.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &PartitionView> + ExactSizeIterator {
        self.cells[..self.len()].iter().map(|cell| cell.get().expect("filled before the length says so"))
    }
}

impl Index<usize> for Partitions {
    type Output = PartitionView;

    fn index(&self, place: usize) -> &PartitionView {
        let cell = self.cells.get(place).and_then(OnceLock::get);
        cell.unwrap_or_else(|| panic!("partition at {place} of {}", self.len()))
    }
}
