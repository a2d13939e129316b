//! The internal stream of committed offsets: read from its start, followed to its end, appended to, kept from vanishing.
//!
//! ```text
//!   commit ─► append, wait until it is committed ─► follow to there ─► answer
//!                                                      │
//!   start, and many times a second ───────────────────► follow ─► table ─► expire, renew ─► append
//!                                                                   └────► release: retention may take what stands below
//! ```
//!
//! The table has one way in: reading the stream. What this node appends it reads back like what somebody else appended, so a
//! standby that follows the stream has the same table. An answer to a commit comes when the table has it: who asks after the
//! answer finds it. The stream is made by the first commit and not before.
//!
//! **Renewing.** Retention spares the oldest entry that still counts ([`Store::release_below`]). Entries in the older half of
//! what is kept are appended again, so that the oldest one moves on long before its segment is wanted.
//!
//! **Order.** A renewal says again what the table says, so it must not overtake a commit that is under way: it would take the
//! group back. Commits share a lock from hand-over until the table has them; who renews or removes holds it alone. A commit
//! therefore waits for as long as its append takes, without a limit of time: given up, it would still be under way.

use super::table::{Entry, Name, Table};
use crate::kafka::ErrorCode;
use crate::kafka::batch::{first_bytes, offset_after};
use crate::limits::Limits;
use crate::store::{AppendError, CreateError, Level, ReadError, Store};
use bytes::Bytes;
use headworks_format::batch::{BATCH_BYTES_MAX, Batch};
use headworks_format::committed::{Key, METADATA_BYTES_MAX, NAME_BYTES_MAX, STREAM, Value, batch_of};
use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;

/// The stream's one partition.
const PARTITION: i32 = 0;
/// Bytes that one read asks for.
const READ_BYTES: usize = 1 << 20;
/// How often the stream is looked at by itself. The log can write several of the smallest segments in a tenth of a second, and
/// goes on beyond its size only so far while it must spare one.
const TEND_EVERY: Duration = Duration::from_millis(20);
/// Entries of one batch that renews: with the longest names and texts there are, it stays below the largest batch.
const RENEWED_MAX: usize = 200;
const _: () = assert!(RENEWED_MAX * (2 * NAME_BYTES_MAX + METADATA_BYTES_MAX + 64) < BATCH_BYTES_MAX);
/// How often entries that are too old are looked for.
const EXPIRE_EVERY: Duration = Duration::from_secs(10);
/// The same while groups are not served: whoever begins to lead serves them at once.
const HURRY_EVERY: Duration = Duration::from_millis(5);

/// The committed offsets of all groups.
#[derive(Debug, Default)]
pub struct Committed {
    table: RefCell<Table>,
    /// Offset of the first record that was not applied.
    next: Cell<i64>,
    /// The leadership for which the stream was read to its end.
    loaded: Cell<Option<u64>>,
    /// By group, the newest commit of all when it was last seen with members, or first seen at all.
    active_ms: RefCell<BTreeMap<String, i64>>,
    /// One reads at a time.
    reading: Mutex<()>,
    /// One makes the stream.
    making: Mutex<()>,
    /// Shared by commits under way, exclusive for what is composed of the table.
    order: RwLock<()>,
}

