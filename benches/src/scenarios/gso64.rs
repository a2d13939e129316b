//! 64 B packets in segmentation-offload trains, received with GRO by one lane: durable records a second against a loop
//! that receives the same way and throws away. The sender does its utmost in both, so the receiving processor is the limit.

use headworks_io::Wake;

use super::throughput::{self, Account, Costs, Watch};
use crate::bench::{Bench, Placement};
use crate::figures::{Bar, Row, number};
use crate::probes::receive::{self, Discard, ReceiveProbe};
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
    let rows = bench.placements().iter().map(|placement| measure(bench, placement)).collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().flatten().collect())
}

fn measure(bench: &Bench, placement: &Placement) -> Result<[Row; 2], String> {
    let scratch = bench.scratch("gso64-")?;
    let folder = scratch.path();
    let retention = bench.scale.retention_bytes;
    let node = Node::start(bench, &folder.join("data"), placement, retention, &[])?;
    throughput::first_lap(bench, &node, retention, placement.generator)?;
    let load = throughput::load(bench, PACKET_BYTES, true, placement.generator);
    let mut account = Account::default();
    let Costs { probe: mut alone, subject: mut whole } = Costs::default();
    let probe = || {
        let wake = Wake::new().map_err(|error| format!("no wake: {error}"))?;
        let probe = ReceiveProbe::start(placement.ingest, true, wake, Discard)?;
        let watch = Watch { count: || Ok(probe.packets()), pid: std::process::id(), thread: receive::THREAD };
        alone.push(throughput::stretch(bench, probe.address, &load, watch)?);
        probe.stop()?;
        Ok(alone[alone.len() - 1].per_second / 1e6)
    };
    let subject = || {
        whole.push(account.stretch(bench, &node, &load)?);
        Ok(whole[whole.len() - 1].per_second / 1e6)
    };
    let pairs = Pairs::measure(bench, probe, subject)?;
    node.stop()?;
    let rate = pairs.row(NAME, placement.what, "M records/s durable").held_to(BAR).noted(account.describe()).noted(describe(placement));
    let senders: Vec<String> = alone.iter().map(|run| format!("{:.1}", number(run.sent.per_second) / 1e6)).collect();
    let rate = rate.noted(format!("the probe's sender, M packets/s: {}", senders.join(" ")));
    let costs = Costs { probe: alone, subject: whole };
    Ok([rate, costs.row(NAME, format!("{}, the ingest loop's cost", placement.what), "ns/record")])
}

/// The processors by number.
pub fn describe(placement: &Placement) -> String {
    let Placement { generator, ingest, log, .. } = placement;
    format!("generator and its soft-irq on cpu {generator}, ingest on {ingest}, log on {log}")
}
