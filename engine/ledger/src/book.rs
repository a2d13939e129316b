//! A seqlock over one set of counters: one writer, any readers, and no reader ever sees half a record.
//!
//! Orderings: the writer makes the number odd, then a Release fence orders that before its stores of counters; a reader
//! that saw one of them passes its Acquire fence and so sees the number changed. The number is made even with Release; a
//! reader that begins with that number (Acquire) sees the counters stored before it.

use crate::counts::{Counts, SLOTS};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

#[derive(Debug, Default)]
struct Record {
    version: AtomicU64,
    slots: [AtomicU64; SLOTS],
}

/// The reader's side.
#[derive(Debug, Clone, Default)]
pub struct Book(Arc<Record>);

/// The writer's side: the loop that owns the counters.
#[derive(Debug)]
pub struct Clerk(Arc<Record>);

impl Book {
    /// An empty book with its one writer.
    #[must_use]
    pub fn open() -> (Clerk, Book) {
        let book = Book::default();
        (Clerk(Arc::clone(&book.0)), book)
    }

    /// The counters of one moment. Waits only while the writer stores its sixteen counters.
    #[must_use]
    pub fn read(&self) -> Counts {
        loop {
            let before = self.0.version.load(Ordering::Acquire);
            let slots: [u64; SLOTS] = std::array::from_fn(|slot| self.0.slots[slot].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.0.version.load(Ordering::Relaxed) == before {
                return Counts::from_slots(&slots);
            }
            std::hint::spin_loop();
        }
    }
}

impl Clerk {
    /// Publishes the counters, once a turn.
    pub fn publish(&mut self, counts: &Counts) {
        let version = self.0.version.load(Ordering::Relaxed);
        self.0.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.0.slots.iter().zip(counts.to_slots()).for_each(|(slot, value)| slot.store(value, Ordering::Relaxed));
        self.0.version.store(version + 2, Ordering::Release);
    }
}
