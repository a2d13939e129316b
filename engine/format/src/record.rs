//! Kafka record v2 inside a batch: zig-zag varints, written minimal, read with every length checked.
//!
//! ```text
//! length varint | attributes i8 = 0 | timestamp delta varlong | offset delta varint
//! | key length varint (-1: null) | key | value length varint (-1: null) | value | header count varint | headers
//! header: key length varint | key | value length varint (-1: null) | value
//! ```
//!
//! Refused, because clients refuse it and would stop at that offset for ever: a varint that is not one of 32 bits in at
//! most 5 bytes (a varlong: 64 bits in 10), headers that do not fill the record to its end, a header without a key.

/// The most bytes a varint of a 64-bit value takes.
pub const VARINT_BYTES_MAX: usize = 10;
/// The most bytes a varint of a 32-bit value takes: every one in a record but the timestamp delta.
const VARINT32_BYTES_MAX: usize = 5;

/// Bytes that `value` takes as a zig-zag varint.
#[must_use]
pub fn varint_bytes(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Writes `value` to the start of `out`; returns the bytes written. Panics if `out` is too short.
pub fn write_varint(out: &mut [u8], value: i64) -> usize {
    let mut rest = zigzag(value);
    let mut at = 0;
    while rest >= 0x80 {
        out[at] = low_byte(rest) | 0x80;
        rest >>= 7;
        at += 1;
    }
    out[at] = low_byte(rest);
    at + 1
}

/// Reads a varint from the start of `bytes`: the value and the bytes it took; none if cut short or longer than 64 bits.
#[must_use]
pub fn read_varint(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        let part = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit only.
        if at == VARINT_BYTES_MAX - 1 && part > 1 {
            return None;
        }
        value |= part << (7 * at);
        if byte & 0x80 == 0 {
            return Some((unzigzag(value), at + 1));
        }
    }
    None
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[allow(clippy::cast_possible_truncation)]
fn low_byte(value: u64) -> u8 {
    value as u8
}

/// One record of an uncompressed batch, borrowed from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Milliseconds to add to the batch's base timestamp.
    pub timestamp_delta_ms: i64,
    /// To add to the batch's base offset.
    pub offset_delta: i64,
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// The value, if any.
    pub value: Option<&'a [u8]>,
    /// Number of headers.
    pub headers: i64,
    /// The headers' bytes, which hold so many headers and nothing else.
    pub headers_raw: &'a [u8],
}

/// Reads a record from the start of `bytes`: it and the bytes it took; none if it does not hold together.
#[must_use]
pub fn read_record(bytes: &[u8]) -> Option<(Record<'_>, usize)> {
    let mut all = Cursor(bytes);
    let length = usize::try_from(all.varint()?).ok()?;
    let prefix = bytes.len() - all.0.len();
    let mut body = Cursor(all.take(length)?);
    body.take(1)?;
    let timestamp_delta_ms = body.varlong()?;
    let offset_delta = body.varint()?;
    let key = body.nullable()?;
    let value = body.nullable()?;
    let headers = body.varint()?;
    if !are_headers(body.0, headers) {
        return None;
    }
    Some((Record { timestamp_delta_ms, offset_delta, key, value, headers, headers_raw: body.0 }, prefix + length))
}

/// Whether `bytes` are exactly so many headers. Each takes two bytes or more, so a false count ends with the bytes.
fn are_headers(bytes: &[u8], count: i64) -> bool {
    let mut rest = Cursor(bytes);
    let header = |_| matches!(rest.nullable(), Some(Some(_))) && rest.nullable().is_some();
    count >= 0 && (0..count).all(header) && rest.0.is_empty()
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn varlong(&mut self) -> Option<i64> {
        let (value, bytes) = read_varint(self.0)?;
        self.0 = &self.0[bytes..];
        Some(value)
    }

    fn varint(&mut self) -> Option<i64> {
        let before = self.0.len();
        let value = self.varlong()?;
        let is_short = before - self.0.len() <= VARINT32_BYTES_MAX;
        (is_short && i32::try_from(value).is_ok()).then_some(value)
    }

    fn nullable(&mut self) -> Option<Option<&'a [u8]>> {
        match self.varint()? {
            -1 => Some(None),
            length => self.take(usize::try_from(length).ok()?).map(Some),
        }
    }
}

#[cfg(test)]
mod tests;
