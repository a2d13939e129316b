//! The checkpoint: a control block at the start of every segment that makes the segment readable by itself.
//!
//! ```text
//! │ header, 16 B │ partition, 32 B + name │ partition ... │ producer, 112 B │ producer ... │
//! ```
//!
//! It names the lane's partitions and gives each one's next offset, so offsets never depend on segments that retention
//! has reused, and the start of every epoch is known for each partition. It carries the last batches of every idempotent
//! producer, so that a batch sent twice is known after a crash too. A partition that is made while a segment is open is
//! named by one more checkpoint in its middle.

use crate::PartitionId;
use crate::batch::Produced;
use crate::block::{self, HEAD_BYTES};
use crate::units::OFFSET_MAX;
use zerocopy::{
    FromBytes, IntoBytes,
    little_endian::{I16, I32, I64, U16, U32, U64},
};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 16;
/// Bytes of a partition before its stream's name.
pub const PARTITION_BYTES: usize = 32;
/// Longest name of a stream: Kafka's limit for a topic.
pub const NAME_BYTES_MAX: usize = 249;
/// Partitions that a lane can hold; a checkpoint of so many fits in one block.
pub const PARTITIONS_MAX: usize = 2048;
/// Bytes of a producer.
pub const PRODUCER_BYTES: usize = 112;
/// Producers, each with one partition, that a lane remembers.
pub const PRODUCERS_MAX: usize = 4096;
/// Batches of a producer that are remembered: as many as a client may have in flight.
pub const PRODUCER_BATCHES: usize = 5;
/// "HWCK" and the version.
pub const MAGIC: u32 = u32::from_le_bytes(*b"HWCK");
/// Version of the layout.
pub const VERSION: u32 = 1;

/// Bytes of the largest checkpoint.
pub const BYTES_MAX: usize = HEADER_BYTES + PARTITIONS_MAX * (PARTITION_BYTES + NAME_BYTES_MAX) + PRODUCERS_MAX * PRODUCER_BYTES;
const _: () = assert!(BYTES_MAX <= crate::block::PAYLOAD_BYTES_MAX);

layout!(
    /// Start of a checkpoint.
    CheckpointHeader, HEADER_BYTES, {
    magic: U32 = "\"HWCK\"",
    version: U32 = "1",
    partitions: U32 = "number of partitions",
    producers: U32 = "number of producers behind them",
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

layout!(
    /// One producer's last batches in one partition, oldest first.
    CheckpointProducer, PRODUCER_BYTES, {
    producer_id: I64 = "the producer, at least 0",
    partition: U32 = "partition id",
    producer_epoch: I16 = "its incarnation",
    batches: U16 = "batches that follow, 1 … 5",
    reserved: U64 = "zero",
    first: [I32; PRODUCER_BATCHES] = "sequence of each batch's first record; zero where there is none",
    last: [I32; PRODUCER_BATCHES] = "sequence of each batch's last record",
    base_offset: [U64; PRODUCER_BATCHES] = "offset of each batch's first record",
    padding: U64 = "zero",
});

/// A producer's last batches in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    /// The partition.
    pub partition: PartitionId,
    /// The producer.
    pub id: i64,
    /// Its incarnation.
    pub epoch: i16,
    /// Number of batches.
    pub count: usize,
    /// First and last sequence of each batch and the offset of its first record, oldest first.
    pub batches: [(i32, i32, u64); PRODUCER_BATCHES],
}

impl Producer {
    /// A producer that has sent its first batch.
    #[must_use]
    pub fn begin(partition: PartitionId, produced: &Produced, base_offset: u64) -> Producer {
        let mut batches = [(0, 0, 0); PRODUCER_BATCHES];
        batches[0] = (produced.first, produced.last, base_offset);
        Producer { partition, id: produced.id, epoch: produced.epoch, count: 1, batches }
    }

    /// One more batch; the oldest is forgotten for it, and all of an earlier incarnation.
    pub fn add(&mut self, produced: &Produced, base_offset: u64) {
        if produced.epoch != self.epoch {
            *self = Producer::begin(self.partition, produced, base_offset);
            return;
        }
        if self.count == PRODUCER_BATCHES {
            self.batches.rotate_left(1);
            self.count -= 1;
        }
        self.batches[self.count] = (produced.first, produced.last, base_offset);
        self.count += 1;
    }

    /// The remembered batches, oldest first.
    #[must_use]
    pub fn batches(&self) -> &[(i32, i32, u64)] {
        &self.batches[..self.count]
    }
}

/// What a checkpoint holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The lane's partitions.
    pub partitions: Vec<Partition>,
    /// Its producers.
    pub producers: Vec<Producer>,
}

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

/// Bytes of a checkpoint's payload for these partitions and so many producers.
#[must_use]
pub fn bytes(partitions: &[Partition], producers: usize) -> usize {
    let names = partitions.iter().map(|partition| PARTITION_BYTES + partition.stream.len()).sum::<usize>();
    HEADER_BYTES + names + producers * PRODUCER_BYTES
}

