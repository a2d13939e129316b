//! Heartbeat: whether the member is one, and whether it is to join again.

use kafka_protocol::messages::HeartbeatResponse;

use super::super::broker::Broker;
use super::super::dispatch::{Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::heartbeat::Member;
use super::group::{admit, speaker};
use super::{Reply, encode};
use crate::groups::coordinator::{Answer, Event};
use crate::store::Store;

/// Answers at once.
pub fn answer<S: Store>(broker: &Broker<S>, asked: Asked, member: &Member<'_>) -> Result<Reply, Refusal> {
    let error = match admit(broker, member.group) {
        ErrorCode::None => match broker.desk.ask_now(|ticket| Event::Heartbeat(ticket, speaker(member))) {
            Answer::Plain(error) => error,
            other => unreachable!("{other:?} to a heartbeat"),
        },
        error => error,
    };
    encode(asked, error, &HeartbeatResponse::default().with_error_code(error.number()))
}
