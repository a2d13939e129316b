//! Whole reads and writes of files, without the page cache where the file system allows it.
//!
//! Direct I/O wants address, offset and length in multiples of 4 KiB, so bytes travel in an [`AlignedBuffer`]. These
//! calls block: they are for start, recovery and the thread that makes segments, never for a pinned loop.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::aligned::AlignedBuffer;

/// A file opened for direct I/O, or as near to it as its file system allows.
#[derive(Clone, Debug)]
pub struct DirectFile {
    /// The descriptor; put it in a ring's slot.
    pub fd: Arc<OwnedFd>,
    /// `false`: the file system refuses direct I/O, bytes go through the page cache. Durable is still what an fdatasync
    /// says.
    pub direct: bool,
}

/// What direct I/O on a file system must be aligned to, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectIo {
    /// Alignment of memory.
    pub memory_alignment: u32,
    /// Alignment of offsets and lengths.
    pub offset_alignment: u32,
}

/// Opens with O_DIRECT, or without where the file system has no direct I/O.
///
/// # Errors
/// As for any open.
pub(crate) fn open_direct(path: &Path, options: &mut OpenOptions) -> io::Result<DirectFile> {
    options.read(true).write(true).custom_flags(libc::O_DIRECT);
    match options.open(path) {
        Ok(file) => Ok(direct_file(file, true)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let file = options.custom_flags(0).open(path)?;
            Ok(direct_file(file, false))
        }
        Err(error) => Err(error),
    }
}

fn direct_file(file: File, direct: bool) -> DirectFile {
    DirectFile { fd: Arc::new(OwnedFd::from(file)), direct }
}

/// Reads exactly `bytes` bytes from `offset` into the front of the buffer.
///
/// # Errors
/// The read's own, or `UnexpectedEof` when the file ends earlier.
///
/// # Panics
/// When the buffer is shorter than `bytes`.
pub fn read_at(file: &impl AsFd, buffer: &mut AlignedBuffer, offset: u64, bytes: usize) -> io::Result<()> {
    if read_up_to(file, buffer, offset, bytes)? == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Reads `bytes` bytes from `offset` into the front of the buffer, or as many as there are before the end of the file; how many.
///
/// # Errors
/// The read's own.
///
/// # Panics
/// When the buffer is shorter than `bytes`.
pub fn read_up_to(file: &impl AsFd, buffer: &mut AlignedBuffer, offset: u64, bytes: usize) -> io::Result<usize> {
    assert!(bytes <= buffer.len(), "{bytes} bytes into a buffer of {}", buffer.len());
    let descriptor = file.as_fd().as_raw_fd();
    transfer(offset, bytes, |done, position| {
        let rest = &mut buffer[done..bytes];
        // SAFETY: `rest` is writable memory of the length passed, borrowed exclusively for the length of the call, and
        // the descriptor is borrowed open.
        unsafe { libc::pread(descriptor, rest.as_mut_ptr().cast(), rest.len(), position) }
    })
}

/// Writes exactly `bytes` bytes from the front of the buffer to `offset`.
///
/// # Errors
/// The write's own, or `WriteZero` when the kernel takes no more.
///
/// # Panics
/// When the buffer is shorter than `bytes`.
pub fn write_at(file: &impl AsFd, buffer: &AlignedBuffer, offset: u64, bytes: usize) -> io::Result<()> {
    assert!(bytes <= buffer.len(), "{bytes} bytes from a buffer of {}", buffer.len());
    let descriptor = file.as_fd().as_raw_fd();
    let written = transfer(offset, bytes, |done, position| {
        let rest = &buffer[done..bytes];
        // SAFETY: `rest` is readable memory of the length passed, borrowed for the length of the call, and the
        // descriptor is borrowed open.
        unsafe { libc::pwrite(descriptor, rest.as_ptr().cast(), rest.len(), position) }
    })?;
    if written == bytes { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Goes on until everything is transferred, or nothing more is; each round moves at least one byte or ends, so it is bounded by `bytes`.
/// How much was.
fn transfer(offset: u64, bytes: usize, mut step: impl FnMut(usize, libc::off_t) -> isize) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes {
        let position = offset.checked_add(done as u64).and_then(|position| libc::off_t::try_from(position).ok());
        let position = position.ok_or(io::ErrorKind::InvalidInput)?;
        match usize::try_from(step(done, position)) {
            Ok(0) => break,
            Ok(moved) => done += moved,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(done)
}

/// Makes a file's data durable, with the size that is needed to read it back.
///
/// # Errors
/// The kernel's; after one, what was written since the last success must be taken as lost.
pub fn sync_data(file: &impl AsFd) -> io::Result<()> {
    // SAFETY: fdatasync demands an open descriptor, which is borrowed for the length of the call.
    check(unsafe { libc::fdatasync(file.as_fd().as_raw_fd()) })
}

/// Sets disk space aside. A file system that cannot is no error: the zeros that follow take the space.
pub(crate) fn allocate(file: &impl AsFd, bytes: u64) -> io::Result<()> {
    let bytes = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: fallocate demands an open descriptor, which is borrowed for the length of the call.
    match check(unsafe { libc::fallocate(file.as_fd().as_raw_fd(), 0, 0, bytes) }) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// Renames, but never over a file that is there.
pub(crate) fn rename_new(source: &Path, target: &Path) -> io::Result<()> {
    let source = CString::new(source.as_os_str().as_bytes())?;
    let target = CString::new(target.as_os_str().as_bytes())?;
    // SAFETY: both paths are NUL-terminated and live for the length of the call.
    check(unsafe { libc::renameat2(libc::AT_FDCWD, source.as_ptr(), libc::AT_FDCWD, target.as_ptr(), libc::RENAME_NOREPLACE) })
}

/// What direct I/O on an open file must be aligned to; `None` where the file system does not say or has none.
pub(crate) fn direct_io(file: &impl AsFd) -> io::Result<Option<DirectIo>> {
    // SAFETY: a statx record is integers, for which zero bytes are values.
    let mut record: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is an empty NUL-terminated string, which with AT_EMPTY_PATH means the descriptor itself; the
    // record is writable for the length of the call.
    check(unsafe { libc::statx(file.as_fd().as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN, &raw mut record) })?;
    let told = record.stx_mask & libc::STATX_DIOALIGN != 0 && record.stx_dio_offset_align > 0;
    Ok(told.then_some(DirectIo { memory_alignment: record.stx_dio_mem_align, offset_alignment: record.stx_dio_offset_align }))
}

/// Bytes that this process may still take on a file system.
pub(crate) fn free_bytes(file: &impl AsFd) -> io::Result<u64> {
    file_system(file).map(|record| record.f_bavail.saturating_mul(record.f_frsize))
}

/// Bytes of a file system.
pub(crate) fn total_bytes(file: &impl AsFd) -> io::Result<u64> {
    file_system(file).map(|record| record.f_blocks.saturating_mul(record.f_frsize))
}

fn file_system(file: &impl AsFd) -> io::Result<libc::statvfs> {
    // SAFETY: a statvfs record is integers, for which zero bytes are values.
    let mut record: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is borrowed open and the record is writable for the length of the call.
    check(unsafe { libc::fstatvfs(file.as_fd().as_raw_fd(), &raw mut record) })?;
    Ok(record)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests;
