//! One GET, its whole answer. The appliance closes the connection when asked to, so the end of the stream is the end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for a connection and for each piece of the answer: a loaded machine answers late.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// The body of an answer with status 200.
///
/// # Errors
/// A sentence with the address, the path and what went wrong.
pub fn get(address: SocketAddr, path: &str) -> Result<String, String> {
    let explain = |error: std::io::Error| format!("GET http://{address}{path}: {error}");
    let mut stream = TcpStream::connect_timeout(&address, SILENCE_MAX).map_err(explain)?;
    stream.set_read_timeout(Some(SILENCE_MAX)).map_err(explain)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(explain)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(explain)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("GET http://{address}{path}: no head ends in {answer:?}"))?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("GET http://{address}{path}: {}", head.lines().next().unwrap_or_default()));
    }
    if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return unchunk(body).ok_or_else(|| format!("GET http://{address}{path}: its chunks do not end"));
    }
    Ok(body.to_owned())
}

/// A chunked body in one piece; none when it is cut.
fn unchunk(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..size)?);
        body = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined_and_a_cut_body_is_refused() {
        assert_eq!(unchunk("3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n").as_deref(), Some("abcde"));
        assert_eq!(unchunk("3\r\nab"), None);
        assert_eq!(unchunk("3\r\nabc\r\n"), None);
    }
}
