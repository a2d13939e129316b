//! The slot ring: one producer fills slots in place, one consumer makes them durable, many readers
//! pin them. The ring is the buffer pool; there is no free list and no copy.
//!
//! Block *i* lies in slot *i mod capacity*. Indices are dense u64 numbers and never wrap.
//!
//! ```text
//!           being        may be        durable,      Drain alone:      Filler
//!        overwritten     pinned        pinnable      stamp, submit     alone
//!   ──────┬───────────┬──────────────┬─────────────┬────────────────┬─────────┬─────►  index
//!         │  (gone)   │   released   │   shared    │   published    │ claimed │
//!         └───────────┴──────────────┴─────────────┴────────────────┴─────────┘
//!                     ▲              ▲             ▲                ▲
//!     published + claimed         released()    shared()       published()
//!          − capacity
//! ```
//! (A released block is one whose bytes are durable; it may be pinned for as long as it lies here.)
//!
//! Each slot has two words beside it:
//!
//! | word | holds | written by |
//! |---|---|---|
//! | `block` | index of the block that may be pinned here, or `NO_BLOCK` | Drain in `share`; Filler in `claim`, after the release |
//! | `pins`  | readers inside | readers |
//!
//! **The one race** is the Filler's claim against a reader's pin, since a released slot stays
//! readable until it is really claimed again (tail readers live from that):
//!
//! ```text
//!   Filler                              reader
//!   block ← NO_BLOCK                    pins ← pins + 1
//!   fence(SeqCst)              F ║ R    fence(SeqCst)
//!   pins = 0 ?  ── no: block ← i        block = i ?  ── no: pins ← pins − 1, None
//!          └─ yes: the slot is ours            └─ yes: pinned
//! ```
//! Each side writes its own word and then reads the other's: Dekker's pattern, for which acquire and
//! release do not suffice (both could read the old value from before the other's store). The fences
//! stand in one total order. If R is first, the Filler's load sees the reader's increment and gives
//! way. If F is first, the reader's load sees `NO_BLOCK` or something newer, and gives way. Never do
//! both go ahead. Both may give way; the reader then reads the segment, and the Filler comes back in
//! its next turn.
//!
//! The other orderings, by what they carry:
//! * bytes Filler → Drain: `published` Release / Acquire, one store a slot.
//! * bytes (and stamp) Drain → reader: `block` Release in `share` / Acquire in `pin`.
//! * the Drain's last look → Filler: `released` Release / Acquire.
//! * a reader's last look → Filler: `pins` decrement Release / Acquire load of zero. Increments are
//!   read-modify-writes too, so they continue the release sequence of every earlier decrement.
//!
//! It refuses: more than one producer or consumer (the halves are not `Clone` and not `Sync`), to
//! wait, to overwrite what is not durable or is pinned, and to write what is shared.

mod drain;
mod filler;
#[cfg(all(test, loom))]
mod loom;
mod readers;
#[cfg(all(test, not(loom)))]
mod tests;

pub use drain::Drain;
pub use filler::Filler;
pub use readers::{Pin, Readers};

use std::ptr::NonNull;

use crossbeam_utils::CachePadded;

use crate::primitive::{Arc, AtomicU64, AtomicUsize, Ordering, Watch, fence};
use crate::region::{PAGE_BYTES, Region};

/// In a slot's `block` word: nothing here may be pinned. No block ever has this index.
const NO_BLOCK: u64 = u64::MAX;

/// Makes a ring of `slots` slots of `slot_bytes` bytes each in the next part of `region` that no
/// ring holds, and returns its three ends. Slots start out zeroed.
///
/// The region is `std`'s `Arc`: whoever registered it with the kernel holds it too.
///
/// # Panics
/// When `slots` is not a power of two, `slot_bytes` is zero or not a multiple of 4096, or the region
/// has not `slots * slot_bytes` bytes left.
#[must_use]
pub fn slot_ring(region: std::sync::Arc<Region>, slots: usize, slot_bytes: usize) -> (Filler, Drain, Readers) {
    let ring = Arc::new(Ring::new(region, slots, slot_bytes));
    (Filler::new(Arc::clone(&ring)), Drain::new(Arc::clone(&ring)), Readers::new(ring))
}

/// What the three ends share.
struct Ring {
    /// Blocks filled: `0..=2^64-2`, written by the Filler alone. Release.
    published: CachePadded<AtomicU64>,
    /// Blocks durable: `published - capacity ..= published`, written by the Drain alone. Release.
    released: CachePadded<AtomicU64>,
    /// One a slot; the length is a power of two.
    states: Box<[CachePadded<SlotState>]>,
    slot_bytes: usize,
    /// Where slot 0 lies in the region.
    region_offset: usize,
    region: std::sync::Arc<Region>,
}

/// The two words of the claim/pin protocol. Alone on its cache line: readers of one slot must not
/// slow the Filler in the next.
struct SlotState {
    /// Index of the block that may be pinned, or [`NO_BLOCK`].
    block: AtomicU64,
    /// Readers inside, or about to find out that they are not. It cannot overflow: each lasting pin
    /// holds an `Arc`, whose own count aborts the process long before.
    pins: AtomicUsize,
    watch: Watch,
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<SlotState>() == 16);
    assert!(size_of::<CachePadded<SlotState>>() >= 64, "one cache line a slot");
};

