//! A Kafka consumer with nothing between it and the wire: one request, its answer, decoded by the public codec.
//!
//! Versions are fixed below the flexible ones, so that answers have the short header. The codec checks each batch's CRC itself, which makes
//! it a judge that is independent of the appliance's own reader.

use super::wait;
use bytes::{Buf as _, Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, GroupId, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
    OffsetForLeaderEpochRequest, RequestHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable as _, Encodable as _, Request, StrBytes};
use kafka_protocol::records::{Record, RecordBatchDecoder};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Means the oldest offset when asked for a time.
pub const EARLIEST: i64 = -2;
/// Means the high watermark when asked for a time.
pub const LATEST: i64 = -1;
/// Error code of an offset that is not held.
pub const OFFSET_OUT_OF_RANGE: i16 = 1;

const METADATA: i16 = 8;
const LIST_OFFSETS: i16 = 5;
const FETCH: i16 = 11;
const OFFSET_FOR_LEADER_EPOCH: i16 = 3;

const OFFSET_COMMIT: i16 = 4;
const OFFSET_FETCH: i16 = 5;
const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;

const FETCH_BYTES: i32 = 4 << 20;
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Fetches below the high watermark that may come back empty in a row.
const EMPTY_MAX: usize = 20;

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    asked: i32,
}

/// What a fetch of one partition brought.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// 0, or the protocol's error.
    pub error: i16,
    /// One past the last committed offset.
    pub high_watermark: i64,
    /// The oldest offset.
    pub log_start: i64,
    /// Whole batches.
    pub batches: Bytes,
}

impl Client {
    /// Connects.
    pub fn open(address: SocketAddr) -> Client {
        Client::try_open(address).unwrap_or_else(|error| panic!("no Kafka connection to {address}: {error}"))
    }

