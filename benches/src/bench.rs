//! What every scenario is given: how large to be, which binaries to start, which processors and which disk to use.

use std::path::{Path, PathBuf};
use std::time::Duration;

use headworks_io::cpus;
use tempfile::TempDir;

use crate::args::Args;
use crate::process::Binaries;

/// Space that a scenario leaves on the disk whatever it was asked for.
const DISK_RESERVE_BYTES: u64 = 4 << 30;

/// How large everything is.
#[derive(Debug, Clone)]
pub struct Scale {
    /// Whether the figures may be held against bars.
    pub judged: bool,
    /// Pairs of probe and subject.
    pub runs: u32,
    /// Load before measuring.
    pub warm: Duration,
    /// Measuring of one run.
    pub window: Duration,
    /// What the appliance keeps, where a scenario does not say otherwise.
    pub retention_bytes: u64,
    /// A segment file.
    pub segment_bytes: u64,
    /// The lane's ring.
    pub ring_bytes: u64,
    /// What memory keeps and recovery recovers.
    pub large_bytes: u64,
    /// Length of the soak.
    pub soak: Duration,
    /// Length of the look at an idle node.
    pub idle: Duration,
    /// Longest wait for a quiet machine before a run.
    pub quiet: Duration,
}

impl Scale {
    fn full(args: &Args) -> Scale {
        Scale {
            judged: true,
            runs: args.runs,
            warm: Duration::from_secs(1),
            window: Duration::from_secs(args.seconds),
            retention_bytes: 2 << 30,
            segment_bytes: 256 << 20,
            ring_bytes: 64 << 20,
            large_bytes: args.gib << 30,
            soak: Duration::from_secs(args.soak),
            idle: Duration::from_secs(10),
            quiet: Duration::from_secs(args.quiet),
        }
    }

    /// Everything once and tiny: it shows that the scenarios work, never how fast anything is.
    fn smoke() -> Scale {
        Scale {
            judged: false,
            runs: 1,
            warm: Duration::from_millis(100),
            window: Duration::from_millis(300),
            retention_bytes: 32 << 20,
            segment_bytes: 8 << 20,
            ring_bytes: 8 << 20,
            large_bytes: 32 << 20,
            soak: Duration::from_secs(2),
            idle: Duration::from_millis(500),
            quiet: Duration::ZERO,
        }
    }
}

/// Which loop and which process runs on which processor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// In words.
    pub what: &'static str,
    /// The generator, and with it the receive path of the kernel: on loopback it runs where the sender runs.
    pub generator: usize,
    /// The ingest loop, or the probe that stands for it.
    pub ingest: usize,
    /// The log loop, or the probe that stands for it.
    pub log: usize,
}

/// What every scenario is given.
pub struct Bench {
    /// How large everything is.
    pub scale: Scale,
    /// The real binaries.
    pub binaries: Binaries,
    folder: PathBuf,
    /// Where generators keep their ledgers: in memory where there is such a place, so that they do not use the disk under test.
    aside: TempDir,
    /// Removes the folder when the benches end, unless the caller named it.
    _temporary: Option<TempDir>,
}

impl Bench {
    /// Builds the binaries and makes the folder.
    ///
    /// # Errors
    /// A binary cannot be built, or there is no folder to be had.
    pub fn prepare(args: &Args) -> Result<Bench, String> {
        let binaries = args.binaries.as_deref().map_or_else(Binaries::build, Binaries::of)?;
        let scale = if args.name == "smoke" { Scale::smoke() } else { Scale::full(args) };
        let (folder, temporary) = match &args.dir {
            Some(folder) => (folder.clone(), None),
            None => {
                let made = tempfile::Builder::new().prefix("headworks-benches-").tempdir_in(binaries.folder());
                let made = made.map_err(|error| format!("no folder beside the build: {error}; name one with --dir"))?;
                (made.path().to_owned(), Some(made))
            }
        };
        std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let shared = Path::new("/dev/shm");
        let place = if shared.is_dir() { shared } else { &folder };
        let aside = tempfile::Builder::new().prefix("headworks-benches-").tempdir_in(place);
        let aside = aside.map_err(|error| format!("no folder in {}: {error}", place.display()))?;
        Ok(Bench { scale, binaries, folder, aside, _temporary: temporary })
    }

    /// Where generators keep their ledgers.
    pub fn aside(&self) -> &Path {
        self.aside.path()
    }

    /// Where data goes.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// An empty folder for one scenario, removed when the value goes.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn scratch(&self, name: &str) -> Result<TempDir, String> {
        let made = tempfile::Builder::new().prefix(name).tempdir_in(&self.folder);
        made.map_err(|error| format!("no folder in {}: {error}", self.folder.display()))
    }

    /// The large size, or less where the disk has less; then with a sentence that says so.
    ///
    /// # Errors
    /// The disk cannot be asked.
    pub fn large_bytes(&self, copies: u64) -> Result<(u64, Option<String>), String> {
        let volume = self.scratch("space-")?;
        let volume = headworks_io::Volume::lock(volume.path()).map_err(|error| error.to_string())?;
        let free = volume.free_bytes().map_err(|error| format!("cannot ask for free space: {error}"))?;
        let most = free.saturating_sub(DISK_RESERVE_BYTES) / copies / self.scale.segment_bytes * self.scale.segment_bytes;
        let wanted = self.scale.large_bytes;
        if wanted <= most {
            return Ok((wanted, None));
        }
        let least = 4 * self.scale.segment_bytes;
        if most < least {
            return Err(format!("{free} bytes are free, {} are needed", least * copies + DISK_RESERVE_BYTES));
        }
        Ok((most, Some(format!("scaled down from {} to {} MiB: {} MiB are free", wanted >> 20, most >> 20, free >> 20))))
    }

    /// The placements that this machine allows, the usual one first: one on a single processor, else two.
    pub fn placements(&self) -> Vec<Placement> {
        let allowed = cpus::allowed();
        let (first, second) = (allowed[0], allowed.get(1).copied().unwrap_or(allowed[0]));
        // With a third processor the log loop needs to share with nobody.
        let third = allowed.get(2).copied().unwrap_or(first);
        let apart = if allowed.len() > 2 { "log loop alone" } else { "log loop beside the generator" };
        let mut placements = vec![Placement { what: apart, generator: first, ingest: second, log: third }];
        if second != first {
            placements.push(Placement { what: "log loop beside the ingest loop", generator: first, ingest: second, log: second });
        }
        placements
    }
}
