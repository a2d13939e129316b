//! The checkpoint: a control block at the start of every segment that makes the segment readable by itself.
//!
//! ```text
//! │ header, 16 B │ partition, 32 B + name │ partition ... │
//! ```
//!
//! It names the lane's partitions and gives each one's next offset, so offsets never depend on segments that retention
//! has reused, and the start of every epoch is known for each partition.

use crate::PartitionId;
use crate::units::OFFSET_MAX;
use zerocopy::{
    FromBytes, IntoBytes,
    little_endian::{U16, U32, U64},
};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 16;
/// Bytes of a partition before its stream's name.
pub const PARTITION_BYTES: usize = 32;
/// Longest name of a stream: Kafka's limit for a topic.
pub const NAME_BYTES_MAX: usize = 249;
/// Partitions that a lane can hold; a checkpoint of so many fits in one block.
pub const PARTITIONS_MAX: usize = 2048;
/// "HWCK" and the version.
pub const MAGIC: u32 = u32::from_le_bytes(*b"HWCK");
/// Version of the layout.
pub const VERSION: u32 = 1;

const _: () = assert!(HEADER_BYTES + PARTITIONS_MAX * (PARTITION_BYTES + NAME_BYTES_MAX) <= crate::block::PAYLOAD_BYTES_MAX);

layout!(
    /// Start of a checkpoint.
    CheckpointHeader, HEADER_BYTES, {
    magic: U32 = "\"HWCK\"",
    version: U32 = "1",
    partitions: U32 = "number of partitions",
    reserved: U32 = "zero",
});

layout!(
    /// One partition; its stream's name follows.
    CheckpointPartition, PARTITION_BYTES, {
    partition: U32 = "partition id, below 2³² − 1",
    number: U32 = "number of the partition within its stream",
    next_offset: U64 = "offset that its next record gets, below 2⁶³",
    log_start: U64 = "offset of its first record still kept when this was written, at most `next_offset`",
    name_bytes: U16 = "bytes of the stream's name, 1 … 249",
    reserved: [u8; 6] = "zero",
});

/// A stream's partition as a checkpoint knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its id.
    pub id: PartitionId,
    /// Its stream.
    pub stream: String,
    /// Its number within the stream.
    pub number: u32,
    /// Offset of its next record.
    pub next_offset: u64,
    /// Offset of its first record still kept.
    pub log_start: u64,
}

/// Writes the partitions to `out` (at least a block's payload); returns the bytes written.
///
/// Panics on more partitions or longer names than the limits, which the catalog refuses earlier.
pub fn write(out: &mut [u8], partitions: &[Partition]) -> usize {
    assert!(partitions.len() <= PARTITIONS_MAX, "{} partitions, at most {PARTITIONS_MAX}", partitions.len());
    let count = u32::try_from(partitions.len()).expect("checked above");
    let header = CheckpointHeader { magic: MAGIC.into(), version: VERSION.into(), partitions: count.into(), reserved: 0.into() };
    let mut at = HEADER_BYTES;
    out[..at].copy_from_slice(header.as_bytes());
    for partition in partitions {
        let name = partition.stream.as_bytes();
        assert!((1..=NAME_BYTES_MAX).contains(&name.len()), "a name of {} B, 1 to {NAME_BYTES_MAX}", name.len());
        let fixed = CheckpointPartition {
            partition: partition.id.0.into(),
            number: partition.number.into(),
            next_offset: partition.next_offset.into(),
            log_start: partition.log_start.into(),
            name_bytes: u16::try_from(name.len()).expect("checked above").into(),
            reserved: [0; 6],
        };
        out[at..at + PARTITION_BYTES].copy_from_slice(fixed.as_bytes());
        out[at + PARTITION_BYTES..][..name.len()].copy_from_slice(name);
        at += PARTITION_BYTES + name.len();
    }
    at
}

/// Reads a checkpoint; none if it does not hold together exactly.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Vec<Partition>> {
    let (header, mut rest) = CheckpointHeader::ref_from_prefix(bytes).ok()?;
    let count = header.partitions.get() as usize;
    if header.magic.get() != MAGIC || header.version.get() != VERSION || count > PARTITIONS_MAX {
        return None;
    }
    let mut partitions = Vec::with_capacity(count);
    for _ in 0..count {
        let (fixed, behind) = CheckpointPartition::ref_from_prefix(rest).ok()?;
        let (name, behind) = behind.split_at_checked(fixed.name_bytes.get() as usize)?;
        let id = PartitionId(fixed.partition.get());
        if !(1..=NAME_BYTES_MAX).contains(&name.len())
            || id == PartitionId::CONTROL
            || fixed.next_offset.get() > OFFSET_MAX
            || fixed.log_start.get() > fixed.next_offset.get()
        {
            return None;
        }
        partitions.push(Partition {
            id,
            stream: core::str::from_utf8(name).ok()?.to_owned(),
            number: fixed.number.get(),
            next_offset: fixed.next_offset.get(),
            log_start: fixed.log_start.get(),
        });
        rest = behind;
    }
    rest.is_empty().then_some(partitions)
}

#[cfg(test)]
pub(crate) mod tests;
