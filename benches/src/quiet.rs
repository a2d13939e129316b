//! Whether anybody else is at work on this machine, or on the host below it.
//!
//! Two looks at once: what share of the processors is busy, by the kernel's own count; and how late a thread that only sleeps
//! wakes on each of them. The second sees what the first cannot: a hypervisor that gives a processor to somebody else for some
//! milliseconds, which the guest's clocks do not count and which every percentile of a latency is made of.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use headworks_io::cpus;

use crate::figures::{Spread, number};

#[cfg(test)]
mod tests;

/// A machine is quiet when less than this share of its processors is busy,
const BUSY_MAX: f64 = 0.12;
/// and when each of them is held up for less than this share of the time.
const HELD_UP_MAX: f64 = 0.005;
/// How long one look takes.
const LOOK: Duration = Duration::from_millis(500);
/// How long a look's thread sleeps at a time.
const NAP: Duration = Duration::from_micros(500);
/// What a thread may wake too late without having been held up: a timer and a switch of context.
const WAKE_MAX: Duration = Duration::from_micros(200);

/// What one look saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Share of all processors that was busy.
    pub busy: f64,
    /// Share of the time by which a waiting thread was held up, on the processor where that was most.
    pub held_up: f64,
}

impl Look {
    fn is_quiet(self) -> bool {
        self.busy < BUSY_MAX && self.held_up < HELD_UP_MAX
    }
}

/// Waits until the machine is quiet, at most so long; says what the last look saw.
pub fn wait_quiet(limit: Duration) -> Look {
    let started = Instant::now();
    loop {
        let seen = look();
        if seen.is_quiet() || started.elapsed() >= limit {
            return seen;
        }
    }
}

/// What was seen before the runs, in words.
pub fn note(looks: &[Look]) -> String {
    let percent = |of: fn(&Look) -> f64| {
        let spread = Spread::of(&looks.iter().map(of).collect::<Vec<_>>());
        (spread.median * 100.0, spread.max * 100.0)
    };
    let (busy, held_up) = (percent(|look| look.busy), percent(|look| look.held_up));
    format!(
        "before the runs all processors were busy {:.0} % of the time (at most {:.0} %), and each was held up {:.1} % of it (at most {:.1} %)",
        busy.0, busy.1, held_up.0, held_up.1
    )
}

fn look() -> Look {
    let ticks = || ticks(&fs::read_to_string("/proc/stat").unwrap_or_default()).unwrap_or((0, 0));
    let before = ticks();
    let held_up = thread::scope(|scope| {
        let naps: Vec<_> = cpus::allowed().into_iter().map(|cpu| scope.spawn(move || held_up(cpu))).collect();
        naps.into_iter().map(|nap| nap.join().expect("a thread that sleeps does not panic")).fold(0.0, f64::max)
    });
    let after = ticks();
    let busy = number(after.0.saturating_sub(before.0)) / number(after.1.saturating_sub(before.1)).max(1.0);
    Look { busy, held_up }
}

/// Share of a look by which a thread that sleeps on this processor woke too late; nothing is known where it may not run there.
fn held_up(cpu: usize) -> f64 {
    if cpus::pin(cpu).is_err() {
        return 0.0;
    }
    let started = Instant::now();
    let mut late = Duration::ZERO;
    while started.elapsed() < LOOK {
        let due = Instant::now() + NAP;
        thread::sleep(NAP);
        let woke = due.elapsed();
        if woke > WAKE_MAX {
            late += woke;
        }
    }
    late.as_secs_f64() / started.elapsed().as_secs_f64()
}

/// Busy and all time of all processors since boot, in ticks.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let fields: Vec<u64> = stat.lines().next()?.split_whitespace().skip(1).take(8).map_while(|field| field.parse().ok()).collect();
    let idle = fields.get(3)? + fields.get(4)?;
    let all: u64 = fields.iter().sum();
    Some((all - idle, all))
}
