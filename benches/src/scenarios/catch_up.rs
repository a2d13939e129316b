//! A standby that was away comes back while packets go on coming: how fast it has what it lacks, against copying the same files.
//!
//! ```text
//!   both in sync, a lap ── standby killed ── so many GiB alone ── standby back ├── catches up, beside a quarter of the load ──┤ in sync
//!                                                                              └─ measured: bytes that it wrote, by the time ─┘
//! ```
//! Its segments were written before and are taken again, as in a log that keeps its size. The probe has the disk and the processors to
//! itself; the standby shares them with a primary that takes packets in.

use std::time::{Duration, Instant};

use headworks_format::LaneId;
use headworks_lane::lane_folder;

use crate::bench::Bench;
use crate::figures::{Bar, Row, Spread, number};
use crate::probes::copy::Target;
use crate::probes::read;
use crate::process::{Generator, Load, Pair};
use crate::runner::Pairs;
use crate::scenarios::throughput;

const NAME: &str = "catch-up";
const PACKET_BYTES: usize = 1400;
/// Bytes that the standby lacks, where the disk has so much.
const BEHIND_BYTES: u64 = 5 << 30;
/// The share of what the pair takes without loss that goes on coming.
const PACE: u64 = 4;
/// The least rate that is tried for that, packets a second.
const RATE_MIN: u64 = 1_000;
/// Segments that are kept beyond what the standby lacks, which may be half a GiB more: it must find the block that it ends with.
const SPARE_SEGMENTS: u64 = 8;
const BAR: Bar = Bar::AtLeast(0.6);
/// Longest load while it catches up; it is ended when that is done.
const LOAD_MAX: Duration = Duration::from_secs(120);

/// So many bytes behind, with packets at a quarter of the primary's rate.
///
/// # Errors
/// A node or its books fail, or a packet is lost.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let placement = &bench.placements()[0];
    let (large, note) = bench.large_bytes(5)?;
    let behind = large.min(BEHIND_BYTES);
    let retention = behind + SPARE_SEGMENTS * bench.scale.segment_bytes;
    let scratch = bench.scratch("catch-up-")?;
    let mut pair = Pair::start(bench, scratch.path(), placement, retention)?;
    throughput::first_lap(bench, pair.primary(), retention, placement.generator)?;
    pair.wait_in_sync()?;
    let aside = bench.scratch("copy-")?;
    let target = Target::make(aside.path(), behind)?;
    let segments = read::files(&pair.primary_data().join(lane_folder(LaneId(0))), "seg")?;
    let pace = lossless_rate(bench, &pair, placement.generator)? / PACE;
    pair.wait_in_sync()?;

    let mut lost = Vec::new();
    let pairs = Pairs::measure(
        bench,
        || Ok(target.copy(&segments)? / 1e6),
        || {
            let caught = catch_up(bench, &mut pair, behind, pace)?;
            lost.push(number(caught.lost));
            Ok(caught.per_second / 1e6)
        },
    )?;
    pair.stop()?;
    let what = format!("{} MiB behind, against a copy by read, TCP and write", behind >> 20);
    let row = pairs
        .row(NAME, what, "MB/s")
        .held_to(BAR)
        .noted(format!("beside {pace} packets/s of {PACKET_BYTES} B, a quarter of what both in sync took without loss"));
    let row = note.into_iter().fold(row, Row::noted);
    Ok(vec![row, Row::of(NAME, "lost meanwhile", "packets", Spread::of(&lost)).held_to(Bar::AtMost(0.0))])
}

/// The highest rate of those tried, each three quarters of the one before, at which a pair in sync loses no packet.
fn lossless_rate(bench: &Bench, pair: &Pair<'_>, cpu: usize) -> Result<u64, String> {
    let (primary, window) = (pair.primary(), bench.scale.window);
    let run = |rate: Option<u64>| {
        throughput::sent_and_durable(bench, primary, &Load { packet_bytes: PACKET_BYTES, rate, gso: true, duration: window, cpu })
    };
    let (_, durable) = run(None)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let mut rate = (number(durable) / window.as_secs_f64()) as u64;
    while rate > RATE_MIN {
        let (sent, durable) = run(Some(rate))?;
        if durable >= sent {
            return Ok(rate);
        }
        rate = rate * 3 / 4;
    }
    Ok(RATE_MIN)
}

struct CaughtUp {
    per_second: f64,
    lost: u64,
}

fn catch_up(bench: &Bench, pair: &mut Pair<'_>, behind: u64, pace: u64) -> Result<CaughtUp, String> {
    let cpu = bench.placements()[0].generator;
    pair.kill_standby()?;
    fall_behind(bench, pair, behind, cpu)?;
    let before = pair.primary().closed_books()?;
    let load = Load { packet_bytes: PACKET_BYTES, rate: Some(pace), gso: true, duration: LOAD_MAX, cpu };
    let generator = Generator::start(bench, pair.primary().udp, &load)?;
    pair.start_standby()?;
    pair.wait_connected()?;
    let (started, written) = (Instant::now(), pair.standby()?.counter("headworks_segment_write_bytes_total")?);
    pair.wait_in_sync()?;
    let took = started.elapsed();
    let bytes = pair.standby()?.counter("headworks_segment_write_bytes_total")? - written;
    let sent = generator.end()?;
    let books = pair.primary().closed_books()?.since(&before);
    let per_second = number(bytes) / took.as_secs_f64();
    Ok(CaughtUp { per_second, lost: sent.packets.saturating_sub(books.durable) })
}

/// Loads the primary until it has so much more than its standby.
fn fall_behind(bench: &Bench, pair: &Pair<'_>, behind: u64, cpu: usize) -> Result<(), String> {
    let primary = pair.primary();
    let load = Load { packet_bytes: PACKET_BYTES, rate: None, gso: true, duration: Duration::from_millis(200), cpu };
    let start = primary.closed_books()?.durable;
    let wanted = behind / PACKET_BYTES as u64;
    loop {
        Generator::start(bench, primary.udp, &load)?.finish()?;
        if primary.closed_books()?.durable - start >= wanted {
            return Ok(());
        }
    }
}
