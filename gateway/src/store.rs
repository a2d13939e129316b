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
    /// Epoch of the node that now appends; strictly increasing over all promotions.
    pub leader_epoch: i32,
}

/// Why a read has no batches to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No such topic, or no such partition in it.
    #[error("unknown topic or partition")]
    UnknownPartition,
    /// The offset lies before the log start or beyond the high watermark; the bounds are enclosed.
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

/// The committed log, read side. Single-threaded: its futures need not be `Send`.
pub trait Store: 'static {
    /// Every topic served, in a stable order.
    fn topics(&self) -> Vec<Topic>;

    /// Where the partition stands now, or `None` when there is no such partition. Cheap: asked for
    /// each partition of each fetch at each wake-up.
    fn state(&self, topic: &str, partition: i32) -> Option<PartitionState>;

    /// Whole record batches in offset order, beginning with the one that *contains* `offset`; each
    /// element holds one or more whole batches. About `bytes_max` bytes, but at least one batch even
    /// if that one is larger; never one at or beyond the high watermark; empty exactly when `offset`
    /// equals it.
    ///
    /// # Errors
    /// [`ReadError`]; an offset beyond the high watermark is out of range.
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
}
