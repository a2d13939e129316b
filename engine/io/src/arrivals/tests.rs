use super::*;
use crate::sockets::{UdpSetup, udp_group, udp_listener};
use crate::testing::{send_train, sender, setup};

/// `None`, with a word on the terminal, where this host forbids BPF.
fn attach(listener: &UdpListener) -> Option<ArrivalFilter> {
    match ArrivalFilter::attach(listener) {
        Ok(filter) => Some(filter),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            eprintln!("skipped: this host forbids BPF ({error})");
            None
        }
        Err(error) => panic!("attach: {error}"),
    }
}

/// Sends 5 datagrams alone and a train of 40, and expects each of the 45 in the count.
fn check(gro: bool, receive_buffer_bytes: usize, drops: bool) {
    let listener = udp_listener(&UdpSetup { gro, receive_buffer_bytes, ..setup("127.0.0.1:0") }).unwrap();
    let Some(filter) = attach(&listener) else { return };
    assert_eq!(filter.arrived(), 0);
    let sender = sender(listener.local);
    sender.send(b"").unwrap();
    for _ in 0..4 {
        sender.send(&[1; 900]).unwrap();
    }
    assert_eq!(filter.arrived(), 5);
    send_train(&sender, &[2; 39 * 1000 + 1], 1000);
    assert_eq!(filter.arrived(), 45, "gro {gro}, buffer {receive_buffer_bytes}");
    let queue = listener.queue().unwrap();
    assert_eq!(queue.drops > 0, drops, "{queue:?}");
}

#[test]
fn a_train_counts_as_its_datagrams_with_gro() {
    check(true, 4 << 20, false);
}

#[test]
fn a_train_counts_as_its_datagrams_without_gro() {
    check(false, 4 << 20, false);
}

#[test]
fn what_the_receive_buffer_cannot_hold_still_counts() {
    check(true, 8 << 10, true);
    check(false, 8 << 10, true);
}

#[test]
fn the_filter_keeps_every_byte() {
    let listener = udp_listener(&setup("127.0.0.1:0")).unwrap();
    let Some(_filter) = attach(&listener) else { return };
    let sent: Vec<u8> = (0..60_000u32).map(|number| number.to_le_bytes()[0]).collect();
    sender(listener.local).send(&sent).unwrap();
    let socket = std::net::UdpSocket::from(listener.fd.try_clone().unwrap());
    let mut received = vec![0; 65_536];
    let bytes = socket.recv(&mut received).unwrap();
    assert_eq!(received[..bytes], sent);
}

#[test]
fn each_member_of_a_group_has_its_own_count() {
    let group = udp_group(&setup("127.0.0.1:0"), 2).unwrap();
    let filters: Option<Vec<ArrivalFilter>> = group.iter().map(attach).collect();
    let Some(filters) = filters else { return };
    for _ in 0..100 {
        sender(group[0].local).send(b"x").unwrap();
    }
    let counts: Vec<u64> = filters.iter().map(ArrivalFilter::arrived).collect();
    assert_eq!(counts.iter().sum::<u64>(), 100, "{counts:?}");
}
