//! The message ring: a bounded queue of owned values from one thread to one other.
//!
//! ```text
//!    cells   │ · │ · │ a │ b │ c │ · │ · │ · │        storage: capacity, rounded up to a power of two
//!                      ▲           ▲
//!                    head        tail                 head ≤ tail ≤ head + capacity, never wrapping
//!         Receiver writes        Sender writes
//! ```
//! Each side owns one cursor and keeps it as a plain number; it looks at the other's only when what
//! it saw last no longer suffices. So a cache line crosses between the cores once a burst, not once
//! a message.
//!
//! Orderings: `tail` Release / Acquire carries the value into the cell's new owner, `head` Release /
//! Acquire carries the emptied cell back. `abandoned` is stored after the last cursor store of the
//! half that goes, so whoever sees it sees everything sent before.
//!
//! It refuses to grow (a full ring gives the value back), to wait, and to lose: what was sent and
//! not received is dropped, value by value, with the last half.

#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod tests;

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use crossbeam_utils::CachePadded;

use crate::primitive::{Arc, AtomicBool, AtomicUsize, Ordering, Slab};

/// Makes a ring that holds up to `capacity` values.
///
/// # Panics
/// When `capacity` is zero or above 2^62.
#[must_use]
pub fn message_ring<T: Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let ring = Arc::new(Ring::new(capacity));
    (Sender { ring: Arc::clone(&ring), tail: 0, head_seen: 0, _not_sync: PhantomData }, Receiver { ring, head: 0, tail_seen: Cell::new(0) })
}

/// The value that found no room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message ring is full")
    }
}

impl<T> Error for Full<T> {}

/// The producer of a message ring: `Send`, not `Sync`.
pub struct Sender<T> {
    ring: Arc<Ring<T>>,
    /// What `ring.tail` holds.
    tail: usize,
    /// What `ring.head` held when last looked at: never ahead of it.
    head_seen: usize,
    _not_sync: PhantomData<Cell<()>>,
}

impl<T> Sender<T> {
    /// Appends `value`. Whether anybody will receive it is another question:
    /// [`is_abandoned`](Sender::is_abandoned).
    ///
    /// # Errors
    /// [`Full`], with the value, when `capacity` values are waiting.
    #[inline]
    pub fn send(&mut self, value: T) -> Result<(), Full<T>> {
        if self.waiting() == self.ring.capacity && self.free() == 0 {
            return Err(Full(value));
        }
        self.ring.cell(self.tail).with_mut(|cell| {
            // SAFETY: writing demands exclusive access to the cell. It lies outside head..tail:
            // never used, or emptied by the Receiver, whose `head` we acquired; the Receiver
            // touches it again only after it has acquired the `tail` stored below. What lay there
            // was moved out, so overwriting drops nothing.
            unsafe { (*cell).write(value) };
        });
        self.tail += 1;
        // Release pairs with the Acquire in `Receiver::look`: with the number goes the value.
        self.ring.tail.store(self.tail, Ordering::Release);
        Ok(())
    }

    /// How many values can be sent now; the Receiver can only make it more.
    pub fn free(&mut self) -> usize {
        // Acquire pairs with the Release in `Receiver::recv`: the cells below are empty.
        self.head_seen = self.ring.head.load(Ordering::Acquire);
        self.ring.capacity - self.waiting()
    }

    /// Whether the Receiver is gone.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    fn waiting(&self) -> usize {
        self.tail - self.head_seen
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.ring.abandon();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("sent", &self.tail).field("capacity", &self.ring.capacity).finish()
    }
}

/// The consumer of a message ring: `Send`, not `Sync`.
pub struct Receiver<T> {
    ring: Arc<Ring<T>>,
    /// What `ring.head` holds.
    head: usize,
    /// What `ring.tail` held when last looked at: never ahead of it.
    tail_seen: Cell<usize>,
}

