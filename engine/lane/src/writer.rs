//! One lane within the log loop: its ring's consumer, its log, and the buffers of its pages.

use crate::disk::LaneDisk;
use crate::files::{Desk, Order};
use crate::histogram::Histogram;
use crate::open::OpenedLane;
use crate::turn::Led;
use headworks_format::block;
use headworks_format::segment::PAGE_BYTES;
use headworks_format::{Epoch, Nonce};
use headworks_io::fatal::{Reason, fatal};
use headworks_io::{DirectFile, FileSlot, PageId, Pages, RegionSlot, Ring, Token, Wake};
use headworks_log::append::Source;
use headworks_log::{Command, FileNumber, Log, PageKind, Receipt, Room, StorageFault, Waiting};
use headworks_ring::{Drain, Sender};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the loop shows of itself, for metrics.
#[derive(Debug, Clone, Default)]
pub struct Gauges {
    /// First record of a block to its being durable.
    pub durable_latency: Histogram,
    /// fdatasyncs.
    pub sync_duration: Histogram,
    /// Bytes of blocks and pages written.
    pub written_bytes: Arc<AtomicU64>,
    /// Slots that hold blocks not yet durable.
    pub ring_in_use: Arc<AtomicU64>,
    /// Records durable in this run.
    pub durable_records: Arc<AtomicU64>,
    /// Since when something has been on its way to the disk without any of it becoming durable, in ns since 1970; 0: nothing is.
    pub waiting_since_ns: Arc<AtomicU64>,
    /// Records committed in this run.
    pub committed_records: Arc<AtomicU64>,
}

/// What a completion is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    Block(u64),
    Header,
    Records,
    Sync,
}

const KIND_BITS: u32 = 3;
const LANE_BITS: u32 = 7;

impl Job {
    /// A token: kind, lane, and above them the block's number, which stays below 2⁵⁴.
    pub fn token(self, lane: usize) -> Token {
        let (kind, number) = match self {
            Job::Block(sequence) => (0, sequence),
            Job::Header => (1, 0),
            Job::Records => (2, 0),
            Job::Sync => (3, 0),
        };
        Token(number << (KIND_BITS + LANE_BITS) | (lane as u64) << KIND_BITS | kind)
    }

    pub fn of(token: Token) -> Option<(usize, Job)> {
        let lane = usize::try_from((token.0 >> KIND_BITS) & ((1 << LANE_BITS) - 1)).expect("seven bits");
        let job = match token.0 & ((1 << KIND_BITS) - 1) {
            0 => Job::Block(token.0 >> (KIND_BITS + LANE_BITS)),
            1 => Job::Header,
            2 => Job::Records,
            3 => Job::Sync,
            _ => return None,
        };
        Some((lane, job))
    }
}

/// The buffers of a lane's own pages and checkpoint, and where the ring knows them.
pub(crate) struct Buffers {
    pub pages: Pages,
    pub pages_slot: RegionSlot,
    pub checkpoint: Pages,
    pub checkpoint_slot: RegionSlot,
    pub slots_slot: RegionSlot,
    pub header_page: Option<PageId>,
    pub records_page: Option<PageId>,
    pub checkpoint_page: Option<PageId>,
}

pub(crate) struct Writer {
    pub place: usize,
    pub log: Log,
    pub drain: Drain,
    pub buffers: Buffers,
    /// First of the lane's places in the table of registered files.
    pub file_base: u32,
    pub producer: Wake,
    pub readers: Wake,
    pub shipper: Option<Wake>,
    /// Whether what comes through the ring was stamped by another node.
    pub following: bool,
    /// The epoch in which it shall lead, once all that it followed is durable.
    pub leading: Option<Epoch>,
    /// The committed position that was last told of.
    pub committed: u64,
    /// The durable position of the last turn.
    pub durable_seen: u64,
    pub receipts: Sender<Receipt>,
    pub gauges: Gauges,
    pub nonces: Nonces,
    /// A command that found the submission queue full.
    pub held: Option<Command>,
    pub sync_started_ns: u64,
    pub full_since_ns: Option<u64>,
    pub closing: Option<Closing>,
    pub closed: bool,
    /// Sealed blocks that a stop left behind for want of space.
    pub abandoned: u64,
    /// Published slots that this turn saw: more than that is news.
    pub seen: u64,
}

