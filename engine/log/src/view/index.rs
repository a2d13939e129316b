//! The index of a segment that has no sidecar yet: a fixed array that the log loop fills and others read.
//!
//! A seqlock by nonce: the writer closes an index (nonce 0) before it fills it anew, and a reader takes what it read only
//! if the nonce was the same before and after. Entries themselves are written once, then published by the length.
//!
//! Orderings: `close` stores nonce 0, then a Release fence orders that before every later store of entries; a reader that
//! saw one of those entries passes its Acquire fence and so sees a nonce other than the one it began with. `push` stores
//! the entry, then the length with Release; `len` loads with Acquire.

use crate::FileNumber;
use headworks_format::block::Placed;
use headworks_format::sidecar::{ENTRIES_MAX, Entry};
use headworks_format::{Epoch, Nonce, PartitionId};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

/// The ring slot that held a batch's block; it may have been overwritten since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub u64);

impl Slot {
    /// The block did not come from the ring.
    pub const NONE: Slot = Slot(u64::MAX);
}

/// A batch found in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The batch.
    pub entry: Entry,
    /// Where the tail may still have it.
    pub slot: Slot,
    /// First byte of its block in the file.
    pub block_position: u64,
    /// Its place in the index, a hint for the next look-up.
    pub at: usize,
}

const CELLS: usize = 7;

/// A batch in 56 bytes of atomics.
#[derive(Debug)]
struct Row([AtomicU64; CELLS]);

/// An index of one segment.
#[derive(Debug)]
pub struct OpenIndex {
    nonce: AtomicU64,
    file: AtomicU64,
    epoch: AtomicU64,
    base_sequence: AtomicU64,
    starts: Box<[AtomicU64]>,
    len: AtomicUsize,
    rows: Box<[Row]>,
}

impl OpenIndex {
    pub(super) fn new(partitions: usize, entries_max: usize) -> OpenIndex {
        assert!((1..=ENTRIES_MAX).contains(&entries_max), "an index of {entries_max} batches, 1 to {ENTRIES_MAX}");
        let zeros = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        OpenIndex {
            nonce: AtomicU64::new(0),
            file: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            base_sequence: AtomicU64::new(0),
            starts: zeros(partitions),
            len: AtomicUsize::new(0),
            rows: (0..entries_max).map(|_| Row(std::array::from_fn(|_| AtomicU64::new(0)))).collect(),
        }
    }

    /// Bytes that one index takes, for the sum printed at start.
    #[must_use]
    pub fn bytes(partitions: usize, entries_max: usize) -> usize {
        entries_max * size_of::<Row>() + partitions * size_of::<AtomicU64>() + size_of::<OpenIndex>()
    }

    pub(super) fn is_open(&self) -> bool {
        self.nonce.load(Ordering::Acquire) != 0
    }

    pub(super) fn open(&self, file: FileNumber, nonce: Nonce, epoch: Epoch, base_sequence: u64, starts: impl Iterator<Item = u64>) {
        assert!(!self.is_open() && nonce.0 != 0, "index opened with nonce {nonce} over {}", self.nonce.load(Ordering::Relaxed));
        // Pairs with the Acquire fence of `read`: nobody takes what follows for the segment before.
        fence(Ordering::Release);
        self.len.store(0, Ordering::Relaxed);
        self.file.store(u64::from(file.0), Ordering::Relaxed);
        self.epoch.store(u64::from(epoch.0), Ordering::Relaxed);
        self.base_sequence.store(base_sequence, Ordering::Relaxed);
        // A partition that is made later begins at 0 in this segment.
        self.starts.iter().zip(starts.chain(std::iter::repeat(0))).for_each(|(cell, start)| cell.store(start, Ordering::Relaxed));
        self.nonce.store(nonce.0, Ordering::Release);
    }

    pub(super) fn close(&self) {
        self.nonce.store(0, Ordering::Release);
    }

    /// Batches that can still be added.
    #[must_use]
    pub fn room(&self) -> usize {
        self.rows.len() - self.len()
    }

