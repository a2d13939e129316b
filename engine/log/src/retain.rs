//! Retention: which rolled segments may be reused, oldest first.
//!
//! A segment is reusable only when it is sealed (all of it durable, its sidecar written), the block behind it is below
//! `committed` too, and the bytes kept without it still reach the size asked for. The block behind it is the next
//! segment's checkpoint: without it a crash would find neither, and the lane would number its records from 0 again.
//! For the same reason a sealed segment must be left behind it: its sidecar proves its checkpoint to have been durable, and
//! with the open one's names and offsets stand in two checkpoints, so that no single bad sector makes the lane forget them.
//! The newest record's time, not the clock, is what age is compared with, so a stopped stream is never emptied by time passing.

/// What is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one lane's segments.
    pub size_bytes: u64,
    /// Nanoseconds before the newest record; none keeps by size alone.
    pub age_ns: Option<u64>,
}

/// A rolled segment as retention sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rolled {
    /// Bytes on disk.
    pub bytes: u64,
    /// Number after its last block.
    pub end_sequence: u64,
    /// Its last block's wall time in ns.
    pub newest_ns: u64,
    /// Whether its sidecar is durable.
    pub sealed: bool,
}

/// How many of the oldest segments may go. `rolled` is oldest first and without the open segment, whose bytes are `open_bytes`.
#[must_use]
pub fn expired(
    rolled: impl DoubleEndedIterator<Item = Rolled> + ExactSizeIterator + Clone,
    open_bytes: u64,
    committed: u64,
    newest_ns: u64,
    limits: &Limits,
) -> usize {
    let mut kept_bytes = open_bytes + rolled.clone().map(|segment| segment.bytes).sum::<u64>();
    let mut expired = 0;
    let behind = rolled.clone().skip(1);
    for (segment, next) in rolled.zip(behind) {
        let too_large = kept_bytes > limits.size_bytes;
        let too_old = limits.age_ns.is_some_and(|age| segment.newest_ns.saturating_add(age) < newest_ns);
        if !segment.sealed || !next.sealed || segment.end_sequence >= committed || !(too_large || too_old) {
            break;
        }
        kept_bytes -= segment.bytes;
        expired += 1;
    }
    expired
}

#[cfg(test)]
mod tests;
