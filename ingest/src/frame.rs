//! Framing one packet as a Kafka record, straight into the block that will be written.

use headworks_format::record::{varint_bytes, write_varint};

/// What a record holds beside the packet.
#[derive(Debug, Clone, Copy)]
pub struct Dress<'a> {
    /// Milliseconds after the batch's base timestamp.
    pub timestamp_delta_ms: i64,
    /// Records before it in the batch.
    pub offset_delta: u32,
    /// The source, where the stream asks for it.
    pub key: Option<&'a [u8]>,
    /// Receive time in ns since 1970 as header `t`, where the stream asks for it.
    pub received_ns: Option<u64>,
}

/// Bytes of header `t`: count, key length, key, value length, value.
const STAMP_BYTES: usize = 1 + 1 + 1 + 1 + 8;

/// Bytes that a record takes at most beyond key and payload: length, attributes, deltas, two lengths, headers.
pub const OVERHEAD_BYTES_MAX: usize = 5 + 1 + 10 + 5 + 5 + 5 + STAMP_BYTES;

/// Bytes that the short way's prefix takes at most: four of length, one each of attributes, timestamp and key, four of
/// offset, four of value length, and one to spare, so that it is one 16-byte store.
const PREFIX_BYTES: usize = 16;

/// Writes the record to the start of `out`; returns its bytes. Panics when `out` is too short, which room rules out.
#[inline]
pub fn record(out: &mut [u8], dress: &Dress<'_>, payload: &[u8]) -> usize {
    let plain = dress.key.is_none() && dress.received_ns.is_none() && (0..SHORT_DELTA_MAX).contains(&dress.timestamp_delta_ms);
    if plain
        && payload.len() < SHORT_PAYLOAD_BYTES_MAX
        && dress.offset_delta < SHORT_OFFSET_MAX
        && out.len() >= PREFIX_BYTES + payload.len()
    {
        short(out, dress, payload)
    } else {
        long(out, dress, payload)
    }
}

/// Timestamp deltas below this take one byte.
const SHORT_DELTA_MAX: i64 = 64;
/// Payloads below this leave every length of the short way in four bytes.
const SHORT_PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Offset deltas below this take four bytes.
const SHORT_OFFSET_MAX: u32 = 1 << 27;

/// A bare packet, which is nearly every one: the whole prefix is put together in a register and stored at once.
/// Measured beside [`long`] at 64 bytes: half the time.
fn short(out: &mut [u8], dress: &Dress<'_>, payload: &[u8]) -> usize {
    let (delta, delta_bytes) = varint4(2 * dress.offset_delta);
    let (value, value_bytes) = varint4(2 * narrow(payload.len()));
    // Attributes, timestamp delta, offset delta, null key, value length, value, no headers.
    let body_bytes = 4 + delta_bytes + value_bytes + narrow(payload.len());
    let (length, length_bytes) = varint4(2 * body_bytes);
    let timestamp = dress.timestamp_delta_ms.cast_unsigned() << 1;
    let mut prefix = u128::from(length) | u128::from(timestamp) << (8 * (length_bytes + 1));
    let mut at = length_bytes + 2;
    prefix |= u128::from(delta) << (8 * at);
    at += delta_bytes;
    prefix |= 1 << (8 * at);
    at += 1;
    prefix |= u128::from(value) << (8 * at);
    at += value_bytes;
    out[..PREFIX_BYTES].copy_from_slice(&prefix.to_le_bytes());
    let at = at as usize;
    let end = at + payload.len();
    out[at..end].copy_from_slice(payload);
    out[end] = 0;
    end + 1
}

/// The varint of a value below 2²⁸ as little-endian bytes, and how many.
fn varint4(value: u32) -> (u32, u32) {
    let spread = (value & 0x7f) | (value & 0x3f80) << 1 | (value & 0x1f_c000) << 2 | (value & 0xfe0_0000) << 3;
    match value {
        0..0x80 => (spread, 1),
        0x80..0x4000 => (spread | 0x80, 2),
        0x4000..0x20_0000 => (spread | 0x8080, 3),
        _ => (spread | 0x80_8080, 4),
    }
}

fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("checked against the short way's limits")
}

/// Any record.
fn long(out: &mut [u8], dress: &Dress<'_>, payload: &[u8]) -> usize {
    let offset_delta = i64::from(dress.offset_delta);
    let (key_length, key) = dress.key.map_or((-1, &[][..]), |key| (length(key), key));
    let headers_bytes = if dress.received_ns.is_some() { STAMP_BYTES } else { 1 };
    let body_bytes = 1
        + varint_bytes(dress.timestamp_delta_ms)
        + varint_bytes(offset_delta)
        + varint_bytes(key_length)
        + key.len()
        + varint_bytes(length(payload))
        + payload.len()
        + headers_bytes;
    let mut at = write_varint(out, i64::try_from(body_bytes).expect("a record is below 2^31 bytes"));
    // One length check for everything that follows.
    let out = &mut out[..at + body_bytes];
    out[at] = 0;
    at += 1;
    at += write_varint(&mut out[at..], dress.timestamp_delta_ms);
    at += write_varint(&mut out[at..], offset_delta);
    at += write_varint(&mut out[at..], key_length);
    if !key.is_empty() {
        out[at..at + key.len()].copy_from_slice(key);
        at += key.len();
    }
    at += write_varint(&mut out[at..], length(payload));
    out[at..at + payload.len()].copy_from_slice(payload);
    at += payload.len();
    match dress.received_ns {
        None => out[at] = 0,
        Some(received_ns) => {
            out[at..at + 4].copy_from_slice(&[2, 2, b't', 16]);
            out[at + 4..at + STAMP_BYTES].copy_from_slice(&received_ns.to_be_bytes());
        }
    }
    at + headers_bytes
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).expect("a slice is below 2^63 bytes")
}
