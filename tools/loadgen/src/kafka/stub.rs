//! A Kafka server of a few lines, for what a real one does not do on request: lie, stop, break off.
//!
//! It serves one topic from memory; the behaviour against a real server is tested with one.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, FetchRequest, FetchResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
    MetadataResponse, RequestHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes, decode_request_header_from_buffer};

/// One partition: batches by their base offset, and where it ends.
#[derive(Debug, Clone, Default)]
pub struct Partition {
    /// First offset.
    pub log_start: i64,
    /// Offset after the last.
    pub high_watermark: i64,
    /// Batches, in order.
    pub batches: Vec<(i64, Vec<u8>)>,
    /// Error of every fetch.
    pub fetch_error: i16,
}

/// What the server holds and how it behaves.
#[derive(Debug, Clone, Default)]
pub struct Stub {
    /// The topic `events`.
    pub partitions: Vec<Partition>,
    /// Highest versions it knows of Metadata, ListOffsets and Fetch; 0 stands for 4, 1 and 4.
    pub highest: [i16; 3],
    /// Error of the topic in Metadata.
    pub topic_error: i16,
    /// Closes the connection instead of this answer, counted from 0.
    pub closes_at: Option<usize>,
    /// How many questions for an offset it does not know the answer to yet.
    pub unsettled: Arc<AtomicUsize>,
    /// Batches in one answer; 0 stands for all.
    pub batches_a_fetch: usize,
}

impl Stub {
    /// Serves until the process ends; the address.
    pub fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stub = Arc::new(self);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stub, port) = (Arc::clone(&stub), i32::from(address.port()));
                thread::spawn(move || stub.converse(stream.unwrap(), port));
            }
        });
        address.to_string()
    }

    fn converse(&self, mut stream: TcpStream, port: i32) {
        for answered in 0.. {
            let mut length = [0; 4];
            if stream.read_exact(&mut length).is_err() || self.closes_at == Some(answered) {
                return;
            }
            let mut request = BytesMut::zeroed(usize::try_from(i32::from_be_bytes(length)).unwrap());
            stream.read_exact(&mut request).unwrap();
            let answer = self.answer(request.freeze(), port);
            let length = i32::try_from(answer.len()).unwrap();
            stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).unwrap();
        }
    }

    fn answer(&self, mut request: Bytes, port: i32) -> Bytes {
        let header: RequestHeader = decode_request_header_from_buffer(&mut request).unwrap();
        let version = header.request_api_version;
        let mut answer = BytesMut::from(&header.correlation_id.to_be_bytes()[..]);
        match ApiKey::try_from(header.request_api_key).unwrap() {
            ApiKey::ApiVersions => self.versions().encode(&mut answer, version),
            ApiKey::Metadata => {
                MetadataRequest::decode(&mut request, version).unwrap();
                self.metadata(port).encode(&mut answer, version)
            }
            ApiKey::ListOffsets => {
                let request = ListOffsetsRequest::decode(&mut request, version).unwrap();
                self.offsets(&request).encode(&mut answer, version)
            }
            ApiKey::Fetch => {
                let request = FetchRequest::decode(&mut request, version).unwrap();
                self.fetch(&request).encode(&mut answer, version)
            }
            other => panic!("asked for {other:?}"),
        }
        .unwrap();
        answer.freeze()
    }

    fn versions(&self) -> ApiVersionsResponse {
        let keys = [(ApiKey::Metadata, 4), (ApiKey::ListOffsets, 1), (ApiKey::Fetch, 4)];
        let keys = keys.iter().zip(self.highest).map(|((key, lowest), highest)| {
            let max = if highest == 0 { *lowest } else { highest };
            ApiVersion::default().with_api_key(*key as i16).with_max_version(max)
        });
        ApiVersionsResponse::default().with_api_keys(keys.collect())
    }

    fn metadata(&self, port: i32) -> MetadataResponse {
        let broker =
            MetadataResponseBroker::default().with_node_id(BrokerId(7)).with_host(StrBytes::from_static_str("127.0.0.1")).with_port(port);
        let partitions = (0..)
            .zip(&self.partitions)
            .map(|(index, _)| MetadataResponsePartition::default().with_partition_index(index).with_leader_id(BrokerId(7)));
        let topic = MetadataResponseTopic::default()
            .with_name(Some(StrBytes::from_static_str("events").into()))
            .with_error_code(self.topic_error)
            .with_partitions(partitions.collect());
        MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![topic])
    }

    fn offsets(&self, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let asked = &request.topics[0].partitions[0];
        let partition = &self.partitions[usize::try_from(asked.partition_index).unwrap()];
        let take = |left: usize| left.checked_sub(1);
        let is_unsettled = self.unsettled.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        let bounds = BTreeMap::from([(-2, partition.log_start), (-1, partition.high_watermark)]);
        let answer =
            ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index).with_offset(bounds[&asked.timestamp]);
        let answer = if is_unsettled { answer.with_error_code(5).with_offset(-1) } else { answer };
        let topic = ListOffsetsTopicResponse::default().with_name(request.topics[0].name.clone()).with_partitions(vec![answer]);
        ListOffsetsResponse::default().with_topics(vec![topic])
    }

    fn fetch(&self, request: &FetchRequest) -> FetchResponse {
        let asked = &request.topics[0].partitions[0];
        let partition = &self.partitions[usize::try_from(asked.partition).unwrap()];
        // The batch that holds the offset is the last that begins no later.
        let from = partition.batches.partition_point(|(base, _)| *base <= asked.fetch_offset);
        let wanted = partition.batches[from.saturating_sub(1)..].iter();
        let limit = if self.batches_a_fetch == 0 { usize::MAX } else { self.batches_a_fetch };
        let records: Vec<u8> = wanted.take(limit).flat_map(|(_, batch)| batch.clone()).collect();
        let answer = PartitionData::default()
            .with_partition_index(asked.partition)
            .with_error_code(partition.fetch_error)
            .with_high_watermark(partition.high_watermark)
            .with_records(Some(Bytes::from(records)));
        let topic = FetchableTopicResponse::default().with_topic(request.topics[0].topic.clone()).with_partitions(vec![answer]);
        FetchResponse::default().with_responses(vec![topic])
    }
}
