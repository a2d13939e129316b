//! Keeps the ledger file ahead of the sender.
//!
//! Once a second the journal writes, for each source, how many were sent and a bound above it, and only
//! then lets the sender go up to that bound. Two counters a source carry this, each with one writer:
//!
//! ```text
//!  sent      sender  ──Relaxed──►  journal      may be read late: it is a lower bound
//!  allowed   journal ──Release──►  sender (Acquire): the file that says so stands by then
//! ```
//!
//! The bound lies seconds ahead, so the sender waits for the file only when the disk stalls for that
//! long; that wait is counted. A file that cannot be written ends the run: packets that no ledger
//! covers would be worth nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::ledger::{Durability, Ledger, LedgerError, SOURCE_PACKETS_MAX};
use crate::pace::Rate;

#[cfg(test)]
mod tests;

/// Time between two writes.
const PERIOD: Duration = Duration::from_secs(1);

/// Seconds of the schedule that the bound lies ahead.
const AHEAD_SECONDS: u64 = 5;

/// The same where no schedule stands: five seconds at thirteen million packets a second.
const AHEAD_PACKETS_MAX: u64 = 1 << 26;

/// Bound of a slow run: several trains for each source.
const AHEAD_PACKETS_MIN: u64 = 1 << 12;

/// The counters of one source. On a line of their own: the sender writes one of them for every train.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Progress {
    /// Packets sent; written by the sender.
    pub sent: AtomicU64,
    /// Packets that may be sent; written by the journal.
    pub allowed: AtomicU64,
}

/// What the sender holds of the journal.
#[derive(Debug, Clone)]
pub struct Shared {
    /// One entry a source.
    pub sources: Arc<[Progress]>,
    /// The ledger could not be written; the sender must end.
    pub failed: Arc<AtomicBool>,
}

/// The journal's thread.
#[derive(Debug)]
pub struct Journal {
    shared: Shared,
    thread: JoinHandle<Result<Ledger, LedgerError>>,
}

/// What the thread needs.
struct Keeper {
    ledger: Ledger,
    path: PathBuf,
    shared: Shared,
    ahead: u64,
    source_max: u64,
}

impl Journal {
    /// Writes the file for the first time, lets the sender begin, and starts the thread.
    ///
    /// `slots_max` bounds what the whole run can send.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn start(ledger: Ledger, path: PathBuf, rate: Rate, slots_max: u64) -> Result<Self, LedgerError> {
        let shared = Shared { sources: ledger.sources.iter().map(|_| Progress::default()).collect(), failed: Arc::default() };
        let ahead = ahead(rate);
        let source_max = slots_max.min(SOURCE_PACKETS_MAX);
        let mut keeper = Keeper { ledger, path, shared: shared.clone(), ahead, source_max };
        keeper.write(Durability::Synced)?;
        let thread = thread::spawn(move || keeper.keep());
        Ok(Self { shared, thread })
    }

    /// The counters, for the sender.
    pub fn progress(&self) -> Shared {
        self.shared.clone()
    }

    /// Stops the thread and hands the ledger back, as last written.
    ///
    /// # Errors
    /// A write failed on the way.
    pub fn end(self) -> Result<Ledger, String> {
        // `keep` ends when it alone holds the counters: the sender has dropped its own by now, and
        // this one must go before the wake-up, or the thread would sleep for another period.
        let Self { shared, thread } = self;
        drop(shared);
        thread.thread().unpark();
        match thread.join() {
            Ok(kept) => kept.map_err(|error| error.to_string()),
            Err(_) => Err("the thread that keeps the ledger died".to_owned()),
        }
    }
}

impl Keeper {
    /// Writes each period until the sender has gone.
    fn keep(mut self) -> Result<Ledger, LedgerError> {
        loop {
            // Woken early at the end, and spuriously at any time: an extra write does no harm.
            thread::park_timeout(PERIOD);
            if Arc::strong_count(&self.shared.sources) == 1 {
                return Ok(self.ledger);
            }
            if let Err(error) = self.write(Durability::Renamed) {
                self.shared.failed.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
    }

    /// One write: first the file, then the permission.
    fn write(&mut self, durability: Durability) -> Result<(), LedgerError> {
        for (source, progress) in self.ledger.sources.iter_mut().zip(&*self.shared.sources) {
            source.sent = progress.sent.load(Ordering::Relaxed);
            let bound = source.sent.saturating_add(self.ahead).min(self.source_max);
            source.sent_max = source.sent_max.max(bound);
        }
        self.ledger.write(&self.path, durability)?;
        for (source, progress) in self.ledger.sources.iter().zip(&*self.shared.sources) {
            progress.allowed.store(source.sent_max, Ordering::Release);
        }
        Ok(())
    }
}

/// How far a bound lies ahead, packets of one source. A source may get the whole schedule's rate for a
/// while, so the share of each is not divided by their number.
fn ahead(rate: Rate) -> u64 {
    match rate {
        Rate::Max => AHEAD_PACKETS_MAX,
        Rate::PerSecond(rate) => rate.get().saturating_mul(AHEAD_SECONDS).clamp(AHEAD_PACKETS_MIN, AHEAD_PACKETS_MAX),
    }
}
