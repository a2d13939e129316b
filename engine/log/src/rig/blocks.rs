//! Sealed blocks of real batches, as the producer hands them over.

use super::IDS;
use headworks_format::block::{self, BLOCK_BYTES_MIN, COUNTERS, HEAD_BYTES, Seal};
use headworks_format::{PartitionId, batch, checksum, record};

/// A sealed block of these batches, each (place of its partition, records).
pub fn sealed(batches: &[(usize, u32)], wall_ns: u64, counters: [u64; COUNTERS]) -> Vec<u8> {
    let mut block = vec![0; BLOCK_BYTES_MIN];
    let mut at = HEAD_BYTES;
    for (place, (partition, records)) in batches.iter().enumerate() {
        let (from, body) = (at, at + batch::BATCH_HEADER_BYTES);
        at = (0..*records).fold(body, |at, delta| at + frame(&mut block[at..], delta));
        let records_crc = checksum::crc32c(&block[body..at]);
        let closing = batch::Closing { records: *records, records_crc, base_timestamp_ms: 1, max_timestamp_ms: 1 };
        let crc = batch::close(&mut block[from..at], &closing);
        block::directory_entry(&mut block, place, PartitionId(IDS[*partition]), from, at - from, *records, crc, Some(0));
    }
    let records = batches.iter().map(|(_, records)| records).sum();
    let seal = Seal { payload_bytes: at - HEAD_BYTES, batches: batches.len(), records, flags: 0, wall_ns, counters };
    assert_eq!(block::seal(&mut block, &seal) as u64, super::BLOCK_BYTES, "the batches fit the smallest block");
    block
}

/// A record without key, value or headers.
fn frame(out: &mut [u8], delta: u32) -> usize {
    let delta = i64::from(delta);
    let mut at = record::write_varint(out, i64::try_from(5 + record::varint_bytes(delta)).expect("small"));
    out[at] = 0;
    at += 1;
    for field in [0, delta, -1, -1, 0] {
        at += record::write_varint(&mut out[at..], field);
    }
    at
}
