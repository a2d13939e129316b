//! The synchronisation primitives of this crate, in one place, so that loom can stand in for them.
//!
//! ```text
//!               production                      --cfg loom
//! atomics, Arc  std                             loom: every allowed interleaving and stale value
//! Slab          UnsafeCell                      loom: an unordered access pair fails the model
//! Watch         nothing (zero bytes, no code)   loom: the same, for bytes that lie elsewhere
//! ```
//!
//! Loom treats a `SeqCst` load or store as if it were acquire or release only, but models
//! `fence(SeqCst)` in full. So the one place that needs a total order (slot claim against pin) uses
//! fences: what is proved is then what runs.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
};

/// One cell that a ring hands from one thread to another.
#[cfg(not(loom))]
pub(crate) struct Slab<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> Slab<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Runs `f` on the cell's address; dereferencing it is the caller's unsafe.
    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// One cell that a ring hands from one thread to another, watched by loom.
#[cfg(loom)]
pub(crate) struct Slab<T>(loom::cell::UnsafeCell<T>);

#[cfg(loom)]
impl<T> Slab<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::cell::UnsafeCell::new(value))
    }

    /// Runs `f` on the cell's address; dereferencing it is the caller's unsafe.
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        self.0.with_mut(f)
    }
}

/// Stands for bytes that lie outside any cell (a slot of the region) and reports accesses to loom.
///
/// Reported at both ends of an access, because the slice handed out lives in between: a writer that
/// is not ordered after the reader's *last* touch is then found too.
#[cfg(not(loom))]
pub(crate) struct Watch;

#[cfg(not(loom))]
impl Watch {
    pub(crate) fn new() -> Self {
        Self
    }

    #[inline]
    pub(crate) fn reads(&self) {}

    #[inline]
    pub(crate) fn writes(&self) {}
}

/// Stands for bytes that lie outside any cell (a slot of the region) and reports accesses to loom.
#[cfg(loom)]
pub(crate) struct Watch(loom::cell::UnsafeCell<()>);

#[cfg(loom)]
impl Watch {
    pub(crate) fn new() -> Self {
        Self(loom::cell::UnsafeCell::new(()))
    }

    pub(crate) fn reads(&self) {
        self.0.with(|_| ());
    }

    pub(crate) fn writes(&self) {
        self.0.with_mut(|_| ());
    }
}

// SAFETY: the cell holds no data, and loom's bookkeeping behind it is made to be reached from every
// thread of a model (it is how loom finds unordered accesses at all).
#[cfg(loom)]
unsafe impl Sync for Watch {}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Watch>() == 0, "Watch must cost nothing");
