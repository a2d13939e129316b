//! Retention by size and by age: the oldest segments go, the rest stays whole, the disk does not fill; readers go on.

use super::{assert_clean, values};
use crate::harness::kafka::{EARLIEST, LATEST, OFFSET_OUT_OF_RANGE, split};
use crate::harness::loadgen::{self, Load};
use crate::harness::node::Node;
use crate::harness::packets::{name_of, named};
use crate::harness::records::{Sender, with_lengths};
use crate::harness::{alone, wait};
use std::collections::BTreeMap;
use std::path::Path;

const RETAINED_BYTES: u64 = 32 << 20;
/// The retained, the open one, those being retired or sealed, and spares.
const ON_DISK_BYTES_MAX: u64 = RETAINED_BYTES + 8 * (8 << 20);
const SETTINGS: [&str; 2] = ["node.lanes=1", "log.retention.size=32MiB"];

#[test]
fn oldest_segments_go_and_the_rest_is_served() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let node = Node::start(&data, &SETTINGS);
    // 100 MiB of payload.
    let load = Load { rate: "40k", size: 1400, sources: 4, gso: false, until: ["--count", "75k"] };
    loadgen::send(&node, &load, &folder.path().join("run.json"));
    let ledger = node.settled(75_000);
    ledger.assert_balanced();
    let mut client = node.kafka();
    let start = wait::until("segments are given back", || {
        let kept = folder_bytes(&data.join("lane-00"));
        match client.offset_at("events", 0, EARLIEST).0 {
            start if start > 0 && kept <= ON_DISK_BYTES_MAX => Ok(start),
            start => Err(format!("log start {start}, {kept} bytes on disk, at most {ON_DISK_BYTES_MAX}")),
        }
    });
    let end = client.offset_at("events", 0, LATEST).0;
    assert_eq!(end.unsigned_abs(), ledger.durable(), "the high watermark against the durable records");
    let payload = end.abs_diff(start) * 1400;
    assert!(payload <= RETAINED_BYTES + (8 << 20), "{payload} bytes of payload are kept, {RETAINED_BYTES} are asked for");
    assert!(payload >= RETAINED_BYTES / 2, "{payload} bytes of payload are kept, {RETAINED_BYTES} are asked for");
    for offset in [0, start - 1] {
        let below = client.fetch("events", 0, offset, 0);
        assert_eq!((below.error, below.batches.len()), (OFFSET_OUT_OF_RANGE, 0), "offset {offset} below log start {start}");
        assert_eq!(below.log_start, start, "the answer names the log start");
    }
    assert_eq!(client.read("events", 0, start, end).len() as u64, end.abs_diff(start), "records from log start to end");
    node.stop();
    assert_clean(&data);

    let node = Node::start(&data, &SETTINGS);
    let mut client = node.kafka();
    let (again, until) = (client.offset_at("events", 0, EARLIEST).0, client.offset_at("events", 0, LATEST).0);
    assert!(again >= start, "log start {again} after the restart, {start} before");
    assert_eq!(until, end, "the end after the restart");
    assert_eq!(client.read("events", 0, again, until).len() as u64, until.abs_diff(again), "records from log start to end");
    node.stop();
    assert_clean(&data);
}

/// A sender for each of two lanes: connections are made until each lane has one.
fn sender_of_each_lane(node: &Node) -> [Sender; 2] {
    let mut found: BTreeMap<i32, Sender> = BTreeMap::new();
    for source in 0..64 {
        let mut sender = Sender::connect(node.address("tcp"));
        sender.send(&with_lengths(&[named(source, 0, 64)]));
        let stored = |partition| {
            let values = values(node, partition);
            values.iter().any(|value| name_of(value).0 == source)
        };
        let lane = wait::until("the record is stored", || (0..2).find(|partition| stored(*partition)).ok_or("not yet".to_owned()));
        found.entry(lane).or_insert(sender);
        if found.len() == 2 {
            break;
        }
    }
    let senders: Vec<Sender> = found.into_values().collect();
    senders.try_into().unwrap_or_else(|found: Vec<_>| panic!("64 connections in {} of 2 lanes", found.len()))
}

#[test]
fn records_of_fast_and_slow_lanes_go_by_age_while_a_reader_follows() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let node = Node::start(&data, &["node.lanes=2", "log.retention.size=1GiB", "log.retention.age=2s"]);
    let [mut fast, mut slow] = sender_of_each_lane(&node);
    let mut client = node.kafka();
    let mut next = [0, 1].map(|partition| client.offset_at("events", partition, LATEST).0);
    // One lane takes a thousand times the bytes of the other; each forgets by the age of its own records.
    let starts = wait::until("records of both lanes grow too old", || {
        fast.send(&with_lengths(&vec![vec![b'f'; 64 << 10]; 4]));
        slow.send(&with_lengths(&[vec![b's'; 64]]));
        for partition in [0, 1] {
            let at = usize::try_from(partition).expect("two partitions");
            let fetched = client.fetch("events", partition, next[at], 10);
            assert_eq!(fetched.error, 0, "error {} of 0 for the reader at {} of partition {partition}", fetched.error, next[at]);
            for (base, behind, _) in split(fetched.batches) {
                assert!(base <= next[at] && behind > next[at], "{base} to {behind} for offset {}", next[at]);
                next[at] = behind;
            }
        }
        let starts = [0, 1].map(|partition| client.offset_at("events", partition, EARLIEST).0);
        if starts.iter().all(|start| *start > 0) { Ok(starts) } else { Err(format!("log starts {starts:?}")) }
    });
    for (partition, start) in [0, 1].into_iter().zip(starts) {
        let below = client.fetch("events", partition, 0, 0);
        assert_eq!((below.error, below.batches.len()), (OFFSET_OUT_OF_RANGE, 0), "offset 0 of partition {partition}");
        assert!(below.log_start >= start, "the answer names the log start: {}, {start} was seen before", below.log_start);
        assert_eq!(client.read_all("events", partition).first().map(|record| record.offset), Some(below.log_start));
        let beyond = client.fetch("events", partition, i64::MAX, 0);
        assert_eq!(beyond.error, OFFSET_OUT_OF_RANGE);
    }
    node.stop();
    assert_clean(&data);
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a lane's folder lists");
    entries.map(|entry| entry.and_then(|entry| entry.metadata()).map_or(0, |metadata| metadata.len())).sum()
}
