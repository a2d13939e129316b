//! Record batches that clients made: handed over whole, copied once into the open block, and their buffers handed back.
//!
//! ```text
//!  gateway ── Batch ──► message ring ──► open block        the one copy
//!     ▲                                     │
//!     └────── its buffer ◄── message ring ◄─┘              freed where it was made: a turn frees nothing
//! ```
//!
//! A batch is checked before it comes here (length, counts, CRC-32C), and stands in the block as it came but for what the
//! log sets outside its CRC. It waits in its message ring while the slot ring is full: that is the back-pressure that a
//! producing client feels.

use bytes::Bytes;
use headworks_format::PartitionId;
use headworks_ledger::{Clerk, Counts};
use headworks_ring::{Receiver, Sender};

/// Batches framed in one turn at most, so that packets are looked at in between.
pub const BATCHES_A_TURN_MAX: usize = 64;

/// A whole record batch on its way into a block.
#[derive(Debug)]
pub struct Batch {
    /// Where it goes: a partition of this lane.
    pub partition: PartitionId,
    /// The batch.
    pub bytes: Bytes,
    /// Its records, at least one.
    pub records: u32,
    /// Its own CRC-32C.
    pub crc: u32,
    /// Its largest timestamp in ms since 1970.
    pub max_timestamp_ms: i64,
    /// The number under which the log tells where it was put; 0: nobody asks.
    pub ticket: u64,
}

/// The loop's end of the way of batches.
pub struct Batches {
    /// What comes.
    pub incoming: Receiver<Batch>,
    /// Buffers go back here; with room for as many as can be on their way.
    pub returned: Sender<Bytes>,
    /// The books of the listener that takes them from clients.
    pub clerk: Clerk,
}

/// The same in its loop.
pub(crate) struct Inbox {
    parts: Batches,
    /// The one that found no room.
    held: Option<Batch>,
    pub counts: Counts,
}

impl Inbox {
    pub fn new(parts: Batches) -> Inbox {
        Inbox { parts, held: None, counts: Counts { exact: 1, ..Counts::default() } }
    }

    /// The next batch, to be handed to [`Inbox::took`] or [`Inbox::hold`].
    pub fn next(&mut self) -> Option<Batch> {
        self.held.take().or_else(|| self.parts.incoming.recv())
    }

    /// The batch found no room and comes first next time.
    pub fn hold(&mut self, batch: Batch) {
        assert!(self.held.is_none(), "one batch is held at a time");
        self.held = Some(batch);
    }

    /// The batch stands in a block: it is counted and its buffer goes back.
    pub fn took(&mut self, batch: Batch) {
        let records = u64::from(batch.records);
        self.counts.arrived += records;
        self.counts.received += records;
        self.counts.admitted += records;
        self.counts.received_bytes += batch.bytes.len() as u64;
        assert!(self.parts.returned.send(batch.bytes).is_ok(), "as many buffers may come back as were sent");
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.held.is_none() && self.parts.incoming.is_empty()
    }

    /// Whether one waits for room.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    pub fn account(&mut self) {
        self.parts.clerk.publish(&self.counts);
    }
}
