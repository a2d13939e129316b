//! Clients that people have write, through kills and starts: nothing acknowledged is lost, nothing is stored twice.

use crate::assert_clean;
use crate::harness::node::{Guarded, Node};
use crate::harness::program::said;
use crate::harness::{tool, wait};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Kills within one run of the idempotent producer.
const KILLS: usize = 3;

/// An idempotent producer that sends numbered values on and on, says `delivered N` every thousand, and stops when it reads
/// a line: then it says how many it sent and how many of them were refused.
const IDEMPOTENT: &str = r#"
import sys, threading
from confluent_kafka import Producer
producer = Producer({"bootstrap.servers": sys.argv[1], "enable.idempotence": True, "linger.ms": 2,
                     "reconnect.backoff.max.ms": 200, "topic.metadata.refresh.interval.ms": 1000})
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
delivered, refused, sent = 0, [], 0
def on_delivery(error, message):
    global delivered
    if error is not None:
        refused.append(str(error))
        return
    delivered += 1
    if delivered % 1000 == 0:
        print("delivered", delivered, flush=True)
while not stop.is_set():
    try:
        producer.produce("orders", value=str(sent).encode(), partition=sent % 4, on_delivery=on_delivery)
        sent += 1
    except BufferError:
        producer.poll(0.05)
    if sent - delivered > 5000:
        producer.poll(0.05)
    producer.poll(0)
left = producer.flush(60)
print("sent", sent, "delivered", delivered, "left", left, "refused", len(refused), refused[:3], flush=True)
"#;

/// Values of all records of the topic's partitions, in order within each.
fn stored(node: &Node, topic: &str, partitions: i32) -> Vec<String> {
    let text = |value: Option<bytes::Bytes>| String::from_utf8(value.expect("a value").to_vec()).expect("values are text");
    let records = (0..partitions).flat_map(|partition| node.kafka().read_all(topic, partition));
    records.map(|record| text(record.value)).collect()
}

#[test]
fn kcat_writes_with_every_codec_and_reads_it_back_after_a_kill() {
    let Some(kcat) = tool("HEADWORKS_KCAT", "produce::kcat_writes_with_every_codec_and_reads_it_back_after_a_kill") else { return };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let node = Node::start(&data, &["node.lanes=2"]);
    let mut sent = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let broker = node.address("kafka").to_string();
        let mut command = Command::new(&kcat);
        command.args(["-b", &broker, "-t", "lines", "-P", "-p", "3", "-z", codec, "-X", "request.required.acks=-1"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kcat starts");
        let lines: Vec<String> = (0..300).map(|line| format!("{codec}-{line:0100}")).collect();
        child.stdin.take().expect("piped").write_all((lines.join("\n") + "\n").as_bytes()).expect("kcat reads");
        let output = child.wait_with_output().expect("kcat ends");
        assert!(output.status.success(), "{codec}: {}\n{}", output.status, said(&output));
        sent.extend(lines);
    }
    node.kill();
    let node = Node::start(&data, &["node.lanes=2"]);
    let mut command = Command::new(&kcat);
    command.args(["-b", &node.address("kafka").to_string(), "-t", "lines", "-C", "-e", "-q", "-o", "beginning", "-f", "%p %s\n"]);
    let output = command.output().expect("kcat starts");
    let read: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    let expected: Vec<String> = sent.iter().map(|line| format!("3 {line}")).collect();
    assert_eq!(read, expected);
    node.stop();
    assert_clean(&data);
}

#[test]
fn an_idempotent_producer_loses_and_doubles_nothing_through_kills() {
    let name = "produce::an_idempotent_producer_loses_and_doubles_nothing_through_kills";
    let Some(python) = tool("HEADWORKS_PYTHON", name) else { return };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let mut node = Node::start(&data, &["node.lanes=2"]);
    let kafka = format!("kafka.address={}", node.address("kafka"));
    let mut command = Command::new(python);
    command.args(["-c", IDEMPOTENT, &node.address("kafka").to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut producer = Guarded::spawn(command.stderr(Stdio::null()));
    let (mut stdin, stdout) = producer.pipes();
    let mut lines = BufReader::new(stdout).lines().map(|line| line.expect("text"));
    for _ in 0..KILLS {
        let delivered = lines.next().expect("the producer delivers");
        assert!(delivered.starts_with("delivered "), "{delivered}");
        // Whatever is under way now is written or not, acknowledged or not.
        node.kill();
        node = Node::start(&data, &["node.lanes=2", &kafka]);
        let after = lines.next().expect("the producer goes on");
        assert!(after.starts_with("delivered "), "{after}");
    }
    stdin.write_all(b"stop\n").expect("the producer listens");
    let last = lines.find(|line| line.starts_with("sent ")).expect("the producer sums up");
    producer.wait("the producer ends");
    let words: Vec<&str> = last.split(' ').collect();
    let (sent, delivered): (usize, usize) = (words[1].parse().expect("a number"), words[3].parse().expect("a number"));
    assert_eq!((words[5], words[7]), ("0", "0"), "left and refused: {last}");
    assert_eq!(sent, delivered, "{last}");
    wait::until("everything delivered is committed", || {
        let count = stored(&node, "orders", 4).len();
        if count >= sent { Ok(()) } else { Err(format!("{count} of {sent}")) }
    });
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    stored(&node, "orders", 4).into_iter().for_each(|value| *times.entry(value).or_default() += 1);
    let doubled = times.values().filter(|count| **count > 1).count();
    let lost = (0..sent).filter(|number| !times.contains_key(&number.to_string())).count();
    assert_eq!((lost, doubled, times.len()), (0, 0, sent), "lost, doubled and stored of {sent}");
    node.ledger().assert_balanced();
    node.stop();
    assert_clean(&data);
}
