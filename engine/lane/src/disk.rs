//! A lane's directory on a real volume: segment files, sidecars, quarantine.
//!
//! ```text
//! DIR/lane-00/000000.seg  segments; names stay, headers say what they hold
//! DIR/lane-00/000000.idx  sidecars, their space set aside with the segment's; overwritten in place, whole by their CRC
//! DIR/quarantine/         what recovery cut, never deleted by us
//! ```

use headworks_format::sidecar::{self, Sidecar};
use headworks_io::{AlignedBuffer, DirectFile, Volume, files};
use headworks_log::{Disk, DiskError, FileNumber};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Ending of a segment's name.
const SEGMENT: &str = ".seg";
/// Ending of a sidecar's name.
const SIDECAR: &str = ".idx";
/// Ending of a file that is not whole yet.
const PARTIAL: &str = ".partial";

/// A lane's directory.
#[derive(Debug)]
pub struct LaneDisk {
    folder: Volume,
    quarantine: Option<Volume>,
    open: Mutex<BTreeMap<FileNumber, DirectFile>>,
}

impl LaneDisk {
    /// The lane's folder, with the folder that takes what recovery cuts; without one, nothing can be cut (offline reading).
    #[must_use]
    pub fn new(folder: Volume, quarantine: Option<Volume>) -> LaneDisk {
        LaneDisk { folder, quarantine, open: Mutex::new(BTreeMap::new()) }
    }

    /// A segment file, opened once and kept.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn segment(&self, file: FileNumber) -> io::Result<DirectFile> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = open.get(&file) {
            return Ok(known.clone());
        }
        let opened = self.folder.open_direct(&file.to_string())?;
        open.insert(file, opened.clone());
        Ok(opened)
    }

    /// Makes a new segment file of zeros under the next free number.
    ///
    /// # Errors
    /// The volume is full, or broken.
    pub fn make(&self, bytes: u64, keep_going: &dyn Fn() -> bool) -> Result<(FileNumber, DirectFile), DiskError> {
        let next = self.files()?.last().map_or(0, |(file, _)| file.0 + 1);
        let file = FileNumber(next);
        self.reserve_sidecar(file).map_err(|error| explain("make", &LaneDisk::sidecar_name(file), &error))?;
        let made =
            self.folder.make_segment(&file.to_string(), bytes, keep_going).map_err(|error| explain("make", &file.to_string(), &error))?;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(file, made.clone());
        Ok((file, made))
    }

    /// Space for the sidecar, really written, before there is a segment that needs one.
    fn reserve_sidecar(&self, file: FileNumber) -> io::Result<()> {
        let path = self.folder.file_path(&LaneDisk::sidecar_name(file))?;
        // A try before may have found space for this but not for the segment.
        if std::fs::metadata(&path).is_ok_and(|known| known.len() >= sidecar::RESERVED_BYTES as u64) {
            return Ok(());
        }
        let made = replace(&self.folder, &LaneDisk::sidecar_name(file), &vec![0; sidecar::RESERVED_BYTES]);
        made.or_else(|error| {
            // What is half made takes the space that would let the next try succeed.
            for left in [path.clone(), path.with_extension("idx.partial")] {
                std::fs::remove_file(left).or_else(|gone| if gone.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(gone) })?;
            }
            Err(error)
        })
    }

    /// Overwrites a sidecar in the space that was set aside for it; false if there is none, or too little.
    /// If we die on the way, its CRC does not fit and the segment is scanned instead.
    fn overwrite_sidecar(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        use std::os::unix::fs::FileExt as _;
        let file = match OpenOptions::new().write(true).open(self.folder.file_path(name)?) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() < bytes.len() as u64 {
            return Ok(false);
        }
        file.write_all_at(bytes, 0)?;
        file.sync_data()?;
        Ok(true)
    }

    fn sidecar_name(file: FileNumber) -> String {
        format!("{:06}{SIDECAR}", file.0)
    }
}

