//! The log of one lane as a pure machine: append, group commit, roll, recover, retain.
//!
//! No I/O, no clock, no threads: events and the time go in, [`Command`]s come out. The same code runs under io_uring,
//! in the simulator and in the tests that enumerate it.
//!
//! ```text
//!  sealed slot ─► append (stamp) ─► WriteBlock ─► written ─► WriteRecords ─► Sync ─► durable ─► view ─► readers
//!                   │ segment full                 durable                            │ committed (one node: = durable)
//!                   └► roll: header, checkpoint, next file                            └► segment durable: Seal (sidecar)
//! ```
//!
//! Positions are block numbers of the lane, each "every block below": `submitted ≥ written ≥ durable ≥ committed`.
#![forbid(unsafe_code)]

pub mod append;
pub mod blocks;
pub mod catalog;
mod commit;
pub mod decide;
pub mod disk;
pub mod durable;
mod follow;
pub mod heal;
pub mod history;
pub mod producers;
pub mod recover;
pub mod retain;
mod roll;
mod start;
pub mod verify;
pub mod view;

pub use append::{Command, Config, Log, PageKind, Receipt, Room, StorageFault, Waiting};
pub use blocks::Blocks;
pub use disk::{Disk, DiskError, FileNumber};
pub use follow::Unfit;
pub use recover::{Recovered, recover};
pub use roll::AddError;
pub use start::closed_view;
pub use view::LaneView;

#[cfg(test)]
mod rig;
#[cfg(test)]
mod tests;
