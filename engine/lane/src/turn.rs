//! The log loop's turn: reap, apply, tick, issue, invariants; one clock read, one submit, nothing allocated.

use crate::disk::LaneDisk;
use crate::files::{self, Desk, FilesSetup, Reply};
use crate::mend::Mends;
use crate::open::OpenedLane;
use crate::writer::{Buffers, Closing, Gauges, Job, Nonces, Place, Wakes, Writer};
use headworks_format::Epoch;
use headworks_format::block::{COUNTERS, block_bytes_for};
use headworks_format::checkpoint::{self, Partition, Producer};
use headworks_format::segment::PAGE_BYTES;
use headworks_io::fatal::{Reason, fatal};
use headworks_io::idle::{Idle, Policy, Step};
use headworks_io::{Clock, Completion, FileSlot, Optional, Pages, RegionSlot, Registered, Ring, RingSetup, Token, Volume, Wake};
use headworks_log::StorageFault;
use headworks_log::view::PartitionView;
use headworks_ring::{Receiver, Region};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Completions taken in one turn.
const COMPLETIONS_MAX: usize = 256;
/// The longest wait: nothing happens without a completion or a wake, this only bounds what a bug could cost.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// The wait while a log may want to confirm its last group.
const WAIT_CONFIRM: Duration = Duration::from_millis(10);
/// How long a node of a pair may take to step down and to write down that its disk has failed.
const STEP_DOWN_MAX: Duration = Duration::from_secs(2);
/// Token of the watch on the wake.
const WAKE_TOKEN: Token = Token(7);

/// What the loop is told from outside.
#[derive(Debug, Clone, Copy)]
pub enum Control {
    /// The lane's producer has ended with these counters: drain it and write them down.
    Close {
        /// Place of the lane.
        lane: usize,
        /// The lane's final counters; none where nothing was taken in, and those of the last block stand.
        counters: Option<[u64; COUNTERS]>,
    },
    /// Nothing more is followed: once all of it is durable the lane's log is this node's to append to. Answered by [`Led`].
    Lead {
        /// Place of the lane.
        lane: usize,
        /// The epoch that this node took.
        epoch: Epoch,
    },
}

/// What a lane was when it began to lead.
#[derive(Debug, Clone)]
pub struct Led {
    /// Place of the lane.
    pub lane: usize,
    /// Number of the first block of the new epoch.
    pub next: u64,
    /// Counters of the last block.
    pub counters: [u64; COUNTERS],
    /// Idempotent producers with their last batches.
    pub producers: Vec<Producer>,
}

/// What the loop says to who orders it about.
#[derive(Debug, Clone)]
pub enum Told {
    /// A lane leads, as [`Control::Lead`] ordered.
    Led(Led),
    /// A write or an fdatasync has failed: what, where and how. Nothing more becomes durable, and the process ends.
    Failed(String),
}

/// One more partition for a lane. It is shown to readers once a checkpoint that names it is durable.
pub struct Grow {
    /// Place of the lane.
    pub lane: usize,
    /// As the log knows it, without records.
    pub partition: Partition,
    /// As readers will see it: made by who asks, so that the loop allocates nothing.
    pub view: PartitionView,
}

/// How the loop runs.
#[derive(Debug, Clone, Copy)]
pub struct LoopSetup {
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// The CPU to run on.
    pub cpu: Option<usize>,
    /// What to do when there is nothing to do.
    pub idle: Policy,
    /// Registered buffers, if the host lets us.
    pub fixed_buffers: bool,
}

