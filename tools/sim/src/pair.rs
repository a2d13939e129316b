//! The pair in the simulator: two nodes with real logs and real machines, a real witness, clients, and everything between them that
//! can fail.
//!
//! ```text
//!  clients ─► gateway ─► lane: headworks_log::Log ─► commands ─► events in any order ─► SimDisk
//!                ▲         ▲ gate   │ positions
//!                │         │        ▼
//!                └── replicator::Shard ◄──── frames of the real wire ────► the other node's
//!                          │
//!                          └── frames ─► replicator::Witness over a file that tears and forgets
//! ```
//!
//! Real are the machine ([`headworks_replicator::shard`]), its words on the wire, the comparison of two logs and the proof of blocks
//! (`link::{words, compare}`), the witness with its file and its questions, the log, its recovery, its truncation, and what readers
//! look up. Simulated are the disk, the network, clocks, the threads of a process and the gateway; what a process does with an effect
//! is written after `link::pair` and the node's host.
//!
//! What may go wrong is the list in `faults`; what is promised stands in `truth`, and is checked whenever anything has happened. Then
//! the faults end: the pair has to be whole again within a bound, both logs have to be the same, and whoever is left alone has to serve
//! everything that was ever acknowledged.
//!
//! ```text
//! run        a seed, from two blank disks to the last failover
//!   world      everything there is, and what happens to it
//!   node       a process: its threads, their turns
//!   machine      what the machine orders, carried out
//!   link         connections, messages, blocks
//!   logs         commands of logs and their ends
//!   faults     what goes wrong, when, and how it is mended
//!   truth      what no node sees, and the promises
//! ```

mod arbiter;
mod batches;
mod clients;
mod faults;
mod gateway;
mod lane;
mod link;
mod logs;
mod machine;
mod network;
mod node;
mod queue;
mod run;
mod storage;
mod truth;
mod wire;
mod world;

pub use faults::Kinds;
pub use run::{Counts, Mutant, Options, Outcome, run};

#[cfg(test)]
mod tests;
