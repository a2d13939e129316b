//! A data directory: locked by one process, listed, and the place where segments are made.
//!
//! The lock is an flock on the file `headworks.lock`, which also names the holder's process. The kernel ties it to the
//! open file, not to the process: a loop puts [`lock_fd`](Volume::lock_fd) in its ring's file table, and then the lock
//! stands until the last write in flight has ended, even after kill -9. Without that a new process could start to
//! recover a file that the old one's writes are still changing.
//!
//! It refuses names with a directory in them: a volume is flat.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fatal::Reason;
use crate::files::{self, DirectFile, DirectIo};

/// The file that carries the lock.
pub const LOCK_NAME: &str = "headworks.lock";

/// How long the writes of a holder that is gone may still be under way before the directory counts as in use.
const GONE_HOLDER_WAIT_MAX: Duration = Duration::from_secs(10);
/// Time between two looks at the lock meanwhile.
const GONE_HOLDER_LOOK: Duration = Duration::from_millis(5);

/// A data directory that this process holds.
#[derive(Debug)]
pub struct Volume {
    path: PathBuf,
    directory: File,
    lock: Arc<OwnedFd>,
}

/// One regular file of a volume.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

impl Volume {
    /// Takes a directory for this process, making it where it does not exist.
    ///
    /// # Errors
    /// Another process holds it, or it cannot be used; see [`VolumeError`].
    pub fn lock(path: impl AsRef<Path>) -> Result<Volume, VolumeError> {
        let path = path.as_ref();
        let explain = |operation| move |error| VolumeError::explain(path, operation, error);
        make_directory(path).map_err(explain("create the directory"))?;
        let directory = File::open(path).map_err(explain("open the directory"))?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(path.join(LOCK_NAME))
            .map_err(explain("open the lock file"))?;
        if !take(&lock).map_err(explain("lock"))? {
            let pid = holder(&lock).map_err(explain("read the lock file"))?;
            return Err(VolumeError::InUse { path: path.to_owned(), pid });
        }
        sign(&lock).map_err(explain("write the lock file"))?;
        Ok(Volume { path: path.to_owned(), directory, lock: Arc::new(OwnedFd::from(lock)) })
    }

    /// Opens a directory to look into it without taking it: another process may be writing there.
    ///
    /// # Errors
    /// It does not exist, is no data directory, or cannot be read; see [`VolumeError`].
    pub fn peek(path: impl AsRef<Path>) -> Result<Volume, VolumeError> {
        let path = path.as_ref();
        let explain = |operation| move |error| VolumeError::explain(path, operation, error);
        let directory = File::open(path).map_err(explain("open the directory"))?;
        let lock = File::open(path.join(LOCK_NAME)).map_err(explain("open the lock file"))?;
        Ok(Volume { path: path.to_owned(), directory, lock: Arc::new(OwnedFd::from(lock)) })
    }

    /// A directory within this one, made where it does not exist, under the same lock.
    ///
    /// # Errors
    /// It cannot be used; see [`VolumeError`].
    pub fn folder(&self, name: &str) -> Result<Volume, VolumeError> {
        let explain = |path: &Path, operation| {
            let path = path.to_owned();
            move |error| VolumeError::explain(&path, operation, error)
        };
        let path = self.file_path(name).map_err(explain(&self.path, "name a folder"))?;
        let made = DirBuilder::new().mode(0o750).create(&path);
        match made {
            Ok(()) => self.sync_directory().map_err(explain(&path, "make the name durable"))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(explain(&path, "create the directory")(error)),
        }
        let directory = File::open(&path).map_err(explain(&path, "open the directory"))?;
        Ok(Volume { path, directory, lock: Arc::clone(&self.lock) })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The descriptor that carries the lock: a ring that writes here keeps it in a file slot.
    #[must_use]
    pub fn lock_fd(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.lock)
    }

    /// Opens a file that exists, for direct reads and writes.
    ///
    /// # Errors
    /// As for any open; `InvalidInput` for a name with a directory in it.
    pub fn open_direct(&self, name: &str) -> io::Result<DirectFile> {
        files::open_direct(&self.file_path(name)?, &mut OpenOptions::new())
    }

    /// Makes entries made, renamed and removed here durable.
    ///
    /// # Errors
    /// The kernel's.
    pub fn sync_directory(&self) -> io::Result<()> {
        self.directory.sync_all()
    }

    /// The regular files here, by name, without the lock.
    ///
    /// # Errors
    /// The directory cannot be read, or a name in it is not UTF-8 (`InvalidData`): nothing that was made here.
    pub fn list(&self) -> io::Result<Vec<FileEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if !metadata.is_file() || entry.file_name() == LOCK_NAME {
                continue;
            }
            let name = entry
                .file_name()
                .into_string()
                .map_err(|name| io::Error::new(io::ErrorKind::InvalidData, format!("a file name that is not UTF-8: {}", name.display())))?;
            entries.push(FileEntry { name, bytes: metadata.len() });
        }
        entries.sort_unstable();
        Ok(entries)
    }

    /// Bytes that this process may still take on the file system.
    ///
    /// # Errors
    /// The kernel's.
    pub fn free_bytes(&self) -> io::Result<u64> {
        files::free_bytes(&self.directory)
    }

    /// Bytes of the file system.
    ///
    /// # Errors
    /// The kernel's.
    pub fn total_bytes(&self) -> io::Result<u64> {
        files::total_bytes(&self.directory)
    }

    /// What direct I/O must be aligned to here; `None` where the file system does not say or has no direct I/O.
    ///
    /// # Errors
    /// The kernel's.
    pub fn dio_alignment(&self) -> io::Result<Option<DirectIo>> {
        // Asked of the lock file: the answer is for regular files, a directory has none.
        files::direct_io(&self.lock)
    }

    /// The path of a file here.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is empty, or has a directory in it.
    pub fn file_path(&self, name: &str) -> io::Result<PathBuf> {
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("not a plain file name: {name:?}")));
        }
        Ok(self.path.join(name))
    }
}

