//! How far the other members of the in-sync set are: what keeps a lane's `committed` below its `durable`.
//!
//! Written by whoever speaks with the peer, read by the log loop once a turn. On one node the gate is open and stays so.
//! While it is not known who is in the set, whoever writes it counts the stricter one.
//!
//! ```text
//!  writer: position ─► serial          log loop: serial ─► position ─► commit ─► seen = serial
//! ```
//!
//! A gate that is lowered gets a new serial number. When `seen` has reached it, no commit by the higher gate can come any more:
//! the loop read the number before the position, and the writer wrote it after.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// No other member is required.
pub const OPEN: u64 = u64::MAX;

/// A lane's gate: two positions, each "every block below".
#[derive(Debug)]
pub struct Gate {
    durable: AtomicU64,
    received: AtomicU64,
    serial: AtomicU32,
    seen: AtomicU32,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate { durable: AtomicU64::new(OPEN), received: AtomicU64::new(OPEN), serial: AtomicU32::new(0), seen: AtomicU32::new(0) }
    }
}

impl Gate {
    /// Every other required member has the blocks below on disk; [`OPEN`] when none is required.
    pub fn set_durable(&self, through: u64) {
        self.durable.store(through, Ordering::Release);
    }

    /// Every other required member has the blocks below in memory; [`OPEN`] when none is required.
    pub fn set_received(&self, through: u64) {
        self.received.store(through, Ordering::Release);
    }

    /// As [`Gate::set_durable`], for a position that may be lower than the one before: [`Gate::seen`] answers.
    pub fn lower(&self, through: u64, serial: u32) {
        self.set_durable(through);
        // Release: who sees the number sees the position.
        self.serial.store(serial, Ordering::Release);
    }

    /// The number of the last lowering that every commit from now on heeds. Acquire: pairs with [`Gate::heed`].
    #[must_use]
    pub fn seen(&self) -> u32 {
        self.seen.load(Ordering::Acquire)
    }

    /// Blocks below are durable on every other required member; with the number to give to [`Gate::heed`].
    pub(crate) fn look(&self) -> (u64, u32) {
        // Acquire, and before the position: pairs with `lower`.
        let serial = self.serial.load(Ordering::Acquire);
        (self.durable(), serial)
    }

    /// For the log loop, once what it committed by the position is published.
    pub(crate) fn heed(&self, serial: u32) {
        if self.seen.load(Ordering::Relaxed) != serial {
            self.seen.store(serial, Ordering::Release);
        }
    }

    /// Blocks below are durable on every other required member.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Blocks below are in the memory of every other required member.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }
}
