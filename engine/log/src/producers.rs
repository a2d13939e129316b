//! The last batches of every idempotent producer of a lane, as they were stamped.
//!
//! The table is a fact of the log: it grows by what is appended, is written down in every checkpoint, and a recovery makes
//! it again from the checkpoint and the batches behind it. Who judges a producer's next batch keeps a copy of its own.
//!
//! It holds a fixed number of entries. When it is full the producer that has been silent longest is forgotten; its next
//! batch is taken as a new producer's, whatever its number, which is what Kafka's own broker does with one it has expired.

use headworks_format::PartitionId;
use headworks_format::batch::Produced;
use headworks_format::checkpoint::{PRODUCERS_MAX, Producer};
use std::collections::HashMap;

/// The table.
#[derive(Debug, Clone)]
pub struct Producers {
    /// In no order; an entry's place never changes while it is here.
    entries: Vec<Producer>,
    /// When each was last heard of, in batches noted.
    heard: Vec<u64>,
    places: HashMap<(PartitionId, i64), usize>,
    noted: u64,
    max: usize,
}

impl Default for Producers {
    fn default() -> Producers {
        Producers::new(Vec::new())
    }
}

impl Producers {
    /// A table that begins with what a recovery found. From here on it allocates nothing.
    #[must_use]
    pub fn new(found: Vec<Producer>) -> Producers {
        Producers::with_room(found, PRODUCERS_MAX)
    }

    fn with_room(found: Vec<Producer>, max: usize) -> Producers {
        let mut table = Producers {
            entries: Vec::with_capacity(max),
            heard: Vec::with_capacity(max),
            // Twice the room: entries that come and go never make it grow.
            places: HashMap::with_capacity(2 * max),
            noted: 0,
            max,
        };
        found.into_iter().take(max).for_each(|producer| table.insert(producer));
        table
    }

    /// What is known of a producer in a partition.
    #[must_use]
    pub fn known(&self, partition: PartitionId, id: i64) -> Option<&Producer> {
        self.places.get(&(partition, id)).map(|place| &self.entries[*place])
    }

    /// Notes a batch that was stamped.
    pub fn note(&mut self, partition: PartitionId, produced: &Produced, base_offset: u64) {
        self.noted += 1;
        match self.places.get(&(partition, produced.id)) {
            Some(place) => {
                self.entries[*place].add(produced, base_offset);
                self.heard[*place] = self.noted;
            }
            None => self.insert(Producer::begin(partition, produced, base_offset)),
        }
    }

    fn insert(&mut self, producer: Producer) {
        let key = (producer.partition, producer.id);
        if self.entries.len() < self.max {
            self.places.insert(key, self.entries.len());
            self.entries.push(producer);
            self.heard.push(self.noted);
            return;
        }
        let (silent, _) = self.heard.iter().enumerate().min_by_key(|(_, heard)| **heard).expect("a full table has entries");
        let gone = std::mem::replace(&mut self.entries[silent], producer);
        self.places.remove(&(gone.partition, gone.id));
        self.places.insert(key, silent);
        self.heard[silent] = self.noted;
    }

    /// Every producer, in no order.
    pub fn iter(&self) -> std::slice::Iter<'_, Producer> {
        self.entries.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests;
