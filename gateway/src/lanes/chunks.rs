//! History in chunks: what was read for one partition holds the others' batches too, and whoever reads on reads what comes next.
//!
//! Direct reads pass the page cache by, so this is the little of it that sequential readers need: a few chunks of the files that
//! are being read, and the next one of each on its way while the last is being sent. A chunk is taken for nothing but bytes: a
//! batch in it counts only if it is the one that its index entry describes, so a file that was written again since, or a block that
//! was on its way to it, costs a second read and no more.

use super::files::{Read, read_span};
use bytes::{Bytes, BytesMut};
use headworks_format::Epoch;
use headworks_format::sidecar::Entry;
use headworks_log::{Disk, FileNumber, history};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Notify;

/// Bytes of a chunk.
pub const CHUNK_BYTES: u64 = 2 << 20;
/// Chunks that are kept: for four readers, each with two and the next one.
pub const CHUNKS_MAX: usize = 12;
/// Buffers that wait for the next chunk: making one costs as much as filling it, since its pages have to be found and zeroed.
pub const SPARES_MAX: usize = 2;

/// What is handed out holds its chunk until it is sent: less than this is copied out instead, so that slow readers of a little each
/// do not hold much together.
const HELD_BYTES_MIN: u64 = CHUNK_BYTES / 4;

/// A chunk that is there or on its way.
#[derive(Debug, Default)]
struct Chunk {
    bytes: OnceLock<Bytes>,
    read: Notify,
}

/// A batch's bytes.
struct Part {
    bytes: Bytes,
    is_copied: bool,
}

/// Where a chunk stands: lane, file, number within the file.
type Key = (usize, FileNumber, u64);

/// The chunks of a disk whose buffers are `B`.
#[derive(Debug)]
pub struct Chunks<B> {
    /// The last used first.
    kept: RefCell<VecDeque<(Key, Arc<Chunk>)>>,
    spares: Spares<B>,
}

/// Buffers that nobody reads from any more, shared with the threads that read from disk.
#[derive(Debug)]
struct Spares<B>(Arc<Mutex<Vec<B>>>);

/// A chunk's buffer: spare again when the last answer made of it is sent.
struct Lent<B> {
    /// None only while it is dropped.
    buffer: Option<B>,
    spares: Spares<B>,
}

impl<B> Clone for Spares<B> {
    fn clone(&self) -> Self {
        Spares(Arc::clone(&self.0))
    }
}

impl<B> Spares<B> {
    fn take(&self) -> Option<B> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Lent<B> {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], AsRef::as_ref)
    }
}

impl<B> Drop for Lent<B> {
    fn drop(&mut self) {
        let mut spares = self.spares.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < SPARES_MAX {
            spares.extend(self.buffer.take());
        }
    }
}

impl<B> Default for Chunks<B> {
    fn default() -> Self {
        Chunks { kept: RefCell::default(), spares: Spares(Arc::default()) }
    }
}

impl Chunk {
    async fn bytes(&self) -> Bytes {
        loop {
            // The watch before the look: what is set in between completes it.
            let read = self.read.notified();
            if let Some(bytes) = self.bytes.get() {
                return bytes.clone();
            }
            read.await;
        }
    }
}

