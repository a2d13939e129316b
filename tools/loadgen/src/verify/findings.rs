//! The judgement: does every packet sent stand in the topic or under a named cause, and nothing twice?
//!
//! | must hold | else |
//! |---|---|
//! | missing = dropped + shed + dead-lettered, as the appliance counted since before the run | uncounted loss, or counts of other traffic |
//! | no acknowledged packet is missing | the appliance promised what it did not keep |
//! | with acks = all: reordered = 0 | an idempotent producer's order was not kept |
//! | duplicated = 0, corrupted = 0, damaged batches = 0 | the store is at fault |
//! | unclaimed = 0 | the ledger file is not this run's, or packets were invented |
//!
//! A ledger that was cut off (kill -9) has a tail that may or may not have been sent; for it the counted
//! losses must lie between what is surely missing and that plus the tail. The same goes for *unknown* packets, those that
//! were on their way when a connection broke: they may be missing, and it is named how many are.
//!
//! What a Kafka producer sent passes no listener, so no listener's counts explain a loss of it.
//!
//! Every rule that fails adds a sentence to `reasons`; the run is balanced when there is none.

use std::collections::BTreeMap;

use serde::Serialize;

use super::account::{AnsweredTotal, Total};
use super::latency::Summary;
use crate::appliance::Report;
use crate::appliance::report::{Counted, Span};
use crate::ledger::{Ledger, State};
use crate::packet::Damage;

#[cfg(test)]
mod tests;

/// A partition and what was read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// Its number.
    pub partition: i32,
    /// First offset there.
    pub log_start: i64,
    /// Where reading ended.
    pub high_watermark: i64,
    /// Records found.
    pub records: u64,
}

/// What was seen in the topic beside intact packets of the run.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The partitions read.
    pub partitions: Vec<Partition>,
    /// Records of others, packets of other runs among them.
    pub foreign: u64,
    /// Offsets that no batch holds.
    pub offset_gaps: u64,
    /// Packets that are not as they were sent, by what is wrong.
    pub corrupted: BTreeMap<&'static str, u64>,
    /// Batches or records that cannot be read, by what is wrong.
    pub damaged: BTreeMap<String, u64>,
}

impl Seen {
    /// Counts a corrupt packet.
    pub fn corrupt(&mut self, damage: Damage) {
        let name = match damage {
            Damage::Short => "short",
            Damage::Length => "length",
            Damage::Version => "version",
            Damage::Checksum => "checksum",
            Damage::Filler => "filler",
            Damage::Hex => "hex",
        };
        *self.corrupted.entry(name).or_default() += 1;
    }

    /// Counts what cannot be read.
    pub fn damage(&mut self, reason: String) {
        *self.damaged.entry(reason).or_default() += 1;
    }
}

/// The answer of `verify`.
#[derive(Debug, Clone, Serialize)]
pub struct Findings {
    /// Whether every packet is accounted for, once.
    pub balanced: bool,
    /// Why not, a sentence each.
    pub reasons: Vec<String>,
    /// The run, 16 hex digits.
    pub run_id: String,
    /// The topic read.
    pub topic: String,
    /// How far the generator had come when its ledger was last written.
    pub state: State,
    /// Packets known to have been sent.
    pub sent: u64,
    /// Packets that may have been sent.
    pub sent_max: u64,
    /// Packets stored at least once.
    pub stored: u64,
    /// Sent and not stored.
    pub missing: u64,
    /// Packets that the appliance acknowledged.
    pub acknowledged: u64,
    /// Of these, not stored.
    pub acknowledged_missing: u64,
    /// Packets sent, and neither acknowledged nor refused when their connection ended.
    pub unknown: u64,
    /// Of these, not stored.
    pub unknown_missing: u64,
    /// Stored again, each time.
    pub duplicated: u64,
    /// Found after a later one of their source.
    pub reordered: u64,
    /// Not as they were sent.
    pub corrupted: u64,
    /// The same by what is wrong.
    pub corrupted_by: BTreeMap<&'static str, u64>,
    /// Of this run, and not claimed by its ledger.
    pub unclaimed: u64,
    /// Records of others.
    pub foreign: u64,
    /// Offsets that no batch holds.
    pub offset_gaps: u64,
    /// What cannot be read, by what is wrong.
    pub damaged: BTreeMap<String, u64>,
    /// What the appliance counted; absent if its counters went back or lack the listener.
    pub counted: Option<Counted>,
    /// Missing, neither unknown nor counted; below zero: counted and not missing.
    pub unexplained: i128,
    /// Spans of the run in which the appliance counted nothing.
    pub unobserved: Vec<Span>,
    /// The partitions read.
    pub partitions: Vec<Partition>,
    /// If asked for.
    pub latency: Vec<Summary>,
}

