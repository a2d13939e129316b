//! What the two nodes tell each other, on one TCP connection a lane that the standby dials.
//!
//! ```text
//! │ length u32 │ kind u8 │ crc u32 │ body                 length counts kind, crc and body; little-endian throughout
//!
//!  1 Hello         standby → primary   who I am, what my lane's log holds
//!  2 Welcome       primary → standby   who I am, what your lane has to do
//!  3 Append        primary → standby   envelope of 60 B │ block, verbatim
//!  4 Heartbeat     primary → standby   epoch, committed of every lane
//!  5 HeartbeatAck  standby → primary   epoch
//!  6 Ack           standby → primary   epoch, disk, received and durable of the lane
//!  7 Switch        primary → standby   I have stopped; every lane ends here; promote
//!  8 Nack          either              your epoch is over: mine
//!  9 Fetch         either             a block that I cannot read any more: answered by an Append or by Lacks
//! 10 Lacks         either             the block that was asked for cannot be read here either
//! 11 Claim         either              what my register says, where each node keeps one of its own
//! ```
//!
//! The crc is CRC-32C over length, kind and body, but not over an Append's block: a block proves itself, and no payload byte
//! is summed twice. So an [`Envelope`] can be taken alone ([`envelope`]), before its block has come, and the block received
//! into the place it will be written from.
//!
//! Parse, don't validate: a decoded message borrows from the bytes, every length was checked against what is there, every
//! number is within its limit, and nothing is left over. What is refused is [`Rejected`] with a reason, never a panic.

mod body;
mod frame;

pub use body::{Span, Spans, Text};
pub use frame::{FRAME_HEAD_BYTES, Reason, Rejected, encode, encode_envelope, envelope, next};
pub(crate) use frame::{LENGTH_BYTES, check_sum, close, head};

use crate::register::{Member, Register};
use headworks_format::superblock::LANES_MAX;
use headworks_format::{Chain, Epoch, LaneId, PairId, block};
use zerocopy::little_endian::U64;

/// Version of the protocol that this release speaks.
pub const PROTOCOL: u16 = 1;
/// Entries of an epoch history in a [`Hello`]; older ones are left out.
pub const SPANS_MAX: usize = 512;
/// Bytes of a node's name.
pub const NAME_BYTES_MAX: usize = headworks_format::superblock::NAME_BYTES_MAX;
/// Bytes of an address for Kafka clients, `host:port`: 253 for the longest name (RFC 1035), 6 for the port.
pub const ADDRESS_BYTES_MAX: usize = 259;
/// Bytes of an Append before its block, the frame's head counted in.
pub const ENVELOPE_BYTES: usize = FRAME_HEAD_BYTES + 60;
/// Largest frame, its length field counted in: an Append with the largest block.
pub const FRAME_BYTES_MAX: usize = ENVELOPE_BYTES + block::BLOCK_BYTES_MAX;

/// Where a log ends: the number of its next block, and the chain that this block will carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct End {
    /// Number of the next block.
    pub sequence: u64,
    /// Chain over the block before; [`Chain::START`] where none is.
    pub chain: Chain,
}

impl End {
    /// The end of a lane without a block.
    pub const BLANK: End = End { sequence: 0, chain: Chain::START };
}

/// What a lane that wants to follow says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello<'a> {
    /// Version of the protocol that the sender speaks.
    pub protocol: u16,
    /// Identity of its pair.
    pub pair: PairId,
    /// Node and disk.
    pub member: Member,
    /// Its name.
    pub name: Text<'a>,
    /// Where its Kafka clients reach it.
    pub address: Text<'a>,
    /// Its lanes.
    pub lanes: u32,
    /// Size of its segments.
    pub segment_bytes: u64,
    /// The lane of this connection.
    pub lane: LaneId,
    /// Highest epoch that it ever answered.
    pub promised: Epoch,
    /// Highest version of the register that it has seen.
    pub register_version: u64,
    /// Where the lane's log ends.
    pub end: End,
    /// What it knows to be committed.
    pub committed: u64,
    /// Epochs of the lane's log with the first block of each, newest last.
    pub history: Spans<'a>,
}

/// The answer to a [`Hello`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome<'a> {
    /// Node and disk.
    pub member: Member,
    /// Its name.
    pub name: Text<'a>,
    /// Where its Kafka clients reach it.
    pub address: Text<'a>,
    /// Epoch in which it leads.
    pub epoch: Epoch,
    /// Version of the register that it knows.
    pub register_version: u64,
    /// The lane of this connection.
    pub lane: LaneId,
    /// The end that was judged: a verdict on a log that ends elsewhere by now says nothing.
    pub judged: End,
    /// What the lane has to do.
    pub verdict: Verdict,
}

