//! From a frame to its answer.

use bytes::Bytes;

use super::answer::group::Later;
use super::answer::produce::Producing;
use super::answer::{self, Reply};
use super::broker::Broker;
use super::connection::Client;
use super::errors::ErrorCode;
use super::request::reader::Reader;
use super::request::{self, Prefix, Rejected, Request};
use super::versions::{Api, Key};
use crate::store::Store;

/// What comes of a request that was understood.
#[derive(Debug)]
pub enum Answer {
    /// These bytes.
    Reply(Reply),
    /// Nothing: the client asked for no answer (Produce with acks 0). The error is for the count.
    Silent(ErrorCode),
}

/// What makes a connection of no more use.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A key or a version that is not spoken. There is no body that such a client could be sure to
    /// parse, so the connection ends, as Apache Kafka's own does.
    #[error("request key {key} ({name}) version {version} is not served{range}")]
    Unsupported {
        /// Number of the API.
        key: i16,
        /// Its name, where we know it.
        name: &'static str,
        /// The version asked.
        version: i16,
        /// Which versions would be, as text.
        range: String,
    },
    /// A frame that is not the request it says it is.
    #[error("malformed {name} version {version}: {rejected}")]
    Malformed {
        /// Name of the API, `request` where it is not known yet.
        name: &'static str,
        /// The version asked.
        version: i16,
        /// What is wrong.
        rejected: Rejected,
    },
    /// An answer that could not be put into bytes: a fault of ours.
    #[error("the answer to {name} version {version} cannot be encoded: {cause}")]
    Encode {
        /// Name of the API.
        name: &'static str,
        /// The version asked.
        version: i16,
        /// What the encoder said.
        cause: String,
    },
}

/// A request that was begun.
pub enum Begun<'b> {
    /// It is answered.
    Done(Answer),
    /// Its batches are handed over; the answer comes when they have reached their level.
    Producing(Producing<'b>),
    /// It waits for what other clients do.
    Waiting(Later<'b>),
}

/// Begins the request in `frame`: answers it, or hands over what it produces.
///
/// # Errors
/// [`Refusal`] when the connection has to end.
pub async fn begin<'b, S: Store>(broker: &'b Broker<S>, client: &mut Client, frame: &Bytes) -> Result<(&'static Api, Begun<'b>), Refusal> {
    let mut reader = Reader::new(frame);
    let prefix = Prefix::read(&mut reader).map_err(|rejected| Refusal::Malformed { name: "request", version: 0, rejected })?;
    let api = match Api::find(prefix.key) {
        Some(api) if api.accepts(prefix.version) => api,
        // The one request that must be answered in a version nobody knows yet.
        Some(api) if api.key == Key::ApiVersions => {
            let reply = answer::api_versions::unsupported(prefix.correlation)?;
            return Ok((api, Begun::Done(Answer::Reply(reply))));
        }
        found => return Err(unsupported(prefix, found)),
    };
    let malformed = |rejected| Refusal::Malformed { name: api.name, version: prefix.version, rejected };
    let client_id = request::read_header(&mut reader, api, prefix.version).map_err(malformed)?;
    client.on_client_id(client_id);
    let request = request::read_body(&mut reader, api, prefix.version).map_err(malformed)?;
    let asked = Asked { api, version: prefix.version, correlation: prefix.correlation };
    let begun = match &request {
        Request::Produce(request) => Begun::Producing(answer::produce::begin(broker, asked, request, frame)),
        Request::JoinGroup(request) => Begun::Waiting(answer::join_group::begin(broker, client, asked, request)),
        Request::SyncGroup(request) => Begun::Waiting(answer::sync_group::begin(broker, asked, request)),
        request => Begun::Done(Answer::Reply(reply(broker, client, asked, request).await?)),
    };
    Ok((api, begun))
}

/// Whether the frame is a Produce: the one request that may begin while others of its connection are not answered yet.
pub fn is_produce(frame: &[u8]) -> bool {
    Prefix::read(&mut Reader::new(frame)).is_ok_and(|prefix| Api::find(prefix.key).is_some_and(|api| api.key == Key::Produce))
}

/// Answers the request in `frame`.
///
/// # Errors
/// [`Refusal`] when the connection has to end.
#[cfg(test)]
pub async fn answer<S: Store>(broker: &Broker<S>, client: &mut Client, frame: &Bytes) -> Result<(&'static Api, Answer), Refusal> {
    match begin(broker, client, frame).await? {
        (api, Begun::Done(answer)) => Ok((api, answer)),
        (api, Begun::Producing(producing)) => Ok((api, producing.finish().await?)),
        (api, Begun::Waiting(answered)) => Ok((api, answered.await?)),
    }
}

/// Which request an answer is for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Line of the table.
    pub api: &'static Api,
    /// Version of request and answer.
    pub version: i16,
    /// What the answer must carry.
    pub correlation: i32,
}

async fn reply<S: Store>(broker: &Broker<S>, client: &mut Client, asked: Asked, request: &Request<'_>) -> Result<Reply, Refusal> {
    match request {
        Request::ApiVersions(request) => {
            if let (Some(name), Some(version)) = (request.software_name, request.software_version) {
                client.on_software(name, version);
            }
            answer::api_versions::answer(asked)
        }
        Request::Metadata(request) => answer::metadata::answer(&broker.store, &broker.identity, &broker.cluster, asked, request).await,
        Request::ListOffsets(request) => answer::list_offsets::answer(&broker.store, asked, request).await,
        Request::Fetch(request) => Ok(answer::fetch::answer(broker, asked, request).await),
        Request::OffsetForLeaderEpoch(request) => answer::offset_for_leader_epoch::answer(&broker.store, asked, request),
        Request::FindCoordinator(request) => answer::find_coordinator::answer(&broker.identity, &broker.cluster, asked, request),
        Request::InitProducerId(request) => answer::init_producer_id::answer(&broker.store, asked, *request),
        Request::CreateTopics(request) => answer::create_topics::answer(&broker.store, asked, request).await,
        Request::OffsetCommit(request) => answer::offset_commit::answer(broker, asked, request).await,
        Request::OffsetFetch(request) => answer::offset_fetch::answer(broker, asked, request),
        Request::Heartbeat(member) => answer::heartbeat::answer(broker, asked, member),
        Request::LeaveGroup(request) => answer::leave_group::answer(broker, asked, request).await,
        Request::Produce(_) | Request::JoinGroup(_) | Request::SyncGroup(_) => unreachable!("begun, and waited for elsewhere"),
    }
}

fn unsupported(prefix: Prefix, found: Option<&'static Api>) -> Refusal {
    Refusal::Unsupported {
        key: prefix.key,
        name: found.map_or("unknown", |api| api.name),
        version: prefix.version,
        range: found.map_or_else(String::new, |api| format!(", {} to {} are", api.versions.start(), api.versions.end())),
    }
}
