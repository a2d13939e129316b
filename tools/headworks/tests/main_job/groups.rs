//! Consumer groups with the clients that people have: members come and go, offsets are resumed, whatever happens to the node.

use crate::assert_clean;
use crate::harness::kafka::EARLIEST;
use crate::harness::loadgen::{self, Load};
use crate::harness::node::Node;
use crate::harness::program::said;
use crate::harness::{alone, tool, wait};
use std::ffi::OsString;
use std::process::Command;

/// What every script begins with: a topic of four partitions, a producer of numbered values, and consumers of a group.
const PRELUDE: &str = r#"
import sys, time
from confluent_kafka import Consumer, Producer
address = sys.argv[1]

def produce(first, count):
    producer = Producer({"bootstrap.servers": address})
    for number in range(first, first + count):
        producer.produce("orders", value=str(number).encode(), partition=number % 4)
    assert producer.flush(30) == 0

class Member:
    def __init__(self, **settings):
        self.assigned, self.revoked, self.values = 0, 0, []
        base = {"bootstrap.servers": address, "group.id": "readers", "auto.offset.reset": "earliest",
                "enable.auto.commit": False, "heartbeat.interval.ms": 200, "session.timeout.ms": 10000}
        base.update({key.replace("_", "."): value for key, value in settings.items()})
        self.consumer = Consumer(base)
        self.consumer.subscribe(["orders"], on_assign=self.on_assign, on_revoke=self.on_revoke)
    def on_assign(self, consumer, partitions):
        self.assigned += 1
    def on_revoke(self, consumer, partitions):
        self.revoked += 1
    def poll(self):
        message = self.consumer.poll(0.05)
        if message is not None:
            assert message.error() is None, message.error()
            self.values.append(int(message.value()))
    def has(self):
        return len(self.consumer.assignment())

def until(what, condition, *members):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        for member in members:
            member.poll()
"#;

const COMES_AND_GOES: &str = r#"
produce(0, 400)
one = Member()
until("one has all", lambda: one.has() == 4, one)
two = Member()
until("both have half", lambda: (one.has(), two.has()) == (2, 2), one, two)
until("all is read", lambda: len(set(one.values + two.values)) == 400, one, two)
one.consumer.commit(asynchronous=False)
two.consumer.commit(asynchronous=False)
two.consumer.close()
until("one has all again", lambda: one.has() == 4, one)
one.consumer.close()
assert sorted(set(one.values + two.values)) == list(range(400))
print("read", len(set(one.values + two.values)))
"#;

const RESUMES: &str = r#"
produce(400, 100)
again = Member()
until("the rest is read", lambda: len(again.values) >= 100, again)
assert sorted(again.values) == list(range(400, 500)), sorted(again.values)[:5]
again.consumer.commit(asynchronous=False)
again.consumer.close()
print("read", len(again.values))
"#;

const STATIC: &str = r#"
produce(0, 40)
one, two = Member(group_instance_id="one"), Member(group_instance_id="two")
until("both have half", lambda: (one.has(), two.has()) == (2, 2), one, two)
before = (two.assigned, two.revoked)
had = sorted(partition.partition for partition in one.consumer.assignment())
one.consumer.close()
one = Member(group_instance_id="one")
until("it is back", lambda: one.has() == 2, one, two)
assert sorted(partition.partition for partition in one.consumer.assignment()) == had
until("a while", lambda: len(set(one.values + two.values)) == 40, one, two)
assert (two.assigned, two.revoked) == before, "nobody else was disturbed"
print("kept", len(had))
"#;

fn run(python: &OsString, node: &Node, script: &str, says: &str) {
    let output = Command::new(python)
        .args(["-c", &format!("{PRELUDE}{script}"), &node.address("kafka").to_string()])
        .output()
        .expect("python starts");
    assert!(output.status.success(), "{}\n{}\n{}", output.status, said(&output), node.log());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), says);
}

