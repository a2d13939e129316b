//! 1400 B packets in trains: durable bytes a second against a loop that receives and throws away while another writes a
//! constant megabyte for each one received, at the same depth, synced the same way, on the same processors.

use headworks_io::Wake;

use super::gso64::describe;
use super::throughput::{self, Account};
use crate::bench::{Bench, Placement};
use crate::figures::{Bar, Row, number};
use crate::probes::receive::ReceiveProbe;
use crate::probes::write::{ConstantFile, WriteProbe};
use crate::process::Node;
use crate::runner::Pairs;

const NAME: &str = "gso1400";
const PACKET_BYTES: usize = 1400;
const BAR: Bar = Bar::AtLeast(0.85);
/// The file that the constant block goes round.
const FILE_BYTES: u64 = 1 << 30;

/// Each placement in turn.
///
/// # Errors
/// A probe, a node or its books fail.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    bench.placements().iter().map(|placement| measure(bench, placement)).collect()
}

fn measure(bench: &Bench, placement: &Placement) -> Result<Row, String> {
    let scratch = bench.scratch("gso1400-")?;
    let folder = scratch.path();
    let retention = bench.scale.retention_bytes;
    let node = Node::start(bench, &folder.join("data"), placement, retention, &[])?;
    throughput::first_lap(bench, folder, &node, retention, placement.generator)?;
    let load = throughput::load(bench, PACKET_BYTES, true, placement.generator);
    let constant = ConstantFile::make(&folder.join("constant"), FILE_BYTES.min(retention))?;
    let mut account = Account::default();
    let probe = || {
        let wake = Wake::new().map_err(|error| format!("no wake: {error}"))?;
        let (writer, blocks) = WriteProbe::start(&constant, placement.log, wake.clone())?;
        let receiver = ReceiveProbe::start(placement.ingest, true, wake, blocks)?;
        let stretch = throughput::stretch(bench, folder, receiver.address, &load, || Ok(writer.durable_bytes()))?;
        receiver.stop()?;
        writer.stop()?;
        Ok(stretch.per_second / 1e6)
    };
    let subject = || Ok(account.stretch(bench, folder, &node, &load)? * number(PACKET_BYTES as u64) / 1e6);
    let pairs = Pairs::measure(bench, probe, subject)?;
    node.stop()?;
    let row = pairs.row(NAME, placement.what, "MB/s durable payload").held_to(BAR);
    Ok(row.noted(account.describe()).noted(describe(placement)))
}
