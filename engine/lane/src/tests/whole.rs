//! The log loop with everything real under it: a ring, io_uring, a volume on disk.

use crate::{Control, LaneSetup, LogLoop, LoopParts, LoopSetup, open_lane};
use headworks_format::block::{self, BLOCK_BYTES_MAX, COUNTERS, HEAD_BYTES, Seal};
use headworks_format::checkpoint::Partition;
use headworks_format::{Epoch, LaneId, PairId, PartitionId, batch, checksum};
use headworks_io::{Policy, Volume, Wake};
use headworks_log::Recovered;
use headworks_log::retain::Limits;
use headworks_log::verify::{Report, verify};
use headworks_ring::{Filler, Sender, message_ring};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

const SEGMENT_BYTES: u64 = 8 << 20;
const LANE: LaneId = LaneId(0);
const WALL_NS: u64 = 1_800_000_000_000_000_000;

fn setup(kept_bytes: u64) -> LaneSetup {
    LaneSetup { pair: PairId(7), slots: 8, depth: 4, segment_bytes: SEGMENT_BYTES, limits: Limits { size_bytes: kept_bytes, age_ns: None } }
}

/// A running lane with its producer.
struct Running {
    filler: Filler,
    wake: Wake,
    control: Sender<Control>,
    handle: JoinHandle<u64>,
    sent: u64,
}

/// Opens the lane in `path` and runs its loop.
fn start(path: &std::path::Path, setup: LaneSetup, epoch: u32) -> (Running, Recovered) {
    let volume = Arc::new(Volume::lock(path).expect("the directory is ours"));
    let parts = open_lane(&volume, LANE, &setup).expect("the lane opens");
    let mut recovered = Recovered::default();
    (recovered.partitions, recovered.next, recovered.counters) =
        (parts.recovered.partitions.clone(), parts.recovered.next, parts.recovered.counters);
    let partitions = match recovered.partitions.as_slice() {
        [] => vec![Partition { id: PartitionId(0), stream: "events".into(), number: 0, next_offset: 0, log_start: 0 }],
        known => known.to_vec(),
    };
    let (lane, filler, _readers) = parts.join(&volume, &setup, Epoch(epoch), partitions).expect("the lane joins");
    let wake = Wake::new().expect("an eventfd");
    let (control, control_receiver) = message_ring(2);
    let parts = LoopParts {
        lanes: vec![lane],
        wake: wake.clone(),
        readers: Wake::new().expect("an eventfd"),
        volume,
        seed: 42,
        control: control_receiver,
    };
    let loop_setup = LoopSetup { segment_bytes: SEGMENT_BYTES, cpu: None, idle: Policy::Wait, fixed_buffers: true };
    let handle = thread::spawn(move || LogLoop::new(parts, &loop_setup).expect("the loop starts").run(|| ()));
    let sent = recovered.counters[3];
    (Running { filler, wake, control, handle, sent }, recovered)
}

impl Running {
    /// Seals one block of one batch with that many payload bytes a record.
    fn send(&mut self, records: u32, value_bytes: usize) {
        let slot = loop {
            // The producer's own wake is not used here: it polls, since the test has nothing else to do.
            if let Some(slot) = self.filler.claim() {
                break slot;
            }
            thread::yield_now();
        };
        let mut at = HEAD_BYTES + batch::BATCH_HEADER_BYTES;
        for record in 0..records {
            at += frame(&mut slot[at..], record, value_bytes);
        }
        let closing = batch::Closing {
            records,
            records_crc: checksum::crc32c(&slot[HEAD_BYTES + batch::BATCH_HEADER_BYTES..at]),
            base_timestamp_ms: 1,
            max_timestamp_ms: 2,
        };
        let crc = batch::close(&mut slot[HEAD_BYTES..at], &closing);
        block::directory_entry(slot, 0, PartitionId(0), HEAD_BYTES, at - HEAD_BYTES, records, crc, None);
        self.sent += u64::from(records);
        let mut counters = [0; COUNTERS];
        counters[3] = self.sent;
        block::seal(slot, &Seal { payload_bytes: at - HEAD_BYTES, batches: 1, records, flags: 0, wall_ns: WALL_NS, counters });
        self.filler.publish();
        self.wake.wake();
    }

