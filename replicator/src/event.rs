//! What a pair's machine is told, and what it orders.

use crate::message::{Ack, End, Envelope, Refusal, Verdict};
use crate::register::{Member, Register, Swap};
use crate::witness::{Answered, Denied, Outcome, Unreachable};
use headworks_format::{Epoch, PairId};

/// What the arbiter answered to a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Read {
    /// The register; none when it was never written.
    Found {
        /// Identity of the arbiter's disk: another one is another register.
        arbiter: u128,
        /// What it holds.
        register: Option<Register>,
    },
    /// No answer.
    Unreachable,
}

/// How a swap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SwapEnd {
    /// The arbiter answered that it is done, durably.
    Swapped,
    /// The arbiter answered that the version was another one, and what it holds.
    Refused(Option<Register>),
    /// No answer: it may be done, or may be done later.
    Unknown,
}

/// Who a lane's [`crate::message::Hello`] says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Introduction {
    /// Version of the protocol.
    pub protocol: u16,
    /// Identity of its pair.
    pub pair: PairId,
    /// Node and disk.
    pub member: Member,
    /// Its lanes.
    pub lanes: u32,
    /// Size of its segments.
    pub segment_bytes: u64,
    /// Highest epoch that it has promised.
    pub promised: Epoch,
    /// Highest version of the register that it has seen.
    pub register_version: u64,
}

/// What an operator orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// Hand over to the standby in sync.
    Switchover,
    /// Go on without the named node, which the operator knows to be fenced: a standby makes itself primary, a primary goes
    /// on alone. It takes a member in sync, as ever.
    Promote {
        /// The node that is fenced.
        fenced: u128,
    },
    /// Start over and compare the two logs again; for who stands by.
    Rejoin,
}

/// What the machine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Time has passed. Due at least every half heartbeat.
    Tick,
    /// The answer to [`Effect::Read`].
    RegisterRead(Read),
    /// The answer to [`Effect::Swap`].
    SwapEnded(SwapEnd),
    /// A standby's connection of a lane is there.
    LinkUp {
        /// The lane.
        lane: u32,
    },
    /// A lane's connection is gone.
    LinkLost {
        /// The lane.
        lane: u32,
        /// Whether the other side's system has closed it, as it does when its process dies; else it was given up.
        reset: bool,
    },
    /// A lane of the other node asks to follow, on a connection that it has dialled. If it is not refused, that connection is
    /// the lane's from then on, in place of an earlier one. `verdict` is [`crate::rejoin::verdict`]'s on the two logs.
    Hello {
        /// The lane.
        lane: u32,
        /// Who asks.
        from: Introduction,
        /// Where its lane ends.
        end: End,
        /// What the lane would have to do.
        verdict: Verdict,
    },
    /// The answer to a lane's Hello.
    Welcome {
        /// The lane.
        lane: u32,
        /// Epoch of who answers.
        epoch: Epoch,
        /// The end that was judged.
        judged: End,
        /// What the lane has to do.
        verdict: Verdict,
        /// The chain that the lane's own block at the verdict's point carries; none where it has no such block.
        own: Option<headworks_format::Chain>,
        /// The newest version of the register that who answers has seen.
        register_version: u64,
    },
    /// A block has come whole, and proves itself.
    Append {
        /// What stood before it.
        envelope: Envelope,
        /// Whether the lane has this very block already: same number, same chain. Looked for below the end only.
        present: bool,
    },
    /// A sign of life of the primary.
    Heartbeat {
        /// The lane on whose connection it came.
        lane: u32,
        /// Epoch of who sent it.
        epoch: Epoch,
        /// Committed of every lane.
        committed: Vec<u64>,
    },
    /// A sign of life of the standby.
    HeartbeatAck {
        /// The lane on whose connection it came.
        lane: u32,
        /// Epoch that it follows.
        epoch: Epoch,
    },
    /// How far a lane of the standby has come.
    Ack(Ack),
    /// The primary hands over.
    Switch {
        /// Its epoch.
        epoch: Epoch,
        /// Where each lane ends.
        ends: Vec<u64>,
    },
    /// The other node has promised a higher epoch.
    Nack {
        /// That epoch.
        promised: Epoch,
    },
    /// What has come on a lane waits for this node's own log: for a free slot, or to be opened.
    HeldBack {
        /// The lane.
        lane: u32,
    },
    /// The other node has said what its own register holds: where an operator is the arbiter.
    Claim {
        /// Node and register; none when that was never written.
        of: Option<(Member, Register)>,
    },
    /// A lane's log has moved: `end` counts what was appended (of meaning on a primary), `durable` what is durable.
    LaneMoved {
        /// The lane.
        lane: u32,
        /// Number of the next block.
        end: u64,
        /// Every block below is durable.
        durable: u64,
    },
    /// The log loop has taken the gate with this serial number, and every later commit heeds it.
    GateSeen {
        /// The lane.
        lane: u32,
        /// The number that [`Effect::Gate`] gave.
        serial: u32,
        /// What is committed.
        committed: u64,
    },
    /// A lane was cut or begun anew, as ordered, and ends here now.
    LaneCut {
        /// The lane.
        lane: u32,
        /// Its new end.
        end: End,
    },
    /// What [`Effect::Persist`] ordered is durable.
    Persisted(Kept),
    /// What [`Effect::Lead`] ordered is done: every lane is open, what it held is durable, and its new epoch begins here.
    Led {
        /// Where each lane ends.
        ends: Vec<u64>,
    },
    /// What [`Effect::StopIntake`] ordered is done: no block will be appended any more.
    IntakeStopped,
    /// More is uncommitted than `uncommitted_max`.
    Backlog,
    /// The oldest write has been under way for too long.
    DiskSlow,
    /// A write or an fdatasync failed.
    StorageFault,
    /// An operator's order.
    Order(Order),
}

