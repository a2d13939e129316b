use std::net::SocketAddr;

use super::*;
use crate::completion::Token;
use crate::sockets::{UdpSetup, udp_listener};
use crate::testing::{RECEIVE, SOCKET, complete, loopback, receiver, send_train, sender, setup};

/// Receives `wanted` completions and returns each one's payload, recycling as it goes.
fn payloads(ring: &mut Ring, buffers: &mut ReceiveBuffers, wanted: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for completion in complete(ring, wanted) {
        all.push(buffers.datagram(&completion).unwrap().payload.to_vec());
        buffers.recycle(completion.buffer_id().unwrap());
    }
    buffers.publish();
    all
}

fn check_source(address: &str, target: impl Fn(SocketAddr) -> SocketAddr) {
    let listener = udp_listener(&UdpSetup { stamp: true, ..setup(address) }).unwrap();
    let (mut ring, mut buffers) = receiver(&listener, 8, 2048);
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    let sender = sender(target(listener.local));
    let before_ns = crate::Clock.realtime_ns();
    sender.send(b"hello").unwrap();
    sender.send(&[1; 2048]).unwrap();
    let completions = complete(&mut ring, 2);
    let first = buffers.datagram(&completions[0]).unwrap();
    assert_eq!(first.payload, b"hello");
    assert_eq!(first.source.socket_address(), sender.local_addr().unwrap());
    assert_eq!((first.segment_bytes, first.truncated, first.count()), (None, false, 1));
    let stamp_ns = first.stamp_ns.expect("the socket stamps");
    assert!(stamp_ns.abs_diff(before_ns) < 60_000_000_000, "stamp {stamp_ns}, sent after {before_ns}");
    let second = buffers.datagram(&completions[1]).unwrap();
    assert_eq!((second.payload.len(), second.truncated), (2048, false));
    assert_eq!(buffers.outstanding(), 2);
}

#[test]
fn ipv4_datagrams_arrive_with_source_and_stamp() {
    check_source("127.0.0.1:0", |local| local);
}

#[test]
fn ipv6_datagrams_arrive_with_source_and_stamp() {
    check_source("[::1]:0", |local| local);
}

#[test]
fn ipv4_senders_reach_the_ipv6_wildcard() {
    check_source("[::]:0", |local| SocketAddr::from(([127, 0, 0, 1], local.port())));
}

#[test]
fn a_train_is_one_receive_of_several_datagrams() {
    let listener = udp_listener(&UdpSetup { gro: true, ..setup("127.0.0.1:0") }).unwrap();
    let (mut ring, mut buffers) = receiver(&listener, 4, 65536);
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    let sender = sender(listener.local);
    let sent: Vec<u8> = (0..=250).cycle().take(40 * 1000 + 17).collect();
    send_train(&sender, &sent, 1000);
    let completion = complete(&mut ring, 1)[0];
    let received = buffers.datagram(&completion).unwrap();
    assert_eq!((received.segment_bytes, received.count()), (Some(1000), 41));
    assert_eq!(received.payload, sent);
    assert!(received.datagrams().eq(sent.chunks(1000)));
}

#[test]
fn without_buffers_the_receive_ends_and_goes_on_when_armed_again() {
    let listener = loopback();
    let (mut ring, mut buffers) = receiver(&listener, 4, 64);
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    ring.submit().unwrap();
    let sender = sender(listener.local);
    for number in 0..7u8 {
        sender.send(&[number]).unwrap();
    }
    let completions = complete(&mut ring, 5);
    assert!(completions[..4].iter().all(Completion::more));
    assert!(!completions[4].more());
    assert_eq!(buffers.datagram(&completions[4]).unwrap_err(), ReceiveError::OutOfBuffers);
    assert_eq!((ring.in_flight(), buffers.outstanding()), (0, 4));
    for completion in &completions[..4] {
        buffers.recycle(completion.buffer_id().unwrap());
    }
    buffers.publish();
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    assert_eq!(payloads(&mut ring, &mut buffers, 3), [[4], [5], [6]]);
    assert_eq!(buffers.outstanding(), 0);
}

