//! Consumer groups: who reads which partitions, and how far each group has come.
//!
//! ```text
//!  kafka::answer ─► desk ─► coordinator ─► group        who is a member: a pure machine, forgotten at a restart
//!                    │         (events in, effects out)
//!                    └────► stream ─► table             how far: a pure function of an internal stream, which survives
//! ```
//!
//! The machine has no clock, no task and no socket: the desk gives it the time with each event, keeps what waits for an
//! answer, and wakes it when its next deadline is due. Membership is not stored: after a restart members find out that they
//! are unknown and join again, as they do when Apache Kafka's coordinator moves. Committed offsets are stored, since losing
//! one makes a consumer read twice or skip.
//!
//! It refuses: the newer group protocol (KIP-848), transactions, and everything beyond its limits, each with the error that
//! Apache Kafka has for it.

pub mod coordinator;
pub mod desk;
mod group;
mod member;
mod stream;
mod table;

pub use desk::Desk;
pub use stream::{Committed, now_ms};
pub use table::{Entry, Name, Table};

#[cfg(test)]
mod tests;
