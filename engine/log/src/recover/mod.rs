//! Recovery of a lane: which blocks are the log, where it ends, what is missing in the middle.
//!
//! It never cuts what was acknowledged and never serves what does not prove itself; the truth table is [`crate::decide`].
//!
//! ```text
//! candidates ─► for each segment, oldest first: sidecar │ head scan │ full walk ─► end, holes, offsets
//!                                                                              └► quarantine what is cut
//! then: fdatasync every file that was walked, write its sidecar, blank what left the log, only then publish positions
//! ```
//!
//! If we die during recovery, the next one begins again from the same bytes: what it wrote before are sidecars, headers
//! that could be rebuilt, and blanks over files whose content is in quarantine. The superblock's new epoch, taken before,
//! only makes the next segment's number higher.

mod blank;
pub mod candidates;
mod quarantine;
mod reopen;
mod sealed;
mod truncate;
mod walk;
mod window;

pub use blank::blank;
pub use reopen::{Reopened, Unsettled, reopen};
pub use truncate::{Cut, truncate};
pub use walk::{Bounds, Depth, KnownProducers, Stop, Walked, reason, walk};
pub(crate) use walk::{first_of_longest_rise, heads_from};
pub use window::Window;

use crate::disk::{Disk, DiskError, FileNumber};
use crate::view::SealedSegment;
use candidates::{Candidate, Candidates, ToldBy, candidates, synced_through};
use headworks_format::block::{COUNTERS, HEAD_BYTES};
use headworks_format::checkpoint::{Partition, Producer};
use headworks_format::segment::{DATA_FROM, PAGE_BYTES, SegmentId};
use headworks_format::sidecar::{Hole, Sidecar};
use headworks_format::{Chain, Epoch, LaneId};

/// What recovery is told.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The lane.
    pub lane: LaneId,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// W of this run, for segments whose header does not say theirs.
    pub window_bytes: u64,
    /// Whether the registered in-sync set is this node alone.
    pub alone: bool,
}

/// One segment of the recovered log.
#[derive(Debug, Clone)]
pub struct Segment {
    /// For the view.
    pub sealed: SealedSegment,
    /// Wall time of its last block in ns.
    pub newest_ns: u64,
    /// Its partitions at its start, by id.
    pub starts: Vec<Partition>,
    /// Its holes.
    pub holes: Vec<Hole>,
}

/// A recovered lane.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The log, oldest first.
    pub segments: Vec<Segment>,
    /// Files that may be written: blank, durably.
    pub spares: Vec<FileNumber>,
    /// Files that left the log and are not blank yet; none when recovery returns.
    left: Vec<FileNumber>,
    /// The highest epoch that any segment was written in: the next start takes a higher one, whatever its superblock
    /// says, or its segments would count for less than these.
    pub epoch: Epoch,
    /// Number of the next block.
    pub next: u64,
    /// What the next block carries.
    pub chain: Chain,
    /// Blocks below are committed: all of them, unless [`Recovered::take_back`] says otherwise.
    pub committed: u64,
    /// The highest hint of the blocks that were read: those below were known to be committed when one was stamped.
    pub committed_hint: u64,
    /// What is durable here and perhaps not committed.
    pub unsettled: Vec<Unsettled>,
    /// The last segment, where it goes on.
    pub reopened: Option<Reopened>,
    /// Partitions with their next offsets.
    pub partitions: Vec<Partition>,
    /// Idempotent producers with their last batches.
    pub producers: Vec<Producer>,
    known: KnownProducers,
    /// The lane's cumulative counters at the last block.
    pub counters: [u64; COUNTERS],
    /// Wall time of the last block in ns.
    pub newest_ns: u64,
    /// Blocks that were cut.
    pub cut_blocks: u64,
    /// Records that were cut though a group commit had named them.
    pub perhaps_acked_records: u64,
    /// Bytes read with payload, for the report.
    pub walked_bytes: u64,
    /// What the operator should know, each a sentence.
    pub notes: Vec<String>,
}

impl Recovered {
    /// Holes of all segments.
    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.segments.iter().flat_map(|segment| &segment.holes)
    }
}

/// Recovers a lane, leaving every kept segment synced, headed and with a sidecar, and every other file blank.
///
/// # Errors
/// The directory cannot be read, or what must be durable before positions are published could not be made so.
pub fn recover<D: Disk>(disk: &mut D, rules: &Rules) -> Result<Recovered, DiskError> {
    let found = candidates(disk, rules.lane, rules.segment_bytes)?;
    let synced = synced_through(&found.kept);
    let mut recovered = begin(&found);
    let mut later = found.kept.as_slice();
    while let Some((candidate, rest)) = later.split_first() {
        if candidate.id.base_sequence.0 != recovered.next {
            // Nothing that was durable is missing: the segment between was lost before its first group was.
            if recovered.next >= synced {
                break;
            }
            bridge(&mut recovered, candidate);
        }
        later = rest;
        if !take(disk, rules, synced, candidate, rest, &mut recovered)? {
            break;
        }
    }
    for candidate in later {
        quarantine::whole(disk, rules, candidate, &mut recovered)?;
    }
    if recovered.segments.is_empty() {
        // Nothing is left that a number could follow; the epoch makes those that begin anew unique.
        (recovered.next, recovered.chain) = (0, Chain::START);
    }
    blank_left(disk, &mut recovered)?;
    recovered.committed = recovered.next;
    recovered.producers = std::mem::take(&mut recovered.known).into_values().collect();
    Ok(recovered)
}

