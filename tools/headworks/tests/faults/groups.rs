//! kill -9 with an idempotent producer and a consumer group at work: no record is lost or stored twice, and the group goes on at its
//! committed offsets, never behind one that was answered, never at one that nobody committed.

use crate::harness::kafka::Client;
use crate::harness::node::{Guarded, Node};
use crate::harness::random::Random;
use crate::harness::wait::{self, PATIENCE};
use crate::harness::{alone, tool};
use crate::{Column, assert_clean};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

const PARTITIONS: [i32; 4] = [0, 1, 2, 3];

/// A producer that goes on and on, and a consumer that commits what it has read. It says `commit P O` before it commits, `committed P O`
/// after it was answered, and `wrong …` if an offset does not follow the one before or the committed one. A line of input ends it.
const WORK: &str = r#"
import sys, threading, time
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
address, stop, lock = sys.argv[1], threading.Event(), threading.Lock()
def say(*words):
    with lock:
        print(*words, flush=True)
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
common = {"bootstrap.servers": address, "reconnect.backoff.max.ms": 200, "topic.metadata.refresh.interval.ms": 1000}

def produce():
    producer = Producer({**common, "enable.idempotence": True, "linger.ms": 2})
    count = {"delivered": 0, "sent": 0}
    refused = []
    def on_delivery(error, message):
        if error is None:
            count["delivered"] += 1
        else:
            refused.append(str(error))
    while not stop.is_set():
        try:
            producer.produce("orders", value=str(count["sent"]).encode(), partition=count["sent"] % 4, on_delivery=on_delivery)
            count["sent"] += 1
        except BufferError:
            producer.poll(0.05)
        producer.poll(0.05 if count["sent"] - count["delivered"] > 2000 else 0)
        if count["sent"] % 20 == 0:
            time.sleep(0.001)
    left = producer.flush(60)
    say("sent", count["sent"], "delivered", count["delivered"], "left", left, "refused", len(refused), refused[:3])

expected = {}
def on_assign(consumer, partitions):
    while True:
        try:
            found = consumer.committed(partitions, timeout=5)
            if all(one.error is None for one in found):
                break
        except KafkaException:
            pass
    for one in found:
        expected[one.partition] = max(one.offset, 0)

worker = threading.Thread(target=produce)
worker.start()
consumer = Consumer({**common, "group.id": "readers", "auto.offset.reset": "earliest", "enable.auto.commit": False,
                     "heartbeat.interval.ms": 200, "session.timeout.ms": 6000})
consumer.subscribe(["orders"], on_assign=on_assign)
read = 0
while not stop.is_set():
    message = consumer.poll(0.1)
    if message is None or message.error() is not None:
        continue
    place, offset = message.partition(), message.offset()
    if expected[place] != offset:
        say("wrong", place, "expected", expected[place], "got", offset)
    expected[place] = offset + 1
    read += 1
    if read % 200 == 0:
        offsets = [TopicPartition("orders", place, offset) for place, offset in expected.items()]
        for one in offsets:
            say("commit", one.partition, one.offset)
        try:
            for one in consumer.commit(offsets=offsets, asynchronous=False):
                if one.error is None:
                    say("committed", one.partition, one.offset)
        except KafkaException:
            pass
worker.join()
consumer.close()
say("end")
"#;

/// What the work has said so far.
struct Work {
    lines: Receiver<String>,
    /// Offsets that were about to be committed.
    asked: BTreeMap<i32, BTreeSet<i64>>,
    /// The last that was answered.
    answered: BTreeMap<i32, i64>,
    sum: Option<String>,
    ended: bool,
}

