//! The log loop: takes sealed blocks from the lanes' rings, lets each lane's log place and stamp them, and runs what it orders.
//!
//! ```text
//! slot ring ─► turn ─► log (pure) ─► orders ─► io_uring: WRITE_FIXED, fdatasync
//!                ▲                     └──────► files thread: segments made ahead, sidecars
//!                └── completions, replies
//! ```
//!
//! One pinned thread for all lanes of a volume. In a turn nothing allocates, locks or formats a line; what needs the file
//! system beyond a write (making segments, sidecars) is done by the files thread, reached by message rings.
#![forbid(unsafe_code)]

mod disk;
mod files;
mod histogram;
mod mend;
mod open;
mod turn;
mod writer;

pub use disk::{LaneDisk, replace};
pub use histogram::{Histogram, Snapshot};
pub use mend::{Mend, Mender, Mends, mending};
pub use open::{LaneEnds, LaneParts, LaneSetup, OpenError, OpenedLane, Part, lane_folder, open_lane};
pub use turn::{Control, Grow, Led, LogLoop, LoopParts, LoopSetup, Told};
pub use writer::Gauges;

#[cfg(test)]
mod tests;
