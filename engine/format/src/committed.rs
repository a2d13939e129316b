//! A committed offset as a record: how far a consumer group has come in one partition.
//!
//! ```text
//! key    version i16 = 1 │ group string │ topic string │ partition i32
//! value  version i16 = 3 │ offset i64 │ leader epoch i32 │ metadata string │ committed i64       null: it is no more
//! string: length i16, UTF-8 bytes                                                                 all big-endian
//! ```
//!
//! The layout is that of Apache Kafka's own `__consumer_offsets`, of which these are the newest versions for such an entry, so
//! what reads it there reads it here. The newest record of a key counts; what the stream says is a pure function of its
//! records, so any node that has the stream has the table.
//!
//! It refuses keys and values of another version: the reader passes over them, as a later release may write more kinds.

use crate::batch::{self, BATCH_BYTES_MAX, BATCH_HEADER_BYTES, Closing};
use crate::checksum;
use crate::record::{VARINT_BYTES_MAX, varint_bytes, write_varint};
use core::str;

/// The stream that holds committed offsets; its one partition lives in lane 0.
pub const STREAM: &str = "__consumer_offsets";
/// Version of a key that names a group and a partition.
pub const KEY_VERSION: i16 = 1;
/// Version of a value.
pub const VALUE_VERSION: i16 = 3;
/// Longest name of a group or a topic, in bytes.
pub const NAME_BYTES_MAX: usize = 249;
/// Longest text that goes with an offset, in bytes.
pub const METADATA_BYTES_MAX: usize = 4096;

/// What `FORMAT.md` shows of a key: bytes, field, meaning.
pub const KEY_FIELDS: [(&str, &str, &str); 4] = [
    ("2", "version", "1"),
    ("2 + n", "group", "name of the group, UTF-8, at most 249 bytes"),
    ("2 + n", "topic", "name of the topic, UTF-8, at most 249 bytes"),
    ("4", "partition", "number of the partition"),
];
/// What `FORMAT.md` shows of a value: bytes, field, meaning.
pub const VALUE_FIELDS: [(&str, &str, &str); 5] = [
    ("2", "version", "3"),
    ("8", "offset", "offset that the group is to read next"),
    ("4", "leader_epoch", "epoch of the last record read, −1 where the client does not know"),
    ("2 + n", "metadata", "the client's own text, UTF-8, at most 4,096 bytes"),
    ("8", "committed", "milliseconds since 1970 of the commit; what is appended again keeps it"),
];

/// What an offset is committed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key<'a> {
    /// The group.
    pub group: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
}

/// What is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// Offset that is to be read next.
    pub offset: i64,
    /// Epoch of the last record read; -1: unknown.
    pub leader_epoch: i32,
    /// The client's own text.
    pub metadata: &'a str,
    /// Milliseconds since 1970 of the commit.
    pub committed_ms: i64,
}

impl<'a> Key<'a> {
    /// Appends the key to `out`.
    ///
    /// Panics on a name that is longer than a string can be, which the caller has bounded.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(KEY_VERSION.to_be_bytes());
        write_string(out, self.group);
        write_string(out, self.topic);
        out.extend(self.partition.to_be_bytes());
    }

    /// Reads a key; none if it is of another version or does not hold together.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Key<'a>> {
        let mut rest = Rest(bytes);
        let version = i16::from_be_bytes(rest.fixed()?);
        let key =
            Key { group: rest.string(NAME_BYTES_MAX)?, topic: rest.string(NAME_BYTES_MAX)?, partition: i32::from_be_bytes(rest.fixed()?) };
        (version == KEY_VERSION && rest.0.is_empty()).then_some(key)
    }
}

impl<'a> Value<'a> {
    /// Appends the value to `out`.
    ///
    /// Panics on a text that is longer than a string can be, which the caller has bounded.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(VALUE_VERSION.to_be_bytes());
        out.extend(self.offset.to_be_bytes());
        out.extend(self.leader_epoch.to_be_bytes());
        write_string(out, self.metadata);
        out.extend(self.committed_ms.to_be_bytes());
    }

    /// Reads a value; none if it is of another version or does not hold together.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Value<'a>> {
        let mut rest = Rest(bytes);
        let version = i16::from_be_bytes(rest.fixed()?);
        let value = Value {
            offset: i64::from_be_bytes(rest.fixed()?),
            leader_epoch: i32::from_be_bytes(rest.fixed()?),
            metadata: rest.string(METADATA_BYTES_MAX)?,
            committed_ms: i64::from_be_bytes(rest.fixed()?),
        };
        (version == VALUE_VERSION && rest.0.is_empty()).then_some(value)
    }
}

/// A record batch of entries, or of removals where there is no value, all with that time; none if it would be larger than a
/// batch may be.
///
/// Panics without entries.
#[must_use]
pub fn batch_of(entries: &[(Key<'_>, Option<Value<'_>>)], now_ms: i64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; BATCH_HEADER_BYTES];
    let (mut key_bytes, mut value_bytes) = (Vec::new(), Vec::new());
    for (place, (key, value)) in (0i64..).zip(entries) {
        key_bytes.clear();
        key.write(&mut key_bytes);
        value_bytes.clear();
        if let Some(value) = value {
            value.write(&mut value_bytes);
        }
        write_record(&mut bytes, place, &key_bytes, value.is_some().then_some(value_bytes.as_slice()));
        if bytes.len() > BATCH_BYTES_MAX {
            return None;
        }
    }
    let closing = Closing {
        records: u32::try_from(entries.len()).expect("a batch of at most 1 MiB has fewer than 2^32 records"),
        records_crc: checksum::crc32c(&bytes[BATCH_HEADER_BYTES..]),
        base_timestamp_ms: now_ms,
        max_timestamp_ms: now_ms,
    };
    batch::close(&mut bytes, &closing);
    Some(bytes)
}

fn write_record(out: &mut Vec<u8>, offset_delta: i64, key: &[u8], value: Option<&[u8]>) {
    let length = |bytes: usize| i64::try_from(bytes).expect("a length");
    let value_length = value.map_or(-1, |value| length(value.len()));
    let fixed =
        1 + varint_bytes(0) + varint_bytes(offset_delta) + varint_bytes(length(key.len())) + varint_bytes(value_length) + varint_bytes(0);
    let varint = |out: &mut Vec<u8>, value| {
        let mut bytes = [0; VARINT_BYTES_MAX];
        let count = write_varint(&mut bytes, value);
        out.extend_from_slice(&bytes[..count]);
    };
    varint(out, length(fixed + key.len() + value.map_or(0, <[u8]>::len)));
    out.push(0); // attributes
    varint(out, 0);
    varint(out, offset_delta);
    varint(out, length(key.len()));
    out.extend_from_slice(key);
    varint(out, value_length);
    out.extend_from_slice(value.unwrap_or_default());
    varint(out, 0);
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    let length = i16::try_from(text.len()).unwrap_or_else(|_| panic!("a string of {} bytes, at most {}", text.len(), i16::MAX));
    out.extend(length.to_be_bytes());
    out.extend(text.as_bytes());
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn string(&mut self, bytes_max: usize) -> Option<&'a str> {
        let length = usize::try_from(i16::from_be_bytes(self.fixed()?)).ok().filter(|length| *length <= bytes_max)?;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        str::from_utf8(taken).ok()
    }
}

#[cfg(test)]
mod tests;
