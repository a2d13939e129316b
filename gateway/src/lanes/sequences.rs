//! Whether an idempotent producer's batch is its next one, one that was sent twice, or neither.
//!
//! | producer known here | epoch | first sequence | decision |
//! |---|---|---|---|
//! | no | any | any | append: it may have been forgotten, or come from the peer |
//! | yes | lower | any | fenced |
//! | yes | higher | 0 | append |
//! | yes | higher | not 0 | out of order |
//! | yes | same | one of the last five batches, the same to its last record | duplicate of that one |
//! | yes | same | behind the last batch | append |
//! | yes | same | anything else | out of order |
//!
//! The rules are those of Apache Kafka's own broker. Decisions are made in the order in which batches are handed over, so
//! what was decided to be appended counts at once, before it stands anywhere.

use headworks_format::PartitionId;
use headworks_format::batch::{Produced, sequence_after};
use headworks_format::checkpoint::{PRODUCER_BATCHES, PRODUCERS_MAX, Producer};
use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// Where a batch stands, once the log has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// Offset of its first record.
    pub base_offset: u64,
    /// Its block.
    pub sequence: u64,
}

/// A batch's place, shared by all who wait for it.
pub type Place = Rc<Cell<Option<Stand>>>;

/// What becomes of a batch.
#[derive(Debug, Clone)]
pub enum Decision {
    /// It is the next one.
    Append,
    /// It was handed over before; here is where.
    Duplicate(Place),
    /// It does not follow.
    OutOfOrder {
        /// What would.
        expected: i32,
    },
    /// A later incarnation has written.
    Fenced,
}

#[derive(Debug)]
struct Known {
    epoch: i16,
    /// First and last sequence and the place, oldest first.
    batches: VecDeque<(i32, i32, Place)>,
    heard: u64,
}

/// The producers of one lane.
#[derive(Debug, Default)]
pub struct Sequences {
    known: HashMap<(PartitionId, i64), Known>,
    noted: u64,
}

impl Sequences {
    /// Begins with what the log knows from before; all of it stands at or below block `last`.
    pub fn new<'p>(found: impl Iterator<Item = &'p Producer>, last: u64) -> Sequences {
        let known = found.map(|producer| {
            let durable = |base_offset| Rc::new(Cell::new(Some(Stand { base_offset, sequence: last })));
            let batches = producer.batches().iter().map(|(first, last, base)| (*first, *last, durable(*base)));
            ((producer.partition, producer.id), Known { epoch: producer.epoch, batches: batches.collect(), heard: 0 })
        });
        Sequences { known: known.collect(), noted: 0 }
    }

    /// The table above.
    pub fn decide(&self, partition: PartitionId, produced: &Produced) -> Decision {
        let Some(known) = self.known.get(&(partition, produced.id)) else {
            return Decision::Append;
        };
        if produced.epoch != known.epoch {
            return match (produced.epoch > known.epoch, produced.first) {
                (false, _) => Decision::Fenced,
                (true, 0) => Decision::Append,
                (true, _) => Decision::OutOfOrder { expected: 0 },
            };
        }
        if let Some((_, _, place)) = known.batches.iter().find(|(first, last, _)| (*first, *last) == (produced.first, produced.last)) {
            return Decision::Duplicate(Rc::clone(place));
        }
        let last = known.batches.back().map_or(-1, |(_, last, _)| *last);
        match sequence_after(last, 1) {
            Some(expected) if expected != produced.first => Decision::OutOfOrder { expected },
            _ => Decision::Append,
        }
    }

    /// Notes a batch that is handed over.
    pub fn note(&mut self, partition: PartitionId, produced: &Produced, place: Place) {
        self.noted += 1;
        let key = (partition, produced.id);
        if self.known.len() >= PRODUCERS_MAX && !self.known.contains_key(&key) {
            self.forget_silent();
        }
        let fresh = || Known { epoch: produced.epoch, batches: VecDeque::with_capacity(PRODUCER_BATCHES), heard: 0 };
        let known = self.known.entry(key).or_insert_with(fresh);
        if known.epoch != produced.epoch {
            *known = fresh();
        }
        if known.batches.len() == PRODUCER_BATCHES {
            known.batches.pop_front();
        }
        known.batches.push_back((produced.first, produced.last, place));
        known.heard = self.noted;
    }

    fn forget_silent(&mut self) {
        let silent = self.known.iter().min_by_key(|(_, known)| known.heard).map(|(key, _)| *key);
        silent.and_then(|key| self.known.remove(&key));
    }
}

#[cfg(test)]
mod tests;
