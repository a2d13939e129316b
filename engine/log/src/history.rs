//! Finding batches for readers: in the indexes of fresh segments, or in which sealed segment to look.
//!
//! Pure look-ups over the published view; reading bytes is the reader's own affair. What a reader gets from a file is
//! taken only if it is the batch that the entry describes, since the file may have been reused meanwhile: [`holds`].

use crate::FileNumber;
use crate::view::{Found, LaneView, SealedSegment};
use headworks_format::batch::Batch;
use headworks_format::sidecar::Entry;
use headworks_format::{Epoch, Nonce, PartitionId};
use std::sync::Arc;

/// Where the batch that contains an offset, or the first one after it, is to be looked for.
#[derive(Debug, Clone)]
pub enum Place {
    /// In a segment without sidecar: consecutive batches of the partition, all committed.
    Fresh {
        /// The file.
        file: FileNumber,
        /// Its nonce.
        nonce: Nonce,
        /// Its epoch.
        epoch: Epoch,
        /// At least one batch.
        batches: Vec<Found>,
    },
    /// In these sealed segments, in order, until one has it.
    Sealed(Vec<Arc<SealedSegment>>),
    /// Nowhere: the offset is at or beyond the high watermark.
    Beyond,
}

/// Where a look-up last ended, so that a reader that goes on does not scan again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint {
    /// The index's nonce.
    pub nonce: Nonce,
    /// Place in it.
    pub at: usize,
    /// Offset of the batch there: of no use for a look-up of an earlier one.
    pub offset: u64,
}

/// Finds the batches from `offset` on of the partition at `place`, up to `bytes_max` but at least one, below the high watermark.
#[must_use]
pub fn find(view: &LaneView, place: usize, offset: u64, bytes_max: usize, hint: Option<Hint>) -> Place {
    let partition = &view.partitions[place];
    // The watermark first: entries of everything below it are visible afterwards.
    let high_watermark = partition.high_watermark();
    if offset >= high_watermark {
        return Place::Beyond;
    }
    // Sealed before fresh: a segment is added to the one before it leaves the other.
    let fresh = view.open_indexes();
    for (number, index) in fresh.iter().enumerate() {
        // A later index that begins at or below the offset has it.
        if fresh.get(number + 1).is_some_and(|next| next.start_of(place) <= offset) || index.start_of(place) > offset {
            continue;
        }
        let looked = index.read(|file, nonce, epoch| {
            let from = hint.filter(|hint| hint.nonce == nonce && hint.offset <= offset).map_or(0, |hint| hint.at);
            let batches = collect(index.batches(partition.id, offset, from), high_watermark, bytes_max);
            Place::Fresh { file, nonce, epoch, batches }
        });
        match looked {
            Some(Place::Fresh { batches, .. }) if batches.is_empty() => continue,
            Some(found) => return found,
            None => break,
        }
    }
    let sealed = view.sealed();
    let first = sealed.iter().rposition(|segment| segment.start_of(place) <= offset).unwrap_or(0);
    Place::Sealed(sealed[first..].to_vec())
}

fn collect(batches: impl Iterator<Item = Found>, high_watermark: u64, bytes_max: usize) -> Vec<Found> {
    let mut taken: Vec<Found> = Vec::new();
    let mut bytes = 0;
    for found in batches {
        bytes += found.entry.length as usize;
        if found.entry.end_offset() > high_watermark || (!taken.is_empty() && bytes > bytes_max) {
            break;
        }
        taken.push(found);
    }
    taken
}

/// The entries of a sidecar from the one that contains `offset`, or the first after it, up to `bytes_max` but at least one, and
/// none that ends beyond `high_watermark`: a segment may be sealed before all of it is committed.
#[must_use]
pub fn run_of(entries: &[Entry], partition: PartitionId, offset: u64, high_watermark: u64, bytes_max: usize) -> &[Entry] {
    let from = entries.partition_point(|entry| (entry.partition, entry.end_offset()) <= (partition, offset));
    let mut bytes = 0;
    let count = entries[from..]
        .iter()
        .take_while(|entry| entry.partition == partition && entry.end_offset() <= high_watermark)
        .enumerate()
        .take_while(|(place, entry)| {
            bytes += entry.length as usize;
            *place == 0 || bytes <= bytes_max
        })
        .count();
    &entries[from..from + count]
}

/// Whether `bytes` are the batch that the entry describes, by its own CRC and by the fields that its CRC skips.
#[must_use]
pub fn holds(entry: &Entry, bytes: &[u8]) -> bool {
    let Ok(batch) = Batch::parse(bytes) else {
        return false;
    };
    let header = batch.header();
    header.crc.get() == entry.crc
        && u64::try_from(header.base_offset.get()) == Ok(entry.base_offset)
        && u32::try_from(header.record_count.get()) == Ok(entry.records)
}

/// As [`holds`], for a batch of a segment of `epoch`: no sum covers the batch's leader epoch, so it is compared too. What is
/// served to consumers goes through this. The epoch is the segment's.
#[must_use]
pub fn holds_in(entry: &Entry, epoch: Epoch, bytes: &[u8]) -> bool {
    holds(entry, bytes) && Batch::parse_unsummed(bytes).is_ok_and(|batch| u32::try_from(batch.header().leader_epoch.get()) == Ok(epoch.0))
}

/// Where a reader goes on that found nothing at `offset` in the sealed segments: what was there is lost, and the first
/// batch after it, if there is one, lies in a fresh segment.
#[must_use]
pub fn after_sealed(view: &LaneView, place: usize, offset: u64) -> Option<u64> {
    let starts = view.open_indexes().into_iter().filter_map(|index| index.read(|_, _, _| index.start_of(place)));
    starts.filter(|start| *start > offset).min()
}

/// The largest epoch that is not above `epoch`, and the offset at which the next one begins for the partition at `place`.
#[must_use]
pub fn end_of_epoch(view: &LaneView, place: usize, epoch: u32) -> Option<(u32, u64)> {
    let sealed = view.sealed();
    let fresh = view.open_indexes();
    let fresh_starts = fresh.iter().filter_map(|index| index.read(|_, _, epoch| (epoch.0, index.start_of(place))));
    let starts: Vec<(u32, u64)> = sealed.iter().map(|segment| (segment.epoch.0, segment.start_of(place))).chain(fresh_starts).collect();
    let found = starts.iter().map(|(known, _)| *known).filter(|known| *known <= epoch).max()?;
    let end = starts.iter().find(|(known, _)| *known > found).map(|(_, start)| *start);
    Some((found, end.unwrap_or_else(|| view.partitions[place].high_watermark())))
}

#[cfg(test)]
mod tests;
