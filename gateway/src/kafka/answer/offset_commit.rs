//! OffsetCommit: one record a partition, in one batch, answered when it is committed.
//!
//! ```text
//!   may this member commit? ─► is each partition there, each text short enough? ─► is there room? ─► append ─► answer
//! ```

use kafka_protocol::messages::OffsetCommitResponse;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};

use super::super::broker::Broker;
use super::super::dispatch::{Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::offset_commit::{CommitPartition, OffsetCommit};
use super::group::{admit, speaker};
use super::{Reply, encode, topic_name};
use crate::groups::coordinator::{Answer, Event};
use crate::groups::now_ms;
use crate::store::Store;
use headworks_format::committed::{Key, METADATA_BYTES_MAX, Value};

/// Commits what can be, and says of each partition how it went.
pub async fn answer<S: Store>(broker: &Broker<S>, asked: Asked, request: &OffsetCommit<'_>) -> Result<Reply, Refusal> {
    let may = may_commit(broker, request);
    let checked = |topic: &str, partition: &CommitPartition<'_>| may.or(check(broker, topic, partition));
    let mut codes: Vec<Vec<ErrorCode>> =
        request.topics.iter().map(|topic| topic.partitions.iter().map(|partition| checked(topic.name, partition)).collect()).collect();
    let stored = store(broker, request, &codes).await;
    let mut first = ErrorCode::None;
    let mut topics = Vec::with_capacity(request.topics.len());
    for (topic, codes) in request.topics.iter().zip(&mut codes) {
        let partitions = topic.partitions.iter().zip(codes).map(|(partition, code)| {
            *code = code.or(stored);
            first = first.or(*code);
            OffsetCommitResponsePartition::default().with_partition_index(partition.partition).with_error_code(code.number())
        });
        topics.push(OffsetCommitResponseTopic::default().with_name(topic_name(topic.name)).with_partitions(partitions.collect()));
    }
    encode(asked, first, &OffsetCommitResponse::default().with_topics(topics))
}

fn may_commit<S: Store>(broker: &Broker<S>, request: &OffsetCommit<'_>) -> ErrorCode {
    match admit(broker, request.member.group) {
        ErrorCode::None => match broker.desk.ask_now(|ticket| Event::Commit(ticket, speaker(&request.member))) {
            Answer::Plain(error) => error,
            other => unreachable!("{other:?} to whether to commit"),
        },
        error => error,
    }
}

fn check<S: Store>(broker: &Broker<S>, topic: &str, partition: &CommitPartition<'_>) -> ErrorCode {
    if partition.metadata.is_some_and(|text| text.len() > METADATA_BYTES_MAX) {
        ErrorCode::OffsetMetadataTooLarge
    } else if broker.store.state(topic, partition.partition).is_none() {
        ErrorCode::UnknownTopicOrPartition
    } else {
        ErrorCode::None
    }
}

/// Stores every partition that has no error yet; the error of all of them.
async fn store<S: Store>(broker: &Broker<S>, request: &OffsetCommit<'_>, codes: &[Vec<ErrorCode>]) -> ErrorCode {
    let committed_ms = now_ms();
    let mut entries = Vec::new();
    for (topic, codes) in request.topics.iter().zip(codes) {
        for (partition, _) in topic.partitions.iter().zip(codes).filter(|(_, code)| **code == ErrorCode::None) {
            let key = Key { group: request.member.group, topic: topic.name, partition: partition.partition };
            let (offset, leader_epoch, metadata) = (partition.offset, partition.leader_epoch, partition.metadata.unwrap_or_default());
            entries.push((key, Some(Value { offset, leader_epoch, metadata, committed_ms })));
        }
    }
    if entries.is_empty() {
        return ErrorCode::None;
    }
    let wanted = entries.iter().filter_map(|(key, value)| value.map(|value| (*key, value.metadata)));
    match broker.committed.has_room(&broker.store, &broker.limits, wanted) {
        Ok(()) => broker.committed.append(&broker.store, &entries).await.map_or_else(|error| error, |()| ErrorCode::None),
        Err(error) => error,
    }
}
