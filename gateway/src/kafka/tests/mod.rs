//! The Kafka side over a log in memory: requests are written and answers read by the public codec.
//!
//! `answers`, `fetch`, `groups` and `produce` hand frames to the dispatcher, on paused time; `wire` speaks over sockets.

mod answers;
mod fetch;
mod groups;
mod produce;
mod wire;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader, TopicName};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer};
use tokio::sync::watch;

use super::Broker;
use super::connection::Client;
use super::dispatch::{self, Answer, Refusal};
use crate::cluster::Cluster;
use crate::counters::Counters;
use crate::limits::Limits;
use crate::memory::MemoryLog;
use crate::serve::{Advertised, Identity};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn identity() -> Identity {
    Identity { cluster_id: "cluster".to_owned(), node_id: 7, advertised: Advertised { host: "broker.example".to_owned(), port: 9092 } }
}

/// A broker and the handle that stops it.
fn broker(log: &MemoryLog, limits: Limits) -> (Broker<MemoryLog>, watch::Sender<bool>) {
    let (close, closing) = watch::channel(false);
    let broker = Broker::new(log.clone(), identity(), Cluster::default(), limits, Counters::default(), closing);
    (broker, close)
}

/// A frame without its length.
fn frame<R: Request>(version: i16, correlation: i32, body: &R) -> Bytes {
    let mut bytes = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(text("test")));
    encode_request_header_into_buffer(&mut bytes, &header).expect("a header that encodes");
    body.encode(&mut bytes, version).unwrap_or_else(|error| panic!("key {} version {version}: {error}", R::KEY));
    bytes.freeze()
}

/// Reads an answer to the last byte, its frame's length included.
fn decode<R: Request>(version: i16, correlation: i32, mut bytes: Bytes) -> R::Response {
    let length = usize::try_from(bytes.get_i32()).expect("a length");
    assert_eq!(length, bytes.len(), "the frame's length");
    let header_version = R::Response::header_version(version);
    let header = ResponseHeader::decode(&mut bytes, header_version).expect("a header");
    assert_eq!(header.correlation_id, correlation);
    let body = R::Response::decode(&mut bytes, version).unwrap_or_else(|error| panic!("key {} version {version}: {error}", R::KEY));
    assert!(bytes.is_empty(), "{} bytes after the answer", bytes.len());
    body
}

/// What the broker makes of a request.
async fn outcome<R: Request>(broker: &Broker<MemoryLog>, version: i16, body: &R) -> Result<Answer, Refusal> {
    let bytes = frame(version, 42, body);
    let answered = dispatch::answer(broker, &mut Client::default(), &bytes).await;
    answered.map(|(_, answer)| answer)
}

/// The answer to a request.
async fn ask<R: Request>(broker: &Broker<MemoryLog>, version: i16, body: &R) -> R::Response {
    match outcome(broker, version, body).await {
        Ok(Answer::Reply(reply)) => decode::<R>(version, 42, reply.parts.concat().into()),
        other => panic!("key {} version {version}: {other:?}", R::KEY),
    }
}
