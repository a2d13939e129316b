//! What all Kafka connections share.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::watch;

use super::budget::Budget;
use crate::counters::Counters;
use crate::groups::{Committed, Desk};
use crate::limits::Limits;
use crate::serve::Identity;
use crate::store::Store;

/// The broker as one thread sees it.
#[derive(Debug)]
pub struct Broker<S> {
    /// The log.
    pub(super) store: S,
    /// Who we are.
    pub(super) identity: Identity,
    /// What clients may take.
    pub(super) limits: Limits,
    /// Our counters.
    pub(super) counters: Counters,
    /// Bytes of request frames over all connections.
    pub(super) requests: Rc<Budget>,
    /// Bytes of record batches over all connections.
    pub(super) replies: Rc<Budget>,
    /// Who is a member of which group.
    pub(super) desk: Desk,
    /// How far groups have come.
    pub(super) committed: Committed,
    /// True once the appliance stops.
    pub(super) closing: watch::Receiver<bool>,
    connections: Cell<usize>,
}

impl<S: Store> Broker<S> {
    /// A broker over `store`.
    #[must_use]
    pub fn new(store: S, identity: Identity, limits: Limits, counters: Counters, closing: watch::Receiver<bool>) -> Self {
        Self {
            store,
            identity,
            limits,
            counters,
            requests: Budget::new(limits.requests_buffered_bytes_max),
            replies: Budget::new(limits.replies_buffered_bytes_max),
            desk: Desk::new(&limits),
            committed: Committed::default(),
            closing,
            connections: Cell::new(0),
        }
    }

    /// Completes when the appliance stops, or when nobody is left to say so.
    pub(super) async fn closed(&self) {
        // An error means that the sender is gone, which is the same to us.
        let _ = self.closing.clone().wait_for(|closing| *closing).await;
    }

    /// Counts one more connection, unless that is one too many.
    pub(super) fn admit(self: &Rc<Self>) -> Option<Admitted<S>> {
        if self.connections.get() >= self.limits.kafka_connections_max {
            return None;
        }
        self.count(self.connections.get() + 1);
        Some(Admitted(Rc::clone(self)))
    }

    fn count(&self, connections: usize) {
        self.connections.set(connections);
        self.counters.on_connections(connections);
    }
}

/// A connection that counts until this is dropped.
pub(super) struct Admitted<S: Store>(Rc<Broker<S>>);

impl<S: Store> Admitted<S> {
    /// The broker it connects to.
    pub(super) fn broker(&self) -> &Broker<S> {
        &self.0
    }
}

impl<S: Store> Drop for Admitted<S> {
    fn drop(&mut self) {
        self.0.count(self.0.connections.get() - 1);
    }
}
