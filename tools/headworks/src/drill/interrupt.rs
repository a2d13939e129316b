//! Ctrl-C and SIGTERM: a drill ends at its next wait, removes what it made, and reports the runs that it has ended.
//!
//! Both signals are blocked in every thread and taken by one that waits for them. Children inherit the block, which is what a node and the generator
//! set for themselves; they have process groups of their own, so that a terminal's Ctrl-C does not reach them.

use crate::node::{self, Failure};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Raised once.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Begins to wait for the signals.
    ///
    /// # Errors
    /// The kernel refuses the mask or a thread.
    pub fn begin() -> Result<Interrupt, Failure> {
        let signals = node::block_signals()?;
        let raised = Arc::new(AtomicBool::new(false));
        let raise = Arc::clone(&raised);
        let waiting = node::spawn("hw-drill-stop", move || {
            if signals.wait().is_ok() {
                raise.store(true, Ordering::Release);
            }
        })?;
        // It waits for as long as the process lives.
        drop(waiting);
        Ok(Interrupt(raised))
    }

    /// Whether a signal has come.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
