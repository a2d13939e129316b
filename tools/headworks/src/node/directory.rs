//! The superblock of a data directory: formatted once, opened at every start, written in two halves.

use super::failure::Failure;
use super::run::{join, spawn};
use headworks_format::superblock::{self, COPIES, COPY_BYTES, FILE_NAME, OpenFault, Superblock};
use headworks_format::units::EPOCH_MAX;
use headworks_format::{Epoch, PairId};
use headworks_io::fatal::Reason;
use headworks_io::{AlignedBuffer, DirectFile, Volume, files};
use std::io::{self, Read as _};
use std::thread::JoinHandle;

/// What a new directory is formatted with.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The node's name.
    pub name: String,
    /// Lanes for a new directory.
    pub lanes: u32,
    /// Lanes as configured, where a number was given.
    pub lanes_asked: Option<u32>,
    /// Bytes of a segment for a new directory.
    pub segment_bytes: u64,
    /// Nanoseconds since 1970.
    pub now_ns: u64,
    /// What the other node of the pair has founded, where there is one.
    pub founding: Option<Founding>,
}

/// What both nodes of a pair have in common, by the register.
#[derive(Debug, Clone, Copy)]
pub struct Founding {
    /// The pair's identity.
    pub pair: PairId,
    /// Lanes.
    pub lanes: u32,
    /// Bytes of a segment.
    pub segment_bytes: u64,
}

/// A directory's superblock with its file.
pub struct Directory {
    file: DirectFile,
    /// A write that is under way on a thread of its own: the next one waits for it.
    under_way: Option<JoinHandle<()>>,
    /// The state.
    pub state: Superblock,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// Reads the superblock without changing anything.
///
/// # Errors
/// There is none, it is damaged, or it is of another format version.
pub fn read(volume: &Volume) -> Result<Superblock, Failure> {
    let path = volume.path().display().to_string();
    superblock::open(&bytes(volume, &path)?).map_err(|fault| explain(&path, &fault))
}

fn bytes(volume: &Volume, path: &str) -> Result<Vec<u8>, Failure> {
    volume.file_path(FILE_NAME).and_then(std::fs::read).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure::new(
            Reason::Config,
            format!("{path} is no data directory: it has no file `{FILE_NAME}`; name the directory that `headworks run --data` was given"),
        ),
        _ => Failure::new(Reason::Storage, format!("cannot read {path}/{FILE_NAME}: {error}")),
    })
}

/// Opens the directory, formatting it if it is new.
///
/// # Errors
/// It is another node's, damaged, of another version, or cannot be written.
pub fn open(volume: &Volume, wanted: &Wanted) -> Result<Directory, Failure> {
    let path = volume.path().display().to_string();
    let exists = volume.file_path(FILE_NAME).and_then(|file| file.try_exists()).map_err(|error| storage(&path, "look at", &error))?;
    if !exists {
        return format(volume, wanted, &path);
    }
    let bytes = bytes(volume, &path)?;
    let state = superblock::open(&bytes).map_err(|fault| explain(&path, &fault))?;
    let file = volume.open_direct(FILE_NAME).map_err(|error| storage(&path, "open", &error))?;
    let mut notes = Vec::new();
    // Before the first change: it overwrites two copies, and they may be the only whole ones.
    for place in superblock::differing(&bytes, &state) {
        write_copies(&file, place, &state.encode()).map_err(|error| storage(&path, "repair", &error))?;
        notes.push(format!("copy {place} of the superblock did not hold and was written anew"));
    }
    if state.name != wanted.name {
        let (owner, name) = (&state.name, &wanted.name);
        return Err(Failure::new(
            Reason::Config,
            format!("{path} belongs to node \"{owner}\", this is node \"{name}\"; set node.name = \"{owner}\" or name another directory"),
        ));
    }
    if let Some(lanes) = wanted.lanes_asked.filter(|lanes| *lanes != state.lanes) {
        return Err(Failure::new(
            Reason::Config,
            format!(
                "{path} was made with {} lanes, the configuration says {lanes}; lanes are fixed at first start: set node.lanes = {} \
                    or name a new directory",
                state.lanes, state.lanes
            ),
        ));
    }
    if state.segment_bytes != wanted.segment_bytes {
        notes.push(format!(
            "segments of {path} have {} bytes, fixed at first start; log.segment = {} is not used",
            state.segment_bytes, wanted.segment_bytes
        ));
    }
    Ok(Directory { file, under_way: None, state, notes })
}

fn format(volume: &Volume, wanted: &Wanted, path: &str) -> Result<Directory, Failure> {
    let strangers = std::fs::read_dir(volume.path()).map_err(|error| storage(path, "list", &error))?;
    let lanes_there = strangers.filter_map(Result::ok).any(|entry| entry.file_name().to_string_lossy().starts_with("lane-"));
    if lanes_there {
        return Err(Failure::new(
            Reason::Storage,
            format!(
                "{path} holds lanes but no file `{FILE_NAME}`; nothing was changed. Restore that file from a copy of the directory, \
                    or name another directory"
            ),
        ));
    }
    let state = Superblock {
        generation: 0,
        pair: wanted.founding.map_or_else(|| random_u128().map(PairId), |founding| Ok(founding.pair))?,
        node_id: random_u128()?,
        incarnation: random_u128()?,
        name: wanted.name.clone(),
        lanes: wanted.lanes,
        segment_bytes: wanted.segment_bytes,
        promised_epoch: Epoch(0),
        last_epoch: Epoch(0),
        last_epoch_start: vec![0; wanted.lanes as usize],
        needs_repair: false,
        stopped_cleanly: true,
        register_version: 0,
        arbiter: 0,
        created_ns: wanted.now_ns,
        unobserved: Vec::new(),
    };
    // Whole or not there: written beside, made durable, renamed.
    headworks_lane::replace(volume, FILE_NAME, &state.encode().repeat(COPIES)).map_err(|error| storage(path, "write", &error))?;
    let file = volume.open_direct(FILE_NAME).map_err(|error| storage(path, "open", &error))?;
    Ok(Directory { file, under_way: None, state, notes: vec![format!("{path} is new: formatted with {} lanes", wanted.lanes)] })
}

