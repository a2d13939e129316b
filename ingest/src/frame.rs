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

/// Writes the record to the start of `out`; returns its bytes. Panics when `out` is too short, which room rules out.
pub fn record(out: &mut [u8], dress: &Dress<'_>, payload: &[u8]) -> usize {
    record_of(out, dress, payload.len(), std::iter::once(payload))
}

/// The same of a payload in parts, which are `payload_bytes` together.
pub fn record_of<'p>(out: &mut [u8], dress: &Dress<'_>, payload_bytes: usize, parts: impl Iterator<Item = &'p [u8]>) -> usize {
    let offset_delta = i64::from(dress.offset_delta);
    let (key_length, key) = dress.key.map_or((-1, &[][..]), |key| (to_i64(key.len()), key));
    let headers_bytes = if dress.received_ns.is_some() { STAMP_BYTES } else { 1 };
    let body_bytes = 1
        + varint_bytes(dress.timestamp_delta_ms)
        + varint_bytes(offset_delta)
        + varint_bytes(key_length)
        + key.len()
        + varint_bytes(to_i64(payload_bytes))
        + payload_bytes
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
    at += write_varint(&mut out[at..], to_i64(payload_bytes));
    let payload_end = at + payload_bytes;
    for part in parts {
        out[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    assert_eq!(at, payload_end, "the parts of a payload of {payload_bytes} bytes end at {at}, it ends at {payload_end}");
    match dress.received_ns {
        None => out[at] = 0,
        Some(received_ns) => {
            out[at..at + 4].copy_from_slice(&[2, 2, b't', 16]);
            out[at + 4..at + STAMP_BYTES].copy_from_slice(&received_ns.to_be_bytes());
        }
    }
    at + headers_bytes
}

/// A bare packet's record, which is nearly every one, but for what differs within a train: the offset's digits and the
/// payload. Sixteen bytes are stored at once and the payload laid over what is too many of them.
///
/// ```text
/// length 1–2 │ attributes 0 │ timestamp delta 1 │ offset delta 1–4 │ key -1 │ value length 1–2 │ value │ headers 0
/// └───────────────── first word ──────────────────────────────────┘└─── second word may begin anywhere here
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Template {
    words: [u64; 2],
    /// Offset deltas in this range have as many digits as the template has room for.
    offsets: (u32, u32),
    /// Bits before the offset's digits in the first word.
    shift: u32,
    prefix_bytes: usize,
    payload_bytes: usize,
}

/// Bytes that [`Template::write`] stores before the payload.
const STORE_BYTES: usize = 16;
/// Payloads below this leave the lengths in two bytes each, and so the offset in the first word.
const TEMPLATE_PAYLOAD_BYTES_MAX: usize = 8000;
/// First offset delta that takes one digit more, for one to four digits.
const DIGITS: [u32; 5] = [0, 1 << 6, 1 << 13, 1 << 20, 1 << 27];

impl Template {
    /// A template for packets of that size from that offset on; none where only [`record`] will do.
    #[must_use]
    pub fn of(dress: &Dress<'_>, payload_bytes: usize) -> Option<Template> {
        let plain = dress.key.is_none() && dress.received_ns.is_none() && (0..64).contains(&dress.timestamp_delta_ms);
        let digits = DIGITS[1..].iter().position(|end| dress.offset_delta < *end)? + 1;
        if !plain || payload_bytes >= TEMPLATE_PAYLOAD_BYTES_MAX {
            return None;
        }
        let mut bytes = [0; STORE_BYTES];
        let length = varint_bytes(to_i64(payload_bytes));
        let mut at = write_varint(&mut bytes, to_i64(4 + digits + length + payload_bytes));
        bytes[at + 1] = u8::try_from(dress.timestamp_delta_ms << 1).expect("below 64");
        let shift = u32::try_from(8 * (at + 2)).expect("at most 32");
        at += 2;
        // All digits but the last say that one follows.
        bytes[at..at + digits - 1].fill(0x80);
        at += digits;
        bytes[at] = 1;
        at += 1 + write_varint(&mut bytes[at + 1..], to_i64(payload_bytes));
        let words = [0, 8].map(|from| u64::from_le_bytes(*bytes[from..].first_chunk().expect("two words")));
        Some(Template { words, offsets: (DIGITS[digits - 1], DIGITS[digits]), shift, prefix_bytes: at, payload_bytes })
    }

    /// Whether a record with that offset and size is one of the template's.
    #[inline]
    #[must_use]
    pub fn fits(&self, offset_delta: u32, payload_bytes: usize) -> bool {
        payload_bytes == self.payload_bytes && offset_delta >= self.offsets.0 && offset_delta < self.offsets.1
    }

    /// Writes a record that fits to the start of `out`, which has room for any record of that payload; returns its bytes.
    #[inline]
    pub fn write(&self, out: &mut [u8], offset_delta: u32, payload: &[u8]) -> usize {
        let value = u64::from(offset_delta) << 1;
        let digits = (value & 0x7f) | (value & 0x3f80) << 1 | (value & 0x1f_c000) << 2 | (value & 0xfe0_0000) << 3;
        let out = &mut out[..STORE_BYTES + payload.len() + 1];
        out[..8].copy_from_slice(&(self.words[0] | digits << self.shift).to_le_bytes());
        out[8..STORE_BYTES].copy_from_slice(&self.words[1].to_le_bytes());
        let end = self.prefix_bytes + payload.len();
        out[self.prefix_bytes..end].copy_from_slice(payload);
        out[end] = 0;
        end + 1
    }
}

fn to_i64(bytes: usize) -> i64 {
    i64::try_from(bytes).expect("a length")
}
