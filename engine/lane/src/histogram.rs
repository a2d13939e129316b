//! Durations as counts in fixed buckets: one writer, readers at any time, nothing allocated after the start.
//!
//! Sixteen buckets an octave from 1 µs to about 137 s, so a quantile is known to about 6 %.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const STEPS: usize = 16;
const OCTAVES: usize = 27;
const BUCKETS: usize = STEPS * OCTAVES + 1;
/// Durations are taken in these; the first octave begins at 16 of them, about a microsecond.
const UNIT_NS: u64 = 64;
const FIRST_OCTAVE: usize = 4;

#[derive(Debug)]
struct Cells {
    counts: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

/// The histogram; clones share it.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Cells>);

/// Its content at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    counts: Vec<u64>,
    /// Sum of everything recorded, in ns.
    pub sum_ns: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram(Arc::new(Cells { counts: std::array::from_fn(|_| AtomicU64::new(0)), sum_ns: AtomicU64::new(0) }))
    }
}

impl Histogram {
    /// Records `count` durations of `duration_ns`.
    pub fn record(&self, duration_ns: u64, count: u64) {
        // Relaxed: counters that nothing else is ordered by; a snapshot may lag by a record.
        self.0.counts[bucket(duration_ns)].fetch_add(count, Ordering::Relaxed);
        self.0.sum_ns.fetch_add(duration_ns.saturating_mul(count), Ordering::Relaxed);
    }

    /// What was recorded so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let counts = self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Snapshot { counts, sum_ns: self.0.sum_ns.load(Ordering::Relaxed) }
    }
}

impl Snapshot {
    /// Number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Durations of at most `limit_ns`, to the width of a bucket.
    #[must_use]
    pub fn at_most(&self, limit_ns: u64) -> u64 {
        self.counts.iter().enumerate().take_while(|(place, _)| upper_ns(*place) <= limit_ns).map(|(_, count)| count).sum()
    }

    /// The upper bound in ns of the bucket that holds the quantile (0 … 1); 0 when nothing was recorded.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        let wanted = ((self.count() as f64) * quantile.clamp(0.0, 1.0)).ceil() as u64;
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted.max(1) {
                return upper_ns(place);
            }
        }
        0
    }

    /// What was recorded since an earlier snapshot.
    #[must_use]
    pub fn since(&self, earlier: &Snapshot) -> Snapshot {
        let counts = self.counts.iter().zip(&earlier.counts).map(|(now, then)| now - then).collect();
        Snapshot { counts, sum_ns: self.sum_ns.wrapping_sub(earlier.sum_ns) }
    }
}

fn bucket(duration_ns: u64) -> usize {
    let units = (duration_ns / UNIT_NS).max(1 << FIRST_OCTAVE);
    let octave = units.ilog2() as usize;
    if octave >= FIRST_OCTAVE + OCTAVES {
        return BUCKETS - 1;
    }
    // The four bits behind the leading one.
    let step = (units >> (octave - FIRST_OCTAVE)) & (STEPS as u64 - 1);
    (octave - FIRST_OCTAVE) * STEPS + usize::try_from(step).expect("four bits")
}

fn upper_ns(place: usize) -> u64 {
    if place >= BUCKETS - 1 {
        return u64::MAX;
    }
    let (octave, step) = (place / STEPS, (place % STEPS) as u64);
    ((STEPS as u64 + step + 1) << octave) * UNIT_NS
}
