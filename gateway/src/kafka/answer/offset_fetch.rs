//! OffsetFetch: what a group has committed; offset -1 and no error where it has not.

use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, OffsetFetchResponse};
use std::collections::HashSet;

use super::super::broker::Broker;
use super::super::dispatch::{Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::offset_fetch::{FetchGroup, OffsetFetch, OffsetTopic};
use super::group::admit;
use super::{Reply, encode, text, topic_name};
use crate::groups::{Entry, Table};
use crate::store::Store;

/// First version with an error for the whole group.
const GROUP_ERROR_VERSION_MIN: i16 = 2;
/// First version with several groups.
const GROUPS_VERSION_MIN: i16 = 8;

/// What is found of one topic.
type Found<'a> = (&'a str, Vec<(i32, Option<&'a Entry>)>);

/// Answers each group.
pub fn answer<S: Store>(broker: &Broker<S>, asked: Asked, request: &OffsetFetch<'_>) -> Result<Reply, Refusal> {
    let mut seen = HashSet::new();
    let asked_groups: Vec<&FetchGroup<'_>> = request.groups.iter().filter(|group| seen.insert(group.group)).collect();
    let codes: Vec<ErrorCode> = asked_groups.iter().map(|group| admit(broker, group.group)).collect();
    let first = codes.iter().fold(ErrorCode::None, |first, error| first.or(*error));
    let nothing = Table::default();
    let known = broker.committed.table(&broker.store);
    let table: &Table = known.as_deref().unwrap_or(&nothing);
    if asked.version >= GROUPS_VERSION_MIN {
        let groups = asked_groups.iter().zip(&codes).map(|(group, error)| several(table, group, *error));
        return encode(asked, first, &OffsetFetchResponse::default().with_groups(groups.collect()));
    }
    let group = asked_groups.first().expect("one group before version 8");
    let topics = if first == ErrorCode::None || asked.version < GROUP_ERROR_VERSION_MIN { found(table, group) } else { Vec::new() };
    let error = if asked.version >= GROUP_ERROR_VERSION_MIN { first } else { ErrorCode::None };
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(partition, entry)| {
            let response = OffsetFetchResponsePartition::default()
                .with_partition_index(partition)
                .with_committed_offset(entry.map_or(-1, |entry| entry.offset))
                .with_metadata(Some(text(entry.map_or("", |entry| &entry.metadata))))
                .with_error_code(if asked.version < GROUP_ERROR_VERSION_MIN { first.number() } else { 0 });
            let epoch = entry.map_or(-1, |entry| entry.leader_epoch);
            if asked.version >= 5 { response.with_committed_leader_epoch(epoch) } else { response }
        });
        OffsetFetchResponseTopic::default().with_name(topic_name(name)).with_partitions(partitions.collect())
    });
    let body = OffsetFetchResponse::default().with_error_code(error.number()).with_topics(topics.collect());
    encode(asked, first, &body)
}

fn several(table: &Table, group: &FetchGroup<'_>, error: ErrorCode) -> OffsetFetchResponseGroup {
    let topics = if error == ErrorCode::None { found(table, group) } else { Vec::new() };
    let topics = topics.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(partition, entry)| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(partition)
                .with_committed_offset(entry.map_or(-1, |entry| entry.offset))
                .with_committed_leader_epoch(entry.map_or(-1, |entry| entry.leader_epoch))
                .with_metadata(Some(text(entry.map_or("", |entry| &entry.metadata))))
        });
        OffsetFetchResponseTopics::default().with_name(topic_name(name)).with_partitions(partitions.collect())
    });
    OffsetFetchResponseGroup::default()
        .with_group_id(GroupId(text(group.group)))
        .with_topics(topics.collect())
        .with_error_code(error.number())
}

/// What was asked for in that order, each once, or all there is: an answer is never much larger than its question and what is kept.
fn found<'a>(table: &'a Table, group: &FetchGroup<'a>) -> Vec<Found<'a>> {
    match &group.topics {
        Some(topics) => {
            let mut seen = HashSet::new();
            let mut entries = |topic: &OffsetTopic<'a>| {
                let asked = topic.partitions.iter().filter(|partition| seen.insert((topic.name, **partition)));
                asked.map(|partition| (*partition, table.get(group.group, topic.name, *partition))).collect()
            };
            topics.iter().map(|topic| (topic.name, entries(topic))).collect()
        }
        None => {
            let all = table.of_group(group.group);
            all.map(|(topic, partitions)| (topic, partitions.iter().map(|(partition, entry)| (*partition, Some(entry))).collect()))
                .collect()
        }
    }
}
