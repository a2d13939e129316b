//! JoinGroup: handed to the coordinator, and answered when it has a generation to tell of.

use std::pin::pin;

use bytes::Bytes;
use kafka_protocol::messages::JoinGroupResponse;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;

use super::super::broker::Broker;
use super::super::connection::Client;
use super::super::dispatch::{Answer, Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::join_group::JoinGroup;
use super::group::{Later, admit};
use super::{Reply, encode, text};
use crate::groups::coordinator::{self, Event, Join, Joined, Protocol};
use crate::groups::desk::Waiting;
use crate::store::Store;

/// Longest name across restarts, as long as Apache Kafka takes it.
const INSTANCE_BYTES_MAX: usize = 249;
/// Ways of assigning that one member may name; clients name one to four.
const PROTOCOLS_MAX: usize = 32;
/// Shortest wait for members to join again: one of nothing would be waited for again and again.
const REBALANCE_MS_MIN: u64 = 100;
/// First version in which a member counts only when it comes back with the id that it was given.
const ID_FIRST_VERSION_MIN: i16 = 4;
/// First version in which a leader can be told not to assign.
const SKIP_VERSION_MIN: i16 = 9;

/// Joins now; what is returned waits.
pub fn begin<'b, S: Store>(broker: &'b Broker<S>, client: &Client, asked: Asked, request: &JoinGroup<'_>) -> Later<'b> {
    let error = match admit(broker, request.group) {
        ErrorCode::None if request.instance.is_some_and(|name| name.is_empty() || name.len() > INSTANCE_BYTES_MAX) => {
            ErrorCode::InvalidRequest
        }
        ErrorCode::None if request.protocols.len() > PROTOCOLS_MAX => ErrorCode::InvalidRequest,
        error => error,
    };
    if error != ErrorCode::None {
        let refused = answered(asked, Joined::refused(error, request.member));
        return Box::pin(async { refused.map(Answer::Reply) });
    }
    let join = join(broker, client, asked, request);
    let waiting = broker.desk.ask(request.group, |ticket| Event::Join(ticket, join));
    Box::pin(finish(asked, waiting))
}

async fn finish(asked: Asked, waiting: Waiting<'_>) -> Result<Answer, Refusal> {
    match pin!(waiting.answer()).await {
        coordinator::Answer::Joined(joined) => answered(asked, joined).map(Answer::Reply),
        other => unreachable!("{other:?} to a join"),
    }
}

fn join<S: Store>(broker: &Broker<S>, client: &Client, asked: Asked, request: &JoinGroup<'_>) -> Join {
    let protocol = |protocol: &super::super::request::join_group::JoinProtocol<'_>| Protocol {
        name: protocol.name.to_owned(),
        // A copy: a part of the frame would keep all of it for as long as the member is one.
        metadata: Bytes::copy_from_slice(protocol.metadata),
    };
    let session_ms = u64::try_from(request.session_ms).unwrap_or(0);
    // Nobody waits longer for a member than it may be silent at most.
    let rebalance_ms = u64::try_from(request.rebalance_ms).unwrap_or(session_ms);
    let rebalance_ms = rebalance_ms.clamp(REBALANCE_MS_MIN, broker.limits.groups.session_ms_max);
    Join {
        group: request.group.to_owned(),
        member: request.member.to_owned(),
        // No id comes twice, on any node, over all restarts: then none of an earlier run is taken for one of this.
        fresh: format!("{}-{:016x}", client.id(), broker.store.producer_id()),
        instance: request.instance.map(str::to_owned),
        session_ms,
        rebalance_ms,
        protocol_type: request.protocol_type.to_owned(),
        protocols: request.protocols.iter().map(protocol).collect(),
        id_first: asked.version >= ID_FIRST_VERSION_MIN,
        skips_assignment: asked.version >= SKIP_VERSION_MIN,
        client: client.id().to_owned(),
        host: client.host(),
    }
}

fn answered(asked: Asked, joined: Joined) -> Result<Reply, Refusal> {
    // Before version 7 there must be a protocol, if an empty one.
    let protocol = if asked.version >= 7 { joined.protocol } else { Some(joined.protocol.unwrap_or_default()) };
    let members = joined.members.into_iter().map(|member| {
        JoinGroupResponseMember::default()
            .with_member_id(text(&member.member))
            .with_group_instance_id(member.instance.filter(|_| asked.version >= 5).map(|name| text(&name)))
            .with_metadata(member.metadata)
    });
    let body = JoinGroupResponse::default()
        .with_error_code(joined.error.number())
        .with_generation_id(joined.generation)
        .with_protocol_type(joined.protocol_type.filter(|_| asked.version >= 7).map(|name| text(&name)))
        .with_protocol_name(protocol.map(|name| text(&name)))
        .with_leader(text(&joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(text(&joined.member))
        .with_members(members.collect());
    encode(asked, joined.error, &body)
}
