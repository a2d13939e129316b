//! SyncGroup: answered when the leader has assigned.

use std::pin::pin;

use bytes::Bytes;
use kafka_protocol::messages::SyncGroupResponse;

use super::super::broker::Broker;
use super::super::dispatch::{Answer, Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::sync_group::SyncGroup;
use super::group::{Later, admit, speaker};
use super::{Reply, encode, text};
use crate::groups::coordinator::{self, Event, Sync, Synced};
use crate::groups::desk::Waiting;
use crate::store::Store;

/// Asks now; what is returned waits.
pub fn begin<'b, S: Store>(broker: &'b Broker<S>, asked: Asked, request: &SyncGroup<'_>) -> Later<'b> {
    let error = admit(broker, request.member.group);
    if error != ErrorCode::None {
        let refused = answered(asked, Synced::refused(error));
        return Box::pin(async { refused.map(Answer::Reply) });
    }
    let assignments = request.assignments.iter().map(|given| (given.member.to_owned(), Bytes::copy_from_slice(given.assignment)));
    let sync = Sync {
        speaker: speaker(&request.member),
        protocol_type: request.protocol_type.map(str::to_owned),
        protocol: request.protocol.map(str::to_owned),
        // As many bytes as a frame has at most.
        assignments: assignments.collect(),
    };
    let waiting = broker.desk.ask(request.member.group, |ticket| Event::Sync(ticket, sync));
    Box::pin(finish(asked, waiting))
}

async fn finish(asked: Asked, waiting: Waiting<'_>) -> Result<Answer, Refusal> {
    match pin!(waiting.answer()).await {
        coordinator::Answer::Synced(synced) => answered(asked, synced).map(Answer::Reply),
        other => unreachable!("{other:?} to a sync"),
    }
}

fn answered(asked: Asked, synced: Synced) -> Result<Reply, Refusal> {
    let since_5 = |name: Option<String>| name.filter(|_| asked.version >= 5).map(|name| text(&name));
    let body = SyncGroupResponse::default()
        .with_error_code(synced.error.number())
        .with_protocol_type(since_5(synced.protocol_type))
        .with_protocol_name(since_5(synced.protocol))
        .with_assignment(synced.assignment);
    encode(asked, synced.error, &body)
}
