use std::net::TcpListener;
use std::thread;

use kafka_protocol::messages::MetadataRequest;

use super::*;
use crate::kafka::stub::Stub;

/// A server that answers the first question with these bytes makes opening fail with these words.
#[track_caller]
fn check(answer: &'static [u8], words: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut asked = vec![0; usize::try_from(i32::from_be_bytes(length)).unwrap()];
        stream.read_exact(&mut asked).unwrap();
        stream.write_all(answer).unwrap();
    });
    let error = Connection::open(&address).unwrap_err().to_string();
    server.join().unwrap();
    assert!(error.contains(words), "{error} lacks {words:?}");
    assert!(error.contains(&address), "{error} does not say which server");
}

#[test]
fn the_highest_common_versions_are_used() {
    for (highest, expected) in [([4, 1, 4], [4, 1, 4]), ([12, 7, 12], [8, 5, 11]), ([5, 2, 10], [5, 2, 10])] {
        let address = Stub { highest, ..Stub::default() }.serve();
        let mut connection = Connection::open(&address).unwrap();
        let keys = [ApiKey::Metadata, ApiKey::ListOffsets, ApiKey::Fetch];
        assert_eq!(keys.map(|key| connection.versions[&(key as i16)]), expected);
        let answer = connection.ask(&MetadataRequest::default()).unwrap();
        assert_eq!(answer.brokers.len(), 1, "with {highest:?}");
    }
}

#[test]
fn a_server_too_old_is_refused_by_name() {
    let address = Stub { highest: [3, 1, 4], ..Stub::default() }.serve();
    let error = Connection::open(&address).unwrap_err().to_string();
    assert!(error.contains("Metadata 0 to 3 there, 4 to 8 here"), "{error}");
}

#[test]
fn answers_that_are_none_are_refused() {
    check(b"", "fill whole buffer");
    check(&[0xFF, 0xFF, 0xFF, 0xFF], "an answer of -1 bytes");
    check(&[0x7F, 0, 0, 0], "at most");
    check(&[0, 0, 0, 2, 0, 0], "ApiVersions v0");
    check(&[0, 0, 0, 4, 0, 0, 0, 9], "answers question 9, not 1");
    check(&[0, 0, 0, 10, 0, 0, 0, 1, 0, 35, 0, 0, 0, 0], "UnsupportedVersion (35)");
    check(&[0, 0, 0, 11, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9], "1 bytes left over");
    check(&[0, 0, 0, 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], "none in common");
}

#[test]
fn a_connection_broken_off_is_an_error() {
    let address = Stub { closes_at: Some(1), ..Stub::default() }.serve();
    let mut connection = Connection::open(&address).unwrap();
    let error = connection.ask(&MetadataRequest::default()).unwrap_err().to_string();
    assert!(error.starts_with(&address), "{error}");
}
