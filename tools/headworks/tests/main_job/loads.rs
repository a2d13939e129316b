//! Load that is acknowledged, judged record by record through kills and stops: what was acknowledged is there, once.

use super::assert_clean;
use crate::harness::loadgen::{self, Running};
use crate::harness::node::{Node, lasting_address};
use crate::harness::{alone, wait};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;

/// Records that must have become durable before something happens.
const ENOUGH: u64 = 3_000;

/// A node whose listeners are at these addresses: TCP and Kafka.
fn start(folder: &Path, [tcp, kafka]: [SocketAddr; 2], framing: &str) -> Node {
    let settings = [
        "node.lanes=2".to_owned(),
        "listener.tcp.ack=true".to_owned(),
        format!("listener.tcp.framing={framing}"),
        format!("listener.tcp.address={tcp}"),
        format!("kafka.address={kafka}"),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Node::start(&folder.join("data"), &settings)
}

/// The first one.
fn start_fresh(folder: &Path, framing: &str) -> Node {
    start(folder, [lasting_address(), lasting_address()], framing)
}

/// How a node goes.
#[derive(Debug, Clone, Copy)]
enum Going {
    Killed,
    Stopped,
}

/// Ends the node once enough more is durable, and starts it again.
fn again(folder: &Path, node: Node, framing: &str, going: Going) -> Node {
    let known = node.ledger().durable();
    until_durable(&node, known + ENOUGH);
    let addresses = [node.address("tcp"), node.address("kafka")];
    match going {
        Going::Killed => node.kill(),
        Going::Stopped => node.stop(),
    }
    start(folder, addresses, framing)
}

fn until_durable(node: &Node, records: u64) {
    wait::until_true("enough is durable", || {
        let ledger = node.ledger();
        (ledger.durable() >= records, format!("{records} wanted: {}", ledger.0))
    });
}

/// Records over many connections while the node goes so and comes back: the generator's ledger and what the check found.
fn through(framing: &str, goings: &[Going]) -> (Value, Value) {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let ledger = folder.path().join("run.json");
    let mut node = start_fresh(folder.path(), framing);
    let target = node.address("tcp").to_string();
    let arguments = ["tcp", "--target", &target, "--rate", "8k", "--size", "120", "--sources", "100", "--duration", "120s"];
    let mut generator = loadgen::begin_by(&node, &[&arguments[..], &["--ack", "--framing", framing]].concat(), &ledger);
    generator.under_way();
    for going in goings {
        node = again(folder.path(), node, framing, *going);
    }
    finish(folder.path(), node, generator, "events")
}

/// Ends the load in order, and judges it.
fn finish(folder: &Path, node: Node, generator: Running, topic: &str) -> (Value, Value) {
    let known = node.ledger().durable();
    until_durable(&node, known + ENOUGH);
    let path = generator.ledger.clone();
    let ledger = generator.interrupted();
    let found = loadgen::accounted(&node, topic, &path);
    node.stop();
    assert_clean(&folder.join("data"));
    (ledger, found)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// What was acknowledged is stored, each record once, and the rest is named.
#[track_caller]
fn check(ledger: &Value, found: &Value) {
    let answers = &ledger["answers"];
    let (sent, acknowledged, unknown) = (number(&found["sent"]), number(&found["acknowledged"]), number(&found["unknown"]));
    assert_eq!((acknowledged, unknown), (number(&answers["acknowledged"]), number(&answers["unknown"])), "{found}");
    assert_eq!(sent, acknowledged + unknown, "every record is one or the other: {found}");
    assert!(acknowledged >= ENOUGH, "{found}");
    let wrong = ["acknowledged_missing", "duplicated", "corrupted", "unclaimed", "reordered"].map(|name| number(&found[name]));
    assert_eq!(wrong, [0; 5], "{found}");
    assert_eq!(number(&answers["latency"]["samples"]), acknowledged);
}

#[test]
fn records_over_a_hundred_connections_are_acknowledged_and_all_there() {
    let (ledger, found) = through("length", &[]);
    check(&ledger, &found);
    assert_eq!(number(&found["unknown"]), 0, "{found}");
    assert_eq!(number(&ledger["answers"]["connections"]["broken"]), 0, "{ledger}");
}

#[test]
fn what_tcp_acknowledged_is_there_after_a_kill_and_the_rest_is_named() {
    let (ledger, found) = through("length", &[Going::Killed]);
    check(&ledger, &found);
    let connections = &ledger["answers"]["connections"];
    assert!(number(&connections["broken"]) >= 100 && number(&connections["opened"]) >= 200, "{connections}");
    assert!(number(&ledger["answers"]["gap"]["length_ns"]) > 1_000_000, "{}", ledger["answers"]["gap"]);
}

#[test]
fn lines_are_acknowledged_through_a_stop_and_a_kill() {
    let (ledger, found) = through("newline", &[Going::Stopped, Going::Killed]);
    check(&ledger, &found);
    assert!(number(&ledger["answers"]["connections"]["broken"]) >= 200, "{}", ledger["answers"]);
}

/// Eight consumers, half at the tail, which is in the ring, and half in history, ask for 64 MiB each and read nothing, while five times the
/// ring goes through it.
#[test]
fn consumers_that_read_nothing_cost_a_sender_nothing() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let settings = ["node.lanes=1", "log.ring=8MiB", "listener.tcp.ack=true"];
    let node = Node::start(&folder.path().join("data"), &settings);
    let target = node.address("tcp").to_string();
    let arguments = ["tcp", "--ack", "--target", &target, "--rate", "max", "--size", "1024", "--sources", "8", "--duration", "120s"];
    let mut generator = loadgen::begin_by(&node, &arguments, &folder.path().join("run.json"));
    generator.under_way();
    until_durable(&node, 10_000);
    let stalled: Vec<_> = (0..8)
        .map(|number| {
            let behind = if number % 2 == 0 { node.ledger().durable().cast_signed() - 4_000 } else { 0 };
            let mut client = node.kafka();
            client.stall("events", 0, behind, 16);
            client
        })
        .collect();
    let known = node.ledger().durable();
    until_durable(&node, known + 40_000);
    let ledger = node.ledger();
    assert_eq!((ledger.shed(), ledger.dropped()), (0, 0), "{}", ledger.0);
    drop(stalled);
    let (ledger, found) = finish(folder.path(), node, generator, "events");
    check(&ledger, &found);
    assert_eq!(number(&ledger["answers"]["connections"]["broken"]), 0, "{ledger}");
}

#[test]
fn idempotent_producers_lose_and_double_nothing_through_kills_and_a_stop() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let ledger = folder.path().join("run.json");
    let mut node = start_fresh(folder.path(), "length");
    let target = node.address("kafka").to_string();
    let arguments = ["kafka", "--target", &target, "--topic", "orders", "--rate", "8k", "--size", "120", "--sources", "4"];
    let mut generator = loadgen::begin_by(&node, &[&arguments[..], &["--acks", "all", "--duration", "120s"]].concat(), &ledger);
    generator.under_way();
    for going in [Going::Killed, Going::Killed, Going::Stopped, Going::Killed] {
        node = again(folder.path(), node, "length", going);
    }
    let (ledger, found) = finish(folder.path(), node, generator, "orders");
    check(&ledger, &found);
    assert_eq!((number(&found["unknown"]), number(&found["missing"])), (0, 0), "{found}");
    let answers = &ledger["answers"];
    assert!(number(&answers["connections"]["broken"]) >= 16, "{answers}");
    assert_eq!(answers["fatal"], serde_json::json!({}), "{answers}");
    let gap = &answers["gap"];
    assert_eq!(number(&gap["to_ns"]) - number(&gap["from_ns"]), number(&gap["length_ns"]), "{gap}");
}

#[test]
fn a_ledger_that_claims_one_record_more_is_found_out() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("run.json");
    let node = start_fresh(folder.path(), "length");
    let target = node.address("kafka").to_string();
    let arguments = ["kafka", "--target", &target, "--rate", "8k", "--size", "120", "--duration", "120s"];
    let mut generator = loadgen::begin_by(&node, &arguments, &path);
    generator.under_way();
    until_durable(&node, ENOUGH);
    let mut ledger = generator.interrupted();
    loadgen::accounted(&node, "events", &path);
    let more = number(&ledger["sources"][0]["sent"]) + 1;
    for field in ["sent", "sent_max"] {
        ledger["sources"][0][field] = more.into();
    }
    ledger["answers"]["acknowledged"] = more.into();
    ledger["answers"]["by_source"][0]["acknowledged"] = serde_json::json!([[0, more]]);
    std::fs::write(&path, ledger.to_string()).expect("a temporary folder takes a file");
    let output = loadgen::verify(&node, &path);
    let said = crate::harness::program::said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("1 packets were acknowledged and are not stored"), "{said}");
    node.stop();
}
