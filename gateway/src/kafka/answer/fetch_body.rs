//! The bytes of a fetch answer: our own fields in small buffers, the batches between them untouched.
//!
//! ```text
//!   parts   │ length │ header, throttle, topic, partition, records' length │ batch │ batch │ next ...
//!             4 bytes             one small buffer                           as the store gave them
//! ```
//!
//! The socket takes the parts with vectored writes, so no batch is copied on this side. The fields,
//! by version: error and session since 7, log start since 5, preferred replica since 11; from 12 on
//! lengths are varints of length + 1 and structs end in tagged fields (we have none).

use bytes::{BufMut, Bytes, BytesMut};

use super::super::dispatch::Asked;
use super::super::errors::ErrorCode;
use super::gather::{Gathered, GatheredTopic};

/// What stands for an offset that is not told.
const NO_OFFSET: i64 = -1;
/// We never send a consumer to another replica.
const NO_REPLICA: i32 = -1;
/// Room for the fields of one partition, so that the small buffer rarely grows.
const PARTITION_BYTES: usize = 64;

/// Writes the whole frame.
pub fn write(asked: Asked, error: ErrorCode, topics: &[GatheredTopic<'_>]) -> Vec<Bytes> {
    let partitions: usize = topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut writer = Writer {
        small: BytesMut::with_capacity(PARTITION_BYTES * (partitions + 1)),
        // The first part is the length, known at the end.
        parts: vec![Bytes::new()],
        flexible: asked.version >= asked.api.flexible_min,
    };
    writer.small.put_i32(asked.correlation);
    writer.tags();
    writer.small.put_i32(0); // throttle_time_ms
    if asked.version >= 7 {
        writer.small.put_i16(error.number());
        writer.small.put_i32(0); // session_id: declined
    }
    writer.length(topics.len());
    for topic in topics {
        writer.string(topic.name);
        writer.length(topic.partitions.len());
        for partition in &topic.partitions {
            writer.partition(asked.version, partition);
        }
        writer.tags();
    }
    writer.tags();
    writer.finish()
}

struct Writer {
    small: BytesMut,
    parts: Vec<Bytes>,
    flexible: bool,
}

impl Writer {
    fn partition(&mut self, version: i16, gathered: &Gathered) {
        let (log_start, high_watermark) = gathered.state.map_or((NO_OFFSET, NO_OFFSET), |state| (state.log_start, state.high_watermark));
        self.small.put_i32(gathered.partition());
        self.small.put_i16(gathered.error.number());
        self.small.put_i64(high_watermark);
        self.small.put_i64(high_watermark); // last_stable_offset: there are no transactions
        if version >= 5 {
            self.small.put_i64(log_start);
        }
        self.length(0); // aborted_transactions
        if version >= 11 {
            self.small.put_i32(NO_REPLICA);
        }
        // Empty is length 0: null makes librdkafka complain of a message set of -1 bytes.
        self.length(gathered.bytes);
        if gathered.bytes > 0 {
            self.parts.push(self.small.split().freeze());
            self.parts.extend(gathered.runs.iter().cloned());
        }
        self.tags();
    }

    fn length(&mut self, length: usize) {
        let length = narrow(length);
        if self.flexible {
            self.varint(length.unsigned_abs() + 1);
        } else {
            self.small.put_i32(length);
        }
    }

    /// A topic's name. In the older encoding it came to us with a length of 16 bits, so it fits one.
    fn string(&mut self, text: &str) {
        if self.flexible {
            self.length(text.len());
        } else {
            let length = i16::try_from(text.len());
            self.small.put_i16(length.expect("a name read with 16 bits"));
        }
        self.small.put_slice(text.as_bytes());
    }

    fn tags(&mut self) {
        if self.flexible {
            self.small.put_u8(0);
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.small.put_u8(low_bits(value) | 0x80);
            value >>= 7;
        }
        self.small.put_u8(low_bits(value));
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.parts.push(self.small.freeze());
        let frame_bytes = self.parts.iter().map(Bytes::len).sum();
        self.parts[0] = Bytes::copy_from_slice(&narrow(frame_bytes).to_be_bytes());
        self.parts
    }
}

/// The low seven bits of a varint.
fn low_bits(value: u32) -> u8 {
    u8::try_from(value & 0x7f).expect("seven bits")
}

/// A length of the protocol. An answer is capped far below 2 GiB; one that was not is a bug, and
/// better stopped than sent with a wrong length.
fn narrow(length: usize) -> i32 {
    i32::try_from(length).unwrap_or_else(|_| panic!("{length} bytes or elements in an answer, limit {}", i32::MAX))
}
