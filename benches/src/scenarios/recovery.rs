//! Start-up's recovery of a large log that the real engine wrote and was killed over: as it is found (sidecars for all but
//! the last segments), and with every sidecar gone, by the blocks' heads alone.
//!
//! The engine's recovery runs in this process, with direct reads, so the page cache has no part in it. It completes what
//! it finds missing (sidecars, blanks), as at any start; each run by heads begins with no sidecar again. The first run
//! after the kill is told apart, since only it has an open segment to walk.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use headworks_format::{LaneId, PairId};
use headworks_io::{Volume, VolumeError};
use headworks_lane::{LaneSetup, Part, lane_folder, open_lane};
use headworks_log::retain::Limits;

use super::throughput;
use crate::bench::Bench;
use crate::figures::{Bar, Row, Spread};
use crate::probes::read;
use crate::process::Node;
use crate::quiet;

const NAME: &str = "recovery";
const SIDECARS_BAR: Bar = Bar::AtMost(0.5);
const HEADS_BAR: Bar = Bar::AtMost(2.0);
const LOCK_WAIT_MAX: Duration = Duration::from_secs(30);
const LOCK_LOOK: Duration = Duration::from_millis(10);

/// What one recovery came to.
struct Recovered {
    seconds: f64,
    blocks: u64,
    segments: usize,
    walked_bytes: u64,
}

/// Writes the log, kills the node, recovers.
///
/// # Errors
/// The log cannot be written or recovered.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let (bytes, scaled) = bench.large_bytes(1)?;
    let scratch = bench.scratch("recovery-")?;
    let data = scratch.path().join("data");
    let placement = &bench.placements()[0];
    let node = Node::start(bench, &data, placement, bytes, &[])?;
    throughput::first_lap(bench, &node, bytes, placement.generator)?;
    node.kill()?;

    let after_kill = recover(bench, &data, bytes)?;
    let mut looks = Vec::new();
    let mut sidecars = Vec::new();
    let mut heads = Vec::new();
    for _ in 0..bench.scale.runs {
        looks.push(quiet::wait_quiet(bench.scale.quiet));
        sidecars.push(recover(bench, &data, bytes)?);
        remove_sidecars(&data)?;
        looks.push(quiet::wait_quiet(bench.scale.quiet));
        heads.push(recover(bench, &data, bytes)?);
    }
    let seconds = |runs: &[Recovered]| Spread::of(&runs.iter().map(|run| run.seconds).collect::<Vec<_>>());
    let mut rows = vec![
        Row::of(NAME, "first start after kill -9", "s", Spread::one(after_kill.seconds)).noted(describe(&after_kill)),
        Row::of(NAME, "with sidecars", "s", seconds(&sidecars)).held_to(SIDECARS_BAR).noted(describe(&sidecars[0])),
        Row::of(NAME, "by heads, sidecars removed", "s", seconds(&heads)).held_to(HEADS_BAR).noted(describe(&heads[0])),
    ];
    rows[1].notes.push(quiet::note(&looks));
    rows[0].notes.extend(scaled);
    Ok(rows)
}

fn recover(bench: &Bench, data: &Path, retention_bytes: u64) -> Result<Recovered, String> {
    let volume = lock(data)?;
    let setup = LaneSetup {
        // Recovery asks for no pair: what the segments say of it is kept.
        pair: PairId(0),
        slots: usize::try_from(bench.scale.ring_bytes >> 20).expect("a ring is below 2^64 MiB"),
        depth: 8,
        segment_bytes: bench.scale.segment_bytes,
        limits: Limits { size_bytes: retention_bytes, age_ns: None },
        part: Part::Alone,
    };
    let started = Instant::now();
    let lane = open_lane(&volume, LaneId(0), &setup).map_err(|error| error.to_string())?;
    let seconds = started.elapsed().as_secs_f64();
    let recovered = &lane.recovered;
    Ok(Recovered { seconds, blocks: recovered.next, segments: recovered.segments.len(), walked_bytes: recovered.walked_bytes })
}

/// A killed node's last writes hold the directory until they have ended.
fn lock(data: &Path) -> Result<Volume, String> {
    let started = Instant::now();
    loop {
        match Volume::lock(data) {
            Err(VolumeError::InUse { .. }) if started.elapsed() < LOCK_WAIT_MAX => thread::sleep(LOCK_LOOK),
            other => return other.map_err(|error| error.to_string()),
        }
    }
}

fn remove_sidecars(data: &Path) -> Result<(), String> {
    let paths = read::files(&data.join(lane_folder(LaneId(0))), "idx")?;
    paths.iter().try_for_each(|path| fs::remove_file(path).map_err(|error| format!("cannot remove {}: {error}", path.display())))
}

fn describe(run: &Recovered) -> String {
    format!("{} segments, next block {}, {} MiB read with payload", run.segments, run.blocks, run.walked_bytes >> 20)
}
