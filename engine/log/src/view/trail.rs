//! Where the newest blocks stand, by number: for who ships them to the standby while they are in the ring.
//!
//! ```text
//! block n ─► cell n mod 1024: {number, slot, file, position, bytes}     a seqlock by the number
//! ```
//!
//! Orderings: the writer takes the number away, then a Release fence orders that before the new fields; it stores the number
//! last, with Release. A reader that finds its number before and, behind an Acquire fence, after its look saw one block's fields.

use super::Slot;
use crate::FileNumber;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Blocks that the trail knows: more than a ring has slots.
pub const TRAIL_BLOCKS: usize = 1024;
const NONE: u64 = u64::MAX;

/// Where a block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailed {
    /// The ring slot that may still hold it.
    pub slot: Slot,
    /// The file that it is written to.
    pub file: FileNumber,
    /// First byte in the file.
    pub position: u64,
    /// Size.
    pub bytes: u32,
}

#[derive(Debug)]
struct Cell {
    sequence: AtomicU64,
    slot: AtomicU64,
    position: AtomicU64,
    file: AtomicU32,
    bytes: AtomicU32,
}

/// The newest blocks of a lane.
#[derive(Debug)]
pub struct Trail(Box<[Cell]>);

impl Default for Trail {
    fn default() -> Trail {
        let cell = || Cell {
            sequence: AtomicU64::new(NONE),
            slot: AtomicU64::new(NONE),
            position: AtomicU64::new(0),
            file: AtomicU32::new(0),
            bytes: AtomicU32::new(0),
        };
        Trail((0..TRAIL_BLOCKS).map(|_| cell()).collect())
    }
}

impl Trail {
    fn cell(&self, sequence: u64) -> &Cell {
        &self.0[usize::try_from(sequence % TRAIL_BLOCKS as u64).expect("below 1024")]
    }

    /// Notes a block that was stamped. For the log loop alone.
    pub(crate) fn note(&self, sequence: u64, block: &Trailed) {
        let cell = self.cell(sequence);
        cell.sequence.store(NONE, Ordering::Relaxed);
        // Pairs with the Acquire fence of `find`: nobody takes what follows for the block before.
        fence(Ordering::Release);
        cell.slot.store(block.slot.0, Ordering::Relaxed);
        cell.position.store(block.position, Ordering::Relaxed);
        cell.file.store(block.file.0, Ordering::Relaxed);
        cell.bytes.store(block.bytes, Ordering::Relaxed);
        cell.sequence.store(sequence, Ordering::Release);
    }

    /// Where block `sequence` stands; none when it is too old, or was not stamped in this run.
    #[must_use]
    pub fn find(&self, sequence: u64) -> Option<Trailed> {
        let cell = self.cell(sequence);
        if cell.sequence.load(Ordering::Acquire) != sequence {
            return None;
        }
        let found = Trailed {
            slot: Slot(cell.slot.load(Ordering::Relaxed)),
            file: FileNumber(cell.file.load(Ordering::Relaxed)),
            position: cell.position.load(Ordering::Relaxed),
            bytes: cell.bytes.load(Ordering::Relaxed),
        };
        fence(Ordering::Acquire);
        (cell.sequence.load(Ordering::Relaxed) == sequence).then_some(found)
    }
}
