//! Resident size of a node under full load for minutes: flat once ring, index and segments have gone round once.

use std::thread;
use std::time::{Duration, Instant};

use super::throughput;
use crate::bench::Bench;
use crate::figures::{Bar, Row, Spread, number};
use crate::process::{Generator, Load, Node};

const NAME: &str = "memory";
const PACKET_BYTES: usize = 64;
/// Percent by which any sample may differ from the median.
const BAR: Bar = Bar::AtMost(1.0);
/// Samples over the soak.
const SAMPLES: u32 = 100;

/// One soak.
///
/// # Errors
/// The node or the generator fails, or the books do not close.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let (retention, scaled) = bench.large_bytes(1)?;
    let scratch = bench.scratch("memory-")?;
    let placement = &bench.placements()[0];
    let node = Node::start(bench, &scratch.path().join("data"), placement, retention, &[])?;
    let fresh = node.resident_bytes()?;
    throughput::first_lap(bench, &node, retention, placement.generator)?;
    // One more lap of what is soaked with: smaller packets fill an index with other entries.
    let warm = Load { packet_bytes: PACKET_BYTES, rate: None, gso: true, duration: bench.scale.soak / 10, cpu: placement.generator };
    Generator::start(bench, node.udp, &warm)?.finish()?;

    let duration = bench.scale.soak + Duration::from_millis(500);
    let generator = Generator::start(bench, node.udp, &Load { duration, ..warm })?;
    let started = Instant::now();
    let durable = node.books()?.durable;
    let mut samples = Vec::new();
    for sample in 0..SAMPLES {
        let due = bench.scale.soak * sample / SAMPLES;
        thread::sleep(due.saturating_sub(started.elapsed()));
        samples.push(number(node.resident_bytes()?) / f64::from(1 << 20));
    }
    generator.finish()?;
    let records = node.closed_books()?.durable - durable;
    node.stop()?;
    let spread = Spread::of(&samples);
    let off = (spread.max - spread.median).max(spread.median - spread.min) / spread.median * 100.0;
    let row = Row::of(NAME, "farthest from the median resident size", "%", Spread::one(off)).held_to(BAR);
    let row = row.noted(format!(
        "resident {} MiB over {:?}, {:.0} MiB when fresh; first sample {:.1}, last {:.1}",
        crate::table::spread(spread),
        bench.scale.soak,
        number(fresh) / f64::from(1 << 20),
        samples[0],
        samples[samples.len() - 1],
    ));
    let row = row.noted(format!("{:.0} M records, retention {} MiB", number(records) / 1e6, retention >> 20));
    Ok(vec![match scaled {
        Some(note) => row.noted(note),
        None => row,
    }])
}
