//! A node's disk: a simulated directory for each lane, shared by the log loop and whoever reads blocks, and a superblock.

use crate::disk::{Broken, SimDisk};
use crate::random::Random;
use headworks_log::{Disk, DiskError, FileNumber};
use headworks_replicator::event::Kept;
use std::sync::{Arc, Mutex, PoisonError};

/// A lane's directory as several hands hold it.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Mutex<SimDisk>>);

impl Shared {
    /// An empty directory.
    pub fn new(segment_bytes: usize, broken: Broken) -> Shared {
        Shared(Arc::new(Mutex::new(SimDisk::new(segment_bytes, broken))))
    }

    /// Does something with the directory.
    pub fn with<R>(&self, work: impl FnOnce(&mut SimDisk) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Disk for Shared {
    type Buffer = Vec<u8>;

    fn buffer(&self, bytes: usize) -> Vec<u8> {
        vec![0; bytes]
    }

    fn files(&self) -> Result<Vec<(FileNumber, u64)>, DiskError> {
        self.with(|disk| disk.files())
    }

    fn read(&self, file: FileNumber, position: u64, bytes: usize, into: &mut Vec<u8>) -> Result<usize, DiskError> {
        self.with(|disk| disk.read(file, position, bytes, into))
    }

    fn read_sidecar(&self, file: FileNumber) -> Result<Option<Vec<u8>>, DiskError> {
        self.with(|disk| disk.read_sidecar(file))
    }

    fn write_sidecar(&mut self, file: FileNumber, bytes: &[u8]) -> Result<(), DiskError> {
        self.with(|disk| disk.write_sidecar(file, bytes))
    }

    fn write(&mut self, file: FileNumber, position: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.with(|disk| disk.write(file, position, bytes))
    }

    fn sync(&mut self, file: FileNumber) -> Result<(), DiskError> {
        self.with(|disk| disk.sync(file))
    }

    fn quarantine(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.with(|disk| disk.quarantine(name, bytes))
    }
}

/// What outlives a node's process.
#[derive(Debug)]
pub struct Storage {
    /// Lanes' directories.
    pub lanes: Vec<Shared>,
    /// What the superblock holds, durably: a write of it is whole or never was.
    pub kept: Kept,
    /// Superblock writes under way, in order.
    pub keeping: Vec<Kept>,
}

impl Storage {
    /// A blank disk.
    pub fn blank(lanes: u32, segment_bytes: u64, broken: Broken) -> Storage {
        let bytes = usize::try_from(segment_bytes).expect("a segment is small");
        let lanes = (0..lanes).map(|_| Shared::new(bytes, broken)).collect();
        Storage { lanes, kept: Kept::default(), keeping: Vec::new() }
    }

    /// The process dies. `power`: and the power goes with it. Returns how many writes were torn or lost.
    pub fn die(&mut self, random: &mut Random, power: bool, waits: bool) -> u64 {
        // Of the superblock's writes under way any beginning has reached the disk.
        let done = if waits { self.keeping.len() } else { random.index(self.keeping.len() + 1) };
        self.kept = self.keeping[..done].last().copied().unwrap_or(self.kept);
        self.keeping.clear();
        let mut harmed = 0;
        for lane in &self.lanes {
            harmed += lane.with(|disk| {
                if power {
                    return disk.crash(random);
                }
                disk.kill(random, waits);
                0
            });
        }
        harmed
    }
}