/// The loop's parts, made on any thread; the ring itself is made on the loop's own.
pub struct LoopParts {
    /// The lanes, in order.
    pub lanes: Vec<OpenedLane>,
    /// Wakes the loop.
    pub wake: Wake,
    /// Wakes whoever waits for commits.
    pub readers: Wake,
    /// Wakes whoever ships blocks to the peer, where there is one.
    pub shipper: Option<Wake>,
    /// Told what the loop has to say.
    pub told: mpsc::Sender<Told>,
    /// Keeps the directory's lock for as long as writes may be in flight.
    pub volume: Arc<Volume>,
    /// Seed for nonces.
    pub seed: u64,
    /// Control messages.
    pub control: Receiver<Control>,
    /// Partitions to be made.
    pub grow: Receiver<Grow>,
    /// What the files thread writes again, where another node may have a copy.
    pub mends: Option<Mends>,
}

/// The log loop.
pub struct LogLoop {
    ring: Ring,
    writers: Vec<Writer>,
    wake: Wake,
    idle: Idle,
    clock: Clock,
    completions: [Completion; COMPLETIONS_MAX],
    control: Receiver<Control>,
    grow: Receiver<Grow>,
    told: mpsc::Sender<Told>,
    shipper: Option<Wake>,
    files: Desk,
    registered: Registered,
}

impl LogLoop {
    /// Builds the loop on the thread that will run it.
    ///
    /// # Errors
    /// io_uring, memory or a thread is not to be had.
    pub fn new(parts: LoopParts, setup: &LoopSetup) -> Result<LogLoop, String> {
        let text = |error: std::io::Error| error.to_string();
        let optional = Optional { fixed_regions: setup.fixed_buffers, ..Optional::ALL };
        let mut ring =
            Ring::with_optional(&RingSetup { sq_entries: 256, cq_entries: 1024 }, optional).map_err(|error| error.to_string())?;
        let tables: Vec<u32> = parts.lanes.iter().map(|lane| lane.files_max).collect();
        ring.register_files(tables.iter().sum::<u32>() + 1).map_err(text)?;
        ring.set_file(FileSlot(0), parts.volume.lock_fd()).map_err(text)?;
        let mut regions: Vec<Arc<Region>> = Vec::new();
        let mut writers = Vec::new();
        let mut disks = Vec::new();
        let mut file_base = 1;
        for (place, lane) in parts.lanes.into_iter().enumerate() {
            let files_max = lane.files_max;
            let buffers = buffers(&lane.drain, &mut regions).map_err(text)?;
            let nonces = Nonces::new(parts.seed ^ (place as u64 + 1).wrapping_mul(0xd6e8_feb8_6659_fd93));
            let wakes = Wakes { readers: parts.readers.clone(), shipper: parts.shipper.clone() };
            let (writer, disk, for_files) = Writer::new(lane, Place { place, file_base }, buffers, wakes, nonces);
            disks.push((for_files, Arc::clone(writer.log.view())));
            register_spares(&writer, &disk, &mut ring).map_err(text)?;
            writers.push(writer);
            file_base += files_max;
        }
        let registered = ring.register_regions(&regions);
        let files = FilesSetup { lanes: disks, segment_bytes: setup.segment_bytes, wake: parts.wake.clone(), mends: parts.mends };
        let files = files::spawn(files).map_err(text)?;
        ring.watch(WAKE_TOKEN, &parts.wake).map_err(|_| "no room for the first submission".to_owned())?;
        Ok(LogLoop {
            ring,
            writers,
            wake: parts.wake,
            idle: Idle::new(setup.idle),
            clock: Clock,
            completions: [Completion::default(); COMPLETIONS_MAX],
            control: parts.control,
            grow: parts.grow,
            told: parts.told,
            shipper: parts.shipper,
            files,
            registered,
        })
    }

    /// Whether the kernel took the buffers, and if not, why.
    #[must_use]
    pub fn registered(&self) -> &Registered {
        &self.registered
    }

