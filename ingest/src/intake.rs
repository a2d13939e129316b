//! The open block of a lane: packets are framed into it until it is sealed.
//!
//! ```text
//! slot: │ head page (left for seal and stamp) │ batch header │ record record ... │ batch header │ record ...
//!                                               └ open batch: header written when it is closed ┘
//! ```
//!
//! A slot has one open batch at a time: a packet of another partition closes it and opens the next. The records of a
//! batch are summed as they are framed, while they are in the cache, and the header joins its own sum to theirs.

use crate::frame::{self, Dress, OVERHEAD_BYTES_MAX};
use headworks_format::PartitionId;
use headworks_format::batch::{self, BATCH_BYTES_MAX, BATCH_HEADER_BYTES, Closing};
use headworks_format::block::{self, BATCHES_MAX, COUNTERS, HEAD_BYTES, PAYLOAD_BYTES_MAX, Seal};
use headworks_format::checksum::Running;

/// A batch is closed when it has grown to this.
pub const BATCH_BYTES_TARGET: usize = 256 << 10;
/// The largest packet that fits a block whatever it is dressed with.
pub const PACKET_BYTES_MAX: usize = BATCH_BYTES_MAX - BATCH_HEADER_BYTES - OVERHEAD_BYTES_MAX - KEY_BYTES;
/// Bytes of a source as a key: address and port.
pub const KEY_BYTES: usize = 18;

const PAYLOAD_END: usize = HEAD_BYTES + PAYLOAD_BYTES_MAX;
const _: () = assert!(BATCH_BYTES_TARGET < BATCH_BYTES_MAX);

/// Where a packet goes and what it is dressed with.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// The partition.
    pub partition: PartitionId,
    /// The source, where the stream asks for it.
    pub key: Option<&'a [u8]>,
    /// Whether the stream asks for the receive time.
    pub receive_time: bool,
    /// Receive time in ns since 1970: the kernel's stamp where taken, else the turn's clock.
    pub received_ns: u64,
}

/// How many packets of a train were framed, and their payload bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// Packets.
    pub packets: u64,
    /// Payload bytes.
    pub bytes: u64,
    /// Whether the block is full: seal it and offer the rest again.
    pub full: bool,
}

#[derive(Debug, Clone)]
struct OpenBatch {
    partition: PartitionId,
    from: usize,
    records: u32,
    base_ms: i64,
    max_ms: i64,
    sum: Running,
}

/// The open block.
#[derive(Debug, Default)]
pub struct Intake {
    at: usize,
    batches: usize,
    records: u32,
    first_ns: u64,
    batch: Option<OpenBatch>,
}

impl Intake {
    /// Bytes of payload in the open block.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.at.saturating_sub(HEAD_BYTES)
    }

    /// Receive time of the open block's first packet in ns since 1970; none when it is empty.
    #[must_use]
    pub fn first_ns(&self) -> Option<u64> {
        (self.at > 0).then_some(self.first_ns)
    }

    /// Frames the packets of one train until they or the block end. Summed before it returns.
    pub fn take<'p>(&mut self, slot: &mut [u8], route: &Route<'_>, packets: impl Iterator<Item = &'p [u8]>) -> Taken {
        let mut taken = Taken::default();
        let time_ms = i64::try_from(route.received_ns / 1_000_000).expect("milliseconds since 1970 stay below 2^63");
        let mut summed = 0;
        for packet in packets {
            debug_assert!(packet.len() <= PACKET_BYTES_MAX, "a packet of {} B, at most {PACKET_BYTES_MAX}", packet.len());
            let most = packet.len() + OVERHEAD_BYTES_MAX + route.key.map_or(0, <[u8]>::len);
            if !self.continues(route.partition, most) {
                self.settle(slot, summed);
                if !self.begin_batch(slot, route, time_ms, most) {
                    taken.full = true;
                    return taken;
                }
                summed = self.at;
            } else if summed == 0 {
                summed = self.at;
            }
            let open = self.batch.as_mut().expect("a batch is open");
            let dress = Dress {
                timestamp_delta_ms: time_ms - open.base_ms,
                offset_delta: open.records,
                key: route.key,
                received_ns: route.receive_time.then_some(route.received_ns),
            };
            self.at += frame::record(&mut slot[self.at..PAYLOAD_END], &dress, packet);
            open.records += 1;
            open.max_ms = open.max_ms.max(time_ms);
            taken.packets += 1;
            taken.bytes += packet.len() as u64;
        }
        self.settle(slot, summed);
        taken
    }

    /// Closes the block: the batch, the directory, the producer's half of the header. Returns the block's size.
    ///
    /// Panics on an empty block.
    pub fn seal(&mut self, slot: &mut [u8], counters: [u64; COUNTERS]) -> usize {
        self.close_batch(slot);
        let seal = Seal {
            payload_bytes: self.payload_bytes(),
            batches: self.batches,
            records: self.records,
            flags: 0,
            wall_ns: self.first_ns,
            counters,
        };
        *self = Intake::default();
        block::seal(slot, &seal)
    }

    /// Whether the open batch takes a record of at most that size for the partition.
    fn continues(&self, partition: PartitionId, most: usize) -> bool {
        self.batch.as_ref().is_some_and(|open| {
            let grown = self.at - open.from + most;
            open.partition == partition
                && self.at - open.from < BATCH_BYTES_TARGET
                && grown <= BATCH_BYTES_MAX
                && self.at + most <= PAYLOAD_END
        })
    }

    fn begin_batch(&mut self, slot: &mut [u8], route: &Route<'_>, time_ms: i64, most: usize) -> bool {
        self.close_batch(slot);
        let from = self.at.max(HEAD_BYTES);
        if from + BATCH_HEADER_BYTES + most > PAYLOAD_END || self.batches == BATCHES_MAX {
            return false;
        }
        if self.at == 0 {
            self.first_ns = route.received_ns;
        }
        self.at = from + BATCH_HEADER_BYTES;
        self.batch =
            Some(OpenBatch { partition: route.partition, from, records: 0, base_ms: time_ms, max_ms: time_ms, sum: Running::new() });
        true
    }

    fn settle(&mut self, slot: &[u8], summed: usize) {
        if let Some(open) = self.batch.as_mut().filter(|_| summed > 0) {
            open.sum.update(&slot[summed..self.at]);
        }
    }

    fn close_batch(&mut self, slot: &mut [u8]) {
        let Some(open) = self.batch.take() else { return };
        let closing = Closing {
            records: open.records,
            records_crc: open.sum.value(),
            base_timestamp_ms: open.base_ms,
            max_timestamp_ms: open.max_ms,
        };
        let crc = batch::close(&mut slot[open.from..self.at], &closing);
        let wall_ms = i64::try_from(self.first_ns / 1_000_000).expect("as above");
        block::directory_entry(
            slot,
            self.batches,
            open.partition,
            open.from,
            self.at - open.from,
            open.records,
            crc,
            Some(open.max_ms - wall_ms),
        );
        self.batches += 1;
        self.records += open.records;
    }
}