impl<B: AsRef<[u8]> + Send + 'static> Chunks<B> {
    /// The batches of `entries`, which lie in one file of the lane in order, each checked against its entry; and the bytes that
    /// were copied: those of batches that lie in two chunks, and all when they are so few that a chunk should not be held for them.
    pub async fn read<D>(&self, lane: usize, disk: &Arc<D>, file: FileNumber, epoch: Epoch, entries: Vec<Entry>) -> (Vec<Read>, u64)
    where
        D: Disk<Buffer = B> + Send + Sync + 'static,
    {
        let bytes: u64 = entries.iter().map(|entry| u64::from(entry.length)).sum();
        let (mut read, mut copied) = (Vec::with_capacity(entries.len()), 0);
        for entry in entries {
            let part = self.part(lane, disk, file, &entry).await;
            let holds = |part: &Part| history::holds_in(&entry, epoch, &part.bytes);
            let Some(part) = part.filter(holds) else {
                read.extend(self.alone(lane, disk, file, epoch, entry).await);
                continue;
            };
            let copies = !part.is_copied && bytes < HELD_BYTES_MIN;
            let bytes = if copies { Bytes::copy_from_slice(&part.bytes) } else { part.bytes };
            copied += if copies || part.is_copied { u64::from(entry.length) } else { 0 };
            read.push(Read { entry, bytes: Some(bytes) });
        }
        (read, copied)
    }

    /// What its chunk does not have: the chunk is older than the batch, or ends before it. If it does not hold then, it is harmed.
    async fn alone<D>(&self, lane: usize, disk: &Arc<D>, file: FileNumber, epoch: Epoch, entry: Entry) -> Vec<Read>
    where
        D: Disk<Buffer = B> + Send + Sync + 'static,
    {
        self.forget(lane, file, entry.position / CHUNK_BYTES);
        let disk = Arc::clone(disk);
        let read = tokio::task::spawn_blocking(move || read_span(&*disk, file, epoch, &[entry])).await;
        read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    /// An entry's bytes, if the chunks that it lies in have them.
    async fn part<D>(&self, lane: usize, disk: &Arc<D>, file: FileNumber, entry: &Entry) -> Option<Part>
    where
        D: Disk<Buffer = B> + Send + Sync + 'static,
    {
        let end = entry.position + u64::from(entry.length);
        let (first, last) = (entry.position / CHUNK_BYTES, (end - 1) / CHUNK_BYTES);
        let mut parts = BytesMut::new();
        for number in first..=last {
            let chunk = self.chunk((lane, file, number), disk).bytes().await;
            let from = number * CHUNK_BYTES;
            let within = |position: u64| usize::try_from(position.clamp(from, from + CHUNK_BYTES) - from).expect("within a chunk");
            let range = within(entry.position)..within(end);
            if range.end > chunk.len() {
                return None;
            }
            if first == last {
                // Who reads in order needs the next one soon.
                self.chunk((lane, file, number + 1), disk);
                return Some(Part { bytes: chunk.slice(range), is_copied: false });
            }
            parts.extend_from_slice(&chunk[range]);
        }
        Some(Part { bytes: parts.freeze(), is_copied: true })
    }

    /// The chunk, read if it is not kept; does not wait for it.
    fn chunk<D>(&self, key: Key, disk: &Arc<D>) -> Arc<Chunk>
    where
        D: Disk<Buffer = B> + Send + Sync + 'static,
    {
        let mut kept = self.kept.borrow_mut();
        if let Some(place) = kept.iter().position(|(known, _)| *known == key) {
            let found = kept.remove(place).expect("just found");
            let chunk = Arc::clone(&found.1);
            kept.push_front(found);
            return chunk;
        }
        let chunk = Arc::<Chunk>::default();
        kept.truncate(CHUNKS_MAX - 1);
        kept.push_front((key, Arc::clone(&chunk)));
        let (disk, reading, spares) = (Arc::clone(disk), Arc::clone(&chunk), self.spares.clone());
        // Whoever waits is told by the chunk.
        drop(tokio::task::spawn_blocking(move || {
            reading.bytes.get_or_init(|| read_chunk(&*disk, key.1, key.2, spares));
            reading.read.notify_waiters();
        }));
        chunk
    }

    fn forget(&self, lane: usize, file: FileNumber, number: u64) {
        self.kept.borrow_mut().retain(|(known, _)| *known != (lane, file, number));
    }
}

/// A chunk's bytes; fewer at the end of the file, none where it cannot be read.
fn read_chunk<D: Disk>(disk: &D, file: FileNumber, number: u64, spares: Spares<D::Buffer>) -> Bytes
where
    D::Buffer: Send + 'static,
{
    let bytes = usize::try_from(CHUNK_BYTES).expect("2 MiB");
    // What a spare held before is behind what is read now, and cut off.
    let mut buffer = spares.take().unwrap_or_else(|| disk.buffer(bytes));
    // A file's end, or a bad sector: batches that are there all the same are read by themselves.
    let read = disk.read(file, number * CHUNK_BYTES, bytes, &mut buffer).unwrap_or(0);
    Bytes::from_owner(Lent { buffer: Some(buffer), spares }).slice(..read)
}
