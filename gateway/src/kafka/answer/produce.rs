//! Produce: each batch checked and handed over as it lies in the frame, and answered when it has reached its level.
//!
//! ```text
//!  frame │ .. │ batch │ .. │ batch │       begin: check, hand over, in the order of the frame
//!                 └────────────┴──► store  finish: wait for each, or until the client's time is over
//! ```
//!
//! Handing over and waiting are two steps so that a connection can begin its next request before this one is answered:
//! an idempotent producer keeps five under way, and their order is that of their arrival.
//!
//! Compressed records are stored as they are. Records that are not compressed are read through once: a batch that no
//! consumer could read is refused while its producer can still be told.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use headworks_format::batch::{BATCH_RECORDS_MAX, Batch, BatchFault};
use headworks_format::committed::STREAM;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceResponse, TopicName};
use tokio::time::Instant;

use super::super::broker::Broker;
use super::super::dispatch::{Answer, Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::produce::{Produce, ProducePartition};
use super::{encode, text, topic_name};
use crate::store::{AppendError, Appended, Level, Store};

const COMPRESSION_BITS: i16 = 0x07;
const ZSTD: i16 = 4;
const TRANSACTIONAL_OR_CONTROL_BITS: i16 = 0x30;
/// First version that may carry zstd.
const ZSTD_VERSION_MIN: i16 = 7;

/// Why a partition's records are refused, with a sentence for the producer's log.
type Refused = (ErrorCode, String);

/// A produce request whose batches are on their way.
pub struct Producing<'b> {
    asked: Asked,
    silent: bool,
    deadline: Instant,
    topics: Vec<(TopicName, Vec<Part<'b>>)>,
}

struct Part<'b> {
    partition: i32,
    outcome: Outcome<'b>,
}

enum Outcome<'b> {
    Refused(Refused),
    Handed(Pin<Box<dyn Future<Output = Result<Appended, AppendError>> + 'b>>),
}

/// Checks every batch and hands over those that hold. `frame` is what the request was read from: batches are kept as parts
/// of it, not copied.
pub fn begin<'b, S: Store>(broker: &'b Broker<S>, asked: Asked, request: &Produce<'_>, frame: &Bytes) -> Producing<'b> {
    let level = match request.acks {
        0 => Ok(Level::Received),
        1 => Ok(Level::Disk),
        -1 => Ok(Level::Committed),
        acks => Err((ErrorCode::InvalidRequiredAcks, format!("acks {acks}: 0, 1 and -1 are possible"))),
    };
    let level = match request.transactional_id {
        Some(_) => Err((ErrorCode::TransactionalIdAuthorizationFailed, "transactions are not served".to_owned())),
        None => level,
    };
    let part = |topic: &str, partition: &ProducePartition<'_>| {
        let level = if topic == STREAM { Err(internal()) } else { level.clone() };
        let checked = level.and_then(|level| check(partition.records, asked.version).map(|records| (level, part_of(frame, records))));
        let outcome = match checked {
            Ok((level, batch)) => Outcome::Handed(Box::pin(broker.store.append(topic, partition.partition, batch, level))),
            Err(refused) => Outcome::Refused(refused),
        };
        Part { partition: partition.partition, outcome }
    };
    let topics = request.topics.iter().map(|topic| {
        let parts = topic.partitions.iter().map(|partition| part(topic.name, partition)).collect();
        (topic_name(topic.name), parts)
    });
    let topics = topics.collect();
    let wait = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    Producing { asked, silent: request.acks == 0, deadline: Instant::now() + wait, topics }
}

/// Of how many times its bytes a batch may keep the frame in memory.
const FRAME_TIMES_MAX: usize = 8;

/// The batch as a part of its frame, or a copy where it is so small a part that it should not hold all of it.
fn part_of(frame: &Bytes, records: &[u8]) -> Bytes {
    if records.len() * FRAME_TIMES_MAX < frame.len() { Bytes::copy_from_slice(records) } else { frame.slice_ref(records) }
}

impl Producing<'_> {
    /// Waits until every batch has reached its level or the client's time is over.
    ///
    /// # Errors
    /// The answer cannot be encoded.
    pub async fn finish(self) -> Result<Answer, Refusal> {
        let (asked, deadline) = (self.asked, self.deadline);
        let mut first = ErrorCode::None;
        let mut topics = Vec::with_capacity(self.topics.len());
        for (name, parts) in self.topics {
            let mut partitions = Vec::with_capacity(parts.len());
            for Part { partition, outcome } in parts {
                let outcome = settle(outcome, deadline).await;
                first = first.or(outcome.as_ref().err().map_or(ErrorCode::None, |(error, _)| *error));
                partitions.push(answered(asked, partition, outcome));
            }
            topics.push(TopicProduceResponse::default().with_name(name).with_partition_responses(partitions));
        }
        if self.silent {
            return Ok(Answer::Silent(first));
        }
        encode(asked, first, &ProduceResponse::default().with_responses(topics)).map(Answer::Reply)
    }
}