    /// Connects, where the node may be gone.
    pub fn try_open(address: SocketAddr) -> std::io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, SILENCE_MAX)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, asked: 0 })
    }

    fn ask<R: Request>(&mut self, request: &R, version: i16) -> std::io::Result<R::Response> {
        self.send(request, version)?;
        self.receive::<R>(self.asked, version)
    }

    fn send<R: Request>(&mut self, request: &R, version: i16) -> std::io::Result<()> {
        self.asked += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.asked)
            .with_client_id(Some(StrBytes::from_static_str("headworks-tests")));
        let mut frame = BytesMut::zeroed(4);
        header.encode(&mut frame, R::header_version(version)).expect("a header encodes");
        request.encode(&mut frame, version).expect("a request encodes");
        let length = i32::try_from(frame.len() - 4).expect("requests are small");
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame)
    }

    fn receive<R: Request>(&mut self, wanted: i32, version: i16) -> std::io::Result<R::Response> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut answer = BytesMut::zeroed(usize::try_from(i32::from_be_bytes(length)).expect("a length"));
        self.stream.read_exact(&mut answer)?;
        let mut answer = answer.freeze();
        let correlation = answer.get_i32();
        assert_eq!(correlation, wanted, "answer to {correlation}, wanted that to {wanted}");
        let body = R::Response::decode(&mut answer, version).expect("an answer decodes");
        assert!(!answer.has_remaining(), "{} bytes left over", answer.remaining());
        Ok(body)
    }

    /// Partitions of a topic, each with a leader.
    pub fn partitions(&mut self, topic: &str) -> Vec<i32> {
        let asked = MetadataRequestTopic::default().with_name(Some(name(topic)));
        let request = MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false);
        let answer = self.ask(&request, METADATA).expect("Metadata is answered");
        let topic = answer.topics.first().expect("the topic asked for");
        assert_eq!(topic.error_code, 0, "error {} of 0 for {topic:?}", topic.error_code);
        topic.partitions.iter().map(|partition| partition.partition_index).collect()
    }

    /// The cluster's id: the pair's 128 bits in 22 digits of six, the last two of which are padding.
    pub fn cluster(&mut self) -> u128 {
        let answer = self.ask(&MetadataRequest::default().with_topics(Some(Vec::new())), METADATA).expect("Metadata is answered");
        let id = answer.cluster_id.expect("a cluster has an id");
        let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let value = |digit: char| digits.find(digit).expect("a digit of base 64") as u128;
        id.chars().take(21).fold(0, |sum, digit| sum << 6 | value(digit)) << 2 | id.chars().last().map_or(0, value) >> 4
    }

    /// Offset and timestamp at a time in ms, or at [`EARLIEST`] or [`LATEST`]; (-1, -1) where there is none.
    pub fn offset_at(&mut self, topic: &str, partition: i32, time_ms: i64) -> (i64, i64) {
        let asked = ListOffsetsPartition::default().with_partition_index(partition).with_current_leader_epoch(-1).with_timestamp(time_ms);
        let topic = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![asked]);
        let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
        let answer = self.ask(&request, LIST_OFFSETS).expect("ListOffsets is answered");
        let found = &answer.topics[0].partitions[0];
        assert_eq!(found.error_code, 0, "error {} of 0 for time {time_ms}", found.error_code);
        (found.offset, found.timestamp)
    }

    /// Last epoch at or below the one asked, and its end offset.
    pub fn end_of_epoch(&mut self, topic: &str, partition: i32, epoch: i32) -> (i32, i64) {
        let asked = OffsetForLeaderPartition::default().with_partition(partition).with_current_leader_epoch(-1).with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default().with_topic(name(topic)).with_partitions(vec![asked]);
        let request = OffsetForLeaderEpochRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
        let answer = self.ask(&request, OFFSET_FOR_LEADER_EPOCH).expect("OffsetForLeaderEpoch is answered");
        let found = &answer.topics[0].partitions[0];
        assert_eq!(found.error_code, 0, "error {} of 0 for epoch {epoch}", found.error_code);
        (found.leader_epoch, found.end_offset)
    }

    /// One fetch that waits up to `wait_ms` for a byte.
    pub fn fetch(&mut self, topic: &str, partition: i32, offset: i64, wait_ms: i32) -> Fetched {
        self.try_fetch(topic, partition, offset, wait_ms).expect("Fetch is answered")
    }

    /// The same, where the node may be gone.
    pub fn try_fetch(&mut self, topic: &str, partition: i32, offset: i64, wait_ms: i32) -> std::io::Result<Fetched> {
        let answer = self.ask(&fetch(topic, partition, offset, wait_ms), FETCH)?;
        assert_eq!(answer.error_code, 0, "error {} of 0 for the whole fetch", answer.error_code);
        let found = answer.responses.into_iter().flat_map(|topic| topic.partitions).next().expect("the partition asked for");
        Ok(Fetched {
            error: found.error_code,
            high_watermark: found.high_watermark,
            log_start: found.log_start_offset,
            batches: found.records.unwrap_or_default(),
        })
    }

    /// Asks for records that often and reads none of the answers: a consumer that has stalled.
    pub fn stall(&mut self, topic: &str, partition: i32, offset: i64, times: usize) {
        for _ in 0..times {
            self.send(&fetch(topic, partition, offset, 0), FETCH).expect("requests are small");
        }
    }

    /// Every record between log start and high watermark as they stand now, in the order of delivery.
    pub fn read_all(&mut self, topic: &str, partition: i32) -> Vec<Record> {
        let (end, _) = self.offset_at(topic, partition, LATEST);
        let (start, _) = self.offset_at(topic, partition, EARLIEST);
        self.read(topic, partition, start, end)
    }

    /// Every record from `start` up to `end`.
    pub fn read(&mut self, topic: &str, partition: i32, start: i64, end: i64) -> Vec<Record> {
        let mut records = Vec::new();
        self.read_batches(topic, partition, start, end, |_, batch| records.extend(decoded(batch)));
        records.retain(|record: &Record| (start..end).contains(&record.offset));
        records
    }

    /// Hands over every batch as it came, with its base offset, from the one that holds `start` until `end` is reached.
    pub fn read_batches(&mut self, topic: &str, partition: i32, start: i64, end: i64, mut on_batch: impl FnMut(i64, Bytes)) {
        let (mut next, mut empty) = (start, 0);
        while next < end {
            let fetched = self.fetch(topic, partition, next, 500);
            assert_eq!(fetched.error, 0, "error {} of 0 at offset {next} of {topic}/{partition}", fetched.error);
            empty = if fetched.batches.is_empty() { empty + 1 } else { 0 };
            assert!(empty < EMPTY_MAX, "{empty} empty fetches at offset {next} of {topic}/{partition}, which ends at {end}");
            for (base, behind, batch) in split(fetched.batches) {
                on_batch(base, batch);
                next = next.max(behind);
            }
        }
    }
}

