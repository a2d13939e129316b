//! Cutting a lane's log back to where it and the primary's are the same. Done at start only, with a closed log, by order.
//!
//! ```text
//! copy to quarantine ─► later segments blank, the newest first ─► sidecar ends at the cut ─► record area ─► heads behind the cut zeroed
//! ```
//!
//! If we die before the sidecar is written, the log ends where a segment does and the order is given again. Behind it the
//! sidecar says where the log ends, whatever stands there; record area and heads only make sure that nothing else says more.

use super::candidates::{Candidate, candidates};
use super::quarantine::keep_bytes;
use super::{Rules, Window, blank};
use crate::disk::{Disk, DiskError};
use headworks_format::block::{COUNTERS, HEAD_BYTES};
use headworks_format::segment::{DATA_FROM, PAGE_BYTES, Persisted, read_records, write_record};
use headworks_format::sidecar::{Entry, Sidecar};
use headworks_format::{Chain, Sequence};

/// What was cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// Blocks.
    pub blocks: u64,
    /// Their records.
    pub records: u64,
    /// Names of the copies in quarantine, oldest first.
    pub copies: Vec<String>,
}

/// A segment's blocks up to the cut and behind it.
struct Split {
    /// Entries of the batches before the cut.
    entries: Vec<Entry>,
    chain: Chain,
    counters: [u64; COUNTERS],
    /// First byte behind the blocks that stay.
    position: u64,
    /// Positions of the heads that go.
    heads: Vec<u64>,
    /// What of them is to be kept.
    kept: Option<Kept>,
    end_position: u64,
}

/// Blocks that need a copy.
struct Kept {
    position: u64,
    blocks: u64,
    records: u64,
}

/// Cuts the lane's log so that `to` is its next block. The lane has been recovered and is closed; recover it again afterwards. Blocks
/// below `shared` the other log has, or had and gave back: they go without a copy.
///
/// # Errors
/// What goes could not be kept in quarantine, or a write failed. Nothing is cut from `shared` on that has no durable copy.
pub fn truncate<D: Disk>(disk: &mut D, rules: &Rules, to: Sequence, shared: Sequence) -> Result<Cut, DiskError> {
    let all = candidates(disk, rules.lane, rules.segment_bytes)?.kept;
    // What lies below the segment in which the cut is stays as it is and is not read: a long log is cut as fast as a short one.
    let kept = &all[all.partition_point(|candidate| candidate.id.base_sequence < to).saturating_sub(1)..];
    let mut cut = Cut::default();
    let from = shared.max(to);
    // A segment that goes whole and ends at or below `from` needs no look inside.
    let ends_before = |next: Option<&Candidate>| next.is_some_and(|next| next.id.base_sequence <= from);
    let needs_look = |place: usize, candidate: &Candidate| candidate.id.base_sequence < to || !ends_before(kept.get(place + 1));
    let splits: Vec<Option<Split>> =
        (0..).zip(kept).map(|(place, candidate)| needs_look(place, candidate).then(|| split(disk, candidate, to, from))).collect();
    for (candidate, split) in kept.iter().zip(&splits) {
        let Some((split, divergent)) = split.as_ref().and_then(|split| Some((split, split.kept.as_ref()?))) else { continue };
        let prefix = format!("divergent-from-{from}-");
        cut.copies.push(keep_bytes(disk, candidate, &prefix, divergent.position, split.end_position)?);
        cut.blocks += divergent.blocks;
        cut.records += divergent.records;
    }
    for (candidate, split) in kept.iter().zip(&splits).rev() {
        match split {
            _ if candidate.id.base_sequence >= to => blank(disk, candidate.file)?,
            Some(split) if !split.heads.is_empty() => end_at(disk, candidate, split, to)?,
            _ => {}
        }
    }
    Ok(cut)
}

fn split<D: Disk>(disk: &D, candidate: &Candidate, to: Sequence, from: Sequence) -> Split {
    let id = &candidate.id;
    let start = DATA_FROM as u64;
    let mut found = Split {
        entries: Vec::new(),
        chain: id.base_chain,
        counters: [0; COUNTERS],
        position: start,
        heads: Vec::new(),
        kept: None,
        end_position: start,
    };
    let end = candidate.sidecar.as_ref().map_or(id.segment_bytes, |sidecar| sidecar.end_position);
    let mut window = Window::new(disk, candidate.file, id.segment_bytes);
    let mut position = start;
    while position + HEAD_BYTES as u64 <= end {
        let Some(head) = window.head_at(position).filter(|head| head.nonce() == id.nonce) else {
            position += HEAD_BYTES as u64;
            continue;
        };
        let behind = position + head.block_bytes() as u64;
        if head.sequence() < to {
            found.position = behind;
            (found.chain, found.counters) = (head.chain(), head.header().counters.map(|counter| counter.get()));
            if !head.is_control() {
                found.entries.extend(head.placed().map(|placed| Entry::of(&placed, position)));
            }
        } else {
            found.heads.push(position);
            if head.sequence() >= from {
                let kept = found.kept.get_or_insert(Kept { position, blocks: 0, records: 0 });
                kept.blocks += 1;
                kept.records += u64::from(head.header().records.get());
            }
        }
        found.end_position = behind;
        position = behind;
    }
    found
}

/// Ends the segment at the cut.
fn end_at<D: Disk>(disk: &mut D, candidate: &Candidate, split: &Split, to: Sequence) -> Result<(), DiskError> {
    let id = &candidate.id;
    let mut entries = split.entries.clone();
    entries.sort_unstable();
    let holes = candidate.sidecar.iter().flat_map(|sidecar| &sidecar.holes).filter(|hole| hole.sequence < to).copied().collect();
    let sidecar = Sidecar {
        lane: id.lane,
        epoch: id.epoch,
        nonce: id.nonce,
        base_sequence: id.base_sequence,
        end_sequence: to,
        end_position: split.position,
        end_chain: split.chain,
        counters: split.counters,
        entries,
        holes,
    };
    // The records first, durably: a log that ends here while they still say that more was durable would take what is torn behind the cut
    // later for something that was acknowledged. Without the sidecar the cut is ordered again.
    rewrite_records(disk, candidate, to)?;
    disk.sync(candidate.file)?;
    disk.write_sidecar(candidate.file, &sidecar.encode())?;
    let zeros = disk.buffer(HEAD_BYTES);
    for position in split.heads.iter().rev() {
        disk.write(candidate.file, *position, zeros.as_ref())?;
    }
    disk.sync(candidate.file)
}

/// Takes back every record that names a block behind the cut or says that one was durable.
fn rewrite_records<D: Disk>(disk: &mut D, candidate: &Candidate, to: Sequence) -> Result<(), DiskError> {
    let bytes = DATA_FROM - PAGE_BYTES;
    let mut area = disk.buffer(bytes);
    disk.read(candidate.file, PAGE_BYTES as u64, bytes, &mut area)?;
    let mut rewritten = vec![0; bytes];
    for (page, into) in area.as_ref()[..bytes].chunks(PAGE_BYTES).zip(rewritten.chunks_mut(PAGE_BYTES)) {
        let stays = |record: &Persisted| record.nonce == candidate.id.nonce && (!record.names_block() || record.sequence < to);
        for (place, record) in read_records(page).filter(stays).enumerate() {
            let durable_through = record.durable_through.min(to.0);
            let sequence = if record.names_block() { record.sequence } else { Sequence(durable_through) };
            write_record(into, place, &Persisted { durable_through, sequence, ..record });
        }
    }
    disk.write(candidate.file, PAGE_BYTES as u64, &rewritten)?;
    disk.sync(candidate.file)
}
