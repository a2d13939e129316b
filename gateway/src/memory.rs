//! A log in memory, for the tests and the example: real record batches, one list a partition, and a
//! high watermark that is moved by hand where a test wants to stand between append and commit.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tokio::sync::Notify;

use crate::store::{AppendError, Appended, CreateError, EpochEnd, Level, PartitionState, ReadError, Store, TimedOffset, Topic};

/// A log in memory; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog(Rc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    topics: RefCell<BTreeMap<String, Vec<Partition>>>,
    moved: Notify,
    reads: Cell<usize>,
    broken: Cell<bool>,
    producers: Cell<i64>,
    held: Cell<bool>,
    full: Cell<bool>,
    unsettled: Cell<bool>,
}

#[derive(Debug, Default)]
struct Partition {
    log_start: i64,
    high_watermark: i64,
    next_offset: i64,
    released: i64,
    epochs: Vec<EpochStart>,
    batches: Vec<Batch>,
}

#[derive(Debug, Clone, Copy)]
struct EpochStart {
    epoch: i32,
    start_offset: i64,
}

#[derive(Debug)]
struct Batch {
    base_offset: i64,
    times_ms: Vec<i64>,
    bytes: Bytes,
}

impl Batch {
    fn end_offset(&self) -> i64 {
        self.base_offset + i64::try_from(self.times_ms.len()).expect("few records")
    }
}

impl Partition {
    fn state(&self) -> PartitionState {
        PartitionState {
            log_start: self.log_start,
            high_watermark: self.high_watermark,
            log_end: self.batches.last().map_or(self.high_watermark, Batch::end_offset).max(self.high_watermark),
            leader_epoch: self.epochs.last().map_or(0, |epoch| epoch.epoch),
        }
    }

    /// Committed records as (offset, timestamp).
    fn records(&self) -> impl Iterator<Item = TimedOffset> {
        let high_watermark = self.high_watermark;
        self.batches
            .iter()
            .flat_map(|batch| (batch.base_offset..).zip(&batch.times_ms))
            .map(|(offset, time_ms)| TimedOffset { offset, timestamp_ms: *time_ms })
            .filter(move |record| record.offset < high_watermark)
    }
}

impl MemoryLog {
    /// Adds a topic with empty partitions in leader epoch 0.
    pub fn with_topic(self, name: &str, partitions: usize) -> Self {
        let fresh = || Partition { epochs: vec![EpochStart { epoch: 0, start_offset: 0 }], ..Partition::default() };
        let partitions = (0..partitions).map(|_| fresh()).collect();
        self.0.topics.borrow_mut().insert(name.to_owned(), partitions);
        self
    }

    /// Appends one batch of records (timestamp, value) without committing it; returns its bytes.
    pub fn append(&self, topic: &str, partition: usize, records: &[(i64, &[u8])]) -> Bytes {
        self.change(topic, partition, |log| {
            let epoch = log.state().leader_epoch;
            let bytes = encode_batch(log.next_offset, epoch, records);
            let batch = Batch {
                base_offset: log.next_offset,
                times_ms: records.iter().map(|(time_ms, _)| *time_ms).collect(),
                bytes: bytes.clone(),
            };
            log.next_offset = batch.end_offset();
            log.batches.push(batch);
            bytes
        })
    }

    /// Records appended so far, committed or not.
    pub fn appended(&self, topic: &str, partition: i32) -> i64 {
        self.look(topic, partition, |log| log.next_offset).unwrap_or(0)
    }

    /// Offset below which nothing is needed.
    pub fn released(&self, topic: &str, partition: i32) -> i64 {
        self.look(topic, partition, |log| log.released).unwrap_or(0)
    }

    /// From now on what clients append is committed by [`MemoryLog::commit`] alone.
    pub fn hold(&self) {
        self.0.held.set(true);
    }

    /// Whether it has no room for further requests.
    pub fn set_full(&self, is_full: bool) {
        self.0.full.set(is_full);
        self.0.moved.notify_waiters();
    }

    /// Whether it leads, and does not know yet that everything that it took over is committed.
    pub fn set_unsettled(&self, is_unsettled: bool) {
        self.0.unsettled.set(is_unsettled);
    }

