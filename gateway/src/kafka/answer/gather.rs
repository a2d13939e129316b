//! What a fetch has gathered so far, partition by partition.
//!
//! Limits are soft for one batch (KIP-74): partitions are read in request order, the first batch of the
//! first partition that has one is taken whole whatever its size, and after that only what fits into what
//! is left of the limit of the partition, of the answer, and of the budget. Without the first rule one large
//! batch would stop a consumer for ever. Without the second a client that sizes its receive buffer by the
//! limit that it asked for would refuse the answer, and ask again, for ever: librdkafka does.
//!
//! A batch that does not fit has been read for nothing, so the gathering ends with it: the client comes
//! again from there, and other partitions have their turn as it changes their order.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::super::batch;
use super::super::budget::{Budget, Hold};
use super::super::errors::{ErrorCode, check_epoch};
use super::super::request::fetch::{Fetch, FetchPartition};
use crate::store::{PartitionState, ReadError, Store};

/// An answer that has nothing yet waits for this much of the budget, so that it does not go out with
/// a single small batch as soon as the first byte is free.
const GRANT_BYTES_MIN: usize = 64 << 10;

/// And it waits no longer than this: an empty answer tells the client more than silence.
const GRANT_WAIT_MAX: Duration = Duration::from_secs(5);

/// One topic of the answer.
#[derive(Debug)]
pub struct GatheredTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its partitions, in request order.
    pub partitions: Vec<Gathered>,
}

/// One partition of the answer.
#[derive(Debug)]
pub struct Gathered {
    asked: FetchPartition,
    /// Its error, which ends its part in the gathering.
    pub error: ErrorCode,
    /// Where it stands; `None` where it does not exist or may not be told.
    pub state: Option<PartitionState>,
    /// Runs of whole batches.
    pub runs: Vec<Bytes>,
    /// Their sum.
    pub bytes: usize,
    /// Its next batch did not fit.
    full: bool,
    next_offset: i64,
}

/// All of them, with the limits they share.
#[derive(Debug)]
pub struct Gather<'a> {
    topics: Vec<GatheredTopic<'a>>,
    holds: Vec<Hold>,
    bytes: usize,
    bytes_min: usize,
    bytes_max: usize,
    /// A batch is there that did not fit any more.
    full: bool,
}

impl<'a> Gather<'a> {
    /// Nothing gathered yet.
    pub fn new(request: &Fetch<'a>, reply_bytes_max: usize) -> Self {
        let bytes_max = unsigned(request.bytes_max).min(reply_bytes_max);
        let topics = request
            .topics
            .iter()
            .map(|topic| GatheredTopic { name: topic.name, partitions: topic.partitions.iter().copied().map(Gathered::new).collect() });
        let bytes_min = unsigned(request.bytes_min).min(bytes_max);
        Self { topics: topics.collect(), holds: Vec::new(), bytes: 0, bytes_min, bytes_max, full: false }
    }

    /// Looks at every partition once and reads what the limits leave room for.
    pub async fn look<S: Store>(&mut self, store: &S, budget: &Rc<Budget>) {
        for topic in &mut self.topics {
            for partition in &mut topic.partitions {
                if !partition.has_news(store, topic.name) {
                    continue;
                }
                let left_bytes = self.bytes_max.saturating_sub(self.bytes);
                let room_bytes = partition.room_bytes().min(left_bytes);
                let first = self.bytes == 0;
                let hold = if first {
                    let least_bytes = room_bytes.clamp(1, GRANT_BYTES_MIN);
                    let granted = budget.take_at_least(least_bytes, room_bytes);
                    match timeout(GRANT_WAIT_MAX, granted).await {
                        Ok(hold) => hold,
                        Err(_) => return,
                    }
                } else {
                    budget.take(room_bytes)
                };
                if hold.bytes() > 0 || first {
                    let granted_bytes = hold.bytes();
                    let own_limit = granted_bytes == partition.room_bytes();
                    let read_bytes = partition.read(store, topic.name, granted_bytes, first).await;
                    self.bytes += read_bytes;
                    keep(&mut self.holds, hold, read_bytes);
                    if partition.full && !own_limit {
                        self.full = true;
                        return;
                    }
                }
            }
        }
    }

    /// Whether the answer can go.
    pub fn is_enough(&self) -> bool {
        let nothing_asked = self.topics.iter().all(|topic| topic.partitions.is_empty());
        nothing_asked || self.full || self.bytes >= self.bytes_min || self.first_error() != ErrorCode::None
    }

