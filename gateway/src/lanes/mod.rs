//! The committed log of the lanes, as a [`Store`]: the tail from ring slots, history from segments.
//!
//! ```text
//!  read(offset) ─► history::find ─► fresh segment ─► slot still there? pin, copy, release      tail
//!                        │                       └─► no: the file                              history
//!                        └────────► sealed segment ─► sidecar (cached) ─► the file, by chunks, the next one ahead
//! ```
//!
//! A slot is pinned only for the length of a copy, never across an await. What comes from a file is taken only if it is
//! the batch that its index entry describes: the file may have been given back and written anew meanwhile, and a disk may
//! lie. A batch that does not hold is had from the other node of a pair. One that nobody has is counted, said once, and the first
//! batch after it is served.

mod chunks;
mod commits;
mod door;
mod files;
mod harm;
mod sequences;
mod store;
mod times;
mod writes;

#[cfg(test)]
mod tests;

pub use chunks::{CHUNK_BYTES, CHUNKS_MAX, SPARES_MAX};
pub use door::{DoorParts, Grow, Outgoing, Submit};
pub use harm::{Harmed, Healer, Healing, healing};
pub use store::{Lane, LaneStore, Reads};
