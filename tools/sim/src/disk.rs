//! The simulated disk. Its fault model is this contract; the log's promises are checked against exactly this.
//!
//! **What holds without faults.** A write that has not completed may be on the medium or not, in part or whole, each 512-byte
//! sector by itself. A completed write is seen by every read. An fdatasync makes durable what had *completed when it
//! started*, and nothing else. A crash keeps what is durable and, of all other writes, any subset, each whole, torn or not at
//! all; of two writes to one sector the later one wins if both survive. A sidecar and a quarantined copy are durable and
//! whole when their call returns, and after a crash in the call either old or new.
//!
//! **What faults add.** *Lost*: a write that reports success and changes nothing. *Astray*: its bytes land at another
//! page of another file. *Rot*: a sector changes by itself. *Unreadable*: a sector gives an error until it is written
//! again. *Refused*: a write or an fdatasync reports an error. *Full*: no segment can be made.
//!
//! ```text
//!               ┌─ pristine   what a disk without faults would hold
//! durable ──────┤
//!               └─ medium     what this one holds; where the two differ, it is damaged
//! unsynced      writes since, in the order of their issue
//! ```
//!
//! **What never happens.** A sector is never half written; a failed call is never reported as success, unless the disk is
//! told to break this contract ([`Broken`]), which is how the checks are shown to be able to fail.

use headworks_log::{Disk, DiskError, FileNumber};
use std::collections::{BTreeMap, BTreeSet};

use crate::random::Random;

/// What is written or lost as one.
pub const SECTOR_BYTES: usize = 512;

/// How the disk breaks its contract, to show that a check can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// It keeps the contract.
    Not,
    /// An fdatasync makes nothing durable.
    SyncLies,
    /// An fdatasync forgets the newest of the writes that it covers.
    SyncForgetsNewest,
    /// Blanking changes nothing: writes of zeros are dropped.
    BlankLies,
    /// A read gives a header page whose base sequence is one too high, with a sum that fits.
    ReadForges,
    /// What is to be kept in quarantine is not.
    QuarantineLies,
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is carried out.
    Done,
    /// It changes nothing.
    Lost,
    /// It lands elsewhere.
    Astray(FileNumber, u64),
}

#[derive(Debug, Clone)]
struct Write {
    id: u64,
    position: usize,
    bytes: Vec<u8>,
    completed: bool,
    fate: Fate,
}

#[derive(Debug, Clone, Default)]
struct File {
    pristine: Vec<u8>,
    medium: Vec<u8>,
    unreadable: BTreeSet<usize>,
    unsynced: Vec<Write>,
}

/// A lane's directory on the simulated disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    segment_bytes: usize,
    files: Vec<File>,
    sidecars: BTreeMap<FileNumber, Vec<u8>>,
    /// What was quarantined, by name.
    pub quarantined: BTreeMap<String, Vec<u8>>,
    /// Calls that change the disk until the power goes; none while it stays.
    pub fuse: Option<u32>,
    broken: Broken,
    next_id: u64,
}

impl SimDisk {
    /// An empty directory.
    #[must_use]
    pub fn new(segment_bytes: usize, broken: Broken) -> SimDisk {
        SimDisk {
            segment_bytes,
            files: Vec::new(),
            sidecars: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            fuse: None,
            broken,
            next_id: 0,
        }
    }

    /// Segment files.
    #[must_use]
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// Makes a segment file of zeros, durable at once.
    pub fn make(&mut self) -> FileNumber {
        self.files.push(File { pristine: vec![0; self.segment_bytes], medium: vec![0; self.segment_bytes], ..File::default() });
        number(self.files.len() - 1)
    }

    /// Begins a write; returns its id.
    pub fn begin_write(&mut self, file: FileNumber, position: u64, bytes: Vec<u8>, fate: Fate) -> u64 {
        self.next_id += 1;
        let write = Write { id: self.next_id, position: at(position), bytes, completed: false, fate };
        self.files[place(file)].unsynced.push(write);
        self.next_id
    }

    /// The write ends: reads see it from now on.
    pub fn complete_write(&mut self, file: FileNumber, id: u64) {
        let write =
            self.files[place(file)].unsynced.iter_mut().find(|write| write.id == id).expect("a write completes once, after it began");
        write.completed = true;
    }

    /// An fdatasync starts: what it will make durable.
    #[must_use]
    pub fn begin_sync(&self, file: FileNumber) -> Vec<u64> {
        let completed = self.files[place(file)].unsynced.iter().filter(|write| write.completed);
        completed.map(|write| write.id).collect()
    }

