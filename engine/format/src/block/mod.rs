//! The block: what a ring slot holds and what disk, standby and archive store, byte for byte.
//!
//! ```text
//! 0        256                4096                               block_bytes − 16     block_bytes
//! │ header │ directory, 32 B  │ record batches v2, verbatim │ 0 … 0 │ tail stamp, 16 B │
//! │        │ a batch, ≤ 120   │ in arrival order            │       │                  │
//! └── head page, one CRC ─────┘
//! ```
//!
//! The ingest loop writes payload, directory and what it knows of the header ([`seal`]); the log loop, which alone
//! holds the sealed block, adds what only the log knows ([`stamp`]). After that nobody writes it. The head CRC covers
//! the directory and so every batch's identity and CRC: no payload byte is summed twice.

mod inspect;
mod write;

pub use inspect::{BodyFault, Expected, Head, HeadFault, Validity, check_body, inspect};
pub use write::{Placed, Seal, Stamp, Stamped, block_bytes_for, directory_entry, header, seal, stamp, ticket};

use zerocopy::little_endian::{I32, U16, U32, U64, U128};

/// Bytes of the head page: header and directory.
pub const HEAD_BYTES: usize = 4096;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 256;
/// Bytes of a directory entry.
pub const ENTRY_BYTES: usize = 32;
/// Batches that one block can hold.
pub const BATCHES_MAX: usize = (HEAD_BYTES - HEADER_BYTES) / ENTRY_BYTES;
// Every batch with the most that its client may say, and beside them as many records as there are bytes.
const _: () = assert!(BATCHES_MAX as u64 * crate::batch::BATCH_RECORDS_MAX as u64 + BLOCK_BYTES_MAX as u64 <= u32::MAX as u64);
/// Bytes of the tail stamp.
pub const TAIL_BYTES: usize = 16;
/// What every block's size and position is a multiple of.
pub const BLOCK_ALIGN: usize = 4096;
/// The smallest block.
pub const BLOCK_BYTES_MIN: usize = 2 * BLOCK_ALIGN;
/// The largest block, which is a ring slot.
pub const BLOCK_BYTES_MAX: usize = (1 << 20) + (16 << 10);
/// Payload that the largest block holds.
pub const PAYLOAD_BYTES_MAX: usize = BLOCK_BYTES_MAX - HEAD_BYTES - TAIL_BYTES;
/// "HWBLOCK1", little-endian.
pub const MAGIC: u64 = u64::from_le_bytes(*b"HWBLOCK1");
/// Version of the block's layout.
pub const VERSION: u16 = 1;
/// Flag: the payload is a checkpoint, not record batches.
pub const FLAG_CONTROL: u16 = 1;
/// Cumulative ledger counters that a block carries.
pub const COUNTERS: usize = 16;
/// A time delta that did not fit its field: look into the batch.
pub const TIME_DELTA_UNKNOWN: i32 = i32::MIN;

const _: () = assert!(BATCHES_MAX == 120);
const _: () = assert!(PAYLOAD_BYTES_MAX >= crate::batch::BATCH_BYTES_MAX);
const _: () = assert!(BLOCK_BYTES_MAX.is_multiple_of(BLOCK_ALIGN));

layout!(
    /// Header of a block, little-endian; the first 256 bytes of its head page.
    BlockHeader, HEADER_BYTES, {
    magic: U64 = "\"HWBLOCK1\"",
    version: U16 = "1",
    flags: U16 = "bit 0: control (the payload is a checkpoint)",
    head_crc: U32 = "CRC-32C of the nonce's 8 bytes, then of the head page without this field",
    pair_id: U128 = "identity that both nodes of a pair share",
    lane: U32 = "lane that the block belongs to",
    epoch: U32 = "epoch in which it was stamped, below 2³¹",
    nonce: U64 = "the segment's nonce: a reused file's old blocks do not carry it",
    sequence: U64 = "number of the block in its lane, dense",
    block_bytes: U32 = "size of the block: 8 KiB … 1 MiB + 16 KiB, a multiple of 4 KiB",
    payload_bytes: U32 = "bytes of batches from byte 4096 on",
    batches: U32 = "entries of the directory, 1 … 120",
    records: U32 = "records of all batches together (0 in a control block)",
    chain: [u8; 16] = "first 16 bytes of SHA-256 over the previous block's 256-byte header; zero in a lane's first block",
    committed: U64 = "blocks of the lane known committed when this one was stamped: a hint, never a proof",
    wall_ns: U64 = "nanoseconds since 1970 of the block's first record (of its making in a control block)",
    counters: [U64; COUNTERS] = "the lane's cumulative ledger counters at sealing (table below)",
    reserved: [u8; 24] = "zero",
});

layout!(
    /// One batch of a block, as the head page describes it.
    DirectoryEntry, ENTRY_BYTES, {
    partition: U32 = "partition id (the checkpoint gives its name); 2³² − 1: control content",
    offset: U32 = "of the batch from the block's first byte; batches lie one behind the other from 4096 on",
    length: U32 = "bytes of the batch",
    records: U32 = "records of the batch (0 for control content)",
    base_offset: U64 = "offset of its first record; repeats the batch's field, which Kafka's CRC skips",
    crc: U32 = "the batch's own CRC-32C (control content: over all its bytes)",
    max_time_delta_ms: I32 = "largest timestamp of the batch minus the block's wall time in ms; −2³¹: look into the batch",
});

layout!(
    /// The last 16 bytes of a block: the write reached its end.
    TailStamp, TAIL_BYTES, {
    sequence: U64 = "as in the header",
    epoch: U32 = "as in the header",
    nonce_low: U32 = "low half of the nonce",
});

/// Names of the counters in a block's header, in order; the ledger's equations hold over them.
pub const COUNTER_NAMES: [&str; COUNTERS] = [
    "arrived",
    "dropped_kernel_rcvbuf",
    "received",
    "admitted",
    "shed_policy",
    "shed_malformed",
    "shed_oversize",
    "shed_disk_full",
    "dead_lettered",
    "received_bytes",
    "exact",
    "reserved_11",
    "reserved_12",
    "reserved_13",
    "reserved_14",
    "reserved_15",
];

#[cfg(test)]
mod tests;
