//! A whole topic, every partition from its start to its high watermark as it stands when reading begins.
//!
//! The end is fixed at the start: a topic that grows meanwhile is not chased. Partitions are read one
//! after the other, so records come in the order of their partition. A batch that fails its CRC is handed
//! over as damage, and reading goes on behind it where its length and counts can be believed.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{BrokerId, FetchRequest, ListOffsetsRequest, MetadataRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::KafkaError;
use super::batch::{self, Batch, BatchError};
use super::wire::{Connection, expect_none};

#[cfg(test)]
mod tests;

/// Bytes asked for at once: many batches, and a fraction of a second at any speed.
const FETCH_BYTES: i32 = 8 << 20;

/// How long the server may wait for bytes; none are awaited below the high watermark.
const FETCH_WAIT_MS: i32 = 500;

/// Fetches in a row that may come back empty below the high watermark before reading gives up.
const EMPTY_FETCHES_MAX: u32 = 20;

/// `LEADER_NOT_AVAILABLE` and `OFFSET_NOT_AVAILABLE`.
const NOT_YET: [i16; 2] = [5, 78];
/// How often an end is asked for, and how long to wait in between: ten seconds.
const ASKED_MAX: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// A partition and the bounds of what is read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its number.
    pub partition: i32,
    /// First offset there.
    pub log_start: i64,
    /// Offset after the last committed record, at the start of reading.
    pub high_watermark: i64,
    leader: i32,
}

#[cfg(test)]
impl Extent {
    /// Of a partition whose leader is of no matter.
    pub fn new(partition: i32, log_start: i64, high_watermark: i64) -> Self {
        Self { partition, log_start, high_watermark, leader: 0 }
    }
}

/// What reading comes upon.
#[derive(Debug)]
pub enum Found<'a> {
    /// A batch whose CRC matches, opened or not.
    Batch(Batch<'a>),
    /// Offsets that no batch holds.
    Gap {
        /// First of them.
        from: i64,
        /// The one after the last.
        to: i64,
    },
    /// A batch that is not what was written.
    Damage(BatchError),
}

/// A topic whose partitions and their ends are known.
#[derive(Debug)]
pub struct Topic {
    name: TopicName,
    connections: BTreeMap<i32, Connection>,
    extents: Vec<Extent>,
}

impl Topic {
    /// Finds partitions, their leaders, and the bounds of each, by the first of the servers that knows them.
    ///
    /// # Errors
    /// No server can be reached, knows the topic, and knows a leader of each partition that answers: what the last one
    /// said.
    pub fn open(bootstrap: &[String], name: &str) -> Result<Self, KafkaError> {
        let name = TopicName::from(StrBytes::from_string(name.to_owned()));
        let mut connections = BTreeMap::new();
        let mut found = Err(KafkaError::Refused("no server is named".to_owned()));
        for server in bootstrap {
            connections.clear();
            found = leaders(server, &name, &mut connections);
            if found.is_ok() {
                break;
            }
        }
        let leaders = found?;
        let mut topic = Self { name, connections, extents: Vec::with_capacity(leaders.len()) };
        for (partition, leader) in leaders {
            // The end first: a start that moves up meanwhile then shows as a gap, not as an error.
            let high_watermark = topic.offset(partition, leader, LATEST)?;
            let log_start = topic.offset(partition, leader, EARLIEST)?;
            topic.extents.push(Extent { partition, log_start, high_watermark, leader });
        }
        Ok(topic)
    }