    /// The fdatasync ends: what it covers is durable.
    pub fn end_sync(&mut self, file: FileNumber, mut covered: Vec<u64>) {
        match self.broken {
            Broken::SyncLies => return,
            Broken::SyncForgetsNewest => drop(covered.pop()),
            _ => {}
        }
        let (done, left) = std::mem::take(&mut self.files[place(file)].unsynced).into_iter().partition(|write| covered.contains(&write.id));
        self.files[place(file)].unsynced = left;
        let done: Vec<Write> = done;
        for write in done {
            let sectors = write.bytes.len() / SECTOR_BYTES;
            self.land(file, &write, &vec![true; sectors]);
        }
    }

    /// The power goes: of what is not durable any subset survives. Returns how many writes were torn or lost.
    pub fn crash(&mut self, random: &mut Random) -> u64 {
        let mut harmed = 0;
        // Some crashes lose nothing, some everything: both are common in practice and rare in a fair toss a sector.
        let temper = random.below(4);
        for file in 0..self.files.len() {
            for write in std::mem::take(&mut self.files[file].unsynced) {
                let sectors = write.bytes.len() / SECTOR_BYTES;
                let survives = match temper {
                    0 => vec![random.chance(900); sectors],
                    1 => vec![random.chance(100); sectors],
                    _ => survivors(random, sectors),
                };
                harmed += u64::from(survives.contains(&false));
                self.land(number(file), &write, &survives);
            }
        }
        self.fuse = None;
        harmed
    }

    /// The process dies and the system lives on: what was written stays, of what was under way any beginning.
    /// `whole`: all of it, as when whoever starts next waits for it.
    pub fn kill(&mut self, random: &mut Random, whole: bool) {
        for file in &mut self.files {
            for write in file.unsynced.iter_mut().filter(|write| !write.completed) {
                let sectors = write.bytes.len() / SECTOR_BYTES;
                let written = match random.below(3) {
                    _ if whole => sectors,
                    0 => 0,
                    1 => random.index(sectors + 1),
                    _ => sectors,
                };
                write.bytes.truncate(written * SECTOR_BYTES);
                write.completed = true;
            }
            file.unsynced.retain(|write| !write.bytes.is_empty());
        }
        self.fuse = None;
    }

    fn land(&mut self, file: FileNumber, write: &Write, survives: &[bool]) {
        let (target, target_position) = match write.fate {
            Fate::Astray(file, position) => (file, at(position)),
            _ => (file, write.position),
        };
        for (sector, bytes) in write.bytes.chunks_exact(SECTOR_BYTES).enumerate() {
            if !survives[sector] {
                continue;
            }
            let from = write.position + sector * SECTOR_BYTES;
            self.files[place(file)].pristine[from..from + SECTOR_BYTES].copy_from_slice(bytes);
            if write.fate == Fate::Lost {
                continue;
            }
            let from = target_position + sector * SECTOR_BYTES;
            let landed = &mut self.files[place(target)];
            if let Some(medium) = landed.medium.get_mut(from..from + SECTOR_BYTES) {
                medium.copy_from_slice(bytes);
                landed.unreadable.remove(&(from / SECTOR_BYTES));
            }
        }
    }

    /// Changes a byte of the medium.
    pub fn rot(&mut self, file: FileNumber, position: u64, flip: u8) {
        self.files[place(file)].medium[at(position)] ^= flip;
    }

    /// Makes the sector at a position unreadable until it is written again.
    pub fn make_unreadable(&mut self, file: FileNumber, position: u64) {
        self.files[place(file)].unreadable.insert(at(position) / SECTOR_BYTES);
    }

    /// Changes a byte of a sidecar; false if there is none.
    pub fn rot_sidecar(&mut self, file: FileNumber, random: &mut Random) -> bool {
        let Some(bytes) = self.sidecars.get_mut(&file) else {
            return false;
        };
        let byte = random.index(bytes.len());
        bytes[byte] ^= 1 << random.below(8);
        true
    }

    /// Loses a sidecar; false if there is none.
    pub fn lose_sidecar(&mut self, file: FileNumber) -> bool {
        self.sidecars.remove(&file).is_some()
    }

