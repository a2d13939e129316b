//! The ingest loop of a lane: UDP sockets in, sealed slots out. The one file set of this crate that knows the kernel.
//!
//! A full ring stops the recycling of receive buffers: packets then wait in the socket, and what overflows there the
//! kernel drops and the arrival filter has counted.

mod listener;
mod turn;

pub use listener::{Listen, Listener};
pub use turn::{Ended, IngestLoop, IngestParts, IngestSetup, Progress, RECEIVE_BYTES, Stop};
