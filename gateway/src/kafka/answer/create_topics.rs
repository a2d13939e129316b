//! CreateTopics: each topic by itself; what is answered as made is durable.

use kafka_protocol::messages::CreateTopicsResponse;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;

use super::super::dispatch::{Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::create_topics::{CreateTopics, TopicWanted};
use super::{PARTITIONS_DEFAULT, Reply, encode, text, topic_name};
use crate::store::{CreateError, Store};
use headworks_format::committed::STREAM;

/// Makes the topics one after the other.
pub async fn answer<S: Store>(store: &S, asked: Asked, request: &CreateTopics<'_>) -> Result<Reply, Refusal> {
    let mut first = ErrorCode::None;
    let mut made = Vec::with_capacity(request.topics.len());
    for wanted in &request.topics {
        let partitions = if wanted.partitions == -1 { PARTITIONS_DEFAULT } else { wanted.partitions };
        let outcome = make(store, wanted, partitions, request.validate_only).await;
        let (error, message) = outcome.map_or_else(|(error, message)| (error, Some(text(&message))), |()| (ErrorCode::None, None));
        first = first.or(error);
        let result = CreatableTopicResult::default()
            .with_name(topic_name(wanted.name))
            .with_error_code(error.number())
            .with_error_message(message)
            .with_topic_config_error_code(0);
        made.push(if asked.version >= 5 && error == ErrorCode::None {
            result.with_num_partitions(partitions).with_replication_factor(1).with_configs(Some(Vec::new()))
        } else {
            result
        });
    }
    encode(asked, first, &CreateTopicsResponse::default().with_topics(made))
}

async fn make<S: Store>(store: &S, wanted: &TopicWanted<'_>, partitions: i32, only_say: bool) -> Result<(), (ErrorCode, String)> {
    if wanted.assigned > 0 {
        return Err((ErrorCode::InvalidRequest, "partitions are not assigned to brokers by hand here".to_owned()));
    }
    if !matches!(wanted.replicas, -1 | 1) {
        return Err((ErrorCode::InvalidReplicationFactor, format!("{} copies: ask for 1 or -1", wanted.replicas)));
    }
    if let Some(setting) = wanted.settings.first() {
        return Err((ErrorCode::InvalidConfig, format!("topics have no settings of their own, so not {setting}: retention is the log's")));
    }
    if wanted.name == STREAM {
        return Err((ErrorCode::InvalidTopic, format!("{STREAM} is made by the appliance, with the first offset that is committed")));
    }
    if only_say {
        let there = store.topics().iter().any(|topic| topic.name == wanted.name);
        return if there { Err(refused(CreateError::Exists)) } else { Ok(()) };
    }
    store.create_topic(wanted.name, partitions).await.map_err(refused)
}

/// The protocol's code for a topic that was not made.
pub fn refused(error: CreateError) -> (ErrorCode, String) {
    let code = match error {
        CreateError::Exists => ErrorCode::TopicAlreadyExists,
        CreateError::Name => ErrorCode::InvalidTopic,
        CreateError::Partitions { .. } => ErrorCode::InvalidPartitions,
        CreateError::NotLeader => ErrorCode::NotController,
        CreateError::Interrupted => ErrorCode::RequestTimedOut,
    };
    (code, error.to_string())
}
