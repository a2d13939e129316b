//! Requests, decoded by our own bounded reader into views of the frame.
//!
//! A request is parsed whole before any of it is acted on, and nothing in it is trusted: see
//! [`reader`] for what is checked. The structs carry only the fields an answer depends on; the others
//! are read (their lengths must be right) and dropped. One file a request, fields in wire order, with
//! the version that brought each field beside it.
//!
//! ```text
//!   frame │ key i16 │ version i16 │ correlation i32 │ client id │ tags │ body ...
//!         └────────── prefix, the same in every version ───────┘ └ flexible versions
//! ```

pub mod api_versions;
pub mod create_topics;
pub mod fetch;
pub mod find_coordinator;
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
pub mod reader;
pub mod sync_group;

#[cfg(test)]
mod tests;

use reader::Reader;

use super::versions::Api;

/// Why a frame is no request of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// A field or array is longer than what is left of the frame.
    #[error("{wanted_bytes} bytes wanted where {left_bytes} are left")]
    Short {
        /// What the field takes, at least.
        wanted_bytes: usize,
        /// What is there.
        left_bytes: usize,
    },
    /// A length is negative and not -1, or beyond what memory can address.
    #[error("impossible length")]
    Length,
    /// A varint goes on after 32 bits.
    #[error("varint longer than 32 bits")]
    Varint,
    /// Null where the protocol allows none.
    #[error("null where none is allowed")]
    Null,
    /// A string is not UTF-8.
    #[error("string is not UTF-8")]
    NotUtf8,
    /// More array elements than any client needs.
    #[error("{elements} array elements, more than the limit of {max}", max = reader::ELEMENTS_MAX)]
    TooMany {
        /// How many were asked for when the limit was passed.
        elements: usize,
    },
}

/// The first eight bytes, the same for every key and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Which API.
    pub key: i16,
    /// Which version of it.
    pub version: i16,
    /// What the answer must carry.
    pub correlation: i32,
}

impl Prefix {
    /// Reads the prefix.
    ///
    /// # Errors
    /// [`Rejected::Short`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Rejected> {
        Ok(Self { key: reader.int16()?, version: reader.int16()?, correlation: reader.int32()? })
    }
}

/// Reads what follows the prefix up to the body and leaves the reader in the body's encoding.
/// Returns the client id.
///
/// # Errors
/// [`Rejected`] when the header does not parse.
pub fn read_header<'a>(reader: &mut Reader<'a>, api: &Api, version: i16) -> Result<Option<&'a str>, Rejected> {
    let client_id = reader.header_string()?;
    reader.switch_flexible(version >= api.flexible_min);
    reader.tags()?;
    Ok(client_id)
}

/// A request of any kind, for what treats them all alike: the dispatcher and the fuzzer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// Which versions are spoken.
    ApiVersions(api_versions::ApiVersions<'a>),
    /// Which topics there are and who leads them.
    Metadata(metadata::Metadata<'a>),
    /// Offsets by time.
    ListOffsets(list_offsets::ListOffsets<'a>),
    /// Record batches.
    Fetch(fetch::Fetch<'a>),
    /// Where an epoch ended.
    OffsetForLeaderEpoch(offset_for_leader_epoch::OffsetForLeaderEpoch<'a>),
    /// Who coordinates a group.
    FindCoordinator(find_coordinator::FindCoordinator<'a>),
    /// Records to append.
    Produce(produce::Produce<'a>),
    /// A number for an idempotent producer.
    InitProducerId(init_producer_id::InitProducerId<'a>),
    /// Topics to be made.
    CreateTopics(create_topics::CreateTopics<'a>),
    /// How far a group has come.
    OffsetCommit(offset_commit::OffsetCommit<'a>),
    /// The same, asked for.
    OffsetFetch(offset_fetch::OffsetFetch<'a>),
    /// A member joins a group.
    JoinGroup(join_group::JoinGroup<'a>),
    /// A member is alive.
    Heartbeat(heartbeat::Member<'a>),
    /// Members leave a group.
    LeaveGroup(leave_group::LeaveGroup<'a>),
    /// A member asks for its assignment.
    SyncGroup(sync_group::SyncGroup<'a>),
}

/// Reads the body of the request that `api` names. What the frame holds behind the last field is not looked at, as Apache Kafka does not:
/// a client that leaves bytes there works with it and goes unnoticed. librdkafka 2.12 is one; where it asks for the metadata of all
/// topics in a flexible version, it writes the null array as four bytes, and the three that are too many end up behind the rest.
///
/// # Errors
/// [`Rejected`] when the body does not parse.
///
/// # Panics
/// When `version` is none that `api` accepts: the caller has looked it up.
pub fn read_body<'a>(reader: &mut Reader<'a>, api: &Api, version: i16) -> Result<Request<'a>, Rejected> {
    use super::versions::Key;
    assert!(api.accepts(version), "{} version {version}", api.name);
    Ok(match api.key {
        Key::ApiVersions => Request::ApiVersions(api_versions::read(reader, version)?),
        Key::Metadata => Request::Metadata(metadata::read(reader, version)?),
        Key::ListOffsets => Request::ListOffsets(list_offsets::read(reader, version)?),
        Key::Fetch => Request::Fetch(fetch::read(reader, version)?),
        Key::OffsetForLeaderEpoch => Request::OffsetForLeaderEpoch(offset_for_leader_epoch::read(reader, version)?),
        Key::FindCoordinator => Request::FindCoordinator(find_coordinator::read(reader, version)?),
        Key::Produce => Request::Produce(produce::read(reader)?),
        Key::InitProducerId => Request::InitProducerId(init_producer_id::read(reader, version)?),
        Key::CreateTopics => Request::CreateTopics(create_topics::read(reader)?),
        Key::OffsetCommit => Request::OffsetCommit(offset_commit::read(reader, version)?),
        Key::OffsetFetch => Request::OffsetFetch(offset_fetch::read(reader, version)?),
        Key::JoinGroup => Request::JoinGroup(join_group::read(reader, version)?),
        Key::Heartbeat => Request::Heartbeat(heartbeat::read(reader, version)?),
        Key::LeaveGroup => Request::LeaveGroup(leave_group::read(reader, version)?),
        Key::SyncGroup => Request::SyncGroup(sync_group::read(reader, version)?),
    })
}

/// Reads a whole frame as the server does and returns how many bytes were reserved for it. The entry
/// of the fuzzer, of the corpus test and of the property tests.
///
/// # Errors
/// [`Rejected`] for what is no request; an unknown key or version counts as read.
pub fn read_frame(frame: &[u8]) -> Result<usize, Rejected> {
    let mut reader = Reader::new(frame);
    let prefix = Prefix::read(&mut reader)?;
    let Some(api) = Api::find(prefix.key).filter(|api| api.accepts(prefix.version)) else {
        return Ok(0);
    };
    let parsed = read_header(&mut reader, api, prefix.version).and_then(|_| read_body(&mut reader, api, prefix.version).map(drop));
    let reserved_bytes = reader.reserved_bytes();
    let reserved_bytes_max = frame.len() * reader::RESERVED_FACTOR_MAX;
    assert!(reserved_bytes <= reserved_bytes_max, "{reserved_bytes} bytes reserved for a frame that allows {reserved_bytes_max}");
    parsed.map(|()| reserved_bytes)
}
