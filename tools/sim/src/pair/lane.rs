//! A lane of a process: its log, closed or open, what waits to be appended or followed, and what the link keeps of it.
//!
//! The log is the real one; what a log loop does with it is done here turn by turn, as `engine/lane` does it.

use super::batches::{self, Batch};
use super::storage::Shared;
use super::wire;
use crate::breach::Breach;
use crate::random::Random;
use headworks_format::block::{self, COUNTERS, Head};
use headworks_format::checkpoint::{self, Partition};
use headworks_format::{Chain, Epoch, LaneId, Nonce, PartitionId};
use headworks_log::append::{Config, segments_max};
use headworks_log::blocks::Missing;
use headworks_log::recover::reopen;
use headworks_log::view::PartitionView;
use headworks_log::{Blocks, DiskError, LaneView, Log, Receipt, Recovered, Room, closed_view};
use headworks_replicator::link::compare::Compared;
use headworks_replicator::message::End;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Batches of one block.
const BATCHES_MAX: usize = 6;
/// Blocks that wait in the ring at most.
const RING_BLOCKS: usize = 12;
/// Segments beyond those of the configuration.
const SEGMENTS_SLACK: usize = 4;
/// Room for a checkpoint.
const CHECKPOINT_BYTES: usize = 64 << 10;

/// What a lane is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// To be appended to.
    Primary,
    /// To follow.
    Follower,
}

/// See the module.
pub struct Lane {
    /// Its directory.
    pub disk: Shared,
    /// What recovery found, until it is opened.
    pub recovered: Recovered,
    /// Its log, once it is open.
    pub log: Option<Log>,
    /// Its published state.
    pub view: Arc<LaneView>,
    /// Its blocks by number.
    pub blocks: Blocks<Shared>,
    /// Where it ended when it was closed.
    pub end: End,
    following: bool,
    leading: Option<Epoch>,
    /// Blocks of the primary that the log has not taken yet.
    pub ring: VecDeque<Vec<u8>>,
    /// Batches that wait for a block.
    pub intake: VecDeque<Batch>,
    /// Blocks in memory, by number.
    pub memory: BTreeMap<u64, Arc<[u8]>>,
    counters: [u64; COUNTERS],
    slots: u64,
    /// Its connection.
    pub connection: Option<u64>,
    /// Messages that have come on it.
    pub inbox: VecDeque<Arc<[u8]>>,
    /// On a primary: the envelopes' epoch, and the next block to send.
    pub shipping: Option<(Epoch, u64)>,
    /// On a standby with an open log: whether blocks are taken.
    pub receives: bool,
    /// Partitions that are known to the receiving end.
    pub known: BTreeSet<PartitionId>,
    /// Whether the machine wants it open.
    pub is_wanted_open: bool,
    /// The gate as last ordered, and the lowering that is to be answered.
    pub gate: (u64, u32),
    /// What the machine was told of its positions.
    pub told: (u64, u64),
    /// The newest block that could not be read.
    pub harmed: Option<u64>,
    /// On a standby: since when it has asked on its connection and was not answered yet.
    pub asked_ns: Option<u64>,
    /// When it is dialled again; none while a try is under way.
    pub dial_ns: Option<u64>,
    /// What this log holds.
    pub chains: BTreeMap<u64, Chain>,
    /// Since when a block has been on its way to the disk; 0 for none.
    pub waiting_ns: u64,
    /// Below which number blocks are known to the truth.
    pub shown: u64,
    /// What is committed as far as it was looked at.
    pub seen: u64,
    /// Where its blocks are durable as far as it was looked at.
    pub seen_durable: u64,
}

impl Lane {
    /// A lane as recovery left it.
    pub fn closed(number: u32, disk: Shared, recovered: Recovered) -> Lane {
        let view = Arc::new(closed_view(LaneId(number), &recovered));
        let blocks = Blocks::new(Arc::clone(&view), Arc::new(disk.clone()));
        let end = End { sequence: recovered.next, chain: recovered.chain };
        let committed = recovered.committed_hint.min(recovered.next);
        Lane {
            disk,
            log: None,
            view,
            blocks,
            end,
            following: false,
            leading: None,
            ring: VecDeque::new(),
            intake: VecDeque::new(),
            memory: BTreeMap::new(),
            counters: recovered.counters,
            slots: 0,
            connection: None,
            inbox: VecDeque::new(),
            shipping: None,
            receives: false,
            known: BTreeSet::new(),
            is_wanted_open: false,
            gate: (committed, 0),
            told: (0, 0),
            harmed: None,
            asked_ns: None,
            dial_ns: Some(0),
            chains: BTreeMap::new(),
            waiting_ns: 0,
            shown: recovered.next,
            seen: committed,
            seen_durable: recovered.next,
            recovered,
        }
    }

