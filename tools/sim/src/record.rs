//! Framing of the records that simulated clients and senders produce.

use headworks_format::record;

/// Writes a record without key or headers, at its batch's timestamp, to the start of `out`; its bytes.
pub fn write(out: &mut [u8], delta: u32, value: &[u8]) -> usize {
    let length = i64::try_from(value.len()).expect("small");
    let body = 2 + record::varint_bytes(i64::from(delta)) + record::varint_bytes(-1) + record::varint_bytes(length) + value.len() + 1;
    let mut at = record::write_varint(out, i64::try_from(body).expect("small"));
    out[at] = 0;
    at += 1;
    at += record::write_varint(&mut out[at..], 0);
    at += record::write_varint(&mut out[at..], i64::from(delta));
    at += record::write_varint(&mut out[at..], -1);
    at += record::write_varint(&mut out[at..], length);
    out[at..at + value.len()].copy_from_slice(value);
    at += value.len();
    at + record::write_varint(&mut out[at..], 0)
}
