//! What the tests of several modules need: loopback sockets, trains, rings that wait, directories that go away.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use crate::{Completion, FileSlot, Optional, ReceiveBuffers, Ring, RingSetup, Token, UdpListener, UdpSetup, sockets, udp_listener};

/// The kernel's number for "cut what I send into datagrams of this size".
const UDP_SEGMENT: libc::c_int = 103;

/// Longest time that a test waits for what must come; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const RECEIVE: Token = Token(7);
pub(crate) const SOCKET: FileSlot = FileSlot(0);

pub(crate) fn setup(address: &str) -> UdpSetup {
    UdpSetup { address: address.parse().unwrap(), gro: false, reuse_port: false, receive_buffer_bytes: 4 << 20, stamp: false }
}

pub(crate) fn loopback() -> UdpListener {
    udp_listener(&setup("127.0.0.1:0")).unwrap()
}

pub(crate) fn ring(optional: Optional) -> Ring {
    let mut ring = Ring::with_optional(&RingSetup { sq_entries: 8, cq_entries: 256 }, optional).unwrap();
    ring.register_files(4).unwrap();
    ring
}

/// A ring whose slot `SOCKET` is the listener, and a group of buffers; nothing is armed.
pub(crate) fn receiver(listener: &UdpListener, entries: u16, buffer_bytes: u32) -> (Ring, ReceiveBuffers) {
    let mut ring = ring(Optional::ALL);
    ring.set_file(SOCKET, Arc::clone(&listener.fd)).unwrap();
    let buffers = ReceiveBuffers::new(&mut ring, 1, entries, buffer_bytes).unwrap();
    (ring, buffers)
}

pub(crate) fn sender(target: SocketAddr) -> UdpSocket {
    let any = if target.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect(target).unwrap();
    socket
}

/// Sends the payload in one call, as a train of datagrams of `segment_bytes`.
pub(crate) fn send_train(socket: &UdpSocket, payload: &[u8], segment_bytes: u16) {
    sockets::set_option(socket, libc::SOL_UDP, UDP_SEGMENT, i32::from(segment_bytes)).unwrap();
    assert_eq!(socket.send(payload).unwrap(), payload.len());
    sockets::set_option(socket, libc::SOL_UDP, UDP_SEGMENT, 0).unwrap();
}

/// Submits, then waits until `wanted` completions have been reaped.
pub(crate) fn complete(ring: &mut Ring, wanted: usize) -> Vec<Completion> {
    let mut all = Vec::new();
    let mut out = [Completion::default(); 32];
    while all.len() < wanted {
        ring.wait(Some(PATIENCE)).unwrap();
        let room = out.len().min(wanted - all.len());
        let count = ring.reap(&mut out[..room]);
        assert!(count > 0, "{} of {wanted} completions came: {all:?}", all.len());
        all.extend_from_slice(&out[..count]);
    }
    all
}

/// A directory that is gone when dropped.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}
