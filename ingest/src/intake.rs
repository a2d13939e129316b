//! The open block of a lane: packets are framed into it until it is sealed.
//!
//! ```text
//! slot: │ head page (left for seal and stamp) │ batch header │ record record ... │ batch header │ record ...
//!                                               └ open batch: header written when it is closed ┘
//! ```
//!
//! A slot has one open batch at a time: a packet of another partition closes it and opens the next. The records of a
//! batch are summed as they are framed, while they are in the cache, and the header joins its own sum to theirs.

use crate::batches::Batch;
use crate::frame::{self, Dress, OVERHEAD_BYTES_MAX, Template};
use headworks_format::PartitionId;
use headworks_format::batch::{self, BATCH_BYTES_MAX, BATCH_HEADER_BYTES, BATCH_RECORDS_MAX, Closing};
use headworks_format::block::{self, BATCHES_MAX, COUNTERS, HEAD_BYTES, PAYLOAD_BYTES_MAX, Seal};
use headworks_format::checksum::Running;

/// A batch is closed when it has grown to this.
pub const BATCH_BYTES_TARGET: usize = 256 << 10;
/// Framed bytes that are summed in one run.
const SUM_BYTES: usize = 16 << 10;
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

/// Packets of one size, but for the last, one behind the other: what one receive hands over.
#[derive(Debug, Clone, Copy)]
pub struct Train<'p> {
    payload: &'p [u8],
    packet_bytes: usize,
    packets: usize,
}

impl<'p> Train<'p> {
    /// A train whose packets have that size; without one, or without payload, it is a single packet.
    #[must_use]
    pub fn new(payload: &'p [u8], packet_bytes: Option<usize>) -> Train<'p> {
        let packet_bytes = packet_bytes.unwrap_or(payload.len()).clamp(1, payload.len().max(1));
        Train { payload, packet_bytes, packets: payload.len().div_ceil(packet_bytes).max(1) }
    }

    /// Packets in it.
    #[must_use]
    pub fn packets(&self) -> usize {
        self.packets
    }

    /// What is left behind the first `packets`.
    #[must_use]
    pub fn after(&self, packets: usize) -> Train<'p> {
        let bytes = (packets * self.packet_bytes).min(self.payload.len());
        Train { payload: &self.payload[bytes..], packets: self.packets - packets, ..*self }
    }

    fn first(&self, packets: usize) -> impl Iterator<Item = &'p [u8]> + use<'p> {
        let empty = (self.payload.is_empty() && packets > 0).then_some(self.payload);
        self.payload.chunks(self.packet_bytes).take(packets).chain(empty)
    }
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
    /// Records begin below this …
    begin_end: usize,
    /// … and end at or below this.
    end_max: usize,
    sum: Running,
    summed: usize,
}

/// The open block.
#[derive(Debug, Default)]
pub struct Intake {
    at: usize,
    batches: usize,
    records: u32,
    first_ns: u64,
    batch: Option<OpenBatch>,
    awaited: bool,
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

    /// Frames the packets of a train until they or the block end.
    pub fn take(&mut self, slot: &mut [u8], route: &Route<'_>, train: Train<'_>) -> Taken {
        let mut taken = Taken::default();
        let time_ms = time_ms(route);
        let most = train.packet_bytes + OVERHEAD_BYTES_MAX + route.key.map_or(0, <[u8]>::len);
        assert!(train.packet_bytes <= PACKET_BYTES_MAX, "packets of {} B, at most {PACKET_BYTES_MAX}", train.packet_bytes);
        let mut rest = train;
        while rest.packets > 0 {
            if !self.continues(route.partition, most) && !self.begin_batch(slot, route, time_ms, most) {
                taken.full = true;
                break;
            }
            let (packets, bytes) = self.fill(slot, route, time_ms, most, &rest);
            rest = rest.after(packets);
            taken.packets += packets as u64;
            taken.bytes += bytes as u64;
        }
        taken
    }

    /// Frames as many packets as are sure to fit the open batch, at least one. Nothing is asked twice within.
    fn fill(&mut self, slot: &mut [u8], route: &Route<'_>, time_ms: i64, most: usize, train: &Train<'_>) -> (usize, usize) {
        let open = self.batch.as_mut().expect("a batch is open");
        let sure = 1 + (open.end_max - most).min(open.begin_end - 1).saturating_sub(self.at) / most;
        let packets = sure.min(train.packets);
        let mut dress = open.dress(route, time_ms);
        let (mut at, mut bytes) = (self.at, 0);
        let mut template = Template::of(&dress, train.packet_bytes);
        for packet in train.first(packets) {
            if template.is_some_and(|template| !template.fits(dress.offset_delta, packet.len())) {
                template = Template::of(&dress, packet.len());
            }
            at += match &template {
                Some(template) => template.write(&mut slot[at..], dress.offset_delta, packet),
                None => frame::record(&mut slot[at..], &dress, packet),
            };
            dress.offset_delta += 1;
            bytes += packet.len();
        }
        self.at = at;
        open.records = dress.offset_delta;
        open.max_ms = open.max_ms.max(time_ms);
        open.sum_up(slot, at, SUM_BYTES);
        (packets, bytes)
    }

