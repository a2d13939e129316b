//! Whole blocks by number, read from segment files: for who ships them when they have left the ring, and for who compares two logs.
//!
//! Reads go front to back: a reader remembers where the next block stands and reads some MiB ahead, as far as anything is written, so that
//! going on costs no search. The newest blocks are found where they were stamped. Nothing is taken that does not prove itself: what comes
//! back is a valid block of the wanted number.

use crate::disk::Disk;
use crate::view::LaneView;
use crate::{DiskError, FileNumber};
use headworks_format::block::{BLOCK_BYTES_MAX, Expected, HEAD_BYTES, Head, inspect};
use headworks_format::segment::DATA_FROM;
use headworks_format::{Chain, Epoch, Nonce, Sequence};
use std::sync::Arc;

/// Bytes that are read at once.
const AHEAD_BYTES: usize = 4 << 20;
const _: () = assert!(AHEAD_BYTES >= 2 * BLOCK_BYTES_MAX);

/// Why a block is not to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// It is not written yet.
    NotYet,
    /// Retention gave its segment back: the lane starts later.
    Gone,
    /// It does not hold, or cannot be read.
    Unreadable(String),
}

/// A segment as far as finding blocks in it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The file.
    pub file: FileNumber,
    /// Its life.
    pub nonce: Nonce,
    /// Its epoch.
    pub epoch: Epoch,
    /// The first block.
    pub base: u64,
    /// After the last block; none for the one that is being written.
    pub end: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Cursor {
    extent: Extent,
    sequence: u64,
    position: u64,
}

/// A reader of blocks.
pub struct Blocks<D: Disk> {
    view: Arc<LaneView>,
    disk: Arc<D>,
    cursor: Option<Cursor>,
    buffer: D::Buffer,
    held: Option<(FileNumber, u64, usize)>,
    /// The block that was proved last, for who comes back for the rest of it.
    proved: Option<u64>,
}

impl<D: Disk> Blocks<D> {
    /// Over a lane's published state and its directory.
    #[must_use]
    pub fn new(view: Arc<LaneView>, disk: Arc<D>) -> Blocks<D> {
        let buffer = disk.buffer(AHEAD_BYTES);
        Blocks { view, disk, cursor: None, buffer, held: None, proved: None }
    }

