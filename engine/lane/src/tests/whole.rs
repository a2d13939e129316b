//! The log loop with everything real under it: a ring, io_uring, a volume on disk.

use crate::{Control, Grow, LaneEnds, LaneSetup, LogLoop, LoopParts, LoopSetup, Part, open_lane};
use headworks_format::block::{self, BLOCK_BYTES_MAX, COUNTERS, HEAD_BYTES, Seal};
use headworks_format::checkpoint::Partition;
use headworks_format::{Epoch, LaneId, PairId, PartitionId, batch, checksum};
use headworks_io::{Policy, Volume, Wake};
use headworks_log::retain::Limits;
use headworks_log::verify::{Report, verify};
use headworks_log::view::PartitionView;
use headworks_log::{Disk as _, LaneView, Receipt, Recovered};
use headworks_ring::{Filler, Receiver, Sender, message_ring};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

const SEGMENT_BYTES: u64 = 8 << 20;
const LANE: LaneId = LaneId(0);
const WALL_NS: u64 = 1_800_000_000_000_000_000;

fn setup(kept_bytes: u64) -> LaneSetup {
    LaneSetup {
        pair: PairId(7),
        slots: 8,
        depth: 4,
        segment_bytes: SEGMENT_BYTES,
        limits: Limits { size_bytes: kept_bytes, age_ns: None },
        part: Part::Alone,
    }
}

/// A running lane with its producer.
struct Running {
    filler: Filler,
    receipts: Receiver<Receipt>,
    view: Arc<LaneView>,
    wake: Wake,
    control: Sender<Control>,
    grow: Sender<Grow>,
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
    let (lane, ends) = parts.join(&volume, &setup, Epoch(epoch), partitions).expect("the lane joins");
    let LaneEnds { filler, readers: _, receipts } = ends;
    let wake = Wake::new().expect("an eventfd");
    let (control, control_receiver) = message_ring(2);
    let (grow, grow_receiver) = message_ring(4);
    let parts = LoopParts {
        lanes: vec![lane],
        wake: wake.clone(),
        readers: Wake::new().expect("an eventfd"),
        volume,
        seed: 42,
        control: control_receiver,
        grow: grow_receiver,
        shipper: None,
        told: mpsc::channel().0,
        mends: None,
    };
    let view = Arc::clone(parts.lanes[0].log.view());
    let loop_setup = LoopSetup { segment_bytes: SEGMENT_BYTES, cpu: None, idle: Policy::Wait, fixed_buffers: true };
    let handle = thread::spawn(move || LogLoop::new(parts, &loop_setup).expect("the loop starts").run(|| ()));
    let sent = recovered.counters[3];
    (Running { filler, receipts, view, wake, control, grow, handle, sent }, recovered)
}

impl Running {
    /// Seals one block of one batch with that many payload bytes a record.
    fn send(&mut self, records: u32, value_bytes: usize) {
        self.send_to(PartitionId(0), records, value_bytes, 0);
    }

    fn send_to(&mut self, partition: PartitionId, records: u32, value_bytes: usize, ticket: u64) {
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
        block::directory_entry(slot, 0, partition, HEAD_BYTES, at - HEAD_BYTES, records, crc, None);
        block::ticket(slot, 0, ticket);
        self.sent += u64::from(records);
        let mut counters = [0; COUNTERS];
        counters[3] = self.sent;
        block::seal(slot, &Seal { payload_bytes: at - HEAD_BYTES, batches: 1, records, flags: 0, wall_ns: WALL_NS, counters });
        self.filler.publish();
        self.wake.wake();
    }

    /// Asks for a partition and waits until readers see it.
    fn grow(&mut self, id: u32, stream: &str) {
        let partition = Partition { id: PartitionId(id), stream: stream.into(), number: 0, next_offset: 0, log_start: 0 };
        let view = PartitionView::of(&partition);
        assert!(self.grow.send(Grow { lane: 0, partition, view }).is_ok(), "room for a partition");
        self.wake.wake();
        while self.view.place(PartitionId(id)).is_none() {
            thread::yield_now();
        }
    }

    /// The next batch's receipt.
    fn receipt(&mut self) -> Receipt {
        loop {
            match self.receipts.recv() {
                Some(receipt) => return receipt,
                None => thread::yield_now(),
            }
        }
    }

    /// Drains and ends the loop.
    fn stop(mut self) -> u64 {
        let mut counters = [0; COUNTERS];
        (counters[3], counters[1]) = (self.sent, 99);
        self.control.send(Control::Close { lane: 0, counters: Some(counters) }).expect("room for a control message");
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
fn a_read_over_the_end_of_a_segment_brings_what_is_before_it() {
    const REST: usize = 8192;
    let directory = tempfile::tempdir().expect("a directory");
    let (mut running, _) = start(directory.path(), setup(1 << 30), 1);
    running.send(1, 100);
    running.stop();
    let volume = Volume::lock(directory.path()).expect("nobody else has it");
    let disk = crate::LaneDisk::new(volume.folder(&crate::lane_folder(LANE)).expect("the lane's folder"), None);
    let (file, bytes) = disk.files().expect("the lane can be listed")[0];
    let mut buffer = disk.buffer(1 << 20);
    assert_eq!(disk.read(file, bytes - REST as u64, 1 << 20, &mut buffer).expect("it is readable"), REST);
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

#[test]
fn a_partition_made_while_the_lane_runs_is_there_after_a_restart_with_its_records() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut running, _) = start(directory.path(), setup(1 << 30), 1);
    running.send(5, 100);
    running.grow(1, "made-later");
    running.grow(2, "made-last");
    running.send_to(PartitionId(2), 7, 100, 0);
    running.send(3, 100);
    running.stop();
    let named = |recovered: &Recovered| {
        let named = recovered.partitions.iter().map(|partition| (partition.stream.clone(), partition.next_offset));
        named.collect::<Vec<_>>()
    };
    let expected = [("events".to_owned(), 8), ("made-later".to_owned(), 0), ("made-last".to_owned(), 7)];
    // Twice: the second start finds the segment sealed, by a sidecar that names no partition.
    for epoch in 2..4 {
        let (running, recovered) = start(directory.path(), setup(1 << 30), epoch);
        assert_eq!(named(&recovered), expected, "epoch {epoch}");
        running.stop();
    }
    check(directory.path());
}

#[test]
fn a_batch_with_a_ticket_is_told_where_it_was_put_and_is_durable_when_the_position_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut running, _) = start(directory.path(), setup(1 << 30), 1);
    running.send(5, 100);
    running.send_to(PartitionId(0), 4, 100, 77);
    running.send_to(PartitionId(0), 2, 100, 78);
    let (first, second) = (running.receipt(), running.receipt());
    assert_eq!((first.ticket, first.base_offset), (77, 5));
    assert_eq!((second.ticket, second.base_offset), (78, 9));
    while running.view.positions.durable.load() <= second.sequence {
        thread::yield_now();
    }
    assert!(running.view.partitions[0].high_watermark() >= 11);
    running.stop();
    assert_eq!(check(directory.path()).records, 11, "a ticket leaves nothing on the disk");
}
