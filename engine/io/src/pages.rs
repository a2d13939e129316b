//! A region of its own cut into equal pages, for small blocks that are filled, written and taken back: file headers,
//! record pages.
//!
//! ```text
//!   Free ──lease──► Leased ──submit──► InFlight ──done──► Free
//!                   page_mut            the kernel reads: nobody touches the bytes
//! ```
//!
//! It refuses to write (the ring does), to grow, and to be shared: one owner leases, fills and takes back.

use std::io;
use std::sync::Arc;

use headworks_ring::{Region, slot_ring};

use crate::aligned::ALIGNMENT;

/// One page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageId(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Leased,
    InFlight,
}

/// The pages and what each is doing.
#[derive(Debug)]
pub struct Pages {
    region: Arc<Region>,
    page_bytes: usize,
    states: Vec<State>,
    free: Vec<u32>,
}

impl Pages {
    /// `pages` zeroed pages of `page_bytes` bytes.
    ///
    /// # Errors
    /// The memory cannot be mapped.
    ///
    /// # Panics
    /// When `pages` is 0, or `page_bytes` is not a positive multiple of 4 KiB.
    pub fn new(pages: u32, page_bytes: usize) -> io::Result<Pages> {
        assert!(pages > 0, "a pool of {pages} pages");
        assert!(page_bytes > 0 && page_bytes.is_multiple_of(ALIGNMENT), "pages of {page_bytes} bytes, a multiple of {ALIGNMENT} is needed");
        let bytes = page_bytes.checked_mul(pages as usize).expect("pages that fit the address space");
        let region = Arc::new(Region::map(bytes)?);
        // What a region lends to a ring it never lends again. So a ring over the whole, dropped at once, makes these
        // bytes ours alone, although `region` gives the region to anyone.
        drop(slot_ring(Arc::clone(&region), 1, region.bytes()));
        Ok(Pages { region, page_bytes, states: vec![State::Free; pages as usize], free: (0..pages).rev().collect() })
    }

    /// Takes a free page, with whatever bytes its last use left; `None` when all are in use.
    pub fn lease(&mut self) -> Option<PageId> {
        let index = self.free.pop()?;
        self.states[index as usize] = State::Leased;
        Some(PageId(index))
    }

    /// The bytes of a leased page.
    ///
    /// # Panics
    /// When the page is not leased, above all when it is in flight.
    pub fn page_mut(&mut self, page: PageId) -> &mut [u8] {
        self.expect_state(page, State::Leased);
        // SAFETY: the page lies in the region (its index is below the count that was mapped), which lives as long as
        // self and was zeroed. The bytes are this pool's alone (see `new`), self is borrowed exclusively, and a page in
        // flight was refused just above, so neither the kernel nor another reference uses them.
        unsafe {
            let base = self.region.base().as_ptr().add(self.offset(page));
            std::slice::from_raw_parts_mut(base, self.page_bytes)
        }
    }

    /// Marks a leased page as in flight; to be called when its write is queued.
    ///
    /// # Panics
    /// When the page is not leased.
    pub fn submit(&mut self, page: PageId) {
        self.expect_state(page, State::Leased);
        self.states[page.0 as usize] = State::InFlight;
    }

    /// Takes a page back, from its write's completion or unused.
    ///
    /// # Panics
    /// When the page is free already.
    pub fn done(&mut self, page: PageId) {
        let state = self.states[page.0 as usize];
        assert_ne!(state, State::Free, "{page:?} is taken back twice");
        self.states[page.0 as usize] = State::Free;
        self.free.push(page.0);
    }

    fn expect_state(&self, page: PageId, wanted: State) {
        let state = self.states[page.0 as usize];
        assert_eq!(state, wanted, "{page:?} is {state:?}, {wanted:?} is needed");
    }

    /// The region to register with the ring that writes the pages.
    #[must_use]
    pub fn region(&self) -> &Arc<Region> {
        &self.region
    }

    /// Where a page begins in the region, in bytes.
    #[must_use]
    pub fn offset(&self, page: PageId) -> usize {
        page.0 as usize * self.page_bytes
    }

    /// Bytes of one page.
    #[must_use]
    pub fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// Pages that can be leased now.
    #[must_use]
    pub fn available(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests;
