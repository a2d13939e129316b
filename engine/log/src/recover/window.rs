//! A sliding view over a segment file for reading it front to back, a few MiB at a time.

use crate::disk::{Disk, FileNumber};
use headworks_format::block::{self, BLOCK_BYTES_MAX, HEAD_BYTES, Head, MAGIC};

const WINDOW_BYTES: usize = 4 << 20;
const _: () = assert!(WINDOW_BYTES >= 2 * BLOCK_BYTES_MAX);

/// The window. Bytes that cannot be read are empty, which no block survives: unreadable is never taken for absent.
pub struct Window<'a, D: Disk> {
    disk: &'a D,
    file: FileNumber,
    file_bytes: u64,
    /// Taken when something is first read ahead: a look at a few pages does without.
    buffer: Option<D::Buffer>,
    from: u64,
    filled: usize,
    page: D::Buffer,
    page_from: Option<u64>,
}

impl<'a, D: Disk> Window<'a, D> {
    /// A window over a file of that size.
    pub fn new(disk: &'a D, file: FileNumber, file_bytes: u64) -> Window<'a, D> {
        Window { disk, file, file_bytes, buffer: None, from: 0, filled: 0, page: disk.buffer(HEAD_BYTES), page_from: None }
    }

    /// The bytes of the block that seems to stand at `position`, as many as its header says, which nothing has proved yet.
    pub fn block_at(&mut self, position: u64) -> &[u8] {
        let said = block::header(self.page_at(position)).map_or(0, |header| header.block_bytes.get() as usize);
        let bytes = said.clamp(HEAD_BYTES, BLOCK_BYTES_MAX).next_multiple_of(HEAD_BYTES);
        self.hold(position, bytes);
        self.held(position, bytes)
    }

    /// One page, read by itself where the window does not hold it.
    pub fn page_at(&mut self, position: u64) -> &[u8] {
        if !self.held(position, HEAD_BYTES).is_empty() {
            return self.held(position, HEAD_BYTES);
        }
        if self.page_from != Some(position) {
            let read = self.disk.read(self.file, position, HEAD_BYTES, &mut self.page);
            self.page_from = matches!(read, Ok(HEAD_BYTES)).then_some(position);
        }
        match self.page_from {
            Some(_) => &self.page.as_ref()[..HEAD_BYTES],
            None => &[],
        }
    }

    /// One page, or 0xff where it cannot be read, reading ahead.
    pub fn readable_page_at(&mut self, position: u64) -> &[u8] {
        self.hold(position, HEAD_BYTES);
        if self.page_at(position).is_empty() {
            self.page.as_mut().fill(0xff);
            self.page_from = None;
            return self.page.as_ref();
        }
        self.page_at(position)
    }

    /// The head page at `position`, if one stands there, read by itself.
    pub fn head_alone_at(&mut self, position: u64) -> Option<Head<'_>> {
        Head::parse(self.page_at(position).first_chunk::<HEAD_BYTES>()?).ok()
    }

    /// The head page at `position`, if one stands there, reading ahead.
    pub fn head_at(&mut self, position: u64) -> Option<Head<'_>> {
        self.hold(position, HEAD_BYTES);
        let page = self.held(position, HEAD_BYTES).first_chunk::<HEAD_BYTES>()?;
        // Eight bytes rule out nearly every page before a sum is made.
        page.starts_with(&MAGIC.to_le_bytes()).then(|| Head::parse(page).ok())?
    }

    fn held(&self, position: u64, bytes: usize) -> &[u8] {
        let Some(at) = position.checked_sub(self.from).and_then(|at| usize::try_from(at).ok()) else {
            return &[];
        };
        let end = (at + bytes).min(self.filled);
        self.buffer.as_ref().and_then(|buffer| buffer.as_ref().get(at..end)).unwrap_or_default()
    }

    fn hold(&mut self, position: u64, bytes: usize) {
        let bytes = bytes.min(usize::try_from(self.file_bytes.saturating_sub(position)).unwrap_or(usize::MAX));
        if self.held(position, bytes).len() == bytes && bytes > 0 {
            return;
        }
        // Going on where the window ends, more is sure to be wanted; after a jump, perhaps only this.
        let goes_on = self.filled > 0 && (self.from..=self.from + self.filled as u64).contains(&position);
        let ahead = if goes_on { WINDOW_BYTES } else { bytes };
        let wanted = ahead.min(usize::try_from(self.file_bytes.saturating_sub(position)).unwrap_or(WINDOW_BYTES));
        let file_bytes = usize::try_from(self.file_bytes).unwrap_or(WINDOW_BYTES);
        let mut buffer = self.buffer.take().unwrap_or_else(|| self.disk.buffer(WINDOW_BYTES.min(file_bytes)));
        self.from = position;
        self.filled = self
            .disk
            .read(self.file, position, wanted, &mut buffer)
            .unwrap_or_else(|_| self.fill_readable(position, wanted, buffer.as_mut()));
        self.buffer = Some(buffer);
    }

    /// One bad sector must not hide its neighbours: read page by page, leaving what cannot be read as 0xff.
    fn fill_readable(&mut self, position: u64, wanted: usize, buffer: &mut [u8]) -> usize {
        self.page_from = None;
        let mut at = 0;
        while at + HEAD_BYTES <= wanted {
            let readable = matches!(self.disk.read(self.file, position + at as u64, HEAD_BYTES, &mut self.page), Ok(HEAD_BYTES));
            let target = &mut buffer[at..at + HEAD_BYTES];
            if readable {
                target.copy_from_slice(&self.page.as_ref()[..HEAD_BYTES])
            } else {
                target.fill(0xff)
            }
            at += HEAD_BYTES;
        }
        at
    }
}
