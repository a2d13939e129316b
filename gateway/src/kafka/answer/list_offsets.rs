//! ListOffsets: offsets by time, and by the negative numbers that mean a place.
//!
//! A look-up by time is exact to the record: the earliest record with a timestamp of at least the one
//! asked, and -1 / -1 *without* an error where there is none. An answer that begins earlier (at the
//! batch) or later makes consumers read twice or skip.

use kafka_protocol::messages::ListOffsetsResponse;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};

use super::super::dispatch::{Asked, Refusal};
use super::super::errors::{ErrorCode, check_epoch};
use super::super::request::list_offsets::{ListOffsets, ListOffsetsPartition};
use super::{Reply, encode, topic_name};
use crate::store::{PartitionState, ReadError, Store, TimedOffset};

/// The high watermark.
const LATEST: i64 = -1;
/// The log start.
const EARLIEST: i64 = -2;
/// The record with the largest timestamp, since version 7.
const LATEST_TIMESTAMP: i64 = -3;
/// What stands for an offset or a timestamp that there is not.
const NOWHERE: TimedOffset = TimedOffset { offset: -1, timestamp_ms: -1 };

/// Answers each partition.
pub async fn answer<S: Store>(store: &S, asked: Asked, request: &ListOffsets<'_>) -> Result<Reply, Refusal> {
    let mut first_error = ErrorCode::None;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let found = look_up(store, asked.version, topic.name, partition).await;
            if let Err(error) = found {
                first_error = first_error.or(error);
            }
            partitions.push(response(asked.version, partition.partition, found));
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(topic_name(topic.name)).with_partitions(partitions));
    }
    encode(asked, first_error, &ListOffsetsResponse::default().with_topics(topics))
}

async fn look_up<S: Store>(
    store: &S,
    version: i16,
    topic: &str,
    asked: &ListOffsetsPartition,
) -> Result<(TimedOffset, PartitionState), ErrorCode> {
    if !store.leads() {
        return Err(ErrorCode::NotLeaderOrFollower);
    }
    let state = store.state(topic, asked.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    match check_epoch(asked.current_leader_epoch, state.leader_epoch) {
        ErrorCode::None => {}
        error => return Err(error),
    }
    // KIP-207: an end that was told before must not be told to lie further ahead.
    if asked.timestamp_ms == LATEST && store.leadership().is_none() {
        return Err(if version >= 5 { ErrorCode::OffsetNotAvailable } else { ErrorCode::LeaderNotAvailable });
    }
    let place = |offset| Ok(Some(TimedOffset { offset, timestamp_ms: -1 }));
    let found = match asked.timestamp_ms {
        LATEST => place(state.high_watermark),
        EARLIEST => place(state.log_start),
        LATEST_TIMESTAMP if version >= 7 => store.latest_timestamp(topic, asked.partition).await,
        negative if negative < 0 => return Err(ErrorCode::UnsupportedVersion),
        time_ms => store.offset_at_time(topic, asked.partition, time_ms).await,
    };
    match found {
        Ok(found) => Ok((found.unwrap_or(NOWHERE), state)),
        Err(ReadError::UnknownPartition) => Err(ErrorCode::UnknownTopicOrPartition),
        // A look-up names no offset, so none can be out of range.
        Err(ReadError::OutOfRange(_) | ReadError::Storage) => Err(ErrorCode::KafkaStorageError),
    }
}

fn response(version: i16, partition: i32, found: Result<(TimedOffset, PartitionState), ErrorCode>) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(partition);
    match found {
        Ok((found, state)) => {
            // Before version 4 the field is not there, and the encoder takes only its default.
            let leader_epoch = if version >= 4 { state.leader_epoch } else { -1 };
            response.with_offset(found.offset).with_timestamp(found.timestamp_ms).with_leader_epoch(leader_epoch)
        }
        Err(error) => response.with_error_code(error.number()).with_offset(NOWHERE.offset).with_timestamp(NOWHERE.timestamp_ms),
    }
}