    /// Appends a client's batch as it is and, unless held, commits it; its base offset.
    fn append_batch(&self, topic: &str, partition: i32, batch: Bytes) -> Result<i64, AppendError> {
        let records = i32::from_be_bytes(batch[57..61].try_into().expect("a checked batch has a header"));
        let place = usize::try_from(partition).map_err(|_| AppendError::UnknownPartition)?;
        if self.state(topic, partition).is_none() {
            return Err(AppendError::UnknownPartition);
        }
        let base_offset = self.change(topic, place, |log| {
            let base_offset = log.next_offset;
            let mut bytes = batch.to_vec();
            bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
            let times_ms = vec![0; usize::try_from(records).expect("a checked batch has records")];
            let batch = Batch { base_offset, times_ms, bytes: bytes.into() };
            log.next_offset = batch.end_offset();
            log.batches.push(batch);
            base_offset
        });
        if !self.0.held.get() {
            self.commit(topic, place);
        }
        Ok(base_offset)
    }

    /// Commits everything appended to the partition and wakes who waits.
    pub fn commit(&self, topic: &str, partition: usize) {
        self.change(topic, partition, |log| log.high_watermark = log.next_offset);
        self.0.moved.notify_waiters();
    }

    /// Appends and commits one batch.
    pub fn write(&self, topic: &str, partition: usize, records: &[(i64, &[u8])]) -> Bytes {
        let bytes = self.append(topic, partition, records);
        self.commit(topic, partition);
        bytes
    }

    /// Drops the batches that end at or before `offset`.
    pub fn trim(&self, topic: &str, partition: usize, offset: i64) {
        self.change(topic, partition, |log| {
            log.batches.retain(|batch| batch.end_offset() > offset);
            log.log_start = offset;
        });
    }

    /// Begins a leader epoch at the end of the log.
    pub fn promote(&self, topic: &str, partition: usize, epoch: i32) {
        self.change(topic, partition, |log| {
            let start_offset = log.next_offset;
            log.epochs.push(EpochStart { epoch, start_offset });
        });
        self.0.moved.notify_waiters();
    }

    /// Makes every read fail from now on.
    pub fn break_storage(&self) {
        self.0.broken.set(true);
    }

    /// How often `read` was called.
    pub fn reads(&self) -> usize {
        self.0.reads.get()
    }

    fn change<T>(&self, topic: &str, partition: usize, change: impl FnOnce(&mut Partition) -> T) -> T {
        let mut topics = self.0.topics.borrow_mut();
        let partitions = topics.get_mut(topic).expect("a topic of this log");
        change(&mut partitions[partition])
    }

    fn look<T>(&self, topic: &str, partition: i32, look: impl FnOnce(&Partition) -> T) -> Option<T> {
        let topics = self.0.topics.borrow();
        let partitions = topics.get(topic)?;
        partitions.get(usize::try_from(partition).ok()?).map(look)
    }

    fn read_now(&self, topic: &str, partition: i32, offset: i64, bytes_max: usize) -> Result<Vec<Bytes>, ReadError> {
        self.0.reads.set(self.0.reads.get() + 1);
        if self.0.broken.get() {
            return Err(ReadError::Storage);
        }
        self.look(topic, partition, |log| {
            if !(log.log_start..=log.state().log_end).contains(&offset) {
                return Err(ReadError::OutOfRange(log.state()));
            }
            let mut runs = Vec::new();
            let mut bytes = 0;
            let wanted =
                log.batches.iter().filter(|batch| batch.end_offset() > offset).filter(|batch| batch.end_offset() <= log.high_watermark);
            for batch in wanted {
                bytes += batch.bytes.len();
                if !runs.is_empty() && bytes > bytes_max {
                    break;
                }
                runs.push(batch.bytes.clone());
            }
            Ok(runs)
        })
        .unwrap_or(Err(ReadError::UnknownPartition))
    }
}

impl Store for MemoryLog {
    fn leadership(&self) -> Option<u64> {
        (!self.0.unsettled.get()).then_some(0)
    }

    fn topics(&self) -> Vec<Topic> {
        let topics = self.0.topics.borrow();
        topics
            .iter()
            .map(|(name, partitions)| Topic { name: name.clone(), partitions: i32::try_from(partitions.len()).expect("few partitions") })
            .collect()
    }

    fn state(&self, topic: &str, partition: i32) -> Option<PartitionState> {
        self.look(topic, partition, Partition::state)
    }

