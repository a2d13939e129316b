//! What will happen, in the order of virtual time; what happens at one time happens in the order in which it was decided.

use headworks_log::append::SealOrder;
use headworks_log::{FileNumber, PageKind};
use headworks_replicator::event::Kept;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The end of something that a lane's log has ordered.
#[derive(Debug, Clone)]
pub enum Done {
    /// Nothing: the log loop was woken.
    Wake,
    /// A block was written: its number, its file, the write and its bytes.
    Block(u64, FileNumber, u64, u32),
    /// A page was written.
    Page(PageKind, FileNumber, u64),
    /// An fdatasync of what was written when it began.
    Sync(FileNumber, Vec<u64>),
    /// A segment is to be made.
    Made,
    /// A full volume is asked again.
    Retry,
    /// A sidecar is to be written.
    Seal(SealOrder),
    /// A file is to be blanked.
    Blank(FileNumber),
}

/// Something that happens. What concerns a process names its life: nothing reaches the next one.
#[derive(Debug, Clone)]
pub enum What {
    /// The node's process starts.
    Start { node: usize, life: u64 },
    /// Time is told of.
    Tick { node: usize, life: u64 },
    /// The pair's loop was woken.
    Turn { node: usize, life: u64 },
    /// A pause is over.
    Wake { node: usize },
    /// A message has come.
    Frame { node: usize, connection: u64, bytes: Arc<[u8]> },
    /// The other end of a connection is gone.
    Closed { node: usize, connection: u64 },
    /// A try to connect has ended.
    Dialled { node: usize, life: u64, lane: usize, connection: u64 },
    /// A question has come to the arbiter.
    Asked { node: usize, life: u64, bytes: Vec<u8> },
    /// Its answer has come.
    Answered { node: usize, life: u64, bytes: Vec<u8> },
    /// An answer is not waited for any longer.
    GivenUp { node: usize, life: u64 },
    /// The superblock was written.
    Persisted { node: usize, life: u64, kept: Kept },
    /// Something that the log ordered has ended.
    Disk { node: usize, life: u64, lane: usize, done: Done },
    /// The arbiter starts again.
    ArbiterStarts,
    /// A client's request has come to a node.
    Request { node: usize, client: usize, attempt: u64 },
    /// An operator asks for a handover.
    Switchover { node: usize, life: u64 },
    /// An answer has come to a client.
    Reply { client: usize, attempt: u64, reply: Reply },
    /// A client waits no longer.
    Timeout { client: usize, attempt: u64 },
    /// A client sends its next batch.
    Next { client: usize },
    /// A consumer reads.
    Consume,
    /// Something goes wrong.
    Fault,
}

/// What a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Acknowledged.
    Done,
    /// The node does not lead.
    NotLeader,
}

impl What {
    /// The life of the process that it is for; none where whoever is there takes it.
    pub fn life(&self) -> Option<(usize, u64)> {
        match self {
            What::Start { node, life }
            | What::Tick { node, life }
            | What::Turn { node, life }
            | What::Dialled { node, life, .. }
            | What::Answered { node, life, .. }
            | What::GivenUp { node, life }
            | What::Persisted { node, life, .. }
            | What::Switchover { node, life }
            | What::Disk { node, life, .. } => Some((*node, *life)),
            _ => None,
        }
    }

    /// A number for each kind, for the trace.
    pub fn kind(&self) -> u64 {
        match self {
            What::Start { .. } => 1,
            What::Tick { .. } => 2,
            What::Turn { .. } => 3,
            What::Wake { .. } => 4,
            What::Frame { .. } => 5,
            What::Closed { .. } => 6,
            What::Dialled { .. } => 7,
            What::Asked { .. } => 8,
            What::Answered { .. } => 9,
            What::GivenUp { .. } => 10,
            What::Persisted { .. } => 11,
            What::Disk { .. } => 12,
            What::ArbiterStarts => 13,
            What::Request { .. } => 14,
            What::Switchover { .. } => 15,
            What::Reply { .. } => 16,
            What::Timeout { .. } => 17,
            What::Next { .. } => 18,
            What::Consume => 19,
            What::Fault => 20,
        }
    }

    /// The node whose process has to be there and awake, and whether it is its log loop.
    pub fn process(&self) -> Option<(usize, bool)> {
        match self {
            What::Tick { node, .. }
            | What::Turn { node, .. }
            | What::Frame { node, .. }
            | What::Closed { node, .. }
            | What::Dialled { node, .. }
            | What::Answered { node, .. }
            | What::GivenUp { node, .. }
            | What::Switchover { node, .. }
            | What::Persisted { node, .. } => Some((*node, false)),
            What::Disk { node, .. } | What::Request { node, .. } => Some((*node, true)),
            _ => None,
        }
    }
}

/// The queue, and the time.
#[derive(Debug, Default)]
pub struct Queue {
    events: BTreeMap<(u64, u64), What>,
    ties: u64,
    /// Virtual nanoseconds.
    pub now_ns: u64,
}

impl Queue {
    /// Something will happen after that time.
    pub fn after(&mut self, delay_ns: u64, what: What) {
        self.at(self.now_ns + delay_ns, what);
    }

    /// Something will happen at that time.
    pub fn at(&mut self, time_ns: u64, what: What) {
        self.ties += 1;
        self.events.insert((time_ns.max(self.now_ns), self.ties), what);
    }

    /// When the next thing happens.
    pub fn next_ns(&self) -> Option<u64> {
        self.events.first_key_value().map(|((time_ns, _), _)| *time_ns)
    }

    /// The next thing, which is the time from now on.
    pub fn pop(&mut self) -> Option<What> {
        let ((time_ns, _), what) = self.events.pop_first()?;
        self.now_ns = time_ns;
        Some(what)
    }

    /// Whether something like that will happen.
    pub fn any(&self, is: impl Fn(&What) -> bool) -> bool {
        self.events.values().any(is)
    }

    /// Takes out what will not happen any more.
    pub fn take(&mut self, is: impl Fn(&What) -> bool) -> Vec<What> {
        let keys: Vec<(u64, u64)> = self.events.iter().filter(|(_, what)| is(what)).map(|(key, _)| *key).collect();
        keys.iter().filter_map(|key| self.events.remove(key)).collect()
    }
}
