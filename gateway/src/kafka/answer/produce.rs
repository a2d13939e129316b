//! Produce: refused, partition by partition, with a reason that a producer's log will show.
//!
//! INVALID_REQUEST is permanent to every client, so a producer fails at once instead of retrying until
//! its delivery timeout. The sentence travels from version 8 on.

use kafka_protocol::messages::ProduceResponse;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::protocol::StrBytes;

use super::super::connection::Client;
use super::super::dispatch::{Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::produce::Produce;
use super::{Reply, encode, topic_name};

const MESSAGE: &str = "producing is not built into this release";

/// Refuses each partition.
pub fn answer(asked: Asked, request: &Produce<'_>) -> Result<Reply, Refusal> {
    let error = ErrorCode::InvalidRequest;
    let message = (asked.version >= 8).then(|| StrBytes::from_static_str(MESSAGE));
    let refused = |partition: &i32| {
        PartitionProduceResponse::default()
            .with_index(*partition)
            .with_error_code(error.number())
            .with_base_offset(-1)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(-1)
            .with_error_message(message.clone())
    };
    let topics = request.topics.iter().map(|topic| {
        TopicProduceResponse::default()
            .with_name(topic_name(topic.name))
            .with_partition_responses(topic.partitions.iter().map(refused).collect())
    });
    encode(asked, error, &ProduceResponse::default().with_responses(topics.collect()))
}

/// With acks 0 the client reads no answer, and one sent all the same would be taken for the answer to
/// its next request. So the log has to tell, once a connection.
pub fn on_silent(client: &mut Client) {
    if !std::mem::replace(&mut client.silent_produce_logged, true) {
        tracing::warn!(client = client.name(), "records sent with acks=0 are refused: {MESSAGE}");
    }
}
