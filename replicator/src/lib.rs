//! The pair: two nodes and an arbiter's register, primary–backup (PacificA; Lamport, Malkhi and Zhou's Vertical Paxos).
//!
//! Committed is what every member of the registered in-sync set has made durable. Who is in that set changes by
//! compare-and-swap on the register only, so two copies survive one loss, and no clock is part of the argument why.
//!
//! ```text
//! register    who is primary, in which epoch, with whom in sync; how it is swapped
//! message     what the two nodes tell each other: bounded, checked, zero-copy
//! rejoin      what a lane has to do before it may follow
//! event       what the machine is told, and what it orders
//! shard       the machine of a node: begin here
//!   arbiter     what is known of the register, and what cannot be known
//!   claim       what the other node's register says, where an operator is the arbiter and each node keeps one
//!   taking      the way to a new epoch
//!   primary     whom it waits for, and how that changes
//!   standby     what it takes, acknowledges and promises, and when it makes itself primary
//! witness     the arbiter's own side: registers in a file, what a swap does to it, and how it is asked
//! link        the edges: the pair's loop over connections and logs; a witness's file and sockets
//! ```
//!
//! Pure but for `link`: no I/O, no clock, no threads; `(now, event) → effects`. Payload bytes never pass through the machine.
//! That it is safe is checked by exhaustion: the tests run two of these machines through every order of events within a bound,
//! and again without each of the rules.
#![forbid(unsafe_code)]

mod arbiter;
mod claim;
pub mod event;
pub mod link;
pub mod message;
#[cfg(test)]
mod model;
mod primary;
pub mod register;
pub mod rejoin;
mod rules;
#[cfg(feature = "mutants")]
pub use rules::{Rule, Rules};
pub mod shard;
mod standby;
mod taking;
pub mod witness;
