//! Sending datagrams, and making some that can be told apart.

use super::random::Random;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// A socket on the loopback address of the target's family, connected to it.
pub fn source(target: SocketAddr) -> UdpSocket {
    let own: SocketAddr = if target.is_ipv4() { (Ipv4Addr::LOCALHOST, 0).into() } else { (Ipv6Addr::LOCALHOST, 0).into() };
    let socket = UdpSocket::bind(own).expect("a loopback port is free");
    socket.connect(target).expect("loopback has a route");
    socket
}

/// Sends each as one datagram.
pub fn send(socket: &UdpSocket, packets: &[Vec<u8>]) {
    for packet in packets {
        let sent = socket.send(packet).expect("loopback takes datagrams");
        assert_eq!(sent, packet.len(), "sent {sent} bytes of {}", packet.len());
    }
}

/// Random packets of these sizes.
pub fn of_sizes(random: &mut Random, sizes: &[usize]) -> Vec<Vec<u8>> {
    sizes.iter().map(|bytes| random.bytes(*bytes)).collect()
}

/// Packet `number` of `source`: its name in text, then filler up to `bytes`.
pub fn named(source: usize, number: usize, bytes: usize) -> Vec<u8> {
    let mut packet = format!("source {source:04} number {number:06} ").into_bytes();
    packet.resize(bytes.max(packet.len()), b'.');
    packet
}

/// Source and number of a packet made by [`named`].
pub fn name_of(packet: &[u8]) -> (usize, usize) {
    let text = String::from_utf8_lossy(packet);
    let words: Vec<&str> = text.split(' ').collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no named packet: {text}"));
    (number(1), number(3))
}