    async fn read(&self, topic: &str, partition: i32, offset: i64, bytes_max: usize) -> Result<Vec<Bytes>, ReadError> {
        // A real log may have to wait for its disk, so a commit may come in between here too.
        tokio::task::yield_now().await;
        self.read_now(topic, partition, offset, bytes_max)
    }

    async fn offset_at_time(&self, topic: &str, partition: i32, time_ms: i64) -> Result<Option<TimedOffset>, ReadError> {
        self.look(topic, partition, |log| log.records().find(|record| record.timestamp_ms >= time_ms)).ok_or(ReadError::UnknownPartition)
    }

    async fn latest_timestamp(&self, topic: &str, partition: i32) -> Result<Option<TimedOffset>, ReadError> {
        self.look(topic, partition, |log| {
            // Of equals the first counts, and `max_by_key` would keep the last.
            log.records().reduce(|best, next| if next.timestamp_ms > best.timestamp_ms { next } else { best })
        })
        .ok_or(ReadError::UnknownPartition)
    }

    fn end_of_epoch(&self, topic: &str, partition: i32, epoch: i32) -> Option<EpochEnd> {
        self.look(topic, partition, |log| {
            let known = log.epochs.iter().rposition(|start| start.epoch <= epoch)?;
            Some(EpochEnd {
                epoch: log.epochs[known].epoch,
                end_offset: log.epochs.get(known + 1).map_or(log.high_watermark, |next| next.start_offset),
            })
        })?
    }

    fn commits(&self) -> impl Future<Output = ()> {
        self.0.moved.notified()
    }

    async fn room(&self) {
        loop {
            let moved = self.0.moved.notified();
            if !self.0.full.get() {
                return;
            }
            moved.await;
        }
    }

    fn append<'s>(
        &'s self,
        topic: &str,
        partition: i32,
        batch: Bytes,
        level: Level,
    ) -> impl Future<Output = Result<Appended, AppendError>> + use<'s> {
        let appended = self.append_batch(topic, partition, batch);
        let topic = topic.to_owned();
        async move {
            let base_offset = appended?;
            if level == Level::Received {
                return Ok(Appended { base_offset: -1, log_start: 0 });
            }
            loop {
                let moved = self.0.moved.notified();
                let state = self.state(&topic, partition).ok_or(AppendError::UnknownPartition)?;
                if state.high_watermark > base_offset {
                    return Ok(Appended { base_offset, log_start: state.log_start });
                }
                moved.await;
            }
        }
    }

    async fn create_topic(&self, name: &str, partitions: i32) -> Result<(), CreateError> {
        if self.0.topics.borrow().contains_key(name) {
            return Err(CreateError::Exists);
        }
        if name.is_empty() || name.contains(' ') {
            return Err(CreateError::Name);
        }
        let count = usize::try_from(partitions).ok().filter(|count| (1..=8).contains(count));
        let count = count.ok_or(CreateError::Partitions { partitions, max: 8 })?;
        self.clone().with_topic(name, count);
        Ok(())
    }

    fn release_below(&self, topic: &str, partition: i32, offset: i64) {
        let partition = usize::try_from(partition).expect("a partition of this log");
        self.change(topic, partition, |log| log.released = log.released.max(offset));
    }

    fn newer_half(&self, topic: &str, partition: i32) -> i64 {
        let middle = |log: &Partition| log.batches.get(log.batches.len() / 2).map_or(0, |batch| batch.base_offset);
        self.look(topic, partition, middle).unwrap_or(0)
    }

    fn producer_id(&self) -> i64 {
        self.0.producers.replace(self.0.producers.get() + 1)
    }
}

fn encode_batch(base_offset: i64, leader_epoch: i32, records: &[(i64, &[u8])]) -> Bytes {
    let records: Vec<Record> = (base_offset..)
        .zip(records)
        .map(|(offset, (time_ms, value))| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: leader_epoch,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            timestamp_type: TimestampType::Creation,
            offset,
            // The encoder begins a new batch wherever offset and sequence do not go up together.
            sequence: i32::try_from(offset).expect("few records"),
            timestamp: *time_ms,
            key: None,
            value: Some(Bytes::copy_from_slice(value)),
            headers: Default::default(),
        })
        .collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("records that encode");
    bytes.freeze()
}