async fn settle(outcome: Outcome<'_>, deadline: Instant) -> Result<Appended, Refused> {
    match outcome {
        Outcome::Refused(refused) => Err(refused),
        Outcome::Handed(appended) => match tokio::time::timeout_at(deadline, appended).await {
            Ok(Ok(appended)) => Ok(appended),
            Ok(Err(error)) => Err((code_of(&error), error.to_string())),
            Err(_) => Err((ErrorCode::RequestTimedOut, "the level asked for was not reached in time; the batch may be stored".to_owned())),
        },
    }
}

fn answered(asked: Asked, partition: i32, outcome: Result<Appended, Refused>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(partition).with_log_append_time_ms(-1);
    match outcome {
        Ok(appended) => {
            let start = if asked.version >= 5 { appended.log_start } else { -1 };
            response.with_base_offset(appended.base_offset).with_log_start_offset(start)
        }
        Err((error, message)) => {
            let message = (asked.version >= 8).then(|| text(&message));
            response.with_error_code(error.number()).with_base_offset(-1).with_log_start_offset(-1).with_error_message(message)
        }
    }
}

/// What a client makes of it is why: a full volume is a storage error, after which it asks for metadata and tries again; an
/// append whose end nobody knows makes it look for the leader, and an idempotent producer then sends the same again.
fn code_of(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::OutOfOrder { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        AppendError::Busy => ErrorCode::KafkaStorageError,
        AppendError::TooFewInSync => ErrorCode::NotEnoughReplicas,
        AppendError::NotLeader | AppendError::Interrupted => ErrorCode::NotLeaderOrFollower,
    }
}

/// Largest batch of a client: the default `message.max.bytes` of Apache Kafka's own broker. The log could take a little more,
/// but a client that counts on more than that would be refused elsewhere.
pub const PRODUCED_BYTES_MAX: usize = 1_048_588;
const _: () = assert!(PRODUCED_BYTES_MAX <= headworks_format::batch::BATCH_BYTES_MAX);

/// Takes the records for exactly one batch that any consumer can read.
fn check(records: Option<&[u8]>, version: i16) -> Result<&[u8], Refused> {
    let records = records.filter(|records| !records.is_empty()).ok_or_else(|| invalid("no records".to_owned()))?;
    if records.len() > PRODUCED_BYTES_MAX {
        return Err((ErrorCode::MessageTooLarge, format!("a batch of {} bytes, at most {PRODUCED_BYTES_MAX}", records.len())));
    }
    let batch = Batch::parse(records).map_err(|fault| refusal_of(fault, records.len()))?;
    let attributes = batch.header().attributes.get();
    let codec = attributes & COMPRESSION_BITS;
    if codec > ZSTD {
        return Err(invalid(format!("codec {codec} is none")));
    }
    if codec == ZSTD && version < ZSTD_VERSION_MIN {
        return Err((ErrorCode::UnsupportedCompressionType, format!("zstd in version {version}: it takes {ZSTD_VERSION_MIN}")));
    }
    if attributes & TRANSACTIONAL_OR_CONTROL_BITS != 0 {
        return Err(invalid("a transactional or control batch: transactions are not served".to_owned()));
    }
    // Of what is not compressed the records are counted below; the log adds up the numbers of a block's batches.
    let count = batch.header().record_count.get();
    if i64::from(count) > i64::from(BATCH_RECORDS_MAX) {
        return Err(invalid(format!("{count} records in one batch, at most {BATCH_RECORDS_MAX}: make smaller batches")));
    }
    if !batch.is_compressed() {
        read_through(&batch)?;
    }
    Ok(records)
}

fn read_through(batch: &Batch<'_>) -> Result<(), Refused> {
    for (place, record) in (0i64..).zip(batch.records()) {
        let record = record.map_err(|_| invalid(format!("record {place} of the batch does not hold together")))?;
        if record.offset_delta != place {
            return Err(invalid(format!("record {place} of the batch has offset delta {}", record.offset_delta)));
        }
    }
    Ok(())
}

fn refusal_of(fault: BatchFault, bytes: usize) -> Refused {
    let corrupt = |what: &str| (ErrorCode::CorruptMessage, what.to_owned());
    match fault {
        BatchFault::Length => corrupt(&format!("{bytes} bytes are not exactly one batch")),
        BatchFault::Crc => corrupt("the batch's sum does not hold"),
        BatchFault::Magic => invalid("only batches of magic 2 are taken".to_owned()),
        BatchFault::Count => invalid("the batch's record count and last offset do not fit".to_owned()),
        BatchFault::Records => invalid("the batch's records do not hold together".to_owned()),
    }
}

fn internal() -> Refused {
    (ErrorCode::InvalidTopic, format!("{STREAM} is written by the appliance alone: commit offsets instead"))
}

fn invalid(what: String) -> Refused {
    (ErrorCode::InvalidRecord, what)
}
