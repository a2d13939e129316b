//! A node: what outlives its process, and the process with its two threads: the pair's loop and the log loop.

use super::gateway::Gateway;
use super::lane::Lane;
use super::queue::What;
use super::storage::Storage;
use headworks_format::{Epoch, PartitionId};
use headworks_replicator::event::Event;
use headworks_replicator::link::compare::Asking;
use headworks_replicator::register::Member;
use headworks_replicator::shard::Shard;
use headworks_replicator::witness::Calls;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// 2023-11-14, when every run begins.
const BEGAN_NS: u64 = 1_700_000_000_000_000_000;

/// See the module.
#[derive(Debug)]
pub struct Node {
    /// Its disk.
    pub storage: Storage,
    /// Who it is.
    pub member: Member,
    /// Counts its processes: nothing that was meant for one reaches the next.
    pub life: u64,
    /// Its process, if it runs.
    pub process: Option<Process>,
    /// How far its clock of elapsed time has jumped ahead.
    pub ahead_ns: u64,
    /// How far its wall clock is off: ahead by that much less an hour.
    pub skew_ns: u64,
    /// It stands still until then.
    pub paused_until_ns: u64,
    /// Its disk is slow until then, by this factor.
    pub slow: (u64, u64),
    /// No segment can be made until then.
    pub full_until_ns: u64,
    /// So many calls of its disk succeed before one is refused.
    pub refuses_in: Option<u64>,
    /// What came while it stood still.
    pub held: Vec<What>,
    /// When its last superblock write ends.
    pub kept_ns: u64,
    /// The first block that each lane keeps, as far as it was seen.
    pub starts: Vec<u64>,
    /// Below which block each lane, which is to begin anew, holds nothing that is not in the other node's log as well.
    pub shared: Vec<u64>,
    /// Highest epoch in which this disk's node has answered anybody.
    pub answered: Epoch,
    /// Whether it lost power, and so tells nobody that it is gone.
    pub is_silent: bool,
    /// Whether it stays down.
    pub stays_down: bool,
}

impl Node {
    /// The node of that number, with a blank disk.
    pub fn new(number: u128, storage: Storage) -> Node {
        let lanes = storage.lanes.len();
        Node {
            storage,
            member: Member { node: 1 + number, incarnation: 10 },
            life: 0,
            process: None,
            ahead_ns: 0,
            skew_ns: 3_600_000_000_000,
            paused_until_ns: 0,
            slow: (0, 1),
            full_until_ns: 0,
            refuses_in: None,
            held: Vec::new(),
            kept_ns: 0,
            starts: vec![0; lanes],
            shared: vec![0; lanes],
            answered: Epoch(0),
            is_silent: false,
            stays_down: false,
        }
    }

    /// Its clock of elapsed time.
    pub fn clock(&self, now_ns: u64) -> u64 {
        now_ns + self.ahead_ns
    }

    /// Its wall clock.
    pub fn wall(&self, now_ns: u64) -> u64 {
        BEGAN_NS - 3_600_000_000_000 + now_ns + self.skew_ns
    }

    /// Another disk is in its place.
    pub fn replace_disk(&mut self, storage: Storage) {
        self.starts.fill(0);
        self.shared.fill(0);
        self.answered = Epoch(0);
        self.member.incarnation += 1;
        self.storage = storage;
    }
}

/// A process.
pub struct Process {
    /// The machine.
    pub shard: Shard,
    /// Its lanes.
    pub lanes: Vec<Lane>,
    /// What clients have sent.
    pub gateway: Gateway,
    /// Questions to the arbiter.
    pub calls: Calls,
    /// The last thing that the arbiter was asked, and whether it was a swap.
    pub token: u64,
    /// See `token`.
    pub swaps: bool,
    /// What effects brought about, told once the effects before are carried out.
    pub news: VecDeque<Event>,
    /// Whether the lanes' logs are open.
    pub is_open: bool,
    /// The epoch in which it has led last. While it takes the next one, what the gate of this one lets through is committed yet.
    pub led: Option<Epoch>,
    /// Whether clients are served.
    pub serves: bool,
    /// Whether clients were told to go away: none is answered any more.
    pub has_stopped: bool,
    /// Whether no more is taken in; and whether the machine knows that it has ended.
    pub stopping: Option<bool>,
    /// What the pair's loop waits for.
    pub taking: Option<Taking>,
    /// Connections that have not said what they are for, and since when.
    pub strangers: BTreeMap<u64, u64>,
    /// Lanes that ask and cannot be answered yet.
    pub asking: Vec<(u64, Asking)>,
    /// The append that the machine is being told of.
    pub append: Option<Arc<[u8]>>,
    /// Whether the pair's loop and the log loop have been woken already.
    pub rung: (bool, bool),
    /// When it began, by its own clock.
    pub since_ns: u64,
    /// When it was looked at the disk last.
    pub looked_ns: u64,
}

/// Lanes on their way from following to leading, while the pair's loop waits.
#[derive(Debug)]
pub struct Taking {
    /// The epoch.
    pub epoch: Epoch,
    /// Where each lane ends, once it leads.
    pub ends: Vec<Option<u64>>,
    /// Partitions that have to be named first, once every lane leads.
    pub asked: Option<Vec<(usize, PartitionId)>>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("role", &self.shard.role()).field("register", &self.shard.register()).finish_non_exhaustive()
    }
}

impl Process {
    /// Over recovered lanes.
    pub fn new(shard: Shard, lanes: Vec<Lane>, since_ns: u64) -> Process {
        Process {
            shard,
            lanes,
            gateway: Gateway::default(),
            calls: Calls::default(),
            token: 0,
            swaps: false,
            news: VecDeque::new(),
            is_open: false,
            led: None,
            serves: false,
            has_stopped: false,
            stopping: None,
            taking: None,
            strangers: BTreeMap::new(),
            asking: Vec::new(),
            append: None,
            rung: (false, false),
            since_ns,
            looked_ns: since_ns,
        }
    }

    /// The lane whose connection that is.
    pub fn lane_of(&self, connection: u64) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.connection == Some(connection))
    }

    /// Stops serving.
    pub fn stop_serving(&mut self) {
        (self.serves, self.has_stopped) = (false, true);
        self.gateway.stop();
    }
}
