//! From the kernel's receive stamp to durable, at a moderate rate: the appliance's own histogram against what the disk
//! makes of one write and one sync of as many bytes at the same cadence, in the same run, beside the same packets.
//!
//! The histogram counts each record with the age of the oldest record in its block, so it errs on the side of late. Its
//! quantile is interpolated within a bucket as every scraper does it; the bucket stands in the notes. The bar is the
//! linger, for which a block may wait by design, and three of the disk's own 99th percentiles: a sync that is under way,
//! the one that covers the block, and one more for the queue.
//!
//! The probe writes on the log loop's processor while the generator sends the same packets to a loop that throws them
//! away: on a machine of two processors the packets delay the disk's completions too, which is none of the appliance's
//! making. What counts is how late a block is after it was due (see [`disk`]); the notes also give the plain
//! time of write and sync, and both on an idle machine.

use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use headworks_io::{Wake, cpus};

use super::throughput;
use crate::bench::{Bench, Placement};
use crate::figures::{Bar, Row, Spread, number};
use crate::probes::disk;
use crate::probes::receive::{Discard, ReceiveProbe};
use crate::process::{Generator, Load, Node};
use crate::quiet::{self, Look};

const NAME: &str = "latency";
const PACKETS_A_SECOND: u64 = 50_000;
const SIZES: [usize; 2] = [64, 1400];
/// The default of `log.linger`.
pub(super) const LINGER_MS: f64 = 2.0;
const DISK_TIMES: f64 = 3.0;
const METRIC: &str = "headworks_durable_latency_seconds_bucket";
const BLOCKS: &str = "position=\"durable\"";

/// Each placement and size in turn.
///
/// # Errors
/// The node, its metrics or the disk probe fail.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let rows = bench.placements().iter().map(|placement| place(bench, placement)).collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().flatten().collect())
}

fn place(bench: &Bench, placement: &Placement) -> Result<Vec<Row>, String> {
    let scratch = bench.scratch("latency-")?;
    let retention = bench.scale.retention_bytes;
    let stamps = ["stream.events.receive_time=true".to_owned()];
    let node = Node::start(bench, &scratch.path().join("data"), placement, retention, &stamps)?;
    throughput::first_lap(bench, &node, retention, placement.generator)?;
    let rows = SIZES.iter().map(|bytes| measure(bench, &node, placement, *bytes)).collect();
    node.stop()?;
    rows
}

/// The 99th percentile of one run and what it is held to, in ms.
struct Run {
    p99_ms: f64,
    bucket_ms: (f64, f64),
    /// The disk probe's: as late as blocks were, and the mere pairs, beside packets; the pairs on an idle machine.
    disk_p99_ms: f64,
    pair_p99_ms: f64,
    idle_pair_p99_ms: f64,
    block_bytes: u64,
    look: Look,
}

fn measure(bench: &Bench, node: &Node, placement: &Placement, packet_bytes: usize) -> Result<Row, String> {
    let runs: Vec<Run> = (0..bench.scale.runs).map(|_| run_once(bench, node, placement, packet_bytes)).collect::<Result<_, _>>()?;
    let spread = |of: fn(&Run) -> f64| Spread::of(&runs.iter().map(of).collect::<Vec<_>>());
    let allowed = |run: &Run| LINGER_MS + DISK_TIMES * run.disk_p99_ms;
    let row =
        Row::of(NAME, format!("{}, {packet_bytes} B at {PACKETS_A_SECOND} packets/s, p99", placement.what), "ms", spread(|run| run.p99_ms));
    let ratio = Spread::of(&runs.iter().map(|run| run.p99_ms / allowed(run)).collect::<Vec<_>>());
    let probe = Spread::of(&runs.iter().map(allowed).collect::<Vec<_>>());
    let row = Row { probe: Some(probe), ratio: Some(ratio), ..row }.held_to(Bar::AtMost(1.0));
    let of = |of: fn(&Run) -> f64| crate::table::spread(spread(of));
    let (waited, pair, idle) = (of(|run| run.disk_p99_ms), of(|run| run.pair_p99_ms), of(|run| run.idle_pair_p99_ms));
    let (middle, looks) = (&runs[runs.len() / 2], runs.iter().map(|run| run.look).collect::<Vec<_>>());
    let (low, high) = middle.bucket_ms;
    Ok(row
        .noted(format!(
            "the probe is linger {LINGER_MS} ms + {DISK_TIMES} x the disk's p99 of {waited} ms for {} bytes",
            middle.block_bytes
        ))
        .noted(format!("p99 of the mere write and sync: {pair} ms beside the packets, {idle} ms on an idle machine"))
        .noted(format!("the p99 of a middle run lies in the bucket {low} to {high} ms"))
        .noted(quiet::note(&looks)))
}

fn run_once(bench: &Bench, node: &Node, placement: &Placement, packet_bytes: usize) -> Result<Run, String> {
    let look = quiet::wait_quiet(bench.scale.quiet);
    let (warm, window) = (bench.scale.warm, bench.scale.window);
    let load = Load { packet_bytes, rate: Some(PACKETS_A_SECOND), gso: false, duration: warm + window, cpu: placement.generator };
    let generator = Generator::start(bench, node.udp, &load)?;
    thread::sleep(warm);
    let before = Scrape::of(node)?;
    thread::sleep(window.mul_f64(0.9));
    let after = Scrape::of(node)?;
    generator.finish()?;
    let latency = after.since(&before);
    let (p99_seconds, bucket) = latency.quantile(0.99).ok_or("no record became durable")?;
    let block_bytes = latency.written_bytes.checked_div(latency.blocks).unwrap_or(0).next_multiple_of(4096).clamp(4096, 1 << 20);
    let blocks = u32::try_from(latency.blocks).unwrap_or(u32::MAX).max(1);
    let cadence = window.mul_f64(0.9) / blocks;
    let idle = probe_disk(bench, placement, (block_bytes, cadence, blocks))?;
    let beside = probe_disk_beside(bench, placement, &load, (block_bytes, cadence, blocks))?;
    let p99_ms = |times: &Histogram<u64>| number(times.value_at_quantile(0.99)) / 1e6;
    Ok(Run {
        p99_ms: p99_seconds * 1e3,
        bucket_ms: (bucket.0 * 1e3, bucket.1 * 1e3),
        disk_p99_ms: p99_ms(&beside.waited),
        pair_p99_ms: p99_ms(&beside.pair),
        idle_pair_p99_ms: p99_ms(&idle.pair),
        block_bytes,
        look,
    })
}

