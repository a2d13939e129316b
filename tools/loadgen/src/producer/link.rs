//! A producer's connection: the way to the leader of its partition, and frames in both directions without waiting.
//!
//! Any of the servers may know the leader. They are asked in turn, each time anew: what one of them knew before a failure
//! is of no use after it.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{InitProducerIdRequest, MetadataRequest, MetadataResponse, ProduceRequest, ProducerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Plan;
use crate::kafka::KafkaError;
use crate::kafka::topic::broker_address;
use crate::kafka::wire::{ANSWER_BYTES_MAX, Connection, expect_none};
use crate::stop::Stop;

/// Pause between two attempts to find a leader.
pub const PAUSE: Duration = Duration::from_millis(5);

/// Attempts at the start: a topic that is made on first use takes a moment.
const FIRST_ATTEMPTS_MAX: u32 = 1000;

/// Whom a producer writes to.
#[derive(Debug, Clone)]
pub struct Route {
    servers: Vec<String>,
    topic: TopicName,
    partitions: i32,
    partition: i32,
    acks: i16,
    patience: Duration,
}

impl Route {
    /// Learns how many partitions the topic has, which makes a topic that is made on first use.
    ///
    /// # Errors
    /// No server leads to it.
    pub fn open(plan: &Plan, stop: &Stop) -> Result<Self, String> {
        let topic = TopicName::from(StrBytes::from_string(plan.topic.clone()));
        let acks = plan.acks.number();
        let mut route = Self { servers: plan.servers.clone(), topic, partitions: 1, partition: 0, acks, patience: plan.patience };
        for attempt in 1.. {
            let failed = match route.describe() {
                Ok((_, answer)) => {
                    let known = answer.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>();
                    route.partitions = i32::try_from(known).map_err(|_| format!("{known} partitions"))?;
                    if known > 0 {
                        return Ok(route);
                    }
                    KafkaError::Refused(format!("topic {} has no partition", plan.topic))
                }
                // Nobody listens: that is told at once.
                Err(error @ KafkaError::Connection { .. }) => return Err(error.to_string()),
                Err(error) => error,
            };
            if attempt == FIRST_ATTEMPTS_MAX || stop.is_raised() {
                return Err(failed.to_string());
            }
            thread::sleep(PAUSE);
        }
        unreachable!("attempts end above")
    }

    /// The same for one producer: sources are dealt to partitions in turn.
    pub fn of(&self, source: u32) -> Self {
        let partition = i64::from(source) % i64::from(self.partitions);
        Self { partition: i32::try_from(partition).expect("below the number of partitions"), ..self.clone() }
    }

    /// Metadata of the topic by the first server that has it.
    fn describe(&self) -> Result<(Connection, MetadataResponse), KafkaError> {
        self.first_of(|server| {
            let mut connection = Connection::open_to_write(server, self.patience)?;
            let answer = self.ask(&mut connection)?;
            Ok((connection, answer))
        })
    }

    fn ask(&self, connection: &mut Connection) -> Result<MetadataResponse, KafkaError> {
        let asked = MetadataRequestTopic::default().with_name(Some(self.topic.clone()));
        let request = MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(true);
        let answer = connection.ask(&request)?;
        let topic = answer.topics.iter().find(|topic| topic.name.as_ref() == Some(&self.topic));
        let topic = topic.ok_or_else(|| KafkaError::Malformed(format!("Metadata leaves out {}", &**self.topic)))?;
        expect_none(topic.error_code, || format!("topic {}", &**self.topic))?;
        Ok(answer)
    }

    /// A connection to the partition's leader, by the first server that knows one which answers.
    fn leader(&self) -> Result<Connection, KafkaError> {
        self.first_of(|server| {
            let answer = self.ask(&mut Connection::open_to_write(server, self.patience)?)?;
            let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
            let found = partitions.into_iter().find(|known| known.partition_index == self.partition);
            let found = found.ok_or_else(|| KafkaError::Refused(format!("{server}: no partition {}", self.partition)))?;
            expect_none(found.error_code, || format!("{server}: partition {}", self.partition))?;
            let leader = answer.brokers.iter().find(|broker| broker.node_id == found.leader_id);
            let leader = leader.ok_or_else(|| KafkaError::Refused(format!("{server}: no leader of partition {}", self.partition)))?;
            Connection::open_to_write(&broker_address(&leader.host, leader.port), self.patience)
        })
    }

