//! 64 B packets in segmentation-offload trains, received with GRO by one lane: durable records a second against a loop
//! that receives the same way and throws away. The sender does its utmost in both, so the receiving processor is the limit.

use headworks_io::Wake;

use super::throughput::{self, Account};
use crate::bench::{Bench, Placement};
use crate::figures::{Bar, Row};
use crate::probes::receive::{Discard, ReceiveProbe};
use crate::process::Node;
use crate::runner::Pairs;

const NAME: &str = "gso64";
const PACKET_BYTES: usize = 64;
const BAR: Bar = Bar::AtLeast(0.8);

/// Each placement in turn.
///
/// # Errors
/// A probe, a node or its books fail.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    bench.placements().iter().map(|placement| measure(bench, placement)).collect()
}

fn measure(bench: &Bench, placement: &Placement) -> Result<Row, String> {
    let scratch = bench.scratch("gso64-")?;
    let folder = scratch.path();
    let retention = bench.scale.retention_bytes;
    let node = Node::start(bench, &folder.join("data"), placement, retention, &[])?;
    throughput::first_lap(bench, folder, &node, retention, placement.generator)?;
    let load = throughput::load(bench, PACKET_BYTES, true, placement.generator);
    let mut account = Account::default();
    let mut probe_sent = Vec::new();
    let probe = || {
        let wake = Wake::new().map_err(|error| format!("no wake: {error}"))?;
        let probe = ReceiveProbe::start(placement.ingest, true, wake, Discard)?;
        let stretch = throughput::stretch(bench, folder, probe.address, &load, || Ok(probe.packets()))?;
        probe_sent.push(format!("{:.1}", crate::figures::number(stretch.sent.per_second) / 1e6));
        probe.stop()?;
        Ok(stretch.per_second / 1e6)
    };
    let pairs = Pairs::measure(bench, probe, || Ok(account.stretch(bench, folder, &node, &load)? / 1e6))?;
    node.stop()?;
    let row = pairs.row(NAME, placement.what, "M records/s durable").held_to(BAR);
    Ok(row.noted(account.describe()).noted(format!("probe's sender, M packets/s: {}", probe_sent.join(" "))).noted(describe(placement)))
}

/// The processors by number.
pub fn describe(placement: &Placement) -> String {
    let Placement { generator, ingest, log, .. } = placement;
    format!("generator and its soft-irq on cpu {generator}, ingest on {ingest}, log on {log}")
}