    /// The first error of any partition.
    pub fn first_error(&self) -> ErrorCode {
        self.topics.iter().flat_map(|topic| &topic.partitions).fold(ErrorCode::None, |first, partition| first.or(partition.error))
    }

    /// What has been gathered.
    pub fn topics(&self) -> &[GatheredTopic<'a>] {
        &self.topics
    }

    /// The budget's part of it.
    pub fn into_holds(self) -> Vec<Hold> {
        self.holds
    }
}

impl Gathered {
    fn new(asked: FetchPartition) -> Self {
        Self { asked, error: ErrorCode::None, state: None, runs: Vec::new(), bytes: 0, full: false, next_offset: asked.offset }
    }

    /// Its number.
    pub fn partition(&self) -> i32 {
        self.asked.partition
    }

    /// Brings the state up to date and says whether there is something to read. A partition that is full or in error
    /// stays as it was.
    fn has_news<S: Store>(&mut self, store: &S, topic: &str) -> bool {
        if self.full || self.error != ErrorCode::None {
            return false;
        }
        if !store.leads() {
            self.fail(ErrorCode::NotLeaderOrFollower, None);
            return false;
        }
        let Some(state) = store.state(topic, self.asked.partition) else {
            self.fail(ErrorCode::UnknownTopicOrPartition, None);
            return false;
        };
        let epoch = check_epoch(self.asked.current_leader_epoch, state.leader_epoch);
        if epoch != ErrorCode::None {
            self.fail(epoch, None);
            return false;
        }
        // Once something has been read the log start may pass it by; what was read is still good.
        let before_start = self.runs.is_empty() && self.next_offset < state.log_start;
        if before_start || self.next_offset > state.log_end {
            self.fail(ErrorCode::OffsetOutOfRange, Some(state));
            return false;
        }
        self.state = Some(state);
        self.next_offset < state.high_watermark
    }

    fn room_bytes(&self) -> usize {
        unsigned(self.asked.bytes_max).saturating_sub(self.bytes)
    }

    /// Reads on from where the last read ended and returns how many bytes came. The log gives one batch at least: one that is larger than
    /// `bytes_max` is taken only as the first of the answer.
    async fn read<S: Store>(&mut self, store: &S, topic: &str, bytes_max: usize, first: bool) -> usize {
        let partition = self.asked.partition;
        let runs = match store.read(topic, partition, self.next_offset, bytes_max).await {
            Ok(runs) => runs,
            Err(error) => {
                self.on_read_error(error);
                return 0;
            }
        };
        let read_bytes = runs.iter().map(Bytes::len).sum();
        if !first && read_bytes > bytes_max {
            self.full = true;
            return 0;
        }
        // The high watermark may have moved while the read was under way.
        let state = store.state(topic, partition).or(self.state);
        let after = runs.iter().try_fold(self.next_offset, |next, run| batch::offset_after(run, next));
        let high_watermark = state.map_or(0, |state| state.high_watermark);
        let Some(after) = after.filter(|after| *after <= high_watermark) else {
            tracing::error!(
                topic,
                partition,
                offset = self.next_offset,
                high_watermark,
                "the log gave batches that do not fit the offset asked or are not committed"
            );
            self.fail(ErrorCode::KafkaStorageError, None);
            return 0;
        };
        self.state = state;
        self.next_offset = after;
        self.bytes += read_bytes;
        self.runs.extend(runs);
        read_bytes
    }

    /// An error after some batches keeps the batches: the client reads them and meets the error with
    /// its next fetch, from the offset that has it.
    fn on_read_error(&mut self, error: ReadError) {
        if self.runs.is_empty() {
            match error {
                ReadError::UnknownPartition => {
                    self.fail(ErrorCode::UnknownTopicOrPartition, None);
                }
                ReadError::OutOfRange(state) => {
                    self.fail(ErrorCode::OffsetOutOfRange, Some(state));
                }
                ReadError::Storage => self.fail(ErrorCode::KafkaStorageError, None),
            }
        }
    }

    fn fail(&mut self, error: ErrorCode, state: Option<PartitionState>) {
        self.error = error;
        self.state = state;
        self.runs.clear();
        self.bytes = 0;
    }
}

/// Keeps what was used of a grant.
fn keep(holds: &mut Vec<Hold>, mut hold: Hold, bytes: usize) {
    hold.settle(bytes);
    if bytes > 0 {
        holds.push(hold);
    }
}

/// A limit of the protocol: what is negative allows nothing.
fn unsigned(limit: i32) -> usize {
    usize::try_from(limit).unwrap_or(0)
}