    /// Whether the medium gives what a disk without faults would.
    #[must_use]
    pub fn is_intact(&self, file: FileNumber, position: u64, bytes: usize) -> bool {
        let held = &self.files[place(file)];
        let range = at(position)..at(position) + bytes;
        held.pristine[range.clone()] == held.medium[range.clone()]
            && held.unreadable.range(range.start / SECTOR_BYTES..range.end.div_ceil(SECTOR_BYTES)).next().is_none()
    }

    /// Whether a disk without faults would hold exactly these bytes, durably.
    #[must_use]
    pub fn should_hold(&self, file: FileNumber, position: u64, bytes: &[u8]) -> bool {
        let from = at(position);
        self.files[place(file)].pristine[from..from + bytes.len()] == *bytes
    }

    fn spend(&mut self) -> Result<(), DiskError> {
        match &mut self.fuse {
            Some(0) => Err(DiskError { message: "the power is gone".into(), full: false }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Whole runs of sectors survive or not: a device writes in pieces larger than a sector, in any order.
fn survivors(random: &mut Random, sectors: usize) -> Vec<bool> {
    let mut survives = Vec::with_capacity(sectors);
    while survives.len() < sectors {
        let (run, kept) = (random.within(1, 64), random.chance(600));
        (0..run).for_each(|_| survives.push(kept));
    }
    survives.truncate(sectors);
    survives
}

impl Disk for SimDisk {
    type Buffer = Vec<u8>;

    fn buffer(&self, bytes: usize) -> Vec<u8> {
        vec![0; bytes]
    }

    fn files(&self) -> Result<Vec<(FileNumber, u64)>, DiskError> {
        let sized = |(place, file): (usize, &File)| (number(place), file.medium.len() as u64);
        Ok(self.files.iter().enumerate().map(sized).collect())
    }

    fn read(&self, file: FileNumber, position: u64, bytes: usize, into: &mut Vec<u8>) -> Result<usize, DiskError> {
        let held = &self.files[place(file)];
        let from = at(position).min(held.medium.len());
        let end = (from + bytes).min(held.medium.len());
        let sectors = from / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES);
        if let Some(sector) = held.unreadable.range(sectors).next() {
            return Err(DiskError { message: format!("{file}: sector {sector} cannot be read"), full: false });
        }
        into[..end - from].copy_from_slice(&held.medium[from..end]);
        let seen = held.unsynced.iter().filter(|write| write.completed && write.fate == Fate::Done);
        for write in seen {
            let (first, last) = (write.position.max(from), (write.position + write.bytes.len()).min(end));
            if first < last {
                into[first - from..last - from].copy_from_slice(&write.bytes[first - write.position..last - write.position]);
            }
        }
        if self.broken == Broken::ReadForges && from == 0 {
            forge_header(&mut into[..end - from]);
        }
        Ok(end - from)
    }

    fn read_sidecar(&self, file: FileNumber) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.sidecars.get(&file).cloned())
    }

    fn write_sidecar(&mut self, file: FileNumber, bytes: &[u8]) -> Result<(), DiskError> {
        self.spend()?;
        self.sidecars.insert(file, bytes.to_vec());
        Ok(())
    }

    fn write(&mut self, file: FileNumber, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.spend()?;
        if self.broken == Broken::BlankLies && bytes.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let id = self.begin_write(file, position, bytes.to_vec(), Fate::Done);
        self.complete_write(file, id);
        Ok(())
    }

    fn sync(&mut self, file: FileNumber) -> Result<(), DiskError> {
        self.spend()?;
        let covered = self.begin_sync(file);
        self.end_sync(file, covered);
        Ok(())
    }

    fn quarantine(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.spend()?;
        if self.broken == Broken::QuarantineLies {
            return Ok(());
        }
        self.quarantined.insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
}

/// A header page whose base sequence is one too high, with a sum that fits: a lie that no checksum shows.
fn forge_header(start: &mut [u8]) {
    use headworks_format::Sequence;
    use headworks_format::segment::{HeaderPage, PAGE_BYTES};
    let Some(page) = start.first_chunk_mut::<PAGE_BYTES>() else {
        return;
    };
    if let HeaderPage::Present(mut id) = HeaderPage::parse(page) {
        id.base_sequence = Sequence(id.base_sequence.0 + 1);
        id.write(page);
    }
}

fn number(place: usize) -> FileNumber {
    FileNumber(u32::try_from(place).expect("a run has few files"))
}

fn place(file: FileNumber) -> usize {
    file.0 as usize
}

fn at(position: u64) -> usize {
    usize::try_from(position).expect("a segment is small")
}
