//! The rings in one process, without kernel and disk: a microbenchmark of its own kind, so it lives beside the rings.

use crate::bench::Bench;
use crate::figures::{Row, Spread};

/// Names the command; nothing is measured here.
///
/// # Errors
/// None.
pub fn run(_bench: &Bench) -> Result<Vec<Row>, String> {
    let row = Row::of("rings", "measured elsewhere", "", Spread::one(0.0));
    Ok(vec![row.noted("cargo bench -p headworks-ring --bench rings")])
}
