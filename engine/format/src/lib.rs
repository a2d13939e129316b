//! The bytes of Headworks: what stands on disk, travels to the standby and is read by Kafka clients.
//!
//! Pure: no I/O, no clock, no threads, and no trust. Every structure is a [`layout!`] whose table renders the
//! project's `FORMAT.md` (a test compares the two), and every reader checks a length against the bytes that
//! are there before it uses it: parse, don't validate.
//!
//! ```text
//! superblock            who this directory is: four copies, two must agree
//! segment file          header page | record area | blocks ...            (lane-NN/NNNNNN.seg)
//!   block               head page (header, directory) | payload | zero padding, tail stamp
//!     batch             Kafka record batch v2, verbatim
//! sidecar               a rolled segment's end, holes and dense index      (lane-NN/NNNNNN.idx)
//! register              who is primary of a pair, in which epoch, with whom in sync: kept by its arbiter
//! witness               the file of an arbiter: its identity, and 64 places for registers, two slots each
//! ```
#![forbid(unsafe_code)]

#[macro_use]
mod layout;

pub mod batch;
pub mod block;
pub mod checkpoint;
pub mod checksum;
pub mod committed;
pub mod record;
pub mod register;
pub mod render;
pub mod segment;
pub mod sidecar;
pub mod superblock;
pub mod units;
pub mod witness;

pub use layout::Field;
pub use units::{Chain, Epoch, LaneId, Nonce, PairId, PartitionId, Sequence};

#[cfg(test)]
mod format_md;
#[cfg(test)]
mod tests;
