//! CRC-32C (Castagnoli), the one checksum of all structures and of Kafka's record batches.
//!
//! `crc-fast` is used because the common `crc32c` crate is several times slower on long input.

use crc_fast::{CrcAlgorithm, Digest};

/// CRC-32C of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    low(crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes))
}

/// CRC-32C of the parts as if they stood one behind the other.
#[must_use]
pub fn crc32c_of(parts: &[&[u8]]) -> u32 {
    let mut running = Running::new();
    parts.iter().for_each(|part| running.update(part));
    running.value()
}

/// CRC-32C of `a ‖ b` from the sums of both and the length of `b`.
#[must_use]
pub fn combine(a: u32, b: u32, b_bytes: usize) -> u32 {
    low(crc_fast::checksum_combine(CrcAlgorithm::Crc32Iscsi, u64::from(a), u64::from(b), b_bytes as u64))
}

/// A sum that grows with the bytes: records are summed while they are still in the cache.
#[derive(Clone)]
pub struct Running(Digest);

impl Running {
    /// The sum of no bytes.
    #[must_use]
    pub fn new() -> Running {
        Running(Digest::new(CrcAlgorithm::Crc32Iscsi))
    }

    /// Adds bytes behind what was summed.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The sum so far.
    #[must_use]
    pub fn value(&self) -> u32 {
        low(self.0.finalize())
    }
}

impl Default for Running {
    fn default() -> Self {
        Running::new()
    }
}

impl core::fmt::Debug for Running {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Running({:#010x})", self.value())
    }
}

/// A 32-bit CRC comes back from the crate in the low half of a u64.
#[allow(clippy::cast_possible_truncation)]
fn low(crc: u64) -> u32 {
    debug_assert!(crc <= u64::from(u32::MAX), "a 32-bit CRC is {crc:#x}, above {:#x}", u32::MAX);
    crc as u32
}

#[cfg(test)]
mod tests;
