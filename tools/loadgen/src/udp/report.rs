//! What an operator reads after a run.

use std::fmt::Write;
use std::path::Path;

use super::Sent;
use crate::ledger::{Ledger, State};

#[cfg(test)]
mod tests;

/// Below this share of the offered rate, in percent, the run counts as not having reached it.
const REACHED_PERCENT: u128 = 99;

/// A run that ends this much later than planned, and no more, is on time whatever its length.
const LATE_NS_MAX: u128 = 20_000_000;

/// The run as a table.
pub fn table(ledger: &Ledger, path: &Path) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        writeln!(out, "{name:<10} {value}").expect("a string takes every write");
    };
    let sources = ledger.sources.len();
    let trains = if ledger.gso { ", in GSO trains" } else { "" };
    line("run", format!("{:016x}, {}", ledger.run_id, word(ledger.state)));
    line("target", format!("{} {}", ledger.transport, ledger.target));
    line("load", format!("{} bytes, {sources} sources{trains}", ledger.size));
    let offered = ledger.offered;
    line("offered", format!("{} packets, {} a second", offered.packets, offered.per_second));
    let achieved = ledger.achieved;
    line("sent", format!("{} packets, {} a second", achieved.packets, achieved.per_second));
    for (name, count) in &ledger.errors {
        line("refused", format!("{count} packets, {name}"));
    }
    if let Some(late) = ledger.lateness {
        line(
            "late by",
            format!(
                "p50 {}, p99 {}, p99.99 {}, max {} (the generator's own, against its schedule)",
                micros(late.p50_ns),
                micros(late.p99_ns),
                micros(late.p9999_ns),
                micros(late.max_ns)
            ),
        );
    }
    line("ledger", path.display().to_string());
    out
}

/// What went otherwise than planned, a sentence each.
pub fn warnings(sent: &Sent) -> Vec<String> {
    let Sent { ledger, held } = sent;
    let mut warnings = Vec::new();
    let (offered, achieved) = (ledger.offered, ledger.achieved);
    if !reached(ledger) {
        warnings.push(format!(
            "the rate was not reached: {} of {} packets a second; {} never left \
             (try --gso, fewer bytes or a lower rate)",
            achieved.per_second,
            offered.per_second,
            offered.packets.saturating_sub(achieved.packets)
        ));
    }
    if let Some(refused) = ledger.errors.get("ECONNREFUSED") {
        warnings.push(format!(
            "{refused} packets were refused because an earlier one met a closed port: \
             is anything listening on {}?",
            ledger.target
        ));
    }
    if ledger.gso && ledger.errors.contains_key("EINVAL") {
        warnings.push(format!("EINVAL with --gso: packets of {} bytes are larger than the way's MTU allows in trains", ledger.size));
    }
    if !held.is_zero() {
        warnings.push(format!("the sender waited {held:?} for its ledger file: put it on a disk that keeps up"));
    }
    if ledger.state == State::Interrupted {
        warnings.push("a signal ended the run early; the ledger is exact".to_owned());
    }
    warnings
}

/// Whether the packets left at the offered rate: all but one in a hundred, and the last of them on time.
/// A run of a few packets may end a wake-up late without being called slow.
fn reached(ledger: &Ledger) -> bool {
    let (offered, achieved) = (ledger.offered, ledger.achieved);
    let share = |part: u64, whole: u64| u128::from(part) * 100 >= u128::from(whole) * REACHED_PERCENT;
    let planned_ns = u128::from(offered.packets) * 1_000_000_000 / u128::from(offered.per_second.max(1));
    let took_ns = u128::from(ledger.ended_ns.saturating_sub(ledger.started_ns));
    let on_time = took_ns <= planned_ns + LATE_NS_MAX;
    share(achieved.packets, offered.packets) && (on_time || share(achieved.per_second, offered.per_second))
}

fn word(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Complete => "complete",
        State::Interrupted => "interrupted",
    }
}

/// Nanoseconds for reading: whole microseconds below ten milliseconds, else milliseconds.
fn micros(ns: u64) -> String {
    match ns {
        0..10_000_000 => format!("{} us", ns / 1_000),
        _ => format!("{} ms", ns / 1_000_000),
    }
}
