//! Which files hold the lane's log, in which order, and how far their own records say it was durable.
//!
//! A file is known by its header page; one whose header is unreadable, blank or another segment's is known by its first
//! block, which carries nonce, epoch and sequence itself, or by the persist record of that block. A file with none of them
//! is a spare if its header page is blank. Of two segments that claim the same sequences the later epoch's counts: the
//! earlier one was cut there when that epoch began, and what was cut lies in quarantine.

use super::window::Window;
use crate::disk::{Disk, DiskError, FileNumber};
use headworks_format::block::{HEAD_BYTES, Head};
use headworks_format::segment::{DATA_FROM, HeaderPage, PAGE_BYTES, Persisted, SEGMENT_BYTES_READ_MIN, SegmentId, read_records};
use headworks_format::sidecar::Sidecar;
use headworks_format::{Chain, Epoch, LaneId, Nonce, PairId, Sequence};

/// What told which segment a file holds. In the order of trust where two files claim the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ToldBy {
    /// The persist record of its first block: header page and first block cannot be read.
    Record,
    /// Its first block: the header page cannot be read, never reached the disk, or is another segment's.
    FirstBlock,
    /// Its header page.
    Header,
}

/// A file that holds a part of the log.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The file.
    pub file: FileNumber,
    /// Its header, or what its first block says.
    pub id: SegmentId,
    /// What said so.
    pub told_by: ToldBy,
    /// Persist records of its nonce.
    pub records: Vec<Persisted>,
    /// Its sidecar, if there is a whole one of its nonce.
    pub sidecar: Option<Sidecar>,
}

/// The lane's directory, sorted out.
#[derive(Debug, Default)]
pub struct Candidates {
    /// The highest epoch that any segment was written in, kept or not.
    pub epoch: Epoch,
    /// The log, oldest first.
    pub kept: Vec<Candidate>,
    /// Files that may be written: blank.
    pub spares: Vec<FileNumber>,
    /// Files whose sequences a later epoch has written again.
    pub superseded: Vec<FileNumber>,
    /// Files that are left alone, with the reason: nothing is deleted for lack of metadata.
    pub set_aside: Vec<(FileNumber, String)>,
    /// Segments whose header page is unreadable.
    pub unreadable_headers: Vec<FileNumber>,
    /// Sidecars that are there but not whole.
    pub broken_sidecars: Vec<FileNumber>,
}

enum Kind {
    Log(Box<Candidate>),
    Spare,
    Aside(String),
}

/// Looks at every file of the lane.
///
/// # Errors
/// The directory cannot be listed. A file that cannot be read is set aside, not skipped silently.
pub fn candidates<D: Disk>(disk: &D, lane: LaneId, segment_bytes: u64) -> Result<Candidates, DiskError> {
    let mut found = Candidates::default();
    let (mut logs, mut broken_sidecars) = (Vec::new(), Vec::new());
    for (file, bytes) in disk.files()? {
        let sidecar = match disk.read_sidecar(file).map(|bytes| bytes.map(|bytes| Sidecar::parse(&bytes))) {
            Ok(None) => None,
            Ok(Some(Some(sidecar))) => Some(sidecar),
            Ok(Some(None)) | Err(_) => {
                broken_sidecars.push(file);
                None
            }
        };
        match look(disk, file, bytes, lane, segment_bytes, sidecar) {
            Kind::Log(candidate) => logs.push(*candidate),
            Kind::Spare => found.spares.push(file),
            Kind::Aside(reason) => found.set_aside.push((file, reason)),
        }
    }
    keep_latest(logs, &mut found);
    // A sidecar of a file that is not in the log says nothing, whole or not.
    found.broken_sidecars = broken_sidecars.into_iter().filter(|file| found.kept.iter().any(|candidate| candidate.file == *file)).collect();
    Ok(found)
}

/// The block number below which this node's own records and sidecars prove all to have been durable. Where a segment of a
/// later epoch begins proves nothing: it need not be its epoch's first.
#[must_use]
pub fn synced_through(kept: &[Candidate]) -> u64 {
    let records = kept.iter().flat_map(|candidate| candidate.records.iter().map(|record| record.durable_through));
    let sidecars = kept.iter().filter_map(|candidate| candidate.sidecar.as_ref().map(|sidecar| sidecar.end_sequence.0));
    records.chain(sidecars).max().unwrap_or(0)
}

