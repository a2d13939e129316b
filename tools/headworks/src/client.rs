//! Asking a node over HTTP: one request a connection, an answer of bounded size within bounded time.

use crate::node::Failure;
use headworks_io::fatal::Reason;
use serde_json::Value;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const ANSWER_BYTES_MAX: u64 = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(5);

/// What a path answers.
///
/// # Errors
/// No node answers there.
pub fn get(address: SocketAddr, path: &str) -> Result<Value, Failure> {
    parse(address, &text_at(address, path)?)
}

/// The same, as it stands there.
///
/// # Errors
/// No node answers there.
pub fn text_at(address: SocketAddr, path: &str) -> Result<String, Failure> {
    let answer = exchange(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"));
    answer.map(|(_, body)| body).map_err(|error| none(address, path, &error))
}

/// The same, where the node may just not be there.
///
/// # Errors
/// It does not answer.
pub fn try_get(address: SocketAddr, path: &str) -> io::Result<Value> {
    let (_, body) = exchange(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"))?;
    serde_json::from_str(&body).map_err(io::Error::other)
}

/// Orders something; the code and what it says.
///
/// # Errors
/// No node answers there.
pub fn post(address: SocketAddr, path: &str, token: &str, body: &str) -> Result<(u16, Value), Failure> {
    let bytes = body.len();
    let head = format!("POST {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: {bytes}\r\n\r\n");
    let (code, answer) = exchange(address, &(head + body)).map_err(|error| none(address, path, &error))?;
    Ok((code, parse(address, &answer)?))
}

fn exchange(address: SocketAddr, request: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok((code, body.to_owned()))
}

fn parse(address: SocketAddr, body: &str) -> Result<Value, Failure> {
    serde_json::from_str(body)
        .map_err(|error| Failure::new(Reason::Config, format!("what answers at {address} is no headworks node: {error}")))
}

fn none(address: SocketAddr, path: &str, error: &io::Error) -> Failure {
    Failure::new(
        Reason::Config,
        format!(
            "no node answers at http://{address}{path}: {error}; name its address with --http (the ready line and `[http] address` say it)"
        ),
    )
}
