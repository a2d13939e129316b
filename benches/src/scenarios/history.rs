//! One client that reads the whole log and keeps nothing, against direct reads of the same segment files; then the same
//! client beside packets at half the rate that the node takes without loss, which must still lose none.

use std::time::{Duration, Instant};

use headworks_format::LaneId;
use headworks_lane::lane_folder;

use super::single::lossless_rate;
use super::throughput;
use crate::bench::{Bench, Placement};
use crate::figures::{Bar, Row, Spread, number};
use crate::kafka::{Client, End};
use crate::probes::read;
use crate::process::{Generator, Load, Node};
use crate::runner::Pairs;

const NAME: &str = "history";
const PACKET_BYTES: usize = 512;
const BAR: Bar = Bar::AtLeast(0.5);
const TOPIC: &str = "events";
/// Fetches in a row that may bring nothing.
const EMPTY_MAX: u32 = 20;

/// Alone against reads of depth 1 and 4, then beside ingest.
///
/// # Errors
/// The node, the client or a read fails.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let placement = &bench.placements()[0];
    let scratch = bench.scratch("history-")?;
    let data = scratch.path().join("data");
    let retention = bench.scale.retention_bytes;
    let node = Node::start(bench, &data, placement, retention, &[])?;
    throughput::first_lap(bench, &node, retention, placement.generator)?;
    let segments = read::files(&data.join(lane_folder(LaneId(0))), "seg")?;
    let mut rows = Vec::new();
    for depth in [1, 4] {
        let probe = || Ok(read::bytes_per_second(&segments, depth)? / 1e6);
        let pairs = Pairs::measure(bench, probe, || Ok(read_all(&node)?.0 / 1e6))?;
        let row = pairs.row(NAME, format!("one client alone, against O_DIRECT reads of 1 MiB at depth {depth}"), "MB/s of batches");
        rows.push(row.held_to(BAR));
    }
    rows.push(beside_ingest(bench, &node, placement)?);
    node.stop()?;
    Ok(rows)
}

/// Reads from the oldest record to where the newest was at the start; bytes a second and how long it took.
fn read_all(node: &Node) -> Result<(f64, Duration), String> {
    let mut client = Client::connect(node.kafka, TOPIC)?;
    let (mut offset, end) = (client.offset(End::Earliest)?, client.offset(End::Latest)?);
    let (started, mut bytes, mut empty) = (Instant::now(), 0, 0);
    while offset < end {
        let fetched = client.fetch(offset)?;
        bytes += fetched.bytes;
        empty = if fetched.bytes == 0 { empty + 1 } else { 0 };
        if empty > EMPTY_MAX {
            return Err(format!("{empty} fetches at offset {offset} brought nothing, the end is {end}"));
        }
        offset = fetched.next_offset;
    }
    let took = started.elapsed();
    Ok((number(bytes) / took.as_secs_f64(), took))
}

fn beside_ingest(bench: &Bench, node: &Node, placement: &Placement) -> Result<Row, String> {
    let window = bench.scale.window;
    let load = Load { packet_bytes: PACKET_BYTES, rate: None, gso: false, duration: window, cpu: placement.generator };
    let (rate, _) = lossless_rate(bench, node, &load)?;
    let half = Load { rate: Some(rate / 2), duration: window * 2, ..load };
    let (mut lost, mut speeds) = (Vec::new(), Vec::new());
    for _ in 0..bench.scale.runs {
        let before = node.closed_books()?;
        let started = Instant::now();
        let generator = Generator::start(bench, node.udp, &half)?;
        // Again and again while packets come: retention may take the oldest away meanwhile, and then the read begins anew.
        while started.elapsed() < half.duration {
            match read_all(node) {
                Ok((speed, _)) => speeds.push(speed / 1e6),
                Err(error) if error.contains("error 1") => {}
                Err(error) => return Err(error),
            }
        }
        let sent = generator.finish()?;
        let books = node.closed_books()?.since(&before);
        lost.push(number(sent.packets.saturating_sub(books.durable)));
    }
    let row = Row::of(NAME, format!("lost beside one client, {} packets/s of {PACKET_BYTES} B", rate / 2), "packets", Spread::of(&lost));
    let row = row.held_to(Bar::AtMost(0.0)).noted(format!("{rate} packets/s are taken without loss when nobody reads"));
    Ok(if speeds.is_empty() {
        row
    } else {
        row.noted(format!("the client read {} MB/s meanwhile", crate::table::spread(Spread::of(&speeds))))
    })
}
