//! Topics that a client of the standby asks for: they are made by the one who leads.
//!
//! A client asks for a new topic wherever it is connected, and stays there until the topic is known. So a node that does not lead asks
//! the leader, with CreateTopics. Whoever does not lead refuses that request, so it is handed on once at most.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::{ApiKey, CreateTopicsRequest, CreateTopicsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, encode_request_header_into_buffer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::{text, topic_name};
use super::errors::ErrorCode;
use crate::cluster::Broker;

/// The last version without tagged fields: its heads are the shortest.
const VERSION: i16 = 4;
/// How long the leader may take, its disk included.
const ANSWER_MAX: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Has the leader make topics; what the client is to be told of each until it is known here.
pub async fn create<'a>(leader: &Broker, names: &BTreeSet<&'a str>) -> BTreeMap<&'a str, ErrorCode> {
    let asked = tokio::time::timeout(ANSWER_MAX, ask(leader, names)).await;
    let answer = asked.unwrap_or_else(|late| Err(late.into())).unwrap_or_else(|error| {
        tracing::debug!(%error, host = leader.host, port = leader.port, "the leader was asked for topics in vain");
        CreateTopicsResponse::default()
    });
    let said: BTreeMap<&str, i16> = answer.topics.iter().map(|topic| (topic.name.0.as_str(), topic.error_code)).collect();
    let told = |name: &str| match said.get(name) {
        Some(code) if *code == ErrorCode::InvalidTopic.number() => ErrorCode::InvalidTopic,
        // Made, or there already, or to be asked for again: in any case it is not here yet.
        _ => ErrorCode::LeaderNotAvailable,
    };
    names.iter().map(|name| (*name, told(name))).collect()
}

async fn ask(leader: &Broker, names: &BTreeSet<&str>) -> io::Result<CreateTopicsResponse> {
    let mut stream = TcpStream::connect((leader.host.as_str(), leader.port)).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&request(names).map_err(io::Error::other)?).await?;
    let length = usize::try_from(stream.read_i32().await?).unwrap_or(usize::MAX);
    if length > ANSWER_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of {length} bytes")));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    let mut answer = Bytes::from(answer);
    let head = ResponseHeader::decode(&mut answer, 0);
    head.and_then(|_| CreateTopicsResponse::decode(&mut answer, VERSION)).map_err(io::Error::other)
}

/// A frame that asks for the topics, as many partitions each as the leader likes.
fn request(names: &BTreeSet<&str>) -> Result<Bytes, String> {
    let wanted = |name: &&str| CreatableTopic::default().with_name(topic_name(name)).with_num_partitions(-1).with_replication_factor(-1);
    let timeout_ms = i32::try_from(ANSWER_MAX.as_millis()).expect("two seconds");
    let body = CreateTopicsRequest::default().with_topics(names.iter().map(wanted).collect()).with_timeout_ms(timeout_ms);
    let header = RequestHeader::default()
        .with_request_api_key(ApiKey::CreateTopics as i16)
        .with_request_api_version(VERSION)
        .with_client_id(Some(text("headworks-standby")));
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    encode_request_header_into_buffer(&mut frame, &header).map_err(|error| error.to_string())?;
    body.encode(&mut frame, VERSION).map_err(|error| error.to_string())?;
    let length = i32::try_from(frame.len() - 4).map_err(|_| format!("{} bytes do not fit a frame", frame.len()))?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame.freeze())
}
