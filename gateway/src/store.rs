//! What the gateway needs of the log, and nothing more.
//!
//! The gateway is written against this trait instead of against lanes, rings and segments, so that
//! the protocol can be tested with a log in memory and so that the log may change its ways (tail
//! from slots, history from segments) without a protocol handler noticing.
//!
//! Three rules bind an implementation:
//!
//! * **Nothing pinned comes out.** The bytes handed over are owned copies or references to memory
//!   that no writer waits for. A consumer that reads one byte a second holds only its own answer.
//! * **Committed is the end of the world.** No batch at or beyond the high watermark is ever handed
//!   out; the last stable offset is the high watermark, for there are no transactions.
//! * **A wake-up may be spurious but is never lost.** See [`Store::commits`].

use std::future::Future;

use bytes::Bytes;

/// A topic and how many partitions it has, numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Name as clients ask for it.
    pub name: String,
    /// Number of partitions, at least 1.
    pub partitions: i32,
}

/// Where one partition stands. All offsets are Kafka record offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionState {
    /// Offset of the oldest record still held.
    pub log_start: i64,
    /// One past the newest committed record; also the last stable offset.
    pub high_watermark: i64,
    /// One past the newest record, committed or not: what lies between is not out of range, only not to be had yet.
    pub log_end: i64,
    /// Epoch of the node that now appends; strictly increasing over all promotions.
    pub leader_epoch: i32,
}

/// Why a read has no batches to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No such topic, or no such partition in it.
    #[error("unknown topic or partition")]
    UnknownPartition,
    /// The offset lies before the log start or beyond the log's end; the bounds are enclosed.
    #[error("offset out of range, the partition holds {}..{}", .0.log_start, .0.high_watermark)]
    OutOfRange(PartitionState),
    /// The volume failed the read or what it gave did not verify; the store has logged the detail.
    #[error("storage fault")]
    Storage,
}

/// An offset found by time, with the timestamp of the record that stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOffset {
    /// Offset of the record.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970.
    pub timestamp_ms: i64,
}

/// A leader epoch and where it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch, at most the one asked for.
    pub epoch: i32,
    /// Offset one past its last record; for the current epoch the high watermark.
    pub end_offset: i64,
}

/// How far a batch must have come before its producer is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// In the lane's hands; a crash may still lose it.
    Received,
    /// Durable on this node.
    Disk,
    /// Durable on every member of the in-sync set; on one node the same as [`Level::Disk`].
    Committed,
}

/// Where an appended batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record; of a duplicate, the original's; -1 while only [`Level::Received`] was asked for.
    pub base_offset: i64,
    /// Offset of the partition's oldest record.
    pub log_start: i64,
}

/// Why a batch was not appended. Nothing of it is in the log, unless the variant says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// No such topic, or no such partition in it.
    #[error("unknown topic or partition")]
    UnknownPartition,
    /// Larger than any block can hold.
    #[error("the batch is larger than {bytes_max} bytes")]
    TooLarge {
        /// The largest batch taken.
        bytes_max: usize,
    },
    /// An idempotent producer's batch that does not follow its last one.
    #[error("sequence {found}, the producer's next is {expected}")]
    OutOfOrder {
        /// Its first sequence.
        found: i32,
        /// What would follow.
        expected: i32,
    },
    /// A later incarnation of this producer has written already.
    #[error("the producer's epoch is over")]
    ProducerFenced,
    /// Too much waits already, or the volume is full: the client tries again.
    #[error("too much waits to be appended")]
    Busy,
    /// This node does not lead.
    #[error("this node does not lead")]
    NotLeader,
    /// It would be committed when the other node is in sync, and that one is not there. Nothing was stored.
    #[error("the other node of the pair is not there, and nothing is committed without it")]
    TooFewInSync,
    /// What became of it is not known: it was handed over and the node stops, or a fault came between.
    #[error("the append was interrupted")]
    Interrupted,
}

/// Why a topic was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// There is one of this name.
    #[error("the topic exists")]
    Exists,
    /// No valid name: 1 to 249 of letters, digits, `.`, `_` and `-`, and neither `.` nor `..`.
    #[error("not a topic's name")]
    Name,
    /// Fewer than one partition or more than there is room for.
    #[error("{partitions} partitions, 1 to {max} are possible now")]
    Partitions {
        /// Asked for.
        partitions: i32,
        /// Room that is left.
        max: i32,
    },
    /// This node does not lead.
    #[error("this node does not lead")]
    NotLeader,
    /// The node stops.
    #[error("interrupted")]
    Interrupted,
}

