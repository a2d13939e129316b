//! FindCoordinator: this node coordinates every group. Transactions have nobody: COORDINATOR_NOT_AVAILABLE is the answer that
//! makes clients try again later instead of failing for good.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorResponse};

use super::super::dispatch::{Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::find_coordinator::FindCoordinator;
use super::{Reply, encode, text};
use crate::serve::{Advertised, Identity};

const MESSAGE: &str = "transactions are not served";
/// The kind of key that names a group.
const GROUP: i8 = 0;

/// Answers each key.
pub fn answer(identity: &Identity, asked: Asked, request: &FindCoordinator<'_>) -> Result<Reply, Refusal> {
    let nobody = Advertised { host: String::new(), port: 0 };
    let (error, node, at, port) = if request.kind == GROUP {
        (ErrorCode::None, BrokerId(identity.node_id), &identity.advertised, i32::from(identity.advertised.port))
    } else {
        (ErrorCode::CoordinatorNotAvailable, BrokerId(-1), &nobody, -1)
    };
    let message = (error != ErrorCode::None).then(|| text(MESSAGE));
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
