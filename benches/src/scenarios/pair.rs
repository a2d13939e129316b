//! What a standby costs its primary: processor time for each durable byte, against a single node under the same load.
//!
//! The load is paced at a quarter of what a single node takes, so that both take all of it and time is spent on the same packets.
//! On loopback the sender of a segment also does the receiver's work in the kernel, so the primary's figure includes the standby's
//! half of TCP: over a wire it is lower. Beside it stands what all three cost in wall-clock time on one disk: the same load without
//! a limit, which has to be written twice there.

use crate::bench::{Bench, Placement};
use crate::figures::{Bar, Row, Spread, number};
use crate::process::{Generator, Load, Node, Pair};
use crate::runner::Pairs;
use crate::scenarios::throughput;

const NAME: &str = "pair";
const PACKET_BYTES: usize = 1400;
/// The share of what a single node takes that is sent.
const PACE: u64 = 4;
/// Nanoseconds of a processor for each tick of its accounts (`USER_HZ` is 100 on every Linux that runs this).
const TICK_NS: f64 = 10_000_000.0;
const BAR: Bar = Bar::AtMost(1.3);

/// Processor time paced, then wall-clock time without a limit.
///
/// # Errors
/// A node or its books fail, or a packet is lost at the pace.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let placement = &bench.placements()[0];
    let scratch = bench.scratch("pair-")?;
    let retention = bench.scale.retention_bytes;
    let single = Node::start(bench, &scratch.path().join("single"), placement, retention, &[])?;
    throughput::first_lap(bench, &single, retention, placement.generator)?;
    let pair = Pair::start(bench, scratch.path(), placement, retention)?;
    throughput::first_lap(bench, pair.primary(), retention, placement.generator)?;
    pair.wait_in_sync()?;

    let most = throughput::load(bench, PACKET_BYTES, true, placement.generator);
    let whole = Pairs::measure(bench, || most_of(bench, &single, &most), || most_of(bench, pair.primary(), &most))?;
    pair.wait_in_sync()?;
    let rate = (median_packets(&whole) / PACE).max(1000);
    let paced = Load { rate: Some(rate), duration: bench.scale.window, ..most };
    let mut seen = Seen::default();
    let mut seen_pair = Seen::default();
    let cost = Pairs::measure(bench, || cost(bench, &single, &paced, &mut seen), || cost_in_sync(bench, &pair, &paced, &mut seen_pair))?;
    let what = format!("processor time of the primary, {rate} packets/s of {PACKET_BYTES} B in trains, against a single node's");
    let row = cost.row(NAME, what, "ns for each durable byte").held_to(BAR).noted(place(placement));
    let row = row.noted(format!(
        "lost: {} by the single node, {} by the pair; the standby was away in {} runs",
        seen.lost, seen_pair.lost, seen_pair.away
    ));
    let rows = vec![row, whole.row(NAME, "durable without a limit, both nodes on one disk, against a single node", "MB/s")];
    pair.stop()?;
    single.stop()?;
    Ok(rows)
}

fn place(placement: &Placement) -> String {
    format!("{}; on loopback the primary does the standby's half of TCP too", placement.what)
}

/// Packets a second that the single node made durable.
fn median_packets(whole: &Pairs) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let packets = (Spread::of(whole.probes()).median * 1e6 / number(PACKET_BYTES as u64)) as u64;
    packets
}

/// MB that become durable a second, when more comes than can.
fn most_of(bench: &Bench, node: &Node, load: &Load) -> Result<f64, String> {
    let (_, durable) = throughput::sent_and_durable(bench, node, load)?;
    Ok(number(durable * PACKET_BYTES as u64) / load.duration.as_secs_f64() / 1e6)
}

/// What makes a run worth less than it says.
#[derive(Debug, Default)]
struct Seen {
    /// Packets that did not become durable.
    lost: u64,
    /// Runs in which records were committed without the standby.
    away: u32,
}

/// The same, of a primary that has its standby in sync.
fn cost_in_sync(bench: &Bench, pair: &Pair<'_>, load: &Load, seen: &mut Seen) -> Result<f64, String> {
    pair.wait_in_sync()?;
    let alone = || Ok::<_, String>(pair.primary().status()?["pair"]["solo_records"].as_u64());
    let before = alone()?;
    let cost = cost(bench, pair.primary(), load, seen)?;
    seen.away += u32::from(alone()? != before);
    Ok(cost)
}

/// Nanoseconds of a processor for each byte that became durable.
fn cost(bench: &Bench, node: &Node, load: &Load, seen: &mut Seen) -> Result<f64, String> {
    let (before, ticks) = (node.closed_books()?, node.processor_ticks()?);
    let sent = Generator::start(bench, node.udp, load)?.finish()?;
    let books = node.closed_books()?.since(&before);
    seen.lost += sent.packets.saturating_sub(books.durable);
    let ran_ns = number(node.processor_ticks()? - ticks) * TICK_NS;
    Ok(ran_ns / number(books.durable.max(1) * PACKET_BYTES as u64))
}
