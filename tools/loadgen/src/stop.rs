//! SIGINT and SIGTERM as a flag: the sender sees it between two packets, ends, and writes its ledger.
//!
//! The signals are blocked in the main thread before any other starts, so every thread inherits that,
//! and one thread waits for them (`sigwait`): no code runs inside of a signal handler. A second signal
//! ends the process at once, as an impatient operator expects; the ledger then stands as `running`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::signal::{SigSet, Signal};

/// Exit code after a second signal: 128 + SIGINT, as shells have it.
const IMPATIENT: i32 = 130;

/// Whether the run should end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    raised: Arc<AtomicBool>,
}

impl Stop {
    /// A flag that SIGINT and SIGTERM raise. To be made before any other thread.
    ///
    /// # Errors
    /// The signals cannot be blocked or the waiting thread not started.
    pub fn on_signals() -> std::io::Result<Self> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        signals.thread_block()?;
        let stop = Self::default();
        let waiting = stop.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            // Fails only for a set with an invalid signal, which this is not.
            while signals.wait().is_ok() {
                if waiting.raised.swap(true, Ordering::Relaxed) {
                    std::process::exit(IMPATIENT);
                }
            }
        })?;
        Ok(stop)
    }

    /// Whether it is time to end. Relaxed: the flag guards no other memory.
    #[inline]
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }

    /// Raises the flag by hand.
    #[cfg(test)]
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Relaxed);
    }
}
