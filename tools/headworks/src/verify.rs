//! `headworks verify DIR`: every byte of every segment against everything that proves it. Changes nothing.

use crate::args::Output;
use crate::node::Failure;
use crate::offline::Offline;
use crate::stdout::say;
use headworks_format::superblock::{COPIES, COPY_BYTES, Copy, FILE_NAME};
use headworks_format::{LaneId, block};
use headworks_io::fatal::Reason;
use headworks_log::verify::{Report, verify};
use serde_json::json;
use std::path::Path;

/// Checks the directory and prints what was found; whether all of it is clean.
///
/// # Errors
/// The directory cannot be checked at all.
pub fn run(path: &Path, output: Output) -> Result<bool, Failure> {
    let offline = Offline::exclusive(path)?;
    let copies = superblock_damage(path)?;
    let mut reports = Vec::new();
    for (lane, disk) in offline.lanes.iter().enumerate() {
        let lane = LaneId(u32::try_from(lane).expect("at most 64 lanes"));
        let window = 64 * block::BLOCK_BYTES_MAX as u64;
        let report =
            verify(disk, lane, offline.superblock.segment_bytes, window).map_err(|error| Failure::new(Reason::Storage, error.message))?;
        reports.push(report);
    }
    let clean = copies.is_empty() && reports.iter().all(|report| report.damage.is_empty());
    match output {
        Output::Json => say!("{}", as_json(&reports, &copies, clean)),
        Output::Text => print_text(&reports, &copies, clean),
    }
    Ok(clean)
}

fn superblock_damage(path: &Path) -> Result<Vec<String>, Failure> {
    let bytes = std::fs::read(path.join(FILE_NAME))
        .map_err(|error| Failure::new(Reason::Storage, format!("cannot read the superblock: {error}")))?;
    let copies: Vec<Copy> = bytes.chunks(COPY_BYTES).take(COPIES).map(Copy::parse).collect();
    let damaged = |(place, copy): (usize, &Copy)| {
        (!matches!(copy, Copy::Present(_))).then(|| format!("copy {place} of the superblock does not hold; the next start writes it anew"))
    };
    Ok(copies.iter().enumerate().filter_map(damaged).collect())
}

fn as_json(reports: &[Report], copies: &[String], clean: bool) -> serde_json::Value {
    let lane = |(lane, report): (usize, &Report)| {
        let damage: Vec<_> = report
            .damage
            .iter()
            .map(|damage| json!({"file": damage.file.to_string(), "position": damage.position, "what": damage.what}))
            .collect();
        json!({
            "lane": lane, "segments": report.segments, "spares": report.spares, "blocks": report.blocks, "records": report.records,
            "bytes": report.bytes, "end": report.end, "torn_tail": report.torn_tail, "damage": damage,
        })
    };
    json!({"clean": clean, "superblock": copies, "lanes": reports.iter().enumerate().map(lane).collect::<Vec<_>>()})
}

fn print_text(reports: &[Report], copies: &[String], clean: bool) {
    copies.iter().for_each(|copy| say!("DAMAGE  {copy}"));
    for (lane, report) in reports.iter().enumerate() {
        let tail = if report.torn_tail { "; ends in blocks that were never acknowledged, which the next start cuts" } else { "" };
        say!(
            "lane {lane}: {} segments, {} blocks, {} records, {} MiB, {} spares{tail}",
            report.segments,
            report.blocks,
            report.records,
            report.bytes >> 20,
            report.spares
        );
        report.damage.iter().for_each(|damage| say!("DAMAGE  lane {lane} {} at byte {}: {}", damage.file, damage.position, damage.what));
    }
    say!(
        "{}",
        if clean { "clean" } else { "damage found: the node starts all the same and serves what holds; restore the rest from a copy" }
    );
}
