//! FindCoordinator: there is none, yet. COORDINATOR_NOT_AVAILABLE is the answer that makes clients
//! try again later instead of failing for good, and that a broker gives while it starts.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::super::dispatch::{Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::find_coordinator::FindCoordinator;
use super::{Reply, encode, text};

const MESSAGE: &str = "consumer groups are not built into this release; assign partitions instead";
const NOBODY: BrokerId = BrokerId(-1);

/// Answers each key.
pub fn answer(asked: Asked, request: &FindCoordinator<'_>) -> Result<Reply, Refusal> {
    let error = ErrorCode::CoordinatorNotAvailable;
    let message = Some(StrBytes::from_static_str(MESSAGE));
    let body = if asked.version >= 4 {
        let coordinators = request.keys.iter().map(|key| {
            Coordinator::default()
                .with_key(text(key))
                .with_node_id(NOBODY)
                .with_port(-1)
                .with_error_code(error.number())
                .with_error_message(message.clone())
        });
        FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
    } else {
        let message = message.filter(|_| asked.version >= 1);
        FindCoordinatorResponse::default().with_error_code(error.number()).with_error_message(message).with_node_id(NOBODY).with_port(-1)
    };
    encode(asked, error, &body)
}
