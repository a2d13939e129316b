//! OffsetForLeaderEpoch: where an epoch ended, so that a consumer finds out after a failover whether
//! what it has read still stands.
//!
//! The answer is always a real offset: the end of the largest epoch that is at most the one asked, or
//! the log start where all we know is later. -1 would send the consumer to its reset policy, which
//! may be "latest", which is loss. Only an epoch beyond our own has no end here, and the protocol says
//! -1 for that.

use kafka_protocol::messages::OffsetForLeaderEpochResponse;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};

use super::super::dispatch::{Asked, Refusal};
use super::super::errors::{ErrorCode, check_epoch};
use super::super::request::offset_for_leader_epoch::{EpochPartition, OffsetForLeaderEpoch};
use super::{Reply, encode, topic_name};
use crate::store::{EpochEnd, Store};

/// What stands for an epoch that has no end here.
const UNDEFINED: EpochEnd = EpochEnd { epoch: -1, end_offset: -1 };

/// Answers each partition.
pub fn answer<S: Store>(store: &S, asked: Asked, request: &OffsetForLeaderEpoch<'_>) -> Result<Reply, Refusal> {
    let mut first_error = ErrorCode::None;
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let (error, end) = match end_of_epoch(store, topic.name, partition) {
                Ok(end) => (ErrorCode::None, end),
                Err(error) => (error, UNDEFINED),
            };
            first_error = first_error.or(error);
            partitions.push(
                EpochEndOffset::default()
                    .with_partition(partition.partition)
                    .with_error_code(error.number())
                    .with_leader_epoch(end.epoch)
                    .with_end_offset(end.end_offset),
            );
        }
        topics.push(OffsetForLeaderTopicResult::default().with_topic(topic_name(topic.name)).with_partitions(partitions));
    }
    encode(asked, first_error, &OffsetForLeaderEpochResponse::default().with_topics(topics))
}

fn end_of_epoch<S: Store>(store: &S, topic: &str, asked: &EpochPartition) -> Result<EpochEnd, ErrorCode> {
    if !store.leads() {
        return Err(ErrorCode::NotLeaderOrFollower);
    }
    let state = store.state(topic, asked.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    match check_epoch(asked.current_leader_epoch, state.leader_epoch) {
        ErrorCode::None => {}
        error => return Err(error),
    }
    if asked.epoch < 0 || asked.epoch > state.leader_epoch {
        return Ok(UNDEFINED);
    }
    Ok(store.end_of_epoch(topic, asked.partition, asked.epoch).unwrap_or(EpochEnd { epoch: asked.epoch, end_offset: state.log_start }))
}
