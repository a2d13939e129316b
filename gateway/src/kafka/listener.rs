//! Takes connections until shutdown, then waits for the open ones to end.
//!
//! One connection too many is accepted and closed at once: left in the backlog it would look to its
//! client like a broker that is slow, and the client would not try another.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::broker::Broker;
use super::connection;
use crate::store::Store;

/// Pause after a failed accept. The usual cause is a want of file descriptors, which only time mends;
/// without the pause the loop would spin on the error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections from `listener` until the broker closes and every connection has ended. To be
/// run inside a `LocalSet`.
pub async fn listen<S: Store>(broker: Rc<Broker<S>>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    // One task beside the connections, for what happens by itself; it ends with the listener.
    let mut groups = JoinSet::new();
    groups.spawn_local(tend_groups(Rc::clone(&broker)));
    loop {
        tokio::select! {
            () = broker.closed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => open(&broker, &mut connections, stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "accepting a Kafka connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => report(ended),
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

/// Reads what groups have committed, then keeps time for them.
async fn tend_groups<S: Store>(broker: Rc<Broker<S>>) {
    let has_members = |group: &str| broker.desk.coordinator().has_members(group);
    tokio::join!(broker.desk.run(), broker.committed.tend(&broker.store, &broker.limits, has_members));
}

fn open<S: Store>(broker: &Rc<Broker<S>>, connections: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr) {
    let Some(admitted) = broker.admit() else {
        broker.counters.on_closed("too_many_connections");
        tracing::warn!(
            %peer,
            connections_max = broker.limits.kafka_connections_max,
            "Kafka connection closed: as many as allowed are open"
        );
        return;
    };
    connections.spawn_local(connection::run(admitted, stream, peer));
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a Kafka connection ended abnormally");
    }
}