/// Puts everything together.
pub fn judge(
    topic: &str,
    ledger: &Ledger,
    (total, answered): (&Total, &AnsweredTotal),
    seen: Seen,
    counted: Result<Counted, String>,
    after: &Report,
    latency: Vec<Summary>,
) -> Findings {
    let (counted, uncounted) = match counted {
        Ok(counted) => (Some(counted), None),
        Err(reason) => (None, Some(reason)),
    };
    let lost = if is_produced(ledger) { 0 } else { counted.as_ref().map_or(0, Counted::lost) };
    let mut findings = Findings {
        balanced: false,
        reasons: uncounted.into_iter().collect(),
        run_id: format!("{:016x}", ledger.run_id),
        topic: topic.to_owned(),
        state: ledger.state,
        sent: total.sent,
        sent_max: total.sent_max,
        stored: total.stored,
        missing: total.missing,
        acknowledged: answered.acknowledged,
        acknowledged_missing: answered.acknowledged_missing,
        unknown: answered.unknown,
        unknown_missing: answered.unknown_missing,
        duplicated: total.duplicated,
        reordered: total.reordered,
        corrupted: seen.corrupted.values().sum(),
        corrupted_by: seen.corrupted,
        unclaimed: total.unclaimed,
        foreign: seen.foreign,
        offset_gaps: seen.offset_gaps,
        damaged: seen.damaged,
        unexplained: unexplained(total.missing, answered.unknown_missing, lost),
        unobserved: unobserved(ledger, after),
        counted,
        partitions: seen.partitions,
        latency,
    };
    let mut reasons = loss(&findings, lost).into_iter().chain(store(&findings, ledger)).collect();
    findings.reasons.append(&mut reasons);
    findings.balanced = findings.reasons.is_empty();
    findings
}

/// Whether the packets were records of a Kafka producer.
fn is_produced(ledger: &Ledger) -> bool {
    ledger.transport == "kafka"
}

/// What neither counts nor broken connections explain. Counts may speak of unknown packets too.
fn unexplained(missing: u64, unknown_missing: u64, lost: u64) -> i128 {
    let owed = missing - unknown_missing;
    if lost < owed { i128::from(owed - lost) } else { -i128::from((lost - owed).saturating_sub(unknown_missing)) }
}

/// Spans in which the appliance counted nothing and the generator sent.
fn unobserved(ledger: &Ledger, after: &Report) -> Vec<Span> {
    let (from_ms, to_ms) = (ledger.started_ns / 1_000_000, ledger.ended_ns.div_ceil(1_000_000));
    // When a run that was cut off ended, its file cannot say.
    let to_ms = if ledger.state == State::Running { u64::MAX } else { to_ms };
    let overlaps = |span: &&Span| span.from <= to_ms && span.to >= from_ms;
    after.unobserved.iter().filter(overlaps).copied().collect()
}

/// Whether what is missing is what was counted.
fn loss(findings: &Findings, lost: u64) -> Option<String> {
    let Findings { missing, sent, sent_max, unobserved, counted, unknown_missing, .. } = findings;
    let (missing, tail) = (missing - unknown_missing, sent_max - sent + unknown_missing);
    if (missing..=missing.saturating_add(tail)).contains(&lost) {
        return None;
    }
    let exact = counted.as_ref().is_none_or(|counted| counted.exact);
    let since = counted.as_ref().is_none_or(|counted| counted.since_before_run);
    let mut reason = if lost < missing {
        format!("{} packets are missing and counted under no cause", missing - lost)
    } else {
        format!("the appliance counts {} lost packets that are not missing", lost - missing - tail)
    };
    if !unobserved.is_empty() {
        reason += "; the run overlaps a time in which the appliance counted nothing";
    }
    reason += taken(findings);
    if !exact {
        reason += "; a listener's counts are not exact on this host";
    }
    if !since {
        reason += "; totals were compared, as the run recorded no ledger before it (udp --http)";
    }
    Some(reason)
}

/// Whether what is stored is what was sent, once.
fn store(findings: &Findings, ledger: &Ledger) -> Vec<String> {
    let damaged: u64 = findings.damaged.values().sum();
    let acks = ledger.answers.as_ref().map_or("", |answers| &answers.acks);
    let disordered = if acks == "all" { findings.reordered } else { 0 };
    let rules = [
        (findings.acknowledged_missing, "packets were acknowledged and are not stored"),
        (disordered, "packets of idempotent producers are stored out of order"),
        (findings.duplicated, "packets are stored more than once"),
        (findings.corrupted, "packets are not as they were sent"),
        (damaged, "batches or records cannot be read"),
        (findings.unclaimed, "packets of the run are beyond what its ledger claims"),
    ];
    let broken = rules.into_iter().filter(|(count, _)| *count > 0);
    let mut reasons: Vec<String> = broken.map(|(count, what)| format!("{count} {what}")).collect();
    if findings.acknowledged_missing > 0 {
        reasons[0] += taken(findings);
    }
    reasons
}

/// What else may be the matter with packets that are missing.
fn taken(findings: &Findings) -> &'static str {
    let is_whole = findings.partitions.iter().all(|partition| partition.log_start == 0);
    if is_whole { "" } else { "; the topic does not begin at offset 0 any more: what retention has taken cannot be read back" }
}
