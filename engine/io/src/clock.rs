//! Two clocks. A loop reads them once a turn and passes the time on as a value; pure machines never see a clock.
//!
//! Wall time is for stamps that leave the process: it may step in either direction. Monotonic time is for timers and
//! durations: it never steps back, and its zero means nothing.

use std::time::{SystemTime, UNIX_EPOCH};

/// Reads the kernel's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// Wall time in nanoseconds since 1970-01-01 UTC; 0 when the host's clock stands before that.
    #[must_use]
    pub fn realtime_ns(self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).expect("the wall clock stands beyond the year 2554")
    }

    /// Nanoseconds since some fixed moment of this boot.
    #[must_use]
    pub fn monotonic_ns(self) -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: clock_gettime demands a writable timespec, which `time` is for the length of the call.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
        assert_eq!(result, 0, "CLOCK_MONOTONIC answered {result}, every kernel has it");
        let seconds = u64::try_from(time.tv_sec).expect("monotonic seconds are never negative");
        let nanoseconds = u64::try_from(time.tv_nsec).expect("nanoseconds are never negative");
        seconds * 1_000_000_000 + nanoseconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_never_steps_back() {
        let mut last_ns = Clock.monotonic_ns();
        for _ in 0..1000 {
            let now_ns = Clock.monotonic_ns();
            assert!(now_ns >= last_ns, "{now_ns} after {last_ns}");
            last_ns = now_ns;
        }
    }

    #[test]
    fn realtime_is_past_2024() {
        let now_ns = Clock.realtime_ns();
        assert!(now_ns > 1_704_067_200_000_000_000, "wall clock says {now_ns}");
    }
}
