//! From the socket to the disk, turn by turn, with rolls of segments on the way: nothing is allocated or freed.
//!
//! Both loops are stepped on this thread, whose allocator calls are counted; the files thread and the sender have their own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;

use headworks_format::checkpoint::Partition;
use headworks_format::{Epoch, LaneId, PairId, PartitionId};
use headworks_ingest::batches::Batches;
use headworks_ingest::tcp::acks::Level;
use headworks_ingest::tcp::edge::ListenTcp;
use headworks_ingest::tcp::framing::Framing;
use headworks_ingest::turn::{IngestLoop, IngestParts, IngestSetup, Progress};
use headworks_ingest::udp::Listen;
use headworks_io::{ArrivalFilter, Policy, UdpSetup, Volume, Wake, tcp_group, udp_listener};
use headworks_lane::{LaneSetup, LogLoop, LoopParts, LoopSetup, Part, open_lane};
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

    fn shared_slots(&self) -> u64 {
        self.0.positions.shared_slots.load()
    }

    fn is_backlogged(&self) -> bool {
        false
    }

    fn committed_slots(&self) -> u64 {
        self.0.positions.committed_slots.load()
    }
}

/// A lane with a UDP and a TCP listener, both loops in hand.
struct Lane {
    ingest: IngestLoop,
    log: LogLoop,
    udp: (Book, SocketAddr),
    tcp: (Book, SocketAddr),
    view: Arc<LaneView>,
}

fn build(directory: &std::path::Path) -> Lane {
    let volume = Arc::new(Volume::lock(directory).unwrap());
    let limits = Limits { size_bytes: 4 * SEGMENT_BYTES, age_ns: None };
    let setup = LaneSetup { pair: PairId(1), slots: 8, depth: 4, segment_bytes: SEGMENT_BYTES, limits, part: Part::Alone };
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
    let acceptor = tcp_group(address, 1).unwrap().remove(0);
    let connected = acceptor.local;
    let (tcp_clerk, tcp_book) = Book::open();
    let listen_tcp = ListenTcp {
        name: "tcp".into(),
        acceptor,
        framing: Framing::Length,
        record_bytes_max: 1 << 20,
        ack: Some(Level::Durable),
        connections_max: 8,
        idle_ns_max: 60_000_000_000,
        partition: PartitionId(0),
        key_source: true,
        receive_time: true,
        clerk: tcp_clerk,
        tally: Arc::default(),
    };
    let log_wake = Wake::new().unwrap();
    let parts = IngestParts {
        listeners: vec![listen],
        tcp: vec![listen_tcp],
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
        shipper: None,
        told: std::sync::mpsc::channel().0,
        mends: None,
    };
    let setup = LoopSetup { segment_bytes: SEGMENT_BYTES, cpu: None, idle: Policy::Spin, fixed_buffers: true };
    Lane { ingest, log: LogLoop::new(parts, &setup).unwrap(), udp: (book, local), tcp: (tcp_book, connected), view }
}

impl Lane {
    /// One turn of each loop; the allocator calls that they made.
    fn turn(&mut self) -> u64 {
        let before = CALLS.get();
        self.ingest.turn();
        self.log.turn();
        CALLS.get() - before
    }
}

fn assert_counter_counts() {
    let seen = CALLS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(CALLS.get(), seen + 2, "the counter counts");
}

#[test]
fn no_turn_from_socket_to_disk_allocates() {
    assert_counter_counts();
    let directory = tempfile::tempdir().unwrap();
    let mut lane = build(directory.path());
    let (book, address) = lane.udp.clone();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(address).unwrap();
    let packet = [0x42; PACKET_BYTES];
    let (mut sent, mut turns, mut calls) = (0, 0u64, 0);
    // Until everything sent is received and durable; a loop that hangs ends by the bound and says so below.
    while turns < TURNS_MAX && (sent < PACKETS || lane.view.partitions[0].high_watermark() < sent) {
        // No more on the way than the socket holds, so that nothing is dropped and every packet must pass.
        if sent < PACKETS && sent < lane.view.partitions[0].high_watermark() + 1000 {
            sender.send(&packet).unwrap();
            sent += 1;
        }
        calls += lane.turn();
        turns += 1;
    }
    let counts = book.read();
    assert_eq!(lane.view.partitions[0].high_watermark(), PACKETS, "after {turns} turns: {counts:?}");
    assert_eq!((counts.received, counts.admitted, counts.imbalance()), (PACKETS, PACKETS, 0));
    assert_eq!(calls, 0, "{calls} calls of the allocator in {turns} turns");
}

/// Connections come, send records in cuts that fall anywhere, read their counts, and go; one of them by a violation.
#[test]
fn no_turn_of_connections_allocates() {
    const RECORDS: u64 = 2000;
    assert_counter_counts();
    let directory = tempfile::tempdir().unwrap();
    let mut lane = build(directory.path());
    let (book, address) = lane.tcp.clone();
    let record = [&1400_u32.to_be_bytes()[..], &[0x42; 1400]].concat();
    let bytes = record.repeat(usize::try_from(RECORDS).unwrap());
    let (mut turns, mut calls) = (0u64, 0);
    for round in 1..=3 {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_nonblocking(true).unwrap();
        let (mut sent, mut told, mut counts) = (0, 0, Vec::new());
        while turns < TURNS_MAX && told < RECORDS {
            let cut = (sent + 1 + (sent * 7) % 5000).min(bytes.len());
            sent += client.write(&bytes[sent..cut]).unwrap_or(0);
            let mut read = [0; 64];
            let come = client.read(&mut read).unwrap_or(0);
            counts.extend_from_slice(&read[..come]);
            told = counts.chunks_exact(8).last().map_or(told, |count| u64::from_be_bytes(count.try_into().unwrap()));
            calls += lane.turn();
            turns += 1;
        }
        assert_eq!((told, book.read().admitted), (RECORDS, round * RECORDS), "round {round}, {turns} turns");
        client.set_nonblocking(false).unwrap();
        client.write_all(&[0xff; 4]).unwrap();
        while turns < TURNS_MAX && book.read().shed_oversize < round {
            calls += lane.turn();
            turns += 1;
        }
    }
    let counts = book.read();
    assert_eq!((counts.received, counts.shed_oversize, counts.imbalance()), (3 * RECORDS + 3, 3, 0), "{counts:?}");
    assert_eq!(lane.view.partitions[0].high_watermark(), 3 * RECORDS);
    assert_eq!(calls, 0, "{calls} calls of the allocator in {turns} turns");
}
