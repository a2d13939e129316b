//! Taking a rolled segment by its sidecar: only its checkpoint is read, and of the log's last segment the last head.

use super::candidates::Candidate;
use super::{Bounds, Depth, KnownProducers, Recovered, Rules, Window, adopt, note_holes, walk};
use crate::disk::Disk;
use headworks_format::block::{BLOCK_BYTES_MAX, HEAD_BYTES};
use headworks_format::segment::DATA_FROM;
use headworks_format::sidecar::Sidecar;

/// Takes the segment as its sidecar describes it; `next` is the segment behind it.
pub(super) fn take<D: Disk>(
    disk: &D,
    rules: &Rules,
    candidate: &Candidate,
    sidecar: &Sidecar,
    next: Option<&Candidate>,
    recovered: &mut Recovered,
) {
    let mut checkpoint = walk(disk, candidate, &first_block(rules, candidate), &recovered.partitions, &recovered.known);
    if checkpoint.blocks == 0 {
        recovered.notes.push(format!(
            "{}: its checkpoint, block {}, cannot be read; names and offsets are taken from what stands around it",
            candidate.file, candidate.id.base_sequence
        ));
    }
    // Entries are sorted by partition, then offset: the last one of a partition says where it stands.
    for entry in &sidecar.entries {
        checkpoint.advance(entry);
    }
    // The next segment began after the last block of this one was sealed.
    let newest_ns = match next {
        Some(next) => next.id.created_ns,
        None => last_wall_ns(disk, candidate, sidecar),
    }
    .max(checkpoint.newest_ns);
    note_holes(candidate, &sidecar.holes, recovered);
    adopt(candidate, sidecar, checkpoint, newest_ns, recovered);
}

/// Whether the segment's first block proves itself: a checkpoint, which says all that a sidecar before it does not.
pub(super) fn begins_whole<D: Disk>(disk: &D, rules: &Rules, candidate: &Candidate) -> bool {
    walk(disk, candidate, &first_block(rules, candidate), &[], &KnownProducers::new()).blocks == 1
}

/// Bounds of a walk over a segment's first block alone.
fn first_block(rules: &Rules, candidate: &Candidate) -> Bounds {
    Bounds {
        synced: u64::MAX,
        next_base: Some(candidate.id.base_sequence.0 + 1),
        window_bytes: rules.window_bytes,
        later_beyond_window: false,
        alone: true,
        depth: Depth::Payload,
    }
}

/// Wall time of the segment's last block, found backwards from its end; 0 where its head cannot be read.
fn last_wall_ns<D: Disk>(disk: &D, candidate: &Candidate, sidecar: &Sidecar) -> u64 {
    let mut window = Window::new(disk, candidate.file, candidate.id.segment_bytes);
    let mut position = sidecar.end_position;
    for _ in 0..BLOCK_BYTES_MAX / HEAD_BYTES {
        position = position.saturating_sub(HEAD_BYTES as u64);
        if position < DATA_FROM as u64 {
            break;
        }
        if let Some(head) = window.head_alone_at(position)
            && head.nonce() == candidate.id.nonce
            && head.sequence().0 + 1 == sidecar.end_sequence.0
        {
            return head.header().wall_ns.get();
        }
    }
    0
}