/// The committed log. Single-threaded: its futures need not be `Send`.
pub trait Store: 'static {
    /// Whether this node leads. One that does not is asked for nothing but who does, and which topics there are.
    fn leads(&self) -> bool {
        true
    }

    /// How often this node has begun to lead, once everything that it took over is committed; none while it is not, or while it
    /// does not lead. What depends on the whole of the committed log is known only then.
    fn leadership(&self) -> Option<u64> {
        Some(0)
    }

    /// Every topic served, in a stable order.
    fn topics(&self) -> Vec<Topic>;

    /// Where the partition stands now, or `None` when there is no such partition. Cheap: asked for
    /// each partition of each fetch at each wake-up.
    fn state(&self, topic: &str, partition: i32) -> Option<PartitionState>;

    /// Whole record batches in offset order, beginning with the one that *contains* `offset`; each
    /// element holds one or more whole batches. At most `bytes_max` bytes, but at least one batch even
    /// if that one is larger; never one at or beyond the high watermark; empty exactly when `offset`
    /// equals it.
    ///
    /// # Errors
    /// [`ReadError`]; an offset beyond the log's end is out of range.
    fn read(&self, topic: &str, partition: i32, offset: i64, bytes_max: usize) -> impl Future<Output = Result<Vec<Bytes>, ReadError>>;

    /// The earliest committed *record* (not batch) with a timestamp of at least `time_ms`, or `None`
    /// when every record is older. Timestamps may go backwards from record to record.
    ///
    /// # Errors
    /// [`ReadError::UnknownPartition`] or [`ReadError::Storage`].
    fn offset_at_time(&self, topic: &str, partition: i32, time_ms: i64) -> impl Future<Output = Result<Option<TimedOffset>, ReadError>>;

    /// The committed record with the largest timestamp (the first of them on a tie), or `None` when
    /// the partition is empty.
    ///
    /// # Errors
    /// [`ReadError::UnknownPartition`] or [`ReadError::Storage`].
    fn latest_timestamp(&self, topic: &str, partition: i32) -> impl Future<Output = Result<Option<TimedOffset>, ReadError>>;

    /// The end of the largest epoch that is at most `epoch`; `None` when the partition is unknown or
    /// every epoch it knows is larger.
    fn end_of_epoch(&self, topic: &str, partition: i32, epoch: i32) -> Option<EpochEnd>;

    /// A watch on the high watermarks: completes when any of them may have moved, or any leader epoch
    /// changed, since the *call* (not since the first poll). A long poll takes the watch, then looks,
    /// then waits; a commit between the look and the wait must therefore complete it.
    fn commits(&self) -> impl Future<Output = ()>;

    /// Completes when a further request of batches may be begun: whoever sends faster than the log takes it in waits here, which is what
    /// bounds the memory of batches that are on their way. An append itself never refuses for it.
    fn room(&self) -> impl Future<Output = ()>;

    /// Hands over one whole record batch of magic 2 whose length, counts and CRC-32C were checked; base offset and leader
    /// epoch in it are replaced. Takes effect in the order of the *calls*, so a connection may begin several before it
    /// waits for the first. An idempotent producer's batch is checked against its last five in that order; a duplicate
    /// completes when its original has reached the level. With [`Level::Received`] completes at once.
    ///
    /// # Errors
    /// [`AppendError`].
    fn append<'s>(
        &'s self,
        topic: &str,
        partition: i32,
        batch: Bytes,
        level: Level,
    ) -> impl Future<Output = Result<Appended, AppendError>> + use<'s, Self>;

    /// Makes a topic; completes when it is durable and can be written to. Asking twice at once makes it once: one of the
    /// two finds that it exists.
    ///
    /// # Errors
    /// [`CreateError`].
    fn create_topic(&self, name: &str, partitions: i32) -> impl Future<Output = Result<(), CreateError>>;

    /// Lets retention take what stands below `offset` of an internal stream, of which everything is kept until this is
    /// called. What is needed above it must be committed.
    fn release_below(&self, topic: &str, partition: i32, offset: i64);

    /// Where the newer half of what is kept begins. What stands below it and is needed is to be appended again, long before
    /// retention wants its place.
    fn newer_half(&self, topic: &str, partition: i32) -> i64;

    /// A producer id that no producer had before, on any node of the pair, over all restarts.
    fn producer_id(&self) -> i64;
}