#[test]
fn an_empty_datagram_arrives_and_ends_the_receive() {
    let listener = loopback();
    let (mut ring, mut buffers) = receiver(&listener, 4, 64);
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    let sender = sender(listener.local);
    sender.send(b"").unwrap();
    sender.send(b"next").unwrap();
    let completion = complete(&mut ring, 1)[0];
    let received = buffers.datagram(&completion).unwrap();
    assert_eq!((received.payload, received.count(), received.datagrams().count()), (&b""[..], 1, 1));
    assert!(!completion.more(), "the kernel takes 0 bytes for the end of a stream");
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    assert_eq!(payloads(&mut ring, &mut buffers, 1), [b"next"]);
}

#[test]
fn a_datagram_too_large_is_cut_and_says_so() {
    let listener = loopback();
    let (mut ring, mut buffers) = receiver(&listener, 4, 64);
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    sender(listener.local).send(&[9; 500]).unwrap();
    let completion = complete(&mut ring, 1)[0];
    let received = buffers.datagram(&completion).unwrap();
    assert_eq!((received.payload, received.truncated), (&[9; 64][..], true));
}

#[test]
fn buffers_go_round_past_the_counter_of_the_table() {
    let listener = loopback();
    let (mut ring, mut buffers) = receiver(&listener, 4, 64);
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    ring.submit().unwrap();
    let sender = sender(listener.local);
    for round in 0..(1u32 << 16) / 3 + 10 {
        for part in 0..3u8 {
            sender.send(&[&round.to_le_bytes()[..], &[part]].concat()).unwrap();
        }
        let got = payloads(&mut ring, &mut buffers, 3);
        let wanted = [0, 1, 2].map(|part| [&round.to_le_bytes()[..], &[part]].concat());
        assert_eq!(got, wanted, "round {round}");
    }
}

#[test]
fn two_groups_of_one_ring_keep_their_buffers_apart() {
    let (small, large) = (loopback(), loopback());
    let (mut ring, mut first) = receiver(&small, 4, 64);
    ring.set_file(crate::FileSlot(1), std::sync::Arc::clone(&large.fd)).unwrap();
    let mut second = ReceiveBuffers::new(&mut ring, 2, 8, 4096).unwrap();
    assert_eq!((first.payload_bytes_max(), second.payload_bytes_max()), (64, 4096));
    ring.receive(RECEIVE, SOCKET, &mut first).unwrap();
    ring.receive(Token(8), crate::FileSlot(1), &mut second).unwrap();
    sender(large.local).send(&[2; 3000]).unwrap();
    sender(small.local).send(&[1; 30]).unwrap();
    for completion in complete(&mut ring, 2) {
        let (buffers, wanted) = if completion.token == RECEIVE { (&first, 30) } else { (&second, 3000) };
        assert_eq!(buffers.datagram(&completion).unwrap().payload.len(), wanted);
    }
    assert_eq!((first.outstanding(), second.outstanding()), (1, 1));
    let taken = ReceiveBuffers::new(&mut ring, 2, 8, 4096).map(drop).unwrap_err();
    assert_eq!(taken.raw_os_error(), Some(libc::EEXIST));
}

/// A completion whose buffer has been recycled.
fn recycled() -> (Ring, ReceiveBuffers, Completion) {
    let listener = loopback();
    let (mut ring, mut buffers) = receiver(&listener, 4, 64);
    ring.receive(RECEIVE, SOCKET, &mut buffers).unwrap();
    sender(listener.local).send(b"once").unwrap();
    let completion = complete(&mut ring, 1)[0];
    buffers.recycle(completion.buffer_id().unwrap());
    (ring, buffers, completion)
}

#[test]
#[should_panic(expected = "is recycled but not ours")]
fn recycling_twice_is_a_bug() {
    let (_ring, mut buffers, completion) = recycled();
    buffers.recycle(completion.buffer_id().unwrap());
}

#[test]
#[should_panic(expected = "is read but not ours")]
fn reading_a_recycled_buffer_is_a_bug() {
    let (_ring, buffers, completion) = recycled();
    let _ = buffers.datagram(&completion);
}

#[test]
#[should_panic(expected = "is read but not ours")]
fn an_invented_completion_opens_no_buffer() {
    let listener = loopback();
    let (_ring, buffers) = receiver(&listener, 4, 64);
    let _ = buffers.datagram(&Completion { token: RECEIVE, result: 200, flags: 2 << 16 | 1 });
}
