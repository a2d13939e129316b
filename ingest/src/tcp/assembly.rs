//! Records that no single receive brought whole, kept in pages of one fixed pool until their last piece is there.
//!
//! ```text
//! pool:  │ page 0 │ page 1 │ page 2 │ page 3 │ ...        4 KiB each; a free page names the next free one
//! kept:  first ─► page 2 ─► page 0 ─► page 3              a kept page names the next of its record
//! ```
//!
//! Thousands of connections may each be within a record while few of the records are large, so what they share is cut
//! small. A record is framed from its pages, which spares a second copy. It refuses to grow: when the pool has no page
//! left, [`Pages::keep`] says so and has kept nothing.

/// Bytes of a page.
pub const PAGE_BYTES: usize = 4 << 10;
const NONE: u32 = u32::MAX;

/// The pool.
pub struct Pages {
    bytes: Box<[u8]>,
    next: Box<[u32]>,
    free: u32,
    free_count: usize,
}

/// What is kept of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    first: u32,
    last: u32,
    bytes: usize,
}

impl Kept {
    /// Nothing.
    pub const NOTHING: Kept = Kept { first: NONE, last: NONE, bytes: 0 };

    /// Bytes kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn pages(bytes: usize) -> usize {
        bytes.div_ceil(PAGE_BYTES)
    }
}

impl Pages {
    /// A pool of so many bytes, rounded up to pages. The memory is taken from the host as it is first used.
    #[must_use]
    pub fn new(bytes: usize) -> Pages {
        let count = u32::try_from(Kept::pages(bytes)).expect("a pool of less than 2^44 bytes");
        let next = (1..=count).map(|page| if page == count { NONE } else { page }).collect();
        let free = if count == 0 { NONE } else { 0 };
        Pages { bytes: vec![0; count as usize * PAGE_BYTES].into(), next, free, free_count: count as usize }
    }

    /// Adds bytes to what is kept; `false`: there are too few pages, and nothing has changed.
    #[must_use]
    pub fn keep(&mut self, kept: &mut Kept, mut bytes: &[u8]) -> bool {
        if Kept::pages(kept.bytes + bytes.len()) - Kept::pages(kept.bytes) > self.free_count {
            return false;
        }
        while !bytes.is_empty() {
            let filled = kept.bytes % PAGE_BYTES;
            if filled == 0 {
                self.extend(kept);
            }
            let (now, later) = bytes.split_at(bytes.len().min(PAGE_BYTES - filled));
            let from = kept.last as usize * PAGE_BYTES + filled;
            self.bytes[from..from + now.len()].copy_from_slice(now);
            kept.bytes += now.len();
            bytes = later;
        }
        true
    }

    fn extend(&mut self, kept: &mut Kept) {
        let page = self.free;
        self.free = self.next[page as usize];
        self.free_count -= 1;
        self.next[page as usize] = NONE;
        if kept.first == NONE {
            kept.first = page;
        } else {
            self.next[kept.last as usize] = page;
        }
        kept.last = page;
    }

    /// What is kept, in order.
    pub fn parts(&self, kept: &Kept) -> impl Iterator<Item = &[u8]> + use<'_> {
        let (mut page, mut left) = (kept.first, kept.bytes);
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let from = page as usize * PAGE_BYTES;
            let bytes = left.min(PAGE_BYTES);
            page = self.next[page as usize];
            left -= bytes;
            Some(&self.bytes[from..from + bytes])
        })
    }

    /// Gives the pages back.
    pub fn release(&mut self, kept: &mut Kept) {
        if kept.first != NONE {
            self.next[kept.last as usize] = self.free;
            self.free = kept.first;
            self.free_count += Kept::pages(kept.bytes);
        }
        *kept = Kept::NOTHING;
    }

    /// Pages that nobody keeps.
    #[must_use]
    pub fn free(&self) -> usize {
        self.free_count
    }
}

#[cfg(test)]
mod tests;
