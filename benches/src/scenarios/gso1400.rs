//! 1400 B packets in trains: durable bytes a second against a loop that receives and throws away while another writes a
//! constant megabyte for each one received, at the same depth, synced the same way, on the same processors.

use headworks_io::Wake;

use super::gso64::describe;
use super::throughput::{self, Account, Costs, Watch};
use crate::bench::{Bench, Placement};
use crate::figures::{Bar, Row};
use crate::probes::receive::{self, ReceiveProbe};
use crate::probes::write::{ConstantFile, WriteProbe};
use crate::process::Node;
use crate::runner::Pairs;

const NAME: &str = "gso1400";
const PACKET_BYTES: usize = 1400;
/// The same in MB of payload.
const MB_A_PACKET: f64 = 1400.0 / 1e6;
const BAR: Bar = Bar::AtLeast(0.85);
/// The file that the constant block goes round.
const FILE_BYTES: u64 = 1 << 30;

/// Each placement in turn.
///
/// # Errors
/// A probe, a node or its books fail.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let rows = bench.placements().iter().map(|placement| measure(bench, placement)).collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().flatten().collect())
}

fn measure(bench: &Bench, placement: &Placement) -> Result<[Row; 2], String> {
    let scratch = bench.scratch("gso1400-")?;
    let folder = scratch.path();
    let retention = bench.scale.retention_bytes;
    let node = Node::start(bench, &folder.join("data"), placement, retention, &[])?;
    throughput::first_lap(bench, &node, retention, placement.generator)?;
    let constant = ConstantFile::make(&folder.join("constant"), FILE_BYTES.min(retention))?;
    let load = throughput::load(bench, PACKET_BYTES, true, placement.generator);
    let mut account = Account::default();
    let Costs { probe: mut alone, subject: mut whole } = Costs::default();
    let probe = || {
        let wake = Wake::new().map_err(|error| format!("no wake: {error}"))?;
        let (writer, blocks) = WriteProbe::start(&constant, placement.log, wake.clone())?;
        let receiver = ReceiveProbe::start(placement.ingest, true, wake, blocks)?;
        let packets = || Ok(writer.durable_bytes() / PACKET_BYTES as u64);
        let watch = Watch { count: packets, pid: std::process::id(), thread: receive::THREAD };
        alone.push(throughput::stretch(bench, receiver.address, &load, watch)?);
        receiver.stop()?;
        writer.stop()?;
        Ok(alone[alone.len() - 1].per_second * MB_A_PACKET)
    };
    let subject = || {
        whole.push(account.stretch(bench, &node, &load)?);
        Ok(whole[whole.len() - 1].per_second * MB_A_PACKET)
    };
    let pairs = Pairs::measure(bench, probe, subject)?;
    node.stop()?;
    let rate = pairs.row(NAME, placement.what, "MB/s durable payload").held_to(BAR).noted(account.describe()).noted(describe(placement));
    let costs = Costs { probe: alone, subject: whole };
    Ok([rate, costs.row(NAME, format!("{}, the ingest loop's cost", placement.what), "ns/record")])
}
