//! LeaveGroup: each leaver by itself.

use kafka_protocol::messages::LeaveGroupResponse;
use kafka_protocol::messages::leave_group_response::MemberResponse;

use super::super::broker::Broker;
use super::super::dispatch::{Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::leave_group::LeaveGroup;
use super::group::admit;
use super::{Reply, encode, text};
use crate::groups::coordinator::{Answer, Event, Leaver};
use crate::store::Store;

/// Answers at once. Before version 3 one leaves, and its error is the answer's.
pub async fn answer<S: Store>(broker: &Broker<S>, asked: Asked, request: &LeaveGroup<'_>) -> Result<Reply, Refusal> {
    let refused = admit(broker, request.group);
    if refused != ErrorCode::None {
        return encode(asked, refused, &LeaveGroupResponse::default().with_error_code(refused.number()));
    }
    let leaver = |leaver: &super::super::request::leave_group::Leaver<'_>| Leaver {
        member: leaver.member.to_owned(),
        instance: leaver.instance.map(str::to_owned),
    };
    let leavers = request.leavers.iter().map(leaver).collect();
    let waiting = broker.desk.ask(request.group, |ticket| Event::Leave(ticket, request.group.to_owned(), leavers));
    let left = match waiting.answer().await {
        Answer::Left(left) => left,
        other => unreachable!("{other:?} to a leave"),
    };
    let first = left.iter().fold(ErrorCode::None, |first, error| first.or(*error));
    if asked.version < 3 {
        return encode(asked, first, &LeaveGroupResponse::default().with_error_code(first.number()));
    }
    let members = request.leavers.iter().zip(left).map(|(leaver, error)| {
        MemberResponse::default()
            .with_member_id(text(leaver.member))
            .with_group_instance_id(leaver.instance.map(text))
            .with_error_code(error.number())
    });
    encode(asked, first, &LeaveGroupResponse::default().with_members(members.collect()))
}
