//! The edge to the kernel: rings, sockets, files, clocks and processors. No other engine crate makes a system call.
//!
//! ```text
//!   uring      one io_uring for one pinned loop        setup     how it is asked for, why it was refused
//!   completion what came back                          buffers   memory that the kernel receives into
//!   received   one receive, taken apart                sockets   UDP listeners
//!   acceptors  TCP listeners                           volume    a data directory and its lock
//!   arrivals   packets counted before any drop
//!   files      whole reads and writes                  segments  preallocated, really zeroed files
//!   aligned    4 KiB-aligned bytes                     pages     a region cut into pages
//!   wake       sleep and be woken                      cpus      which processors, and pinning
//!   clock      two clocks                              idle      spin, or wait
//!   fatal      one exit code for each reason to die
//! ```
//!
//! Every public function is sound when called from code that forbids `unsafe`. The rule that makes it so: memory which
//! the kernel reads or writes is owned by the [`Ring`], and is freed only when nothing is in flight.
//!
//! It refuses policy: nothing here retries, sleeps on its own account, decides what a full queue means, or logs.

#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
compile_error!("headworks-io is written for 64-bit little-endian Linux");

pub mod acceptors;
pub mod aligned;
pub mod arrivals;
pub mod buffers;
pub mod clock;
pub mod completion;
pub mod cpus;
pub mod fatal;
pub mod files;
pub mod idle;
pub mod pages;
pub mod received;
pub mod segments;
pub mod setup;
pub mod sockets;
#[cfg(test)]
mod testing;
pub mod uring;
pub mod volume;
pub mod wake;

pub use acceptors::{TcpAcceptor, tcp_group};
pub use aligned::{ALIGNMENT, AlignedBuffer};
pub use arrivals::ArrivalFilter;
pub use buffers::ReceiveBuffers;
pub use clock::Clock;
pub use completion::{BufferId, Completion, Token};
pub use files::{DirectFile, DirectIo, read_at, read_up_to, write_at};
pub use idle::{Idle, Policy, Step};
pub use pages::{PageId, Pages};
pub use received::{ReceiveError, Received, Source};
pub use setup::{Optional, RingSetup, SetupError};
pub use sockets::{SocketError, SocketQueue, Transport, UdpListener, UdpSetup, udp_group, udp_join, udp_listener};
pub use uring::{Accepted, ConnectionSlot, FileSlot, RegionSlot, Registered, Ring, SEND_BYTES_MAX, Way};
pub use volume::{FileEntry, Volume, VolumeError};
pub use wake::Wake;
