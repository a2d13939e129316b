//! FindCoordinator: who leads coordinates every group. Transactions have nobody: COORDINATOR_NOT_AVAILABLE is the answer that
//! makes clients try again later instead of failing for good.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorResponse};

use super::super::dispatch::{Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::find_coordinator::FindCoordinator;
use super::{Reply, encode, text};
use crate::cluster::{Broker, Cluster};
use crate::serve::Identity;

const NO_TRANSACTIONS: &str = "transactions are not served";
const NO_LEADER: &str = "no node is known to lead";
/// The kind of key that names a group.
const GROUP: i8 = 0;

/// Answers each key.
pub fn answer(identity: &Identity, cluster: &Cluster, asked: Asked, request: &FindCoordinator<'_>) -> Result<Reply, Refusal> {
    let leads = |broker: &Broker| Some(broker.id) == cluster.leader(identity);
    let leader = cluster.brokers(identity).into_iter().find(leads).filter(|_| request.kind == GROUP);
    let (error, port) =
        leader.as_ref().map_or((ErrorCode::CoordinatorNotAvailable, -1), |leader| (ErrorCode::None, i32::from(leader.port)));
    let at = leader.unwrap_or(Broker { id: -1, host: String::new(), port: 0 });
    let node = BrokerId(at.id);
    let why = if request.kind == GROUP { NO_LEADER } else { NO_TRANSACTIONS };
    let message = (error != ErrorCode::None).then(|| text(why));
    let body = if asked.version >= 4 {
        let coordinators = request.keys.iter().map(|key| {
            Coordinator::default()
                .with_key(text(key))
                .with_node_id(node)
                .with_host(text(&at.host))
                .with_port(port)
                .with_error_code(error.number())
                .with_error_message(message.clone())
        });
        FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
    } else {
        FindCoordinatorResponse::default()
            .with_error_code(error.number())
            .with_error_message(message.filter(|_| asked.version >= 1))
            .with_node_id(node)
            .with_host(text(&at.host))
            .with_port(port)
    };
    encode(asked, error, &body)
}
