//! What clients produce: record batches whose every record says who sent it and which of its it is.

use crate::record;
use headworks_format::batch::{self, BATCH_HEADER_BYTES, BatchHeader, CRC_FROM, Closing};
use headworks_format::block::{self, COUNTERS, HEAD_BYTES, Seal};
use headworks_format::{PartitionId, checksum};
use zerocopy::FromBytes as _;

/// A batch on its way into a block.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Where to.
    pub partition: PartitionId,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its records.
    pub records: u32,
    /// Number under which its place is told.
    pub ticket: u64,
}

/// Makes a batch of records `first`, `first + 1`, … of a client. Only one that numbers them can be recognised as sent before.
pub fn make(client: usize, first: i32, records: u32, numbers: bool, filler: usize) -> Vec<u8> {
    let mut bytes = vec![0; BATCH_HEADER_BYTES + records as usize * (filler + 64)];
    let mut at = BATCH_HEADER_BYTES;
    for delta in 0..records {
        at += frame(&mut bytes[at..], client, i64::from(first) + i64::from(delta), delta, filler);
    }
    bytes.truncate(at);
    let records_crc = checksum::crc32c(&bytes[BATCH_HEADER_BYTES..]);
    let closing = Closing { records, records_crc, base_timestamp_ms: 1, max_timestamp_ms: 1 };
    batch::close(&mut bytes, &closing);
    if numbers {
        let (header, _) = BatchHeader::mut_from_prefix(&mut bytes).expect("a closed batch has a header");
        header.producer_id = i64::try_from(client).expect("few clients").into();
        header.producer_epoch = 0.into();
        header.base_sequence = first.into();
        let crc = checksum::crc32c(&bytes[CRC_FROM..]);
        let (header, _) = BatchHeader::mut_from_prefix(&mut bytes).expect("as above");
        header.crc = crc.into();
    }
    bytes
}

fn frame(out: &mut [u8], client: usize, number: i64, delta: u32, filler: usize) -> usize {
    let mut value = (client as u64).to_le_bytes().to_vec();
    value.extend_from_slice(&number.to_le_bytes());
    let [pattern, ..] = number.to_le_bytes();
    value.resize(16 + filler, pattern);
    record::write(out, delta, &value)
}

/// A batch as it was sent: without what the log sets.
pub fn as_sent(bytes: &[u8]) -> Vec<u8> {
    let mut sent = bytes.to_vec();
    batch::stamp(&mut sent, 0, headworks_format::Epoch(0));
    sent
}

/// A sealed block of these batches; counters go on.
pub fn seal(batches: &[Batch], wall_ns: u64, counters: &mut [u64; COUNTERS]) -> Vec<u8> {
    let payload_bytes: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
    let mut bytes = vec![0; block::block_bytes_for(payload_bytes)];
    let mut at = HEAD_BYTES;
    for (index, batch) in batches.iter().enumerate() {
        let length = batch.bytes.len();
        bytes[at..at + length].copy_from_slice(&batch.bytes);
        let (header, _) = BatchHeader::ref_from_prefix(&batch.bytes).expect("a closed batch has a header");
        block::directory_entry(&mut bytes, index, batch.partition, at, length, batch.records, header.crc.get(), Some(0));
        block::ticket(&mut bytes, index, batch.ticket);
        at += length;
    }
    let records = batches.iter().map(|batch| batch.records).sum();
    counters[0] += u64::from(records);
    counters[3] += u64::from(records);
    let seal = Seal { payload_bytes, batches: batches.len(), records, flags: 0, wall_ns, counters: *counters };
    block::seal(&mut bytes, &seal);
    bytes
}
