//! One TCP listener in one lane: its socket, its terms, its books.

use crate::tcp::acks::Level;
use crate::tcp::end::{Tally, Terms};
use crate::tcp::framing::Framing;
use headworks_format::PartitionId;
use headworks_io::{FileSlot, TcpAcceptor, Token};
use headworks_ledger::{Clerk, Counts};
use std::sync::Arc;

/// What a listener is made of.
pub struct ListenTcp {
    /// Its name, for what peers are told.
    pub name: String,
    /// The listening socket.
    pub acceptor: TcpAcceptor,
    /// How records are told apart.
    pub framing: Framing,
    /// Largest record in bytes.
    pub record_bytes_max: u32,
    /// When a record counts as stored, where peers are told of it.
    pub ack: Option<Level>,
    /// Most connections in this lane.
    pub connections_max: u32,
    /// Longest silence of a connection in ns.
    pub idle_ns_max: u64,
    /// Where its records go.
    pub partition: PartitionId,
    /// Whether records carry the source as key.
    pub key_source: bool,
    /// Whether records carry the receive time.
    pub receive_time: bool,
    /// Its books.
    pub clerk: Clerk,
    /// Its connections.
    pub tally: Arc<Tally>,
}

/// A listener in its loop.
pub(super) struct Listener {
    pub parts: ListenTcp,
    pub token: Token,
    pub file: FileSlot,
    pub counts: Counts,
    /// Connections that have a place, those that are turned away counted in.
    pub open: u32,
    pub armed: bool,
    /// Whether arming waits for the next sweep: an accept that failed for want of descriptors would fail again at once.
    pub is_waiting: bool,
}

impl Listener {
    pub fn new(parts: ListenTcp, token: Token, file: FileSlot) -> Listener {
        // What arrives is what is received: TCP loses nothing in between.
        let counts = Counts { exact: 1, ..Counts::default() };
        Listener { parts, token, file, counts, open: 0, armed: false, is_waiting: false }
    }

    /// A record was framed.
    pub fn on_record(&mut self, bytes: usize) {
        self.counts.arrived += 1;
        self.counts.received += 1;
        self.counts.admitted += 1;
        self.counts.received_bytes += bytes as u64;
    }

    /// A record was refused for its size.
    pub fn on_too_long(&mut self) {
        self.counts.arrived += 1;
        self.counts.received += 1;
        self.counts.shed_oversize += 1;
    }

    pub fn account(&mut self) {
        self.parts.clerk.publish(&self.counts);
    }

    pub fn terms(&self, assembly_bytes: usize) -> Terms<'_> {
        let ListenTcp { name, record_bytes_max, idle_ns_max, connections_max, .. } = &self.parts;
        Terms {
            listener: name,
            record_bytes_max: *record_bytes_max,
            idle_ns_max: *idle_ns_max,
            connections_max: *connections_max,
            assembly_bytes,
        }
    }
}