impl Event {
    /// What the arbiter's answer says, to a swap or to a read.
    #[must_use]
    pub fn of_answer(answered: &Answered, swaps: bool) -> Event {
        let arbiter = answered.arbiter;
        match answered.outcome {
            Outcome::Read(register) => Event::RegisterRead(Read::Found { arbiter, register }),
            Outcome::Swapped => Event::SwapEnded(SwapEnd::Swapped),
            Outcome::Refused(register) => Event::SwapEnded(SwapEnd::Refused(register)),
            Outcome::Unknown => Event::SwapEnded(SwapEnd::Unknown),
            // Nothing was sent; to the machine it is the same as a swap of which nobody knows, and it sends that again.
            Outcome::Unreachable(_) if swaps => Event::SwapEnded(SwapEnd::Unknown),
            // It names itself, and says no more: that there is another one in the place of the one that was meant.
            Outcome::Unreachable(Unreachable::Denied(Denied::OtherWitness)) => Event::RegisterRead(Read::Found { arbiter, register: None }),
            Outcome::Unreachable(_) => Event::RegisterRead(Read::Unreachable),
        }
    }
}

/// What the superblock keeps for the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Kept {
    /// Highest epoch ever answered or taken.
    pub promised: Epoch,
    /// Highest version of the register ever seen.
    pub register_version: u64,
    /// The arbiter that the register was first read from; 0 for none.
    pub arbiter: u128,
    /// The disk has failed: this node does not lead before it is in sync with one that does, or an operator vouches for it.
    pub needs_repair: bool,
}

/// A message to send. Names, addresses, positions and histories, which the machine does not hold, are added at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outbound {
    /// Ask to follow: see [`crate::shard::Shard::introduction`] and [`crate::shard::Shard::lane`].
    Hello,
    /// Answer a Hello.
    Welcome {
        /// Epoch in which this node leads.
        epoch: Epoch,
        /// The end that was judged.
        judged: End,
        /// What the lane has to do.
        verdict: Verdict,
    },
    /// A sign of life, with what is committed in every lane.
    Heartbeat {
        /// Epoch in which this node leads.
        epoch: Epoch,
    },
    /// The answer to it.
    HeartbeatAck {
        /// Epoch that is followed.
        epoch: Epoch,
    },
    /// How far the lane has come.
    Ack(Ack),
    /// Hand over, with the ends of all lanes.
    Switch {
        /// Epoch in which this node led.
        epoch: Epoch,
    },
    /// Your epoch is over.
    Nack {
        /// Highest epoch promised here.
        promised: Epoch,
    },
    /// What this node's register says.
    Claim,
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Close {
    /// The lane may not follow; it asks again later.
    Refused,
    /// What came belongs to an epoch that is over.
    OldEpoch,
    /// What came does not fit the end of the lane's log.
    Unfitting,
    /// What came makes no sense from who follows or leads here.
    Unexpected,
    /// This node leads, or leads in another epoch, and starts over with whoever asks.
    NewEpoch,
    /// Nothing came for too long.
    Silent,
}

/// Why the process starts over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StartOver {
    /// The register names another primary, or a higher epoch.
    Deposed,
    /// A lane's log must be cut, which is done at start only, with closed logs.
    Rejoin,
    /// An operator has ordered it.
    Ordered,
    /// The other node, which must yield, has promised an epoch above this one's: this node takes one above both.
    Outbid,
}

/// Why the node must not go on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Halt {
    /// The disk has failed.
    StorageFault,
    /// The register belongs to another pair.
    OtherPair,
    /// The register's lanes or segment size are not this directory's.
    Unequal,
    /// The primary's log ends before what this node knows to be committed: the arbiter or a disk has lied.
    CutBelowCommitted {
        /// The lane.
        lane: u32,
        /// Where the primary would cut.
        to: u64,
        /// What is committed.
        committed: u64,
    },
    /// The two logs differ where their histories say that they do not.
    NothingInCommon {
        /// The lane.
        lane: u32,
    },
    /// A member in sync was told that what it lacks is gone.
    RestartInSync {
        /// The lane.
        lane: u32,
    },
    /// Epochs are used up.
    EpochsEnd,
}

