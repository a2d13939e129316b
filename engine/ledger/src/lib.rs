//! The books: where every packet ended.
//!
//! ```text
//! arrived  = dropped{cause} + received + pending      arrived is counted by the kernel filter, not by receiving
//! received = admitted + shed{reason} + dead_lettered
//! admitted = durable + in flight
//! ```
//!
//! One [`Book`] for each listener and lane: its loop is the only writer and publishes all counters as one record a turn,
//! so that whoever reads sees counters of one moment and the equations hold in every snapshot.
#![forbid(unsafe_code)]

mod book;
mod counts;

pub use book::{Book, Clerk};
pub use counts::{Counts, NAMES, SLOTS};

#[cfg(test)]
mod tests;
