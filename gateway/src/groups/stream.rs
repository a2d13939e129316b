//! The internal stream of committed offsets: read from its start, followed to its end, appended to.
//!
//! ```text
//!   commit ─► append, wait until it is committed ─► follow to there ─► answer
//!                                                      │
//!   start, and now and then ──────────────────────────► follow ─► table
//! ```
//!
//! The table has one way in: reading the stream. What this node appends it reads back like what somebody else appended, so a
//! standby that follows the stream has the same table. An answer to a commit comes when the table has it: who asks after the
//! answer finds it.
//!
//! The stream is made by the first commit and not before.

use super::table::Table;
use crate::kafka::ErrorCode;
use crate::kafka::batch::{first_bytes, offset_after};
use crate::limits::Limits;
use crate::store::{AppendError, CreateError, Level, ReadError, Store};
use bytes::Bytes;
use headworks_format::batch::Batch;
use headworks_format::committed::{Key, STREAM, Value, batch_of};
use std::cell::{Cell, Ref, RefCell};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex;

/// The stream's one partition.
const PARTITION: i32 = 0;
/// Bytes that one read asks for.
const READ_BYTES: usize = 1 << 20;
/// How often the stream is looked at by itself.
const TEND_EVERY: Duration = Duration::from_millis(250);
/// How long a commit may take to become durable before its client is told to try again; as long as Apache Kafka's own.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(5);

/// The committed offsets of all groups.
#[derive(Debug, Default)]
pub struct Committed {
    table: RefCell<Table>,
    /// Offset of the first record that was not applied.
    next: Cell<i64>,
    /// Whether the stream was once read to its end.
    loaded: Cell<bool>,
    /// One reads at a time.
    reading: Mutex<()>,
    /// One makes the stream.
    making: Mutex<()>,
}

impl Committed {
    /// What is committed, once all of it is known.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS until then.
    pub fn table(&self) -> Result<Ref<'_, Table>, ErrorCode> {
        if self.loaded.get() { Ok(self.table.borrow()) } else { Err(ErrorCode::CoordinatorLoadInProgress) }
    }

    /// Reads on to the end of the stream as it is now.
    ///
    /// # Errors
    /// The stream cannot be read.
    pub async fn follow<S: Store>(&self, store: &S) -> Result<(), ReadError> {
        let _alone = self.reading.lock().await;
        while let Some(state) = store.state(STREAM, PARTITION) {
            // What was given back does not count any more.
            let next = self.next.get().max(state.log_start);
            self.next.set(next);
            if next >= state.high_watermark {
                break;
            }
            let batches = match store.read(STREAM, PARTITION, next, READ_BYTES).await {
                // The log start went on in between.
                Err(ReadError::OutOfRange(_)) => continue,
                read => read?,
            };
            for run in batches {
                self.apply(&run)?;
            }
        }
        self.loaded.set(true);
        Ok(())
    }

    /// Follows the stream for ever: what somebody else appends is here soon, too.
    pub async fn tend<S: Store>(&self, store: &S) {
        let mut failed = false;
        loop {
            let followed = self.follow(store).await;
            if let Err(error) = &followed
                && !failed
            {
                tracing::error!(%error, "committed offsets cannot be read; groups are not served until they can");
            }
            failed = followed.is_err();
            tokio::time::sleep(TEND_EVERY).await;
        }
    }

    /// Appends entries, or removals where there is no value, and waits until the table has them.
    ///
    /// # Errors
    /// The code for the client; the entries may be stored all the same.
    pub async fn append<S: Store>(&self, store: &S, entries: &[(Key<'_>, Option<Value<'_>>)]) -> Result<(), ErrorCode> {
        let batch = batch_of(entries, now_ms()).ok_or(ErrorCode::InvalidCommitOffsetSize)?;
        self.exists(store).await?;
        let appended = store.append(STREAM, PARTITION, Bytes::from(batch), Level::Committed);
        match tokio::time::timeout(COMMIT_WAIT_MAX, appended).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(code_of(&error)),
            Err(_) => return Err(ErrorCode::CoordinatorNotAvailable),
        }
        self.follow(store).await.map_err(|_| ErrorCode::CoordinatorNotAvailable)
    }

    /// Whether there is room for these entries.
    ///
    /// # Errors
    /// INVALID_COMMIT_OFFSET_SIZE where there is not.
    pub fn has_room<'a>(&self, limits: &Limits, entries: impl Iterator<Item = (Key<'a>, &'a str)>) -> Result<(), ErrorCode> {
        let table = self.table()?;
        let (mut count, mut bytes) = (table.len(), table.bytes());
        for (key, metadata) in entries {
            count += usize::from(table.get(key.group, key.topic, key.partition).is_none());
            bytes += Table::bytes_of(&key, metadata);
        }
        let fits = count <= limits.committed_offsets_max && bytes <= limits.committed_bytes_max;
        if fits { Ok(()) } else { Err(ErrorCode::InvalidCommitOffsetSize) }
    }

    async fn exists<S: Store>(&self, store: &S) -> Result<(), ErrorCode> {
        let _alone = self.making.lock().await;
        if store.state(STREAM, PARTITION).is_some() {
            return Ok(());
        }
        match store.create_topic(STREAM, 1).await {
            Ok(()) | Err(CreateError::Exists) => Ok(()),
            Err(error) => {
                tracing::error!(%error, "the stream {STREAM} of committed offsets cannot be made; commits are refused");
                Err(ErrorCode::CoordinatorNotAvailable)
            }
        }
    }

    /// Applies one or more whole batches; those before `next` are known.
    fn apply(&self, run: &Bytes) -> Result<(), ReadError> {
        let mut rest: &[u8] = run;
        let mut table = self.table.borrow_mut();
        while let Some(bytes) = first_bytes(rest).filter(|bytes| *bytes <= rest.len()) {
            let (batch, behind) = rest.split_at(bytes);
            let next = offset_after(&run.slice_ref(batch), self.next.get()).ok_or(ReadError::Storage)?;
            self.apply_batch(&mut table, batch);
            self.next.set(next);
            rest = behind;
        }
        if rest.is_empty() { Ok(()) } else { Err(ReadError::Storage) }
    }

    /// A batch without records stands where some were lost; the store has said so.
    fn apply_batch(&self, table: &mut Table, bytes: &[u8]) {
        let Ok(batch) = Batch::parse_unsummed(bytes) else { return };
        let (base, time_ms) = (batch.header().base_offset.get(), batch.header().base_timestamp.get());
        for record in batch.records().map_while(Result::ok) {
            let at = base + record.offset_delta;
            let Some(key) = record.key.and_then(Key::read).filter(|_| at >= self.next.get()) else { continue };
            match record.value.map(Value::read) {
                None => table.apply(at, time_ms + record.timestamp_delta_ms, &key, None),
                Some(Some(value)) => table.apply(at, time_ms + record.timestamp_delta_ms, &key, Some(&value)),
                Some(None) => tracing::warn!(offset = at, "a committed offset of an unknown version is passed over"),
            }
        }
    }
}

/// What makes a client look for its coordinator again, and try.
fn code_of(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::TooLarge { .. } => ErrorCode::InvalidCommitOffsetSize,
        AppendError::Interrupted => ErrorCode::NotCoordinator,
        AppendError::UnknownPartition | AppendError::OutOfOrder { .. } | AppendError::ProducerFenced | AppendError::Busy => {
            ErrorCode::CoordinatorNotAvailable
        }
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
