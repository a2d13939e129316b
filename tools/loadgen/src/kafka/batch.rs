//! Record batches, format v2, taken apart without a copy.
//!
//! ```text
//!  0            8        12       16      17       21           23              27
//!  | base       | length | leader | magic | CRC-32C | attributes | last offset   | base
//!  | offset i64 | i32    | epoch  | 2     | u32     | i16        | delta i32     | timestamp i64 …
//!    35                 43          51       53       57      61
//!  … | max timestamp i64 | producer  | epoch  | base     | record | records
//!    |                   | id i64    | i16    | sequence | count  |
//! ```
//! (big-endian; `length` counts from byte 12 on, the CRC covers from byte 21 on; source: Kafka's
//! documentation, "Record Batch".) A record is
//! `length, attributes i8, timestamp delta, offset delta, key length, key, value length, value,
//! headers count, (key length, key, value length, value)…`, its numbers zig-zag varints.
//!
//! Refused, each with its reason: another magic, a length outside of the bytes there, a CRC that does
//! not match, counts that contradict, a varint beyond its width. Compressed and control batches are not
//! opened: ingested packets never lie in one.

use crc_fast::crc32_iscsi;

#[cfg(test)]
pub mod tests;

/// Bytes before the records.
const HEADER_BYTES: usize = 61;
/// Bytes that `length` does not count.
const LENGTH_AT_END: usize = 12;
/// From here on the CRC covers.
const COVERED_FROM: usize = 21;

const COMPRESSION: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const CONTROL: i16 = 0x20;

/// Header of a record that holds its receive time: i64, big-endian, nanoseconds since 1970.
const RECEIVE_TIME: &[u8] = b"t";

/// A batch whose CRC matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset of its last record less the first.
    pub last_offset_delta: i32,
    /// Records it says it holds.
    pub count: u32,
    attributes: i16,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    records: &'a [u8],
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Its time, milliseconds since 1970.
    pub timestamp_ms: i64,
    /// When it was received, nanoseconds since 1970, if the stream keeps that.
    pub receive_time_ns: Option<i64>,
    /// Its bytes; a null value reads as none.
    pub value: &'a [u8],
}

/// What is wrong with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end inside of it.
    #[error("cut off")]
    Cut,
    /// Its length is less than its header.
    #[error("a length below its header")]
    Length,
    /// Another format than v2.
    #[error("magic {0}, not 2")]
    Magic(u8),
    /// Its CRC does not match.
    #[error("CRC-32C {stated:#010x} stated, {found:#010x} found")]
    Checksum {
        /// In the header.
        stated: u32,
        /// Over the bytes.
        found: u32,
    },
    /// Its counts contradict each other.
    #[error("counts that contradict each other")]
    Count,
    /// A record does not end where it says.
    #[error("a record that does not end where it says")]
    Record,
}

/// Takes the first batch off the bytes: the batch, and what follows it.
///
/// # Errors
/// See [`BatchError`]; `Cut` at the end of an answer only means that the server stopped there.
pub fn split(bytes: &[u8]) -> Result<(Batch<'_>, &[u8]), BatchError> {
    let length = i32::from_be_bytes(array(bytes, 8)?);
    let length = usize::try_from(length).map_err(|_| BatchError::Length)?;
    let end = length.checked_add(LENGTH_AT_END).ok_or(BatchError::Length)?;
    if end < HEADER_BYTES {
        return Err(BatchError::Length);
    }
    if end > bytes.len() {
        return Err(BatchError::Cut);
    }
    let (batch, rest) = bytes.split_at(end);
    if batch[16] != 2 {
        return Err(BatchError::Magic(batch[16]));
    }
    let stated = u32::from_be_bytes(array(batch, 17)?);
    let found = crc32_iscsi(&batch[COVERED_FROM..]);
    if stated != found {
        return Err(BatchError::Checksum { stated, found });
    }
    let count = i32::from_be_bytes(array(batch, 57)?);
    let last_offset_delta = i32::from_be_bytes(array(batch, 23)?);
    let base_offset = i64::from_be_bytes(array(batch, 0)?);
    let beyond = base_offset.checked_add(i64::from(last_offset_delta) + 1);
    if last_offset_delta < 0 || base_offset < 0 || beyond.is_none() {
        return Err(BatchError::Count);
    }
    let batch = Batch {
        base_offset,
        last_offset_delta,
        count: u32::try_from(count).map_err(|_| BatchError::Count)?,
        attributes: i16::from_be_bytes(array(batch, 21)?),
        base_timestamp_ms: i64::from_be_bytes(array(batch, 27)?),
        max_timestamp_ms: i64::from_be_bytes(array(batch, 35)?),
        records: &batch[HEADER_BYTES..],
    };
    Ok((batch, rest))
}

