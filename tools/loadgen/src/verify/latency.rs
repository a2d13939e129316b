//! From when a packet should have left to when the appliance says it had it.
//!
//! Two clocks can say that, and they say different things; each has its histogram and its label:
//! the record's timestamp (whole milliseconds, the clock of the turn that received it) and, where the
//! stream keeps it, the header `t` (nanoseconds, receive time). The generator's own lateness is inside
//! of both, since the schedule and not the send is where they start: that is what open loop means.
//! Neither corrects for omission again. Both ends read the wall clock; across hosts the difference of
//! these clocks is inside too.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::kafka::batch::Record;
use crate::ledger::Quantiles;

#[cfg(test)]
mod tests;

/// Longest latency told apart, an hour.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

const BY_TIMESTAMP: &str = "record timestamp (ms, the appliance's turn clock) less intended time";
const BY_HEADER: &str = "receive time (record header t, ns) less intended time";

/// Both histograms.
#[derive(Debug)]
pub struct Latencies {
    by_timestamp: Latency,
    by_header: Latency,
}

/// What one of them says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// What was subtracted from what.
    pub of: &'static str,
    /// Packets that seem to have come before they were due: recorded as 0. A timestamp in whole
    /// milliseconds, rounded down, does that to a packet that took less.
    pub below_zero: u64,
    /// Its points.
    #[serde(flatten)]
    pub points: Quantiles,
}

#[derive(Debug)]
struct Latency {
    of: &'static str,
    histogram: Histogram<u64>,
    below_zero: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { by_timestamp: Latency::new(BY_TIMESTAMP), by_header: Latency::new(BY_HEADER) }
    }
}

impl Latencies {
    /// Measures one packet.
    pub fn note(&mut self, intended_ns: u64, record: &Record<'_>) {
        let timestamp_ns = i128::from(record.timestamp_ms) * 1_000_000;
        self.by_timestamp.note(timestamp_ns - i128::from(intended_ns));
        if let Some(received_ns) = record.receive_time_ns {
            self.by_header.note(i128::from(received_ns) - i128::from(intended_ns));
        }
    }

    /// What each says that measured anything.
    pub fn summaries(&self) -> Vec<Summary> {
        let both = [&self.by_header, &self.by_timestamp].into_iter();
        both.filter(|latency| !latency.histogram.is_empty()).map(Latency::summary).collect()
    }
}

impl Latency {
    fn new(of: &'static str) -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("bounds in order");
        Self { of, histogram, below_zero: 0 }
    }

    fn note(&mut self, latency_ns: i128) {
        self.below_zero += u64::from(latency_ns < 0);
        let recorded = u64::try_from(latency_ns.max(0)).unwrap_or(LATENCY_NS_MAX);
        self.histogram.saturating_record(recorded);
    }

    fn summary(&self) -> Summary {
        Summary { of: self.of, below_zero: self.below_zero, points: Quantiles::of(&self.histogram) }
    }
}
