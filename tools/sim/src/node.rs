//! One start of the node: the real log over the simulated disk, until it stops, fails or loses power.
//!
//! Runs every command with a delay of its own, so that writes, fdatasyncs, sidecars, blanks and segments end in any order
//! that a kernel could give.

use crate::breach::{Breach, check};
use crate::disk::SimDisk;
use crate::harm::Harm;
use crate::model::Model;
use crate::random::Random;
use crate::reader;
use crate::trace::Trace;
use crate::workload::Workload;
use headworks_format::block;
use headworks_format::segment::PAGE_BYTES;
use headworks_format::sidecar::Sidecar;
use headworks_format::{LaneId, Nonce, PartitionId};
use headworks_log::append::{SealOrder, Source};
use headworks_log::recover::blank;
use headworks_log::view::SealedSegment;
use headworks_log::{Command, Disk, FileNumber, Log, PageKind, Room, StorageFault, Waiting};
use std::collections::BTreeMap;

/// What the parts of a run share.
pub struct World {
    /// The disk.
    pub disk: SimDisk,
    /// The truth.
    pub model: Model,
    /// The producer.
    pub workload: Workload,
    /// When things happen.
    pub schedule: Random,
    /// What goes wrong.
    pub harm: Harm,
    /// Everything that happened.
    pub trace: Trace,
    /// Virtual nanoseconds.
    pub now_ns: u64,
    /// What was counted.
    pub counts: Counts,
    /// Segment files that fit on the disk.
    pub files_max: usize,
    /// Whether a durable block is looked up on the medium at once, not only after a crash.
    pub look: bool,
}

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Blocks appended.
    pub blocks: u64,
    /// Blocks reported durable.
    pub durable: u64,
    /// Segments begun.
    pub rolls: u64,
    /// Segments retired.
    pub retired: u64,
    /// Losses of power.
    pub crashes: u64,
    /// Writes that a crash tore or lost.
    pub torn: u64,
    /// Stops after a refused call.
    pub refused: u64,
    /// Stops after a drain.
    pub clean: u64,
    /// Faults injected.
    pub faults: u64,
    /// Holes that recovery found.
    pub holes: u64,
    /// Blocks that recovery cut.
    pub cut: u64,
    /// Batches read back and compared.
    pub batches_read: u64,
}

#[derive(Debug)]
enum Event {
    Arrival,
    Look,
    Retry,
    BlockWritten(u64, FileNumber, u64, u32),
    PageWritten(PageKind, FileNumber, u64),
    Synced(FileNumber, Vec<u64>),
    Made,
    Sealed(SealOrder),
    Blanked(FileNumber),
}

/// Why a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Drained, with a closing checkpoint.
    Clean,
    /// A refused call: it stepped down.
    Fault,
    /// The power went.
    Crash,
}

/// A running node.
pub struct Node<'a> {
    world: &'a mut World,
    log: Log,
    events: BTreeMap<(u64, u64), Event>,
    ties: u64,
    waiting: Option<(Vec<u8>, usize)>,
    stamped: BTreeMap<u64, Vec<u8>>,
    slots: u64,
    closing: bool,
    closed: bool,
}

