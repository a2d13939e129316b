//! What a transport that answers was told of a run: which packets were acknowledged, how late, and with what interruptions.
//!
//! ```text
//!  source 3   | acknowledged 0..812 | unknown 812..820 | acknowledged 820..4000 |     spans of sequences, half open
//! ```
//!
//! *Acknowledged* packets must be stored, once. *Unknown* ones were given to the kernel, and the connection ended before
//! an answer came: they may or may not be stored, and that is all that is said of them. Packets in neither were sent by a
//! way that does not answer, whose connection ended in order.
//!
//! The gap is the longest time for which the sender of some source had records due and no answer came: from the last
//! acknowledgement, or from when the oldest unanswered record was due if that is later, to the next acknowledgement.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Longest time told apart, an hour.
const TIME_NS_MAX: u64 = 3_600_000_000_000;

/// Sequences `from` to `to - 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span(pub u64, pub u64);

/// Spans of one source, in order and disjoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// Adds sequences behind all that are there; none when `from` is `to`.
    ///
    /// # Panics
    /// They do not lie behind.
    pub fn push(&mut self, from: u64, to: u64) {
        if from == to {
            return;
        }
        let end = self.0.last().map_or(0, |last| last.1);
        assert!(end <= from && from < to, "{from}..{to} behind {end}");
        match self.0.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => self.0.push(Span(from, to)),
        }
    }

    /// The spans.
    pub fn iter(&self) -> impl Iterator<Item = Span> + '_ {
        self.0.iter().copied()
    }

    /// How many sequences.
    pub fn len(&self) -> u64 {
        self.iter().map(|Span(from, to)| to - from).sum()
    }

    /// Whether they are in order, disjoint, not empty and below the end.
    fn holds_together(&self, end: u64) -> bool {
        let mut behind = 0;
        self.iter().all(|Span(from, to)| {
            let holds = behind <= from && from < to && to <= end;
            behind = to;
            holds
        })
    }
}

/// What one source was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Must be stored.
    pub acknowledged: Spans,
    /// May be stored.
    pub unknown: Spans,
}

/// Points of a histogram, nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many were measured.
    pub samples: u64,
    /// Half took no longer.
    pub p50_ns: u64,
    /// 9 of 10.
    pub p90_ns: u64,
    /// 99 of 100.
    pub p99_ns: u64,
    /// 999 of 1,000.
    pub p999_ns: u64,
    /// 9,999 of 10,000.
    pub p9999_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl Quantiles {
    /// Those of the histogram.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            samples: histogram.len(),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            p9999_ns: at(0.9999),
            max_ns: histogram.max(),
        }
    }
}

/// The longest time without an answer while records were due.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Whose.
    pub source: u32,
    /// Its first moment, nanoseconds since 1970.
    pub from_ns: u64,
    /// Its last.
    pub to_ns: u64,
    /// From there to there.
    pub length_ns: u64,
}

/// What became of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connections {
    /// Connections that came about.
    pub opened: u64,
    /// Attempts that failed.
    pub refused: u64,
    /// Connections that ended before everything was answered.
    pub broken: u64,
}

/// The whole of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// What was asked for: `none`, `cumulative`, `0`, `1` or `all`.
    pub acks: String,
    /// Packets acknowledged.
    pub acknowledged: u64,
    /// Packets of which nobody knows.
    pub unknown: u64,
    /// From when a packet was due to its acknowledgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Quantiles>,
    /// The longest time without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// What became of connections.
    pub connections: Connections,
    /// Errors after which the same was sent again, by name.
    pub retriable: BTreeMap<String, u64>,
    /// Errors after which it was not.
    pub fatal: BTreeMap<String, u64>,
    /// Lines of text that the appliance wrote before it ended a connection, with how often each came.
    pub said: BTreeMap<String, u64>,
    /// One entry a source, in order.
    pub by_source: Vec<Answered>,
}

