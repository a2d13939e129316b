use std::net::UdpSocket;

use super::error::Cause;
use super::*;
use crate::fatal::Reason;
use crate::testing::{loopback, sender, setup};

fn at(address: SocketAddr, reuse_port: bool) -> UdpSetup {
    UdpSetup { address, reuse_port, ..setup("127.0.0.1:0") }
}

#[track_caller]
fn check_busy(setup: &UdpSetup) {
    let error = udp_listener(setup).map(drop).unwrap_err();
    assert!(matches!(error, SocketError { cause: Cause::AddrInUse, .. }), "{error}");
    assert_eq!(error.reason(), Reason::PortBusy);
    assert!(error.to_string().contains("ss -ulnp"), "{error}");
}

#[test]
fn a_taken_port_is_busy() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    for reuse_port in [false, true] {
        check_busy(&at(taken.local_addr().unwrap(), reuse_port));
    }
}

#[test]
fn a_port_that_others_share_is_busy_too() {
    let group = udp_group(&setup("127.0.0.1:0"), 2).unwrap();
    for reuse_port in [false, true] {
        check_busy(&at(group[0].local, reuse_port));
    }
}

#[test]
fn a_port_is_free_again_when_its_group_is_gone() {
    let group = udp_group(&setup("127.0.0.1:0"), 3).unwrap();
    let local = group[0].local;
    drop(group);
    udp_listener(&at(local, true)).unwrap();
}

#[test]
fn a_listener_that_does_not_share_is_not_joined() {
    let alone = loopback();
    let error = udp_join(&at(alone.local, true), &alone).map(drop).unwrap_err();
    assert!(matches!(error, SocketError { cause: Cause::AddrInUse, .. }), "{error}");
}

/// Many senders to one port: every packet reaches some member, and each member gets some.
fn check_group(address: &str, target: &str) {
    let members = 3;
    let group = udp_group(&setup(address), members).unwrap();
    assert!(group.iter().all(|member| member.local == group[0].local));
    let target: SocketAddr = target.parse().unwrap();
    let target = SocketAddr::new(target.ip(), group[0].local.port());
    for _ in 0..200 {
        sender(target).send(b"x").unwrap();
    }
    let mut counts = Vec::new();
    for member in &group {
        let socket = UdpSocket::from(member.fd.try_clone().unwrap());
        socket.set_nonblocking(true).unwrap();
        let mut count = 0;
        while socket.recv(&mut [0; 8]).is_ok() {
            count += 1;
        }
        counts.push(count);
    }
    assert_eq!(counts.iter().sum::<u32>(), 200, "{counts:?}");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn a_group_shares_an_ipv4_port() {
    check_group("127.0.0.1:0", "127.0.0.1:0");
}

#[test]
fn a_group_shares_an_ipv6_port() {
    check_group("[::1]:0", "[::1]:0");
}

#[test]
fn a_group_shares_the_wildcard() {
    check_group("0.0.0.0:0", "127.0.0.1:0");
    check_group("[::]:0", "127.0.0.1:0");
}

#[test]
fn one_sender_stays_with_one_member() {
    let group = udp_group(&setup("127.0.0.1:0"), 4).unwrap();
    let sender = sender(group[0].local);
    for _ in 0..50 {
        sender.send(b"x").unwrap();
    }
    let busy = group.iter().filter(|member| member.queue().unwrap().bytes > 0).count();
    assert_eq!(busy, 1);
}

#[test]
fn the_queue_tells_what_waits_and_what_was_dropped() {
    let listener = udp_listener(&UdpSetup { receive_buffer_bytes: 16 << 10, ..setup("127.0.0.1:0") }).unwrap();
    assert_eq!(listener.queue().unwrap(), SocketQueue { bytes: 0, drops: 0 });
    let sender = sender(listener.local);
    for _ in 0..200 {
        sender.send(&[0; 1000]).unwrap();
    }
    let queue = listener.queue().unwrap();
    assert!(queue.bytes > 0 && queue.drops > 0 && queue.drops < 200, "{queue:?}");
}

#[test]
fn the_receive_buffer_that_was_got_is_told() {
    let listener = udp_listener(&UdpSetup { receive_buffer_bytes: 1 << 20, ..setup("127.0.0.1:0") }).unwrap();
    assert_eq!(listener.receive_buffer_bytes, 1 << 20);
}

#[test]
fn an_address_of_another_host_is_a_configuration_error() {
    let error = udp_listener(&setup("192.0.2.1:0")).map(drop).unwrap_err();
    assert_eq!(error.reason(), Reason::Config, "{error}");
}

#[test]
fn a_forbidden_port_is_a_permission_error() {
    let address = "127.0.0.1:53".parse().unwrap();
    let error = explain_udp(address, "bind")(io::Error::from_raw_os_error(libc::EACCES));
    assert_eq!(error.reason(), Reason::Permission);
    assert!(error.to_string().contains("CAP_NET_BIND_SERVICE"), "{error}");
}