impl<'a> Node<'a> {
    /// A node over a log that recovery made ready.
    pub fn new(world: &'a mut World, log: Log) -> Node<'a> {
        let mut node = Node {
            world,
            log,
            events: BTreeMap::new(),
            ties: 0,
            waiting: None,
            stamped: BTreeMap::new(),
            slots: 0,
            closing: false,
            closed: false,
        };
        node.after(0, Event::Arrival);
        node.after(0, Event::Look);
        node
    }

    /// Runs for at most `steps` events.
    ///
    /// # Errors
    /// A promise was broken.
    pub fn run(mut self, steps: u64, close: bool) -> Result<End, Breach> {
        for step in 0..steps + 5_000 {
            if step >= steps {
                if !close {
                    break;
                }
                self.closing = true;
            }
            self.commands()?;
            if self.closed && self.log.is_idle() {
                self.world.counts.clean += 1;
                return Ok(End::Clean);
            }
            let Some(((time, _), event)) = self.events.pop_first() else {
                break;
            };
            self.world.now_ns = time;
            if self.on(event)?.is_err() {
                self.world.counts.refused += 1;
                self.die();
                return Ok(End::Fault);
            }
            self.log.tick(time);
            self.positions()?;
        }
        self.commands()?;
        self.die();
        Ok(End::Crash)
    }

    fn after(&mut self, delay_ns: u64, event: Event) {
        self.ties += 1;
        self.events.insert((self.world.now_ns + delay_ns, self.ties), event);
    }

    fn latency(&mut self) -> u64 {
        self.world.schedule.within(20_000, 400_000) * self.world.harm.slowness()
    }

    fn on(&mut self, event: Event) -> Result<Result<(), StorageFault>, Breach> {
        let disk = &mut self.world.disk;
        match event {
            Event::Arrival => self.arrive(),
            Event::Look => {
                reader::look(self.world, self.log.view())?;
                let delay = self.world.schedule.within(500_000, 5_000_000);
                self.after(delay, Event::Look);
            }
            Event::Retry => self.log.retry_segments(),
            Event::BlockWritten(sequence, file, id, bytes) => {
                let result = self.world.harm.refuse_write(bytes);
                if result == Ok(bytes) {
                    disk.complete_write(file, id);
                }
                self.world.trace.add(1, &[sequence]);
                return Ok(self.log.on_block_written(sequence, result));
            }
            Event::PageWritten(kind, file, id) => {
                let bytes = u32::try_from(PAGE_BYTES).expect("4096");
                let result = self.world.harm.refuse_write(bytes);
                if result == Ok(bytes) {
                    disk.complete_write(file, id);
                }
                self.world.trace.add(2, &[u64::from(file.0)]);
                return Ok(self.log.on_page_written(kind, result));
            }
            Event::Synced(file, covered) => return self.synced(file, covered),
            Event::Made => self.made(),
            Event::Sealed(order) => {
                self.world.trace.add(5, &[order.end_sequence.0]);
                let result = seal(disk, LaneId(0), &self.log, &order);
                return Ok(self.log.on_sealed(order.file, order.nonce, result));
            }
            Event::Blanked(file) => {
                self.world.trace.add(6, &[u64::from(file.0)]);
                let result = blank(disk, file).map_err(|error| error.message);
                self.world.counts.retired += 1;
                return Ok(self.log.on_blanked(file, result));
            }
        }
        Ok(Ok(()))
    }

    fn arrive(&mut self) {
        if self.waiting.is_none() && !self.closing {
            let partitions: Vec<PartitionId> = self.log.view().partitions.iter().map(|partition| partition.id).collect();
            self.waiting = Some(self.world.workload.block(&partitions, self.world.now_ns));
        }
        // Bursts and pauses: a pause of 20 ms lets the log confirm its last group.
        let delay = match self.world.schedule.below(40) {
            0 => 20_000_000,
            1..=20 => self.world.schedule.within(10_000, 60_000),
            _ => self.world.schedule.within(60_000, 400_000),
        };
        self.after(delay, Event::Arrival);
    }

    fn synced(&mut self, file: FileNumber, covered: Vec<u64>) -> Result<Result<(), StorageFault>, Breach> {
        let result = self.world.harm.refuse_sync();
        if result.is_ok() {
            self.world.disk.end_sync(file, covered);
        }
        if let Err(fault) = self.log.on_synced(result, |_, _| {}) {
            return Ok(Err(fault));
        }
        let durable = self.log.durable();
        self.world.trace.add(3, &[durable]);
        let world = &mut *self.world;
        world.counts.durable += world.model.durable(durable, &world.disk, world.look)?;
        Ok(Ok(()))
    }

    fn made(&mut self) {
        let full = self.world.disk.file_count() >= self.world.files_max;
        if full || self.world.harm.is_full() {
            self.log.on_segment_failed();
            self.after(3_000_000, Event::Retry);
        } else {
            let file = self.world.disk.make();
            self.log.on_segment(file);
        }
    }

    /// Appends what waits and runs what the log orders.
    fn commands(&mut self) -> Result<(), Breach> {
        loop {
            self.append();
            let mut none = true;
            while let Some(command) = self.log.command() {
                none = false;
                self.execute(command)?;
            }
            if none {
                return Ok(());
            }
        }
    }

    fn append(&mut self) {
        let (bytes, batches) = match (&self.waiting, self.closing && !self.closed) {
            (Some((block, batches)), _) => (block.len(), *batches),
            (None, true) => (32 << 10, 1),
            (None, false) => return,
        };
        match self.log.room(bytes, batches) {
            Room::Roll => {
                let mut buffer = vec![0; 64 << 10];
                let nonce = Nonce(self.world.schedule.draw() | 1);
                self.log.roll(nonce, self.world.now_ns, &mut buffer);
                self.keep_stamped(buffer);
                self.world.counts.rolls += 1;
            }
            Room::Append => match self.waiting.take() {
                Some((mut block, _)) => {
                    self.log.append(&mut block, self.slots);
                    self.slots += 1;
                    self.world.counts.blocks += 1;
                    self.keep_stamped(block);
                }
                None => {
                    let mut buffer = vec![0; 64 << 10];
                    let counters = self.world.workload.counters;
                    self.log.close(self.world.now_ns, counters, &mut buffer);
                    self.closed = true;
                    self.keep_stamped(buffer);
                }
            },
            Room::Wait(Waiting::Depth | Waiting::Window | Waiting::Segment | Waiting::Roll | Waiting::Commit) => {}
        }
    }

    fn keep_stamped(&mut self, mut block: Vec<u8>) {
        let header = block::header(&block).expect("a block has a header");
        let (sequence, bytes) = (header.sequence.get(), header.block_bytes.get() as usize);
        block.truncate(bytes);
        self.stamped.insert(sequence, block);
    }

    fn execute(&mut self, command: Command) -> Result<(), Breach> {
        let latency = self.latency();
        let event = match command {
            Command::WriteBlock { sequence, source, file, position, bytes } => {
                let block = self.stamped.remove(&sequence).expect("stamped just now");
                let world = &mut *self.world;
                world.model.append(sequence, file, position, block.clone())?;
                let fate = world.harm.fate_of_block(source == Source::Checkpoint, &world.disk);
                let id = world.disk.begin_write(file, position, block, fate);
                Event::BlockWritten(sequence, file, id, bytes)
            }
            Command::WritePage { kind, file, position } => {
                let mut page = [0; PAGE_BYTES];
                match kind {
                    PageKind::Header => self.log.header_page(&mut page),
                    PageKind::Records => self.log.record_page(&mut page),
                }
                let world = &mut *self.world;
                let fate = world.harm.fate_of_page(kind, &world.disk);
                let id = world.disk.begin_write(file, position, page.to_vec(), fate);
                Event::PageWritten(kind, file, id)
            }
            Command::Sync { file } => Event::Synced(file, self.world.disk.begin_sync(file)),
            Command::MakeSegment => Event::Made,
            Command::Seal(order) => Event::Sealed(order),
            Command::Blank { file } => {
                self.world.model.start = self.log.view().start();
                Event::Blanked(file)
            }
        };
        self.after(latency, event);
        Ok(())
    }

    fn positions(&mut self) -> Result<(), Breach> {
        let positions = &self.log.view().positions;
        let (committed, durable) = (positions.committed.load(), positions.durable.load());
        let (written, submitted) = (positions.written.load(), positions.submitted.load());
        check("positions are in order", committed <= durable && durable <= written && written <= submitted, || {
            format!("submitted {submitted}, written {written}, durable {durable}, committed {committed}")
        })
    }

    /// Jobs of the files thread that were under way when the power went got as far as chance has it.
    fn die(&mut self) {
        for event in std::mem::take(&mut self.events).into_values() {
            let world = &mut *self.world;
            world.disk.fuse = Some(u32::try_from(world.schedule.below(7)).expect("below 7"));
            match event {
                // The power went in the middle: what it answers reaches nobody.
                Event::Blanked(file) => drop(blank(&mut world.disk, file)),
                Event::Sealed(order) => drop(seal(&mut world.disk, LaneId(0), &self.log, &order)),
                _ => {}
            }
        }
    }
}

/// What the files thread does for [`Command::Seal`].
///
/// # Errors
/// The sidecar could not be made durable.
pub fn seal<D: Disk>(disk: &mut D, lane: LaneId, log: &Log, order: &SealOrder) -> Result<(), String> {
    let view = log.view();
    let index = view.fresh_index(order.index);
    let sidecar = Sidecar {
        lane,
        epoch: order.epoch,
        nonce: order.nonce,
        base_sequence: order.base_sequence,
        end_sequence: order.end_sequence,
        end_position: order.end_position,
        end_chain: order.end_chain,
        counters: order.counters,
        entries: index.entries(),
        holes: Vec::new(),
    };
    disk.write_sidecar(order.file, &sidecar.encode()).map_err(|error| error.message)?;
    view.add_sealed(SealedSegment {
        file: order.file,
        nonce: order.nonce,
        epoch: order.epoch,
        base_sequence: order.base_sequence.0,
        end_sequence: order.end_sequence.0,
        end_position: order.end_position,
        starts: index.starts(view.partitions.len()),
    });
    Ok(())
}