    fn first_of<T>(&self, mut look: impl FnMut(&str) -> Result<T, KafkaError>) -> Result<T, KafkaError> {
        let mut failed = KafkaError::Refused("no server is named".to_owned());
        for server in &self.servers {
            match look(server) {
                Ok(found) => return Ok(found),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

/// A connection that stands.
#[derive(Debug)]
struct Standing {
    connection: Connection,
    out: BytesMut,
    taken: BytesMut,
    /// Correlation ids of what was asked, with when.
    asked: VecDeque<(i32, u64)>,
}

/// A producer's connection, or the lack of it.
#[derive(Debug)]
pub struct Link {
    route: Route,
    standing: Option<Standing>,
}

impl Link {
    /// Without a connection.
    pub fn new(route: Route) -> Self {
        Self { route, standing: None }
    }

    /// Whether there is one.
    pub fn stands(&self) -> bool {
        self.standing.is_some()
    }

    /// Finds the leader and connects to it; a producer id too, if one is asked for.
    ///
    /// # Errors
    /// No server knows a leader that answers.
    pub fn connect(&mut self, wants_identity: bool) -> Result<Option<(i64, i16)>, KafkaError> {
        let mut connection = self.route.leader()?;
        let mut identity = None;
        if wants_identity {
            let request = InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(60_000)
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1);
            let answer = connection.ask(&request)?;
            expect_none(answer.error_code, || "InitProducerId".to_owned())?;
            identity = Some((answer.producer_id.0, answer.producer_epoch));
        }
        let blocked = connection.stream().set_nonblocking(true);
        blocked.map_err(|source| KafkaError::Connection { address: self.route.servers.join(","), source })?;
        self.standing = Some(Standing { connection, out: BytesMut::new(), taken: BytesMut::new(), asked: VecDeque::new() });
        Ok(identity)
    }

    /// Gives the connection up.
    pub fn drop_it(&mut self) {
        self.standing = None;
    }

    /// Bytes that wait for the kernel.
    pub fn unwritten(&self) -> usize {
        self.standing.as_ref().map_or(0, |standing| standing.out.len())
    }

    /// When the oldest request that is not answered was asked, ns after the start.
    pub fn oldest_ns(&self) -> Option<u64> {
        self.standing.as_ref().and_then(|standing| standing.asked.front()).map(|(_, asked_ns)| *asked_ns)
    }

    /// Queues a batch. Nothing without a connection.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn produce(&mut self, batch: Bytes, now_ns: u64) -> Result<(), KafkaError> {
        let Some(standing) = &mut self.standing else { return Ok(()) };
        let part = PartitionProduceData::default().with_index(self.route.partition).with_records(Some(batch));
        let topic = TopicProduceData::default().with_name(self.route.topic.clone()).with_partition_data(vec![part]);
        let timeout_ms = i32::try_from(self.route.patience.as_millis()).unwrap_or(i32::MAX);
        let request = ProduceRequest::default().with_acks(self.route.acks).with_timeout_ms(timeout_ms).with_topic_data(vec![topic]);
        let (correlation, frame) = standing.connection.request(&request)?;
        standing.out.extend_from_slice(&frame);
        if self.route.acks != 0 {
            standing.asked.push_back((correlation, now_ns));
        }
        Ok(())
    }

    /// Hands to the kernel what it takes.
    ///
    /// # Errors
    /// The connection is over.
    pub fn write(&mut self) -> io::Result<()> {
        let Some(standing) = &mut self.standing else { return Ok(()) };
        while !standing.out.is_empty() {
            match standing.connection.stream().write(&standing.out) {
                Ok(taken) => standing.out.advance(taken),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes what has come; the codes of answers that are whole, in order.
    ///
    /// # Errors
    /// The connection is over, or what came is no answer to what was asked.
    pub fn read(&mut self, codes: &mut VecDeque<i16>) -> Result<(), String> {
        let Some(standing) = &mut self.standing else { return Ok(()) };
        let mut bytes = [0; 16 << 10];
        let over = loop {
            match standing.connection.stream().read(&mut bytes) {
                Ok(0) => break Some("the server ended the connection".to_owned()),
                Ok(read) => standing.taken.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error.to_string()),
            }
        };
        while let Some(code) = standing.answer()? {
            codes.push_back(code);
        }
        over.map_or(Ok(()), Err)
    }

    /// Waits until the connection has something for us, takes something, or the time is over.
    ///
    /// # Errors
    /// The kernel cannot wait.
    pub fn wait(&self, longest: Duration) -> Result<(), String> {
        let Some(standing) = &self.standing else {
            thread::sleep(longest);
            return Ok(());
        };
        let mut wanted = PollFlags::POLLIN;
        wanted.set(PollFlags::POLLOUT, !standing.out.is_empty());
        // In whole milliseconds, at least one: a shorter wait would spin.
        let timeout = PollTimeout::try_from(longest.max(Duration::from_millis(1))).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(standing.connection.stream().as_fd(), wanted)], timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(format!("waiting failed: {errno}")),
        }
    }

    /// Asks something that is answered, on the connection that nobody answers on: what comes before it was taken then.
    ///
    /// # Errors
    /// The connection is over.
    pub fn fence(&mut self) -> Result<(), String> {
        let Some(standing) = &mut self.standing else { return Ok(()) };
        let text = |error: io::Error| error.to_string();
        standing.connection.stream().set_nonblocking(false).map_err(text)?;
        standing.connection.stream().write_all(&standing.out).map_err(text)?;
        standing.out.clear();
        self.route.ask(&mut standing.connection).map(drop).map_err(|error| error.to_string())
    }
}

impl Standing {
    /// The code of the next answer that is whole.
    fn answer(&mut self) -> Result<Option<i16>, String> {
        let Some(length) = self.taken.first_chunk::<4>().map(|length| i32::from_be_bytes(*length)) else { return Ok(None) };
        let bounded = usize::try_from(length).ok().filter(|length| *length <= ANSWER_BYTES_MAX);
        let bounded = bounded.ok_or_else(|| format!("an answer of {length} bytes, {ANSWER_BYTES_MAX} at most"))?;
        if self.taken.len() < 4 + bounded {
            return Ok(None);
        }
        self.taken.advance(4);
        let answer = self.taken.split_to(bounded).freeze();
        let (correlation, _) = self.asked.pop_front().ok_or("an answer, and nothing was asked")?;
        let answer = self.connection.decode::<ProduceRequest>(answer, correlation).map_err(|error| error.to_string())?;
        let part = answer.responses.iter().flat_map(|topic| &topic.partition_responses).next();
        part.map(|part| Some(part.error_code)).ok_or_else(|| "an answer to Produce without a partition".to_owned())
    }
}