impl Directory {
    /// Takes the next epoch, durable when this returns: nothing may be appended in it before. It lies above every epoch that
    /// a segment was written in, too: a superblock restored from a copy may have forgotten some.
    ///
    /// # Errors
    /// The superblock cannot be written, or epochs are used up.
    pub fn take_epoch(&mut self, seen: Epoch, starts: Vec<u64>) -> Result<Epoch, Failure> {
        let last = self.state.promised_epoch.max(self.state.last_epoch).max(seen);
        if last >= EPOCH_MAX {
            return Err(Failure::new(
                Reason::Storage,
                format!("epoch {last} is the last one that Kafka clients can be told; export the data and start a new directory"),
            ));
        }
        let epoch = Epoch(last.0 + 1);
        (self.state.promised_epoch, self.state.last_epoch) = (epoch, epoch);
        self.state.last_epoch_start = starts;
        self.state.stopped_cleanly = false;
        self.write()?;
        Ok(epoch)
    }

    /// Begins an epoch that was taken and promised already; durable when this returns, and nothing may be appended in it before.
    ///
    /// # Errors
    /// The superblock cannot be written.
    pub fn begin_epoch(&mut self, epoch: Epoch, starts: Vec<u64>) -> Result<(), Failure> {
        self.state.promised_epoch = self.state.promised_epoch.max(epoch);
        self.state.last_epoch = epoch;
        self.state.last_epoch_start = starts;
        self.state.stopped_cleanly = false;
        self.write()
    }

    /// The books resume at the last durable block, of `last_ns`; from there until the sockets were bound nobody counted.
    pub fn note_unobserved(&mut self, last_ns: u64, bound_ns: u64) {
        if last_ns > 0 {
            self.state.add_unobserved(last_ns.min(bound_ns), bound_ns);
        }
    }

    /// Writes the state: copies 0 and 1, made durable, then 2 and 3. If we die between, two copies of one state are whole.
    ///
    /// # Errors
    /// It cannot be made durable.
    pub fn write(&mut self) -> Result<(), Failure> {
        self.finish();
        self.state.generation += 1;
        write_state(&self.file, &self.state)
    }

    /// Waits for writes that are under way.
    pub fn finish(&mut self) {
        if let Some(before) = self.under_way.take() {
            join(before, "the superblock's writer");
        }
    }

    /// The same on a thread of its own, behind every write before it; `then` is told of its end.
    ///
    /// # Errors
    /// No thread is to be had.
    pub fn write_later(&mut self, then: impl FnOnce(Result<(), Failure>) + Send + 'static) -> Result<(), Failure> {
        self.state.generation += 1;
        let (file, state, before) = (self.file.clone(), self.state.clone(), self.under_way.take());
        let writer = spawn("hw-superblock", move || {
            if let Some(before) = before {
                join(before, "the superblock's writer");
            }
            then(write_state(&file, &state));
        })?;
        self.under_way = Some(writer);
        Ok(())
    }
}

fn write_state(file: &DirectFile, state: &Superblock) -> Result<(), Failure> {
    let half = state.encode().repeat(COPIES / 2);
    for first in [0, COPIES / 2] {
        write_copies(file, first, &half).map_err(|error| storage(FILE_NAME, "write", &error))?;
    }
    Ok(())
}

/// Writes whole copies from place `first` on, durable when this returns.
fn write_copies(file: &DirectFile, first: usize, copies: &[u8]) -> io::Result<()> {
    let mut buffer = AlignedBuffer::zeroed(copies.len());
    buffer.copy_from_slice(copies);
    files::write_at(&file.fd, &buffer, (first * COPY_BYTES) as u64, copies.len())?;
    files::sync_data(&file.fd)
}

fn explain(path: &str, fault: &OpenFault) -> Failure {
    match fault {
        OpenFault::Blank => Failure::new(
            Reason::Storage,
            format!(
                "{path}/{FILE_NAME} is blank: the first start was interrupted before anything was stored; remove the directory and \
                    start again"
            ),
        ),
        OpenFault::Version(version) => Failure::new(
            Reason::Config,
            format!(
                "{path} has format version {version}, this release reads version {}; use the release that wrote it, or export with \
                    that release first",
                superblock::VERSION
            ),
        ),
        OpenFault::Damaged { whole } => Failure::new(
            Reason::Storage,
            format!(
                "{path}/{FILE_NAME}: no two of its four copies agree ({whole} are whole by themselves); nothing was changed. Check \
                    the disk (`dmesg`, `smartctl -a`) and restore the file from a copy of the directory; the lanes' files hold the \
                    data and are untouched"
            ),
        ),
    }
}

fn storage(path: &str, what: &str, error: &io::Error) -> Failure {
    let reason = if error.kind() == io::ErrorKind::PermissionDenied { Reason::Permission } else { Reason::Storage };
    Failure::new(reason, format!("cannot {what} {path}: {error}"))
}

/// Sixteen bytes from the kernel.
///
/// # Errors
/// /dev/urandom cannot be read.
pub fn random_u128() -> Result<u128, Failure> {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| Failure::new(Reason::Kernel, format!("cannot read /dev/urandom: {error}")))?;
    Ok(u128::from_le_bytes(bytes))
}