    /// Drains and ends the loop.
    fn stop(mut self) -> u64 {
        let mut counters = [0; COUNTERS];
        (counters[3], counters[1]) = (self.sent, 99);
        self.control.send(Control::Close { lane: 0, counters }).expect("room for a control message");
        self.wake.wake();
        assert_eq!(self.handle.join().expect("the loop ends"), 0, "blocks left behind");
        self.sent
    }
}

fn frame(out: &mut [u8], offset: u32, value_bytes: usize) -> usize {
    use headworks_format::record::{varint_bytes, write_varint};
    let (offset, length) = (i64::from(offset), i64::try_from(value_bytes).expect("small"));
    let body = 4 + varint_bytes(offset) + varint_bytes(length) + value_bytes;
    let mut at = write_varint(out, i64::try_from(body).expect("small"));
    out[at..at + 2].fill(0);
    at += 2;
    at += write_varint(&mut out[at..], offset);
    at += write_varint(&mut out[at..], -1);
    at += write_varint(&mut out[at..], length);
    out[at..at + value_bytes].fill(0x5a);
    out[at + value_bytes] = 0;
    at + value_bytes + 1
}

fn check(path: &std::path::Path) -> Report {
    let volume = Volume::lock(path).expect("nobody else has it");
    let disk = crate::LaneDisk::new(volume.folder(&crate::lane_folder(LANE)).expect("the lane's folder"), None);
    let report = verify(&disk, LANE, SEGMENT_BYTES, 8 * BLOCK_BYTES_MAX as u64).expect("the lane can be listed");
    assert_eq!(report.damage, [], "{report:?}");
    assert!(!report.torn_tail, "{report:?}");
    report
}

#[test]
fn what_was_sealed_is_durable_and_recovered_with_its_books() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut running, recovered) = start(directory.path(), setup(1 << 30), 1);
    assert_eq!((recovered.next, recovered.partitions.len()), (0, 0));
    (1..200u32).for_each(|block| running.send(1 + block % 7, 1 + (block as usize * 97) % 4000));
    let sent = running.stop();
    let report = check(directory.path());
    assert_eq!(report.records, sent);

    let (running, recovered) = start(directory.path(), setup(1 << 30), 2);
    assert_eq!((recovered.partitions[0].next_offset, recovered.counters[3], recovered.counters[1]), (sent, sent, 99));
    running.stop();
    assert_eq!(check(directory.path()).records, sent);
}

#[test]
fn large_blocks_roll_segments_and_retention_gives_them_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let kept_bytes = 4 * SEGMENT_BYTES;
    let (mut running, _) = start(directory.path(), setup(kept_bytes), 1);
    // Twelve segments' worth: the first eight at least are given back and written again.
    (0..100).for_each(|_| running.send(1, 1_000_000));
    let sent = running.stop();
    let report = check(directory.path());
    assert!(report.records < sent && report.records >= 20, "{} of {sent} records kept", report.records);
    let on_disk = report.segments + report.spares;
    assert!(on_disk <= 9, "{on_disk} files for {kept_bytes} bytes of {SEGMENT_BYTES}");

    let (running, recovered) = start(directory.path(), setup(kept_bytes), 2);
    assert_eq!(recovered.partitions[0].next_offset, sent, "offsets go on though their segments are gone");
    running.stop();
}

#[test]
fn a_loop_that_is_closed_at_once_leaves_a_lane_that_opens() {
    let directory = tempfile::tempdir().expect("a directory");
    for epoch in 1..4 {
        let (running, recovered) = start(directory.path(), setup(1 << 30), epoch);
        assert_eq!(recovered.partitions.first().map_or(0, |partition| partition.next_offset), 0);
        running.stop();
    }
    assert_eq!(check(directory.path()).records, 0);
}