/// How long an end in order waits for room while nothing happens.
const CLOSE_NS_MAX: u64 = 5_000_000_000;
/// How long to wait before a full volume is asked again.
const RETRY_FULL_NS: u64 = 1_000_000_000;

/// Who is told of news.
pub(crate) struct Wakes {
    pub readers: Wake,
    pub shipper: Option<Wake>,
}

/// Where the lane stands among the others.
pub(crate) struct Place {
    pub place: usize,
    pub file_base: u32,
}

/// An end in order that was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Closing {
    /// What is written down last, if anything.
    pub counters: Option<[u64; block::COUNTERS]>,
    /// Since when nothing has happened.
    pub since_ns: u64,
}

impl Writer {
    /// The lane's writer, and its directory for the loop and for the files thread.
    pub fn new(lane: OpenedLane, place: Place, buffers: Buffers, wakes: Wakes, nonces: Nonces) -> (Writer, LaneDisk, LaneDisk) {
        let committed = lane.log.view().positions.committed.load();
        let writer = Writer {
            place: place.place,
            log: lane.log,
            drain: lane.drain,
            buffers,
            file_base: place.file_base,
            producer: lane.producer,
            readers: wakes.readers,
            shipper: wakes.shipper,
            following: lane.following,
            leading: None,
            committed,
            durable_seen: 0,
            receipts: lane.receipts,
            gauges: lane.gauges,
            nonces,
            held: None,
            sync_started_ns: 0,
            full_since_ns: None,
            closing: None,
            closed: false,
            abandoned: 0,
            seen: 0,
        };
        (writer, lane.disk, lane.disk_for_files)
    }

    /// Looks how far the ring is filled; this turn takes no more than that.
    pub fn look(&mut self) {
        self.seen = self.drain.published();
    }

    /// Appends what is published, as far as there is room. Returns the blocks appended.
    pub fn append_published(&mut self, now_ns: u64) -> usize {
        let first = self.drain.shared();
        if self.following {
            self.follow()
        } else {
            self.append_sealed(now_ns)
        }
        let appended = self.drain.shared() - first;
        if appended > 0
            && let Some(shipper) = &self.shipper
        {
            shipper.wake();
        }
        usize::try_from(appended).expect("at most the ring's slots")
    }

    fn append_sealed(&mut self, now_ns: u64) {
        while self.drain.shared() < self.seen {
            let slot = self.drain.shared();
            let header = block::header(self.drain.block_mut(slot)).expect("a slot is larger than a header");
            let (bytes, batches) = (header.block_bytes.get() as usize, header.batches.get() as usize);
            match self.log.room(bytes, batches) {
                Room::Append => {
                    self.log.append(self.drain.block_mut(slot), slot);
                    self.drain.share(slot + 1);
                }
                Room::Roll => self.roll(now_ns),
                Room::Wait(_) => break,
            }
        }
    }

    /// Blocks of the primary, which the link has proved: written as they are.
    fn follow(&mut self) {
        while self.drain.shared() < self.seen {
            let slot = self.drain.shared();
            let block = &*self.drain.block_mut(slot);
            let head = block::Head::parse(block.first_chunk().expect("a slot is larger than a head page"));
            let head = head.unwrap_or_else(|fault| fatal(Reason::Bug, format!("a block came through the link unproved: {fault:?}")));
            match self.log.room_to_follow(&head) {
                Room::Append => {
                    self.log.follow(block, slot).unwrap_or_else(|unfit| diverged(&unfit));
                    self.drain.share(slot + 1);
                }
                Room::Roll => self.log.follow_roll(&head),
                Room::Wait(_) => break,
            }
        }
    }

