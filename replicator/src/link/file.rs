//! An arbiter's file in a locked directory: opened and mended, and effects carried out one by one.
//!
//! Pages go by direct I/O where the file system has it. A failed write or sync is the caller's end: what the file says after one is not
//! known to anybody, and a second try that succeeds proves nothing.

use crate::register::{Register, Swap};
use crate::witness::{self, Denied, Effect, Fault, Note, Opened, Swapping, Witness};
use headworks_format::register::RECORD_BYTES;
use headworks_format::witness::{FILE_BYTES, Identity};
use headworks_io::{AlignedBuffer, DirectFile, Volume, files};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

/// Name of the file in a witness's directory.
pub const WITNESS_FILE: &str = "witness";
/// Name of the file in the data directory of a node whose arbiter is its operator.
pub const MANUAL_FILE: &str = "register";

/// Why the file cannot be used. `Display` says what to do.
#[derive(Debug)]
pub enum FileError {
    /// It cannot be trusted; nothing was changed.
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The file system refuses.
    Os {
        /// The file.
        path: String,
        /// What was tried.
        operation: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

/// Registers and the file that they stand in.
#[derive(Debug)]
pub struct RegisterFile {
    witness: Witness,
    volume: Arc<Volume>,
    name: &'static str,
    file: DirectFile,
    page: AlignedBuffer,
}

impl RegisterFile {
    /// Opens the file, making it where there is none: `identity` is for that case. What was mended is told.
    ///
    /// # Errors
    /// It is damaged, or cannot be read, made or mended.
    pub fn open(volume: impl Into<Arc<Volume>>, name: &'static str, identity: Identity) -> Result<(RegisterFile, Vec<Note>), FileError> {
        let volume = volume.into();
        let path = volume.path().join(name);
        let explain = |operation| {
            let path = path.display().to_string();
            move |error| FileError::Os { path, operation, error }
        };
        if !path.try_exists().map_err(explain("look for"))? {
            let (_, Effect::Replace(bytes)) = Witness::format(identity) else { unreachable!("a format is a whole file") };
            replace(&volume, name, &bytes).map_err(explain("make"))?;
        }
        let file = volume.open_direct(name).map_err(explain("open"))?;
        let bytes = read_whole(&file, &path).map_err(explain("read"))?;
        let Opened { witness, repairs, notes } =
            witness::open(&bytes).map_err(|fault| FileError::Damaged { path: path.display().to_string(), fault })?;
        let mut opened = RegisterFile { witness, volume, name, file, page: AlignedBuffer::zeroed(RECORD_BYTES) };
        opened.carry_out(&repairs)?;
        Ok((opened, notes))
    }

    /// The file's identity.
    #[must_use]
    pub fn incarnation(&self) -> u128 {
        self.witness.incarnation()
    }

    /// The register of a place.
    ///
    /// # Errors
    /// As [`Witness::register`].
    pub fn register(&self, witness: u128, place: u16) -> Result<Option<Register>, Denied> {
        self.witness.register(witness, place)
    }

    /// Takes a swap in. Its effects are the caller's to have carried out, in their order around the answer.
    ///
    /// # Errors
    /// As [`Witness::swap`].
    pub fn swap(&mut self, witness: u128, place: u16, swap: &Swap) -> Result<Swapping, Denied> {
        self.witness.swap(witness, place, swap)
    }

    /// Carries effects out.
    ///
    /// # Errors
    /// The first that fails; the file is then of no more use to this process.
    pub fn carry_out(&mut self, effects: &[Effect]) -> Result<(), FileError> {
        for effect in effects {
            let (operation, done) = match effect {
                Effect::Replace(bytes) => ("replace", self.replace(bytes)),
                Effect::Write { offset, page } => ("write", self.write(*offset, page)),
                Effect::Sync => ("make durable", files::sync_data(&self.file.fd)),
            };
            done.map_err(|error| FileError::Os { path: self.volume.path().join(self.name).display().to_string(), operation, error })?;
        }
        Ok(())
    }

    fn write(&mut self, offset: usize, page: &[u8; RECORD_BYTES]) -> io::Result<()> {
        self.page.copy_from_slice(page);
        files::write_at(&self.file.fd, &self.page, offset as u64, RECORD_BYTES)
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        replace(&self.volume, self.name, bytes)?;
        self.file = self.volume.open_direct(self.name)?;
        Ok(())
    }
}

/// The whole file; one of another length comes back with that many bytes, of which nothing is read.
fn read_whole(file: &DirectFile, path: &std::path::Path) -> io::Result<Vec<u8>> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes != FILE_BYTES as u64 {
        return Ok(vec![0; usize::try_from(bytes).unwrap_or(usize::MAX).min(FILE_BYTES + 1)]);
    }
    let mut buffer = AlignedBuffer::zeroed(FILE_BYTES);
    files::read_at(&file.fd, &mut buffer, 0, FILE_BYTES)?;
    Ok(buffer.to_vec())
}

/// Whole or not there: written beside, made durable, renamed.
fn replace(volume: &Volume, name: &str, bytes: &[u8]) -> io::Result<()> {
    let partial = volume.file_path(&format!("{name}.partial"))?;
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&partial, volume.file_path(name)?)?;
    volume.sync_directory()
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::Damaged { path, fault: fault @ Fault::Version(_) } => {
                write!(f, "{path} {fault}; nothing was changed. Use the release that wrote it")
            }
            FileError::Damaged { path, fault } => write!(
                f,
                "{path}: {fault}; nothing was changed, and nothing is started over it. Check the disk (`dmesg`, `smartctl -a`). An old copy \
                    of the file must not be put back: it would vote from before. Move the file away only as docs/runbooks/witness.md says: \
                    the new one is another arbiter, and both nodes must be told"
            ),
            FileError::Os { path, operation, error } => write!(f, "cannot {operation} {path}: {error}; `dmesg` and `df -h` may say more"),
        }
    }
}

impl std::error::Error for FileError {}