impl Client {
    /// Commits an offset as who assigns partitions by hand does.
    pub fn commit(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        let asked = OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(StrBytes::from_static_str("")));
        let topic = OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![asked]);
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(group.to_owned())))
            .with_generation_id_or_member_epoch(-1)
            .with_retention_time_ms(-1)
            .with_topics(vec![topic]);
        wait::until("the offset is committed", || {
            let answer = self.ask(&request, OFFSET_COMMIT).expect("OffsetCommit is answered");
            settled(answer.topics[0].partitions[0].error_code)
        });
    }

    /// The offset that a group has committed, -1 for none.
    pub fn committed(&mut self, group: &str, topic: &str, partition: i32) -> i64 {
        let topic = OffsetFetchRequestTopic::default().with_name(name(topic)).with_partition_indexes(vec![partition]);
        let group = GroupId(StrBytes::from_string(group.to_owned()));
        let request = OffsetFetchRequest::default().with_group_id(group).with_topics(Some(vec![topic]));
        wait::until("committed offsets are known", || {
            let answer = self.ask(&request, OFFSET_FETCH).expect("OffsetFetch is answered");
            settled(answer.error_code)?;
            Ok(answer.topics[0].partitions[0].committed_offset)
        })
    }
}

/// Whether a group request went well; while the node still reads what is committed it is tried again.
fn settled(error: i16) -> Result<(), String> {
    assert!(error == 0 || error == COORDINATOR_LOAD_IN_PROGRESS, "error {error} of 0");
    if error == 0 { Ok(()) } else { Err(format!("error {error}")) }
}

/// Whole batches with their base offsets and the offset behind them.
pub fn split(mut bytes: Bytes) -> Vec<(i64, i64, Bytes)> {
    let mut batches = Vec::new();
    while !bytes.is_empty() {
        assert!(bytes.len() >= 61, "{} bytes left, a batch has at least 61", bytes.len());
        let mut head = bytes.clone();
        let (base, length) = (head.get_i64(), usize::try_from(head.get_i32()).expect("a length") + 12);
        assert!(bytes.len() >= length, "{} bytes left of a batch of {length}", bytes.len());
        let last = i64::from(i32::from_be_bytes(bytes[23..27].try_into().expect("four bytes")));
        batches.push((base, base + last + 1, bytes.split_to(length)));
    }
    batches
}

/// The records of one batch, its CRC checked.
pub fn decoded(mut batch: Bytes) -> Vec<Record> {
    RecordBatchDecoder::decode(&mut batch).expect("a batch that is served holds").records
}

fn fetch(topic: &str, partition: i32, offset: i64, wait_ms: i32) -> FetchRequest {
    let asked = FetchPartition::default()
        .with_partition(partition)
        .with_current_leader_epoch(-1)
        .with_fetch_offset(offset)
        .with_log_start_offset(-1)
        .with_partition_max_bytes(FETCH_BYTES);
    let topic = FetchTopic::default().with_topic(name(topic)).with_partitions(vec![asked]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(FETCH_BYTES)
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

fn name(topic: &str) -> TopicName {
    TopicName::from(StrBytes::from_string(topic.to_owned()))
}
