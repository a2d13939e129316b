//! What a consumer asks beside records: waiting, offsets by time, epochs.

use crate::harness::kafka::{EARLIEST, LATEST};
use crate::harness::node::Node;
use crate::harness::packets::{self, named};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything but a missed wake-up takes.
const POLL_MS: i32 = 30_000;

#[test]
fn long_poll_is_woken_by_the_commit() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=1"]);
    let socket = packets::source(node.udp());
    for round in 0..10 {
        let mut client = node.kafka();
        let (tell, told) = mpsc::channel();
        let poll = thread::spawn(move || {
            tell.send(()).expect("the test waits");
            let began = Instant::now();
            (client.fetch("events", 0, round, POLL_MS), began.elapsed())
        });
        told.recv().expect("the poll begins");
        packets::send(&socket, &[named(0, 1, 64)]);
        let (fetched, took) = poll.join().expect("the poll ends");
        assert!(!fetched.batches.is_empty(), "round {round}: an empty answer after {took:?}");
        assert!(took < Duration::from_millis(10_000), "round {round}: woken after {took:?} of {POLL_MS} ms");
    }
    node.stop();
}

#[test]
fn poll_at_the_end_stays_open_and_then_answers_empty() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=1"]);
    let began = Instant::now();
    let fetched = node.kafka().fetch("events", 0, 0, 300);
    let took = began.elapsed();
    assert_eq!((fetched.error, fetched.batches.len()), (0, 0), "{fetched:?}");
    assert!(took >= Duration::from_millis(290), "answered after {took:?} of 300 ms");
    node.stop();
}

#[test]
fn offsets_by_time_are_exact_to_the_record() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=1", "log.linger=20ms"]);
    let socket = packets::source(node.udp());
    for number in 0..300 {
        packets::send(&socket, &[named(0, number, 64)]);
        if number % 50 == 0 {
            node.settled(number as u64 + 1);
        }
    }
    node.settled(300);
    let mut client = node.kafka();
    let records = client.read_all("events", 0);
    assert_eq!(records.len(), 300);
    let times: std::collections::BTreeSet<i64> = records.iter().flat_map(|record| [record.timestamp - 1, record.timestamp]).collect();
    for time_ms in times {
        let wanted = records.iter().find(|record| record.timestamp >= time_ms).map(|record| (record.offset, record.timestamp));
        assert_eq!(Some(client.offset_at("events", 0, time_ms)), wanted, "first record at or after {time_ms}");
    }
    let last_ms = records.iter().map(|record| record.timestamp).max().expect("300 records");
    assert_eq!(client.offset_at("events", 0, last_ms + 1), (-1, -1), "nothing is later than the last record");
    assert_eq!((client.offset_at("events", 0, EARLIEST).0, client.offset_at("events", 0, LATEST).0), (0, 300));
    node.stop();
}

#[test]
fn every_start_takes_the_next_epoch_and_epochs_have_ends() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let mut ends = Vec::new();
    let mut first = 0;
    for run in 1..=4_u64 {
        let node = Node::start(&data, &["node.lanes=1"]);
        let epoch = node.ledger().epoch();
        first = if run == 1 { epoch } else { first };
        assert_eq!(epoch, first + run - 1, "epoch of run {run}");
        let socket = packets::source(node.udp());
        // The third run stays empty: its epoch ends where it began.
        let count = if run == 3 { 0 } else { 7 * run };
        for number in 0..count {
            packets::send(&socket, &[named(0, usize::try_from(number).expect("few"), 64)]);
        }
        let before = ends.last().map_or(0, |(_, end)| *end);
        let end = before + i64::try_from(count).expect("few");
        node.settled(end.unsigned_abs());
        ends.push((i32::try_from(epoch).expect("small"), end));
        let mut client = node.kafka();
        for (epoch, end) in &ends {
            let (found, offset) = client.end_of_epoch("events", 0, *epoch);
            assert!(found <= *epoch, "epoch {found} for {epoch}");
            assert_eq!(offset, *end, "end of epoch {epoch} in run {run}");
        }
        let beyond = ends.last().expect("this run's").0 + 1;
        assert_eq!(client.end_of_epoch("events", 0, beyond), (-1, -1), "epoch {beyond} is still to come");
        let records = client.read_all("events", 0);
        let of_this_run = records.iter().filter(|record| u64::try_from(record.partition_leader_epoch) == Ok(epoch)).count();
        assert_eq!(of_this_run as u64, count, "records of epoch {epoch}");
        node.stop();
    }
}