impl Work {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let numbers = || (words[1].parse::<i32>().expect("a partition"), words[2].parse::<i64>().expect("an offset"));
        match words[0] {
            "commit" => drop(self.asked.entry(numbers().0).or_default().insert(numbers().1)),
            "committed" => drop(self.answered.insert(numbers().0, numbers().1)),
            "sent" => self.sum = Some(line.to_owned()),
            "end" => self.ended = true,
            _ => panic!("the group did not go on where it was: {line}"),
        }
    }

    /// Listens until something holds.
    fn until(&mut self, what: &str, holds: impl Fn(&Work) -> bool) {
        while !holds(self) {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{what}: {error}; answered {:?}", self.answered));
            self.hear(&line);
        }
    }

    /// What was said by now.
    fn catch_up(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.hear(&line);
        }
    }
}

#[test]
fn a_group_and_a_producer_survive_kills_without_loss_or_copies() {
    let Some(python) = tool("HEADWORKS_PYTHON", "groups::a_group_and_a_producer_survive_kills_without_loss_or_copies") else { return };
    let _alone = alone();
    let mut random = Random::announced("groups");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let mut node = Node::start(&data, &["node.lanes=2"]);
    let kafka = format!("kafka.address={}", node.address("kafka"));
    let mut command = Command::new(python);
    command.args(["-c", WORK, &node.address("kafka").to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut worker = Guarded::spawn(&mut command);
    let (mut stdin, stdout) = worker.pipes();
    let (tell, lines) = channel();
    thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    let mut work = Work { lines, asked: BTreeMap::new(), answered: BTreeMap::new(), sum: None, ended: false };
    let total = |work: &Work| work.answered.values().sum::<i64>();
    for round in 0..Column::chosen().kills {
        let enough = total(&work) + 1 + i64::try_from(random.below(3_000)).expect("small");
        work.until("the group commits", |work| total(work) >= enough && work.answered.len() == PARTITIONS.len());
        node.kill();
        work.catch_up();
        let answered = work.answered.clone();
        node = Node::start(&data, &["node.lanes=2", &kafka]);
        let mut client = node.kafka();
        for partition in PARTITIONS {
            let found = client.committed("readers", "orders", partition);
            let least = answered[&partition];
            assert!(found >= least, "round {round}: partition {partition} is at {found}, {least} was answered\n{}", node.log());
            work.until("what is committed was asked for", |work| work.asked[&partition].contains(&found));
        }
    }
    let enough = total(&work) + 1;
    work.until("the group goes on", |work| total(work) >= enough);
    stdin.write_all(b"stop\n").expect("the worker listens");
    work.until("the worker ends", |work| work.ended);
    worker.wait("the worker ends");
    check_records(&mut node.kafka(), &work.sum.expect("the producer sums up"));
    node.ledger().assert_balanced();
    node.stop();
    assert_clean(&data, "after all rounds");
}

/// Every value that was sent stands in the topic once.
fn check_records(client: &mut Client, sum: &str) {
    let words: Vec<&str> = sum.split(' ').collect();
    let (sent, delivered): (usize, usize) = (words[1].parse().expect("a number"), words[3].parse().expect("a number"));
    assert_eq!((words[5], words[7], sent), ("0", "0", delivered), "left, refused, sent: {sum}");
    let mut times: BTreeMap<usize, usize> = BTreeMap::new();
    let ends = wait::until("everything delivered is committed", || {
        let ends: Vec<i64> =
            PARTITIONS.iter().map(|partition| client.offset_at("orders", *partition, crate::harness::kafka::LATEST).0).collect();
        if ends.iter().sum::<i64>().unsigned_abs() >= sent as u64 { Ok(ends) } else { Err(format!("{ends:?} of {sent}")) }
    });
    for (partition, end) in PARTITIONS.into_iter().zip(ends) {
        for record in client.read("orders", partition, 0, end) {
            let value = record.value.expect("a value");
            *times.entry(std::str::from_utf8(&value).expect("text").parse().expect("a number")).or_default() += 1;
        }
    }
    let doubled = times.values().filter(|count| **count > 1).count();
    let lost = (0..sent).filter(|number| !times.contains_key(number)).count();
    assert_eq!((lost, doubled, times.len()), (0, 0, sent), "lost, doubled and stored of {sent}");
    eprintln!("{sent} records sent, stored once each");
}
