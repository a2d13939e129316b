//! Which packets of the run are stored: one bit a packet, so a thousand million packets take 120 MiB.
//!
//! ```text
//!  source 0   1 1 1 1 0 1 1 …      0 below the end = missing
//!  source 1   1 1 1 …              a bit set twice = duplicated
//! ```
//!
//! Order is judged within a source and a partition: a packet that comes after a later one of its source
//! is reordered. Across partitions there is no order, so [`Account::begin_partition`] forgets where each
//! source was.
//!
//! The bits grow with what is found, never with what a file claims. A packet that the ledger does not
//! claim (no such source, or beyond its bound) is *unclaimed* and sets none.

use crate::ledger::Source;
use crate::ledger::answers::{Answers, Spans};

#[cfg(test)]
mod tests;

/// The sources of a run.
#[derive(Debug)]
pub struct Account {
    sources: Vec<SourceAccount>,
    unclaimed: u64,
}

/// One source.
#[derive(Debug)]
struct SourceAccount {
    claim: Source,
    stored: Vec<u64>,
    distinct: u64,
    duplicated: u64,
    reordered: u64,
    /// One beyond the highest index found, over all partitions.
    end: u64,
    /// The same in the partition now read.
    end_here: u64,
}

/// Sums over all sources, packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// Known to have been sent: what the ledger says, or further if further ones are stored.
    pub sent: u64,
    /// May have been sent; above `sent` only for a ledger of a run that was cut off.
    pub sent_max: u64,
    /// Stored at least once.
    pub stored: u64,
    /// Sent and not stored.
    pub missing: u64,
    /// Stored again, each time.
    pub duplicated: u64,
    /// Found after a later one.
    pub reordered: u64,
    /// Found, and not claimed by the ledger.
    pub unclaimed: u64,
}

/// The same of what was answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnsweredTotal {
    /// Acknowledged.
    pub acknowledged: u64,
    /// Acknowledged and not stored.
    pub acknowledged_missing: u64,
    /// Neither acknowledged nor refused.
    pub unknown: u64,
    /// Of these, not stored.
    pub unknown_missing: u64,
}

impl Account {
    /// An account of these sources, of which nothing is found yet.
    pub fn new(claims: &[Source]) -> Self {
        let sources = claims.iter().map(|claim| SourceAccount {
            claim: *claim,
            stored: Vec::new(),
            distinct: 0,
            duplicated: 0,
            reordered: 0,
            end: 0,
            end_here: 0,
        });
        Self { sources: sources.collect(), unclaimed: 0 }
    }

    /// Forgets where each source was in the partition before.
    pub fn begin_partition(&mut self) {
        for source in &mut self.sources {
            source.end_here = 0;
        }
    }

    /// A stored packet was found.
    #[inline]
    pub fn note(&mut self, source: u32, sequence: u64) {
        let index = usize::try_from(source).ok();
        let known = index.and_then(|index| self.sources.get_mut(index));
        if !known.is_some_and(|source| source.note(sequence)) {
            self.unclaimed += 1;
        }
    }

    /// What all of it comes to.
    pub fn total(&self) -> Total {
        let mut total = Total { unclaimed: self.unclaimed, ..Total::default() };
        for source in &self.sources {
            let sent = source.claim.sent.max(source.end);
            total.sent += sent;
            total.sent_max += source.claim.sent_max;
            total.stored += source.distinct;
            total.missing += sent - source.distinct;
            total.duplicated += source.duplicated;
            total.reordered += source.reordered;
        }
        total
    }
}

impl Account {
    /// What became of packets that were acknowledged, and of those that were not when their connection ended.
    pub fn answered(&self, answers: &Answers) -> AnsweredTotal {
        let mut total = AnsweredTotal::default();
        for (source, answered) in self.sources.iter().zip(&answers.by_source) {
            total.acknowledged += answered.acknowledged.len();
            total.acknowledged_missing += source.missing_of(&answered.acknowledged);
            total.unknown += answered.unknown.len();
            total.unknown_missing += source.missing_of(&answered.unknown);
        }
        total
    }
}

impl SourceAccount {
    /// Sequences of the spans that are not stored.
    fn missing_of(&self, spans: &Spans) -> u64 {
        let missing = |sequence: &u64| {
            let index = sequence.checked_sub(self.claim.first_sequence);
            !index.is_some_and(|index| self.is_set(index))
        };
        spans.iter().map(|span| (span.0..span.1).filter(missing).count() as u64).sum()
    }

    fn is_set(&self, index: u64) -> bool {
        let word = usize::try_from(index / 64).ok().and_then(|word| self.stored.get(word));
        word.is_some_and(|word| word & 1 << (index % 64) != 0)
    }

    /// Whether the ledger claims the packet; if so, it is noted.
    #[inline]
    fn note(&mut self, sequence: u64) -> bool {
        let index = sequence.checked_sub(self.claim.first_sequence);
        let Some(index) = index.filter(|index| *index < self.claim.sent_max) else { return false };
        if !self.set(index) {
            self.duplicated += 1;
            return true;
        }
        self.distinct += 1;
        if index < self.end_here {
            self.reordered += 1;
        }
        self.end_here = self.end_here.max(index + 1);
        self.end = self.end.max(index + 1);
        true
    }

    /// Sets a bit; whether it was unset.
    #[inline]
    fn set(&mut self, index: u64) -> bool {
        // The bound on a ledger's claim keeps this within 2^34 words.
        let word = usize::try_from(index / 64).expect("a 64-bit machine");
        if word >= self.stored.len() {
            self.stored.resize(word + 1, 0);
        }
        let bit = 1 << (index % 64);
        let unset = self.stored[word] & bit == 0;
        self.stored[word] |= bit;
        unset
    }
}
