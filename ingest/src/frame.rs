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