impl<'a> Batch<'a> {
    /// Offset after its last record.
    pub fn next_offset(&self) -> i64 {
        // `split` refused what would overflow.
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }

    /// Whether its records lie there as they are: not compressed, not a control batch.
    pub fn is_plain(&self) -> bool {
        self.attributes & (COMPRESSION | CONTROL) == 0
    }

    /// Its records, in order. To be asked of a plain batch only.
    pub fn records(&self) -> Records<'a> {
        Records { batch: *self, rest: self.records, read: 0 }
    }
}

/// Iterates over the records of a batch; ends after the first error.
#[derive(Debug)]
pub struct Records<'a> {
    batch: Batch<'a>,
    rest: &'a [u8],
    read: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.read == self.batch.count {
            let left_over = !self.rest.is_empty();
            self.rest = &[];
            return left_over.then_some(Err(BatchError::Count));
        }
        let record = self.record();
        match record {
            Ok(_) => self.read += 1,
            // Nothing behind a bad record can be found.
            Err(_) => (self.read, self.rest) = (self.batch.count, &[]),
        }
        Some(record)
    }
}

impl<'a> Records<'a> {
    fn record(&mut self) -> Result<Record<'a>, BatchError> {
        let length = length_of(&mut self.rest)?.ok_or(BatchError::Record)?;
        let mut body = take(&mut self.rest, length)?;
        take(&mut body, 1)?;
        let timestamp_delta = varlong(&mut body)?;
        let offset_delta = varlong(&mut body)?;
        bytes_of(&mut body)?;
        let value = bytes_of(&mut body)?;
        let receive_time_ns = receive_time(&mut body)?;
        if !body.is_empty() {
            return Err(BatchError::Record);
        }
        let batch = &self.batch;
        if !(0..=i64::from(batch.last_offset_delta)).contains(&offset_delta) {
            return Err(BatchError::Count);
        }
        let timestamp_ms = match batch.attributes & LOG_APPEND_TIME {
            0 => batch.base_timestamp_ms.wrapping_add(timestamp_delta),
            _ => batch.max_timestamp_ms,
        };
        let offset = batch.base_offset + offset_delta;
        Ok(Record { offset, timestamp_ms, receive_time_ns, value: value.unwrap_or_default() })
    }
}

/// Reads the headers to their end; the receive time, if one of them holds it.
fn receive_time(body: &mut &[u8]) -> Result<Option<i64>, BatchError> {
    let headers = varlong(body)?;
    let mut found = None;
    // Each header takes two bytes at least, so a lie about their number ends with the bytes.
    for _ in 0..headers {
        let key = bytes_of(body)?;
        let value = bytes_of(body)?;
        if key == Some(RECEIVE_TIME) {
            found = value.and_then(|value| value.try_into().ok()).map(i64::from_be_bytes);
        }
    }
    Ok(found)
}

/// A length and that many bytes; `None` for the length -1.
fn bytes_of<'a>(body: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BatchError> {
    length_of(body)?.map(|length| take(body, length)).transpose()
}

/// A length; `None` for -1.
fn length_of(body: &mut &[u8]) -> Result<Option<usize>, BatchError> {
    match varlong(body)? {
        -1 => Ok(None),
        length => usize::try_from(length).map(Some).map_err(|_| BatchError::Record),
    }
}

/// A zig-zag varint of at most ten bytes.
#[inline]
fn varlong(body: &mut &[u8]) -> Result<i64, BatchError> {
    let mut value = 0_u64;
    for place in 0..10 {
        let (first, rest) = body.split_first().ok_or(BatchError::Record)?;
        *body = rest;
        value |= u64::from(first & 0x7F) << (7 * place);
        if first & 0x80 == 0 {
            let magnitude = (value >> 1).cast_signed();
            return Ok(if value & 1 == 0 { magnitude } else { !magnitude });
        }
    }
    Err(BatchError::Record)
}

fn take<'a>(body: &mut &'a [u8], length: usize) -> Result<&'a [u8], BatchError> {
    let (taken, rest) = body.split_at_checked(length).ok_or(BatchError::Record)?;
    *body = rest;
    Ok(taken)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], BatchError> {
    bytes.get(at..at + N).and_then(|part| part.try_into().ok()).ok_or(BatchError::Cut)
}
