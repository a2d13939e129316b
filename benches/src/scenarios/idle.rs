//! Processor time of a node that nobody sends to and nobody asks.

use std::thread;
use std::time::Instant;

use crate::bench::Bench;
use crate::figures::{Bar, Row, Spread, number};
use crate::process::Node;

const NAME: &str = "idle";
/// Percent of one processor.
const BAR: Bar = Bar::AtMost(1.0);
/// The unit of processor time in `/proc`, the same on every Linux of the kinds supported.
const TICKS_A_SECOND: f64 = 100.0;

/// Looks at one node as often as the scale says.
///
/// # Errors
/// The node fails.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let scratch = bench.scratch("idle-")?;
    let placement = &bench.placements()[0];
    let node = Node::start(bench, &scratch.path().join("data"), placement, bench.scale.retention_bytes, &[])?;
    // The second segment is made ahead right after the start, which is work.
    thread::sleep(bench.scale.idle / 2);
    let mut shares = Vec::new();
    for _ in 0..bench.scale.runs {
        let (started, before) = (Instant::now(), node.processor_ticks()?);
        thread::sleep(bench.scale.idle);
        let used = number(node.processor_ticks()? - before) / TICKS_A_SECOND;
        shares.push(used / started.elapsed().as_secs_f64() * 100.0);
    }
    node.stop()?;
    Ok(vec![Row::of(NAME, "processor time", "% of one processor", Spread::of(&shares)).held_to(BAR)])
}