impl Committed {
    /// What is committed, once all of it is known.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS until then.
    pub fn table<S: Store>(&self, store: &S) -> Result<Ref<'_, Table>, ErrorCode> {
        let leadership = store.leadership();
        if leadership.is_some() && self.loaded.get() == leadership {
            Ok(self.table.borrow())
        } else {
            Err(ErrorCode::CoordinatorLoadInProgress)
        }
    }

    /// Reads on to the end of the stream as it is now.
    ///
    /// # Errors
    /// The stream cannot be read.
    pub async fn follow<S: Store>(&self, store: &S) -> Result<(), ReadError> {
        let _alone = self.reading.lock().await;
        // Before the look: what is committed later is read later.
        let leadership = store.leadership();
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
        self.loaded.set(leadership.or(self.loaded.get()));
        Ok(())
    }

    /// Follows the stream for ever, and keeps what counts of it. `has_members` says whether a group has any.
    pub async fn tend<S: Store>(&self, store: &S, limits: &Limits, has_members: impl Fn(&str) -> bool) {
        let mut failed = false;
        let mut expire_at = Instant::now();
        loop {
            let tended = self.keep(store).await;
            if tended.is_ok() && Instant::now() >= expire_at {
                expire_at = Instant::now() + EXPIRE_EVERY;
                self.expire(store, limits, &has_members).await;
            }
            if let Err(error) = &tended
                && !failed
            {
                tracing::error!(%error, "committed offsets cannot be read; groups are not served until they can");
            }
            failed = tended.is_err();
            let is_ready = store.leadership().is_some_and(|leadership| self.loaded.get() == Some(leadership));
            tokio::time::sleep(if is_ready { TEND_EVERY } else { HURRY_EVERY }).await;
        }
    }

    /// Follows the stream, appends again what stands in the older half of what is kept, and lets retention take the rest.
    ///
    /// # Errors
    /// The stream cannot be read.
    pub async fn keep<S: Store>(&self, store: &S) -> Result<(), ReadError> {
        self.follow(store).await?;
        let oldest = || self.table.borrow().oldest();
        let half = store.newer_half(STREAM, PARTITION);
        // Who does not lead only follows: what is renewed comes from the one that does.
        if store.leads() && oldest().is_some_and(|oldest| oldest < half) {
            let _alone = self.order.write().await;
            // Everything that was under way is in the table, and nothing else is under way.
            self.renew(store, half).await;
        }
        if store.state(STREAM, PARTITION).is_some() {
            store.release_below(STREAM, PARTITION, oldest().unwrap_or(self.next.get()));
        }
        Ok(())
    }

    /// Removes entries whose group has had no members, and that had no commit, for as long as offsets are kept.
    pub async fn expire<S: Store>(&self, store: &S, limits: &Limits, has_members: &impl Fn(&str) -> bool) {
        self.note_activity(has_members);
        if !store.leads() || self.expired(limits).is_empty() {
            return;
        }
        let _alone = self.order.write().await;
        for names in self.expired(limits).chunks(RENEWED_MAX) {
            let removals: Vec<_> = names.iter().map(|name| (name.key(), None)).collect();
            if let Err(error) = self.append_in_order(store, &removals).await {
                tracing::warn!(error = error.name(), "committed offsets that are too old could not be removed; tried again");
                return;
            }
        }
    }

    /// Appends entries, or removals where there is no value, and waits until the table has them.
    ///
    /// # Errors
    /// The code for the client; the entries may be stored all the same.
    pub async fn append<S: Store>(&self, store: &S, entries: &[(Key<'_>, Option<Value<'_>>)]) -> Result<(), ErrorCode> {
        let _shared = self.order.read().await;
        self.append_in_order(store, entries).await
    }

    async fn append_in_order<S: Store>(&self, store: &S, entries: &[(Key<'_>, Option<Value<'_>>)]) -> Result<(), ErrorCode> {
        let batch = batch_of(entries, now_ms()).ok_or(ErrorCode::InvalidCommitOffsetSize)?;
        self.exists(store).await?;
        store.append(STREAM, PARTITION, Bytes::from(batch), Level::Committed).await.map_err(|error| code_of(&error))?;
        self.follow(store).await.map_err(|_| ErrorCode::CoordinatorNotAvailable)
    }

    /// Whether there is room for these entries.
    ///
    /// # Errors
    /// INVALID_COMMIT_OFFSET_SIZE where there is not.
    pub fn has_room<'a, S: Store>(
        &self,
        store: &S,
        limits: &Limits,
        entries: impl Iterator<Item = (Key<'a>, &'a str)>,
    ) -> Result<(), ErrorCode> {
        let table = self.table(store)?;
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

    /// A group that is seen for the first time, as after a start, may have members that have not come back yet.
    fn note_activity(&self, has_members: &impl Fn(&str) -> bool) {
        let table = self.table.borrow();
        let mut active_ms = self.active_ms.borrow_mut();
        active_ms.retain(|group, _| table.of_group(group).next().is_some());
        for group in table.groups() {
            match active_ms.get_mut(group) {
                Some(active_ms) if has_members(group) => *active_ms = table.newest_ms(),
                Some(_) => {}
                None => drop(active_ms.insert(group.to_owned(), table.newest_ms())),
            }
        }
    }

    fn expired(&self, limits: &Limits) -> Vec<Name> {
        let (table, active_ms) = (self.table.borrow(), self.active_ms.borrow());
        // A commit under a clock that was ahead must not end everybody else's.
        let newest_ms = table.newest_ms().min(now_ms());
        let kept_ms = i64::try_from(limits.offsets_retention.as_millis()).unwrap_or(i64::MAX);
        let is_expired = |key: &Key<'_>, entry: &Entry| {
            let active_ms = active_ms.get(key.group).copied().unwrap_or(newest_ms);
            newest_ms.saturating_sub(entry.committed_ms.max(active_ms)) > kept_ms
        };
        let expired = table.entries().filter(|(key, entry)| is_expired(key, entry));
        expired.map(|(key, _)| Name { group: key.group.to_owned(), topic: key.topic.to_owned(), partition: key.partition }).collect()
    }

    /// Appends again what stands below `half`.
    async fn renew<S: Store>(&self, store: &S, half: i64) {
        loop {
            let due: Vec<(Name, Entry)> = {
                let table = self.table.borrow();
                table.below(half).take(RENEWED_MAX).map(|(name, entry)| (name.clone(), entry.clone())).collect()
            };
            if due.is_empty() {
                return;
            }
            let entries: Vec<_> = due.iter().map(|(name, entry)| (name.key(), Some(entry.value()))).collect();
            if let Err(error) = self.append_in_order(store, &entries).await {
                tracing::warn!(error = error.name(), "committed offsets could not be appended again; their segment is kept until they are");
                return;
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
        let base = batch.header().base_offset.get();
        for record in batch.records().map_while(Result::ok) {
            let at = base + record.offset_delta;
            let Some(key) = record.key.and_then(Key::read).filter(|_| at >= self.next.get()) else { continue };
            match record.value.map(Value::read) {
                None => table.apply(at, &key, None),
                Some(Some(value)) => table.apply(at, &key, Some(&value)),
                Some(None) => tracing::warn!(offset = at, "a committed offset of an unknown version is passed over"),
            }
        }
    }
}

/// What makes a client look for its coordinator again, and try.
fn code_of(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::TooLarge { .. } => ErrorCode::InvalidCommitOffsetSize,
        AppendError::NotLeader | AppendError::Interrupted => ErrorCode::NotCoordinator,
        AppendError::UnknownPartition
        | AppendError::OutOfOrder { .. }
        | AppendError::ProducerFenced
        | AppendError::Busy
        | AppendError::TooFewInSync => ErrorCode::CoordinatorNotAvailable,
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
