use std::net::TcpListener;
use std::thread;

use super::*;

/// What `fetch` makes of a server that says these bytes and closes.
fn fetched(answer: &'static [u8]) -> (Result<Vec<u8>, HttpError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut byte = [0; 1];
        while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            asked.push(byte[0]);
        }
        stream.write_all(answer).unwrap();
        String::from_utf8(asked).unwrap()
    });
    let body = fetch(&address, "/api/v1/ledger");
    (body, server.join().unwrap())
}

/// The answer is this body, or is refused with these words.
#[track_caller]
fn check(answer: &'static [u8], expected: Result<&str, &str>) {
    match (fetched(answer).0, expected) {
        (Ok(body), Ok(wanted)) => assert_eq!(String::from_utf8(body).unwrap(), wanted),
        (Err(error), Err(words)) => {
            assert!(error.to_string().contains(words), "{error} lacks {words:?}");
        }
        (body, expected) => panic!("got {body:?}, expected {expected:?}"),
    }
}

#[test]
fn the_request_is_a_plain_get() {
    let (_, asked) = fetched(b"HTTP/1.0 200 OK\r\n\r\n");
    assert!(asked.starts_with("GET /api/v1/ledger HTTP/1.0\r\nHost: 127.0.0.1:"), "{asked}");
}

#[test]
fn a_body_ends_with_its_length_or_with_the_connection() {
    check(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", Ok("{}"));
    check(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}tail", Ok("{}"));
    check(b"HTTP/1.0 200\r\n\r\nall of it", Ok("all of it"));
}

#[test]
fn any_other_status_is_told() {
    check(b"HTTP/1.1 503 Service Unavailable\r\n\r\nno", Err("503 Service Unavailable"));
    check(b"HTTP/1.1 2000 Odd\r\n\r\n", Err("2000 Odd"));
}

#[test]
fn what_is_not_http_or_not_whole_is_refused() {
    check(b"", Err("no end of the head"));
    check(b"SSH-2.0-x\r\n\r\n", Err("no status line"));
    check(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", Err("shorter than stated"));
    check(b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n{}", Err("no number"));
}

#[test]
fn nobody_listening_is_an_error() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = fetch(&unused.to_string(), "/").unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
}
