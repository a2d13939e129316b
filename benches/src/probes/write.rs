//! Writing a constant megabyte over and over: the log loop's way to the disk without a log.
//!
//! ```text
//!   receive probe ── each MiB received ──► published ─► WRITE_FIXED 1 MiB, O_DIRECT, depth 8 ─► fdatasync, self-clocked
//!        ▲                                                                                          │
//!        └──────────── room: published − durable < slots (what a ring would hold) ◄── durable ──────┘
//! ```
//!
//! The blocks go round one preallocated, really written file, as the appliance's go round its segments once its
//! retention is reached. One fdatasync is under way at a time and covers what was written when it began.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use headworks_io::{Completion, DirectFile, FileSlot, RegionSlot, Ring, RingSetup, Token, Volume, Wake, cpus};
use headworks_ring::Region;

use super::receive::Sink;

/// Bytes of one write.
pub const BLOCK_BYTES: u64 = 1 << 20;
/// Writes under way at most.
const DEPTH: u64 = 8;
/// Blocks that a ring holds.
const SLOTS: u64 = 64;

const WAKE: Token = Token(0);
const SYNC: Token = Token(1);
const WRITE: Token = Token(2);
const COMPLETIONS_MAX: usize = 64;
const WAIT_MAX: Duration = Duration::from_secs(1);

/// What both sides share.
#[derive(Default)]
struct Cadence {
    published: AtomicU64,
    durable: AtomicU64,
    stop: AtomicBool,
}

/// The file that the constant block goes round: made once, for many probes.
pub struct ConstantFile {
    file: DirectFile,
    bytes: u64,
    /// Holds the folder.
    _volume: Volume,
}

impl ConstantFile {
    /// Makes it in `folder`, written with zeros.
    ///
    /// # Errors
    /// No space, or the folder cannot be used.
    ///
    /// # Panics
    /// When `bytes` holds no block.
    pub fn make(folder: &Path, bytes: u64) -> Result<ConstantFile, String> {
        assert!(bytes >= BLOCK_BYTES, "a file of {bytes} bytes for blocks of {BLOCK_BYTES}");
        let volume = Volume::lock(folder).map_err(|error| error.to_string())?;
        let file = volume.make_segment("constant", bytes, &|| true).map_err(|error| format!("no file for the write probe: {error}"))?;
        Ok(ConstantFile { file, bytes, _volume: volume })
    }
}

/// The writer on its own pinned thread; ended when the value goes.
pub struct WriteProbe {
    cadence: Arc<Cadence>,
    wake: Wake,
    thread: Option<JoinHandle<Result<(), String>>>,
}

/// The receive probe's side: publishes a block for each MiB taken.
pub struct Blocks {
    cadence: Arc<Cadence>,
    writer: Wake,
    bytes: u64,
    published: u64,
}

impl WriteProbe {
    /// Starts the writer on a processor. `taker` is woken when there is room again.
    ///
    /// # Errors
    /// No ring, or no such processor.
    pub fn start(constant: &ConstantFile, cpu: usize, taker: Wake) -> Result<(WriteProbe, Blocks), String> {
        let (file, file_bytes) = (constant.file.clone(), constant.bytes);
        let cadence = Arc::new(Cadence::default());
        let wake = Wake::new().map_err(|error| format!("no wake: {error}"))?;
        let blocks = Blocks { cadence: Arc::clone(&cadence), writer: wake.clone(), bytes: 0, published: 0 };
        let parts = (Arc::clone(&cadence), wake.clone(), taker);
        let thread = thread::Builder::new().name("probe-write".into()).spawn(move || {
            cpus::pin(cpu).map_err(|error| error.to_string())?;
            Loop::new(parts, &file, file_bytes)?.run()
        });
        let thread = thread.map_err(|error| format!("no thread for the write probe: {error}"))?;
        Ok((WriteProbe { cadence, wake, thread: Some(thread) }, blocks))
    }

    /// Bytes durable so far.
    pub fn durable_bytes(&self) -> u64 {
        self.cadence.durable.load(Ordering::Acquire) * BLOCK_BYTES
    }

    /// Ends the writer.
    ///
    /// # Errors
    /// What it failed of.
    pub fn stop(mut self) -> Result<(), String> {
        self.end()
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.cadence.stop.store(true, Ordering::Release);
        self.wake.wake();
        thread.join().unwrap_or_else(|_| Err("the write probe panicked".to_owned()))
    }
}

impl Drop for WriteProbe {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("headworks-benches: {error}");
        }
    }
}