impl Answers {
    /// The first thing that cannot be, of a run whose sources sent at most this many.
    pub fn contradiction(&self, sent_max: impl ExactSizeIterator<Item = u64>) -> Option<String> {
        if self.by_source.len() != sent_max.len() {
            return Some(format!("answers for {} of {} sources", self.by_source.len(), sent_max.len()));
        }
        for (source, (answered, sent_max)) in self.by_source.iter().zip(sent_max).enumerate() {
            let mut both: Vec<Span> = answered.acknowledged.iter().chain(answered.unknown.iter()).collect();
            both.sort_by_key(|span| span.0);
            let holds = [&answered.acknowledged, &answered.unknown, &Spans(both)].iter().all(|spans| spans.holds_together(sent_max));
            if !holds {
                return Some(format!("source {source}: spans that overlap, or go beyond the {sent_max} packets sent"));
            }
        }
        let (acknowledged, unknown) = self.totals();
        let claimed = (self.acknowledged, self.unknown);
        (claimed != (acknowledged, unknown))
            .then(|| format!("{claimed:?} packets acknowledged and unknown, the spans hold {acknowledged} and {unknown}"))
    }

    /// Sums over the spans.
    pub fn totals(&self) -> (u64, u64) {
        let sum = |of: fn(&Answered) -> &Spans| self.by_source.iter().map(|answered| of(answered).len()).sum();
        (sum(|answered| &answered.acknowledged), sum(|answered| &answered.unknown))
    }
}

/// What one source waits for: since when something is due that was not acknowledged. Times are ns after the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Owed {
    since_ns: Option<u64>,
    heard_ns: u64,
}

impl Owed {
    /// A packet became due.
    #[inline]
    pub fn on_due(&mut self, due_ns: u64) {
        self.since_ns.get_or_insert(due_ns);
    }

    /// An acknowledgement came; `rest_ns` is when the oldest packet was due that still waits. From when to when nothing
    /// had come.
    #[inline]
    pub fn on_answer(&mut self, now_ns: u64, rest_ns: Option<u64>) -> Option<(u64, u64)> {
        let gap = self.open_gap(now_ns);
        self.since_ns = rest_ns;
        self.heard_ns = now_ns;
        gap
    }

    /// The gap that is open now, if anything is owed.
    pub fn open_gap(&self, now_ns: u64) -> Option<(u64, u64)> {
        self.since_ns.map(|since_ns| (since_ns.max(self.heard_ns), now_ns))
    }
}

/// Times of acknowledgements as they come in: a histogram, and the longest gap.
#[derive(Debug)]
pub struct Waits {
    histogram: Histogram<u64>,
    gap: Option<Gap>,
}

impl Default for Waits {
    fn default() -> Self {
        Self { histogram: histogram(), gap: None }
    }
}

/// An empty histogram for times up to an hour. It grows with what it is given.
pub fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new(3).expect("three digits are possible");
    histogram.auto(true);
    histogram
}

impl Waits {
    /// A packet was acknowledged so long after it was due, ns.
    #[inline]
    pub fn note(&mut self, wait_ns: u64) {
        self.histogram.record(wait_ns.clamp(1, TIME_NS_MAX)).expect("a histogram that grows takes every time");
    }

    /// No answer came between these two moments though something was due.
    #[inline]
    pub fn note_gap(&mut self, source: u32, from_ns: u64, to_ns: u64) {
        let length_ns = to_ns.saturating_sub(from_ns);
        if self.gap.is_none_or(|longest| length_ns > longest.length_ns) {
            self.gap = Some(Gap { source, from_ns, to_ns, length_ns });
        }
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Waits) {
        // Both resize themselves: nothing is out of range.
        self.histogram.add(&other.histogram).expect("a histogram that grows takes every other");
        if let Some(gap) = other.gap {
            self.note_gap(gap.source, gap.from_ns, gap.to_ns);
        }
    }

    /// Its points; none where nothing was acknowledged.
    pub fn latency(&self) -> Option<Quantiles> {
        (!self.histogram.is_empty()).then(|| Quantiles::of(&self.histogram))
    }

    /// The longest gap.
    pub fn gap(&self) -> Option<Gap> {
        self.gap
    }
}
