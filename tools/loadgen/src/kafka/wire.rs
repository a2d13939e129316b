//! One connection to a Kafka server: a request, its answer, one at a time; and the parts of that for who has several under
//! way.
//!
//! ```text
//!  request:  length i32 | key i16 | version i16 | correlation i32 | client id | body
//!  answer:   length i32 | correlation i32 | body
//! ```
//!
//! Versions: the highest that both sides know, below the flexible ones, whose answers carry tags this
//! program has no use for. The server says which it knows (ApiVersions 0, understood by every broker).
//! Refused: an answer beyond [`ANSWER_BYTES_MAX`], one to another question, bytes left over after the
//! body, and silence for [`SILENCE_MAX`].

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, RequestHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use super::KafkaError;

#[cfg(test)]
mod tests;

/// Largest answer taken: a fetch of 8 MiB asks for that softly, and one batch may be larger.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Longest time without a byte.
pub const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Name given to the server.
const CLIENT_ID: &str = "headworks-loadgen";

/// A request and the versions this program speaks of it.
type Spoken = (ApiKey, i16, i16);

/// What is asked by who reads.
const READING: [Spoken; 3] = [(ApiKey::Metadata, 4, 8), (ApiKey::ListOffsets, 1, 5), (ApiKey::Fetch, 4, 11)];

/// What is asked by who writes.
const WRITING: [Spoken; 3] = [(ApiKey::Metadata, 4, 8), (ApiKey::Produce, 3, 8), (ApiKey::InitProducerId, 0, 1)];

/// A connection whose server's versions are known.
#[derive(Debug)]
pub struct Connection {
    address: String,
    stream: TcpStream,
    correlation: i32,
    versions: BTreeMap<i16, i16>,
}

impl Connection {
    /// Connects to `host:port` and asks for the versions.
    ///
    /// # Errors
    /// It cannot be reached, or shares no version with this program.
    pub fn open(address: &str) -> Result<Self, KafkaError> {
        Self::open_for(address, &READING, SILENCE_MAX)
    }

