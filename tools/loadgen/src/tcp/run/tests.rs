use std::net::TcpListener;
use std::num::NonZeroU64;
use std::thread::{self, JoinHandle};

use crate::ledger::answers::Span;
use crate::ledger::{Framing, Ledger, State};
use crate::load::Load;
use crate::pace::Rate;
use crate::packet::{Reading, Template};
use crate::stop::Stop;
use crate::tcp::{Plan, send};

use super::*;

const PACKET_BYTES: usize = 64;
const RECORD_BYTES: usize = 68;
/// More records than one chunk, at once due.
const RECORDS: u64 = 2_000;

/// A peer that takes so many records of each connection in turn, acknowledges so many of them, and ends it: by its end if
/// it took all there was to take, else without reading on. What it took, connection by connection.
fn peer(connections: Vec<(usize, usize)>) -> (SocketAddr, JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move |(takes, tells): (usize, usize)| {
        let (mut stream, _) = listener.accept().unwrap();
        let mut taken = vec![0; takes * RECORD_BYTES];
        stream.read_exact(&mut taken).unwrap();
        stream.write_all(&(tells as u64).to_be_bytes()).unwrap();
        if takes == tells {
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the end, and nothing behind what was to be taken");
        }
        taken
    };
    (address, thread::spawn(move || connections.into_iter().map(serve).collect()))
}

fn plan(target: SocketAddr, folder: &std::path::Path) -> Plan {
    Plan {
        target,
        load: Load {
            rate: Rate::PerSecond(NonZeroU64::new(1_000_000).unwrap()),
            size: PACKET_BYTES,
            duration: None,
            count: Some(RECORDS),
            sources: 1,
            seed: 5,
            ledger: folder.join("run.json"),
            http: None,
        },
        framing: Framing::Length,
        ack: true,
    }
}

fn sequences(ledger: &Ledger, taken: &[u8]) -> Vec<u64> {
    let template = Template::new(ledger.run_id, 5, PACKET_BYTES);
    let read = |record: &[u8]| match template.read(&record[4..]) {
        Reading::Intact(stamp) => stamp.sequence,
        other => panic!("{other:?}"),
    };
    taken.chunks(RECORD_BYTES).map(read).collect()
}

#[test]
fn everything_is_sent_in_order_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (address, peer) = peer(vec![(2_000, 2_000)]);
    let sent = send(&plan(address, folder.path()), &Stop::default()).unwrap();
    let ledger = Ledger::read(&folder.path().join("run.json")).unwrap();
    assert_eq!(ledger, sent.ledger);
    assert_eq!(sequences(&ledger, &peer.join().unwrap()[0]), (0..RECORDS).collect::<Vec<_>>());
    let answers = ledger.answers.as_ref().unwrap();
    assert_eq!((ledger.state, ledger.sent(), answers.acknowledged, answers.unknown), (State::Complete, RECORDS, RECORDS, 0));
    assert_eq!(answers.connections, Connections { opened: 1, refused: 0, broken: 0 });
    assert_eq!(answers.latency.unwrap().samples, RECORDS);
}

#[test]
fn a_broken_connection_is_made_again_and_what_was_under_way_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        let mut taken = vec![0; 100 * RECORD_BYTES];
        first.read_exact(&mut taken).unwrap();
        first.write_all(&40_u64.to_be_bytes()).unwrap();
        // What it has not read makes the kernel reset the connection.
        drop(first);
        let (mut second, _) = listener.accept().unwrap();
        let mut rest = Vec::new();
        second.read_to_end(&mut rest).unwrap();
        second.write_all(&((rest.len() / RECORD_BYTES) as u64).to_be_bytes()).unwrap();
        rest
    });
    let ledger = send(&plan(address, folder.path()), &Stop::default()).unwrap().ledger;
    let rest = sequences(&ledger, &peer.join().unwrap());
    let answers = ledger.answers.as_ref().unwrap();
    let unknown: Vec<Span> = answers.by_source[0].unknown.iter().collect();
    let acknowledged: Vec<Span> = answers.by_source[0].acknowledged.iter().collect();
    // The count may be lost in the reset; what was begun and not told of is unknown either way.
    let told = unknown[0].0;
    assert!(told == 40 || told == 0, "{unknown:?}");
    assert_eq!(unknown.len(), 1);
    assert!(unknown[0].1 >= 100, "a hundred were taken: {unknown:?}");
    assert_eq!(rest, (unknown[0].1..RECORDS).collect::<Vec<_>>(), "the next connection goes on behind them");
    assert_eq!(acknowledged.last(), Some(&Span(unknown[0].1, RECORDS)));
    assert_eq!((ledger.sent(), answers.connections.broken), (RECORDS, 1));
}

#[test]
fn a_peer_that_acknowledges_what_was_not_sent_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let (address, peer) = peer(vec![(10, 5_000)]);
    let error = send(&plan(address, folder.path()), &Stop::default()).unwrap_err();
    assert!(error.contains("5000 records acknowledged after 0"), "{error}");
    peer.join().unwrap();
}

#[test]
fn nobody_listening_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = send(&plan(unused, folder.path()), &Stop::default()).unwrap_err();
    assert!(error.contains("cannot connect to"), "{error}");
    assert!(!folder.path().join("run.json").exists(), "a ledger without a packet");
}
