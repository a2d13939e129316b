//! Connections that end: by violations, limits and accidents. Each is answered, counted and closed, and nobody else notices.

use super::{assert_clean, values};
use crate::harness::node::Node;
use crate::harness::records::{Sender, with_lengths};
use crate::harness::{packets, wait};

fn record(number: usize) -> Vec<u8> {
    with_lengths(&[packets::named(7, number, 64)])
}

/// How often connections of the listener ended for that reason.
fn ended(node: &Node, reason: &str) -> u64 {
    let wanted = format!("headworks_tcp_connections_ended_total{{listener=\"tcp\",reason=\"{reason}\"}} ");
    sample(node, &wanted)
}

fn open(node: &Node) -> u64 {
    sample(node, "headworks_tcp_connections{listener=\"tcp\",lane=\"0\"} ")
}

fn sample(node: &Node, name: &str) -> u64 {
    let metrics = node.ask("/metrics").body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("no {name}in\n{metrics}"));
    value.parse().unwrap_or_else(|error| panic!("{name}{value}: {error}"))
}

/// One connection does something while another goes on: what the first is told holds all of `words`, it is counted once
/// under `reason`, and the second one's records are all stored.
#[track_caller]
fn check_end(settings: &[&str], reason: &str, words: &[&str], act: impl FnOnce(Sender) -> Option<String>) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let settings = [&["node.lanes=1"], settings].concat();
    let node = Node::start(&folder.path().join("data"), &settings);
    let mut other = Sender::connect(node.address("tcp"));
    other.send(&record(0));
    let said = act(Sender::connect(node.address("tcp"))).unwrap_or_default();
    assert!(words.iter().all(|word| said.contains(word)), "{said:?} has not all of {words:?}");
    assert!(said.is_empty() || said.ends_with('\n') && said.lines().count() == 1, "one line, or nothing: {said:?}");
    wait::until_true("the end is counted and the place is free", || {
        let (ended, open) = (ended(&node, reason), open(&node));
        (ended == 1 && open == 1, format!("{ended} ended by {reason}, {open} open"))
    });
    other.send(&record(1));
    let records = node.kafka();
    drop(records);
    wait::until_true("the other's records are stored", || {
        let stored = values(&node, 0).into_iter().filter(|value| packets::name_of(value).0 == 7).count();
        (stored >= 2, format!("{stored} records stored"))
    });
    node.settled(2).assert_balanced();
    node.stop();
    assert_clean(&folder.path().join("data"));
}

#[test]
fn an_absurd_length_is_named_and_what_came_before_it_is_stored() {
    check_end(&[], "record_max", &["listener tcp", "1195725856", "record_max is 1048576"], |mut sender| {
        sender.send(&record(0));
        // What a web browser says, read as a length.
        sender.send(b"GET / HTTP/1.1\r\n\r\n");
        Some(sender.last_words())
    });
}

#[test]
fn a_length_of_one_too_many_is_refused_at_once() {
    check_end(&["listener.tcp.record_max=100B"], "record_max", &["101 bytes", "record_max is 100"], |mut sender| {
        sender.send(&101_u32.to_be_bytes());
        Some(sender.last_words())
    });
}

#[test]
fn a_refused_record_is_in_the_books() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=1"]);
    let mut sender = Sender::connect(node.address("tcp"));
    sender.send(&[record(0), vec![0xff; 4]].concat());
    assert!(sender.last_words().contains("4294967295"));
    let ledger = node.settled(2);
    ledger.assert_balanced();
    assert_eq!((ledger.arrived(), ledger.admitted(), ledger.shed_for("oversize")), (2, 1, 1), "{}", ledger.0);
    node.stop();
}

#[test]
fn a_line_without_end_is_refused() {
    let settings = ["listener.tcp.framing=newline", "listener.tcp.record_max=64KiB"];
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=1", settings[0], settings[1]]);
    let mut sender = Sender::connect(node.address("tcp"));
    // It may be closed while this still sends.
    let _sent = sender.try_send(&vec![b'x'; 200_000]).is_ok();
    let said = sender.last_words();
    assert!(said.contains("record_max is 65536"), "{said:?}");
    assert_eq!(ended(&node, "record_max"), 1);
    node.stop();
}

