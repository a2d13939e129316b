//! A full disk is a state, not an end: visible, counted, and over when space is there again.

use crate::assert_clean;
use crate::harness::loadgen::{self, Load};
use crate::harness::mount::Mounted;
use crate::harness::node::{Node, log_beside};
use crate::harness::{alone, skip, wait};
use std::path::{Path, PathBuf};

const BALLAST_BYTES: usize = 64 << 20;
/// The ring is smaller than the ballast: what waits in it has room once that is gone.
const SETTINGS: [&str; 2] = ["node.lanes=1", "log.ring=8MiB"];

/// A volume with ballast, and the path for data on it.
fn volume() -> Result<(Mounted, PathBuf), String> {
    let mounted = Mounted::ext4(200 << 20)?;
    std::fs::write(mounted.path().join("ballast"), vec![1; BALLAST_BYTES]).expect("there is room for it");
    let data = mounted.path().join("data");
    // The file for standard error would lie on the full volume too: it goes beside it.
    std::os::unix::fs::symlink(mounted.beside("stderr"), log_beside(&data)).expect("a fresh name");
    Ok((mounted, data))
}

fn free(mounted: &Mounted) {
    std::fs::remove_file(mounted.path().join("ballast")).expect("it is there");
}

#[test]
fn is_counted_and_every_packet_is_accounted_for_when_space_is_freed() {
    let _alone = alone();
    let (mounted, data) = match volume() {
        Ok(volume) => volume,
        Err(why) => return skip("full_disk::is_counted", &why),
    };
    let mut node = Node::start(&data, &SETTINGS);
    let run = fill(&mut node, &mounted);
    free(&mounted);
    resumes(&mut node, &mounted);
    loadgen::assert_accounted(&node, &run, "the run that filled the disk");
    node.stop();
    check_books(&data);
}

#[test]
fn stopped_and_started_again_serves_what_is_there_and_resumes_when_space_is_freed() {
    let _alone = alone();
    let (mounted, data) = match volume() {
        Ok(volume) => volume,
        Err(why) => return skip("full_disk::stopped_and_started_again", &why),
    };
    let mut node = Node::start(&data, &SETTINGS);
    fill(&mut node, &mounted);
    let durable = node.ledger().durable();
    node.stop();
    assert_clean(&data, "stopped on a full disk");
    let mut node = Node::start(&data, &SETTINGS);
    assert_eq!(node.status().records("events"), durable, "records after a restart on a full disk");
    let ledger = node.ledger();
    ledger.assert_balanced();
    assert_eq!((ledger.lanes_admitted(), ledger.durable()), (durable, durable), "{}", ledger.0);
    assert_eq!(node.kafka().read_all("events", 0).len() as u64, durable, "records served from a full disk");
    free(&mounted);
    resumes(&mut node, &mounted);
    node.kill();
    check_books(&data);
}

/// The directory is clean, and after one more start the books are the topic's records.
fn check_books(data: &Path) {
    assert_clean(data, "after space came back");
    let node = Node::start(data, &SETTINGS);
    let ledger = node.ledger();
    ledger.assert_balanced();
    let records = node.status().records("events");
    assert_eq!((ledger.lanes_admitted(), ledger.durable()), (records, records), "{}", ledger.0);
    node.stop();
}

/// Sends more than there is room for, until that is shown and counted.
fn fill(node: &mut Node, mounted: &Mounted) -> PathBuf {
    let load = Load { rate: "60k", size: 1400, sources: 4, gso: false, until: ["--count", "150k"] };
    let run = mounted.beside("fill.json");
    loadgen::send(node, &load, &run);
    wait::until_true("the full disk is shown and every packet decided", || {
        let (status, ledger) = (node.status(), node.ledger());
        let shown = status.warns("volume is full") && ledger.shed_for("disk_full") > 0 && ledger.pending() == 0;
        (shown, format!("{}\n{}", status.0, ledger.0))
    });
    node.ledger().assert_balanced();
    let metrics = node.ask("/metrics").body;
    let shed = |line: &str| line.starts_with("headworks_shed_records_total{") && line.contains("disk_full") && !line.ends_with(" 0");
    assert!(metrics.lines().any(shed), "no disk_full above 0 in\n{metrics}");
    node.assert_alive();
    run
}

/// Admits again, says so, and stores every packet that comes afterwards.
fn resumes(node: &mut Node, mounted: &Mounted) {
    wait::until_true("the warning goes and the ring empties", || {
        let (status, ledger) = (node.status(), node.ledger());
        (!status.warns("volume is full") && ledger.in_flight() == 0, format!("{}\n{}", status.0, ledger.0))
    });
    let before = node.ledger().lanes_admitted();
    let load = Load { rate: "10k", size: 300, sources: 4, gso: false, until: ["--count", "5k"] };
    let run = mounted.beside("resume.json");
    loadgen::send(node, &load, &run);
    loadgen::assert_accounted(node, &run, "after space came back");
    let after = node.ledger().lanes_admitted();
    assert_eq!(after, before + 5_000, "admitted after space came back, {before} before\n{}", node.log());
    node.assert_alive();
}
