use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::acceptors::tcp_group;
use crate::setup::Optional;
use crate::testing::{SOCKET, complete, ring};

const ACCEPT: Token = Token(3);

/// A ring that accepts, four places, and the address to connect to.
fn accepting(buffers: u16) -> (Ring, ReceiveBuffers, std::net::SocketAddr) {
    let listener = tcp_group("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
    let mut ring = ring(Optional::ALL);
    ring.set_file(SOCKET, std::sync::Arc::clone(&listener.fd)).unwrap();
    ring.register_connections(4);
    let buffers = ReceiveBuffers::new(&mut ring, 1, buffers, 64).unwrap();
    ring.accept(ACCEPT, SOCKET).unwrap();
    (ring, buffers, listener.local)
}

/// A client and the place that its connection was given.
fn connect(ring: &mut Ring, buffers: &mut ReceiveBuffers, address: std::net::SocketAddr, slot: u32) -> (TcpStream, ConnectionSlot) {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let completion = complete(ring, 1)[0];
    assert_eq!((completion.token, completion.more()), (ACCEPT, true));
    let accepted = ring.accepted().expect("the completion brought it");
    assert_eq!(accepted.source.unwrap().socket_address(), client.local_addr().unwrap());
    assert!(ring.accepted().is_none());
    let slot = ConnectionSlot(slot);
    ring.open(slot, accepted);
    assert!(ring.receive_from(slot, buffers));
    (client, slot)
}

/// The next bytes of a connection; recycles their buffer.
#[track_caller]
fn check_received(ring: &mut Ring, buffers: &mut ReceiveBuffers, slot: ConnectionSlot, wanted: &[u8]) -> Completion {
    let completion = complete(ring, 1)[0];
    assert_eq!(completion.token.connection(), Some((slot, Way::Received)));
    assert_eq!(completion.count().unwrap() as usize, wanted.len(), "{completion:?}");
    assert_eq!(buffers.bytes(&completion).unwrap_or_default(), wanted);
    if let Some(buffer) = completion.buffer_id() {
        buffers.recycle(buffer);
        buffers.publish();
    }
    completion
}

#[test]
fn what_two_clients_send_arrives_by_place_and_ends_with_nothing() {
    let (mut ring, mut buffers, address) = accepting(4);
    let (mut one, first) = connect(&mut ring, &mut buffers, address, 2);
    let (mut two, second) = connect(&mut ring, &mut buffers, address, 0);
    two.write_all(b"second").unwrap();
    assert!(check_received(&mut ring, &mut buffers, second, b"second").more());
    one.write_all(b"first").unwrap();
    assert!(check_received(&mut ring, &mut buffers, first, b"first").more());
    drop(one);
    assert!(!check_received(&mut ring, &mut buffers, first, b"").more());
    assert!(!ring.is_in_flight(first));
    ring.close(first);
    // The place is free again, and the other connection goes on.
    let (mut three, again) = connect(&mut ring, &mut buffers, address, 2);
    three.write_all(b"third").unwrap();
    check_received(&mut ring, &mut buffers, again, b"third");
}

#[test]
fn what_is_sent_arrives_and_one_send_is_under_way_at_a_time() {
    let (mut ring, mut buffers, address) = accepting(4);
    let (mut client, slot) = connect(&mut ring, &mut buffers, address, 1);
    assert!(ring.send_to(slot, b"hello"));
    assert!(!ring.send_to(slot, b"too early"));
    let completion = complete(&mut ring, 1)[0];
    assert_eq!((completion.token.connection(), completion.result), (Some((slot, Way::Sent)), 5));
    assert!(ring.send_to(slot, b" again"));
    complete(&mut ring, 1);
    let mut text = [0; 11];
    client.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello again");
}

#[test]
fn shutting_a_silent_connection_ends_its_receive() {
    let (mut ring, mut buffers, address) = accepting(4);
    let (mut client, slot) = connect(&mut ring, &mut buffers, address, 1);
    ring.shut(slot, Shutdown::Both).unwrap();
    assert!(!check_received(&mut ring, &mut buffers, slot, b"").more());
    ring.close(slot);
    assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
#[should_panic(expected = "receiving true, sending false")]
fn a_connection_that_receives_is_not_closed() {
    let (mut ring, mut buffers, address) = accepting(4);
    let (_client, slot) = connect(&mut ring, &mut buffers, address, 1);
    ring.close(slot);
}

#[test]
fn without_buffers_a_receive_ends_and_nothing_is_lost() {
    let (mut ring, mut buffers, address) = accepting(1);
    let (mut client, slot) = connect(&mut ring, &mut buffers, address, 0);
    client.write_all(&[b'a'; 64]).unwrap();
    let first = complete(&mut ring, 1)[0];
    let taken = first.count().unwrap() as usize;
    client.write_all(&[b'b'; 64]).unwrap();
    let ended = complete(&mut ring, 1)[0];
    assert_eq!((ended.errno(), ended.more(), ring.is_in_flight(slot)), (Some(libc::ENOBUFS), false, false));
    buffers.recycle(first.buffer_id().unwrap());
    buffers.publish();
    assert!(ring.receive_from(slot, &mut buffers));
    let mut received = taken;
    while received < 128 {
        let completion = complete(&mut ring, 1)[0];
        received += completion.count().map_or(0, |count| count as usize);
        if let Some(buffer) = completion.buffer_id() {
            buffers.recycle(buffer);
            buffers.publish();
        }
        if !completion.more() {
            assert!(ring.receive_from(slot, &mut buffers));
        }
    }
    assert_eq!(received, 128);
}

#[test]
fn tokens_of_connections_are_told_from_others() {
    for slot in [0, 1, u32::MAX].map(ConnectionSlot) {
        assert_eq!(Token::of(slot, RECEIVE).connection(), Some((slot, Way::Received)));
        assert_eq!(Token::of(slot, SEND).connection(), Some((slot, Way::Sent)));
    }
    for other in [0, 1, u64::MAX, RECEIVE, SEND, (RECEIVE + 1) << TAG_SHIFT] {
        assert_eq!(Token(other).connection(), None, "{other:#x}");
    }
}
