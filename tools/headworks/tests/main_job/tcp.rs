//! Records go in by TCP and come out by Kafka, byte for byte; who asks is told how many are stored, and never too early.

use super::{assert_clean, values};
use crate::harness::node::Node;
use crate::harness::random::Random;
use crate::harness::records::{Sender, with_lengths, with_newlines};
use crate::harness::{packets, wait};
use std::collections::BTreeMap;

/// From nothing to the most that a listener takes, with the edges of varints, pages and receives between.
const SIZES: [usize; 14] = [1, 0, 2, 63, 64, 1400, 4095, 4096, 4097, 16_384, 65_536, 65_537, 300_000, 1 << 20];

fn start(folder: &std::path::Path, settings: &[&str]) -> Node {
    Node::start(&folder.join("data"), settings)
}

/// Sends the records framed, in cuts of the sizes that `cut` gives, and finds them again.
fn check_round_trip(framing: &str, records: &[Vec<u8>], bytes: &[u8], mut cut: impl FnMut() -> usize) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = start(folder.path(), &["node.lanes=1", &format!("listener.tcp.framing={framing}")]);
    let mut sender = Sender::connect(node.address("tcp"));
    let mut rest = bytes;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(cut().clamp(1, rest.len()));
        sender.send(now);
        rest = later;
    }
    let ledger = node.settled(records.len() as u64);
    ledger.assert_balanced();
    assert_eq!(ledger.admitted(), records.len() as u64, "{}", ledger.0);
    assert!(values(&node, 0) == records, "{framing}: what came out is not what went in");
    node.stop();
    assert_clean(&folder.path().join("data"));
}

#[test]
fn records_behind_lengths_come_out_byte_for_byte() {
    let mut random = Random::announced("records_behind_lengths");
    let records: Vec<Vec<u8>> = packets::of_sizes(&mut random, &SIZES);
    let bytes = with_lengths(&records);
    check_round_trip("length", &records, &bytes, || usize::MAX);
    check_round_trip("length", &records, &bytes, || usize::try_from(random.below(100_000)).expect("small"));
}

#[test]
fn records_before_newlines_come_out_byte_for_byte() {
    let mut random = Random::announced("records_before_newlines");
    let mut records: Vec<Vec<u8>> = packets::of_sizes(&mut random, &SIZES);
    records.iter_mut().flatten().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b'\r');
    let bytes = with_newlines(&records);
    check_round_trip("newline", &records, &bytes, || usize::try_from(random.below(100_000)).expect("small"));
}

#[test]
fn records_sent_one_byte_at_a_time_come_out_whole() {
    let records: Vec<Vec<u8>> = (0..40).map(|number| packets::named(1, number, 30)).collect();
    check_round_trip("length", &records, &with_lengths(&records), || 1);
    check_round_trip("newline", &records, &with_newlines(&records), || 1);
}