    /// The same to write; nothing takes longer than `patience`.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub fn open_to_write(address: &str, patience: Duration) -> Result<Self, KafkaError> {
        Self::open_for(address, &WRITING, patience)
    }

    fn open_for(address: &str, spoken: &[Spoken], patience: Duration) -> Result<Self, KafkaError> {
        let stream = connect(address, patience).map_err(|source| KafkaError::Connection { address: address.to_owned(), source })?;
        let versions = BTreeMap::new();
        let mut connection = Self { address: address.to_owned(), stream, correlation: 0, versions };
        connection.negotiate(spoken)?;
        Ok(connection)
    }

    /// The socket, for who waits for it himself.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The bytes of a request that is answered later, and its correlation id.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn request<R: Request>(&mut self, request: &R) -> Result<(i32, BytesMut), KafkaError> {
        self.correlation = self.correlation.wrapping_add(1);
        let version = self.version::<R>();
        let frame = frame(request, version, self.correlation)
            .map_err(|reason| KafkaError::Malformed(format!("cannot ask {} v{version}: {reason}", name(R::KEY))))?;
        Ok((self.correlation, frame))
    }

    /// Reads the answer to the request with this correlation id.
    ///
    /// # Errors
    /// It is not one to this question.
    pub fn decode<R: Request>(&self, answer: Bytes, correlation: i32) -> Result<R::Response, KafkaError> {
        self.decode_in::<R>(answer, self.version::<R>(), correlation)
    }

    /// Asked for are the keys for each of which `negotiate` found a version.
    fn version<R: Request>(&self) -> i16 {
        self.versions.get(&R::KEY).copied().unwrap_or(0)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The connection fails, or the answer is not one to this question.
    pub fn ask<R: Request>(&mut self, request: &R) -> Result<R::Response, KafkaError> {
        self.ask_in(request, self.version::<R>())
    }

    fn ask_in<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, KafkaError> {
        self.correlation = self.correlation.wrapping_add(1);
        let frame = frame(request, version, self.correlation)
            .map_err(|reason| KafkaError::Malformed(format!("cannot ask {} v{version}: {reason}", name(R::KEY))))?;
        self.stream.write_all(&frame).map_err(|source| self.broken(source))?;
        let answer = self.answer().map_err(|source| self.broken(source))?;
        self.decode_in::<R>(answer, version, self.correlation)
    }

    fn decode_in<R: Request>(&self, mut answer: Bytes, version: i16, asked: i32) -> Result<R::Response, KafkaError> {
        let malformed = |reason: String| {
            let address = &self.address;
            KafkaError::Malformed(format!("{address}: {} v{version}: {reason}", name(R::KEY)))
        };
        // All answers asked for have header version 0: the correlation id alone.
        assert_eq!(R::Response::header_version(version), 0, "header of {}", name(R::KEY));
        let correlation = answer.try_get_i32().map_err(|error| malformed(error.to_string()))?;
        if correlation != asked {
            return Err(malformed(format!("answers question {correlation}, not {asked}")));
        }
        let body = R::Response::decode(&mut answer, version).map_err(|error| malformed(error.to_string()))?;
        if answer.has_remaining() {
            return Err(malformed(format!("{} bytes left over", answer.remaining())));
        }
        Ok(body)
    }

    /// Finds the highest version of each request that both sides know.
    fn negotiate(&mut self, spoken: &[Spoken]) -> Result<(), KafkaError> {
        let answer = self.ask_in(&ApiVersionsRequest::default(), 0)?;
        expect_none(answer.error_code, || format!("{}: ApiVersions", self.address))?;
        for (key, lowest, highest) in spoken.iter().copied() {
            let known = answer.api_keys.iter().find(|known| known.api_key == key as i16);
            let (min, max) = known.map_or((0, -1), |known| (known.min_version, known.max_version));
            let version = max.min(highest);
            if version < min.max(lowest) {
                return Err(KafkaError::Refused(format!(
                    "{}: {key:?} {min} to {max} there, {lowest} to {highest} here: none in common",
                    self.address
                )));
            }
            self.versions.insert(key as i16, version);
        }
        Ok(())
    }

    /// One answer without its length.
    fn answer(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = i32::from_be_bytes(length);
        let bounded = usize::try_from(length).ok().filter(|length| *length <= ANSWER_BYTES_MAX);
        let Some(bounded) = bounded else {
            let reason = format!("an answer of {length} bytes, {ANSWER_BYTES_MAX} at most");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        };
        let mut answer = BytesMut::zeroed(bounded);
        self.stream.read_exact(&mut answer)?;
        Ok(answer.freeze())
    }

    fn broken(&self, source: io::Error) -> KafkaError {
        KafkaError::Connection { address: self.address.clone(), source }
    }
}

/// No error, or the error by its name.
///
/// # Errors
/// The code is not 0.
pub fn expect_none(code: i16, of: impl FnOnce() -> String) -> Result<(), KafkaError> {
    if code == 0 {
        return Ok(());
    }
    Err(KafkaError::Refused(format!("{}: {} ({code})", of(), error_name(code))))
}

/// An error's name, or its number where it has none.
pub fn error_name(code: i16) -> String {
    ResponseError::try_from_code(code).map_or_else(|| format!("error {code}"), |error| format!("{error:?}"))
}

/// Length, header and body of a request.
fn frame<R: Request>(request: &R, version: i16, correlation: i32) -> Result<BytesMut, Box<dyn std::error::Error + Send + Sync>> {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_static_str(CLIENT_ID)));
    let mut frame = BytesMut::zeroed(4);
    header.encode(&mut frame, R::header_version(version))?;
    request.encode(&mut frame, version)?;
    let length = i32::try_from(frame.len() - 4)?;
    frame[0..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Whether a connection leads to itself. A client whose own port happens to be the one that it looks for is connected so,
/// when nobody listens there: to the same host, with a port that the kernel gives to clients.
pub fn is_itself(stream: &TcpStream) -> bool {
    stream.local_addr().is_ok_and(|own| stream.peer_addr().is_ok_and(|other| own == other))
}

/// Tries every address of the name in turn.
fn connect(address: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for candidate in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, patience) {
            Ok(stream) if is_itself(&stream) => failed = io::ErrorKind::ConnectionRefused.into(),
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn name(key: i16) -> String {
    ApiKey::try_from(key).map_or_else(|()| format!("request {key}"), |key| format!("{key:?}"))
}