    /// Runs until every lane was closed; `ready` is told once, when every lane has an open, durable segment (or no space
    /// for one). Returns the sealed blocks that a full volume did not take.
    pub fn run(mut self, mut ready: impl FnMut()) -> u64 {
        let mut told = false;
        while !self.is_closed() {
            let done = self.turn();
            if !told && self.writers.iter().all(Writer::is_ready) {
                told = true;
                ready();
            }
            if self.idle.next(done) == Step::Wait {
                self.wait();
            }
        }
        self.files.close();
        self.writers.iter().map(|writer| writer.abandoned).sum()
    }

    /// One turn; returns how much was done.
    pub fn turn(&mut self) -> usize {
        let reaped = self.ring.reap(&mut self.completions);
        let now_ns = self.clock.realtime_ns();
        self.apply(reaped, now_ns);
        let replies = self.take_replies(now_ns);
        // Before the messages: the partition that a block's checkpoint names was asked for before the block was published.
        self.writers.iter_mut().for_each(Writer::look);
        let controls = self.take_controls(now_ns);
        let mut done = reaped + replies + controls;
        for place in 0..self.writers.len() {
            let writer = &mut self.writers[place];
            writer.open_first(now_ns);
            done += writer.append_published(now_ns);
            if let Some(led) = writer.lead() {
                // Who asked may have given up, and the process with it.
                drop(self.told.send(Told::Led(led)));
                done += 1;
            }
            writer.name_partitions(now_ns);
            writer.send_receipts();
            writer.close(now_ns);
            writer.tick(now_ns);
            done += writer.issue(&mut self.ring, &mut self.files, now_ns);
        }
        self.ring.submit().unwrap_or_else(|error| fatal(Reason::Kernel, format!("io_uring submit failed: {error}")));
        self.invariants();
        done
    }

    fn apply(&mut self, reaped: usize, now_ns: u64) {
        for at in 0..reaped {
            let completion = self.completions[at];
            if completion.token == WAKE_TOKEN {
                self.wake.drain();
                if !completion.more() && self.ring.watch(WAKE_TOKEN, &self.wake).is_err() {
                    fatal(Reason::Bug, "no room to watch the wake again");
                }
                continue;
            }
            let Some((lane, job)) = Job::of(completion.token) else {
                fatal(Reason::Bug, format!("completion of unknown {:?}", completion.token))
            };
            let result = completion.count().map_err(|error| error.to_string());
            if let Err(fault) = self.writers[lane].apply(job, result, now_ns) {
                self.storage_fault(&fault);
            }
        }
    }

    fn take_replies(&mut self, now_ns: u64) -> usize {
        let mut taken = 0;
        while let Some(reply) = self.files.recv() {
            taken += 1;
            match reply {
                Reply::Made { lane, file, opened } => {
                    let added = self.writers[lane].add_segment(file, &opened, &mut self.ring);
                    added.unwrap_or_else(|error| fatal(Reason::Kernel, format!("cannot register {file}: {error}")));
                }
                Reply::Full { lane } => self.writers[lane].segment_failed(now_ns),
                Reply::Failed { error } => {
                    self.fail(format!("{error}. Nothing acknowledged is lost; check the disk (`dmesg`), then start again"))
                }
                Reply::Blanked { lane, file, result } => {
                    if let Err(fault) = self.writers[lane].log.on_blanked(file, result) {
                        self.storage_fault(&fault);
                    }
                }
                Reply::Sealed { lane, order, result } => {
                    if let Err(fault) = self.writers[lane].log.on_sealed(order.file, order.nonce, result) {
                        self.storage_fault(&fault);
                    }
                }
            }
        }
        taken
    }

    fn take_controls(&mut self, now_ns: u64) -> usize {
        let mut taken = 0;
        while let Some(control) = self.control.recv() {
            taken += 1;
            match control {
                Control::Close { lane, counters } => self.writers[lane].closing = Some(Closing { counters, since_ns: now_ns }),
                Control::Lead { lane, epoch } => self.writers[lane].leading = Some(epoch),
            }
        }
        while let Some(Grow { lane, partition, view }) = self.grow.recv() {
            taken += 1;
            if self.writers[lane].log.add_partition(partition, view).is_err() {
                fatal(Reason::Bug, format!("lane {lane} was asked for more partitions than it can hold"));
            }
        }
        taken
    }

