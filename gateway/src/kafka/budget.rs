//! How many bytes all connections together may hold, as one number on one thread.
//!
//! A holder takes what it needs *before* it reserves memory and gives it back by dropping the
//! [`Hold`]. Two rules keep this free of deadlock: only a holder of nothing waits, and request frames
//! and replies have a budget each, so that no one waits for a reply's bytes that a waiting request
//! keeps.
//!
//! The budget may be overdrawn by [`Hold::settle`], because a record batch is handed out whole even
//! where it is larger than what was granted; then everyone waits until it is above zero again.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// Bytes shared by all connections.
#[derive(Debug)]
pub struct Budget {
    bytes_max: usize,
    free_bytes: Cell<i64>,
    released: Notify,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes_max: usize) -> Rc<Self> {
        Rc::new(Self { bytes_max, free_bytes: Cell::new(signed(bytes_max)), released: Notify::new() })
    }

    /// Takes what there is, up to `wanted_bytes`, perhaps nothing.
    pub fn take(self: &Rc<Self>, wanted_bytes: usize) -> Hold {
        let free_bytes = usize::try_from(self.free_bytes.get()).unwrap_or(0);
        let mut hold = Hold { budget: Rc::clone(self), bytes: 0 };
        hold.settle(wanted_bytes.min(free_bytes));
        hold
    }

    /// Waits until at least `least_bytes` are free, or all there are where that is less, then takes up
    /// to `wanted_bytes`.
    pub async fn take_at_least(self: &Rc<Self>, least_bytes: usize, wanted_bytes: usize) -> Hold {
        let least_bytes = signed(least_bytes.min(self.bytes_max));
        loop {
            // Taken before the look: a release between look and wait completes it.
            let released = self.released.notified();
            if self.free_bytes.get() >= least_bytes {
                return self.take(wanted_bytes);
            }
            released.await;
        }
    }

    #[cfg(test)]
    pub fn free_bytes(&self) -> i64 {
        self.free_bytes.get()
    }
}

/// Bytes taken from a budget until dropped.
#[derive(Debug)]
pub struct Hold {
    budget: Rc<Budget>,
    bytes: usize,
}

impl Hold {
    /// How many bytes are held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds exactly `bytes` from now on: gives back the rest, or overdraws.
    pub fn settle(&mut self, bytes: usize) {
        let free_bytes = &self.budget.free_bytes;
        free_bytes.set(free_bytes.get() + signed(self.bytes) - signed(bytes));
        if bytes < self.bytes {
            self.budget.released.notify_waiters();
        }
        self.bytes = bytes;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.settle(0);
    }
}

/// No budget reaches 2^63 bytes; one that did would be without bound in any case.
fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
