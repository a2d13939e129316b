//! Reading batches from segment files, on the runtime's blocking threads.

use bytes::Bytes;
use headworks_format::sidecar::{Entry, Sidecar};
use headworks_format::{Epoch, Nonce};
use headworks_log::{Disk, FileNumber, history};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Direct reads are in multiples of this.
const PAGE: u64 = 4096;
/// Bytes of one read.
const READ_BYTES_MAX: u64 = 2 << 20;
/// A gap between two batches that is read over rather than read around: a head page and some padding.
const GAP_BYTES_MAX: u64 = 64 << 10;
/// Sidecars kept parsed.
const SIDECARS_MAX: usize = 8;

/// A batch as it was read: none where the bytes are not what the entry describes.
pub struct Read {
    /// The entry.
    pub entry: Entry,
    /// Its bytes.
    pub bytes: Option<Bytes>,
}

/// Reads the batches of `entries`, which lie in one file in order, and checks each against its entry.
pub async fn read<D>(disk: &Arc<D>, file: FileNumber, epoch: Epoch, entries: Vec<Entry>) -> Vec<Read>
where
    D: Disk + Send + Sync + 'static,
    D::Buffer: Send + 'static,
{
    let disk = Arc::clone(disk);
    let read =
        tokio::task::spawn_blocking(move || spans(&entries).into_iter().flat_map(|span| read_span(&*disk, file, epoch, span)).collect());
    read.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Cuts entries into runs that one read covers.
fn spans(entries: &[Entry]) -> Vec<&[Entry]> {
    let end = |entry: &Entry| entry.position + u64::from(entry.length);
    let mut spans = Vec::new();
    let mut from = 0;
    for at in 1..=entries.len() {
        let joins = entries.get(at).is_some_and(|next| {
            let gap = next.position.checked_sub(end(&entries[at - 1]));
            gap.is_some_and(|gap| gap <= GAP_BYTES_MAX) && end(next) - entries[from].position <= READ_BYTES_MAX
        });
        if !joins {
            spans.push(&entries[from..at]);
            from = at;
        }
    }
    spans
}

/// Reads batches that lie close together by one read.
pub fn read_span<D: Disk>(disk: &D, file: FileNumber, epoch: Epoch, span: &[Entry]) -> Vec<Read>
where
    D::Buffer: Send + 'static,
{
    let (Some(first), Some(last)) = (span.first(), span.last()) else { return Vec::new() };
    let from = first.position / PAGE * PAGE;
    let bytes = usize::try_from((last.position + u64::from(last.length)).next_multiple_of(PAGE) - from).expect("a span is at most 3 MiB");
    let mut buffer = disk.buffer(bytes);
    let read = disk.read(file, from, bytes, &mut buffer).unwrap_or_else(|error| {
        tracing::error!(%error, "history cannot be read");
        0
    });
    let buffer = Bytes::from_owner(buffer);
    let part = |entry: &Entry| {
        let at = usize::try_from(entry.position - from).ok()?;
        let end = at.checked_add(entry.length as usize)?;
        (end <= read && history::holds_in(entry, epoch, &buffer[at..end])).then(|| buffer.slice(at..end))
    };
    span.iter().map(|entry| Read { entry: *entry, bytes: part(entry) }).collect()
}

/// A sidecar's entries with the file and life of the file they belong to.
type Kept = (FileNumber, Nonce, Rc<Vec<Entry>>);

/// The sidecars read last, parsed.
#[derive(Default)]
pub struct Sidecars(RefCell<Vec<Kept>>);

impl Sidecars {
    /// The entries of a sealed segment, sorted by partition and offset; none if the sidecar is not of that life of the file.
    pub async fn entries<D>(&self, disk: &Arc<D>, file: FileNumber, nonce: Nonce) -> Option<Rc<Vec<Entry>>>
    where
        D: Disk + Send + Sync + 'static,
    {
        if let Some(known) = self.recall(file, nonce) {
            return Some(known);
        }
        let disk = Arc::clone(disk);
        let read = tokio::task::spawn_blocking(move || disk.read_sidecar(file))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let bytes = read.unwrap_or_else(|error| {
            tracing::error!(%error, "a sidecar cannot be read");
            None
        })?;
        let sidecar = Sidecar::parse(&bytes).filter(|sidecar| sidecar.nonce == nonce)?;
        let entries = Rc::new(sidecar.entries);
        let mut kept = self.0.borrow_mut();
        kept.truncate(SIDECARS_MAX - 1);
        kept.insert(0, (file, nonce, Rc::clone(&entries)));
        Some(entries)
    }

    fn recall(&self, file: FileNumber, nonce: Nonce) -> Option<Rc<Vec<Entry>>> {
        let mut kept = self.0.borrow_mut();
        let place = kept.iter().position(|(known, life, _)| (*known, *life) == (file, nonce))?;
        let found = kept.remove(place);
        let entries = Rc::clone(&found.2);
        kept.insert(0, found);
        Some(entries)
    }
}
