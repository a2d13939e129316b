//! Owned, zeroed bytes on a 4 KiB boundary, for direct I/O: reused, never grown.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// What every address, offset and length of direct I/O here is a multiple of. Devices may accept 512; 4096 works on all.
pub const ALIGNMENT: usize = 4096;

/// A buffer of fixed length on a 4 KiB boundary.
pub struct AlignedBuffer {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the buffer owns its memory alone, like a Box<[u8]>: moving it moves the only way to reach the bytes.
unsafe impl Send for AlignedBuffer {}
// SAFETY: a shared reference only reads the bytes.
unsafe impl Sync for AlignedBuffer {}

impl AlignedBuffer {
    /// `bytes` zero bytes.
    ///
    /// # Panics
    /// When `bytes` is 0; when memory runs out the process ends as for any allocation.
    #[must_use]
    pub fn zeroed(bytes: usize) -> AlignedBuffer {
        assert!(bytes > 0, "an aligned buffer of 0 bytes");
        let layout = layout(bytes);
        // SAFETY: alloc_zeroed demands a layout of non-zero size, asserted above.
        let base = unsafe { alloc_zeroed(layout) };
        let base = NonNull::new(base).unwrap_or_else(|| handle_alloc_error(layout));
        AlignedBuffer { base, bytes }
    }

    /// Where the bytes begin. Valid while the buffer lives, wherever the buffer itself is moved.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Sets every byte to zero.
    pub fn clear(&mut self) {
        self.fill(0);
    }
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, ALIGNMENT).expect("a length that fits the address space")
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for AlignedBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: base points to `bytes` initialised bytes (zeroed at allocation) that live as long as self, and
        // through a shared self nobody writes them.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.bytes) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in deref, and the exclusive borrow of self is the only access to bytes that self owns alone.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.bytes) }
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        // SAFETY: the memory came from alloc_zeroed with this same layout and is freed only here.
        unsafe { dealloc(self.base.as_ptr(), layout(self.bytes)) }
    }
}

impl std::fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlignedBuffer").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_aligned_zero_and_writable() {
        for bytes in [1, 512, 4096, 1 << 20] {
            let mut buffer = AlignedBuffer::zeroed(bytes);
            assert_eq!(buffer.as_ptr().addr() % ALIGNMENT, 0, "{bytes} bytes");
            assert_eq!(buffer.len(), bytes);
            assert!(buffer.iter().all(|byte| *byte == 0));
            buffer[bytes - 1] = 7;
            assert_eq!(buffer[bytes - 1], 7);
            buffer.clear();
            assert_eq!(buffer[bytes - 1], 0);
        }
    }
}