    fn wait(&mut self) {
        // Announce sleep, then look once more: work that was published before the announcement is seen here, work after
        // it finds the announcement and wakes us.
        let news = |writer: &Writer| writer.drain.published() > writer.seen;
        if self.wake.park() || self.writers.iter().any(news) || !self.files.is_empty() || !self.control.is_empty() || !self.grow.is_empty()
        {
            self.wake.unpark();
            return;
        }
        let confirming = self.writers.iter().any(|writer| writer.log.wants_confirmation());
        let timeout = if confirming { WAIT_CONFIRM } else { WAIT_MAX };
        self.ring.wait(Some(timeout)).unwrap_or_else(|error| fatal(Reason::Kernel, format!("io_uring wait failed: {error}")));
        self.wake.unpark();
    }

    fn is_closed(&self) -> bool {
        self.writers.iter().all(|writer| writer.closed && writer.log.is_idle() && writer.held.is_none())
    }

    /// No failed write or fdatasync is tried again: what was acknowledged is durable, what was not is not claimed.
    fn storage_fault(&self, fault: &StorageFault) -> ! {
        self.fail(format!(
            "{} on {} failed: {}. The node stops: nothing acknowledged is lost, nothing more is acknowledged. Check the disk \
                (`dmesg`), then start again; recovery keeps what is whole",
            fault.job, fault.file, fault.error
        ))
    }

    /// Ends the process. In a pair not before the node has stepped down and written the failure into its superblock, which it is given time
    /// for and nothing else: this thread does not return to its work.
    fn fail(&self, text: String) -> ! {
        if let Some(shipper) = &self.shipper
            && self.told.send(Told::Failed(text.clone())).is_ok()
        {
            shipper.wake();
            std::thread::sleep(STEP_DOWN_MAX);
        }
        fatal(Reason::Storage, text)
    }

    fn invariants(&self) {
        for writer in &self.writers {
            let (published, shared, released) = (writer.drain.published(), writer.drain.shared(), writer.drain.released());
            debug_assert!(
                published >= shared && shared >= released,
                "lane {}: published {published}, shared {shared}, released {released}",
                writer.place
            );
        }
    }
}

fn buffers(drain: &headworks_ring::Drain, regions: &mut Vec<Arc<Region>>) -> std::io::Result<Buffers> {
    let pages = Pages::new(4, PAGE_BYTES)?;
    let checkpoint = Pages::new(1, block_bytes_for(checkpoint::BYTES_MAX))?;
    let mut slot = |region: &Arc<Region>| {
        regions.push(Arc::clone(region));
        RegionSlot(u16::try_from(regions.len() - 1).expect("three regions a lane, at most 64 lanes"))
    };
    let (pages_slot, checkpoint_slot, slots_slot) = (slot(pages.region()), slot(checkpoint.region()), slot(drain.region()));
    Ok(Buffers { pages, pages_slot, checkpoint, checkpoint_slot, slots_slot, header_page: None, records_page: None, checkpoint_page: None })
}

/// Spares that recovery found are opened here; later ones come with their descriptor. Retired files are among the known.
fn register_spares(writer: &Writer, disk: &LaneDisk, ring: &mut Ring) -> std::io::Result<()> {
    for file in writer.log.files() {
        ring.set_file(FileSlot(writer.file_base + file.0), disk.segment(file)?.fd)?;
    }
    Ok(())
}

/// Gauges of a loop's lanes are shared before the loop exists.
impl LoopParts {
    /// The gauges of each lane.
    #[must_use]
    pub fn gauges(&self) -> Vec<Gauges> {
        self.lanes.iter().map(|lane| lane.gauges.clone()).collect()
    }
}