#[test]
fn half_a_record_at_the_end_is_no_record() {
    check_end(&[], "partial", &["listener tcp", "5 bytes into a record", "not stored"], |mut sender| {
        sender.send(&[0, 0, 0, 9, 1, 2, 3, 4, 5]);
        sender.finish();
        Some(sender.last_words())
    });
}

#[test]
fn half_a_length_at_the_end_is_no_record() {
    check_end(&[], "partial", &["0 bytes into a record"], |mut sender| {
        sender.send(&[0, 0]);
        sender.finish();
        Some(sender.last_words())
    });
}

#[test]
fn who_closes_between_records_is_told_nothing() {
    check_end(&[], "closed", &[], |mut sender| {
        sender.send(&record(0));
        sender.finish();
        let said = sender.last_words();
        assert_eq!(said, "");
        Some(said)
    });
}

#[test]
fn who_vanishes_is_counted() {
    check_end(&[], "failed", &[], |mut sender| {
        sender.send(&[0, 0, 0, 200, 1, 2, 3]);
        sender.vanish();
        None
    });
}

#[test]
fn who_is_silent_for_too_long_is_closed() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=1", "listener.tcp.idle_max=1s"]);
    let said = Sender::connect(node.address("tcp")).last_words();
    assert!(said.contains("idle_max, 1 s"), "{said:?}");
    assert_eq!(ended(&node, "idle_max"), 1);
    node.stop();
}

#[test]
fn one_connection_too_many_is_told_so_and_room_comes_back() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=1", "listener.tcp.connections_max=2"]);
    let mut first = Sender::connect(node.address("tcp"));
    let mut second = Sender::connect(node.address("tcp"));
    wait::until_true("both are open", || (open(&node) == 2, format!("{} open", open(&node))));
    for _ in 0..20 {
        let said = Sender::connect(node.address("tcp")).last_words();
        assert!(said.contains("2 connections") && said.contains("connections_max"), "{said:?}");
    }
    assert_eq!(ended(&node, "connections_max"), 20);
    first.send(&record(0));
    drop(first);
    wait::until_true("one place is free", || (open(&node) == 1, format!("{} open", open(&node))));
    let mut third = Sender::connect(node.address("tcp"));
    third.send(&record(1));
    second.send(&record(2));
    let ledger = node.settled(3);
    assert_eq!(ledger.admitted(), 3, "{}", ledger.0);
    node.stop();
}

#[test]
fn thousands_of_connections_come_and_go() {
    const AT_ONCE: usize = 1500;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=1"]);
    for round in 0..2 {
        let mut senders: Vec<Sender> = (0..AT_ONCE).map(|_| Sender::connect(node.address("tcp"))).collect();
        for (number, sender) in senders.iter_mut().enumerate() {
            sender.send(&record(round * AT_ONCE + number));
        }
        node.settled(((round + 1) * AT_ONCE) as u64);
        assert_eq!(open(&node), AT_ONCE as u64);
        drop(senders);
        wait::until_true("all are gone", || (open(&node) == 0, format!("{} open", open(&node))));
    }
    assert_eq!(values(&node, 0).len(), 2 * AT_ONCE);
    node.stop();
}

#[test]
fn records_that_stay_half_here_give_way_to_others() {
    const LARGE: usize = 1 << 20;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=1"]);
    let largest = with_lengths(&[vec![b'x'; LARGE]]);
    // One byte short of a record each: 64 of them fill the lane's memory for records that are half here.
    let mut halves: Vec<Sender> = Vec::new();
    for _ in 0..66 {
        let mut sender = Sender::connect(node.address("tcp"));
        sender.send(&largest[..largest.len() - 1]);
        halves.push(sender);
    }
    wait::until_true("the slowest give way", || {
        let ended = ended(&node, "assembly_max");
        (ended == 2, format!("{ended} connections gave way"))
    });
    let given: Vec<String> = halves.drain(..2).map(Sender::last_words).collect();
    assert!(given.iter().all(|said| said.contains("listener tcp") && said.contains("67108864")), "the first two gave way: {given:?}");
    halves.iter_mut().for_each(|sender| sender.send(b"x"));
    let ledger = node.settled(64);
    assert_eq!(ledger.admitted(), 64, "{}", ledger.0);
    node.stop();
}
