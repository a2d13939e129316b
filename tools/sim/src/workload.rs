//! What is appended: blocks of record batches whose every record says which one it is.
//!
//! A record's value is a number that no other record of the run has, its partition, and filler that follows from both, so a
//! record that stands where it does not belong is seen whatever sums it carries.

use crate::random::Random;
use crate::record;
use headworks_format::PartitionId;
use headworks_format::batch::{self, BATCH_HEADER_BYTES, Closing};
use headworks_format::block::{self, COUNTERS, HEAD_BYTES, Seal};
use headworks_format::checksum;

/// The producer of one run.
#[derive(Debug)]
pub struct Workload {
    random: Random,
    next_record: u64,
    /// The lane's cumulative counters.
    pub counters: [u64; COUNTERS],
    payload_bytes_max: usize,
}

impl Workload {
    /// A producer of blocks whose payload is at most that large.
    #[must_use]
    pub fn new(random: Random, payload_bytes_max: usize) -> Workload {
        Workload { random, next_record: 1, counters: [0; COUNTERS], payload_bytes_max }
    }

    /// A sealed block for some of the partitions, and how many batches it has.
    pub fn block(&mut self, partitions: &[PartitionId], wall_ns: u64) -> (Vec<u8>, usize) {
        let payload_bytes = 400 + self.random.index(self.payload_bytes_max - 400);
        let mut block = vec![0; block::block_bytes_for(payload_bytes)];
        let batches_max = self.random.within(1, 6);
        let (mut at, mut batches, mut records) = (HEAD_BYTES, 0, 0);
        let end = HEAD_BYTES + payload_bytes;
        while batches < usize::try_from(batches_max).expect("at most 6") && at + 200 < end {
            let room = 200 + self.random.index(end - at - 199);
            let partition = self.random.pick(partitions);
            let room = room.min(end - at);
            let (length, count, crc) = self.batch(&mut block[at..at + room], partition, wall_ns / 1_000_000);
            block::directory_entry(&mut block, batches, partition, at, length, count, crc, Some(0));
            at += length;
            batches += 1;
            records += count;
        }
        self.counters[0] += u64::from(records);
        self.counters[3] += u64::from(records);
        let seal = Seal { payload_bytes: at - HEAD_BYTES, batches, records, flags: 0, wall_ns, counters: self.counters };
        let bytes = block::seal(&mut block, &seal);
        block.truncate(bytes);
        (block, batches)
    }

    /// Fills a batch of at most `room`; its length, records and CRC.
    fn batch(&mut self, room: &mut [u8], partition: PartitionId, wall_ms: u64) -> (usize, u32, u32) {
        let (mut at, mut count) = (BATCH_HEADER_BYTES, 0);
        loop {
            let filler = self.random.index(900);
            // Prefixes of a record take at most 30 bytes.
            if count > 0 && at + 30 + 12 + filler > room.len() {
                break;
            }
            let filler = filler.min(room.len() - at - 42);
            at += self.record(&mut room[at..], partition, count, filler);
            count += 1;
        }
        let ms = i64::try_from(wall_ms).expect("a run is short");
        let closing = Closing {
            records: count,
            records_crc: checksum::crc32c(&room[BATCH_HEADER_BYTES..at]),
            base_timestamp_ms: ms,
            max_timestamp_ms: ms,
        };
        (at, count, batch::close(&mut room[..at], &closing))
    }

    fn record(&mut self, out: &mut [u8], partition: PartitionId, delta: u32, filler: usize) -> usize {
        let mut value = self.next_record.to_le_bytes().to_vec();
        value.extend_from_slice(&partition.0.to_le_bytes());
        let [pattern, ..] = (self.next_record ^ u64::from(partition.0)).to_le_bytes();
        value.resize(12 + filler, pattern);
        self.next_record += 1;
        record::write(out, delta, &value)
    }
}
