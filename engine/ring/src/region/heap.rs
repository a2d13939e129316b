//! A region's memory under loom: the heap. A model makes thousands of regions and asks nothing of
//! pages; what it checks (who touches which slot when) is watched beside the bytes.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;

use super::{PAGE_BYTES, Pages};

pub(super) struct Backing {
    base: NonNull<u8>,
    layout: Layout,
}

impl Backing {
    /// `bytes` is a multiple of 2 MiB and not zero.
    pub(super) fn map(bytes: usize) -> io::Result<Backing> {
        let layout = Layout::from_size_align(bytes, PAGE_BYTES).map_err(io::Error::other)?;
        // SAFETY: alloc_zeroed demands a layout of more than zero bytes: the caller rounded a number
        // above zero up.
        let address = unsafe { alloc_zeroed(layout) };
        let base = NonNull::new(address).unwrap_or_else(|| handle_alloc_error(layout));
        Ok(Backing { base, layout })
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(super) fn bytes(&self) -> usize {
        self.layout.size()
    }

    pub(super) fn pages(&self) -> Pages {
        Pages::Small
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        // SAFETY: allocated in `map` with this layout and freed once, here.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}
