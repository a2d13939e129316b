//! Joins the two ends of a lane's door: the gateway's calls and the loops' message rings, which know nothing of each other.

use super::intake::LogLine;
use bytes::Bytes;
use headworks_format::checkpoint::Producer;
use headworks_gateway::lanes::{DoorParts, Outgoing};
use headworks_ingest::batches::{Batch, Batches};
use headworks_io::Wake;
use headworks_lane::Grow;
use headworks_ledger::{Book, Clerk};
use headworks_log::Receipt;
use headworks_log::append::RECEIPTS_MAX;
use headworks_ring::{Receiver, Sender, message_ring};
use std::sync::PoisonError;

/// Batches that a lane takes before it has framed the first of them.
const BATCHES_MAX: usize = 1024;

/// The gateway's end of the way to an ingest loop.
pub struct Producing {
    batches: Sender<Batch>,
    returned: Receiver<Bytes>,
    wake: Wake,
}

/// What of the log loop belongs to a door.
pub struct Log {
    /// From the lane.
    pub receipts: Receiver<Receipt>,
    /// The lane's place.
    pub lane: usize,
    /// The way to the log loop, shared by all doors.
    pub line: LogLine,
    /// Known from before this run.
    pub producers: Vec<Producer>,
}

/// The way of batches to an ingest loop: the gateway's end, the loop's end, and the books. `wake` wakes the loop.
pub fn produce(wake: Wake) -> (Producing, Batches, Book) {
    let (batches, incoming) = message_ring(BATCHES_MAX);
    // As many buffers as the gateway lends: one that comes back always finds room.
    let (returned, returned_receiver) = message_ring(RECEIPTS_MAX);
    let (clerk, book): (Clerk, Book) = Book::open();
    (Producing { batches, returned: returned_receiver, wake }, Batches { incoming, returned, clerk }, book)
}

impl Producing {
    /// The door over both ways.
    pub fn door(self, log: Log) -> DoorParts {
        let Producing { mut batches, returned, wake } = self;
        let Log { receipts, lane, line, producers } = log;
        DoorParts {
            submit: Box::new(move |batch| {
                batches.send(to_ingest(batch)).map_err(|full| to_gateway(full.0))?;
                wake.wake();
                Ok(())
            }),
            returned,
            receipts,
            grow: Box::new(move |partition, view| {
                let mut sender = line.grow.lock().unwrap_or_else(PoisonError::into_inner);
                sender.send(Grow { lane, partition, view }).map_err(|full| (full.0.partition, full.0.view))?;
                line.wake.wake();
                Ok(())
            }),
            producers,
        }
    }
}

fn to_ingest(batch: Outgoing) -> Batch {
    let Outgoing { partition, bytes, records, crc, max_timestamp_ms, ticket } = batch;
    Batch { partition, bytes, records, crc, max_timestamp_ms, ticket }
}

fn to_gateway(batch: Batch) -> Outgoing {
    let Batch { partition, bytes, records, crc, max_timestamp_ms, ticket } = batch;
    Outgoing { partition, bytes, records, crc, max_timestamp_ms, ticket }
}
