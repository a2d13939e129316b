//! A lane's door for what clients produce: batches in, their buffers and the places they were given out.
//!
//! ```text
//!  append ─► numbered ─► waiting line ─► message ring ─► ingest loop ─► block ─► log loop
//!              │          (when full)                       │                      │ stamps
//!              └─ place ◄── receipts ◄──────────────────────┼──────────────────────┘
//!                             buffers ◄─────────────────────┘
//! ```
//! What is handed over is in the lane's order from then on. Numbers are tickets: the log names them when it has given the
//! batch its offset, which is before its block can become durable. So whoever learns of a commit and looks here after it
//! finds the places of all that was committed.
//!
//! Nothing waits and nothing is lost in here: when as many batches as the lane takes are on their way, further ones stand
//! in line. Its memory is bounded by who reads requests: none is begun while all doors together hold too much
//! ([`Store::room`](crate::store::Store::room)).

use super::sequences::{Decision, Place, Sequences, Stand};
use crate::cluster::Taken;
use bytes::Bytes;
use headworks_format::PartitionId;
use headworks_format::batch::{Batch, produced};
use headworks_format::checkpoint::{Partition, Producer};
use headworks_log::Receipt;
use headworks_log::append::RECEIPTS_MAX;
use headworks_log::view::PartitionView;
use headworks_ring::Receiver;
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// A batch on its way to the lane.
#[derive(Debug)]
pub struct Outgoing {
    /// A partition of the lane.
    pub partition: PartitionId,
    /// The batch.
    pub bytes: Bytes,
    /// Its records.
    pub records: u32,
    /// Its CRC-32C.
    pub crc: u32,
    /// Its largest timestamp in ms since 1970.
    pub max_timestamp_ms: i64,
    /// Under which the log tells where it was put.
    pub ticket: u64,
}

/// Hands a batch to the lane; gives it back when the lane takes no more now.
pub type Submit = Box<dyn FnMut(Outgoing) -> Result<(), Outgoing> + Send>;

/// Asks for a partition in the lane; gives it back when no more can be asked for now.
pub type Grow = Box<dyn FnMut(Partition, PartitionView) -> Result<(), (Partition, PartitionView)> + Send>;

/// What the binary wires a door of.
pub struct DoorParts {
    /// To the ingest loop.
    pub submit: Submit,
    /// Buffers that come back from it.
    pub returned: Receiver<Bytes>,
    /// From the log loop.
    pub receipts: Receiver<Receipt>,
    /// To the log loop.
    pub grow: Grow,
    /// Producers known from before this run.
    pub producers: Vec<Producer>,
}

/// The door.
pub(super) struct Door {
    parts: DoorParts,
    sequences: Sequences,
    /// Batches that no receipt has come for.
    places: HashMap<u64, Place>,
    line: VecDeque<Outgoing>,
    /// Buffers that are with the lane.
    lent: usize,
    /// Bytes of batches that stand in line or are with the lane.
    held_bytes: usize,
    next_ticket: u64,
}

impl Door {
    pub fn new(parts: DoorParts) -> Door {
        let sequences = Sequences::new(parts.producers.iter(), 0);
        Door { parts, sequences, places: HashMap::new(), line: VecDeque::new(), lent: 0, held_bytes: 0, next_ticket: 1 }
    }

    /// Hands a checked batch over, or finds that it was before.
    pub fn append(&mut self, partition: PartitionId, bytes: Bytes) -> Decided {
        self.collect();
        let produced = produced(&bytes);
        if let Some(produced) = &produced {
            match self.sequences.decide(partition, produced) {
                Decision::Append => {}
                Decision::Duplicate(place) => return Decided::Stands(place),
                Decision::OutOfOrder { expected } => return Decided::OutOfOrder { found: produced.first, expected },
                Decision::Fenced => return Decided::Fenced,
            }
        }
        let Ok(batch) = Batch::parse_unsummed(&bytes) else { return Decided::Malformed };
        let header = batch.header();
        let records = u32::try_from(header.record_count.get()).expect("a parsed batch has at least one record");
        let (crc, max_timestamp_ms) = (header.crc.get(), header.max_timestamp.get());
        let (ticket, place) = (self.next_ticket, Rc::new(Cell::new(None)));
        self.next_ticket += 1;
        self.places.insert(ticket, Rc::clone(&place));
        if let Some(produced) = &produced {
            self.sequences.note(partition, produced, Rc::clone(&place));
        }
        self.held_bytes += bytes.len();
        self.line.push_back(Outgoing { partition, bytes, records, crc, max_timestamp_ms, ticket });
        self.pump();
        Decided::Stands(place)
    }

    /// This node leads from now on: what its producers wrote last is what the log says. A batch of theirs that is sent again is
    /// answered once the log up to the beginning of this epoch is committed.
    pub fn take_over(&mut self, lane: &Taken) {
        self.sequences = Sequences::new(lane.producers.iter(), lane.next.saturating_sub(1));
    }

    /// Takes in what came back, and hands over what stands in line.
    pub fn collect(&mut self) {
        while let Some(receipt) = self.parts.receipts.recv() {
            let place = self.places.remove(&receipt.ticket).expect("a receipt for each ticket, once");
            place.set(Some(Stand { base_offset: receipt.base_offset, sequence: receipt.sequence }));
        }
        while let Some(bytes) = self.parts.returned.recv() {
            self.lent -= 1;
            self.held_bytes -= bytes.len();
        }
        self.pump();
    }

    /// Bytes of batches that have not come back from the lane.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn pump(&mut self) {
        // Whatever the lane does, it can tell of everything that it was given.
        while self.lent < RECEIPTS_MAX
            && self.places.len() - self.line.len() < RECEIPTS_MAX
            && let Some(batch) = self.line.pop_front()
        {
            if let Err(batch) = (self.parts.submit)(batch) {
                self.line.push_front(batch);
                return;
            }
            self.lent += 1;
        }
    }

    /// Asks the lane for a partition.
    pub fn grow(&mut self, partition: Partition) -> Result<(), Partition> {
        let view = PartitionView::of(&partition);
        (self.parts.grow)(partition, view).map_err(|(partition, _)| partition)
    }
}

/// What became of a batch at the door.
#[derive(Debug)]
pub(super) enum Decided {
    /// It stands, or will stand, there.
    Stands(Place),
    /// It does not follow its producer's last one.
    OutOfOrder {
        /// Its first sequence.
        found: i32,
        /// What would follow.
        expected: i32,
    },
    /// Its producer's epoch is over.
    Fenced,
    /// It is no batch: its checker did not look.
    Malformed,
}