    /// Block `sequence`, whole and proved.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn read(&mut self, sequence: u64) -> Result<&[u8], Missing> {
        if sequence >= self.view.positions.written.load() {
            return Err(Missing::NotYet);
        }
        let mut cursor = self.find(sequence)?;
        while cursor.sequence < sequence {
            let bytes = self.head(&cursor)?.block_bytes();
            cursor = Cursor { sequence: cursor.sequence + 1, position: cursor.position + bytes as u64, ..cursor };
        }
        let bytes = self.head(&cursor)?.block_bytes();
        self.cursor = Some(cursor);
        if self.proved == Some(sequence) && self.holds(cursor.extent.file, cursor.position, bytes) {
            return self.hold(cursor.extent.file, cursor.position, bytes);
        }
        self.proved = None;
        let (file, position) = (cursor.extent.file, cursor.position);
        let expected = Expected { lane: self.view.lane, nonce: cursor.extent.nonce, sequence: Sequence(sequence), chain: None };
        let mut fault = inspect(self.hold(file, position, bytes)?, &expected).0.first_fault();
        if fault.is_some() {
            // It may have been read ahead while it was being written.
            self.held = None;
            fault = inspect(self.hold(file, position, bytes)?, &expected).0.first_fault();
        }
        match fault {
            None => {
                self.proved = Some(sequence);
                self.hold(file, position, bytes)
            }
            // The file may have been given back while it was read.
            Some(_) if sequence < self.view.start() => Err(Missing::Gone),
            Some(fault) => Err(Missing::Unreadable(format!("block {sequence} at byte {position} of {file}: its {fault} does not hold"))),
        }
    }

    /// The hash that block `sequence` carries of the one before it.
    ///
    /// # Errors
    /// [`Missing`], where neither that block nor the one before it can be read.
    pub fn chain_at(&mut self, sequence: u64) -> Result<Chain, Missing> {
        if sequence < self.view.positions.written.load() {
            return self.read(sequence).map(|block| Chain(headworks_format::block::header(block).expect("a proved block").chain));
        }
        let Some(before) = sequence.checked_sub(1) else { return Ok(Chain::START) };
        let page: [u8; HEAD_BYTES] = *self.read(before)?.first_chunk().expect("a proved block has a head page");
        let head = Head::parse(&page).map_err(|fault| Missing::Unreadable(format!("block {before}: {fault:?}")))?;
        Ok(head.chain())
    }

    /// Where the block stands or is to be walked to from.
    fn find(&self, sequence: u64) -> Result<Cursor, Missing> {
        if let Some(cursor) = self.cursor
            && cursor.sequence <= sequence
            && cursor.extent.end.is_some_and(|end| sequence < end)
            && cursor.sequence >= self.view.start()
        {
            return Ok(cursor);
        }
        let extents = extents(&self.view);
        let place = extents.partition_point(|extent| extent.base <= sequence).checked_sub(1).ok_or(Missing::Gone)?;
        let extent = extents[place];
        if extent.end.is_some_and(|end| sequence >= end) {
            return Err(Missing::Unreadable(format!("block {sequence} stands in no segment")));
        }
        if let Some(trailed) = self.view.trail.find(sequence).filter(|trailed| trailed.file == extent.file) {
            return Ok(Cursor { extent, sequence, position: trailed.position });
        }
        match self.cursor {
            Some(cursor) if cursor.extent.nonce == extent.nonce && cursor.extent.file == extent.file && cursor.sequence <= sequence => {
                Ok(Cursor { extent, ..cursor })
            }
            _ => Ok(Cursor { extent, sequence: extent.base, position: DATA_FROM as u64 }),
        }
    }

    fn head(&mut self, cursor: &Cursor) -> Result<Head<'_>, Missing> {
        let (extent, sequence, position) = (cursor.extent, cursor.sequence, cursor.position);
        let start = self.view.start();
        // What was read ahead may be older than the block: only then it is read again.
        let stale = {
            let page = self.hold(extent.file, position, HEAD_BYTES)?;
            !is_head_of(page, extent.nonce, sequence)
        };
        if stale {
            self.held = None;
        }
        let page = self.hold(extent.file, position, HEAD_BYTES)?;
        if !is_head_of(page, extent.nonce, sequence) {
            return Err(if sequence < start {
                Missing::Gone
            } else {
                Missing::Unreadable(format!("block {sequence} does not stand at byte {position} of {}", extent.file))
            });
        }
        Ok(Head::parse(page.first_chunk().expect("a page")).expect("just parsed"))
    }

    fn holds(&self, file: FileNumber, position: u64, bytes: usize) -> bool {
        let end = position + bytes as u64;
        self.held.is_some_and(|(held, from, filled)| held == file && position >= from && end <= from + filled as u64)
    }

    /// How much is worth reading: what lies behind the last block that is written would have to be read again.
    fn ahead_bytes(&self, file: FileNumber, position: u64) -> usize {
        let last = self.view.positions.written.load().checked_sub(1).and_then(|last| self.view.trail.find(last));
        let end = last.filter(|last| last.file == file && last.position >= position).map(|last| last.position + u64::from(last.bytes));
        let there = end.map_or(AHEAD_BYTES, |end| usize::try_from(end - position).unwrap_or(AHEAD_BYTES));
        there.min(AHEAD_BYTES)
    }

    /// Bytes of a file, from what was read ahead or read now.
    fn hold(&mut self, file: FileNumber, position: u64, bytes: usize) -> Result<&[u8], Missing> {
        if !self.holds(file, position, bytes) {
            (self.held, self.proved) = (None, None);
            let unreadable = |error: DiskError| Missing::Unreadable(error.message);
            let mut filled = 0;
            // At the end of the file less than all is there.
            for wanted in [self.ahead_bytes(file, position).max(bytes), bytes] {
                filled = self.disk.read(file, position, wanted, &mut self.buffer).map_err(unreadable)?;
                if filled >= bytes {
                    break;
                }
            }
            if filled < bytes {
                return Err(Missing::Unreadable(format!("{file} ends within {bytes} bytes from {position} on")));
            }
            self.held = Some((file, position, filled));
        }
        let (_, from, _) = self.held.expect("just filled");
        let at = usize::try_from(position - from).expect("within the buffer");
        Ok(&self.buffer.as_ref()[at..at + bytes])
    }
}

