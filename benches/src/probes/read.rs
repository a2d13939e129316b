//! Reading files from end to end with direct I/O, one MiB at a time, by as many threads as reads shall be under way.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use headworks_io::{AlignedBuffer, read_at};

use crate::figures::number;

/// Bytes of one read.
const READ_BYTES: usize = 1 << 20;

/// The files of a folder whose names end so, in order.
///
/// # Errors
/// The folder cannot be read.
pub fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(|error| error.to_string()));
    let mut paths = paths.collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == ending));
    paths.sort();
    Ok(paths)
}

/// Bytes a second over all files, with `depth` reads under way.
///
/// # Errors
/// A file cannot be read.
pub fn bytes_per_second(paths: &[PathBuf], depth: usize) -> Result<f64, String> {
    let text = |error: std::io::Error| format!("the read probe: {error}");
    let mut pieces: Vec<(Arc<File>, u64)> = Vec::new();
    for path in paths {
        let file = Arc::new(OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path).map_err(text)?);
        let whole = file.metadata().map_err(text)?.len() / READ_BYTES as u64;
        for piece in 0..whole {
            pieces.push((Arc::clone(&file), piece * READ_BYTES as u64));
        }
    }
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..depth).map(|_| scope.spawn(|| read(&pieces, &next))).collect();
        readers.into_iter().try_for_each(|reader| reader.join().map_err(|_| "the read probe panicked".to_owned())?.map_err(text))
    })?;
    Ok(number((pieces.len() * READ_BYTES) as u64) / started.elapsed().as_secs_f64())
}

/// Takes one piece after the other until there is none.
fn read(pieces: &[(Arc<File>, u64)], next: &AtomicUsize) -> std::io::Result<()> {
    let mut buffer = AlignedBuffer::zeroed(READ_BYTES);
    // Relaxed: the counter only hands out numbers.
    while let Some((file, offset)) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
        read_at(file, &mut buffer, *offset, READ_BYTES)?;
    }
    Ok(())
}