impl<T> Receiver<T> {
    /// Takes the oldest value, or `None` when there is none now.
    #[inline]
    pub fn recv(&mut self) -> Option<T> {
        if self.head == self.tail_seen.get() && self.is_empty() {
            return None;
        }
        let value = self.ring.cell(self.head).with_mut(|cell| {
            // SAFETY: reading demands exclusive access to an initialised cell, and that its value is
            // read once. It lies in head..tail: written by the Sender, whose `tail` we acquired, and
            // left alone by it until it acquires the `head` stored below, which also makes sure
            // that nobody reads this cell's value again.
            unsafe { (*cell).assume_init_read() }
        });
        self.head += 1;
        // Release pairs with the Acquire in `Sender::free`: the value is out of the cell.
        self.ring.head.store(self.head, Ordering::Release);
        Some(value)
    }

    /// How many values wait now; the Sender can only make it more.
    #[must_use]
    pub fn len(&self) -> usize {
        // Acquire pairs with the Release in `Sender::send`: the cells below hold values.
        self.tail_seen.set(self.ring.tail.load(Ordering::Acquire));
        self.tail_seen.get() - self.head
    }

    /// Whether no value waits now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the Sender is gone. Values that it sent may still wait: once this is true, `recv`
    /// until `None` has received all there ever will be.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.ring.abandon();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("received", &self.head).field("capacity", &self.ring.capacity).finish()
    }
}

/// What the two halves share.
struct Ring<T> {
    /// Values received so far, written by the Receiver alone: `0 ..= tail`.
    head: CachePadded<AtomicUsize>,
    /// Values sent so far, written by the Sender alone: `head ..= head + capacity`. 64 bits: at a
    /// thousand million messages a second it would take 584 years to wrap.
    tail: CachePadded<AtomicUsize>,
    /// Set by the half that goes first, read by the other; the two cannot meet here.
    abandoned: AtomicBool,
    /// At least `capacity`, a power of two.
    cells: Box<[Slab<MaybeUninit<T>>]>,
    /// Values held at most: at least one.
    capacity: usize,
}

// Each cursor on a cache line of its own, or the halves would slow each other with every message.
#[cfg(not(loom))]
const _: () = assert!(size_of::<CachePadded<AtomicUsize>>() >= 64);

// SAFETY: the ring owns its values and nothing else that belongs to a thread; they may be dropped on
// whatever thread drops the last half, which `T: Send` allows.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: through a shared ring, values only move: the Sender (one, not Sync) moves them in, the
// Receiver (one, not Sync) moves them out, and `T: Send` allows exactly that. No `&T` is ever shared,
// so `T: Sync` is not needed. The cells' accesses are ordered by the cursors, argued at each.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    fn new(capacity: usize) -> Ring<T> {
        let capacity_max = 1 << 62;
        assert!((1..=capacity_max).contains(&capacity), "a message ring of {capacity} values: 1 to {capacity_max} are possible");
        Ring {
            head: CachePadded::new(AtomicUsize::new(0)),
            tail: CachePadded::new(AtomicUsize::new(0)),
            abandoned: AtomicBool::new(false),
            cells: (0..capacity.next_power_of_two()).map(|_| Slab::new(MaybeUninit::uninit())).collect(),
            capacity,
        }
    }

    #[inline]
    fn cell(&self, position: usize) -> &Slab<MaybeUninit<T>> {
        &self.cells[position & (self.cells.len() - 1)]
    }

    fn abandon(&self) {
        // Release pairs with the Acquire below; the last cursor store of this half comes before.
        self.abandoned.store(true, Ordering::Release);
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // Relaxed: both halves are gone, and the Arc has put their last stores before this.
        let head = self.head.load(Ordering::Relaxed);
        let tail = self.tail.load(Ordering::Relaxed);
        for position in head..tail {
            self.cell(position).with_mut(|cell| {
                // SAFETY: dropping demands an initialised cell that nobody else reaches: head..tail
                // was sent and never received, and `&mut self` says that we are alone.
                unsafe { (*cell).assume_init_drop() };
            });
        }
    }
}