fn is_head_of(page: &[u8], nonce: Nonce, sequence: u64) -> bool {
    let head = page.first_chunk::<HEAD_BYTES>().map(Head::parse);
    head.is_some_and(|head| head.is_ok_and(|head| head.nonce() == nonce && head.sequence() == Sequence(sequence)))
}

/// The lane's segments, oldest first.
#[must_use]
pub fn extents(view: &LaneView) -> Vec<Extent> {
    // Sealed after fresh: a segment is added to the one before it leaves the other, so none is missed.
    let fresh = view.open_indexes();
    let mut all: Vec<Extent> = fresh
        .iter()
        .filter_map(|index| index.read(|file, nonce, epoch| Extent { file, nonce, epoch, base: index.base_sequence(), end: None }))
        .collect();
    let sealed = view.sealed();
    all.extend(sealed.iter().map(|known| Extent {
        file: known.file,
        nonce: known.nonce,
        epoch: known.epoch,
        base: known.base_sequence,
        end: Some(known.end_sequence),
    }));
    all.sort_unstable_by_key(|extent| (extent.base, extent.end.is_none()));
    all.dedup_by_key(|extent| extent.base);
    // A fresh segment that is full ends where the next one begins.
    for place in 1..all.len() {
        let base = all[place].base;
        all[place - 1].end.get_or_insert(base);
    }
    all
}

/// The lane's epochs with the first block of each, oldest first, as far back as its log goes.
#[must_use]
pub fn epochs(view: &LaneView) -> Vec<(Epoch, u64)> {
    let mut epochs: Vec<(Epoch, u64)> = extents(view).iter().map(|extent| (extent.epoch, extent.base)).collect();
    epochs.dedup_by_key(|(epoch, _)| *epoch);
    epochs
}

/// Bytes of the blocks from `sequence` on, as far as they are written: what who has everything below still lacks. Within a
/// segment whose blocks the trail does not know any more it is told by the mean size of its blocks.
#[must_use]
pub fn bytes_from(view: &LaneView, sequence: u64) -> u64 {
    let written = view.positions.written.load();
    let sealed = view.sealed();
    let end_of = |extent: &Extent, end: u64| {
        let known = sealed.iter().find(|known| known.base_sequence == extent.base).map(|known| known.end_position);
        known.or_else(|| view.trail.find(end - 1).map(|last| last.position + u64::from(last.bytes)))
    };
    let mut bytes = 0;
    for extent in extents(view) {
        let end = extent.end.unwrap_or(written).min(written);
        if end <= sequence.max(extent.base) {
            continue;
        }
        let Some(end_position) = end_of(&extent, end) else { continue };
        let first = sequence.max(extent.base);
        let at = view.trail.find(first).filter(|found| found.file == extent.file).map(|found| found.position);
        let mean = || DATA_FROM as u64 + (end_position - DATA_FROM as u64) * (first - extent.base) / (end - extent.base);
        bytes += end_position.saturating_sub(at.unwrap_or_else(mean));
    }
    bytes
}

/// The first block that the lane still has.
#[must_use]
pub fn first(view: &LaneView) -> Option<u64> {
    extents(view).first().map(|extent| extent.base)
}
