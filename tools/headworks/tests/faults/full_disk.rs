//! A full disk is a state, not an end: visible, counted, and over when space is there again.

use crate::assert_clean;
use crate::harness::loadgen::{self, Load};
use crate::harness::mount::Mounted;
use crate::harness::node::{Node, log_beside};
use crate::harness::program::{command, run_arguments};
use crate::harness::{alone, skip, wait};
use std::path::Path;

const BALLAST_BYTES: usize = 48 << 20;
const SETTINGS: [&str; 1] = ["node.lanes=1"];

fn start(data: &Path) -> Node {
    Node::start_by(command(run_arguments(data, &SETTINGS)), data)
}

#[test]
fn is_counted_loses_nothing_and_ends_when_space_is_freed() {
    let _alone = alone();
    let mounted = match Mounted::ext4(200 << 20) {
        Ok(mounted) => mounted,
        Err(why) => return skip("full_disk", &why),
    };
    let ballast = mounted.path().join("ballast");
    std::fs::write(&ballast, vec![1; BALLAST_BYTES]).expect("there is room for it");
    // The log of standard error would lie on the full volume too: it goes beside it.
    let data = mounted.path().join("data");
    assert_eq!(log_beside(&data), mounted.path().join("data.stderr"));
    std::os::unix::fs::symlink(mounted.beside("stderr"), log_beside(&data)).expect("a fresh name");
    let mut node = start(&data);
    fill(&mut node, &mounted);
    let ledger = node.settled(1);
    ledger.assert_balanced();
    let admitted = ledger.lanes_admitted();

    // Full, and started again: what is there is served, what comes is counted.
    node.stop();
    assert_clean(&data, "stopped on a full disk");
    let mut node = start(&data);
    assert_eq!(node.status().records("events"), admitted, "records after a restart on a full disk");
    let ledger = node.ledger();
    assert_eq!((ledger.lanes_admitted(), ledger.durable()), (admitted, admitted), "{}", ledger.0);

    std::fs::remove_file(&ballast).expect("it is there");
    resumes(&mut node, &mounted);
    node.stop();
    assert_clean(&data, "stopped after space came back");
    let node = start(&data);
    let ledger = node.ledger();
    ledger.assert_balanced();
    assert_eq!(node.status().records("events"), ledger.lanes_admitted(), "{}", ledger.0);
    node.stop();
}

/// Sends more than there is room for; every packet must be stored or counted.
fn fill(node: &mut Node, mounted: &Mounted) {
    let load = Load { rate: "60k", size: 1400, sources: 4, gso: false, until: ["--count", "150k"] };
    let run = mounted.beside("fill.json");
    loadgen::send(node, &load, &run);
    wait::until_true("the full disk is shown", || {
        let (status, ledger) = (node.status(), node.ledger());
        let shown = status.warns("volume is full") && ledger.shed_for("disk_full") > 0;
        (shown, format!("{}\n{}", status.0, ledger.0))
    });
    node.assert_alive();
    loadgen::assert_accounted(node, &run, "while the disk is full");
    let metrics = node.ask("/metrics").body;
    let counted = metrics.lines().any(|line| line.starts_with("headworks_shed_records_total{") && line.contains("disk_full") && !line.ends_with(" 0"));
    assert!(counted, "no disk_full above 0 in\n{metrics}");
    node.assert_alive();
}

/// Admits again, says so, and accounts for a run that comes afterwards.
fn resumes(node: &mut Node, mounted: &Mounted) {
    wait::until_true("the warning goes", || {
        let status = node.status();
        (!status.warns("volume is full"), status.0.to_string())
    });
    let before = node.settled(0).lanes_admitted();
    let load = Load { rate: "10k", size: 300, sources: 4, gso: false, until: ["--count", "5k"] };
    let run = mounted.beside("resume.json");
    loadgen::send(node, &load, &run);
    loadgen::assert_accounted(node, &run, "after space came back");
    let after = node.ledger().lanes_admitted();
    assert_eq!(after, before + 5_000, "admitted after space came back, {before} before\n{}", node.log());
    node.assert_alive();
}
