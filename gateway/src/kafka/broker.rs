//! What all Kafka connections share.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use headworks_format::committed::Key;
use tokio::sync::watch;

use super::budget::Budget;
use crate::cluster::Cluster;
use crate::counters::Counters;
use crate::groups::coordinator::State;
use crate::groups::{Committed, Desk, Entry};
use crate::http::report::{ConsumerLag, GroupStatus};
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
    /// Who leads.
    pub(super) cluster: Cluster,
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
    pub fn new(store: S, identity: Identity, cluster: Cluster, limits: Limits, counters: Counters, closing: watch::Receiver<bool>) -> Self {
        Self {
            store,
            identity,
            cluster,
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

    /// How far groups are behind, as many series as a scrape may have.
    #[must_use]
    pub fn lag(&self) -> Vec<ConsumerLag> {
        let Ok(table) = self.committed.table(&self.store) else { return Vec::new() };
        let lag = |(key, entry): (Key<'_>, &Entry)| {
            let state = self.store.state(key.topic, key.partition)?;
            let records = (state.high_watermark - entry.offset).max(0);
            Some(ConsumerLag { group: key.group.to_owned(), topic: key.topic.to_owned(), partition: key.partition, records })
        };
        table.entries().filter_map(lag).take(self.limits.lag_series_max).collect()
    }

    /// Groups that have members or committed offsets, by name, as many as there may be with members.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupStatus> {
        let coordinator = self.desk.coordinator();
        let table = self.committed.table(&self.store);
        let named = |name: &str| GroupStatus { name: name.to_owned(), state: State::Empty.name().to_owned(), ..GroupStatus::default() };
        let mut groups: BTreeMap<String, GroupStatus> = BTreeMap::new();
        for name in table.iter().flat_map(|table| table.groups()).take(self.limits.groups.groups_max) {
            let committed = table.iter().flat_map(|table| table.of_group(name)).map(|(_, partitions)| partitions.len()).sum();
            groups.insert(name.to_owned(), GroupStatus { committed, ..named(name) });
        }
        for (name, state, _) in coordinator.list() {
            let described = coordinator.describe(name).expect("a group that is listed");
            let group = groups.entry(name.to_owned()).or_insert_with(|| named(name));
            (group.state, group.generation, group.members) = (state.name().to_owned(), described.generation, described.members.len());
        }
        groups.into_values().collect()
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