/// What a lane that wants to follow has to do first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing: its log is a beginning of the primary's, and ends here.
    Follow {
        /// Its own end.
        from: End,
    },
    /// End its log here, the last point that both logs share; what is cut is kept in quarantine.
    Truncate {
        /// The common point.
        to: End,
    },
    /// Begin anew where the primary's log begins: what it lacks is gone.
    Restart {
        /// The primary's oldest block.
        from: End,
        /// Below this number it held the primary's blocks, by the two histories; 0 where they do not tell.
        shared: u64,
    },
    /// Go away.
    Refuse(Refusal),
}

/// Why a lane may not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// The node that was asked does not lead.
    NotPrimary,
    /// The two belong to different pairs.
    OtherPair,
    /// Lanes, or bytes of a segment, differ.
    Unequal,
    /// No version of the protocol in common.
    Protocol,
    /// The standby has promised a higher epoch: who was asked is deposed and does not know it yet.
    Promised,
    /// The logs share no point that both can prove.
    NothingInCommon,
}

/// What stands before a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Envelope {
    /// The lane.
    pub lane: u32,
    /// Epoch of the sender; the block's own may be older.
    pub epoch: Epoch,
    /// The block's number.
    pub sequence: u64,
    /// Chain over the block before, which the block carries.
    pub previous: Chain,
    /// Chain over this block.
    pub chain: Chain,
    /// What the sender knows to be committed.
    pub committed: u64,
    /// Bytes of the block that follows.
    pub block_bytes: u32,
}

impl Envelope {
    /// What stands before the block with that head.
    #[must_use]
    pub fn of(head: &block::Head<'_>, lane: u32, epoch: Epoch, committed: u64) -> Envelope {
        Envelope {
            lane,
            epoch,
            sequence: head.sequence().0,
            previous: Chain(head.header().chain),
            chain: head.chain(),
            committed,
            block_bytes: head.header().block_bytes.get(),
        }
    }
}

/// An envelope and its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Append<'a> {
    /// What stands before the block.
    pub envelope: Envelope,
    /// The block, not looked into.
    pub block: &'a [u8],
}

/// A sign of life, sent when nothing else was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// Epoch of the primary.
    pub epoch: Epoch,
    /// Committed of every lane.
    pub committed: Positions<'a>,
}

/// The answer to a [`Heartbeat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeartbeatAck {
    /// Epoch that the standby follows.
    pub epoch: Epoch,
}

/// How far a standby's lane has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ack {
    /// Epoch that the standby follows.
    pub epoch: Epoch,
    /// The standby: an acknowledgement is its disk's.
    pub member: Member,
    /// The lane.
    pub lane: u32,
    /// Every block below is in its memory.
    pub received: u64,
    /// Every block below is durable.
    pub durable: u64,
}

/// The primary has stopped for good, and hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch<'a> {
    /// Epoch of the primary that stops.
    pub epoch: Epoch,
    /// Where each lane ends.
    pub ends: Positions<'a>,
}

/// What was sent belongs to an epoch that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nack {
    /// Highest epoch that the sender has promised.
    pub promised: Epoch,
}

/// A block of a lane that the sender wrote and cannot read any more. Said first, on a connection of its own; what is lent proves
/// itself, so no epoch has to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fetch {
    /// The pair.
    pub pair: PairId,
    /// The lane.
    pub lane: u32,
    /// The block's number.
    pub sequence: u64,
}

/// The answer to a [`Fetch`] where the block is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lacks {
    /// The lane.
    pub lane: u32,
    /// The block's number.
    pub sequence: u64,
}

/// What a node's own register says, where an operator is the arbiter and each node keeps one. Asked for on a connection of its own,
/// and told by a primary on its lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    /// Whether the same is wanted from the other.
    pub asks: bool,
    /// The sender's name.
    pub name: Text<'a>,
    /// The sender and its register; none when that was never written, and perhaps the sender has no disk to be named by.
    pub of: Option<(Member, Register)>,
}

/// A position for each lane, 1 to [`LANES_MAX`] of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions<'a>(pub(crate) &'a [U64]);

impl<'a> Positions<'a> {
    /// None when there are no lanes, or too many.
    #[must_use]
    pub fn new(positions: &'a [U64]) -> Option<Positions<'a>> {
        (1..=LANES_MAX).contains(&positions.len()).then_some(Positions(positions))
    }

    /// Lane by lane.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u64> + 'a {
        self.0.iter().map(|position| position.get())
    }
}

/// A message, as it came or will go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// See [`Hello`].
    Hello(Hello<'a>),
    /// See [`Welcome`].
    Welcome(Welcome<'a>),
    /// See [`Append`].
    Append(Append<'a>),
    /// See [`Heartbeat`].
    Heartbeat(Heartbeat<'a>),
    /// See [`HeartbeatAck`].
    HeartbeatAck(HeartbeatAck),
    /// See [`Ack`].
    Ack(Ack),
    /// See [`Switch`].
    Switch(Switch<'a>),
    /// See [`Nack`].
    Nack(Nack),
    /// See [`Fetch`].
    Fetch(Fetch),
    /// See [`Lacks`].
    Lacks(Lacks),
    /// See [`Claim`].
    Claim(Claim<'a>),
}

#[cfg(test)]
mod tests;
