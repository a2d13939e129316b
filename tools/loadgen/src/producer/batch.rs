//! A record batch, format v2, as it grows: the bytes of its records, then its header and CRC.
//!
//! The layout stands in `kafka/batch.rs`, which reads it. Written here: magic 2, no codec, CreateTime, no keys and no
//! headers; each record's time is when it was due, so that offsets by time are offsets by schedule.

use bytes::Bytes;
use crc_fast::crc32_iscsi;

/// Bytes before the records.
pub const HEADER_BYTES: usize = 61;
/// From here on the CRC covers.
const COVERED_FROM: usize = 21;

/// Bytes of a record beside its value: length, attributes, two deltas, key, value length and headers, at their longest.
pub const RECORD_BYTES_OWN: usize = 24;

/// Who wrote a batch; −1 throughout for a producer without a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Producer id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence of the batch's first record.
    pub sequence: i32,
}

/// Of a producer that is not idempotent.
pub const NOBODY: Identity = Identity { id: -1, epoch: -1, sequence: -1 };

/// A batch that takes records.
#[derive(Debug, Default)]
pub struct Growing {
    bytes: Vec<u8>,
    count: i32,
    first_ms: i64,
    last_ms: i64,
}

impl Growing {
    /// Bytes that it has now.
    pub fn len(&self) -> usize {
        self.bytes.len().max(HEADER_BYTES)
    }

    /// Adds a record of this time and value.
    pub fn push(&mut self, time_ms: i64, value: &[u8]) {
        if self.count == 0 {
            self.bytes.resize(HEADER_BYTES, 0);
            (self.first_ms, self.last_ms) = (time_ms, time_ms);
        }
        self.last_ms = self.last_ms.max(time_ms);
        let mut head = [0; RECORD_BYTES_OWN];
        let mut len = 1; // attributes
        varlong(&mut head, &mut len, time_ms - self.first_ms);
        varlong(&mut head, &mut len, i64::from(self.count));
        varlong(&mut head, &mut len, -1); // no key
        varlong(&mut head, &mut len, i64::try_from(value.len()).expect("65,507 at most"));
        let mut length = [0; 10];
        let mut length_len = 0;
        varlong(&mut length, &mut length_len, i64::try_from(len + value.len() + 1).expect("some bytes more"));
        self.bytes.extend_from_slice(&length[..length_len]);
        self.bytes.extend_from_slice(&head[..len]);
        self.bytes.extend_from_slice(value);
        self.bytes.push(0); // no headers
        self.count += 1;
    }

    /// The whole batch; this one is empty again.
    ///
    /// # Panics
    /// There is no record in it.
    pub fn seal(&mut self, by: Identity) -> Bytes {
        assert!(self.count > 0, "a batch of {} records", self.count);
        let mut bytes = std::mem::take(&mut self.bytes);
        let length = i32::try_from(bytes.len() - 12).expect("a batch is below 2 MiB");
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[12..16].copy_from_slice(&(-1_i32).to_be_bytes());
        bytes[16] = 2;
        bytes[23..27].copy_from_slice(&(self.count - 1).to_be_bytes());
        bytes[27..35].copy_from_slice(&self.first_ms.to_be_bytes());
        bytes[35..43].copy_from_slice(&self.last_ms.to_be_bytes());
        bytes[43..51].copy_from_slice(&by.id.to_be_bytes());
        bytes[51..53].copy_from_slice(&by.epoch.to_be_bytes());
        bytes[53..57].copy_from_slice(&by.sequence.to_be_bytes());
        bytes[57..61].copy_from_slice(&self.count.to_be_bytes());
        let sum = crc32_iscsi(&bytes[COVERED_FROM..]);
        bytes[17..21].copy_from_slice(&sum.to_be_bytes());
        self.count = 0;
        Bytes::from(bytes)
    }
}

/// Adds a zig-zag varint.
fn varlong(out: &mut [u8], len: &mut usize, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    loop {
        let low = u8::try_from(rest & 0x7F).expect("seven bits");
        rest >>= 7;
        out[*len] = if rest == 0 { low } else { low | 0x80 };
        *len += 1;
        if rest == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::records::RecordBatchDecoder;

    use super::*;
    use crate::kafka::batch::split;

    #[test]
    fn the_public_codec_reads_what_is_written() {
        let mut growing = Growing::default();
        let values: Vec<Vec<u8>> = [0, 1, 63, 64, 8191, 65_507].into_iter().map(|size| vec![7; size]).collect();
        let times = [5_000, 5_001, 4_000, 1_700_000_000_000, 5_000, 5_002];
        for (value, time_ms) in values.iter().zip(times) {
            let before = growing.len();
            growing.push(time_ms, value);
            assert!(growing.len() - before <= value.len() + RECORD_BYTES_OWN, "a record of {} bytes", growing.len() - before);
        }
        let bytes = growing.seal(Identity { id: 77, epoch: 3, sequence: 1_000 });
        let decoded = RecordBatchDecoder::decode_all(&mut bytes.clone()).unwrap();
        let records = &decoded[0].records;
        assert_eq!((decoded.len(), records.len()), (1, values.len()));
        for ((record, place), (value, time_ms)) in records.iter().zip(0..).zip(values.iter().zip(times)) {
            assert_eq!((record.offset, record.timestamp, record.sequence), (i64::from(place), time_ms, 1_000 + place));
            assert_eq!((record.producer_id, record.producer_epoch), (77, 3));
            assert_eq!((record.value.as_deref(), record.key.as_deref()), (Some(&value[..]), None));
        }
        let (batch, rest) = split(&bytes).unwrap();
        assert!(rest.is_empty() && batch.is_plain() && batch.records().all(|record| record.is_ok()));
    }

    #[test]
    fn the_next_batch_begins_anew() {
        let mut growing = Growing::default();
        growing.push(1, b"first");
        growing.seal(NOBODY);
        growing.push(2, b"second");
        let bytes = growing.seal(NOBODY);
        let (batch, _) = split(&bytes).unwrap();
        let record = batch.records().next().unwrap().unwrap();
        assert_eq!((batch.count, record.offset, record.timestamp_ms, record.value), (1, 0, 2, &b"second"[..]));
    }
}