impl Sink for Blocks {
    fn has_room(&mut self) -> bool {
        // Acquire pairs with the writer's release: what it counts as durable it has let go of.
        self.published - self.cadence.durable.load(Ordering::Acquire) < SLOTS
    }

    fn took(&mut self, bytes: u64) {
        self.bytes += bytes;
        let whole = self.bytes / BLOCK_BYTES;
        if whole > 0 {
            self.bytes %= BLOCK_BYTES;
            self.published += whole;
            self.cadence.published.store(self.published, Ordering::Release);
            self.writer.wake();
        }
    }
}

struct Loop {
    ring: Ring,
    cadence: Arc<Cadence>,
    wake: Wake,
    taker: Wake,
    file_blocks: u64,
    submitted: u64,
    written: u64,
    syncing: Option<u64>,
    completions: [Completion; COMPLETIONS_MAX],
}

impl Loop {
    fn new((cadence, wake, taker): (Arc<Cadence>, Wake, Wake), file: &DirectFile, file_bytes: u64) -> Result<Loop, String> {
        let text = |error: std::io::Error| format!("the write probe: {error}");
        let mut ring = Ring::new(&RingSetup { sq_entries: 64, cq_entries: 256 }).map_err(|error| error.to_string())?;
        ring.register_files(1).map_err(text)?;
        ring.set_file(FileSlot(0), Arc::clone(&file.fd)).map_err(text)?;
        let block = Region::map(usize::try_from(BLOCK_BYTES).expect("one MiB")).map_err(text)?;
        // Unregistered memory only costs the pinning of pages; the appliance falls back in the same way.
        let _ = ring.register_regions(&[Arc::new(block)]);
        ring.watch(WAKE, &wake).map_err(|_| "no room for the first submission")?;
        let completions = [Completion::default(); COMPLETIONS_MAX];
        Ok(Loop { ring, cadence, wake, taker, file_blocks: file_bytes / BLOCK_BYTES, submitted: 0, written: 0, syncing: None, completions })
    }

    fn run(mut self) -> Result<(), String> {
        while !self.cadence.stop.load(Ordering::Acquire) {
            let reaped = self.ring.reap(&mut self.completions);
            for at in 0..reaped {
                self.apply(self.completions[at])?;
            }
            let issued = self.issue()?;
            self.ring.submit().map_err(|error| format!("the write probe's submit: {error}"))?;
            if reaped + issued == 0 {
                self.wait()?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, completion: Completion) -> Result<(), String> {
        let text = |error: std::io::Error| format!("the write probe: {error}");
        match completion.token {
            WAKE => {
                self.wake.drain();
                if !completion.more() {
                    self.ring.watch(WAKE, &self.wake).map_err(|_| "no room to watch the wake again")?;
                }
            }
            SYNC => {
                completion.count().map_err(text)?;
                let covered = self.syncing.take().expect("one sync is under way");
                self.cadence.durable.store(covered, Ordering::Release);
                self.taker.wake();
            }
            _ => {
                let bytes = completion.count().map_err(text)?;
                assert_eq!(u64::from(bytes), BLOCK_BYTES, "bytes written of a block's");
                self.written += 1;
            }
        }
        Ok(())
    }

    fn issue(&mut self) -> Result<usize, String> {
        let published = self.cadence.published.load(Ordering::Acquire);
        let mut issued = 0;
        while self.submitted < published && self.submitted - self.written < DEPTH {
            let position = self.submitted % self.file_blocks * BLOCK_BYTES;
            let bytes = u32::try_from(BLOCK_BYTES).expect("one MiB");
            self.ring.write(WRITE, FileSlot(0), RegionSlot(0), 0, bytes, position).map_err(|_| "the write probe's queue is full")?;
            self.submitted += 1;
            issued += 1;
        }
        // Writes end in any order: with all of them ended, or none missing below, the count is what a sync covers. Counting
        // ended writes alone can only make this limit look better by less than one depth.
        if self.syncing.is_none() && self.written > self.cadence.durable.load(Ordering::Relaxed) {
            self.ring.fdatasync(SYNC, FileSlot(0)).map_err(|_| "the write probe's queue is full")?;
            self.syncing = Some(self.written);
            issued += 1;
        }
        Ok(issued)
    }

    fn wait(&mut self) -> Result<(), String> {
        let news = self.wake.park()
            || self.cadence.stop.load(Ordering::Acquire)
            || (self.cadence.published.load(Ordering::Acquire) > self.submitted && self.submitted - self.written < DEPTH);
        if !news {
            self.ring.wait(Some(WAIT_MAX)).map_err(|error| format!("the write probe's wait: {error}"))?;
        }
        self.wake.unpark();
        Ok(())
    }
}
