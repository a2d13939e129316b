use std::net::{TcpListener, TcpStream};

use super::*;
use crate::fatal::Reason;

#[track_caller]
fn check_busy(address: SocketAddr) {
    for members in [1, 2] {
        let error = tcp_group(address, members).map(drop).unwrap_err();
        assert_eq!(error.reason(), Reason::PortBusy, "{error}");
        assert!(error.to_string().contains("ss -tlnp"), "{error}");
    }
}

#[test]
fn a_taken_port_is_busy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    check_busy(taken.local_addr().unwrap());
}

#[test]
fn a_port_that_a_group_shares_is_busy_too() {
    let group = tcp_group("127.0.0.1:0".parse().unwrap(), 2).unwrap();
    check_busy(group[0].local);
}

#[test]
fn a_port_with_ended_connections_is_free_again() {
    let group = tcp_group("127.0.0.1:0".parse().unwrap(), 1).unwrap();
    let local = group[0].local;
    let client = TcpStream::connect(local).unwrap();
    // Closed from this side while the connection lives: it lingers in TIME_WAIT or dies, and either way keeps the port.
    drop(group);
    drop(client);
    tcp_group(local, 2).unwrap();
}

#[test]
fn every_member_of_a_group_is_given_connections() {
    let group = tcp_group("[::]:0".parse().unwrap(), 3).unwrap();
    assert!(group.iter().all(|member| member.local == group[0].local));
    let target = SocketAddr::from(([127, 0, 0, 1], group[0].local.port()));
    let clients: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(target).unwrap()).collect();
    let accepted = group.iter().map(|member| {
        let listener = TcpListener::from(member.fd.try_clone().unwrap());
        listener.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| listener.accept().ok()).count()
    });
    let accepted: Vec<usize> = accepted.collect();
    assert_eq!(accepted.iter().sum::<usize>(), clients.len(), "{accepted:?}");
    assert!(accepted.iter().all(|count| *count > 0), "{accepted:?}");
}
