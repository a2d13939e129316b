//! What groups have committed: a pure function of the stream's records, applied in order.
//!
//! ```text
//!   records ─► apply ─► group → topic → partition → entry
//!                  └──► stream offset → entry          the oldest entry that still counts: from there on the stream is kept
//! ```
//!
//! An entry knows where its record stands. The record of a key that comes later takes its place; a record without value
//! removes it. Memory is bounded where entries are made, not here: what the stream says is taken as it is.

use headworks_format::committed::{Key, Value};
use std::collections::BTreeMap;

/// Bytes that an entry takes beside its texts, about.
const ENTRY_BYTES: usize = 200;

/// What one group has committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Offset that is to be read next.
    pub offset: i64,
    /// Epoch of the last record read; -1: unknown.
    pub leader_epoch: i32,
    /// The client's own text.
    pub metadata: String,
    /// Milliseconds since 1970 of the commit.
    pub committed_ms: i64,
    /// Offset of its record in the stream.
    at: i64,
}

/// A key that owns its names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

impl Name {
    /// The same as a key of the stream.
    #[must_use]
    pub fn key(&self) -> Key<'_> {
        Key { group: &self.group, topic: &self.topic, partition: self.partition }
    }
}

impl Entry {
    /// The same as a value of the stream.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        Value { offset: self.offset, leader_epoch: self.leader_epoch, metadata: &self.metadata, committed_ms: self.committed_ms }
    }
}

/// A group's topics.
type Topics = BTreeMap<String, BTreeMap<i32, Entry>>;

/// All groups.
#[derive(Debug, Default)]
pub struct Table {
    groups: BTreeMap<String, Topics>,
    by_age: BTreeMap<i64, Name>,
    bytes: usize,
    newest_ms: i64,
}

impl Table {
    /// Takes the record at offset `at`; records come in the order of their offsets.
    pub fn apply(&mut self, at: i64, key: &Key<'_>, value: Option<&Value<'_>>) {
        self.remove(key);
        let Some(value) = value else { return };
        self.newest_ms = self.newest_ms.max(value.committed_ms);
        let name = Name { group: key.group.to_owned(), topic: key.topic.to_owned(), partition: key.partition };
        let metadata = value.metadata.to_owned();
        let entry = Entry { offset: value.offset, leader_epoch: value.leader_epoch, metadata, committed_ms: value.committed_ms, at };
        self.bytes += bytes_of(key, value.metadata);
        let topics = self.groups.entry(name.group.clone()).or_default();
        topics.entry(name.topic.clone()).or_default().insert(name.partition, entry);
        let earlier = self.by_age.insert(at, name);
        assert!(earlier.is_none(), "two records at offset {at}");
    }

    fn remove(&mut self, key: &Key<'_>) {
        let Some(topics) = self.groups.get_mut(key.group) else { return };
        let Some(partitions) = topics.get_mut(key.topic) else { return };
        let Some(entry) = partitions.remove(&key.partition) else { return };
        if partitions.is_empty() {
            topics.remove(key.topic);
        }
        if topics.is_empty() {
            self.groups.remove(key.group);
        }
        self.by_age.remove(&entry.at);
        self.bytes -= bytes_of(key, &entry.metadata);
    }

    /// An entry.
    #[must_use]
    pub fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Entry> {
        self.groups.get(group)?.get(topic)?.get(&partition)
    }

    /// Everything that a group has committed, by topic.
    pub fn of_group(&self, group: &str) -> impl Iterator<Item = (&str, &BTreeMap<i32, Entry>)> {
        self.groups.get(group).into_iter().flatten().map(|(topic, partitions)| (topic.as_str(), partitions))
    }

    /// Every group that has committed anything.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// Everything there is.
    pub fn entries(&self) -> impl Iterator<Item = (Key<'_>, &Entry)> {
        self.groups.iter().flat_map(|(group, topics)| {
            topics.iter().flat_map(move |(topic, partitions)| {
                partitions.iter().map(move |(partition, entry)| (Key { group, topic, partition: *partition }, entry))
            })
        })
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Whether nothing is committed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_age.is_empty()
    }

    /// Bytes that the entries take, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same of one more entry.
    #[must_use]
    pub fn bytes_of(key: &Key<'_>, metadata: &str) -> usize {
        bytes_of(key, metadata)
    }

    /// Time of the newest commit, in milliseconds since 1970. What is old is compared with it and not with the clock, so that
    /// nothing ends because a node stood still.
    #[must_use]
    pub fn newest_ms(&self) -> i64 {
        self.newest_ms
    }

    /// Offset of the oldest record that still counts.
    #[must_use]
    pub fn oldest(&self) -> Option<i64> {
        self.by_age.keys().next().copied()
    }

    /// Entries whose records stand below `end`, oldest first.
    pub fn below(&self, end: i64) -> impl Iterator<Item = (&Name, &Entry)> {
        let entry = |name: &Name| self.get(&name.group, &name.topic, name.partition).expect("both sides of the table agree");
        self.by_age.range(..end).map(move |(_, name)| (name, entry(name)))
    }
}

/// Names stand on both sides.
fn bytes_of(key: &Key<'_>, metadata: &str) -> usize {
    ENTRY_BYTES + 2 * (key.group.len() + key.topic.len()) + metadata.len()
}
