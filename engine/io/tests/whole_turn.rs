//! From the socket to the disk, turn by turn, with rolls of segments on the way: nothing is allocated or freed.
//!
//! Both loops are stepped on this thread, whose allocator calls are counted; the files thread and the sender have their own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::UdpSocket;
use std::sync::Arc;

use headworks_format::checkpoint::Partition;
use headworks_format::{Epoch, LaneId, PairId, PartitionId};
use headworks_ingest::batches::Batches;
use headworks_ingest::turn::{IngestLoop, IngestParts, IngestSetup, Progress};
use headworks_ingest::udp::Listen;
use headworks_io::{ArrivalFilter, Policy, UdpSetup, Volume, Wake, udp_listener};
use headworks_lane::{LaneSetup, LogLoop, LoopParts, LoopSetup, open_lane};
use headworks_ledger::{Book, Counts};
use headworks_log::LaneView;
use headworks_log::retain::Limits;
use headworks_ring::message_ring;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator with the arguments it came with; the count beside it is a
// thread-local integer without a destructor, which allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SEGMENT_BYTES: u64 = 8 << 20;
const PACKET_BYTES: usize = 1400;
/// Four segments' worth, so that every turn of a roll is among the counted.
const PACKETS: u64 = 4 * SEGMENT_BYTES / PACKET_BYTES as u64;
const TURNS_MAX: u64 = 20_000_000;

struct LaneProgress(Arc<LaneView>);

impl Progress for LaneProgress {
    fn writing(&self) -> u64 {
        let written = self.0.positions.written.load();
        self.0.positions.submitted.load().saturating_sub(written)
    }

    fn disk_full(&self) -> bool {
        false
    }
}

fn build(directory: &std::path::Path) -> (IngestLoop, LogLoop, Book, std::net::SocketAddr, Arc<LaneView>) {
    let volume = Arc::new(Volume::lock(directory).unwrap());
    let limits = Limits { size_bytes: 4 * SEGMENT_BYTES, age_ns: None };
    let setup = LaneSetup { pair: PairId(1), slots: 8, depth: 4, segment_bytes: SEGMENT_BYTES, limits };
    let partition = Partition { id: PartitionId(0), stream: "events".into(), number: 0, next_offset: 0, log_start: 0 };
    let lane = open_lane(&volume, LaneId(0), &setup).unwrap();
    let (lane, ends) = lane.join(&volume, &setup, Epoch(1), vec![partition]).unwrap();
    let view = Arc::clone(lane.log.view());
    let address = "127.0.0.1:0".parse().unwrap();
    let socket = udp_listener(&UdpSetup { address, gro: true, reuse_port: false, receive_buffer_bytes: 8 << 20, stamp: true }).unwrap();
    let local = socket.local;
    let filter = ArrivalFilter::attach(&socket).ok();
    let (clerk, book) = Book::open();
    let listen = Listen { socket, filter, partition: PartitionId(0), key_source: true, receive_time: true, clerk };
    let log_wake = Wake::new().unwrap();
    let parts = IngestParts {
        listeners: vec![listen],
        tcp: Vec::new(),
        filler: ends.filler,
        progress: Arc::new(LaneProgress(Arc::clone(&view))),
        wake: lane.producer.clone(),
        log: log_wake.clone(),
        carried: Counts::default(),
        control: message_ring(1).1,
        batches: Batches { incoming: message_ring(1).1, returned: message_ring(1).0, clerk: Book::open().0 },
    };
    let ingest = IngestLoop::new(parts, IngestSetup { linger_ns: 100_000, depth: 4, idle: Policy::Spin }).unwrap();
    let parts = LoopParts {
        lanes: vec![lane],
        wake: log_wake,
        readers: Wake::new().unwrap(),
        volume,
        seed: 1,
        control: message_ring(1).1,
        grow: message_ring(1).1,
    };
    let setup = LoopSetup { segment_bytes: SEGMENT_BYTES, cpu: None, idle: Policy::Spin, fixed_buffers: true };
    (ingest, LogLoop::new(parts, &setup).unwrap(), book, local, view)
}

#[test]
fn no_turn_from_socket_to_disk_allocates() {
    let seen = CALLS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(CALLS.get(), seen + 2, "the counter counts");
    let directory = tempfile::tempdir().unwrap();
    let (mut ingest, mut log, book, address, view) = build(directory.path());
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(address).unwrap();
    let packet = [0x42; PACKET_BYTES];
    let (mut sent, mut turns, mut calls) = (0, 0u64, 0);
    // Until everything sent is received and durable; a loop that hangs ends by the bound and says so below.
    while turns < TURNS_MAX && (sent < PACKETS || view.partitions[0].high_watermark() < sent) {
        // No more on the way than the socket holds, so that nothing is dropped and every packet must pass.
        if sent < PACKETS && sent < view.partitions[0].high_watermark() + 1000 {
            sender.send(&packet).unwrap();
            sent += 1;
        }
        let before = CALLS.get();
        ingest.turn();
        log.turn();
        calls += CALLS.get() - before;
        turns += 1;
    }
    let counts = book.read();
    assert_eq!(view.partitions[0].high_watermark(), PACKETS, "after {turns} turns: {counts:?}");
    assert_eq!((counts.received, counts.admitted, counts.imbalance()), (PACKETS, PACKETS, 0));
    assert_eq!(calls, 0, "{calls} calls of the allocator in {turns} turns");
}