/// Why the register is not trusted. Nothing is changed until the one that is known is there again; what both nodes have, flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Freeze {
    /// Its version is lower than one that was seen.
    Regressed {
        /// Highest version seen.
        seen: u64,
        /// Version found, 0 for a blank register; the one seen if that has another content now.
        found: u64,
    },
    /// It comes from another arbiter than the one known.
    OtherArbiter,
    /// The other node leads as well, and neither waits for the other: an operator has promoted both.
    Contested,
}

/// What is worth a line, a counter or an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Note {
    /// This node commits alone from now on: each record is counted as acknowledged solo.
    Alone,
    /// Two nodes are in sync.
    Paired,
    /// The other node is not there, and this one is set to wait for it: nothing is committed.
    Stalled,
    /// The register is not trusted.
    Frozen(Freeze),
    /// It is trusted again.
    Trusted,
    /// A handover was asked for and is not possible now.
    NoHandover,
    /// A handover took too long, or its connection has ended: the lead is asked back, and refused where the other node has taken it.
    AsksBack,
    /// A promotion was asked for, and this node may not: not in sync, or its disk has failed, or an operator decides.
    MayNotLead,
    /// The primary is not heard, and whether this node leads an operator decides.
    AwaitsOperator,
    /// The disk had failed, and holds everything again.
    Repaired,
}

/// What the machine orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Read the register; answer with [`Event::RegisterRead`], always.
    Read,
    /// Swap the register; answer with [`Event::SwapEnded`], always. Never more than one read or swap is under way.
    Swap(Swap),
    /// Write the superblock; answer with [`Event::Persisted`].
    Persist(Kept),
    /// Send on a lane's connection.
    Send {
        /// The lane.
        lane: u32,
        /// What.
        message: Outbound,
    },
    /// Answer a Hello with a Welcome that refuses, and close the connection on which it came: no other one.
    Refuse {
        /// The lane.
        lane: u32,
        /// Why.
        why: Refusal,
    },
    /// Send every block of a lane from this number on, as they come, in envelopes of this epoch; until the link is gone.
    Ship {
        /// The lane.
        lane: u32,
        /// Epoch of the envelopes.
        epoch: Epoch,
        /// The first block.
        from: u64,
    },
    /// Close a lane's connection. [`Event::LinkLost`] need not follow.
    CloseLink {
        /// The lane.
        lane: u32,
        /// Why.
        why: Close,
    },
    /// Append the block that came: it fits.
    Accept {
        /// The lane.
        lane: u32,
        /// Its number.
        sequence: u64,
    },
    /// Set a lane's commit gate. One with a serial number lowers it: answer with [`Event::GateSeen`] when the log loop has
    /// begun and ended a turn after it was set.
    Gate {
        /// The lane.
        lane: u32,
        /// Nothing at or above is committed, whatever is durable here; `u64::MAX` for no limit.
        through: u64,
        /// Not 0 if an answer is due.
        serial: u32,
    },
    /// Tell whoever waits for the level `peer-memory`; `u64::MAX` when there is no peer to wait for.
    PeerReceived {
        /// The lane.
        lane: u32,
        /// Every block below is in the peer's memory.
        through: u64,
    },
    /// Open the lane's log, to append what the primary sends.
    Open {
        /// The lane.
        lane: u32,
    },
    /// With the log closed: keep what is behind this point in quarantine, then end the log there; answer with
    /// [`Event::LaneCut`].
    Cut {
        /// The lane.
        lane: u32,
        /// Its new end.
        to: End,
    },
    /// With the log closed: keep what may be divergent in quarantine, and begin the log anew here; answer with [`Event::LaneCut`].
    Restart {
        /// The lane.
        lane: u32,
        /// Its new end.
        from: End,
        /// Below this number it holds nothing that the primary had not as well: such blocks need no copy.
        shared: u64,
    },
    /// Open what is closed, make everything durable, begin this epoch at each lane's end; answer with [`Event::Led`].
    Lead {
        /// The epoch.
        epoch: Epoch,
    },
    /// Take the address and serve clients, in this epoch; also: take packets again after [`Effect::StopIntake`].
    Serve {
        /// The epoch.
        epoch: Epoch,
    },
    /// Acknowledge nothing more, give the address back, close TCP and Kafka listeners. UDP sockets stay open, into the spill log.
    StopServing,
    /// Take no packet any more, append what was taken; answer with [`Event::IntakeStopped`].
    StopIntake,
    /// Start the process over: nothing in its memory may live on.
    StartOver(StartOver),
    /// End the process; an operator has to look.
    Halt(Halt),
    /// Say so.
    Note(Note),
}
