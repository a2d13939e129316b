//! SIGTERM: what was sent before is there afterwards, the books go on, the directory is clean.

use super::{assert_clean, values};
use crate::harness::loadgen::{self, Load};
use crate::harness::node::Node;
use crate::harness::packets::{self, named};
use crate::harness::{alone, wait};

#[test]
fn everything_sent_before_is_there_after_a_restart() {
    const PACKETS: usize = 20_000;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let mut node = Node::start(&data, &["node.lanes=1"]);
    let sent: Vec<_> = (0..PACKETS).map(|number| named(0, number, 200)).collect();
    packets::send(&packets::source(node.udp()), &sent);
    // Nothing was waited for: most of them still stand in the socket.
    node.terminate();
    node.stopped();
    assert_clean(&data);

    let node = Node::start(&data, &["node.lanes=1"]);
    let ledger = node.ledger();
    ledger.assert_balanced();
    let (arrived, admitted, durable) = (ledger.arrived(), ledger.lanes_admitted(), ledger.durable());
    assert_eq!((arrived, admitted, durable), (PACKETS as u64, PACKETS as u64, PACKETS as u64), "{}", ledger.0);
    assert_eq!(values(&node, 0), sent, "what came out against what went in");
    node.stop();
    assert_clean(&data);
}

#[test]
fn under_load_it_ends_with_0_and_the_books_equal_the_topic() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let mut node = Node::start(&data, &["node.lanes=2"]);
    let load = Load { rate: "60k", size: 300, sources: 16, gso: false, until: ["--duration", "60s"] };
    let mut generator = loadgen::begin(&node, &load, &folder.path().join("run.json"));
    generator.under_way();
    wait::until_true("a few thousand records are durable", || {
        let ledger = node.ledger();
        (ledger.durable() > 20_000, ledger.0.to_string())
    });
    node.terminate();
    node.stopped();
    generator.interrupt();
    assert_clean(&data);

    let node = Node::start(&data, &["node.lanes=2"]);
    let ledger = node.ledger();
    ledger.assert_balanced();
    let records = node.status().records("events");
    let (admitted, durable) = (ledger.lanes_admitted(), ledger.durable());
    assert_eq!((admitted, durable), (records, records), "admitted and durable against the topic's records: {}", ledger.0);
    assert_eq!(ledger.admitted(), records, "the listeners' books against the topic's records: {}", ledger.0);
    let served: usize = [0, 1].iter().map(|partition| values(&node, *partition).len()).sum();
    assert_eq!(served as u64, records, "records served of those claimed");
    node.stop();
}

#[test]
fn idle_node_stops_and_starts_without_changing_anything() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    for _ in 0..3 {
        Node::start(&data, &["node.lanes=1"]).stop();
        assert_clean(&data);
    }
    let node = Node::start(&data, &["node.lanes=1"]);
    assert_eq!(node.status().records("events"), 0);
    node.stop();
}