/// The sidecar that begins a file, or the file's first bytes if none does. The rest of the space that was set aside is no part of it, and
/// mostly far longer: it is not read.
fn sidecar_that_begins(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    (&file).take(sidecar::HEADER_BYTES as u64).read_to_end(&mut bytes)?;
    let rest = Sidecar::bytes_in(&bytes).map_or(0, |whole| whole - bytes.len());
    (&file).take(rest as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Disk for LaneDisk {
    type Buffer = AlignedBuffer;

    fn buffer(&self, bytes: usize) -> AlignedBuffer {
        AlignedBuffer::zeroed(bytes)
    }

    fn files(&self) -> Result<Vec<(FileNumber, u64)>, DiskError> {
        let entries = self.folder.list().map_err(|error| explain("list", "the lane's directory", &error))?;
        let numbered = |entry: headworks_io::FileEntry| Some((FileNumber(entry.name.strip_suffix(SEGMENT)?.parse().ok()?), entry.bytes));
        let mut files: Vec<_> = entries.into_iter().filter_map(numbered).collect();
        files.sort_unstable();
        Ok(files)
    }

    fn read(&self, file: FileNumber, position: u64, bytes: usize, into: &mut AlignedBuffer) -> Result<usize, DiskError> {
        let fail = |error: io::Error| explain("read", &file.to_string(), &error);
        let segment = self.segment(file).map_err(fail)?;
        files::read_up_to(&segment.fd, into, position, bytes).map_err(fail)
    }

    fn read_sidecar(&self, file: FileNumber) -> Result<Option<Vec<u8>>, DiskError> {
        let name = LaneDisk::sidecar_name(file);
        match self.folder.file_path(&name).and_then(|path| sidecar_that_begins(&path)) {
            // Space that was set aside: no sidecar yet.
            Ok(bytes) if bytes.iter().all(|byte| *byte == 0) => Ok(None),
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(explain("read", &name, &error)),
        }
    }

    fn write_sidecar(&mut self, file: FileNumber, bytes: &[u8]) -> Result<(), DiskError> {
        let name = LaneDisk::sidecar_name(file);
        let written = self.overwrite_sidecar(&name, bytes).and_then(|done| if done { Ok(()) } else { replace(&self.folder, &name, bytes) });
        written.map_err(|error| explain("write", &name, &error))
    }

    fn write(&mut self, file: FileNumber, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let fail = |error: io::Error| explain("write", &file.to_string(), &error);
        // Direct writes want aligned memory, which a slice does not promise.
        let mut aligned = AlignedBuffer::zeroed(bytes.len());
        aligned.copy_from_slice(bytes);
        files::write_at(&self.segment(file).map_err(fail)?.fd, &aligned, position, bytes.len()).map_err(fail)
    }

    fn sync(&mut self, file: FileNumber) -> Result<(), DiskError> {
        let fail = |error: io::Error| explain("fdatasync", &file.to_string(), &error);
        files::sync_data(&self.segment(file).map_err(fail)?.fd).map_err(fail)
    }

    fn quarantine(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let Some(folder) = &self.quarantine else {
            return Err(DiskError { message: format!("{name} cannot be kept: the directory is open for reading only"), full: false });
        };
        replace(folder, name, bytes).map_err(|error| explain("write", name, &error))
    }
}

/// Replaces a file: written beside it, made durable, renamed over it, the name made durable. Seen whole or not at all.
pub fn replace(folder: &Volume, name: &str, bytes: &[u8]) -> io::Result<()> {
    let partial = folder.file_path(&format!("{name}{PARTIAL}"))?;
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&partial, folder.file_path(name)?)?;
    folder.sync_directory()
}

fn explain(what: &str, name: &str, error: &io::Error) -> DiskError {
    DiskError {
        message: format!("cannot {what} {name}: {error}"),
        full: matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded),
    }
}
