//! A node: preflight, directory, sockets, lanes, loops, gateway, and their orderly end.

mod assemble;
mod closed;
pub mod directory;
mod door;
mod failure;
mod intake;
mod memory;
mod observe;
mod pair;
mod preflight;
mod run;
mod sockets;
pub mod token;

pub use failure::Failure;
pub use run::{block_signals, join, notify, run, spawn};
pub use sockets::server;
