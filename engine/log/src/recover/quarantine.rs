//! Keeping what leaves the log: nothing is cut before a copy of it is durable.

use super::candidates::Candidate;
use super::{Recovered, Rules, Walked, Window, window_of};
use crate::disk::{Disk, DiskError};
use headworks_format::block::HEAD_BYTES;
use headworks_format::segment::DATA_FROM;

/// Why the log ends in a segment.
pub(super) struct Cut {
    pub window_bytes: u64,
    pub counted: bool,
    pub fault: &'static str,
}

/// Keeps what is about to leave the log: from the cut to the last block of ours within the window.
pub(super) fn tail<D: Disk>(
    disk: &mut D,
    candidate: &Candidate,
    walked: &Walked,
    cut: &Cut,
    recovered: &mut Recovered,
) -> Result<(), DiskError> {
    let from = walked.end_position;
    let end = end_of_ours(disk, candidate, from, cut.window_bytes, recovered);
    if cut.counted {
        count(candidate, walked, cut.fault, recovered);
    }
    if end > from {
        keep_bytes(disk, candidate, "", from, end)?;
        recovered.notes.push(format!(
            "{}: {} bytes behind block {} were never acknowledged as a whole; copied to quarantine",
            candidate.file,
            end - from,
            walked.end_sequence
        ));
    }
    Ok(())
}

fn count(candidate: &Candidate, walked: &Walked, fault: &str, recovered: &mut Recovered) {
    let lost: Vec<_> = candidate.records.iter().filter(|record| record.names_block() && record.sequence.0 >= walked.end_sequence).collect();
    recovered.perhaps_acked_records += lost.iter().map(|record| u64::from(record.records)).sum::<u64>();
    recovered.notes.push(format!(
        "{}: block {} does not hold ({fault}) though a group commit had named it; {} blocks were perhaps acknowledged and are in quarantine",
        candidate.file,
        walked.end_sequence,
        lost.len()
    ));
}

/// The log ended in an earlier segment: nothing of this one was durable, since groups never straddle a roll.
pub(super) fn whole<D: Disk>(disk: &mut D, rules: &Rules, candidate: &Candidate, recovered: &mut Recovered) -> Result<(), DiskError> {
    let from = DATA_FROM as u64;
    let end = end_of_ours(disk, candidate, from, window_of(candidate, rules), recovered);
    if end > from {
        keep_bytes(disk, candidate, "", from, end)?;
    }
    recovered.notes.push(format!("{} began behind the end of the log; {} bytes copied to quarantine", candidate.file, end - from));
    recovered.left.push(candidate.file);
    Ok(())
}

fn end_of_ours<D: Disk>(disk: &D, candidate: &Candidate, from: u64, window_bytes: u64, recovered: &mut Recovered) -> u64 {
    let file_bytes = candidate.id.segment_bytes;
    let until = from.saturating_add(window_bytes).min(file_bytes);
    let mut window = Window::new(disk, candidate.file, file_bytes);
    let (mut position, mut end) = (from, from);
    while position + HEAD_BYTES as u64 <= until {
        if let Some(head) = window.head_at(position).filter(|head| head.nonce() == candidate.id.nonce) {
            end = end.max((position + head.block_bytes() as u64).min(file_bytes));
            recovered.cut_blocks += 1;
        }
        position += HEAD_BYTES as u64;
    }
    candidate
        .records
        .iter()
        .filter(|record| record.names_block() && record.position >= from)
        .map(|record| record.position + u64::from(record.length))
        .fold(end, u64::max)
        .min(file_bytes)
}

/// Copies page by page: one that cannot be read does not keep its neighbours out of the copy, nor the node from starting.
/// Returns the copy's name.
pub(super) fn keep_bytes<D: Disk>(disk: &mut D, candidate: &Candidate, prefix: &str, from: u64, end: u64) -> Result<String, DiskError> {
    let mut kept = Vec::new();
    let mut window = Window::new(disk, candidate.file, candidate.id.segment_bytes);
    for position in (from..end).step_by(HEAD_BYTES) {
        kept.extend_from_slice(window.readable_page_at(position));
    }
    let name = format!("{prefix}lane-{:02}-epoch-{}-{:06}-{from}.bin", candidate.id.lane, candidate.id.epoch, candidate.file.0);
    disk.quarantine(&name, &kept)?;
    Ok(name)
}