    /// Begins to lead when that was asked for and everything that was followed is durable.
    pub fn lead(&mut self) -> Option<Led> {
        let epoch = self.leading?;
        if self.drain.shared() < self.drain.published() || !self.log.is_idle() || self.held.is_some() {
            return None;
        }
        self.leading = None;
        self.following = false;
        self.log.lead(epoch);
        let producers = self.log.producers().iter().cloned().collect();
        Some(Led { lane: self.place, next: self.log.next(), counters: self.log.counters(), producers })
    }

    /// A first segment, so that the lane is ready before its first packet; also the last checkpoint of a clean stop.
    pub fn open_first(&mut self, now_ns: u64) {
        if !self.following && self.log.room(block::BLOCK_BYTES_MAX, 1) == Room::Roll && !self.log.is_open() {
            self.roll(now_ns);
        }
    }

    fn roll(&mut self, now_ns: u64) {
        let page = self.buffers.checkpoint.lease().expect("a roll waits until the checkpoint before is written");
        self.log.roll(self.nonces.draw(), now_ns, self.buffers.checkpoint.page_mut(page));
        self.buffers.checkpoint_page = Some(page);
    }

    /// Writes down partitions that were added, so that they can be shown.
    pub fn name_partitions(&mut self, now_ns: u64) {
        if self.following || self.closing.is_some() || !self.log.wants_checkpoint() {
            return;
        }
        match self.log.room(block::BLOCK_BYTES_MAX, 1) {
            Room::Append => {
                let page = self.buffers.checkpoint.lease().expect("no checkpoint is being written when one is wanted");
                self.log.checkpoint(now_ns, self.buffers.checkpoint.page_mut(page));
                self.buffers.checkpoint_page = Some(page);
            }
            Room::Roll => self.roll(now_ns),
            Room::Wait(_) => {}
        }
    }

    /// Tells producers where their batches were put: before those can become durable, so that who learns of the position
    /// finds the receipt there.
    pub fn send_receipts(&mut self) {
        while let Some(receipt) = self.log.receipt() {
            assert!(self.receipts.send(receipt).is_ok(), "more than {} receipts were asked for", headworks_log::append::RECEIPTS_MAX);
        }
    }

    /// Appends the final counters once everything before is durable.
    pub fn close(&mut self, now_ns: u64) {
        let Some(Closing { counters, since_ns }) = self.closing else { return };
        if self.closed || !self.log.is_idle() {
            self.closing = Some(Closing { counters, since_ns: now_ns });
            return;
        }
        // What waits for room may wait for ever: on a full volume, or for a node that is not there and for whom everything is kept. The stop
        // goes on without it, and says so.
        let gives_up = now_ns.saturating_sub(since_ns) >= CLOSE_NS_MAX || self.is_stuck();
        let waiting = self.drain.published() - self.drain.shared();
        if waiting > 0 {
            if gives_up {
                self.abandoned = waiting;
                self.closed = true;
            }
            return;
        }
        // The last block is the primary's to write, and who took nothing in has nothing to add.
        let Some(counters) = counters.filter(|_| !self.following) else {
            self.closed = true;
            return;
        };
        match self.log.room(block::BLOCK_BYTES_MAX, 1) {
            Room::Append => {
                let page = self.buffers.checkpoint.lease().expect("an idle log has no checkpoint under way");
                self.log.close(now_ns, counters, self.buffers.checkpoint.page_mut(page));
                self.buffers.checkpoint_page = Some(page);
                self.closed = true;
            }
            Room::Roll => self.roll(now_ns),
            // The counters of the last block stand.
            Room::Wait(_) if gives_up => self.closed = true,
            Room::Wait(_) => {}
        }
    }

    /// Whether nothing can be appended for want of space on the volume.
    fn is_stuck(&self) -> bool {
        self.full_since_ns.is_some() && self.log.room(block::BLOCK_BYTES_MAX, 1) == Room::Wait(Waiting::Segment)
    }

    /// Whether the lane is as ready as its volume lets it be: its first segment is durable, or there is no space for one,
    /// and then history is served and what arrives is shed and counted.
    pub fn is_ready(&self) -> bool {
        self.following || (self.log.is_open() && self.log.is_idle()) || self.is_stuck()
    }

