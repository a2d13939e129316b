//! Both clocks of a run, read at once: intended times are wall-clock times, their distances monotonic.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The start of a run.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    started_ns: u64,
}

impl Clock {
    /// Starts now.
    ///
    /// # Errors
    /// The wall clock is out of range.
    pub fn start() -> Result<Self, String> {
        Ok(Self { start: Instant::now(), started_ns: now_ns()? })
    }

    /// The start, nanoseconds since 1970.
    #[inline]
    pub fn started_ns(&self) -> u64 {
        self.started_ns
    }

    /// Nanoseconds since the start; 584 years saturate.
    #[inline]
    pub fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Nanoseconds since 1970.
///
/// # Errors
/// The clock stands outside of 1970 to 2554.
pub fn now_ns() -> Result<u64, String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.map_err(|_| "the clock stands before 1970: set it".to_owned())?;
    u64::try_from(since.as_nanos()).map_err(|_| "the clock stands beyond 2554: set it".to_owned())
}
