//! Retention by size: the oldest segments go, the rest stays whole, the disk does not fill.

use super::assert_clean;
use crate::harness::kafka::{EARLIEST, LATEST, OFFSET_OUT_OF_RANGE};
use crate::harness::loadgen::{self, Load};
use crate::harness::node::Node;
use crate::harness::{alone, wait};
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

fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a lane's folder lists");
    entries.map(|entry| entry.and_then(|entry| entry.metadata()).map_or(0, |metadata| metadata.len())).sum()
}
