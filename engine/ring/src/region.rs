//! The memory that rings live in: one anonymous mapping, zeroed, populated, in the largest pages
//! the host gives.
//!
//! ```text
//! base (2 MiB aligned)                                       base + bytes
//! ├──────── ring of lane 0 ────────┬──── ring of lane 1 ────┬─ not lent ─┤
//! 0                                ▲ lent, 4096-aligned, never returned
//! ```
//!
//! Why a mapping of our own and not a `Vec`: `O_DIRECT` and `WRITE_FIXED` want stable, page-aligned
//! addresses; io_uring registers the whole range as one buffer; huge pages spare the TLB (a ring of
//! 64 slots is 65 MiB: 33 huge pages or 16,640 small ones). Why populated at once: a page fault on
//! the data path would be paid by a packet.
//!
//! Parts of a region are lent to rings and never come back, so two rings cannot hold the same bytes,
//! whatever safe code does. It refuses to shrink, grow, lock (`mlock` and io_uring registration are
//! the owner's business) and to be zero bytes long.

#[cfg(loom)]
#[path = "region/heap.rs"]
mod backing;
#[cfg(not(loom))]
#[path = "region/mapping.rs"]
mod backing;
#[cfg(all(test, not(loom)))]
mod tests;

use std::fmt;
use std::io;
use std::ptr::NonNull;
// Lending happens at start, outside every model, so it needs no loom.
use std::sync::atomic::{AtomicUsize, Ordering};

use backing::Backing;

/// A region's size is a multiple of this, and its base is aligned to it.
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;
/// The smallest page this crate counts on; slots are multiples of it.
pub(crate) const PAGE_BYTES: usize = 4096;

const _: () = assert!(HUGE_PAGE_BYTES.is_multiple_of(PAGE_BYTES));
const _: () = assert!(HUGE_PAGE_BYTES.is_power_of_two() && PAGE_BYTES.is_power_of_two());

/// What kind of pages a region stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// `MAP_HUGETLB` succeeded: every page is 2 MiB, reserved, never split or swapped.
    Huge,
    /// `madvise(MADV_HUGEPAGE)` was accepted: 2 MiB pages where the kernel found them free. How many
    /// it found stands as `AnonHugePages` in the process's smaps.
    Advised,
    /// Neither: small pages.
    Small,
}

/// A zeroed, populated anonymous mapping; unmapped when the last owner drops it.
pub struct Region {
    backing: Backing,
    /// Bytes from the base that rings hold; only grows.
    lent: AtomicUsize,
}

impl Region {
    /// Maps at least `bytes` bytes, rounded up to whole 2 MiB pages.
    ///
    /// # Errors
    /// `InvalidInput` when `bytes` is zero or cannot be rounded up; what the kernel says (mostly
    /// `ENOMEM`) when not even small pages could be mapped and populated.
    pub fn map(bytes: usize) -> io::Result<Region> {
        let bytes = whole_pages(bytes)?;
        let backing = Backing::map(bytes)?;
        let base = backing.base().addr().get();
        assert!(base.is_multiple_of(PAGE_BYTES), "region base {base:#x} is not aligned to {PAGE_BYTES}");
        Ok(Region { backing, lent: AtomicUsize::new(0) })
    }

    /// First byte of the region. What is lent to a ring belongs to that ring: only the kernel may
    /// be given these addresses, and only for what the ring's owner submits.
    #[must_use]
    pub fn base(&self) -> NonNull<u8> {
        self.backing.base()
    }

    /// Bytes mapped: a multiple of 2 MiB, at least what was asked for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.backing.bytes()
    }

    /// The pages the region stands on.
    #[must_use]
    pub fn pages(&self) -> Pages {
        self.backing.pages()
    }

    /// Lends the next `bytes` bytes for ever and returns their offset from the base, or `Err` with
    /// the number of bytes left. `bytes` is a multiple of [`PAGE_BYTES`], so offsets are too.
    pub(crate) fn lend(&self, bytes: usize) -> Result<usize, usize> {
        assert!(bytes.is_multiple_of(PAGE_BYTES), "{bytes} bytes are not whole pages of {PAGE_BYTES}");
        // Relaxed: only that no two calls get the same range matters, and the read-modify-write
        // alone gives that. The ring reaches its threads by other means.
        self.lent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lent| lent.checked_add(bytes).filter(|end| *end <= self.bytes()))
            .map_err(|lent| self.bytes() - lent)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("base", &self.base())
            .field("bytes", &self.bytes())
            .field("pages", &self.pages())
            .field("lent", &self.lent.load(Ordering::Relaxed))
            .finish()
    }
}

// SAFETY: a region owns its memory and nothing in it belongs to one thread: mapping and unmapping
// may happen on any thread, and `backing` never changes between the two.
unsafe impl Send for Region {}
// SAFETY: through `&Region` one gets numbers and a raw address. Reading or writing there is unsafe
// where it is done and argued there; lending is one atomic read-modify-write.
unsafe impl Sync for Region {}

fn whole_pages(bytes: usize) -> io::Result<usize> {
    if bytes == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a region of 0 bytes was asked for"));
    }
    // The mapping adds one huge page of slack for alignment; that sum must not overflow either.
    bytes
        .checked_next_multiple_of(HUGE_PAGE_BYTES)
        .filter(|whole| *whole <= isize::MAX.unsigned_abs() - HUGE_PAGE_BYTES)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("a region of {bytes} bytes does not fit the address space")))
}
