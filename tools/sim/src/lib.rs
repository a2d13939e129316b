//! The simulator: the real log of a lane over a simulated disk, through crashes and disk faults, checked against the truth.
//!
//! ```text
//!  seed ─► shape, workload, schedule, faults (a stream each)
//!            │
//!            ▼
//!  workload ─► headworks_log::Log ─► commands ─► events in any order ─► SimDisk (pristine │ medium)
//!                    ▲                                                     │ crash, harm
//!                    └──────────── recover ◄───────────────────────────────┘
//!                                    │
//!                      checks against the model, each counted
//! ```
//!
//! No threads, no clock, no I/O: a seed replays exactly, and the hash over its events shows that it did. What the disk may
//! do is the contract in [`disk`]; what is promised under which faults is the table in [`regime`].
#![forbid(unsafe_code)]

pub mod breach;
pub mod disk;
pub mod harm;
pub mod model;
pub mod node;
pub mod pair;
pub mod random;
pub mod reader;
pub mod record;
pub mod regime;
pub mod restart;
pub mod run;
pub mod trace;
pub mod workload;

pub use breach::{Breach, take_checked};
pub use disk::Broken;
pub use regime::Regime;
pub use run::{Options, Outcome, run};

#[cfg(test)]
mod tests;
