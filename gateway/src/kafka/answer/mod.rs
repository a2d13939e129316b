//! Answers, one file a request.
//!
//! All but Fetch are small and rare: their bodies are structs of the `kafka-protocol` crate, which
//! knows every version's fields. Fetch writes its own, because the record batches must go from the
//! store to the socket as they lie (see [`fetch_body`]).
//!
//! Every answer lists what was asked in the order it was asked; an error of one partition is that
//! partition's alone.

pub mod api_versions;
pub mod create_topics;
pub mod fetch;
pub mod fetch_body;
pub mod find_coordinator;
mod gather;
pub mod group;
pub mod heartbeat;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_offsets;
pub mod metadata;
pub mod offset_commit;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod sync_group;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::budget::Hold;
use super::dispatch::{Asked, Refusal};
use super::errors::ErrorCode;

/// Partitions of a topic that is made without saying how many.
const PARTITIONS_DEFAULT: i32 = 4;

/// An answer, ready for the socket.
#[derive(Debug)]
pub struct Reply {
    /// Its bytes in order, the frame's length included.
    pub parts: Vec<Bytes>,
    /// The first error in it.
    pub error: ErrorCode,
    /// The batches' share of the budget, given back when all is written.
    pub _holds: Vec<Hold>,
}

/// Encodes header and body into one part.
fn encode(asked: Asked, error: ErrorCode, body: &impl Encodable) -> Result<Reply, Refusal> {
    let failed = |cause: String| Refusal::Encode { name: asked.api.name, version: asked.version, cause };
    let header_bytes = 4 + usize::from(asked.api.response_tagged(asked.version));
    let body_bytes = body.compute_size(asked.version).map_err(|cause| failed(cause.to_string()))?;
    let length = i32::try_from(header_bytes + body_bytes).map_err(|_| failed(format!("{body_bytes} bytes do not fit a frame")))?;
    let mut part = BytesMut::with_capacity(4 + header_bytes + body_bytes);
    part.put_i32(length);
    part.put_i32(asked.correlation);
    if header_bytes == 5 {
        part.put_u8(0); // no tagged fields
    }
    body.encode(&mut part, asked.version).map_err(|cause| failed(cause.to_string()))?;
    Ok(Reply { parts: vec![part.freeze()], error, _holds: Vec::new() })
}

/// The crate's string from ours.
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The crate's topic name from ours.
pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
