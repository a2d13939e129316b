//! Metadata: the brokers of the pair, who of them leads everything, and the topics.
//!
//! A topic that does not exist is made where the client allows it, and answered once it is durable; a node that stands by has the leader
//! make it, and the client asks again until it is known here. Each name is answered once however often it
//! was asked: with a name of one byte repeated through the frame, the answer would otherwise be
//! thousands of times as large as the question.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{BrokerId, MetadataResponse};

use super::super::dispatch::{Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::forward;
use super::super::request::metadata::{Metadata, TopicAsked};
use super::{PARTITIONS_DEFAULT, Reply, create_topics, encode, text, topic_name};
use crate::cluster::{Broker, Cluster};
use crate::serve::Identity;
use crate::store::{CreateError, Store, Topic};
use headworks_format::committed::STREAM;

/// Who has what.
struct Led {
    leader: Option<i32>,
    in_sync: Vec<i32>,
    all: Vec<i32>,
}

/// What stands where no broker is known.
const NOBODY: i32 = -1;

fn ids(cluster: &Cluster, identity: &Identity) -> Vec<i32> {
    cluster.brokers(identity).iter().map(|broker| broker.id).collect()
}

/// Answers for the topics asked, or for all of them.
pub async fn answer<S: Store>(
    store: &S,
    identity: &Identity,
    cluster: &Cluster,
    asked: Asked,
    request: &Metadata<'_>,
) -> Result<Reply, Refusal> {
    let led = &Led { leader: cluster.leader(identity), in_sync: cluster.in_sync(identity), all: ids(cluster, identity) };
    let missing = if request.may_create { missing(store, request) } else { BTreeSet::new() };
    let refused = match cluster.other() {
        _ if missing.is_empty() => BTreeMap::new(),
        _ if cluster.leads() => create(store, missing).await,
        Some(leader) => forward::create(&leader, &missing).await,
        None => BTreeMap::new(),
    };
    let known = store.topics();
    let topics: Vec<_> = match &request.topics {
        None => known.iter().map(|topic| described(store, led, topic)).collect(),
        Some(topics) => chosen(store, led, &known, &refused, topics),
    };
    // Version 0 has no field for it.
    let internal = |topic: MetadataResponseTopic| {
        let is_internal = asked.version >= 1 && topic.name.as_ref().is_some_and(|name| name.0 == *STREAM);
        topic.with_is_internal(is_internal)
    };
    let error = topics.iter().fold(ErrorCode::None, |first, (error, _)| first.or(*error));
    let broker = |broker: Broker| {
        let known = MetadataResponseBroker::default().with_node_id(BrokerId(broker.id));
        known.with_host(text(&broker.host)).with_port(i32::from(broker.port))
    };
    let body = MetadataResponse::default()
        .with_brokers(cluster.brokers(identity).into_iter().map(broker).collect())
        .with_cluster_id(Some(text(&identity.cluster_id)))
        .with_controller_id(BrokerId(led.leader.unwrap_or(NOBODY)))
        .with_topics(topics.into_iter().map(|(_, topic)| internal(topic)).collect());
    encode(asked, error, &body)
}

/// The topics that are asked for by name and are not there.
fn missing<'a, S: Store>(store: &S, request: &Metadata<'a>) -> BTreeSet<&'a str> {
    let known: BTreeSet<String> = store.topics().into_iter().map(|topic| topic.name).collect();
    let asked = request.topics.iter().flatten().filter_map(|asked| asked.name);
    asked.filter(|name| *name != STREAM && !known.contains(*name)).collect()
}

/// Makes topics; the code for each that could not be made.
async fn create<'a, S: Store>(store: &S, names: BTreeSet<&'a str>) -> BTreeMap<&'a str, ErrorCode> {
    let mut refused = BTreeMap::new();
    for name in names {
        match store.create_topic(name, PARTITIONS_DEFAULT).await {
            // Another client was a moment faster.
            Ok(()) | Err(CreateError::Exists) => {}
            Err(error) => {
                refused.insert(name, create_topics::refused(error).0);
            }
        }
    }
    refused
}

fn chosen<S: Store>(
    store: &S,
    led: &Led,
    known: &[Topic],
    refused: &BTreeMap<&str, ErrorCode>,
    topics: &[TopicAsked<'_>],
) -> Vec<(ErrorCode, MetadataResponseTopic)> {
    let by_name: BTreeMap<&str, &Topic> = known.iter().map(|topic| (topic.name.as_str(), topic)).collect();
    let mut answered = BTreeSet::new();
    topics
        .iter()
        .filter(|asked| answered.insert((asked.name, asked.id)))
        .map(|asked| match asked.name {
            Some(name) => {
                by_name.get(name).map_or_else(|| unknown_name(name, refused.get(name).copied()), |topic| described(store, led, topic))
            }
            None => unknown_id(asked.id),
        })
        .collect()
}

fn described<S: Store>(store: &S, led: &Led, topic: &Topic) -> (ErrorCode, MetadataResponseTopic) {
    let brokers = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
    // While nobody is known to lead a client is to ask again.
    let error = led.leader.map_or(ErrorCode::LeaderNotAvailable, |_| ErrorCode::None);
    let partitions = (0..topic.partitions)
        .filter_map(|partition| {
            let state = store.state(&topic.name, partition)?;
            Some(
                MetadataResponsePartition::default()
                    .with_partition_index(partition)
                    .with_error_code(error.number())
                    .with_leader_id(BrokerId(led.leader.unwrap_or(NOBODY)))
                    .with_leader_epoch(state.leader_epoch)
                    .with_replica_nodes(brokers(&led.all))
                    .with_isr_nodes(brokers(&led.in_sync)),
            )
        })
        .collect();
    let topic = MetadataResponseTopic::default().with_name(Some(topic_name(&topic.name))).with_partitions(partitions);
    (ErrorCode::None, topic)
}

fn unknown_name(name: &str, refused: Option<ErrorCode>) -> (ErrorCode, MetadataResponseTopic) {
    let error = refused.unwrap_or(ErrorCode::UnknownTopicOrPartition);
    let topic = MetadataResponseTopic::default().with_error_code(error.number()).with_name(Some(topic_name(name)));
    (error, topic)
}

/// Topics have no ids yet, so a topic asked by id alone is an unknown one. Its name may be null only
/// from version 12 on; an empty one can be read in every version.
fn unknown_id(id: [u8; 16]) -> (ErrorCode, MetadataResponseTopic) {
    let error = ErrorCode::UnknownTopicId;
    let topic = MetadataResponseTopic::default()
        .with_error_code(error.number())
        .with_name(Some(topic_name("")))
        .with_topic_id(uuid::Uuid::from_bytes(id));
    (error, topic)
}