#[test]
fn many_senders_in_two_lanes_keep_each_ones_order() {
    const SENDERS: usize = 200;
    const RECORDS: usize = 100;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = start(folder.path(), &["node.lanes=2", "stream.events.key=source"]);
    let mut senders: Vec<Sender> = (0..SENDERS).map(|_| Sender::connect(node.address("tcp"))).collect();
    for number in 0..RECORDS {
        for (source, sender) in senders.iter_mut().enumerate() {
            sender.send(&with_lengths(&[packets::named(source, number, 120)]));
        }
    }
    let ledger = node.settled((SENDERS * RECORDS) as u64);
    ledger.assert_balanced();
    let mut next = vec![0; SENDERS];
    let mut keys = BTreeMap::new();
    for partition in [0, 1] {
        for record in node.kafka().read_all("events", partition) {
            let (source, number) = packets::name_of(&record.value.expect("a value"));
            assert_eq!(number, next[source], "sender {source}: record {number} came where {} should", next[source]);
            next[source] += 1;
            let key = (partition, record.key.expect("the source"));
            assert_eq!(keys.entry(source).or_insert_with(|| key.clone()), &key, "sender {source} has one lane and one key");
        }
    }
    assert!(next.iter().all(|count| *count == RECORDS), "{RECORDS} of each: {next:?}");
    let lanes: std::collections::BTreeSet<i32> = keys.values().map(|(partition, _)| *partition).collect();
    assert_eq!(lanes.len(), 2, "{SENDERS} connections in {} of 2 lanes", lanes.len());
    node.stop();
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut acknowledged = 0;
    for round in 0..5 {
        let node = start(folder.path(), &["node.lanes=1", "listener.tcp.ack=true"]);
        let stored = values(&node, 0);
        assert!(stored.len() >= acknowledged, "round {round}: {acknowledged} acknowledged, {} stored", stored.len());
        let known = stored.len();
        let mut sender = Sender::connect(node.address("tcp"));
        let (mut sent, mut told) = (0, 0);
        while told < 300 {
            // Ten more than were told of: some are always on their way when the process is killed.
            while sent < told + 10 {
                sender.send(&with_lengths(&[packets::named(round, sent, 2000)]));
                sent += 1;
            }
            let count = usize::try_from(sender.count().expect("the listener goes on")).expect("small");
            assert!(count > told && count <= sent, "told {count} after {told}, {sent} were sent");
            told = count;
        }
        node.kill();
        acknowledged = known + told;
    }
    let node = start(folder.path(), &["node.lanes=1", "listener.tcp.ack=true"]);
    let stored = values(&node, 0);
    assert!(stored.len() >= acknowledged, "{acknowledged} acknowledged, {} stored", stored.len());
    for round in 0..5 {
        let of_round: Vec<usize> =
            stored.iter().map(|value| packets::name_of(value)).filter(|(source, _)| *source == round).map(|(_, number)| number).collect();
        assert!(of_round.len() >= 300, "round {round}: {} of at least 300 acknowledged", of_round.len());
        assert_eq!(of_round, (0..of_round.len()).collect::<Vec<_>>(), "round {round}: in order, each once");
    }
    node.stop();
    assert_clean(&folder.path().join("data"));
}

#[test]
fn who_has_sent_everything_is_told_of_everything() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = start(folder.path(), &["node.lanes=1", "listener.tcp.ack=true"]);
    let records: Vec<Vec<u8>> = (0..1000).map(|number| packets::named(0, number, 500)).collect();
    let mut sender = Sender::connect(node.address("tcp"));
    sender.send(&with_lengths(&records));
    sender.finish();
    let mut counts = Vec::new();
    while let Some(count) = sender.count() {
        counts.push(count);
    }
    assert!(counts.is_sorted() && counts.last() == Some(&1000), "counts up to 1000: {counts:?}");
    assert_eq!(values(&node, 0).len(), 1000);
    node.stop();
}

#[test]
fn a_stop_takes_what_was_sent_and_tells_of_it() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut node = start(folder.path(), &["node.lanes=1", "listener.tcp.ack=true"]);
    let records: Vec<Vec<u8>> = (0..2000).map(|number| packets::named(0, number, 1000)).collect();
    let mut sender = Sender::connect(node.address("tcp"));
    // The connection is known to be accepted once something was stored.
    sender.send(&with_lengths(&records[..1]));
    assert_eq!(sender.count(), Some(1));
    sender.send(&with_lengths(&records[1..]));
    node.terminate();
    node.stopped();
    let told = std::iter::from_fn(|| sender.count()).last();
    assert_eq!(told, Some(2000));
    let node = start(folder.path(), &["node.lanes=1"]);
    assert!(values(&node, 0) == records, "all that was sent before the stop is there");
    node.stop();
}

#[test]
fn a_peer_that_reads_no_counts_costs_nobody_anything() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = start(folder.path(), &["node.lanes=1", "listener.tcp.ack=true"]);
    let mut deaf = Sender::connect(node.address("tcp"));
    // Half a record that never ends.
    let mut stalled = Sender::connect(node.address("tcp"));
    stalled.send(&[0, 0x10, 0, 0, 1, 2, 3]);
    let mut other = Sender::connect(node.address("tcp"));
    for number in 0..2000 {
        deaf.send(&with_lengths(&[packets::named(0, number, 64)]));
        other.send(&with_lengths(&[packets::named(1, number, 64)]));
        while other.count().expect("the listener goes on") <= number as u64 {}
    }
    let ledger = node.settled(4000);
    ledger.assert_balanced();
    assert_eq!(ledger.admitted(), 4000);
    // The listener still knows how far it told the deaf one, whenever that begins to read.
    wait::until_true("the deaf one can catch up", || {
        let count = deaf.count().expect("the listener goes on");
        (count == 2000, format!("told {count} of 2000"))
    });
    node.stop();
}
