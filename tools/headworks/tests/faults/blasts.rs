//! More than it can take, in every shape: each packet that was sent is stored, or dropped and counted, exactly.

use crate::Column;
use crate::harness::alone;
use crate::harness::loadgen::{self, Load};
use crate::harness::node::Node;

/// Small enough that a blast overflows it.
const SMALL_BUFFER: &str = "listener.udp.receive_buffer=512KiB";

fn blast(gro: bool) {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (mut dropped, mut stored) = (0, 0);
    for size in [64, 512, 1400, 8000] {
        // A fresh node for each size: the check reads the whole topic.
        let data = folder.path().join(format!("data-{size}"));
        let node =
            Node::start(&data, &["node.lanes=2", SMALL_BUFFER, if gro { "listener.udp.gro=true" } else { "listener.udp.gro=false" }]);
        for gso in [false, true] {
            let load = Load { rate: "max", size, sources: 8, gso, until: ["--duration", Column::chosen().blast] };
            let run = folder.path().join(format!("run-{size}-{gso}.json"));
            loadgen::send(&node, &load, &run);
            loadgen::assert_accounted(&node, &run, &format!("gro {gro}, {load:?}"));
            node.ledger().assert_balanced();
        }
        let ledger = node.ledger();
        dropped += ledger.dropped();
        stored += ledger.durable();
        node.stop();
        std::fs::remove_dir_all(&data).expect("a stopped node's data can go");
    }
    eprintln!("gro {gro}: {stored} stored, {dropped} dropped and counted");
    assert!(dropped > 0 && stored > 0, "{stored} stored and {dropped} dropped: a blast is to do both");
}

#[test]
fn with_gro_every_packet_is_stored_or_counted() {
    blast(true);
}

#[test]
fn without_gro_every_packet_is_stored_or_counted() {
    blast(false);
}
