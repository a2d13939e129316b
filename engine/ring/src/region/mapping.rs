//! A region's memory in production: `mmap`, in the best pages to be had.
//!
//! Tried in this order; the kind that succeeded is reported, never guessed:
//! 1. `MAP_HUGETLB | MAP_HUGE_2MB`. The kernel reserves the pages in `mmap` itself, so a host without
//!    (enough) configured huge pages answers `ENOMEM` at once.
//! 2. Plain pages with `MADV_HUGEPAGE`, on a 2 MiB boundary. Kernels before 6.7 place an anonymous
//!    mapping at any page, and huge pages need the boundary, so one huge page more is mapped:
//! 3. The same, where the advice is refused (a kernel without transparent huge pages).
//!
//! ```text
//! address        base: next 2 MiB boundary
//! ├─ untouched ─┼───────────── bytes, populated ─────────────┼─ untouched ─┤
//! └──────────────────────── bytes + 2 MiB mapped ──────────────────────────┘
//! ```
//! The untouched ends cost address space and no memory; cutting them off could fail and save nothing.

use std::io;
use std::ptr::{self, NonNull};

use libc::c_int;

use super::{HUGE_PAGE_BYTES, PAGE_BYTES, Pages};

pub(super) struct Backing {
    /// First byte used: 2 MiB aligned, inside the mapping.
    base: NonNull<u8>,
    bytes: usize,
    pages: Pages,
    /// Keeps `base` valid; unmaps when the backing is dropped.
    _mapping: Mapping,
}

impl Backing {
    /// `bytes` is a multiple of 2 MiB and not zero.
    pub(super) fn map(bytes: usize) -> io::Result<Backing> {
        // Whatever the reason that huge pages are not to be had (none configured, none left, a
        // cgroup's limit, another huge page size), small ones serve; an error that is not about
        // huge pages comes again from the second try, and that one is reported.
        huge(bytes).or_else(|_| plain(bytes))
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn pages(&self) -> Pages {
        self.pages
    }
}

fn huge(bytes: usize) -> io::Result<Backing> {
    let mapping = Mapping::anonymous(bytes, libc::MAP_HUGETLB | libc::MAP_HUGE_2MB)?;
    let base = mapping.address;
    populate(base, bytes)?;
    Ok(Backing { base, bytes, pages: Pages::Huge, _mapping: mapping })
}

fn plain(bytes: usize) -> io::Result<Backing> {
    let mapping = Mapping::anonymous(bytes + HUGE_PAGE_BYTES, 0)?;
    let address = mapping.address.addr().get();
    let ahead = address.next_multiple_of(HUGE_PAGE_BYTES) - address;
    // SAFETY: `add` demands that the result stays inside one allocation: `ahead` is below one huge
    // page, and the mapping is one huge page longer than `bytes`.
    let base = unsafe { mapping.address.add(ahead) };
    // Before the pages exist: populating then makes them huge from the first touch.
    let pages = match advise(base, bytes, libc::MADV_HUGEPAGE) {
        Ok(()) => Pages::Advised,
        Err(_) => Pages::Small, // advice refused is no failure; `pages()` tells it
    };
    populate(base, bytes)?;
    Ok(Backing { base, bytes, pages, _mapping: mapping })
}

/// Makes every page present and writable, so that the data path never faults.
fn populate(base: NonNull<u8>, bytes: usize) -> io::Result<()> {
    match advise(base, bytes, libc::MADV_POPULATE_WRITE) {
        // Linux 5.14 and later have it; a sandbox that imitates Linux may not.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            touch(base, bytes);
            Ok(())
        }
        done => done,
    }
}

fn touch(base: NonNull<u8>, bytes: usize) {
    for offset in (0..bytes).step_by(PAGE_BYTES) {
        // SAFETY: `offset` is below `bytes`, and all of `bytes` from `base` is mapped writable and
        // known to nobody else yet. Volatile, so that writing a zero over a zero is really done.
        unsafe { base.add(offset).write_volatile(0) };
    }
}

fn advise(base: NonNull<u8>, bytes: usize, advice: c_int) -> io::Result<()> {
    // SAFETY: madvise demands a mapped, page-aligned range: both callers give a range inside their
    // own fresh mapping. The advices used here change no byte that has been written.
    let answer = unsafe { libc::madvise(base.as_ptr().cast(), bytes, advice) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A range that the kernel gave us; gone when dropped.
struct Mapping {
    address: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    fn anonymous(bytes: usize, flags: c_int) -> io::Result<Mapping> {
        // SAFETY: no address is asked for and MAP_FIXED is not set, so the kernel picks an unused
        // range and no existing memory changes.
        let address = unsafe {
            libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags, -1, 0)
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(address.cast())
            .map(|address| Mapping { address, bytes })
            .ok_or_else(|| io::Error::other("mmap answered with address 0"))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the range that mmap gave, unmapped once. Nobody can still use it: rings
        // and pins hold the region that holds this.
        let answer = unsafe { libc::munmap(self.address.as_ptr().cast(), self.bytes) };
        // It can fail only for a range that was never ours (EINVAL) or, for ENOMEM, when unmapping
        // would split a neighbour that the kernel merged with this one and the process is at its
        // limit of mappings. Then the range stays mapped, unused, until the process ends.
        debug_assert_eq!(answer, 0, "munmap of {} bytes failed", self.bytes);
    }
}
