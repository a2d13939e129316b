//! Going on in a recovered lane's last segment: for a node that follows, since its segments begin and end where the primary's do.
//!
//! A node that stamps begins a new segment at every start, so that nothing is written again beyond a recorded end. One that
//! follows may go on in the old: what comes next under this nonce are the very bytes that may stand there already, torn or
//! whole, since the primary stamps each number of a nonce once.
//!
//! ```text
//! confirmation in the record area ─► sync ─► sidecar blanked ─► blocks
//! ```
//!
//! The confirmation first: the sidecar was the proof that all of it is durable. If we die between the two, the sidecar still
//! says where the log ends; behind the second, the segment is walked as one that was never left.

use super::{Recovered, Segment, Window};
use crate::disk::{Disk, DiskError, FileNumber};
use headworks_format::block::{BLOCK_BYTES_MIN, HEAD_BYTES};
use headworks_format::checkpoint::Partition;
use headworks_format::segment::{DATA_FROM, HeaderPage, PAGE_BYTES, Persisted, RECORD_PAGES, SegmentId, read_records, write_record};
use headworks_format::sidecar::{self, Entry, Sidecar};

/// A segment that is open again.
#[derive(Debug, Clone)]
pub struct Reopened {
    /// The file.
    pub file: FileNumber,
    /// What its header says.
    pub id: SegmentId,
    /// Byte after the last block.
    pub position: u64,
    /// The page of the record area that is written next.
    pub record_page_next: u64,
    /// Its batches in order of their place.
    pub entries: Vec<Entry>,
    /// Its partitions at its start.
    pub starts: Vec<Partition>,
}

/// Takes the last segment out of the recovered ones and opens it again; none where it is full, or harmed: then the next block
/// has to begin a new one.
///
/// # Errors
/// The confirmation could not be made durable, or the sidecar not blanked.
pub fn reopen<D: Disk>(disk: &mut D, recovered: &mut Recovered) -> Result<Option<Reopened>, DiskError> {
    let Some(last) = recovered.segments.last().filter(|last| last.holes.is_empty()) else { return Ok(None) };
    let file = last.sealed.file;
    let (Some(id), Some(known)) = (id_of(disk, last)?, sidecar_of(disk, file)?) else { return Ok(None) };
    if last.sealed.end_position + BLOCK_BYTES_MIN as u64 > id.segment_bytes {
        return Ok(None);
    }
    let page = next_page(disk, file, &id)?;
    confirm(disk, file, &id, page, known.end_sequence.0)?;
    disk.write_sidecar(file, &[0; sidecar::HEADER_BYTES])?;
    let last = recovered.segments.pop().expect("just seen");
    let mut entries = known.entries;
    entries.sort_unstable_by_key(|entry| entry.position);
    Ok(Some(Reopened { file, id, position: last.sealed.end_position, record_page_next: page + 1, entries, starts: last.starts }))
}

fn id_of<D: Disk>(disk: &D, segment: &Segment) -> Result<Option<SegmentId>, DiskError> {
    let mut page = disk.buffer(PAGE_BYTES);
    let read = disk.read(segment.sealed.file, 0, PAGE_BYTES, &mut page)?;
    let page = page.as_ref().first_chunk().filter(|_| read == PAGE_BYTES);
    Ok(match page.map(HeaderPage::parse) {
        Some(HeaderPage::Present(id)) if id.nonce == segment.sealed.nonce => Some(id),
        _ => None,
    })
}

fn sidecar_of<D: Disk>(disk: &D, file: FileNumber) -> Result<Option<Sidecar>, DiskError> {
    Ok(disk.read_sidecar(file)?.and_then(|bytes| Sidecar::parse(&bytes)))
}

/// The page behind the one with the newest record: never over the newest.
fn next_page<D: Disk>(disk: &D, file: FileNumber, id: &SegmentId) -> Result<u64, DiskError> {
    let mut area = disk.buffer(DATA_FROM - PAGE_BYTES);
    let bytes = DATA_FROM - PAGE_BYTES;
    disk.read(file, PAGE_BYTES as u64, bytes, &mut area)?;
    let newest_of = |page: &[u8]| {
        let own = read_records(page).filter(|record| record.nonce == id.nonce);
        own.map(|record| (record.durable_through, record.sequence)).max()
    };
    let pages = area.as_ref()[..bytes].chunks(PAGE_BYTES).enumerate();
    let newest = pages.filter_map(|(number, page)| newest_of(page).map(|newest| (newest, number as u64))).max();
    Ok(newest.map_or(0, |(_, number)| number + 1))
}

fn confirm<D: Disk>(disk: &mut D, file: FileNumber, id: &SegmentId, page: u64, durable: u64) -> Result<(), DiskError> {
    let mut bytes = [0; PAGE_BYTES];
    write_record(&mut bytes, 0, &Persisted::confirmation(id.nonce, id.epoch, durable));
    disk.write(file, (1 + page % RECORD_PAGES as u64) * PAGE_BYTES as u64, &bytes)?;
    disk.sync(file)
}

/// A run of records that are durable here and perhaps not everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled {
    /// The number behind its block.
    pub through: u64,
    /// Its batch.
    pub entry: Entry,
}

impl Recovered {
    /// Takes back that the blocks from `committed` on are committed: whoever else is in the in-sync set has to say so. To be
    /// called before [`reopen`].
    ///
    /// # Errors
    /// The blocks' heads cannot be read.
    pub fn take_back<D: Disk>(&mut self, disk: &D, committed: u64) -> Result<(), DiskError> {
        self.committed = committed.min(self.next);
        self.unsettled.clear();
        let from = self.committed;
        for segment in self.segments.iter().filter(|segment| segment.sealed.end_sequence > from) {
            let known = &segment.sealed;
            let mut window = Window::new(disk, known.file, known.end_position);
            let (mut position, mut through) = (DATA_FROM as u64, known.base_sequence);
            while position + HEAD_BYTES as u64 <= known.end_position {
                let Some(head) = window.head_at(position).filter(|head| head.nonce() == known.nonce) else {
                    // A hole: its records are behind whatever comes next.
                    position += HEAD_BYTES as u64;
                    continue;
                };
                through = head.sequence().0 + 1;
                if through > from && !head.is_control() {
                    self.unsettled.extend(head.placed().map(|placed| Unsettled { through, entry: Entry::of(&placed, position) }));
                }
                position += head.block_bytes() as u64;
            }
            debug_assert!(through <= known.end_sequence, "block {through} in a segment that ends at {}", known.end_sequence);
        }
        Ok(())
    }
}
