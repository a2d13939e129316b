//! One GET over HTTP, small enough to be read.
//!
//! It asks in HTTP/1.0, in which an answer has a length or ends with the connection and never comes
//! in chunks. Refused: an answer beyond [`BODY_BYTES_MAX`], one shorter than it says, any status but
//! 200, and a peer that is silent for [`SILENCE_MAX`].

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Largest answer taken, head and body: a ledger is a few KiB a lane.
pub const BODY_BYTES_MAX: u64 = 4 << 20;

/// Longest time without a byte.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] io::Error),
    /// No address goes by that name.
    #[error("`{0}` has no address")]
    Nameless(String),
    /// The answer is no HTTP, or not whole.
    #[error("not an HTTP answer: {0}")]
    Malformed(&'static str),
    /// The server said no.
    #[error("answered {0}")]
    Status(String),
}

/// The body of `GET path` from `address` (`host:port`).
///
/// # Errors
/// See [`HttpError`].
pub fn fetch(address: &str, path: &str) -> Result<Vec<u8>, HttpError> {
    let mut stream = connect(address)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    // In one write: a request in pieces is a packet for each.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(BODY_BYTES_MAX + 1).read_to_end(&mut answer)?;
    body(answer)
}

/// Tries every address of the name in turn.
fn connect(address: &str) -> Result<TcpStream, HttpError> {
    let mut failed = HttpError::Nameless(address.to_owned());
    for candidate in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&candidate, SILENCE_MAX) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error.into(),
        }
    }
    Err(failed)
}

/// Splits head from body and checks both.
fn body(mut answer: Vec<u8>) -> Result<Vec<u8>, HttpError> {
    if u64::try_from(answer.len()).is_ok_and(|bytes| bytes > BODY_BYTES_MAX) {
        return Err(HttpError::Malformed("larger than 4 MiB"));
    }
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or(HttpError::Malformed("no end of the head"))?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| HttpError::Malformed("a head that is not text"))?;
    let mut lines = head.split("\r\n");
    status(lines.next().unwrap_or_default())?;
    let stated = stated_length(lines)?;
    answer.drain(..end + 4);
    match stated {
        Some(stated) if stated > answer.len() => Err(HttpError::Malformed("shorter than stated")),
        Some(stated) => {
            answer.truncate(stated);
            Ok(answer)
        }
        None => Ok(answer),
    }
}

/// Takes `HTTP/1.x 200 …` and nothing else.
fn status(line: &str) -> Result<(), HttpError> {
    let rest = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split_once(' '));
    match rest {
        Some((_, said)) if said == "200" || said.starts_with("200 ") => Ok(()),
        Some((_, said)) => Err(HttpError::Status(said.to_owned())),
        None => Err(HttpError::Malformed("no status line")),
    }
}

/// The length that the head states, if it does.
fn stated_length<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Option<usize>, HttpError> {
    let fields = lines.filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let Some((_, value)) = lengths.next() else { return Ok(None) };
    let length = value.trim().parse();
    length.map(Some).map_err(|_| HttpError::Malformed("a length that is no number"))
}
