//! One member of a group.

use super::coordinator::{Join, Ticket};
use bytes::Bytes;

/// A way of assigning partitions that a member can do, with what it tells the leader about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// Its name: `range`, `roundrobin`, …
    pub name: String,
    /// Opaque to us.
    pub metadata: Bytes,
}

/// A member. While a request of its waits it has no deadline: it cannot be silent and waiting at once.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name across restarts, if it has one.
    pub instance: Option<String>,
    /// Name of its client.
    pub client: String,
    /// Where it comes from.
    pub host: String,
    /// How long it may be silent.
    pub session_ms: u64,
    /// How long others wait for it to join again.
    pub rebalance_ms: u64,
    /// By its preference.
    pub protocols: Vec<Protocol>,
    /// What the leader gave it.
    pub assignment: Bytes,
    /// Its waiting join.
    pub join: Option<Ticket>,
    /// Its waiting sync.
    pub sync: Option<Ticket>,
    /// Whether it is to ask for its assignment in this generation and has not.
    pub owes_sync: bool,
    /// Whether it knows its id: one that does not and is gone can never come back.
    pub told: bool,
    /// When its silence is too long.
    pub deadline_ms: Option<u64>,
}

impl Member {
    pub fn new(ticket: Ticket, join: &Join, told: bool) -> Member {
        Member {
            instance: join.instance.clone(),
            client: join.client.clone(),
            host: join.host.clone(),
            session_ms: join.session_ms,
            rebalance_ms: join.rebalance_ms,
            protocols: join.protocols.clone(),
            assignment: Bytes::new(),
            join: Some(ticket),
            sync: None,
            owes_sync: false,
            told,
            deadline_ms: None,
        }
    }

    /// Takes over what a later join says.
    pub fn update(&mut self, join: &Join) {
        self.client = join.client.clone();
        self.host = join.host.clone();
        self.session_ms = join.session_ms;
        self.rebalance_ms = join.rebalance_ms;
        self.protocols = join.protocols.clone();
    }

    pub fn is_static(&self) -> bool {
        self.instance.is_some()
    }

    pub fn waits(&self) -> bool {
        self.join.is_some() || self.sync.is_some()
    }

    /// It was heard of.
    pub fn heard(&mut self, now_ms: u64) {
        self.deadline_ms = if self.waits() { None } else { Some(now_ms + self.session_ms) };
    }

    pub fn supports(&self, name: &str) -> bool {
        self.protocols.iter().any(|protocol| protocol.name == name)
    }

    /// What it says about itself under a protocol.
    pub fn metadata(&self, name: &str) -> Bytes {
        self.protocols.iter().find(|protocol| protocol.name == name).map_or_else(Bytes::new, |protocol| protocol.metadata.clone())
    }

    /// Bytes that are kept of it.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.protocols) + self.client.len() + self.host.len() + self.instance.as_ref().map_or(0, String::len)
    }
}

/// Bytes of protocols together, about.
pub(super) fn bytes_of(protocols: &[Protocol]) -> usize {
    protocols.iter().map(|protocol| size_of::<Protocol>() + protocol.name.len() + protocol.metadata.len()).sum()
}