/// What is known before a block is read.
fn begin(found: &Candidates) -> Recovered {
    let mut recovered =
        Recovered { epoch: found.epoch, spares: found.spares.clone(), left: found.superseded.clone(), ..Recovered::default() };
    let aside = found.set_aside.iter().map(|(file, reason)| format!("{file} is left alone: {reason}"));
    let headers =
        found.unreadable_headers.iter().map(|file| format!("{file} has an unreadable header page; its first block tells what it holds"));
    let sidecars = found.broken_sidecars.iter().map(|file| format!("{file} has a damaged sidecar; the segment is scanned instead"));
    recovered.notes.extend(aside.chain(headers).chain(sidecars));
    if let Some(first) = found.kept.first() {
        (recovered.next, recovered.chain) = (first.id.base_sequence.0, first.id.base_chain);
    }
    recovered
}

/// Makes what left the log blank, the newest first: of two that were cut the later one must never outlive the earlier,
/// or it would look as if the log went on in it behind a gap.
fn blank_left<D: Disk>(disk: &mut D, recovered: &mut Recovered) -> Result<(), DiskError> {
    while let Some(file) = recovered.left.pop() {
        blank(disk, file)?;
        recovered.spares.push(file);
    }
    Ok(())
}

/// Sequences that no file holds: a segment is missing. What follows is kept, and the gap is said.
fn bridge(recovered: &mut Recovered, candidate: &Candidate) {
    let (from, to) = (recovered.next, candidate.id.base_sequence.0);
    recovered.notes.push(format!("blocks {from} to {to} are in no file: a segment of the lane is missing"));
    recovered.next = to;
    recovered.chain = candidate.id.base_chain;
}

/// Takes one segment into the log; false when the log ends within it.
fn take<D: Disk>(
    disk: &mut D,
    rules: &Rules,
    synced: u64,
    candidate: &Candidate,
    rest: &[Candidate],
    recovered: &mut Recovered,
) -> Result<bool, DiskError> {
    let next_base = rest.first().map(|next| next.id.base_sequence.0);
    let sidecar = candidate.sidecar.as_ref().filter(|sidecar| next_base.is_none_or(|base| base == sidecar.end_sequence.0));
    // What a hole reserves stands in no sidecar: such a segment is walked again. So is one whose next segment does not tell
    // what else no sidecar holds: partitions that were made in its middle, and its producers.
    let told = |sidecar: &&Sidecar| sidecar.holes.is_empty() && rest.first().is_some_and(|next| sealed::begins_whole(disk, rules, next));
    if let Some(sidecar) = sidecar.filter(told) {
        heal_header(disk, candidate, rules, recovered)?;
        sealed::take(disk, rules, candidate, sidecar, rest.first(), recovered);
        return Ok(true);
    }
    let mut bounds = bounds_of(disk, rules, synced, candidate, rest);
    let mut walked = walk(disk, candidate, &bounds, &recovered.partitions, &recovered.known);
    if bounds.depth == Depth::Heads && !walked.holes.is_empty() {
        // A segment with one harmed block is likely to have more: its sidecar shall name them all.
        bounds.depth = Depth::Payload;
        walked = walk(disk, candidate, &bounds, &recovered.partitions, &recovered.known);
    }
    recovered.walked_bytes += match bounds.depth {
        Depth::Heads => walked.blocks * HEAD_BYTES as u64,
        Depth::Payload => walked.end_position,
    };
    if let Stop::Cut { counted, fault } = walked.stop {
        let cut = quarantine::Cut { window_bytes: bounds.window_bytes, counted, fault };
        quarantine::tail(disk, candidate, &walked, &cut, recovered)?;
    }
    let ends = walked.stop != Stop::End;
    if walked.end_sequence == candidate.id.base_sequence.0 {
        // Not even its checkpoint: the segment never became part of the log.
        recovered.left.push(candidate.file);
        return Ok(!ends);
    }
    // Before any position is published, what was read is durable: a survivor of the page cache would not be.
    heal_header(disk, candidate, rules, recovered)?;
    disk.sync(candidate.file)?;
    let mut sidecar = sidecar_of(candidate, &walked);
    sidecar.counters = walked.counters.unwrap_or(recovered.counters);
    disk.write_sidecar(candidate.file, &sidecar.encode())?;
    note_holes(candidate, &walked.holes, recovered);
    let newest_ns = walked.newest_ns;
    adopt(candidate, &sidecar, walked, newest_ns, recovered);
    Ok(!ends)
}

