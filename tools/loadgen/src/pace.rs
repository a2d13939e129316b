//! The open-loop schedule: when each packet *should* leave, whatever became of those before it.
//!
//! Slot k is due k/rate seconds after the start, to the nanosecond, without drift: the step is kept
//! as a quotient and a remainder (as a line is drawn on a grid), so no slot costs a division. A
//! sender that falls behind takes slots late, in order, each with its own due time; none is skipped
//! and none is moved, so a stall of the sender shows as latency and not as a gentler load.
//!
//! With [`Rate::Max`] there is no schedule: a slot is due whenever it is asked for.
//!
//! [`Share`] is one source's part of the same schedule, for transports whose sources can be held up one by one: slot k goes
//! to source k mod N, whenever that source can take it.
//!
//! No clock stands here: the caller says what time it is, in nanoseconds since the start.

use std::num::NonZeroU64;
use std::time::Duration;

#[cfg(test)]
mod tests;

const SECOND_NS: u64 = 1_000_000_000;

/// A sender that is behind at the end of its time may still send what is due for this part of it …
const GRACE_DIVISOR: u64 = 100;
/// … and at least for this long, so that a short run is not cut by one late wake-up.
const GRACE_NS_MIN: u64 = 20_000_000;

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// As fast as packets are taken.
    Max,
    /// Packets a second, over all sources.
    PerSecond(NonZeroU64),
}

impl std::fmt::Display for Rate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Rate::Max => write!(out, "max"),
            Rate::PerSecond(rate) => write!(out, "{rate}"),
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send one now; it was due this many nanoseconds after the start.
    Due(u64),
    /// Nothing is due before this many nanoseconds after the start.
    Wait(u64),
    /// The run is over.
    Done,
}

/// The schedule of one run.
#[derive(Debug, Clone)]
pub struct Pace {
    rate: Rate,
    /// Slots in the whole run; `u64::MAX` where only time ends it.
    slots_max: u64,
    /// Last moment at which a slot may be taken, ns after the start.
    deadline_ns: u64,
    taken: u64,
    /// When slot `taken` is due: `next_ns + carry/rate` nanoseconds, exactly.
    next_ns: u64,
    carry: u64,
}

impl Pace {
    /// A run that ends with the duration, with the count, or with whichever comes first.
    pub fn new(rate: Rate, duration: Option<Duration>, count: Option<u64>) -> Self {
        let duration_ns = duration.map(whole_ns);
        let by_time = match (rate, duration_ns) {
            (Rate::PerSecond(rate), Some(duration_ns)) => slots_within(rate, duration_ns),
            _ => u64::MAX,
        };
        let deadline_ns = duration_ns.map_or(u64::MAX, |duration_ns| match rate {
            Rate::Max => duration_ns,
            Rate::PerSecond(_) => duration_ns.saturating_add(GRACE_NS_MIN.max(duration_ns / GRACE_DIVISOR)),
        });
        let slots_max = by_time.min(count.unwrap_or(u64::MAX));
        Self { rate, slots_max, deadline_ns, taken: 0, next_ns: 0, carry: 0 }
    }

    /// Takes a slot if one is due.
    #[inline]
    pub fn next(&mut self, now_ns: u64) -> Next {
        if self.taken == self.slots_max || now_ns > self.deadline_ns {
            return Next::Done;
        }
        match self.rate {
            Rate::Max => {
                self.taken += 1;
                Next::Due(now_ns)
            }
            Rate::PerSecond(rate) => {
                let due_ns = self.next_ns;
                if due_ns > now_ns {
                    return Next::Wait(due_ns);
                }
                self.step(rate.get());
                Next::Due(due_ns)
            }
        }
    }

    /// Whether slots have times of their own.
    pub fn is_scheduled(&self) -> bool {
        self.rate != Rate::Max
    }

    /// Slots taken so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Slots in the whole run, `u64::MAX` where only time ends it.
    pub fn slots_max(&self) -> u64 {
        self.slots_max
    }