    /// The partitions, in order.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// Reads one partition from end to end and hands over what it holds, in order.
    ///
    /// # Errors
    /// The server stops answering, answers an error, or sends nothing below the high watermark.
    pub fn read(&mut self, extent: Extent, mut on_found: impl FnMut(Found<'_>)) -> Result<(), KafkaError> {
        let mut next = extent.log_start;
        let mut empty = 0;
        while next < extent.high_watermark {
            let bytes = self.fetch(extent, next)?;
            let reached = walk(&bytes, next, extent.high_watermark, &mut on_found);
            empty = if reached == next { empty + 1 } else { 0 };
            if empty == EMPTY_FETCHES_MAX {
                return Err(KafkaError::Malformed(format!(
                    "{} partition {}: no whole batch at offset {next} in {empty} fetches, though \
                     the high watermark is {}",
                    &**self.name, extent.partition, extent.high_watermark
                )));
            }
            next = reached;
        }
        Ok(())
    }

    /// The first or last offset of a partition. A leader that has just begun is given time to know it.
    fn offset(&mut self, partition: i32, leader: i32, at: i64) -> Result<i64, KafkaError> {
        for _ in 1..ASKED_MAX {
            if let Some(offset) = self.try_offset(partition, leader, at)? {
                return Ok(offset);
            }
            std::thread::sleep(PAUSE);
        }
        let found = self.try_offset(partition, leader, at)?;
        found.ok_or_else(|| KafkaError::Refused(format!("{}: its leader does not know its end", self.place(partition))))
    }

    fn try_offset(&mut self, partition: i32, leader: i32, at: i64) -> Result<Option<i64>, KafkaError> {
        let asked = ListOffsetsPartition::default().with_partition_index(partition).with_current_leader_epoch(-1).with_timestamp(at);
        let topic = ListOffsetsTopic::default().with_name(self.name.clone()).with_partitions(vec![asked]);
        let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
        let answer = self.leader(leader)?.ask(&request)?;
        let answered = answer.topics.iter().flat_map(|topic| &topic.partitions);
        let found = answered.into_iter().find(|answered| answered.partition_index == partition);
        let found = found.ok_or_else(|| self.unanswered(partition, "ListOffsets"))?;
        if NOT_YET.contains(&found.error_code) {
            return Ok(None);
        }
        expect_none(found.error_code, || self.place(partition))?;
        Ok(Some(found.offset))
    }

    /// Whole batches from the one that holds the offset.
    fn fetch(&mut self, extent: Extent, offset: i64) -> Result<Bytes, KafkaError> {
        let partition = extent.partition;
        let asked = FetchPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(offset)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(FETCH_BYTES);
        let topic = FetchTopic::default().with_topic(self.name.clone()).with_partitions(vec![asked]);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(FETCH_WAIT_MS)
            .with_min_bytes(1)
            .with_max_bytes(FETCH_BYTES)
            .with_session_id(0)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let answer = self.leader(extent.leader)?.ask(&request)?;
        expect_none(answer.error_code, || self.place(partition))?;
        let answered = answer.responses.into_iter().flat_map(|topic| topic.partitions);
        let found = answered.into_iter().find(|answered| answered.partition_index == partition);
        let found = found.ok_or_else(|| self.unanswered(partition, "Fetch"))?;
        expect_none(found.error_code, || format!("{} offset {offset}", self.place(partition)))?;
        Ok(found.records.unwrap_or_default())
    }

    fn leader(&mut self, leader: i32) -> Result<&mut Connection, KafkaError> {
        let known = self.connections.get_mut(&leader);
        known.ok_or_else(|| KafkaError::Refused(format!("leader {leader} is no broker")))
    }

    fn place(&self, partition: i32) -> String {
        format!("{} partition {partition}", &**self.name)
    }

    fn unanswered(&self, partition: i32, asked: &str) -> KafkaError {
        KafkaError::Malformed(format!("{}: not in the answer to {asked}", self.place(partition)))
    }
}

/// Partition and leader of each, and a connection to every leader.
fn leaders(bootstrap: &str, name: &TopicName, connections: &mut BTreeMap<i32, Connection>) -> Result<BTreeMap<i32, i32>, KafkaError> {
    let asked = MetadataRequestTopic::default().with_name(Some(name.clone()));
    let request = MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(false);
    let answer = Connection::open(bootstrap)?.ask(&request)?;
    let topic = answer.topics.iter().find(|topic| topic.name.as_ref() == Some(name));
    let topic = topic.ok_or_else(|| KafkaError::Malformed(format!("{bootstrap}: Metadata leaves out {}", &***name)))?;
    expect_none(topic.error_code, || format!("{bootstrap}: topic {}", &***name))?;
    let mut leaders = BTreeMap::new();
    for partition in &topic.partitions {
        let index = partition.partition_index;
        expect_none(partition.error_code, || format!("{} partition {index}", &***name))?;
        leaders.insert(index, *partition.leader_id);
    }
    for broker in &answer.brokers {
        let id = *broker.node_id;
        if leaders.values().any(|leader| *leader == id) {
            connections.insert(id, Connection::open(&broker_address(&broker.host, broker.port))?);
        }
    }
    Ok(leaders)
}

/// `host:port` as a name to connect to.
pub fn broker_address(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Hands over what an answer holds and says where the next fetch begins.
fn walk(bytes: &[u8], from: i64, end: i64, on_found: &mut impl FnMut(Found<'_>)) -> i64 {
    let mut next = from;
    let mut rest = bytes;
    while !rest.is_empty() && next < end {
        match batch::split(rest) {
            Ok((batch, behind)) => {
                rest = behind;
                if batch.next_offset() <= next {
                    continue;
                }
                if batch.base_offset > next {
                    let to = batch.base_offset.min(end);
                    on_found(Found::Gap { from: next, to });
                }
                next = batch.next_offset();
                on_found(Found::Batch(batch));
            }
            // The server stopped inside of a batch; the next fetch begins with it.
            Err(BatchError::Cut) => break,
            Err(error) => {
                on_found(Found::Damage(error));
                (next, rest) = behind_damage(rest, next, end);
            }
        }
    }
    next
}

/// Where reading goes on behind a damaged batch: at its end by its own length and counts, if these can be
/// believed; else nowhere, and the rest of the partition is missing.
fn behind_damage(bytes: &[u8], from: i64, end: i64) -> (i64, &[u8]) {
    let field = |at: usize| bytes.get(at..at + 4).and_then(|part| part.try_into().ok());
    let base = bytes.get(0..8).and_then(|part| part.try_into().ok()).map(i64::from_be_bytes);
    let length = field(8).map(i32::from_be_bytes);
    let delta = field(23).map(i32::from_be_bytes);
    let (Some(base), Some(length), Some(delta)) = (base, length, delta) else { return (end, &[]) };
    let next = base.saturating_add(i64::from(delta)).saturating_add(1);
    let behind = usize::try_from(length).ok().and_then(|length| bytes.get(length + 12..));
    // A record takes seven bytes at least: a batch cannot hold more records than bytes.
    let believable = base <= from && from < next && (0..length).contains(&delta);
    match behind {
        Some(behind) if believable => (next, behind),
        _ => (end, &[]),
    }
}