/// Writes the checkpoint to `out` (at least a block's payload); returns the bytes written.
///
/// Panics on more partitions, producers or longer names than the limits, which are refused earlier.
pub fn write<'p>(out: &mut [u8], partitions: &[Partition], producers: impl ExactSizeIterator<Item = &'p Producer>) -> usize {
    assert!(partitions.len() <= PARTITIONS_MAX, "{} partitions, at most {PARTITIONS_MAX}", partitions.len());
    assert!(producers.len() <= PRODUCERS_MAX, "{} producers, at most {PRODUCERS_MAX}", producers.len());
    let narrow = |count: usize| u32::try_from(count).expect("checked above");
    let header = CheckpointHeader {
        magic: MAGIC.into(),
        version: VERSION.into(),
        partitions: narrow(partitions.len()).into(),
        producers: narrow(producers.len()).into(),
    };
    let mut at = HEADER_BYTES;
    out[..at].copy_from_slice(header.as_bytes());
    for partition in partitions {
        at += write_partition(&mut out[at..], partition);
    }
    for producer in producers {
        out[at..at + PRODUCER_BYTES].copy_from_slice(CheckpointProducer::of(producer).as_bytes());
        at += PRODUCER_BYTES;
    }
    at
}

fn write_partition(out: &mut [u8], partition: &Partition) -> usize {
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
    out[..PARTITION_BYTES].copy_from_slice(fixed.as_bytes());
    out[PARTITION_BYTES..][..name.len()].copy_from_slice(name);
    PARTITION_BYTES + name.len()
}

/// The checkpoint that a control block holds; none if it is shorter than its header says, or does not hold together exactly.
#[must_use]
pub fn of_block(block: &[u8]) -> Option<Checkpoint> {
    let payload_bytes = block::header(block)?.payload_bytes.get() as usize;
    read(block.get(HEAD_BYTES..HEAD_BYTES + payload_bytes)?)
}

/// Reads a checkpoint; none if it does not hold together exactly.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Checkpoint> {
    let (header, mut rest) = CheckpointHeader::ref_from_prefix(bytes).ok()?;
    let (count, producers) = (header.partitions.get() as usize, header.producers.get() as usize);
    if header.magic.get() != MAGIC || header.version.get() != VERSION || count > PARTITIONS_MAX || producers > PRODUCERS_MAX {
        return None;
    }
    let mut checkpoint = Checkpoint { partitions: Vec::with_capacity(count), producers: Vec::with_capacity(producers) };
    for _ in 0..count {
        let (partition, behind) = read_partition(rest)?;
        checkpoint.partitions.push(partition);
        rest = behind;
    }
    for _ in 0..producers {
        let (fixed, behind) = CheckpointProducer::ref_from_prefix(rest).ok()?;
        checkpoint.producers.push(fixed.producer()?);
        rest = behind;
    }
    rest.is_empty().then_some(checkpoint)
}

fn read_partition(bytes: &[u8]) -> Option<(Partition, &[u8])> {
    let (fixed, behind) = CheckpointPartition::ref_from_prefix(bytes).ok()?;
    let (name, behind) = behind.split_at_checked(fixed.name_bytes.get() as usize)?;
    let id = PartitionId(fixed.partition.get());
    if !(1..=NAME_BYTES_MAX).contains(&name.len())
        || id == PartitionId::CONTROL
        || fixed.next_offset.get() > OFFSET_MAX
        || fixed.log_start.get() > fixed.next_offset.get()
    {
        return None;
    }
    let partition = Partition {
        id,
        stream: core::str::from_utf8(name).ok()?.to_owned(),
        number: fixed.number.get(),
        next_offset: fixed.next_offset.get(),
        log_start: fixed.log_start.get(),
    };
    Some((partition, behind))
}

impl CheckpointProducer {
    fn of(producer: &Producer) -> CheckpointProducer {
        let batches = &producer.batches;
        CheckpointProducer {
            producer_id: producer.id.into(),
            partition: producer.partition.0.into(),
            producer_epoch: producer.epoch.into(),
            batches: u16::try_from(producer.count).expect("at most 5").into(),
            reserved: 0.into(),
            first: batches.map(|(first, _, _)| first.into()),
            last: batches.map(|(_, last, _)| last.into()),
            base_offset: batches.map(|(_, _, base)| base.into()),
            padding: 0.into(),
        }
    }

    fn producer(&self) -> Option<Producer> {
        let count = usize::from(self.batches.get());
        let holds =
            self.producer_id.get() >= 0 && (1..=PRODUCER_BATCHES).contains(&count) && self.partition.get() != PartitionId::CONTROL.0;
        let batches = core::array::from_fn(|place| (self.first[place].get(), self.last[place].get(), self.base_offset[place].get()));
        holds.then_some(Producer {
            partition: PartitionId(self.partition.get()),
            id: self.producer_id.get(),
            epoch: self.producer_epoch.get(),
            count,
            batches,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
