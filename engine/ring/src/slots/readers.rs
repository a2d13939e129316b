//! The reading ends: any thread may pin a block that is shared and still lies in its slot.

use std::fmt;
use std::ops::Deref;

use super::{Arc, NO_BLOCK, Ring};

/// Gives out pins. Cloned freely; `Send` and `Sync`.
#[derive(Clone)]
pub struct Readers {
    ring: Arc<Ring>,
}

impl Readers {
    pub(super) fn new(ring: Arc<Ring>) -> Readers {
        Readers { ring }
    }

    /// Pins block `index`. `None` when it is not shared yet, is overwritten, or is about to be (the
    /// Filler marks a slot before it looks for readers, and may yet give way): read it from the
    /// segment then.
    #[must_use]
    pub fn pin(&self, index: u64) -> Option<Pin> {
        // The one number that is no block's index, but does stand in the words of empty slots.
        if index == NO_BLOCK {
            return None;
        }
        let state = self.ring.state(index);
        if !state.pin(index) {
            return None;
        }
        state.watch.reads();
        Some(Pin { ring: Arc::clone(&self.ring), index })
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("capacity", &self.ring.capacity()).finish()
    }
}

/// One block, held readable: the whole slot, immutable until the pin is dropped.
///
/// While it lives, the Filler cannot come past this slot. So hold it for a copy or a send and no
/// longer; a pin that is leaked stops the ring for good. It keeps the ring and its region alive.
pub struct Pin {
    ring: Arc<Ring>,
    index: u64,
}

impl Pin {
    /// Which block this is.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }
}

impl Deref for Pin {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are mapped and initialised (slot()) and immutable: `pin` saw the block's
        // own index in the slot's word, so the Drain has shared it and writes it no more; and our
        // count in `pins` keeps the Filler from taking the slot (module header) until `drop`, which
        // cannot run while the slice borrows the pin.
        unsafe { self.ring.slot(self.index).as_ref() }
    }
}

impl AsRef<[u8]> for Pin {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let state = self.ring.state(self.index);
        state.watch.reads();
        state.unpin();
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pin").field("index", &self.index).field("bytes", &self.len()).finish()
    }
}
