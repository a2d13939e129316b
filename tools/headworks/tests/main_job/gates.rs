//! Clients as programs use them, each with a codec of its own: they write, read, seek by time, and share a topic as a group.

use crate::assert_clean;
use crate::harness::node::Node;
use crate::harness::program::said;
use crate::harness::tool;
use rskafka::client::ClientBuilder;
use rskafka::client::consumer::{StartOffset, StreamConsumerBuilder};
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::record::Record;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

/// Runs a script of `tests/gates` against a node of two lanes; it must end well and say how much it read.
fn check(script: &str, records: usize) {
    let Some(python) = tool("HEADWORKS_PYTHON", script) else { return };
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let node = Node::start(&data, &["node.lanes=2"]);
    let path = format!("{}/tests/gates/{script}", env!("CARGO_MANIFEST_DIR"));
    // Isolated: the script's own folder is no place to import from, since a script there is named after its client.
    let output = Command::new(python).args(["-I", &path, &node.address("kafka").to_string()]).output().expect("python starts");
    assert!(output.status.success(), "{script}: {}\n{}\n{}", output.status, said(&output), node.log());
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("stored and read {records}\n"));
    node.stop();
    assert_clean(&data);
}

#[test]
fn confluent_kafka_writes_reads_and_seeks() {
    check("confluent_kafka.py", 2000);
}

#[test]
fn kafka_python_writes_reads_and_seeks() {
    check("kafka_python.py", 2000);
}

#[test]
fn aiokafka_writes_reads_and_seeks() {
    check("aiokafka.py", 2000);
}

#[test]
fn kafka_python_reads_as_a_group() {
    check("kafka_python_groups.py", 3000);
}

#[test]
fn aiokafka_reads_as_a_group() {
    check("aiokafka_groups.py", 3000);
}

#[tokio::test]
async fn rskafka_writes_and_reads() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let node = Node::start(&data, &["node.lanes=2"]);
    let client = ClientBuilder::new(vec![node.address("kafka").to_string()]).build().await.expect("a connection");
    client.controller_client().expect("a controller").create_topic("rust", 2, 1, 5_000).await.expect("a topic");
    let partition = Arc::new(client.partition_client("rust", 1, UnknownTopicHandling::Error).await.expect("a partition"));
    let record = |number: usize| Record {
        key: Some(number.to_string().into_bytes()),
        value: Some(vec![0x61; number]),
        headers: BTreeMap::from([("number".to_owned(), number.to_string().into_bytes())]),
        timestamp: chrono::DateTime::from_timestamp_millis(1_800_000_000_000 + i64::try_from(number).expect("small")).expect("a time"),
    };
    let codecs = [Compression::NoCompression, Compression::Gzip, Compression::Lz4, Compression::Snappy, Compression::Zstd];
    let mut sent = Vec::new();
    for (batch, codec) in codecs.into_iter().enumerate() {
        let records: Vec<Record> = (0..100).map(|number| record(batch * 100 + number)).collect();
        let offsets = partition.produce(records.clone(), codec).await.expect("stored");
        let first = i64::try_from(batch * 100).expect("small");
        assert_eq!(offsets, (first..first + 100).collect::<Vec<_>>());
        sent.extend(records);
    }
    let mut stream = StreamConsumerBuilder::new(partition, StartOffset::Earliest).with_max_wait_ms(100).build();
    for (offset, wanted) in (0..).zip(&sent) {
        let (read, high_watermark) = futures_util::StreamExt::next(&mut stream).await.expect("a record").expect("a whole record");
        assert_eq!((read.offset, high_watermark), (offset, 500));
        assert_eq!(&read.record, wanted, "offset {offset}");
    }
    drop(stream);
    node.stop();
    assert_clean(&data);
}
