//! What the pair's loop asks of the node around it.

use crate::event::{Event, Freeze, Halt, Kept, Note, StartOver};
use crate::message::End;
use crate::register::{Member, Register};
use crate::shard::Role;
use headworks_format::Epoch;
use headworks_format::checkpoint::Partition;
use headworks_io::Wake;
use headworks_log::{Disk, LaneView};
use headworks_ring::{Filler, Readers};
use std::sync::Arc;

/// A lane's log, closed or open, as far as the link reads it.
pub struct LaneLog<D> {
    /// Its published state.
    pub view: Arc<LaneView>,
    /// Its directory.
    pub disk: Arc<D>,
    /// Its ring's readers, once it is open.
    pub readers: Option<Readers>,
    /// Where it ended when it was recovered, or cut.
    pub end: End,
    /// What was known to be committed then.
    pub committed: u64,
}

/// Who the other node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Node and disk.
    pub member: Member,
    /// Its name.
    pub name: String,
    /// Where its Kafka clients reach it.
    pub address: String,
}

/// Why a node began to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It led before it started, or founded the pair.
    Start,
    /// The primary's system closed the connections: its process is gone.
    PeerLost,
    /// Nothing was heard of the primary.
    Silence,
    /// The primary handed over.
    Switchover,
    /// An operator vouched that the primary is fenced.
    Operator,
}

impl Cause {
    /// All of them, in the order of [`Seen::led`].
    pub const ALL: [Cause; 5] = [Cause::Start, Cause::PeerLost, Cause::Silence, Cause::Switchover, Cause::Operator];

    /// Its name, as metrics have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::Start => "start",
            Cause::PeerLost => "peer_lost",
            Cause::Silence => "silence",
            Cause::Switchover => "switchover",
            Cause::Operator => "operator",
        }
    }
}

/// How a lane of the pair stands, for who watches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneSeen {
    /// On a primary: what the peer has in memory and on disk, as far as it follows.
    pub peer: Option<(u64, u64)>,
    /// Whether its connection is there.
    pub is_up: bool,
    /// On a primary: below which block the peer had everything on disk when it was heard last; none if it never was.
    pub reached: Option<u64>,
    /// How long ago the first block that the peer lacks became durable here; 0 when it lacks none.
    pub behind_ns: u64,
}

/// How the pair stands, for who watches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What this node is; none before the first look.
    pub role: Option<Role>,
    /// The register as last seen.
    pub register: Option<Register>,
    /// Why the register is not trusted, if it is not.
    pub frozen: Option<Freeze>,
    /// Whether the arbiter answered when it was asked last.
    pub arbiter_answers: bool,
    /// Whether this node's disk has failed: it does not lead until it is repaired.
    pub needs_repair: bool,
    /// Whether it stands by and follows on every lane.
    pub follows: bool,
    /// Lanes.
    pub lanes: Vec<LaneSeen>,
    /// When the other node was heard last, in ns of a clock that does not go back.
    pub heard_ns: u64,
    /// The longest silence of the other node while it was connected.
    pub silence_ns_max: u64,
    /// How often this node has begun to lead, by [`Cause::ALL`].
    pub led: [u64; Cause::ALL.len()],
    /// Blocks, messages and connections that were refused.
    pub rejected: u64,
}

/// The node. Calls return when what they order is done, unless they say otherwise.
pub trait Host {
    /// Lanes' directories.
    type Disk: Disk;

    /// A lane's log as it stands.
    fn log(&self, lane: u32) -> LaneLog<Self::Disk>;

    /// This node's name and the address that its Kafka clients use.
    fn introduction(&self) -> (String, String);

    /// The other node has said who it is.
    fn met(&mut self, peer: Peer);

    /// Begins to write the superblock; [`Event::Persisted`] comes by [`Host::next`] when it is durable.
    fn persist(&mut self, kept: &Kept);

    /// Cuts a closed lane back, what is cut being kept in quarantine.
    fn cut(&mut self, lane: u32, to: End);

    /// Empties a closed lane, what it held from `shared` on being kept in quarantine; it will begin here.
    fn restart(&mut self, lane: u32, from: End, shared: u64);

    /// Opens every lane, to follow. The producing end of each ring, and the log loop's wake.
    fn open(&mut self) -> (Vec<Filler>, Wake);

    /// Asks a lane's log for a partition that a checkpoint of the primary names; false: ask again later.
    fn grow(&mut self, lane: u32, partition: Partition) -> Result<(), Partition>;

    /// Leads from now on: opens the lanes if they are closed (`fillers` is none then), makes durable what they hold, and begins
    /// the epoch. Where each lane ends; none when the node is going away and leads nothing any more.
    fn lead(&mut self, epoch: Epoch, fillers: Option<Vec<Filler>>) -> Option<Vec<u64>>;

    /// Serves clients and senders in that epoch.
    fn serve(&mut self, epoch: Epoch);

    /// Stops serving.
    fn stop_serving(&mut self);

    /// Begins to stop the intake; [`Event::IntakeStopped`] comes by [`Host::next`] when it is done.
    fn stop_intake(&mut self);

    /// Starts the process over. Does not return in a real node.
    fn start_over(&mut self, why: StartOver);

    /// Ends the process. Does not return in a real node.
    fn halt(&mut self, why: &Halt);

    /// Something worth a line.
    fn note(&mut self, note: &Note);

    /// A line for the operator.
    fn say(&mut self, text: &str);

    /// What has happened in the node since, one at a time.
    fn next(&mut self) -> Option<Event>;

    /// How the pair stands now.
    fn show(&mut self, seen: &Seen);

    /// Whether the loop is to end: the node stops.
    fn is_over(&self) -> bool;
}
