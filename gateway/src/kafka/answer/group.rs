//! What the answers to group requests share.

use super::super::broker::Broker;
use super::super::dispatch::{Answer, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::heartbeat::Member;
use crate::groups::coordinator::Speaker;
use crate::store::Store;
use headworks_format::committed::NAME_BYTES_MAX;
use std::pin::Pin;

/// An answer that comes later.
pub type Later<'b> = Pin<Box<dyn Future<Output = Result<Answer, Refusal>> + 'b>>;

/// What stands before every group request: a name that can be one, and offsets that are known. Members that are let in before
/// would read from where they were told that nothing is committed.
pub fn admit<S: Store>(broker: &Broker<S>, group: &str) -> ErrorCode {
    if group.is_empty() || group.len() > NAME_BYTES_MAX {
        return ErrorCode::InvalidGroupId;
    }
    if !broker.store.leads() {
        return ErrorCode::NotCoordinator;
    }
    broker.committed.table(&broker.store).map_or_else(|error| error, |_| ErrorCode::None)
}

/// Who speaks, for the coordinator.
pub fn speaker(member: &Member<'_>) -> Speaker {
    Speaker {
        group: member.group.to_owned(),
        generation: member.generation,
        member: member.id.to_owned(),
        instance: member.instance.map(str::to_owned),
    }
}
