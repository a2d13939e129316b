//! Kafka record batch, format v2: a 61-byte big-endian header and the records.
//!
//! Base offset, length, epoch and magic stand outside the batch's own CRC, which is why the log may set offset and
//! epoch after the batch was closed, and why a block's directory, covered by the block's head CRC, repeats them.

use crate::{Epoch, checksum, record};
use zerocopy::{
    FromBytes, IntoBytes,
    big_endian::{I16, I32, I64, U32},
};

/// Bytes of the header.
pub const BATCH_HEADER_BYTES: usize = 61;
/// Bytes at the start of a batch that its CRC does not cover.
pub const CRC_FROM: usize = 21;
/// Bytes that `batch_length` does not count: base offset and the length itself.
pub const LENGTH_FROM: usize = 12;
/// The largest batch: one record of 1 MiB, however it is dressed, and what clients may send (Kafka's `message.max.bytes`).
pub const BATCH_BYTES_MAX: usize = (1 << 20) + (4 << 10);
/// Records of one batch of a client at most. Compressed records are not counted, so their number is the client's word; a block's is
/// the sum of its batches', in 32 bits.
pub const BATCH_RECORDS_MAX: u32 = 1 << 24;
/// The only record format.
pub const MAGIC: i8 = 2;

layout!(
    /// Header of a record batch, big-endian.
    BatchHeader, BATCH_HEADER_BYTES, {
    base_offset: I64 = "offset of the first record; set by the log, outside the batch CRC",
    batch_length: I32 = "bytes of the batch behind this field (size − 12)",
    leader_epoch: I32 = "epoch in which the block was stamped; set by the log, outside the batch CRC",
    magic: i8 = "2",
    crc: U32 = "CRC-32C of every byte from `attributes` to the end",
    attributes: I16 = "bits 0–2 compression, bit 3 timestamp type, bit 4 transactional, bit 5 control",
    last_offset_delta: I32 = "records − 1: offsets are dense",
    base_timestamp: I64 = "milliseconds since 1970 of the first record",
    max_timestamp: I64 = "the largest timestamp in the batch",
    producer_id: I64 = "−1 for ingested packets",
    producer_epoch: I16 = "−1 for ingested packets",
    base_sequence: I32 = "−1 for ingested packets",
    record_count: I32 = "records in the batch, at least 1",
});

/// Why a batch is refused; each says what a reader can check for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchFault {
    /// Shorter than a header, or another length than its header says.
    Length,
    /// Not format v2.
    Magic,
    /// No record, or the last offset delta does not fit the count.
    Count,
    /// The sum over attributes … end differs.
    Crc,
    /// The records do not parse or do not fill the batch.
    Records,
}

/// A batch whose header, length, counts and CRC hold together.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    bytes: &'a [u8],
    header: &'a BatchHeader,
}

impl<'a> Batch<'a> {
    /// Takes `bytes` as exactly one batch, checking everything up to the CRC.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn parse(bytes: &'a [u8]) -> Result<Batch<'a>, BatchFault> {
        let batch = Batch::parse_unsummed(bytes)?;
        if checksum::crc32c(&bytes[CRC_FROM..]) != batch.header.crc.get() {
            return Err(BatchFault::Crc);
        }
        Ok(batch)
    }

    /// As [`Batch::parse`], but for bytes whose CRC was checked a moment ago.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn parse_unsummed(bytes: &'a [u8]) -> Result<Batch<'a>, BatchFault> {
        let (header, _) = BatchHeader::ref_from_prefix(bytes).map_err(|_| BatchFault::Length)?;
        if header.bytes() != Some(bytes.len()) {
            return Err(BatchFault::Length);
        }
        if header.magic != MAGIC {
            return Err(BatchFault::Magic);
        }
        if header.record_count.get() < 1 || header.last_offset_delta.get() != header.record_count.get() - 1 {
            return Err(BatchFault::Count);
        }
        Ok(Batch { bytes, header })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &'a BatchHeader {
        self.header
    }

    /// Whether the records are compressed, so that only a client can look into them.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.header.attributes.get() & 0x7 != 0
    }

    /// The records of an uncompressed batch in order; the last item is an error if they do not hold together.
    pub fn records(&self) -> impl Iterator<Item = Result<record::Record<'a>, BatchFault>> + use<'a> {
        let mut rest = &self.bytes[BATCH_HEADER_BYTES..];
        let mut left = self.header.record_count.get();
        core::iter::from_fn(move || {
            if left == 0 {
                left = -1;
                return (!rest.is_empty()).then_some(Err(BatchFault::Records));
            }
            if left < 0 {
                return None;
            }
            let Some((record, bytes)) = record::read_record(rest) else {
                left = -1;
                return Some(Err(BatchFault::Records));
            };
            rest = &rest[bytes..];
            left -= 1;
            Some(Ok(record))
        })
    }
}

impl BatchHeader {
    /// The size of the whole batch that the header speaks of; none if that is below a header or absurd.
    #[must_use]
    pub fn bytes(&self) -> Option<usize> {
        let bytes = usize::try_from(self.batch_length.get()).ok()? + LENGTH_FROM;
        (BATCH_HEADER_BYTES..=BATCH_BYTES_MAX).contains(&bytes).then_some(bytes)
    }
}

