//! Packets of one source, back to back, as one segmentation-offload send takes them.
//!
//! ```text
//!  | packet | packet | packet | …            every packet `size` bytes
//!   ◄──────── len packets ─────►  ◄─ room ─►
//! ```
//!
//! The buffer holds its most packets from the start, each a copy of the run's template; a push patches
//! header and checksum in place. So the loop copies nothing and allocates nothing.

use crate::packet::{PACKET_BYTES_MAX, Template, stamp};

#[cfg(test)]
mod tests;

/// Most segments of one send (the kernel's UDP_MAX_SEGMENTS; 128 since 6.9, 64 on the floor of 6.1).
pub const SEGMENTS_MAX: usize = 64;

/// Most bytes of one send: the train travels as one IP packet until it is cut.
pub const TRAIN_BYTES_MAX: usize = PACKET_BYTES_MAX;

/// Packets of one source that leave together.
#[derive(Debug)]
pub struct Train {
    bytes: Vec<u8>,
    size: usize,
    len: usize,
}

impl Train {
    /// An empty train with room for as many packets as one send may carry, or for one.
    pub fn new(template: &Template, single: bool) -> Self {
        let size = template.bytes().len();
        let packets = if single { 1 } else { packets_max(size) };
        Self { bytes: template.bytes().repeat(packets), size, len: 0 }
    }

    /// Packets in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether no further packet fits.
    #[inline]
    pub fn is_full(&self) -> bool {
        (self.len + 1) * self.size > self.bytes.len()
    }

    /// Adds the packet with this stamp.
    ///
    /// # Panics
    /// The train is full.
    #[inline]
    pub fn push(&mut self, source: u32, sequence: u64, intended_ns: u64) {
        assert!(!self.is_full(), "{} packets of {} bytes fill it", self.len, self.size);
        let at = self.len * self.size;
        stamp(&mut self.bytes[at..at + self.size], source, sequence, intended_ns);
        self.len += 1;
    }

    /// The packets, back to back.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len * self.size]
    }

    /// Empties it.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

/// How many packets of this size one send may carry.
fn packets_max(size: usize) -> usize {
    (TRAIN_BYTES_MAX / size).clamp(1, SEGMENTS_MAX)
}