    /// Turns the log's commands into submissions and orders; stops when a queue is full and goes on next turn.
    pub fn issue(&mut self, ring: &mut Ring, files: &mut Desk, now_ns: u64) -> usize {
        let mut issued = 0;
        while let Some(command) = self.held.take().or_else(|| self.log.command()) {
            if !self.run(command, ring, files, now_ns) {
                self.held = Some(command);
                break;
            }
            issued += 1;
        }
        issued
    }

    fn run(&mut self, command: Command, ring: &mut Ring, files: &mut Desk, now_ns: u64) -> bool {
        let place = self.place;
        match command {
            Command::WriteBlock { sequence, source, file, position, bytes } => {
                let (region, offset) = match source {
                    Source::Slot(slot) => (self.buffers.slots_slot, self.drain.region_offset(slot)),
                    Source::Checkpoint => {
                        let page = self.buffers.checkpoint_page.expect("a checkpoint is written from its page");
                        (self.buffers.checkpoint_slot, self.buffers.checkpoint.offset(page))
                    }
                };
                let token = Job::Block(sequence).token(place);
                let pushed = ring.write(token, self.slot_of(file), region, offset, bytes, position).is_ok();
                if pushed && source == Source::Checkpoint {
                    self.buffers.checkpoint.submit(self.buffers.checkpoint_page.expect("as above"));
                }
                pushed
            }
            Command::WritePage { kind, file, position } => self.write_page(kind, file, position, ring),
            Command::Sync { file } => {
                self.sync_started_ns = now_ns;
                ring.fdatasync(Job::Sync.token(place), self.slot_of(file)).is_ok()
            }
            Command::MakeSegment => files.send(Order::Make { lane: place }),
            Command::Blank { file } => files.send(Order::Blank { lane: place, file }),
            Command::Seal(order) => files.send(Order::Seal { lane: place, order }),
        }
    }

    fn write_page(&mut self, kind: PageKind, file: FileNumber, position: u64, ring: &mut Ring) -> bool {
        let buffers = &mut self.buffers;
        let page = buffers.pages.lease().expect("one header page and one records page are under way at most");
        let job = match kind {
            PageKind::Header => {
                self.log.header_page(buffers.pages.page_mut(page).first_chunk_mut::<PAGE_BYTES>().expect("a page"));
                buffers.header_page = Some(page);
                Job::Header
            }
            PageKind::Records => {
                self.log.record_page(buffers.pages.page_mut(page));
                buffers.records_page = Some(page);
                Job::Records
            }
        };
        let (region, offset) = (buffers.pages_slot, buffers.pages.offset(page));
        let bytes = u32::try_from(PAGE_BYTES).expect("4096");
        let pushed = ring.write(job.token(self.place), self.slot_of(file), region, offset, bytes, position).is_ok();
        if pushed {
            self.buffers.pages.submit(page)
        } else {
            self.buffers.pages.done(page)
        }
        pushed
    }

    /// A write or sync ended.
    pub fn apply(&mut self, job: Job, result: Result<u32, String>, now_ns: u64) -> Result<(), StorageFault> {
        self.gauges.written_bytes.fetch_add(result.as_ref().map_or(0, |bytes| u64::from(*bytes)), Ordering::Relaxed);
        match job {
            Job::Block(sequence) => {
                if self.log.is_checkpoint(sequence) {
                    self.buffers.checkpoint.done(self.buffers.checkpoint_page.take().expect("a checkpoint was under way"));
                }
                self.log.on_block_written(sequence, result)?;
                // A producer that waits with a half-filled block seals it once a write has ended.
                self.producer.wake();
            }
            Job::Header => {
                self.buffers.pages.done(self.buffers.header_page.take().expect("a header was under way"));
                self.log.on_page_written(PageKind::Header, result)?;
            }
            Job::Records => {
                self.buffers.pages.done(self.buffers.records_page.take().expect("records were under way"));
                self.log.on_page_written(PageKind::Records, result)?;
            }
            Job::Sync => {
                self.gauges.sync_duration.record(now_ns.saturating_sub(self.sync_started_ns), 1);
                let latency = &self.gauges.durable_latency;
                self.log
                    .on_synced(result.map(drop), |wall_ns, records| latency.record(now_ns.saturating_sub(wall_ns), u64::from(records)))?;
                self.release();
            }
        }
        Ok(())
    }