    /// It was cut or emptied: the same lane over another log. Its connection stays.
    pub fn renew(&mut self, recovered: Recovered) {
        let number = self.view.lane.0;
        let fresh = Lane::closed(number, self.disk.clone(), recovered);
        let (connection, inbox) = (self.connection.take(), std::mem::take(&mut self.inbox));
        let (shipping, told) = (self.shipping, self.told);
        *self = Lane {
            connection,
            inbox,
            shipping,
            told,
            is_wanted_open: self.is_wanted_open,
            dial_ns: self.dial_ns,
            gate: self.gate,
            ..fresh
        };
    }

    /// Opens the log.
    ///
    /// # Errors
    /// The disk failed.
    pub fn open(&mut self, part: Part, mut config: Config, epoch: Epoch, partitions: Vec<Partition>) -> Result<(), DiskError> {
        let hint = self.recovered.committed_hint;
        self.recovered.take_back(&self.disk, hint)?;
        if part == Part::Follower {
            let mut disk = self.disk.clone();
            self.recovered.reopened = reopen(&mut disk, &mut self.recovered)?;
        }
        config.epoch = epoch;
        config.segments_max = segments_max(config.segments_max, SEGMENTS_SLACK, self.recovered.segments.len(), part == Part::Follower);
        let log = Log::start(config, &self.recovered, partitions);
        self.view = Arc::clone(log.view());
        self.view.gate.set_received(self.recovered.committed);
        self.view.gate.set_durable(self.recovered.committed);
        self.blocks = Blocks::new(Arc::clone(&self.view), Arc::new(self.disk.clone()));
        self.view.gate.set_durable(self.gate.0);
        self.known = self.view.partitions.iter().map(|partition| partition.id).collect();
        self.following = part == Part::Follower;
        self.receives = self.following;
        self.seen = self.view.positions.committed.load();
        self.seen_durable = log.durable();
        self.log = Some(log);
        Ok(())
    }

    /// Leads from now on, once what was followed is durable.
    pub fn lead(&mut self, epoch: Epoch) {
        (self.leading, self.receives) = (Some(epoch), false);
    }

    /// Notes since when a block has been on its way to the disk.
    pub fn note_waiting(&mut self, now_ns: u64) {
        let Some(log) = &self.log else { return };
        if log.is_idle() {
            self.waiting_ns = 0;
        } else if self.waiting_ns == 0 || log.durable() != self.seen_durable {
            self.waiting_ns = now_ns;
        }
    }

    /// One turn of the log loop: what waits is appended, as far as there is room. Returns whether the lane has begun to lead.
    ///
    /// # Errors
    /// A block that the machine took does not fit the log.
    pub fn turn(&mut self, wall_ns: u64, nonces: &mut Random) -> Result<bool, Breach> {
        if self.log.is_none() {
            return Ok(false);
        }
        if self.following {
            self.follow()?;
        } else {
            self.open_first(wall_ns, nonces);
            self.append(wall_ns, nonces);
        }
        let led = self.begin_to_lead();
        if !self.following {
            self.name_partitions(wall_ns, nonces);
        }
        self.log_mut().tick(wall_ns);
        Ok(led)
    }

    /// Its log, which is open.
    pub fn log_mut(&mut self) -> &mut Log {
        self.log.as_mut().expect("asked for while it is open")
    }

    fn follow(&mut self) -> Result<(), Breach> {
        while let Some(block) = self.ring.front() {
            let head = Head::parse(block.first_chunk().expect("a block has a head page")).expect("proved when it came");
            let log = self.log.as_mut().expect("open");
            match log.room_to_follow(&head) {
                Room::Append => {
                    let taken = log.follow(block, self.slots);
                    taken.map_err(|unfit| Breach::new("what the machine accepts fits the log", format!("{unfit:?}")))?;
                    self.slots += 1;
                    let block = self.ring.pop_front().expect("just seen");
                    self.keep(block);
                }
                Room::Roll => log.follow_roll(&head),
                Room::Wait(_) => break,
            }
        }
        Ok(())
    }

    fn begin_to_lead(&mut self) -> bool {
        let Some(epoch) = self.leading else { return false };
        if !self.ring.is_empty() || !self.log.as_ref().is_some_and(Log::is_idle) {
            return false;
        }
        (self.leading, self.following) = (None, false);
        self.log_mut().lead(epoch);
        self.counters = self.log_mut().counters();
        true
    }

    fn open_first(&mut self, wall_ns: u64, nonces: &mut Random) {
        let log = self.log_mut();
        if !log.is_open() && log.room(CHECKPOINT_BYTES, 1) == Room::Roll {
            self.roll(wall_ns, nonces);
        }
    }

