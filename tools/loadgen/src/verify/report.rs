//! The findings as a table for people.

use std::fmt::Write;

use super::findings::Findings;
use super::latency::Summary;
use crate::appliance::report::Counts;
use crate::ledger::State;

/// Of a balanced run, without and with packets of which nobody was told.
const VERDICTS: [&str; 2] = [
    "balanced: every packet is stored once or counted under a named cause",
    "balanced: every packet is stored once, counted under a named cause, or was unanswered when its connection ended",
];

/// The whole table, the verdict last.
pub fn table(findings: &Findings) -> String {
    let mut out = Lines::default();
    out.line("run", format!("{} in topic {}", findings.run_id, findings.topic));
    packets(&mut out, findings);
    appliance(&mut out, findings);
    for summary in &findings.latency {
        latency(&mut out, summary);
    }
    for reason in &findings.reasons {
        out.line("because", reason);
    }
    let verdict = if findings.balanced { VERDICTS[usize::from(findings.unknown_missing > 0)] } else { "NOT BALANCED" };
    out.line("verdict", verdict);
    out.text
}

/// What the topic holds.
fn packets(out: &mut Lines, findings: &Findings) {
    match findings.state {
        State::Running => out.line("sent", format!("{} at least, {} at most: the generator was cut off", findings.sent, findings.sent_max)),
        State::Complete | State::Interrupted => out.line("sent", findings.sent),
    }
    out.line("stored", findings.stored);
    out.line("missing", findings.missing);
    if findings.acknowledged > 0 {
        out.line("acknowledged", format!("{}, of which {} are not stored", findings.acknowledged, findings.acknowledged_missing));
    }
    if findings.unknown > 0 {
        let stored = findings.unknown - findings.unknown_missing;
        out.line("unknown", format!("{} at the end of a connection, of which {stored} are stored", findings.unknown));
    }
    out.line("duplicated", findings.duplicated);
    out.line("reordered", findings.reordered);
    let by: Vec<_> = findings.corrupted_by.iter().map(|(what, n)| format!("{n} {what}")).collect();
    let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    out.line("corrupted", format!("{}{by}", findings.corrupted));
    out.line("unclaimed", findings.unclaimed);
    out.line("foreign", format!("{} records of others", findings.foreign));
    if findings.offset_gaps > 0 {
        out.line("gaps", format!("{} offsets that no batch holds", findings.offset_gaps));
    }
    for (what, count) in &findings.damaged {
        out.line("damaged", format!("{count}: {what}"));
    }
    for read in &findings.partitions {
        let (from, to) = (read.log_start, read.high_watermark);
        let place = format!("partition {}", read.partition);
        out.line(&place, format!("{} records, offsets {from} to {to}", read.records));
    }
}

/// What the appliance counted.
fn appliance(out: &mut Lines, findings: &Findings) {
    if let Some(counted) = &findings.counted {
        let since = if counted.since_before_run { "since before the run" } else { "in total" };
        let lost = counted.lost();
        out.line("counted", format!("{lost} lost of {} arrived, {since}", counted.arrived));
        causes(out, "dropped", &counted.dropped);
        causes(out, "shed", &counted.shed);
        if counted.dead_lettered > 0 {
            out.line("  dead letter", counted.dead_lettered);
        }
        if !counted.exact {
            out.line("  exact", "no: a listener counts trains, not packets, on this host");
        }
    }
    for span in &findings.unobserved {
        out.line("unobserved", format!("{} to {} ms since 1970", span.from, span.to));
    }
    out.line("unexplained", findings.unexplained);
}

fn causes(out: &mut Lines, kind: &str, counts: &Counts) {
    for (cause, count) in counts {
        out.line(&format!("  {kind}"), format!("{count} {cause}"));
    }
}

fn latency(out: &mut Lines, summary: &Summary) {
    out.line("latency", summary.of);
    let Summary { points, below_zero, .. } = summary;
    out.line("  samples", format!("{}, of which {below_zero} below zero, taken as 0", points.samples));
    let points = [
        ("p50", points.p50_ns),
        ("p90", points.p90_ns),
        ("p99", points.p99_ns),
        ("p99.9", points.p999_ns),
        ("p99.99", points.p9999_ns),
        ("max", points.max_ns),
    ];
    for (name, ns) in points {
        out.line(&format!("  {name}"), format!("{} us", ns / 1_000));
    }
}

/// Names in one column, values in the next.
#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        writeln!(self.text, "{name:<14} {value}").expect("a string takes every write");
    }
}
