//! The clients that people have: kcat (the oldest librdkafka in use) and confluent-kafka (the newest).

use crate::harness::node::Node;
use crate::harness::packets::{self, named};
use crate::harness::program::said;
use crate::harness::tool;
use std::collections::BTreeSet;
use std::process::Command;

const SOURCES: usize = 16;
const PACKETS: usize = 500;

/// Reads a topic to its end and prints each value as a line.
const CONFLUENT: &str = r#"
import sys
from confluent_kafka import Consumer, KafkaError, TopicPartition, OFFSET_BEGINNING
consumer = Consumer({"bootstrap.servers": sys.argv[1], "group.id": "unused", "enable.auto.commit": False, "enable.partition.eof": True})
partitions = sorted(consumer.list_topics("events", timeout=20).topics["events"].partitions)
consumer.assign([TopicPartition("events", partition, OFFSET_BEGINNING) for partition in partitions])
ended = set()
while len(ended) < len(partitions):
    message = consumer.poll(20)
    if message is None:
        sys.exit("nothing within 20 seconds; ended: %s of %s" % (ended, partitions))
    if message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF:
        ended.add(message.partition())
    elif message.error() is not None:
        sys.exit(str(message.error()))
    else:
        sys.stdout.write("%d %d %s\n" % (message.partition(), message.offset(), message.value().decode()))
consumer.close()
"#;

/// A node with two lanes, and all that was sent to it.
fn filled(folder: &std::path::Path) -> (Node, BTreeSet<String>) {
    let node = Node::start(&folder.join("data"), &["node.lanes=2"]);
    let mut sent = BTreeSet::new();
    for source in 0..SOURCES {
        let train: Vec<_> = (0..PACKETS).map(|number| named(source, number, 120)).collect();
        packets::send(&packets::source(node.udp()), &train);
        sent.extend(train.into_iter().map(|packet| String::from_utf8(packet).expect("names are text")));
    }
    node.settled((SOURCES * PACKETS) as u64);
    (node, sent)
}

/// Lines `partition offset value`: every value once, offsets dense.
fn check_lines(text: &str, sent: &BTreeSet<String>) {
    let mut next = [0; 2];
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("three words in {line:?}"));
        let (partition, offset): (usize, u64) = (word().parse().expect("a number"), word().parse().expect("a number"));
        assert_eq!(offset, next[partition], "offset {offset} of partition {partition} where {} should come", next[partition]);
        next[partition] += 1;
        assert!(found.insert(word().to_owned()), "twice: {line}");
    }
    assert_eq!(found.len(), sent.len(), "values read of those sent");
    assert_eq!(&found, sent);
}

#[test]
fn kcat_reads_everything() {
    let Some(kcat) = tool("HEADWORKS_KCAT", "clients::kcat_reads_everything") else { return };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (node, sent) = filled(folder.path());
    let broker = node.address("kafka").to_string();
    let mut command = Command::new(kcat);
    command.args(["-b", &broker, "-t", "events", "-C", "-e", "-q", "-o", "beginning", "-f", "%p %o %s\\n"]);
    let output = command.output().expect("kcat starts");
    assert!(output.status.success(), "{}\n{}", output.status, said(&output));
    check_lines(&String::from_utf8_lossy(&output.stdout), &sent);
    node.stop();
}

#[test]
fn confluent_kafka_reads_everything() {
    let Some(python) = tool("HEADWORKS_PYTHON", "clients::confluent_kafka_reads_everything") else { return };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (node, sent) = filled(folder.path());
    let mut command = Command::new(python);
    let output = command.args(["-c", CONFLUENT, &node.address("kafka").to_string()]).output().expect("python starts");
    assert!(output.status.success(), "{}\n{}", output.status, said(&output));
    check_lines(&String::from_utf8_lossy(&output.stdout), &sent);
    node.stop();
}
