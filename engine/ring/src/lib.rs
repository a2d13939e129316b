//! The two rings through which everything in a node passes, and the memory they live in.
//!
//! ```text
//!   ingest loop              log loop                gateway, replicator
//!   ┌────────┐  slot ring   ┌───────┐     pins      ┌─────────┐
//!   │ Filler │ ───────────► │ Drain │ ············► │ Readers │   payload, in place, in a Region
//!   └────────┘              └───────┘               └─────────┘
//!   ┌────────┐        message ring        ┌──────────┐
//!   │ Sender │ ─────────────────────────► │ Receiver │           control and owned buffers
//!   └────────┘                            └──────────┘
//! ```
//!
//! * [`slots`]: blocks of payload. They are framed where they lie, written to disk from there and
//!   read from there by any number of pinning readers; the ring is the buffer pool.
//! * [`messages`]: small owned values between two threads.
//! * [`region`]: the anonymous mapping under the slots, in huge pages where the host has them.
//!
//! What this crate refuses: locks, waiting (every call returns at once; how to wait is the business
//! of the loop that calls), allocation after construction, and any knowledge of what the bytes mean.
//!
//! `unsafe` is allowed here because a slot is handed from thread to thread without being moved, and
//! no safe type says that. Each such place argues its case; the arguments are checked by models
//! under loom (`RUSTFLAGS="--cfg loom" cargo test -p headworks-ring --release loom`), by oracles
//! under proptest and by threads that would notice a torn block.

pub mod messages;
mod primitive;
pub mod region;
pub mod slots;

pub use messages::{Full, Receiver, Sender, message_ring};
pub use region::{Pages, Region};
pub use slots::{Drain, Filler, Pin, Readers, slot_ring};

// Indices are u64 and sizes are usize; the crate converts between them without loss.
const _: () = assert!(size_of::<usize>() == size_of::<u64>(), "a 64-bit host is assumed");