    /// Frames one record from the parts of its payload, which are `bytes` together; `false`: the block is full, and nothing
    /// has changed.
    pub fn take_parts<'p>(&mut self, slot: &mut [u8], route: &Route<'_>, bytes: usize, parts: impl Iterator<Item = &'p [u8]>) -> bool {
        assert!(bytes <= PACKET_BYTES_MAX, "a record of {bytes} B, at most {PACKET_BYTES_MAX}");
        let time_ms = time_ms(route);
        let most = bytes + OVERHEAD_BYTES_MAX + route.key.map_or(0, <[u8]>::len);
        if !self.continues(route.partition, most) && !self.begin_batch(slot, route, time_ms, most) {
            return false;
        }
        let open = self.batch.as_mut().expect("a batch is open");
        let dress = open.dress(route, time_ms);
        self.at += frame::record_of(&mut slot[self.at..], &dress, bytes, parts);
        open.records += 1;
        open.max_ms = open.max_ms.max(time_ms);
        open.sum_up(slot, self.at, SUM_BYTES);
        true
    }

    /// Somebody waits for what is in the open block: see [`Intake::is_awaited`].
    pub fn await_it(&mut self) {
        self.awaited = true;
    }

    /// Copies a whole batch into the block; false when it does not fit: seal the block and offer it again.
    ///
    /// Panics on a batch that fits no block, which its checker refuses.
    pub fn take_batch(&mut self, slot: &mut [u8], batch: &Batch, now_ns: u64) -> bool {
        let bytes = batch.bytes.len();
        assert!((BATCH_HEADER_BYTES..=BATCH_BYTES_MAX).contains(&bytes), "a batch of {bytes} B, at most {BATCH_BYTES_MAX}");
        assert!(batch.records <= BATCH_RECORDS_MAX, "a batch of {} records, at most {BATCH_RECORDS_MAX}", batch.records);
        self.close_batch(slot);
        let from = self.at.max(HEAD_BYTES);
        if from + bytes > PAYLOAD_END || self.batches == BATCHES_MAX {
            return false;
        }
        if self.at == 0 {
            self.first_ns = now_ns;
        }
        slot[from..from + bytes].copy_from_slice(&batch.bytes);
        let delta_ms = batch.max_timestamp_ms.checked_sub(self.wall_ms());
        block::directory_entry(slot, self.batches, batch.partition, from, bytes, batch.records, batch.crc, delta_ms);
        block::ticket(slot, self.batches, batch.ticket);
        self.at = from + bytes;
        self.batches += 1;
        self.records += batch.records;
        self.awaited = true;
        true
    }

    /// Whether a client waits for something in the open block: lingering would only keep it waiting.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.awaited
    }

    fn wall_ms(&self) -> i64 {
        i64::try_from(self.first_ns / 1_000_000).expect("milliseconds since 1970 stay below 2^63")
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
        self.batch.as_ref().is_some_and(|open| open.partition == partition && self.at < open.begin_end && self.at + most <= open.end_max)
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
        self.batch = Some(OpenBatch {
            partition: route.partition,
            from,
            records: 0,
            base_ms: time_ms,
            max_ms: time_ms,
            begin_end: from + BATCH_BYTES_TARGET,
            end_max: PAYLOAD_END.min(from + BATCH_BYTES_MAX),
            sum: Running::new(),
            summed: self.at,
        });
        true
    }

    fn close_batch(&mut self, slot: &mut [u8]) {
        let Some(mut open) = self.batch.take() else { return };
        open.sum_up(slot, self.at, 1);
        let closing = Closing {
            records: open.records,
            records_crc: open.sum.value(),
            base_timestamp_ms: open.base_ms,
            max_timestamp_ms: open.max_ms,
        };
        let crc = batch::close(&mut slot[open.from..self.at], &closing);
        let wall_ms = self.wall_ms();
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

fn time_ms(route: &Route<'_>) -> i64 {
    i64::try_from(route.received_ns / 1_000_000).expect("milliseconds since 1970 stay below 2^63")
}

impl OpenBatch {
    /// What the batch's next record is dressed with.
    fn dress<'r>(&self, route: &Route<'r>, time_ms: i64) -> Dress<'r> {
        Dress {
            timestamp_delta_ms: time_ms - self.base_ms,
            offset_delta: self.records,
            key: route.key,
            received_ns: route.receive_time.then_some(route.received_ns),
        }
    }

    /// Sums what was framed up to `at`, once it is at least so much: few long runs cost less than many short ones, and what
    /// is this young is still in the cache.
    fn sum_up(&mut self, slot: &[u8], at: usize, bytes_min: usize) {
        if at - self.summed >= bytes_min {
            self.sum.update(&slot[self.summed..at]);
            self.summed = at;
        }
    }
}