/// The same beside packets that are received and thrown away.
pub(super) fn probe_disk_beside(
    bench: &Bench,
    placement: &Placement,
    load: &Load,
    blocks: (u64, Duration, u32),
) -> Result<disk::Times, String> {
    let wake = Wake::new().map_err(|error| format!("no wake: {error}"))?;
    let receiver = ReceiveProbe::start(placement.ingest, true, wake, Discard)?;
    let generator = Generator::start(bench, receiver.address, load)?;
    thread::sleep(bench.scale.warm.min(Duration::from_millis(200)));
    let times = probe_disk(bench, placement, blocks);
    generator.finish()?;
    receiver.stop()?;
    times
}

/// The disk probe on the log loop's processor: bytes of a block, the time between two, how many.
pub(super) fn probe_disk(
    bench: &Bench,
    placement: &Placement,
    (block_bytes, cadence, blocks): (u64, Duration, u32),
) -> Result<disk::Times, String> {
    let scratch = bench.scratch("disk-")?;
    let (folder, cpu) = (scratch.path(), placement.log);
    thread::scope(|scope| {
        let probe = scope.spawn(move || {
            cpus::pin(cpu).map_err(|error| error.to_string())?;
            disk::write_and_sync(folder, block_bytes, cadence, blocks)
        });
        probe.join().map_err(|_| "the disk probe panicked".to_owned())?
    })
}

/// What the node had counted at a moment.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Scrape {
    /// Upper bounds in seconds, each with the count of all records up to it.
    buckets: Vec<(f64, u64)>,
    /// Blocks that became durable.
    pub(super) blocks: u64,
    /// Bytes that were written.
    pub(super) written_bytes: u64,
}

impl Scrape {
    pub(super) fn of(node: &Node) -> Result<Scrape, String> {
        let text = node.metrics()?;
        let scrape = Scrape::parse(&text);
        if scrape.buckets.is_empty() { Err(format!("no {METRIC} in the metrics")) } else { Ok(scrape) }
    }

    fn parse(text: &str) -> Scrape {
        let mut scrape = Scrape::default();
        for (name, value) in text.lines().filter_map(|line| line.rsplit_once(' ')) {
            let Ok(count) = value.parse::<u64>() else { continue };
            if let Some(bound) = name.strip_prefix(METRIC).and_then(|labels| labels.split('"').nth(1)) {
                scrape.buckets.push((bound.parse().unwrap_or(f64::INFINITY), count));
            } else if name.starts_with("headworks_log_position{") && name.contains(BLOCKS) {
                scrape.blocks += count;
            } else if name.starts_with("headworks_segment_write_bytes_total{") {
                scrape.written_bytes += count;
            }
        }
        scrape
    }

    pub(super) fn since(&self, earlier: &Scrape) -> Scrape {
        let buckets = self.buckets.iter().zip(&earlier.buckets).map(|(now, then)| (now.0, now.1 - then.1)).collect();
        Scrape { buckets, blocks: self.blocks - earlier.blocks, written_bytes: self.written_bytes - earlier.written_bytes }
    }

    /// A quantile in seconds, interpolated in its bucket, with the bucket's bounds; none where nothing was counted. What
    /// lies above the last bound counts as that bound.
    fn quantile(&self, quantile: f64) -> Option<(f64, (f64, f64))> {
        let all = self.buckets.last().filter(|(_, all)| *all > 0)?.1;
        let wanted = number(all) * quantile;
        let (mut low, mut below) = (0.0, 0);
        for (bound, count) in &self.buckets {
            if number(*count) >= wanted && *count > below {
                let high = if bound.is_finite() { *bound } else { low };
                let share = (wanted - number(below)) / number(count - below);
                return Some((low + (high - low) * share, (low, high)));
            }
            (low, below) = (*bound, *count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_holds_buckets_blocks_and_bytes() {
        let text = "headworks_durable_latency_seconds_bucket{le=\"0.001\"} 5\n\
                    headworks_durable_latency_seconds_bucket{le=\"+Inf\"} 9\n\
                    headworks_log_position{lane=\"0\",position=\"durable\"} 7\n\
                    headworks_log_position{lane=\"0\",position=\"written\"} 8\n\
                    headworks_segment_write_bytes_total{volume=\"/a b\"} 4096\n";
        let expected = Scrape { buckets: vec![(0.001, 5), (f64::INFINITY, 9)], blocks: 7, written_bytes: 4096 };
        assert_eq!(Scrape::parse(text), expected);
    }

    #[test]
    fn a_quantile_is_interpolated_within_its_bucket() {
        let scrape = Scrape { buckets: vec![(1.0, 50), (2.0, 100), (f64::INFINITY, 100)], ..Scrape::default() };
        assert_eq!(scrape.quantile(0.75), Some((1.5, (1.0, 2.0))));
        assert_eq!(Scrape::default().quantile(0.5), None);
    }
}
