//! The producing end: claims a slot, fills it in place, publishes it. Held by the ingest loop.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use super::{Arc, Ordering, Ring};

/// The producer of a slot ring.
///
/// One block at a time: [`claim`](Filler::claim) gives the same slot until
/// [`publish`](Filler::publish). A slot that is claimed and never published is simply never seen.
pub struct Filler {
    ring: Arc<Ring>,
    /// What `ring.published` holds; nobody else writes that.
    published: u64,
    /// Whether slot `published` is ours to fill.
    has_claim: bool,
    /// What `ring.released` held when last looked at: never ahead of it. Kept here so that the
    /// Drain's cache line is fetched once a lap and not once a block.
    released_seen: u64,
    /// `Send`, but one thread at a time.
    _not_sync: PhantomData<Cell<()>>,
}

impl Filler {
    pub(super) fn new(ring: Arc<Ring>) -> Filler {
        Filler { ring, published: 0, has_claim: false, released_seen: 0, _not_sync: PhantomData }
    }

    /// The whole slot to be filled next, with whatever bytes its last block left there; the same
    /// slot until it is published. `None` when the ring is full: the next slot's block is not
    /// released yet, or a reader is inside (for a moment also one that will find nothing to pin).
    #[inline]
    pub fn claim(&mut self) -> Option<&mut [u8]> {
        if !self.has_claim {
            self.has_claim = self.has_room() && self.ring.state(self.published).take();
        }
        if !self.has_claim {
            return None;
        }
        self.ring.state(self.published).watch.writes();
        // SAFETY: the bytes are mapped and initialised (slot()). Exclusive: the block that lay here
        // is released, so the Drain's asserts keep it out of the slot; `take` found no reader inside
        // and left NO_BLOCK, so none can enter; and the Filler itself is borrowed for as long as the
        // slice lives. All of it lasts until `publish`, which needs that borrow back.
        Some(unsafe { self.ring.slot(self.published).as_mut() })
    }

    /// Hands the claimed slot to the [`Drain`](super::Drain).
    ///
    /// # Panics
    /// When nothing is claimed.
    #[inline]
    pub fn publish(&mut self) {
        assert!(self.has_claim, "block {} was published without a claim", self.published);
        self.ring.state(self.published).watch.writes();
        self.has_claim = false;
        self.published += 1;
        // Release pairs with the Acquire in `Drain::published`: with the number go the bytes.
        self.ring.published.store(self.published, Ordering::Release);
    }

    /// Index of the block being filled, or `None`.
    #[must_use]
    pub fn claimed(&self) -> Option<u64> {
        self.has_claim.then_some(self.published)
    }

    /// Blocks published so far: the index of the block claimed now or next.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.published
    }

    /// Blocks released so far: every block below this index is.
    pub fn released(&mut self) -> u64 {
        self.look();
        self.released_seen
    }

    /// Slots whose block is not released yet, the claimed one included: `0 ..= capacity`. A slot
    /// that is released and only held by a pin does not count.
    pub fn in_use(&mut self) -> usize {
        self.look();
        self.unreleased() + usize::from(self.has_claim)
    }

    /// Slots in the ring.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    fn has_room(&mut self) -> bool {
        if self.unreleased() == self.capacity() {
            self.look();
        }
        self.unreleased() < self.capacity()
    }

    fn look(&mut self) {
        // Acquire pairs with the Release in `Drain::release`: the Drain has done its last read and
        // its last write of every block below.
        self.released_seen = self.ring.released.load(Ordering::Acquire);
    }

    /// Blocks published and, as far as was seen, not released.
    fn unreleased(&self) -> usize {
        let blocks = self.published - self.released_seen;
        usize::try_from(blocks).expect("usize is 64 bits wide")
    }
}

impl fmt::Debug for Filler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filler")
            .field("published", &self.published)
            .field("claimed", &self.claimed())
            .field("capacity", &self.capacity())
            .finish()
    }
}