/// What closes a batch whose records are framed and summed already.
#[derive(Debug, Clone, Copy)]
pub struct Closing {
    /// Records framed, at least one.
    pub records: u32,
    /// CRC-32C of the framed records.
    pub records_crc: u32,
    /// Milliseconds of the first record.
    pub base_timestamp_ms: i64,
    /// Milliseconds of the latest record.
    pub max_timestamp_ms: i64,
}

/// Writes the header in front of records that stand in `batch[61..]`, with offset 0 and epoch 0 for the log to set.
/// Returns the batch's CRC, which joins the header's sum to the records' so that no payload byte is summed twice.
///
/// Panics on an empty or oversize batch, which is the caller's bug.
pub fn close(batch: &mut [u8], closing: &Closing) -> u32 {
    assert!(
        closing.records >= 1 && (BATCH_HEADER_BYTES..=BATCH_BYTES_MAX).contains(&batch.len()),
        "{} records in {} bytes, {BATCH_HEADER_BYTES} to {BATCH_BYTES_MAX}",
        closing.records,
        batch.len()
    );
    let records = i32::try_from(closing.records).expect("a batch of at most 1 MiB has fewer than 2^31 records");
    let records_bytes = batch.len() - BATCH_HEADER_BYTES;
    let mut header = BatchHeader {
        base_offset: I64::new(0),
        batch_length: I32::new(i32::try_from(batch.len() - LENGTH_FROM).expect("checked above")),
        leader_epoch: I32::new(0),
        magic: MAGIC,
        crc: U32::new(0),
        attributes: I16::new(0),
        last_offset_delta: I32::new(records - 1),
        base_timestamp: I64::new(closing.base_timestamp_ms),
        max_timestamp: I64::new(closing.max_timestamp_ms),
        producer_id: I64::new(-1),
        producer_epoch: I16::new(-1),
        base_sequence: I32::new(-1),
        record_count: I32::new(records),
    };
    let head_crc = checksum::crc32c(&header.as_bytes()[CRC_FROM..]);
    let crc = checksum::combine(head_crc, closing.records_crc, records_bytes);
    header.crc = U32::new(crc);
    batch[..BATCH_HEADER_BYTES].copy_from_slice(header.as_bytes());
    crc
}

/// A batch without records over offsets that nobody can read any more, as Kafka's own log cleaner leaves them: a consumer
/// goes on behind it instead of asking for ever. It covers at most 2³¹ offsets.
///
/// Panics when `end_offset` is not above `base_offset`.
#[must_use]
pub fn empty(base_offset: u64, end_offset: u64, epoch: Epoch) -> [u8; BATCH_HEADER_BYTES] {
    assert!(end_offset > base_offset, "an empty batch from {base_offset} to {end_offset}");
    let last_delta = i32::try_from(end_offset - base_offset - 1).unwrap_or(i32::MAX);
    let mut header = BatchHeader {
        base_offset: I64::new(0),
        batch_length: I32::new(i32::try_from(BATCH_HEADER_BYTES - LENGTH_FROM).expect("49")),
        leader_epoch: I32::new(0),
        magic: MAGIC,
        crc: U32::new(0),
        attributes: I16::new(0),
        last_offset_delta: I32::new(last_delta),
        base_timestamp: I64::new(-1),
        max_timestamp: I64::new(-1),
        producer_id: I64::new(-1),
        producer_epoch: I16::new(-1),
        base_sequence: I32::new(-1),
        record_count: I32::new(0),
    };
    header.crc = U32::new(checksum::crc32c(&header.as_bytes()[CRC_FROM..]));
    let mut bytes = [0; BATCH_HEADER_BYTES];
    bytes.copy_from_slice(header.as_bytes());
    stamp(&mut bytes, base_offset, epoch);
    bytes
}

/// Sets what only the log knows: both fields stand outside the batch's CRC.
pub fn stamp(batch: &mut [u8], base_offset: u64, epoch: Epoch) {
    let (header, _) = BatchHeader::mut_from_prefix(batch).expect("a closed batch has a header");
    header.base_offset = I64::new(i64::try_from(base_offset).expect("offsets stay below 2^63"));
    header.leader_epoch = I32::new(i32::try_from(epoch.0).expect("epochs stay below 2^31"));
}

/// An idempotent producer's own numbering of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    /// The producer, at least 0.
    pub id: i64,
    /// Its incarnation.
    pub epoch: i16,
    /// Sequence of the batch's first record; after 2³¹ − 1 comes 0.
    pub first: i32,
    /// Sequence of its last record.
    pub last: i32,
}

/// The numbering that a batch's header carries; none for ingested packets and for producers that do not number.
#[must_use]
pub fn produced(batch: &[u8]) -> Option<Produced> {
    let (header, _) = BatchHeader::ref_from_prefix(batch).ok()?;
    let (id, first) = (header.producer_id.get(), header.base_sequence.get());
    let last = sequence_after(first, header.last_offset_delta.get())?;
    (id >= 0).then_some(Produced { id, epoch: header.producer_epoch.get(), first, last })
}

/// The sequence `steps` after `sequence`, of numbers from 0 to 2³¹ − 1 in a circle; none where either is negative.
#[must_use]
pub fn sequence_after(sequence: i32, steps: i32) -> Option<i32> {
    let (sequence, steps) = (u32::try_from(sequence).ok()?, u32::try_from(steps).ok()?);
    i32::try_from((sequence + steps) & (u32::MAX >> 1)).ok()
}

#[cfg(test)]
mod tests;