    /// Slots that were due by now: what the load *offered*, taken or not.
    pub fn offered(&self, now_ns: u64) -> u64 {
        match self.rate {
            Rate::Max => self.taken,
            Rate::PerSecond(rate) => slots_within(rate, now_ns.saturating_add(1)).min(self.slots_max),
        }
    }

    /// Whether no further slot will become due.
    pub fn is_over(&self, now_ns: u64) -> bool {
        match self.rate {
            Rate::Max => now_ns > self.deadline_ns,
            Rate::PerSecond(_) => self.offered(now_ns) == self.slots_max,
        }
    }

    /// When a slot is due, ns after the start; without a schedule at once.
    pub fn due_ns(&self, slot: u64) -> u64 {
        match self.rate {
            Rate::Max => 0,
            Rate::PerSecond(rate) => due_ns(rate, slot),
        }
    }

    /// The time that this many slots of the schedule take, ns; 0 without a schedule.
    pub fn span_ns(&self, slots: u64) -> u64 {
        match self.rate {
            Rate::Max => 0,
            Rate::PerSecond(rate) => {
                let span = u128::from(slots) * u128::from(SECOND_NS) / u128::from(rate.get());
                u64::try_from(span).unwrap_or(u64::MAX)
            }
        }
    }

    /// Moves to the following slot: adds 1/rate seconds without rounding.
    #[inline]
    fn step(&mut self, rate: u64) {
        self.taken += 1;
        self.next_ns += SECOND_NS / rate;
        self.carry += SECOND_NS % rate;
        if self.carry >= rate {
            self.carry -= rate;
            self.next_ns += 1;
        }
    }
}

/// The part of a schedule that belongs to one source: every N-th slot, from its own number on.
#[derive(Debug, Clone)]
pub struct Share {
    rate: Rate,
    sources: u64,
    slots_max: u64,
    /// Without a schedule: last moment at which a slot may be taken.
    deadline_ns: u64,
    slot: u64,
}

impl Share {
    /// The source's part of the schedule of that many sources.
    pub fn new(pace: &Pace, source: u32, sources: u32) -> Self {
        let Pace { rate, slots_max, deadline_ns, .. } = *pace;
        Self { rate, sources: u64::from(sources), slots_max, deadline_ns, slot: u64::from(source) }
    }

    /// What the source's next slot is: due since when, or to be waited for. A slot that was due stays due, however late
    /// it is taken: a source that was held up sends what it owes, each packet with its own time.
    #[inline]
    pub fn next(&self, now_ns: u64) -> Next {
        if self.slot >= self.slots_max {
            return Next::Done;
        }
        match self.rate {
            Rate::Max if now_ns > self.deadline_ns => Next::Done,
            Rate::Max => Next::Due(now_ns),
            Rate::PerSecond(rate) => match due_ns(rate, self.slot) {
                due_ns if due_ns <= now_ns => Next::Due(due_ns),
                due_ns => Next::Wait(due_ns),
            },
        }
    }

    /// Whether no further slot becomes due, whatever of those that were due has been taken.
    pub fn is_over(&self, now_ns: u64) -> bool {
        match self.rate {
            Rate::Max => now_ns > self.deadline_ns,
            Rate::PerSecond(rate) => self.slots_max != u64::MAX && due_ns(rate, self.slots_max) <= now_ns,
        }
    }

    /// The slot is taken.
    #[inline]
    pub fn take(&mut self) {
        self.slot = self.slot.saturating_add(self.sources);
    }
}

/// When a slot is due: floor(slot · 10⁹ / rate), ns after the start.
#[inline]
fn due_ns(rate: NonZeroU64, slot: u64) -> u64 {
    u64::try_from(u128::from(slot) * u128::from(SECOND_NS) / u128::from(rate.get())).unwrap_or(u64::MAX)
}

/// Slots due strictly before `duration_ns`: those k with `floor(k * 10^9 / rate) < duration_ns`.
fn slots_within(rate: NonZeroU64, duration_ns: u64) -> u64 {
    let product = u128::from(duration_ns) * u128::from(rate.get());
    u64::try_from(product.div_ceil(u128::from(SECOND_NS))).unwrap_or(u64::MAX)
}

/// Nanoseconds of a duration; 584 years saturate.
fn whole_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