#[test]
fn members_come_and_go_and_the_group_resumes_after_a_kill() {
    let Some(python) = tool("HEADWORKS_PYTHON", "groups::members_come_and_go_and_the_group_resumes_after_a_kill") else { return };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let node = Node::start(&data, &["node.lanes=2"]);
    run(&python, &node, COMES_AND_GOES, "read 400");
    let lag = "headworks_consumer_lag_records{group=\"readers\",topic=\"orders\",partition=\"0\"} 0";
    let metrics = node.ask("/metrics").body;
    assert!(metrics.lines().any(|line| line == lag), "no {lag:?} in:\n{metrics}");
    let status = node.status();
    let group = &status.0["groups"][0];
    assert_eq!((group["name"].as_str(), group["state"].as_str(), group["committed"].as_u64()), (Some("readers"), Some("Empty"), Some(4)));
    node.kill();
    let node = Node::start(&data, &["node.lanes=2"]);
    run(&python, &node, RESUMES, "read 100");
    node.ledger().assert_balanced();
    node.stop();
    assert_clean(&data);
}

#[test]
fn a_static_member_comes_back_and_disturbs_nobody() {
    let Some(python) = tool("HEADWORKS_PYTHON", "groups::a_static_member_comes_back_and_disturbs_nobody") else { return };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=2"]);
    run(&python, &node, STATIC, "kept 2");
    node.stop();
}

#[test]
fn kcat_reads_as_a_group_and_finds_nothing_twice() {
    let Some(kcat) = tool("HEADWORKS_KCAT", "groups::kcat_reads_as_a_group_and_finds_nothing_twice") else { return };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=2"]);
    let broker = node.address("kafka").to_string();
    let input = folder.path().join("lines");
    let lines: Vec<String> = (0..500).map(|line| format!("line {line}")).collect();
    std::fs::write(&input, lines.join("\n") + "\n").expect("written");
    let file = std::fs::File::open(&input).expect("there");
    let wrote = Command::new(&kcat).args(["-b", &broker, "-t", "lines", "-P"]).stdin(file).output().expect("kcat starts");
    assert!(wrote.status.success(), "{}", said(&wrote));
    for expected in [lines.len(), 0] {
        let mut command = Command::new(&kcat);
        command.args(["-b", &broker, "-q", "-e", "-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=10000", "-f", "%s\n"]);
        let output = command.args(["-G", "readers", "lines"]).output().expect("kcat starts");
        assert!(output.status.success(), "{}\n{}", said(&output), node.log());
        let mut read: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        read.sort_unstable();
        let mut wanted = lines[..expected].to_vec();
        wanted.sort_unstable();
        assert_eq!(read, wanted);
    }
    node.stop();
}

#[test]
fn committed_offsets_outlive_the_segments_that_they_were_written_to() {
    let _alone = alone();
    let settings = ["node.lanes=1", "log.segment=8MiB", "log.retention.size=32MiB"];
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let mut start = 0;
    for round in 0..3i64 {
        let node = Node::start(&data, &settings);
        let mut client = node.kafka();
        if round == 0 {
            client.commit("quiet", "events", 0, 7);
        }
        client.commit("busy", "events", 0, 100 + round);
        // Some hundred megabytes in each round: the log is given back several times over.
        let load = Load { rate: "40k", size: 1400, sources: 4, gso: false, until: ["--count", "75k"] };
        loadgen::send(&node, &load, &folder.path().join(format!("run-{round}.json")));
        let moved =
            wait::until("the stream's segments are given back too", || match client.offset_at("__consumer_offsets", 0, EARLIEST).0 {
                moved if moved > start => Ok(moved),
                moved => Err(format!("log start {moved}")),
            });
        start = moved;
        assert_eq!((client.committed("quiet", "events", 0), client.committed("busy", "events", 0)), (7, 100 + round));
        node.kill();
        assert_clean(&data);
        let node = Node::start(&data, &settings);
        let mut client = node.kafka();
        let found = (client.committed("quiet", "events", 0), client.committed("busy", "events", 0), client.committed("none", "events", 0));
        assert_eq!(found, (7, 100 + round, -1), "round {round}, stream from {start}");
        node.stop();
    }
}
