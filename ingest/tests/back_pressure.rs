//! A full ring, seen from a TCP sender: its writes stop, nothing is lost, and all goes on when there is room again.

use headworks_format::PartitionId;
use headworks_format::block::BLOCK_BYTES_MAX;
use headworks_ingest::batches::Batches;
use headworks_ingest::tcp::edge::ListenTcp;
use headworks_ingest::tcp::framing::Framing;
use headworks_ingest::turn::{IngestLoop, IngestParts, IngestSetup, Progress};
use headworks_io::{Policy, Wake, tcp_group};
use headworks_ledger::{Book, Counts};
use headworks_ring::{Drain, Region, message_ring, slot_ring};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SLOTS: usize = 4;
const RECORD_BYTES: usize = 10_000;
/// Turns in a row in which nothing happens before a loop counts as stuck.
const IDLE_TURNS: usize = 2000;
const TURNS_MAX: usize = 10_000_000;

/// A log that neither writes nor is full: what the ring holds is all there is.
struct Standing;

impl Progress for Standing {
    fn writing(&self) -> u64 {
        0
    }

    fn disk_full(&self) -> bool {
        false
    }

    fn shared_slots(&self) -> u64 {
        0
    }

    fn is_backlogged(&self) -> bool {
        false
    }

    fn committed_slots(&self) -> u64 {
        0
    }
}

fn build(idle: Duration) -> (IngestLoop, Drain, Book, SocketAddr) {
    let region = Arc::new(Region::map(SLOTS * BLOCK_BYTES_MAX).unwrap());
    let (filler, drain, _readers) = slot_ring(region, SLOTS, BLOCK_BYTES_MAX);
    let acceptor = tcp_group("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
    let address = acceptor.local;
    let (clerk, book) = Book::open();
    let tcp = ListenTcp {
        name: "tcp".into(),
        acceptor,
        framing: Framing::Length,
        record_bytes_max: 1 << 20,
        ack: None,
        connections_max: 4,
        idle_ns_max: u64::try_from(idle.as_nanos()).unwrap(),
        partition: PartitionId(0),
        key_source: false,
        receive_time: false,
        clerk,
        tally: Arc::default(),
    };
    let parts = IngestParts {
        listeners: Vec::new(),
        tcp: vec![tcp],
        filler,
        progress: Arc::new(Standing),
        wake: Wake::new().unwrap(),
        log: Wake::new().unwrap(),
        carried: Counts::default(),
        control: message_ring(1).1,
        batches: Batches { incoming: message_ring(1).1, returned: message_ring(1).0, clerk: Book::open().0 },
    };
    let ingest = IngestLoop::new(parts, IngestSetup { linger_ns: 1_000_000, depth: 4, idle: Policy::Spin }).unwrap();
    (ingest, drain, book, address)
}

/// Writes as much as the connection takes and turns the loop, until nothing moves any more or all is sent; bytes sent.
fn push(ingest: &mut IngestLoop, client: &mut TcpStream, bytes: &[u8]) -> usize {
    let (mut sent, mut idle) = (0, 0);
    for _ in 0..TURNS_MAX {
        let written = if sent < bytes.len() { client.write(&bytes[sent..]).unwrap_or(0) } else { 0 };
        sent += written;
        idle = if ingest.turn() + written == 0 { idle + 1 } else { 0 };
        if idle == IDLE_TURNS {
            return sent;
        }
    }
    panic!("the loop never comes to rest");
}

#[test]
fn a_full_ring_stops_the_sender_and_loses_nothing() {
    let (mut ingest, mut drain, book, address) = build(Duration::from_secs(3600));
    let mut client = TcpStream::connect(address).unwrap();
    client.set_nonblocking(true).unwrap();
    // More than ring, receive buffers and socket buffers hold together.
    let records = 4000_u64;
    let record = [&u32::try_from(RECORD_BYTES).unwrap().to_be_bytes()[..], &[7; RECORD_BYTES]].concat();
    let bytes = record.repeat(usize::try_from(records).unwrap());

    let mut sent = push(&mut ingest, &mut client, &bytes);
    let held = book.read();
    assert!(sent < bytes.len(), "the sender is stopped: {sent} of {} bytes were taken", bytes.len());
    assert!(held.admitted > 0 && held.admitted * (RECORD_BYTES as u64) < (SLOTS * BLOCK_BYTES_MAX) as u64, "{held:?}");
    assert_eq!((held.arrived, held.received, held.shed_oversize, held.shed_disk_full), (held.admitted, held.admitted, 0, 0));

    let mut laps = 0;
    while sent < bytes.len() || book.read().admitted < records {
        // The log at last: what is published becomes durable and its slots free.
        let published = drain.published();
        drain.share(published);
        drain.release(published);
        sent += push(&mut ingest, &mut client, &bytes[sent..]);
        laps += 1;
        assert!(laps < 1000, "{sent} bytes sent, {:?}", book.read());
    }
    let counts = book.read();
    assert_eq!((counts.arrived, counts.received, counts.admitted, counts.imbalance()), (records, records, records, 0));
}

#[test]
fn who_is_not_listened_to_for_want_of_room_is_not_silent() {
    let idle = Duration::from_millis(50);
    let (mut ingest, mut drain, book, address) = build(idle);
    let mut flood = TcpStream::connect(address).unwrap();
    flood.set_nonblocking(true).unwrap();
    let record = [&u32::try_from(RECORD_BYTES).unwrap().to_be_bytes()[..], &[7; RECORD_BYTES]].concat();
    let sent = push(&mut ingest, &mut flood, &record.repeat(4000));
    assert!(sent < 4000 * record.len(), "the ring is full, and all buffers are held");
    let before = book.read().admitted;
    let mut other = TcpStream::connect(address).unwrap();
    other.write_all(&record).unwrap();
    let since = Instant::now();
    // Several sweeps, which come each quarter of a second.
    while since.elapsed() < Duration::from_secs(1) {
        ingest.turn();
    }
    assert_eq!(book.read().admitted, before, "nothing is taken");
    // What the flood has sent whole, and the other's one record.
    let wanted = (sent / record.len()) as u64 + 1;
    for _ in 0..1000 {
        let published = drain.published();
        drain.share(published);
        drain.release(published);
        push(&mut ingest, &mut flood, &[]);
        if book.read().admitted == wanted {
            return;
        }
    }
    panic!("{wanted} records were sent, {:?}", book.read());
}