    /// Batches in the index.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn push(&self, placed: &Placed, block_position: u64, slot: Slot) {
        self.add(&Entry::of(placed, block_position), block_position, slot);
    }

    /// A batch of a segment that goes on after a start: it stands in no slot, so nobody asks where its block begins.
    pub(crate) fn push_again(&self, entry: &Entry) {
        self.add(entry, entry.position, Slot::NONE);
    }

    fn add(&self, entry: &Entry, block_position: u64, slot: Slot) {
        let at = self.len.load(Ordering::Relaxed);
        let cells = [
            entry.base_offset,
            u64::from(entry.partition.0) << 32 | u64::from(entry.records),
            entry.position,
            u64::from(entry.length) << 32 | u64::from(entry.crc),
            entry.max_timestamp_ms.cast_unsigned(),
            slot.0,
            block_position,
        ];
        self.rows[at].0.iter().zip(cells).for_each(|(cell, value)| cell.store(value, Ordering::Relaxed));
        self.len.store(at + 1, Ordering::Release);
    }

    /// The batch at `at`, its slot and its block's position. For the writer, or under [`OpenIndex::read`].
    pub(crate) fn entry(&self, at: usize) -> (Entry, Slot, u64) {
        let cell = |number: usize| self.rows[at].0[number].load(Ordering::Relaxed);
        let entry = Entry {
            base_offset: cell(0),
            partition: PartitionId(high(cell(1))),
            records: low(cell(1)),
            position: cell(2),
            length: high(cell(3)),
            crc: low(cell(3)),
            max_timestamp_ms: cell(4).cast_signed(),
        };
        (entry, Slot(cell(5)), cell(6))
    }

    /// First block of the segment.
    #[must_use]
    pub fn base_sequence(&self) -> u64 {
        self.base_sequence.load(Ordering::Relaxed)
    }

    /// Next offset of the partition at `place` when the segment began.
    #[must_use]
    pub fn start_of(&self, place: usize) -> u64 {
        self.starts[place].load(Ordering::Relaxed)
    }

    /// Runs `look` over a consistent index: file, nonce, epoch; none if it was reused meanwhile or is not in use.
    pub fn read<T>(&self, look: impl FnOnce(FileNumber, Nonce, Epoch) -> T) -> Option<T> {
        let nonce = self.nonce.load(Ordering::Acquire);
        if nonce == 0 {
            return None;
        }
        let (file, epoch) = (low(self.file.load(Ordering::Relaxed)), low(self.epoch.load(Ordering::Relaxed)));
        let seen = look(FileNumber(file), Nonce(nonce), Epoch(epoch));
        fence(Ordering::Acquire);
        (self.nonce.load(Ordering::Relaxed) == nonce).then_some(seen)
    }

    /// The batches of a partition in order from place `from` on, those that end beyond `offset`.
    /// To be used under [`OpenIndex::read`]; allocates only what the caller collects.
    pub fn batches(&self, partition: PartitionId, offset: u64, from: usize) -> impl Iterator<Item = Found> + '_ {
        (from.min(self.len())..self.len()).filter_map(move |at| {
            // One cell decides for most rows: the partition.
            if high(self.rows[at].0[1].load(Ordering::Relaxed)) != partition.0 {
                return None;
            }
            let (entry, slot, block_position) = self.entry(at);
            (entry.end_offset() > offset).then_some(Found { entry, slot, block_position, at })
        })
    }

    /// Every entry, for the sidecar. Only for the files thread between the order to seal and its completion.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        (0..self.len()).map(|at| self.entry(at).0).collect()
    }

    /// Next offsets of the first `partitions` at the segment's start, for the sealed segment's record.
    #[must_use]
    pub fn starts(&self, partitions: usize) -> Vec<u64> {
        self.starts[..partitions].iter().map(|start| start.load(Ordering::Relaxed)).collect()
    }
}

#[allow(clippy::cast_possible_truncation)]
fn high(value: u64) -> u32 {
    (value >> 32) as u32
}

#[allow(clippy::cast_possible_truncation)]
fn low(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}
