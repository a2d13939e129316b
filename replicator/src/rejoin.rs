//! What a lane has to do before it may follow: the common point of two logs, by their histories, proved by their chains.
//!
//! A history lists the epochs of a log with the first block of each. Two logs agree as far as their histories have the same
//! epochs, since (epoch, sequence) is never used twice; where the last common epoch ends first in either log, they may part
//! (Kafka's KIP-101). A longer history that shares an epoch *later* than a difference proves nothing, so only the common
//! beginning counts (KIP-279). What the histories say is then proved by the chain at that point, on both sides.
//!
//! ```text
//!  standby's next block   common point   chain at it   verdict
//!  below our log start    –              –             restart at our oldest block
//!  = common point         own end        same          follow
//!  above common point     below its end  –             truncate to it; the standby compares the chain there
//!  = common point         own end        differs       refuse: the histories lie
//!  –                      below start    –             restart
//! ```
//!
//! A standby none of whose epochs is left in the primary's log parts from it where that log starts, or before: the histories do not
//! say. It follows if it ends there with the same chain, and restarts in any other case. No member in sync is ever told so, since the
//! primary keeps what that one may lack, and with it an epoch that both have.
//!
//!
//! The standby has the last word: it never truncates below what it knows to be committed.

use crate::message::{End, Refusal, Verdict};
use headworks_format::{Chain, Epoch};

/// A lane's log, as far as rejoining needs it.
#[derive(Debug, Clone, Copy)]
pub struct Lineage<'a> {
    /// Epochs with the first block of each, oldest first. Old ones may be missing.
    pub history: &'a [(Epoch, u64)],
    /// Number of the next block.
    pub end: u64,
}

/// The primary's verdict on a lane. `start` is its oldest block; `chain_at` is the chain that its block of that number
/// carries, none outside of `start` to its end.
#[must_use]
pub fn verdict(standby: Lineage<'_>, end: Chain, primary: Lineage<'_>, start: End, chain_at: impl Fn(u64) -> Option<Chain>) -> Verdict {
    let (shares, point) = (share_an_epoch(standby, primary), common_point(standby, primary).min(standby.end));
    let restart = Verdict::Restart { from: start, shared: if shares { point } else { 0 } };
    if standby.end < start.sequence {
        return restart;
    }
    let Some(chain) = (point >= start.sequence).then(|| chain_at(point)).flatten() else { return restart };
    if point == start.sequence && point > 0 && !shares && (point < standby.end || chain != end) {
        return restart;
    }
    if point < standby.end {
        return Verdict::Truncate { to: End { sequence: point, chain } };
    }
    if chain == end { Verdict::Follow { from: End { sequence: point, chain } } } else { Verdict::Refuse(Refusal::NothingInCommon) }
}

/// Whether both histories name an epoch of which both logs have a block.
fn share_an_epoch(a: Lineage<'_>, b: Lineage<'_>) -> bool {
    let b = spans(b);
    spans(a).iter().any(|span| b.iter().any(|other| other.epoch == span.epoch))
}

/// The number up to which two logs have the same blocks, by their histories.
#[must_use]
pub fn common_point(a: Lineage<'_>, b: Lineage<'_>) -> u64 {
    let shorter = a.end.min(b.end);
    let (a, b) = (spans(a), spans(b));
    let (Some(oldest_a), Some(oldest_b)) = (a.first(), b.first()) else { return shorter };
    // Where old epochs are missing in one history, nothing older can be compared: the chain has to tell.
    let whole = oldest_a.first == 0 && oldest_b.first == 0;
    let oldest = if whole { Epoch(0) } else { oldest_a.epoch.max(oldest_b.epoch) };
    let recent = |spans: &[Span]| spans.iter().copied().skip_while(|span| span.epoch < oldest).collect::<Vec<_>>();
    let (a, b) = (recent(&a), recent(&b));
    let mut point = [a.first(), b.first()].into_iter().flatten().map(|span| span.first).fold(shorter, u64::min);
    for (index, (a, b)) in a.iter().zip(&b).enumerate() {
        if a.epoch != b.epoch || ((index > 0 || whole) && a.first != b.first) {
            return point;
        }
        point = a.end.min(b.end);
        if a.end != b.end {
            return point;
        }
    }
    point
}

/// Blocks of one epoch in a log.
#[derive(Debug, Clone, Copy)]
struct Span {
    epoch: Epoch,
    first: u64,
    end: u64,
}

/// An epoch without a block left no trace in any log: it is no difference.
fn spans(log: Lineage<'_>) -> Vec<Span> {
    let ends = log.history.iter().skip(1).map(|(_, first)| *first).chain([log.end]);
    let spans = log.history.iter().zip(ends).map(|((epoch, first), end)| Span { epoch: *epoch, first: *first, end: end.min(log.end) });
    spans.filter(|span| span.first < span.end).collect()
}

#[cfg(test)]
mod tests;
