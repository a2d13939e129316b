//! What goes wrong, drawn from a stream of its own: the schedule of a seed is the same with and without faults.

use crate::disk::{Fate, SimDisk};
use crate::model::Model;
use crate::random::Random;
use crate::regime::Regime;
use headworks_format::block::BLOCK_BYTES_MIN;
use headworks_format::segment::{DATA_FROM, PAGE_BYTES};
use headworks_log::{FileNumber, PageKind};

/// The faults of one run.
#[derive(Debug)]
pub struct Harm {
    random: Random,
    /// What is harmed.
    pub regime: Regime,
    /// Faults so far.
    pub injected: u64,
    refused_parts: u64,
    full_parts: u64,
    segment_bytes: u64,
}

impl Harm {
    /// The faults of a run on segments of that size.
    #[must_use]
    pub fn new(mut random: Random, regime: Regime, segment_bytes: u64) -> Harm {
        let refused_parts = if random.chance(300) { 2 } else { 0 };
        let full_parts = if random.chance(300) { 300 } else { 0 };
        Harm { random, regime, injected: 0, refused_parts, full_parts, segment_bytes }
    }

    /// What a latency is multiplied with.
    pub fn slowness(&mut self) -> u64 {
        if self.random.chance(10) { 40 } else { 1 }
    }

    /// The result of a write of that many bytes: refused or short now and then.
    ///
    /// # Errors
    /// What the kernel would say.
    pub fn refuse_write(&mut self, bytes: u32) -> Result<u32, String> {
        if !self.random.chance(self.refused_parts) {
            return Ok(bytes);
        }
        self.injected += 1;
        if self.random.chance(500) { Ok(bytes / 2) } else { Err("input/output error".into()) }
    }

    /// The result of an fdatasync.
    ///
    /// # Errors
    /// What the kernel would say.
    pub fn refuse_sync(&mut self) -> Result<(), String> {
        if !self.random.chance(self.refused_parts) {
            return Ok(());
        }
        self.injected += 1;
        Err("input/output error".into())
    }

    /// Whether no segment can be made now.
    pub fn is_full(&mut self) -> bool {
        let full = self.random.chance(self.full_parts);
        self.injected += u64::from(full);
        full
    }

    /// What becomes of a block's write.
    pub fn fate_of_block(&mut self, checkpoint: bool, disk: &SimDisk) -> Fate {
        let harmed = match self.regime {
            Regime::Blocks => !checkpoint,
            Regime::Checkpoints => checkpoint,
            Regime::Mixed => true,
            _ => false,
        };
        if !harmed || !self.random.chance(8) {
            return Fate::Done;
        }
        self.injected += 1;
        if checkpoint || self.random.chance(500) {
            return Fate::Lost;
        }
        self.astray((DATA_FROM + BLOCK_BYTES_MIN) as u64, disk)
    }

    /// What becomes of a page's write.
    pub fn fate_of_page(&mut self, kind: PageKind, disk: &SimDisk) -> Fate {
        let parts = match (self.regime, kind) {
            (Regime::Headers, PageKind::Header) => 100,
            (Regime::Records, PageKind::Records) => 30,
            (Regime::Mixed, _) => 20,
            _ => 0,
        };
        if !self.random.chance(parts) {
            return Fate::Done;
        }
        self.injected += 1;
        match self.regime {
            Regime::Headers if self.random.chance(500) => Fate::Astray(self.file(disk), 0),
            Regime::Mixed if self.random.chance(500) => self.astray(0, disk),
            _ => Fate::Lost,
        }
    }

    fn file(&mut self, disk: &SimDisk) -> FileNumber {
        let place = self.random.index(disk.file_count());
        FileNumber(u32::try_from(place).expect("a run has few files"))
    }

    fn astray(&mut self, from: u64, disk: &SimDisk) -> Fate {
        let file = self.file(disk);
        let page = PAGE_BYTES as u64;
        let pages = (self.segment_bytes - from) / page;
        Fate::Astray(file, from + self.random.below(pages) * page)
    }

    /// Harms what lies on the disk while the node is down.
    pub fn at_rest(&mut self, model: &Model, disk: &mut SimDisk) {
        let files = model.files();
        if files.is_empty() || self.random.chance(400) {
            return;
        }
        for _ in 0..self.random.within(1, 3) {
            let file = self.random.pick(&files);
            let regime = if self.regime == Regime::Mixed { Regime::ALL[1 + self.random.index(5)].0 } else { self.regime };
            self.harm(regime, file, model, disk);
        }
    }

    fn harm(&mut self, regime: Regime, file: FileNumber, model: &Model, disk: &mut SimDisk) {
        self.injected += 1;
        let data_from = DATA_FROM as u64;
        match regime {
            Regime::Quiet | Regime::Mixed => self.injected -= 1,
            Regime::Blocks => {
                let place = self.random.index(model.live.len());
                let block = model.live.values().nth(place).expect("below the length");
                if block.batches.is_empty() {
                    self.injected -= 1;
                    return;
                }
                let within = if self.random.chance(500) {
                    self.random.below(PAGE_BYTES as u64)
                } else {
                    self.random.below(block.bytes.len() as u64)
                };
                self.spoil(block.file, block.position + within, disk);
            }
            Regime::Headers => {
                let byte = self.random.below(128);
                self.spoil(file, byte, disk);
            }
            Regime::Records => {
                for _ in 0..self.random.within(1, 6) {
                    let byte = self.random.within(PAGE_BYTES as u64, data_from - 1);
                    self.spoil(file, byte, disk);
                }
            }
            Regime::Sidecars => {
                if self.random.chance(500) {
                    disk.lose_sidecar(file);
                } else {
                    disk.rot_sidecar(file, &mut self.random);
                }
            }
            Regime::Checkpoints => {
                let byte = data_from + self.random.below(BLOCK_BYTES_MIN as u64);
                self.spoil(file, byte, disk);
            }
        }
    }

    fn spoil(&mut self, file: FileNumber, position: u64, disk: &mut SimDisk) {
        if self.random.chance(250) {
            disk.make_unreadable(file, position);
        } else {
            disk.rot(file, position, 1 << self.random.below(8));
        }
    }
}
