//! The pair: two nodes and an arbiter's register, primary–backup (PacificA; Lamport, Malkhi and Zhou's Vertical Paxos).
//!
//! Committed is what every member of the registered in-sync set has made durable. Who is in that set changes by
//! compare-and-swap on the register only, so two copies survive one loss, and no clock is part of the argument why.
//!
//! ```text
//! register    who is primary, in which epoch, with whom in sync; how it is swapped
//! message     what the two nodes tell each other: bounded, checked, zero-copy
//! ```
//!
//! Pure: no I/O, no clock, no threads. Payload bytes never pass through here.
#![forbid(unsafe_code)]

pub mod message;
pub mod register;
