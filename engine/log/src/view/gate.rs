//! How far the other members of the in-sync set are: what keeps a lane's `committed` below its `durable`.
//!
//! Written by whoever speaks with the peer, read by the log loop once a turn. On one node the gate is open and stays so.
//! While it is not known who is in the set, whoever writes it counts the stricter one.

use std::sync::atomic::{AtomicU64, Ordering};

/// No other member is required.
pub const OPEN: u64 = u64::MAX;

/// A lane's gate: two positions, each "every block below".
#[derive(Debug)]
pub struct Gate {
    durable: AtomicU64,
    received: AtomicU64,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate { durable: AtomicU64::new(OPEN), received: AtomicU64::new(OPEN) }
    }
}

impl Gate {
    /// Nobody else is required: what is durable here is committed.
    pub fn open(&self) {
        self.set(OPEN, OPEN);
    }

    /// Every other required member has the blocks below `received` in memory and those below `durable` on disk.
    pub fn set(&self, received: u64, durable: u64) {
        assert!(durable <= received, "durable through {durable} of {received} received");
        // Received first: it is the larger one, and a reader between the two sees no more on disk than in memory.
        self.received.store(received, Ordering::Release);
        self.durable.store(durable, Ordering::Release);
    }

    /// Blocks below are durable on every other required member. Acquire: pairs with [`Gate::set`].
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Blocks below are in the memory of every other required member.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    /// Whether no other member is required.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.durable() == OPEN
    }
}