fn look<D: Disk>(disk: &D, file: FileNumber, bytes: u64, lane: LaneId, segment_bytes: u64, sidecar: Option<Sidecar>) -> Kind {
    if bytes != segment_bytes || bytes < SEGMENT_BYTES_READ_MIN as u64 {
        return Kind::Aside(format!("{bytes} bytes, where a segment has {segment_bytes}"));
    }
    let start = read_start(disk, file, bytes);
    let page = start.first_chunk::<PAGE_BYTES>().expect("read above");
    let header = HeaderPage::parse(page);
    let records: Vec<Persisted> = read_records(&start[PAGE_BYTES..DATA_FROM]).collect();
    let Some((id, told_by)) = identify(&header, &records, sidecar.as_ref(), &start[DATA_FROM..], lane, segment_bytes) else {
        return if header == HeaderPage::Blank && records.is_empty() {
            Kind::Spare
        } else {
            Kind::Aside("neither a header page nor a first block can be read".into())
        };
    };
    if id.lane != lane {
        return Kind::Aside(format!("belongs to lane {}", id.lane));
    }
    Kind::Log(Box::new(Candidate {
        file,
        id,
        told_by,
        records: records.into_iter().filter(|record| record.nonce == id.nonce).collect(),
        sidecar: sidecar.filter(|sidecar| sidecar.nonce == id.nonce && sidecar.base_sequence == id.base_sequence),
    }))
}

/// The pages up to the first block's head; one that cannot be read is 0xff, so that it hides none of the others.
fn read_start<D: Disk>(disk: &D, file: FileNumber, file_bytes: u64) -> Vec<u8> {
    const START_BYTES: usize = DATA_FROM + HEAD_BYTES;
    let mut whole = disk.buffer(START_BYTES);
    if matches!(disk.read(file, 0, START_BYTES, &mut whole), Ok(START_BYTES)) {
        return whole.as_ref()[..START_BYTES].to_vec();
    }
    let mut window = Window::new(disk, file, file_bytes);
    let mut start = Vec::with_capacity(START_BYTES);
    for position in (0..=DATA_FROM as u64).step_by(PAGE_BYTES) {
        start.extend_from_slice(window.readable_page_at(position));
    }
    start
}

/// Which segment a file holds. A header that neither a persist record nor the sidecar supports yields to a first block that one does: a header
/// page that went astray must not hide the segment on which it landed.
fn identify(
    header: &HeaderPage,
    records: &[Persisted],
    sidecar: Option<&Sidecar>,
    block: &[u8],
    lane: LaneId,
    segment_bytes: u64,
) -> Option<(SegmentId, ToldBy)> {
    let recorded =
        |nonce: Nonce| records.iter().any(|record| record.nonce == nonce) || sidecar.is_some_and(|sidecar| sidecar.nonce == nonce);
    let first = id_of_first_block(block, segment_bytes);
    match (header, first) {
        (HeaderPage::Present(id), Some(first)) if first.nonce != id.nonce && !recorded(id.nonce) && recorded(first.nonce) => {
            Some((first, ToldBy::FirstBlock))
        }
        (HeaderPage::Present(id), _) => Some((*id, ToldBy::Header)),
        (_, Some(first)) => Some((first, ToldBy::FirstBlock)),
        (_, None) => id_of_record(records, lane, segment_bytes).map(|id| (id, ToldBy::Record)),
    }
}

/// A record that names the block where blocks begin says all but the chain before it, which only that block would need.
fn id_of_record(records: &[Persisted], lane: LaneId, segment_bytes: u64) -> Option<SegmentId> {
    let first =
        records.iter().filter(|record| record.names_block() && record.position == DATA_FROM as u64).max_by_key(|record| record.epoch)?;
    Some(SegmentId {
        pair: PairId(0),
        lane,
        epoch: first.epoch,
        nonce: first.nonce,
        base_sequence: first.sequence,
        base_chain: Chain::START,
        created_ns: 0,
        window_bytes: 0,
        segment_bytes,
    })
}

fn id_of_first_block(block: &[u8], segment_bytes: u64) -> Option<SegmentId> {
    let head = Head::parse(block.first_chunk::<HEAD_BYTES>()?).ok()?;
    let header = head.header();
    head.is_control().then(|| SegmentId {
        pair: PairId(header.pair_id.get()),
        lane: LaneId(header.lane.get()),
        epoch: head.epoch(),
        nonce: head.nonce(),
        base_sequence: Sequence(header.sequence.get()),
        base_chain: Chain(header.chain),
        created_ns: header.wall_ns.get(),
        window_bytes: 0,
        segment_bytes,
    })
}

/// Later epochs win: an earlier segment counts only where it begins below all of theirs.
fn keep_latest(mut logs: Vec<Candidate>, found: &mut Candidates) {
    // Two files that claim one segment: an astray page or block made one of them; the one with the better proof counts.
    logs.sort_by_key(|candidate| {
        let id = &candidate.id;
        (id.epoch, id.base_sequence, !candidate.records.is_empty() || candidate.sidecar.is_some(), candidate.told_by)
    });
    found.epoch = logs.last().map_or(Epoch(0), |latest| latest.id.epoch);
    let mut lowest = u64::MAX;
    for candidate in logs.into_iter().rev() {
        if candidate.id.base_sequence.0 >= lowest {
            found.superseded.push(candidate.file);
            continue;
        }
        lowest = candidate.id.base_sequence.0;
        if candidate.told_by != ToldBy::Header {
            found.unreadable_headers.push(candidate.file);
        }
        found.kept.push(candidate);
    }
    found.kept.reverse();
}