    fn append(&mut self, wall_ns: u64, nonces: &mut Random) {
        while !self.intake.is_empty() {
            let count = self.intake.len().min(BATCHES_MAX);
            let payload: usize = self.intake.iter().take(count).map(|batch| batch.bytes.len()).sum();
            match self.log_mut().room(block::block_bytes_for(payload), count) {
                Room::Append => {
                    let batches: Vec<Batch> = self.intake.drain(..count).collect();
                    let mut block = batches::seal(&batches, wall_ns, &mut self.counters);
                    let slot = self.slots;
                    self.log_mut().append(&mut block, slot);
                    self.slots += 1;
                    self.keep(block);
                }
                Room::Roll => self.roll(wall_ns, nonces),
                Room::Wait(_) => break,
            }
        }
    }

    fn roll(&mut self, wall_ns: u64, nonces: &mut Random) {
        let mut buffer = vec![0; CHECKPOINT_BYTES];
        let nonce = Nonce(nonces.draw() | 1);
        self.log_mut().roll(nonce, wall_ns, &mut buffer);
        self.keep(buffer);
    }

    fn name_partitions(&mut self, wall_ns: u64, nonces: &mut Random) {
        if !self.log_mut().wants_checkpoint() {
            return;
        }
        match self.log_mut().room(CHECKPOINT_BYTES, 1) {
            Room::Append => {
                let mut buffer = vec![0; CHECKPOINT_BYTES];
                self.log_mut().checkpoint(wall_ns, &mut buffer);
                self.keep(buffer);
            }
            Room::Roll => self.roll(wall_ns, nonces),
            Room::Wait(_) => {}
        }
    }

    fn keep(&mut self, mut block: Vec<u8>) {
        let (sequence, bytes, chain) = {
            let head = Head::parse(block.first_chunk().expect("a block has a head page")).expect("a stamped block");
            (head.sequence().0, head.block_bytes(), head.chain())
        };
        block.truncate(bytes);
        self.chains.insert(sequence, chain);
        self.memory.insert(sequence, block.into());
    }

    /// Forgets blocks that are durable, but for the newest.
    pub fn forget(&mut self, kept: u64) {
        let durable = self.log.as_ref().map_or(0, Log::durable);
        let from = durable.saturating_sub(kept);
        while self.memory.first_key_value().is_some_and(|(sequence, _)| *sequence < from) {
            self.memory.pop_first();
        }
    }

    /// Where batches were put that asked for it.
    pub fn receipts(&mut self) -> Vec<Receipt> {
        let log = self.log.as_mut();
        log.map_or_else(Vec::new, |log| std::iter::from_fn(|| log.receipt()).collect())
    }

    /// Takes a block that the machine accepts; the partitions that it is the first to name first.
    pub fn accept(&mut self, block: &[u8]) {
        let header = block::header(block).expect("a block is larger than a header");
        if header.flags.get() & block::FLAG_CONTROL != 0 {
            for partition in checkpoint::of_block(block).map_or_else(Vec::new, |checkpoint| checkpoint.partitions) {
                if self.known.insert(partition.id) {
                    self.add(partition);
                }
            }
        }
        self.ring.push_back(block.to_vec());
    }

    /// Adds a partition.
    pub fn add(&mut self, partition: Partition) {
        let view = PartitionView::of(&partition);
        self.known.insert(partition.id);
        let added = self.log_mut().add_partition(partition, view);
        assert!(added.is_ok(), "a run has few partitions");
    }

    /// Its connection is gone, or another one takes its place.
    pub fn hang_up(&mut self) -> Option<u64> {
        (self.shipping, self.asked_ns) = (None, None);
        self.inbox.clear();
        self.connection.take()
    }

    // What the link looks up.

    /// Its log, to be compared with the other node's.
    pub fn compared(&mut self) -> Compared<'_, Shared> {
        let is_closed = self.log.is_none();
        Compared { view: &self.view, blocks: &mut self.blocks, end: self.end, is_closed, harmed: &mut self.harmed }
    }

    /// Whether a block has come that must wait: a lane that is not open leaves its blocks where they are, as does one whose ring is full.
    pub fn holds_back(&self) -> bool {
        let is_block = self.inbox.front().is_some_and(|frame| wire::block_of(frame).is_some());
        is_block && (!self.receives || self.ring.len() >= RING_BLOCKS)
    }

    /// Positions of the log: submitted and durable.
    pub fn positions(&self) -> (u64, u64) {
        (self.view.positions.submitted.load(), self.view.positions.durable.load())
    }

    /// A whole block for the other node, from memory or from its segment; none when it is not to be had now.
    pub fn block(&mut self, sequence: u64) -> Result<Arc<[u8]>, Missing> {
        if let Some(block) = self.memory.get(&sequence) {
            return Ok(Arc::clone(block));
        }
        self.blocks.read(sequence).map(Arc::from)
    }
}
