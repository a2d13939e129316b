//! Offsets by time, exact to the record. Timestamps may go backwards, so every batch that could hold the answer is looked
//! at in offset order; the index's largest timestamp of each batch rules most of them out without a read.

use super::files;
use super::store::{At, Entries, LaneStore};
use crate::store::{ReadError, TimedOffset};
use headworks_format::Epoch;
use headworks_format::batch::Batch;
use headworks_format::sidecar::{Entry, TIMESTAMP_UNKNOWN};
use headworks_log::{Disk, FileNumber};

/// What one pass over a batch's records looks for.
#[derive(Clone, Copy)]
enum Wanted {
    /// The first record at or after a time.
    AtOrAfter(i64),
    /// The record with the largest timestamp, the first of them on a tie.
    Largest,
}

impl<D: Disk + Send + Sync + 'static> LaneStore<D>
where
    D::Buffer: Send + 'static,
{
    pub(super) async fn first_at_or_after(&self, at: At, time_ms: i64) -> Result<Option<TimedOffset>, ReadError> {
        let may_hold = |entry: &&Entry| entry.max_timestamp_ms == TIMESTAMP_UNKNOWN || entry.max_timestamp_ms >= time_ms;
        for (file, epoch, entries) in self.all_entries(at).await? {
            for entry in entries.iter().filter(may_hold) {
                if let Some(found) = self.search(at, file, epoch, *entry, Wanted::AtOrAfter(time_ms)).await {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    pub(super) async fn latest(&self, at: At) -> Result<Option<TimedOffset>, ReadError> {
        let mut largest: Option<TimedOffset> = None;
        for (file, epoch, entries) in self.all_entries(at).await? {
            for entry in &entries {
                let known = largest.map_or(i64::MIN, |found| found.timestamp_ms);
                if entry.max_timestamp_ms != TIMESTAMP_UNKNOWN && entry.max_timestamp_ms <= known {
                    continue;
                }
                let found = self.search(at, file, epoch, *entry, Wanted::Largest).await;
                largest = found.filter(|found| found.timestamp_ms > known || largest.is_none()).or(largest);
            }
        }
        Ok(largest)
    }

    /// The partition's committed batches by file, oldest first.
    async fn all_entries(&self, at: At) -> Result<Vec<(FileNumber, Epoch, Vec<Entry>)>, ReadError> {
        let view = &self.lanes[at.lane].view;
        let (partition, high_watermark) = (view.partitions[at.place].id, view.partitions[at.place].high_watermark());
        // Sealed before fresh: a segment is added to the one before it leaves the other, so none is missed.
        let fresh = self.fresh_entries(at);
        let mut all = Vec::new();
        for segment in self.segments(at) {
            if fresh.iter().any(|(file, _, _)| *file == segment.file) {
                continue;
            }
            let entries: Entries =
                self.sidecars.entries(&self.lanes[at.lane].disk, segment.file, segment.nonce).await.ok_or(ReadError::Storage)?;
            let from = entries.partition_point(|entry| entry.partition < partition);
            let own = entries[from..].iter().take_while(|entry| entry.partition == partition && entry.end_offset() <= high_watermark);
            all.push((segment.file, segment.epoch, own.copied().collect()));
        }
        all.extend(fresh);
        Ok(all)
    }

    async fn search(&self, at: At, file: FileNumber, epoch: Epoch, entry: Entry, wanted: Wanted) -> Option<TimedOffset> {
        let read = files::read(&self.lanes[at.lane].disk, file, epoch, vec![entry]).await;
        let bytes = read.into_iter().next()?.bytes?;
        let batch = Batch::parse_unsummed(&bytes).ok()?;
        let header = batch.header();
        let timed = |offset_delta: i64, timestamp_ms: i64| TimedOffset { offset: header.base_offset.get() + offset_delta, timestamp_ms };
        if batch.is_compressed() {
            // Only a client can look inside: the batch's own bounds are the answer.
            return Some(timed(0, header.max_timestamp.get()));
        }
        let mut records = batch
            .records()
            .map_while(Result::ok)
            .map(|record| timed(record.offset_delta, header.base_timestamp.get() + record.timestamp_delta_ms));
        match wanted {
            Wanted::AtOrAfter(time_ms) => records.find(|found| found.timestamp_ms >= time_ms),
            Wanted::Largest => records.reduce(|largest, found| if found.timestamp_ms > largest.timestamp_ms { found } else { largest }),
        }
    }
}
