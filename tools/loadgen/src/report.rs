//! What an operator reads after a run.

use std::fmt::Write;
use std::path::Path;

use crate::ledger::answers::{Answers, Connections};
use crate::ledger::{Ledger, Quantiles, State};
use crate::load::Sent;

#[cfg(test)]
mod tests;

/// Below this share of the offered rate, in percent, the run counts as not having reached it.
const REACHED_PERCENT: u128 = 99;

/// A run that ends this much later than planned, and no more, is on time whatever its length.
const LATE_NS_MAX: u128 = 20_000_000;

/// The same of a run that waits for answers at its end.
const ANSWERED_LATE_NS_MAX: u128 = 1_000_000_000;

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
    let what = if ledger.transport == "udp" { "packets" } else { "times" };
    for (name, count) in &ledger.errors {
        line("refused", format!("{count} {what}, {name}"));
    }
    if let Some(late) = &ledger.lateness {
        line("late by", format!("{} (the generator's own, against its schedule)", points(late)));
    }
    if let Some(answers) = &ledger.answers {
        answered(answers, &mut line);
    }
    line("ledger", path.display().to_string());
    out
}

/// What the appliance answered.
fn answered(answers: &Answers, line: &mut impl FnMut(&str, String)) {
    let Connections { opened, refused, broken } = answers.connections;
    line("links", format!("{opened} opened, {refused} attempts failed, {broken} broken"));
    let Answers { acks, acknowledged, unknown, .. } = answers;
    line("answered", format!("{acknowledged} packets acknowledged, acks {acks}; {unknown} unknown"));
    if let Some(latency) = &answers.latency {
        line("acked in", format!("{} (from when a packet was due)", points(latency)));
    }
    if let Some(gap) = answers.gap {
        let (from_ms, to_ms) = (gap.from_ns / 1_000_000, gap.to_ns / 1_000_000);
        line("gap", format!("{} without an answer, source {}, {from_ms} to {to_ms} ms since 1970", micros(gap.length_ns), gap.source));
    }
    for (name, count) in &answers.retriable {
        line("passing", format!("{count} times: {name}"));
    }
    for (name, count) in &answers.fatal {
        line("fatal", format!("{count} times: {name}"));
    }
    for (said, count) in &answers.said {
        line("said", format!("{count} times: {said}"));
    }
}

fn points(of: &Quantiles) -> String {
    let (p50, p99, p999) = (micros(of.p50_ns), micros(of.p99_ns), micros(of.p999_ns));
    format!("p50 {p50}, p90 {}, p99 {p99}, p99.9 {p999}, p99.99 {}, max {}", micros(of.p90_ns), micros(of.p9999_ns), micros(of.max_ns))
}

/// What went otherwise than planned, a sentence each.
pub fn warnings(sent: &Sent) -> Vec<String> {
    let Sent { ledger, held } = sent;
    let mut warnings = Vec::new();
    let (offered, achieved) = (ledger.offered, ledger.achieved);
    if !reached(ledger) {
        warnings.push(format!(
            "the rate was not reached: {} of {} packets a second; {} never left ({})",
            achieved.per_second,
            offered.per_second,
            offered.packets.saturating_sub(achieved.packets),
            if ledger.transport == "udp" {
                "try --gso, fewer bytes or a lower rate"
            } else {
                "try more --sources, fewer bytes or a lower rate"
            }
        ));
    }
    if let Some(refused) = ledger.errors.get("ECONNREFUSED").filter(|_| ledger.transport == "udp") {
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
    if let Some(answers) = &ledger.answers {
        if answers.unknown > 0 {
            warnings.push(format!("{} packets were on their way when their connection ended: they may be stored or not", answers.unknown));
        }
        if answers.acks == "cumulative" && answers.acknowledged == 0 && ledger.sent() > 0 {
            warnings.push("the listener acknowledged nothing: set its ack = true".to_owned());
        }
        if !answers.fatal.is_empty() {
            warnings.push("a broker refused batches for good; the ledger names the errors".to_owned());
        }
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
    let late_ns_max = if ledger.answers.is_some() { ANSWERED_LATE_NS_MAX } else { LATE_NS_MAX };
    let on_time = took_ns <= planned_ns + late_ns_max;
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
