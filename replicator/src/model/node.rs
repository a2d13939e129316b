//! One node: the machine, its disk, and what is under way.

use super::network::{Block, end};
use crate::event::{Kept, SwapEnd};
use crate::register::{Member, Mode, Swap};
use crate::rules::Rules;
use crate::shard::{Lane, Role, Settings, Shard};
use headworks_format::{Epoch, PairId};

/// What the arbiter was asked, or has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asked {
    Nothing,
    Swap(Swap),
    Answered(SwapEnd),
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    pub shard: Shard,
    /// What a register begins with.
    pub mode: Mode,
    pub member: Member,
    pub blocks: Vec<Block>,
    /// Blocks that an fdatasync covers.
    pub synced: usize,
    /// What the superblock holds.
    pub kept: Kept,
    /// What is being written there, in order.
    pub keeping: Vec<Kept>,
    pub asked: Asked,
    /// The epoch of the envelopes, and the next block to send.
    pub ships: Option<(Epoch, usize)>,
    pub gate: u64,
    pub committed: u64,
    pub takes_packets: bool,
    /// Highest epoch in which this member has answered anybody.
    pub answered: Epoch,
}

impl Node {
    pub fn new(index: usize, mode: Mode, rules: Rules) -> Node {
        let member = Member { node: 1 + index as u128, incarnation: 10 };
        let (kept, blocks) = (Kept::default(), Vec::new());
        Node {
            shard: machine(rules, (member, mode), kept, &blocks, 0),
            mode,
            member,
            blocks,
            synced: 0,
            kept,
            keeping: Vec::new(),
            asked: Asked::Nothing,
            ships: None,
            gate: 0,
            committed: 0,
            takes_packets: false,
            answered: Epoch(0),
        }
    }

    /// The process begins anew with what the disk holds. Returns a swap that was sent and not served: it may land yet.
    pub fn start(&mut self, rules: Rules) -> Option<Swap> {
        self.keeping.clear();
        (self.ships, self.gate, self.committed, self.takes_packets) = (None, 0, 0, false);
        self.shard = machine(rules, (self.member, self.mode), self.kept, &self.blocks, self.synced);
        match core::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Swap(swap) => Some(swap),
            _ => None,
        }
    }

    /// Its disk is gone, and with it who it was.
    pub fn lose_disk(&mut self) {
        self.member.incarnation += 1;
        self.blocks.clear();
        (self.synced, self.kept, self.answered) = (0, Kept::default(), Epoch(0));
    }

    pub fn leads(&self) -> Option<Epoch> {
        match self.shard.role() {
            Role::Primary(epoch) => Some(epoch),
            _ => None,
        }
    }
}

fn machine(rules: Rules, (member, mode): (Member, Mode), kept: Kept, blocks: &[Block], synced: usize) -> Shard {
    let lane = Lane { end: end(blocks), durable: synced as u64, committed: 0, is_open: false };
    Shard::with_rules(settings(member, mode), kept, vec![lane], rules)
}

/// Whatever can wait waits for nothing, so that it may happen at any time; but nobody is told that another lives.
pub fn settings(me: Member, mode: Mode) -> Settings {
    Settings {
        me,
        pair: PairId(7),
        lanes: 1,
        segment_bytes: 1 << 28,
        mode,
        may_run_alone: mode == Mode::Auto,
        heartbeat_ns: u64::MAX,
        detect_ns: 0,
        holdoff_ns: 0,
        poll_ns: 0,
        handover_ns: 0,
        handover_pause_ns: 0,
        catch_up_blocks: u64::MAX,
    }
}