impl Ring {
    fn new(region: std::sync::Arc<Region>, slots: usize, slot_bytes: usize) -> Ring {
        assert!(slots.is_power_of_two(), "{slots} slots: not a power of two");
        assert!(slot_bytes > 0 && slot_bytes.is_multiple_of(PAGE_BYTES), "{slot_bytes} bytes a slot: not a multiple of {PAGE_BYTES}");
        let bytes = slots.checked_mul(slot_bytes).unwrap_or_else(|| panic!("{slots} slots of {slot_bytes} bytes overflow"));
        let region_offset =
            region.lend(bytes).unwrap_or_else(|left| panic!("the ring needs {bytes} bytes, the region has {left} bytes left"));
        Ring {
            published: CachePadded::new(AtomicU64::new(0)),
            released: CachePadded::new(AtomicU64::new(0)),
            states: (0..slots).map(|_| CachePadded::new(SlotState::vacant())).collect(),
            slot_bytes,
            region_offset,
            region,
        }
    }

    fn capacity(&self) -> usize {
        self.states.len()
    }

    fn state(&self, index: u64) -> &SlotState {
        &self.states[self.position(index)]
    }

    fn position(&self, index: u64) -> usize {
        // usize and u64 are equally wide here (asserted in lib.rs), so nothing is cut off, and the
        // capacity is a power of two, so the mask is the remainder.
        let index = usize::try_from(index).expect("usize is 64 bits wide");
        index & (self.capacity() - 1)
    }

    fn region_offset(&self, index: u64) -> usize {
        self.region_offset + self.position(index) * self.slot_bytes
    }

    /// The bytes of block `index`. Only an address: who may read or write there is argued where it
    /// is dereferenced. Valid for as long as the ring lives, since it holds the region.
    fn slot(&self, index: u64) -> NonNull<[u8]> {
        // SAFETY: `add` demands to stay inside the allocation. `Ring::new` was lent `capacity *
        // slot_bytes` bytes from `region_offset` on, all inside the region, and position < capacity.
        let start = unsafe { self.region.base().add(self.region_offset(index)) };
        NonNull::slice_from_raw_parts(start, self.slot_bytes)
    }
}

impl SlotState {
    fn vacant() -> SlotState {
        SlotState { block: AtomicU64::new(NO_BLOCK), pins: AtomicUsize::new(0), watch: Watch::new() }
    }

    /// Drain: the block here is `index`, immutable from now on, and may be pinned.
    fn share(&self, index: u64) {
        // Release pairs with the Acquire load in `pin`: a reader that sees the index sees the bytes,
        // those of the Filler too, which the Drain had acquired through `published`.
        self.block.store(index, Ordering::Release);
    }

    /// Filler: takes the slot away from readers. False, and nothing has changed, when one is inside.
    /// Only for a slot that is released (or was never filled): else the Drain may write `block` too.
    fn take(&self) -> bool {
        // A first look without touching `block`, so that waiting for a slow reader does not make
        // the slot flicker for the others.
        if self.pins.load(Ordering::Relaxed) != 0 {
            return false;
        }
        // Relaxed suffices: the Filler has acquired `released`, hence the Drain's last store here,
        // or made the last store itself.
        let block = self.block.load(Ordering::Relaxed);
        self.block.store(NO_BLOCK, Ordering::Relaxed);
        // F in the module header: orders the store above before the load below, against R in `pin`.
        fence(Ordering::SeqCst);
        // Acquire pairs with the Release decrement in `unpin`: reading zero, the Filler has every
        // reader's last look behind it.
        if self.pins.load(Ordering::Acquire) == 0 {
            return true;
        }
        // A reader came in between. It may have read either value; both are true to it. Release,
        // because others may learn of the block from this store: the Filler has acquired its bytes
        // (through `released`) and so passes them on. (F is a release fence too and would do.)
        self.block.store(block, Ordering::Release);
        false
    }

    /// Reader: enters if the slot holds block `index` for reading.
    fn pin(&self, index: u64) -> bool {
        // A first look: asking for what is gone must not disturb the Filler. Relaxed: a reader that
        // was told of the block by any ordered way finds it here.
        if self.block.load(Ordering::Relaxed) != index {
            return false;
        }
        // Relaxed: ordered by the fence; and as a read-modify-write it continues the release
        // sequences of the decrements before it.
        self.pins.fetch_add(1, Ordering::Relaxed);
        // R in the module header, against F in `take`.
        fence(Ordering::SeqCst);
        // Acquire pairs with the Release stores in `share` and `take`. (The first look and the fence
        // after it would carry the bytes too; an argument with one load in it is the better one.)
        if self.block.load(Ordering::Acquire) == index {
            return true;
        }
        self.unpin();
        false
    }

    /// Reader: leaves. No byte of the slot may be read after this.
    fn unpin(&self) {
        // Release pairs with the Acquire load in `take`.
        self.pins.fetch_sub(1, Ordering::Release);
    }
}
