//! A primary's clients: what they send goes to the lanes once, and is acknowledged when it is committed.

use super::batches::Batch;
use super::clients::{Level, Out};
use headworks_format::PartitionId;
use headworks_format::checkpoint::{PRODUCER_BATCHES, Producer};
use headworks_log::Receipt;
use std::collections::BTreeMap;

/// What becomes of a batch that a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It goes to its lane under a new number.
    New(u64),
    /// It was taken before, under that number.
    Known(u64),
    /// Batches of this client are missing before it.
    OutOfOrder,
}

/// Who waits for an acknowledgement.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// The client.
    pub client: usize,
    /// Its attempt.
    pub attempt: u64,
    /// The batch's lane.
    pub lane: usize,
    /// Its partition.
    pub partition: PartitionId,
    /// The batch's number.
    pub ticket: u64,
    /// When it may be told.
    pub level: Level,
}

/// A lane, a partition, and a client that numbers its batches.
type Numbering = (usize, u32, i64);

/// See the module.
#[derive(Debug, Default)]
pub struct Gateway {
    tickets: u64,
    /// First record and number of each numbering client's last batches.
    known: BTreeMap<Numbering, Vec<(i32, i32, u64)>>,
    /// Where a batch stands, and the number of the block behind it.
    places: BTreeMap<u64, (u64, u64)>,
    waiting: Vec<Waiting>,
}

impl Gateway {
    /// Begins with what a lane's log knows of producers; all of it stands below `next`.
    pub fn learn<'p>(&mut self, lane: usize, producers: impl Iterator<Item = &'p Producer>, next: u64) {
        for producer in producers {
            let known = self.known.entry((lane, producer.partition.0, producer.id)).or_default();
            for (first, last, base) in producer.batches() {
                self.tickets += 1;
                self.places.insert(self.tickets, (*base, next));
                known.push((*first, *last, self.tickets));
            }
        }
    }

    /// What becomes of a client's batch.
    pub fn judge(&mut self, client: usize, lane: usize, partition: PartitionId, out: &Out) -> Judged {
        if !out.numbered {
            self.tickets += 1;
            return Judged::New(self.tickets);
        }
        let id = i64::try_from(client).expect("few clients");
        let known = self.known.entry((lane, partition.0, id)).or_default();
        if let Some((_, _, ticket)) = known.iter().find(|(first, _, _)| *first == out.first) {
            return Judged::Known(*ticket);
        }
        if known.last().is_some_and(|(_, last, _)| last + 1 != out.first) {
            return Judged::OutOfOrder;
        }
        self.tickets += 1;
        if known.len() == PRODUCER_BATCHES {
            known.remove(0);
        }
        let last = out.first + i32::try_from(out.records).expect("few records") - 1;
        known.push((out.first, last, self.tickets));
        Judged::New(self.tickets)
    }

    /// A batch as the lane takes it.
    pub fn batch(partition: PartitionId, ticket: u64, out: &Out) -> Batch {
        Batch { partition, bytes: out.bytes.clone(), records: out.records, ticket }
    }

    /// A client waits for it.
    pub fn waits(&mut self, waiting: Waiting) {
        self.waiting.push(waiting);
    }

    /// The log has put a batch somewhere.
    pub fn placed(&mut self, receipt: &Receipt) {
        self.places.insert(receipt.ticket, (receipt.base_offset, receipt.sequence + 1));
    }

    /// Who can be told now, and the offset. `positions` are each lane's committed and durable.
    pub fn told(&mut self, positions: &[(u64, u64)]) -> Vec<(Waiting, u64)> {
        let places = &self.places;
        let (ready, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|waiting| {
            let (committed, durable) = positions[waiting.lane];
            let through = if waiting.level == Level::Disk { durable } else { committed };
            places.get(&waiting.ticket).is_some_and(|(_, behind)| *behind <= through)
        });
        self.waiting = waiting;
        let ready: Vec<Waiting> = ready;
        ready.into_iter().map(|waiting| (waiting, self.places[&waiting.ticket].0)).collect()
    }

    /// Nobody is told anything any more.
    pub fn stop(&mut self) {
        self.waiting.clear();
    }
}
