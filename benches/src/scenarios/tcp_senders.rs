//! A thousand TCP senders of fifty records a second each, acknowledged: none may be lost, and from when a record was due to its
//! acknowledgement the 99th percentile is held to the linger and five of the disk's own write and sync, measured in the same run.
//!
//! Five: the sync that is under way when a block is sealed, the one that covers it, one for the queue, and two for the way of a
//! record in and of a count back through a thousand sockets. The senders are one process of one thread; how late it is itself is
//! inside of the figure, since the schedule and not the send is where it starts.
//!
//! The disk is measured twice with blocks as large and as often as the node wrote them: on an idle machine, which is what the bar
//! is made of, and beside as many packets that are thrown away (see [`latency`](super::latency) for why that differs).

use std::thread;

use hdrhistogram::Histogram;

use super::latency::{LINGER_MS, Scrape, probe_disk, probe_disk_beside};
use super::throughput;
use crate::bench::{Bench, Placement};
use crate::figures::{Bar, Row, Spread, number};
use crate::process::{Acknowledged, Generator, Load, Node, TcpLoad, missing};
use crate::quiet::{self, Look};
use crate::table::spread;

const NAME: &str = "tcp-senders";
/// What a run has sent is read back when it is over. Small blocks take three times the bytes of their records: one tiny run wrote 32 MB.
const RETENTION_MIN_BYTES: u64 = 128 << 20;
const SENDERS: u32 = 1000;
const RECORDS_A_SECOND: u64 = 50_000;
const RECORD_BYTES: usize = 512;
const DISK_TIMES: f64 = 5.0;

/// Loss, and the latency of acknowledgements.
///
/// # Errors
/// The node, the generator, its check or the disk probe fail.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let rows = bench.placements().iter().map(|placement| place(bench, placement)).collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().flatten().collect())
}

/// What one run came to.
struct Run {
    missing: u64,
    acknowledged: Acknowledged,
    per_second: u64,
    disk_p99_ms: f64,
    beside_p99_ms: f64,
    block_bytes: u64,
    look: Look,
}

impl Run {
    fn p99_ms(&self) -> f64 {
        number(self.acknowledged.p99_ns) / 1e6
    }

    fn allowed_ms(&self) -> f64 {
        LINGER_MS + DISK_TIMES * self.disk_p99_ms
    }
}

fn place(bench: &Bench, placement: &Placement) -> Result<Vec<Row>, String> {
    let scratch = bench.scratch("tcp-senders-")?;
    let retention = bench.scale.retention_bytes.max(RETENTION_MIN_BYTES);
    let settings = ["listener.tcp.ack=true".to_owned()];
    let node = Node::start(bench, &scratch.path().join("data"), placement, retention, &settings)?;
    throughput::first_lap(bench, &node, retention, placement.generator)?;
    let runs: Vec<Run> = (0..bench.scale.runs).map(|_| run_once(bench, &node, placement)).collect::<Result<_, _>>()?;
    node.stop()?;
    let of = |of: fn(&Run) -> f64| Spread::of(&runs.iter().map(of).collect::<Vec<_>>());
    let what = format!("{}, {SENDERS} senders, {RECORDS_A_SECOND} records/s of {RECORD_BYTES} B", placement.what);
    let lost = Row::of(NAME, format!("{what}: not stored"), "records", of(|run| number(run.missing))).held_to(Bar::AtMost(0.0));
    let acknowledged = of(|run| number(run.acknowledged.records));
    let lost = lost
        .noted(format!(
            "{} records a run were acknowledged, {} a second sent",
            spread(acknowledged),
            spread(of(|run| number(run.per_second)))
        ))
        .noted(format!("{} connections a run broke", spread(of(|run| number(run.acknowledged.broken)))));
    let row = Row::of(NAME, format!("{what}: due to acknowledged, p99"), "ms", of(Run::p99_ms));
    let ratio = of(|run| run.p99_ms() / run.allowed_ms());
    let row = Row { probe: Some(of(Run::allowed_ms)), ratio: Some(ratio), ..row }.held_to(Bar::AtMost(1.0));
    let beside = of(|run| run.p99_ms() / (LINGER_MS + DISK_TIMES * run.beside_p99_ms));
    let row = row
        .noted(format!(
            "the probe is linger {LINGER_MS} ms + {DISK_TIMES} x the disk's p99 of {} ms on an idle machine for {} bytes",
            spread(of(|run| run.disk_p99_ms)),
            runs[runs.len() / 2].block_bytes
        ))
        .noted(format!("beside packets the disk's p99 is {} ms, and the ratio {}", spread(of(|run| run.beside_p99_ms)), spread(beside)))
        .noted(format!(
            "the senders themselves were late by {} ms (p99), which is inside of the figure",
            spread(of(|run| number(run.acknowledged.late_p99_ns) / 1e6))
        ))
        .noted(format!(
            "half of the records took at most {} ms, the slowest {} ms",
            spread(of(|run| number(run.acknowledged.p50_ns) / 1e6)),
            spread(of(|run| number(run.acknowledged.max_ns) / 1e6))
        ))
        .noted(quiet::note(&runs.iter().map(|run| run.look).collect::<Vec<_>>()));
    Ok(vec![lost, row])
}

fn run_once(bench: &Bench, node: &Node, placement: &Placement) -> Result<Run, String> {
    let look = quiet::wait_quiet(bench.scale.quiet);
    let (warm, window) = (bench.scale.warm, bench.scale.window);
    let (cpu, duration) = (placement.generator, warm + window);
    let load = TcpLoad { record_bytes: RECORD_BYTES, senders: SENDERS, rate: RECORDS_A_SECOND, duration, cpu };
    let generator = Generator::start_tcp(bench, node, &load)?;
    thread::sleep(warm);
    let before = Scrape::of(node)?;
    thread::sleep(window.mul_f64(0.9));
    let written = Scrape::of(node)?.since(&before);
    let sent = generator.finish()?;
    let acknowledged = sent.acknowledged.ok_or("nothing was acknowledged")?;
    let missing = missing(bench, node)?;
    let block_bytes = written.written_bytes.checked_div(written.blocks).unwrap_or(0).next_multiple_of(4096).clamp(4096, 1 << 20);
    let count = u32::try_from(written.blocks).unwrap_or(u32::MAX).max(1);
    let blocks = (block_bytes, window.mul_f64(0.9) / count, count);
    let p99_ms = |times: &Histogram<u64>| number(times.value_at_quantile(0.99)) / 1e6;
    let disk_p99_ms = p99_ms(&probe_disk(bench, placement, blocks)?.pair);
    let packets = Load { packet_bytes: RECORD_BYTES, rate: Some(RECORDS_A_SECOND), gso: false, duration, cpu };
    let beside_p99_ms = p99_ms(&probe_disk_beside(bench, placement, &packets, blocks)?.pair);
    Ok(Run { missing, acknowledged, per_second: sent.per_second, disk_p99_ms, beside_p99_ms, block_bytes, look })
}