    /// What became durable frees slots for the producer and is news for readers.
    fn release(&mut self) {
        let through = self.log.first_undurable_slot().unwrap_or_else(|| self.drain.shared());
        self.drain.release(through);
        self.gauges.durable_records.store(self.log.durable_records(), Ordering::Release);
        self.tell_committed();
        self.producer.wake();
        self.readers.wake();
        if let Some(shipper) = &self.shipper {
            shipper.wake();
        }
    }

    /// What the gate let through is news for who acknowledges and who reads.
    fn tell_committed(&mut self) {
        let committed = self.log.view().positions.committed.load();
        if committed > self.committed {
            self.committed = committed;
            self.gauges.committed_records.store(self.log.committed_records(), Ordering::Release);
            self.producer.wake();
            self.readers.wake();
        }
    }

    /// A segment is ready.
    pub fn add_segment(&mut self, file: FileNumber, opened: &DirectFile, ring: &mut Ring) -> std::io::Result<()> {
        ring.set_file(self.slot_of(file), Arc::clone(&opened.fd))?;
        self.full_since_ns = None;
        self.log.on_segment(file);
        Ok(())
    }

    /// The volume is full: say so, and ask again later.
    pub fn segment_failed(&mut self, now_ns: u64) {
        self.full_since_ns = Some(now_ns);
        self.log.on_segment_failed();
    }

    /// Each turn: the volume is full when it had no room for a segment and nothing can be appended: what retention gave back is room too.
    fn say_full(&mut self) {
        let is_full = self.is_stuck();
        let said = &self.log.view().disk_full;
        if said.load(Ordering::Relaxed) != is_full {
            said.store(is_full, Ordering::Release);
            // What it holds back for want of a slot is shed from now on, or taken in again.
            self.producer.wake();
        }
    }

    pub fn tick(&mut self, now_ns: u64) {
        self.note_waiting(now_ns);
        if self.full_since_ns.is_some_and(|since| now_ns.saturating_sub(since) >= RETRY_FULL_NS) {
            self.full_since_ns = Some(now_ns);
            self.log.retry_segments();
        }
        self.log.tick(now_ns);
        self.say_full();
        self.tell_committed();
        self.gauges.ring_in_use.store(self.drain.published() - self.drain.released(), Ordering::Relaxed);
    }

    /// A disk that hangs answers nothing, so it is known by what does not come.
    fn note_waiting(&mut self, now_ns: u64) {
        let durable = self.log.durable();
        let since = &self.gauges.waiting_since_ns;
        if self.log.is_idle() {
            since.store(0, Ordering::Relaxed);
        } else if since.load(Ordering::Relaxed) == 0 || durable != self.durable_seen {
            since.store(now_ns, Ordering::Relaxed);
        }
        self.durable_seen = durable;
    }

    fn slot_of(&self, file: FileNumber) -> FileSlot {
        FileSlot(self.file_base + file.0)
    }
}

/// The node must not go on: whatever it would append next stands on a log that is not the primary's.
fn diverged(unfit: &headworks_log::Unfit) -> ! {
    fatal(
        Reason::Storage,
        format!(
            "block {} of the primary does not follow this node's log: {}. The node stops and nothing was changed; start it again, \
                and it will compare the two logs",
            unfit.sequence, unfit.reason
        ),
    )
}

/// Random segment nonces, drawn from a seed that the kernel gave at start; never 0.
#[derive(Debug)]
pub struct Nonces(u64);

impl Nonces {
    /// From a random seed.
    #[must_use]
    pub fn new(seed: u64) -> Nonces {
        Nonces(seed)
    }

    /// The next nonce: splitmix64 (Steele, Lea, Flood 2014), whose outputs do not repeat before 2⁶⁴ draws.
    pub fn draw(&mut self) -> Nonce {
        loop {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            if mixed != 0 {
                return Nonce(mixed);
            }
        }
    }
}