/// Makes a directory and what is missing above it, each made durable in its parent: a segment that is durable in a
/// directory that is not would be lost with it.
fn make_directory(path: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    for ancestor in path.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        if ancestor.try_exists()? {
            break;
        }
        missing.push(ancestor);
    }
    DirBuilder::new().recursive(true).mode(0o750).create(path)?;
    for made in missing {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Takes the lock; false when another process has it. A holder that is gone leaves the lock to the kernel until its last
/// writes have ended, some tens of milliseconds after kill -9: that is waited for, so that a supervisor which starts the
/// program again at once does not fail. A holder that lives is not waited for.
fn take(lock: &File) -> io::Result<bool> {
    let deadline = Instant::now() + GONE_HOLDER_WAIT_MAX;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let gone = holder(lock)?.is_some_and(|pid| !is_alive(pid));
        if !gone || Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(GONE_HOLDER_LOOK);
    }
}

/// Whether a process runs: one that has ended and was not waited for (state Z or X) does not.
fn is_alive(pid: u32) -> bool {
    // The state follows the name, which stands in parentheses and may hold any character.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// Writes this process into the lock file, for whoever finds it locked.
fn sign(lock: &File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)
}

/// The process named in the lock file; `None` when the holder has not signed yet.
fn holder(lock: &File) -> io::Result<Option<u32>> {
    let mut text = [0; 16];
    let bytes = lock.read_at(&mut text, 0)?;
    Ok(std::str::from_utf8(&text[..bytes]).ok().and_then(|text| text.trim().parse().ok()))
}

/// Why a data directory cannot be used. `Display` says the cause and what to do.
#[derive(Debug)]
pub enum VolumeError {
    /// Another process holds it.
    InUse {
        /// The directory.
        path: PathBuf,
        /// The holder, as it signed; `None` when it has not yet.
        pid: Option<u32>,
    },
    /// This user may not use it.
    Permission {
        /// The directory.
        path: PathBuf,
    },
    /// Its file system is mounted read-only.
    ReadOnly {
        /// The directory.
        path: PathBuf,
    },
    /// Its file system or quota is full.
    NoSpace {
        /// The directory.
        path: PathBuf,
    },
    /// The path, or a part of it, is a file.
    NotDirectory {
        /// The path.
        path: PathBuf,
    },
    /// Anything else.
    Os {
        /// The directory.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

impl VolumeError {
    fn explain(path: &Path, operation: &'static str, error: io::Error) -> VolumeError {
        let path = path.to_owned();
        match error.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => VolumeError::Permission { path },
            Some(libc::EROFS) => VolumeError::ReadOnly { path },
            Some(libc::ENOSPC | libc::EDQUOT) => VolumeError::NoSpace { path },
            Some(libc::ENOTDIR | libc::EEXIST) => VolumeError::NotDirectory { path },
            _ => VolumeError::Os { path, operation, error },
        }
    }

    /// The reason to exit with.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            VolumeError::InUse { .. } => Reason::InUse,
            VolumeError::Permission { .. } => Reason::Permission,
            VolumeError::NotDirectory { .. } => Reason::Config,
            VolumeError::ReadOnly { .. } | VolumeError::NoSpace { .. } | VolumeError::Os { .. } => Reason::Storage,
        }
    }
}

impl fmt::Display for VolumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VolumeError::InUse { path, pid: Some(pid) } => write!(
                f,
                "{} is in use by process {pid}; stop it (`kill {pid}`), or, if it is gone, wait: its last writes are \
                 still under way",
                path.display()
            ),
            VolumeError::InUse { path, pid: None } => write!(
                f,
                "{} is in use by a process that is just starting; `fuser {}` names it",
                path.display(),
                path.join(LOCK_NAME).display()
            ),
            VolumeError::Permission { path } => {
                write!(f, "{0} may not be written by this user; try `ls -ld {0}` and `chown`", path.display())
            }
            VolumeError::ReadOnly { path } => {
                write!(f, "{} is on a read-only file system; `dmesg` says whether an error made it so", path.display())
            }
            VolumeError::NoSpace { path } => {
                write!(f, "no space is left for {0}; `df -h {0}` and `df -i {0}` show how much", path.display())
            }
            VolumeError::NotDirectory { path } => {
                write!(f, "{} is not a directory", path.display())
            }
            VolumeError::Os { path, operation, error } => {
                write!(f, "cannot {operation} for {}: {error}; `dmesg` may say more", path.display())
            }
        }
    }
}

impl std::error::Error for VolumeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            VolumeError::Os { error, .. } => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
