//! Who the brokers of the pair are and which of them leads, as clients are told. Shared with the node, which knows.
//!
//! Both brokers stand in every answer as soon as the two nodes have met once, whoever leads. One that does not lead says so in
//! the protocol's own words, and clients go where the answer says.

use crate::serve::Identity;
use headworks_format::checkpoint::Producer;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A broker as clients reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What a lane was when this node began to lead: for who judges its producers' next batches.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// Its idempotent producers with their last batches.
    pub producers: Vec<Producer>,
    /// Number of its first block of the new epoch.
    pub next: u64,
}

#[derive(Debug, Default)]
struct Shared {
    is_standby: AtomicBool,
    is_paired: AtomicBool,
    /// The other node is required and not there, as far as is known: nothing would be committed.
    waits: AtomicBool,
    /// Counts how often this node has begun to lead.
    begun: AtomicU64,
    other: Mutex<Option<Broker>>,
    taken: Mutex<Vec<Taken>>,
}

/// See the module. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Cluster(Arc<Shared>);

impl Cluster {
    /// Of a node that follows, until it is told otherwise.
    #[must_use]
    pub fn standby() -> Cluster {
        let cluster = Cluster::default();
        cluster.0.is_standby.store(true, Ordering::Release);
        cluster
    }

    /// Whether this node leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        !self.0.is_standby.load(Ordering::Acquire)
    }

    /// The node leads from now on; `taken` are its lanes.
    pub fn begin_to_lead(&self, taken: Vec<Taken>) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) = taken;
        self.0.begun.fetch_add(1, Ordering::Release);
        // Last: who finds that the node leads finds what it has taken over.
        self.0.is_standby.store(false, Ordering::Release);
    }

    /// The node does not lead any more.
    pub fn stop_leading(&self) {
        self.0.is_standby.store(true, Ordering::Release);
    }

    /// How often it has begun to lead.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Acquire)
    }

    /// The lanes as they were taken over last.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        std::mem::take(&mut *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The other node has said who it is.
    pub fn met(&self, other: Broker) {
        *self.0.other.lock().unwrap_or_else(PoisonError::into_inner) = Some(other);
    }

    /// Whether the other node is in sync.
    pub fn set_paired(&self, is_paired: bool) {
        self.0.is_paired.store(is_paired, Ordering::Release);
    }

    /// Whether the node waits for the other one, so that it commits nothing.
    pub fn set_waiting(&self, waits: bool) {
        self.0.waits.store(waits, Ordering::Release);
    }

    /// Whether nothing is committed until the other node is there.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.0.waits.load(Ordering::Acquire)
    }

    /// The other broker, once it was met.
    #[must_use]
    pub fn other(&self) -> Option<Broker> {
        self.0.other.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every broker, by id.
    #[must_use]
    pub fn brokers(&self, me: &Identity) -> Vec<Broker> {
        let own = Broker { id: me.node_id, host: me.advertised.host.clone(), port: me.advertised.port };
        let mut brokers: Vec<Broker> = [Some(own), self.other()].into_iter().flatten().collect();
        brokers.sort_by_key(|broker| broker.id);
        brokers
    }

    /// The id of who leads; none when that is the other one, and it was never met.
    #[must_use]
    pub fn leader(&self, me: &Identity) -> Option<i32> {
        if self.leads() { Some(me.node_id) } else { self.other().map(|other| other.id) }
    }

    /// Ids of who is in sync, the leader first.
    #[must_use]
    pub fn in_sync(&self, me: &Identity) -> Vec<i32> {
        let both = self.0.is_paired.load(Ordering::Acquire);
        let other = self.other().map(|other| other.id);
        let (leader, follower) = if self.leads() { (Some(me.node_id), other) } else { (other, Some(me.node_id)) };
        [leader, follower.filter(|_| both)].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Broker, Cluster};
    use crate::serve::{Advertised, Identity};

    fn me() -> Identity {
        Identity { cluster_id: "c".into(), node_id: 7, advertised: Advertised { host: "a".into(), port: 1 } }
    }

    #[test]
    fn both_brokers_are_named_whoever_leads() {
        let cluster = Cluster::standby();
        assert_eq!((cluster.brokers(&me()).len(), cluster.leader(&me())), (1, None), "before they have met");
        cluster.met(Broker { id: 3, host: "b".into(), port: 2 });
        cluster.set_paired(true);
        let ids = |cluster: &Cluster| cluster.brokers(&me()).iter().map(|broker| broker.id).collect::<Vec<_>>();
        assert_eq!((ids(&cluster), cluster.leader(&me()), cluster.in_sync(&me())), (vec![3, 7], Some(3), vec![3, 7]));
        cluster.begin_to_lead(Vec::new());
        cluster.set_paired(false);
        assert_eq!((ids(&cluster), cluster.leader(&me()), cluster.in_sync(&me())), (vec![3, 7], Some(7), vec![7]));
    }
}
