//! The consuming end: stamps blocks, shares them with readers, releases them when they are durable.
//! Held by the log loop, which is the only gate: nothing but `release` frees a slot.

use std::cell::Cell;
use std::fmt;

use super::{Arc, Ordering, Ring};
use crate::region::Region;

/// The consumer of a slot ring.
///
/// Its three positions never pass each other: `released ≤ shared ≤ published`. Every call that would
/// break this panics with both numbers.
pub struct Drain {
    ring: Arc<Ring>,
    /// Blocks below may be pinned and are never written again while they lie here.
    shared: u64,
    /// What `ring.released` holds; nobody else writes that.
    released: u64,
    /// What `ring.published` held when last looked at: never ahead of it. A `Cell`, which also makes
    /// the type `Send` but not `Sync`.
    published_seen: Cell<u64>,
}

impl Drain {
    pub(super) fn new(ring: Arc<Ring>) -> Drain {
        Drain { ring, shared: 0, released: 0, published_seen: Cell::new(0) }
    }

    /// Blocks published so far; those below are filled.
    #[inline]
    #[must_use]
    pub fn published(&self) -> u64 {
        // Acquire pairs with the Release in `Filler::publish`: with the number come the bytes.
        let published = self.ring.published.load(Ordering::Acquire);
        self.published_seen.set(published);
        published
    }

    /// The whole slot of block `index`, for `shared() <= index < published()`: nobody else sees it
    /// yet. What the kernel is reading from (a submitted write) may not be changed; that order is
    /// the caller's.
    ///
    /// # Panics
    /// When the block is shared already or not published yet.
    #[inline]
    pub fn block_mut(&mut self, index: u64) -> &mut [u8] {
        assert!(index >= self.shared, "block {index} cannot be written: blocks below {} are shared", self.shared);
        self.assert_published(index);
        self.ring.state(index).watch.writes();
        // SAFETY: the bytes are mapped and initialised (slot()). Exclusive: the Filler gave the block
        // up with `publish`, which this thread has acquired (assert_published), and takes no slot
        // back before its release; no reader can enter, since the slot's word still says NO_BLOCK
        // from the Filler's claim until `share` writes the index; and the Drain is borrowed for as
        // long as the slice lives, so neither `share` nor a second slice can come in between.
        unsafe { self.ring.slot(index).as_mut() }
    }

    /// Makes the blocks below `through` immutable and lets readers pin them.
    ///
    /// # Panics
    /// When `through` lies behind `shared()` or ahead of `published()`.
    pub fn share(&mut self, through: u64) {
        assert!(through >= self.shared, "cannot share through {through}: already shared through {}", self.shared);
        if let Some(last) = through.checked_sub(1).filter(|last| *last >= self.shared) {
            self.assert_published(last);
        }
        for index in self.shared..through {
            let state = self.ring.state(index);
            state.watch.writes();
            state.share(index);
        }
        self.shared = through;
    }

    /// The whole slot of block `index`, for `released() <= index < shared()`.
    ///
    /// # Panics
    /// When the block is released already or not shared yet.
    #[inline]
    #[must_use]
    pub fn block(&self, index: u64) -> &[u8] {
        assert!(index >= self.released, "block {index} may be gone: blocks below {} are released", self.released);
        assert!(index < self.shared, "block {index} is not shared yet: shared through {}", self.shared);
        self.ring.state(index).watch.reads();
        // SAFETY: the bytes are mapped and initialised (slot()). Nobody writes them: a shared block
        // is refused by `block_mut`, and the Filler takes the slot only after `release`, which needs
        // the Drain mutably and so cannot happen while the slice lives.
        unsafe { self.ring.slot(index).as_ref() }
    }

    /// Declares the blocks below `through` durable here: the Filler may take their slots, each as
    /// soon as no reader is inside. Until it really does, they can still be pinned.
    ///
    /// # Panics
    /// When `through` lies behind `released()` or ahead of `shared()`.
    pub fn release(&mut self, through: u64) {
        assert!(through >= self.released, "cannot release through {through}: already released through {}", self.released);
        assert!(through <= self.shared, "cannot release through {through}: shared through {}", self.shared);
        for index in self.released..through {
            self.ring.state(index).watch.reads();
        }
        self.released = through;
        // Release pairs with the Acquire in `Filler::look`: our last look at these blocks, and the
        // index that `share` wrote, come before the Filler's claim.
        self.ring.released.store(through, Ordering::Release);
    }

    /// Blocks shared so far.
    #[must_use]
    pub fn shared(&self) -> u64 {
        self.shared
    }

    /// Blocks released so far.
    #[must_use]
    pub fn released(&self) -> u64 {
        self.released
    }

    /// Where the slot of block `index` lies in the region, in bytes: for a write from a registered
    /// buffer. A multiple of 4096.
    #[must_use]
    pub fn region_offset(&self, index: u64) -> usize {
        self.ring.region_offset(index)
    }

    /// The region that holds the slots. Whoever lets the kernel read from it keeps a clone until the
    /// kernel is done.
    #[must_use]
    pub fn region(&self) -> &std::sync::Arc<Region> {
        &self.ring.region
    }

    /// Bytes in a slot: a multiple of 4096.
    #[must_use]
    pub fn slot_bytes(&self) -> usize {
        self.ring.slot_bytes
    }

    /// Slots in the ring.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    /// Looks at the Filler's cache line only when the block is newer than the last look.
    #[inline]
    fn assert_published(&self, index: u64) {
        if index < self.published_seen.get() {
            return;
        }
        let published = self.published();
        assert!(index < published, "block {index} is not published yet: published through {published}");
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("released", &self.released)
            .field("shared", &self.shared)
            .field("published_seen", &self.published_seen.get())
            .field("capacity", &self.capacity())
            .finish()
    }
}