fn bounds_of<D: Disk>(disk: &D, rules: &Rules, synced: u64, candidate: &Candidate, rest: &[Candidate]) -> Bounds {
    let next_base = rest.first().map(|next| next.id.base_sequence.0);
    let sealed_end = candidate.sidecar.as_ref().map(|sidecar| sidecar.end_sequence.0);
    let window_bytes = window_of(candidate, rules);
    // A sidecar with holes knows of damage that no head shows.
    let whole = next_base.is_some_and(|base| base <= synced) && candidate.sidecar.is_none();
    Bounds {
        synced,
        next_base: next_base.or(sealed_end),
        window_bytes,
        later_beyond_window: later_beyond_window(disk, rest, window_bytes),
        alone: rules.alone,
        depth: if whole { Depth::Heads } else { Depth::Payload },
    }
}

/// Writes a header page again that could not be read, from what the first block says.
fn heal_header<D: Disk>(disk: &mut D, candidate: &Candidate, rules: &Rules, recovered: &mut Recovered) -> Result<(), DiskError> {
    if candidate.told_by != ToldBy::FirstBlock {
        return Ok(());
    }
    let mut page = [0; PAGE_BYTES];
    let id = SegmentId { window_bytes: window_of(candidate, rules), ..candidate.id };
    id.write(&mut page);
    let mut aligned = disk.buffer(PAGE_BYTES);
    aligned.as_mut()[..PAGE_BYTES].copy_from_slice(&page);
    disk.write(candidate.file, 0, &aligned.as_ref()[..PAGE_BYTES])?;
    disk.sync(candidate.file)?;
    recovered.notes.push(format!("{}: its header page is written again", candidate.file));
    Ok(())
}

fn window_of(candidate: &Candidate, rules: &Rules) -> u64 {
    if candidate.id.window_bytes == 0 { rules.window_bytes } else { candidate.id.window_bytes }
}

fn later_beyond_window<D: Disk>(disk: &D, rest: &[Candidate], window_bytes: u64) -> bool {
    rest.iter().any(|candidate| {
        let from = (DATA_FROM as u64 + window_bytes).next_multiple_of(HEAD_BYTES as u64);
        candidate.records.iter().any(|record| record.names_block() && record.position >= from) && {
            let mut window = Window::new(disk, candidate.file, candidate.id.segment_bytes);
            candidate.records.iter().filter(|record| record.names_block() && record.position >= from).any(|record| {
                window.head_at(record.position).is_some_and(|head| head.nonce() == candidate.id.nonce && head.sequence() == record.sequence)
            })
        }
    })
}

fn adopt(candidate: &Candidate, sidecar: &Sidecar, walked: Walked, newest_ns: u64, recovered: &mut Recovered) {
    recovered.next = sidecar.end_sequence.0;
    recovered.chain = sidecar.end_chain;
    recovered.counters = sidecar.counters;
    recovered.committed_hint = recovered.committed_hint.max(walked.committed);
    if newest_ns > 0 {
        recovered.newest_ns = newest_ns;
    }
    recovered.partitions = walked.partitions;
    recovered.known = walked.producers;
    recovered.segments.push(Segment {
        sealed: SealedSegment {
            file: candidate.file,
            nonce: candidate.id.nonce,
            epoch: candidate.id.epoch,
            base_sequence: candidate.id.base_sequence.0,
            end_sequence: sidecar.end_sequence.0,
            end_position: sidecar.end_position,
            starts: Vec::new(),
        },
        newest_ns,
        starts: walked.starts,
        holes: sidecar.holes.clone(),
    });
}

/// The sidecar that a walk amounts to.
#[must_use]
pub fn sidecar_of(candidate: &Candidate, walked: &Walked) -> Sidecar {
    let mut entries = walked.entries.clone();
    entries.sort_unstable();
    Sidecar {
        lane: candidate.id.lane,
        epoch: candidate.id.epoch,
        nonce: candidate.id.nonce,
        base_sequence: candidate.id.base_sequence,
        end_sequence: headworks_format::Sequence(walked.end_sequence),
        end_position: walked.end_position,
        end_chain: walked.end_chain.unwrap_or(Chain::START),
        counters: walked.counters.unwrap_or_default(),
        entries,
        holes: walked.holes.clone(),
    }
}

fn note_holes(candidate: &Candidate, holes: &[Hole], recovered: &mut Recovered) {
    recovered.notes.extend(holes.iter().map(|hole| {
        let (file, first, last) = (candidate.file, hole.sequence, hole.sequence.0 + hole.blocks - 1);
        format!("{file}: blocks {first} to {last} at byte {} cannot be read ({:?}); the rest is served", hole.position, hole.state)
    }));
}
