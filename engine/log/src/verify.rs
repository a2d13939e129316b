//! The offline check: every byte of every segment that the log claims, against everything that proves it.
//!
//! Changes nothing. A torn tail that was never acknowledged is no damage; everything else that does not hold is.

use crate::disk::{Disk, DiskError, FileNumber};
use crate::recover::candidates::{Candidate, candidates, synced_through};
use crate::recover::{Bounds, Depth, KnownProducers, Stop, Walked, Window, sidecar_of, walk};
use headworks_format::{LaneId, block};

/// One place that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: FileNumber,
    /// First byte.
    pub position: u64,
    /// What is wrong, a sentence's end.
    pub what: String,
}

/// What a check of one lane found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments of the log.
    pub segments: usize,
    /// Files that are ready to be written.
    pub spares: usize,
    /// Valid blocks.
    pub blocks: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of the log that were read.
    pub bytes: u64,
    /// Number after the last block.
    pub end: u64,
    /// Whether the log ends in a block that was never acknowledged.
    pub torn_tail: bool,
    /// Damage, in order of place.
    pub damage: Vec<Damage>,
}

/// Checks a lane.
///
/// # Errors
/// The directory cannot be listed.
pub fn verify<D: Disk>(disk: &D, lane: LaneId, segment_bytes: u64, window_bytes: u64) -> Result<Report, DiskError> {
    let found = candidates(disk, lane, segment_bytes)?;
    let synced = synced_through(&found.kept);
    let mut report = Report { spares: found.spares.len() + found.superseded.len(), ..Report::default() };
    let damaged = |file: &FileNumber, what: &str| Damage { file: *file, position: 0, what: what.into() };
    report.damage.extend(found.set_aside.iter().map(|(file, reason)| damaged(file, reason)));
    // A header and the first blocks are written side by side: a crash may have kept these and not the header. That is damage only
    // where a later page proves that both were durable once.
    let unproved = |file: &FileNumber| found.kept.iter().any(|kept| kept.file == *file && kept.id.base_sequence.0 >= synced);
    let headers = found.unreadable_headers.iter().filter(|file| !unproved(file));
    report.damage.extend(headers.map(|file| damaged(file, "header page is unreadable")));
    report.damage.extend(found.broken_sidecars.iter().map(|file| damaged(file, "sidecar is damaged")));
    let mut partitions = Vec::new();
    let mut end = found.kept.first().map_or(0, |first| first.id.base_sequence.0);
    for (place, candidate) in found.kept.iter().enumerate() {
        if candidate.id.base_sequence.0 != end {
            if end >= synced {
                report.torn_tail = true;
                break;
            }
            let what = format!("begins with block {} where {end} should follow", candidate.id.base_sequence);
            report.damage.push(Damage { file: candidate.file, position: 0, what });
        }
        let next_base = found.kept.get(place + 1).map(|next| next.id.base_sequence.0);
        let sealed_end = candidate.sidecar.as_ref().map(|sidecar| sidecar.end_sequence.0);
        let bounds = Bounds {
            synced: synced.max(sealed_end.unwrap_or(0)),
            next_base: next_base.or(sealed_end),
            window_bytes: if candidate.id.window_bytes == 0 { window_bytes } else { candidate.id.window_bytes },
            later_beyond_window: false,
            alone: true,
            depth: Depth::Payload,
        };
        let walked = walk(disk, candidate, &bounds, &partitions, &KnownProducers::new());
        let begun = is_begun(disk, candidate, walked.end_position);
        report.add(candidate, &walked, begun);
        end = walked.end_sequence;
        partitions = walked.partitions;
        if walked.stop != Stop::End {
            break;
        }
    }
    report.end = end;
    Ok(report)
}

/// Whether a block of this segment was begun at `position`: more than the zeros or the earlier life of the file stands there.
fn is_begun<D: Disk>(disk: &D, candidate: &Candidate, position: u64) -> bool {
    let mut window = Window::new(disk, candidate.file, candidate.id.segment_bytes);
    let page = window.page_at(position);
    let nonce = block::header(page).map(|header| header.nonce.get());
    page.starts_with(&block::MAGIC.to_le_bytes()) && nonce == Some(candidate.id.nonce.0)
}

impl Report {
    fn add(&mut self, candidate: &Candidate, walked: &Walked, begun: bool) {
        self.segments += 1;
        self.blocks += walked.blocks;
        self.records += walked.records;
        self.bytes += walked.end_position;
        let part = |reason: u32| {
            ["block", "head page", "directory", "nonce", "lane", "sequence", "chain", "batch", "padding", "tail stamp"]
                .get(reason as usize)
                .copied()
                .unwrap_or("block")
        };
        self.damage.extend(walked.holes.iter().map(|hole| {
            let what = format!(
                "block {} does not hold ({}); {} blocks, {} bytes cannot be read",
                hole.sequence,
                part(hole.reason),
                hole.blocks,
                hole.bytes
            );
            Damage { file: candidate.file, position: hole.position, what }
        }));
        match walked.stop {
            Stop::End => {}
            // An empty place is where the next block would have stood.
            Stop::Cut { counted: false, .. } => self.torn_tail |= begun,
            Stop::Cut { counted: true, fault } => {
                let what = format!("block {} does not hold ({fault}) though a group commit had named it", walked.end_sequence);
                self.damage.push(Damage { file: candidate.file, position: walked.end_position, what });
            }
        }
        if let Some(sidecar) = &candidate.sidecar
            && walked.holes.is_empty()
            && sidecar.holes.is_empty()
            && sidecar.entries != sidecar_of(candidate, walked).entries
        {
            self.damage.push(Damage { file: candidate.file, position: 0, what: "the sidecar does not describe the segment".into() });
        }
    }
}
