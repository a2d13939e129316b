//! UDP listeners: bound, sized and measured, one alone or one for each lane on the same port.
//!
//! A group on one port shares it by SO_REUSEPORT, and the kernel gives each sender's packets to one member. The option
//! has a trap: any process of the same user may join a group that exists, and would silently take a part of its
//! packets. So the first member binds *without* the option, which fails if anybody holds the port, shared or not, and
//! sets it only then; there is no moment at which the port is free.
//!
//! It refuses to receive (the ring does) and to guess a buffer size: what was got stands in the listener.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

mod error;

pub(crate) use error::explain;
use error::explain_udp;
pub use error::{Cause, SocketError, Transport};

/// Most members of one group.
pub const GROUP_MAX: usize = 256;

/// How a UDP listener is to be.
#[derive(Clone, Copy, Debug)]
pub struct UdpSetup {
    /// Address and port; port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// Take trains of datagrams in one receive where the kernel has them together.
    pub gro: bool,
    /// Let [`udp_join`] add members to the port.
    pub reuse_port: bool,
    /// Receive buffer to ask for, in bytes as the kernel counts them (payload and its own bookkeeping).
    pub receive_buffer_bytes: usize,
    /// Stamp each arrival with the kernel's wall time.
    pub stamp: bool,
}

/// A bound UDP socket.
#[derive(Clone, Debug)]
pub struct UdpListener {
    /// The descriptor; put it in a ring's slot.
    pub fd: Arc<OwnedFd>,
    /// The address bound, with the port chosen.
    pub local: SocketAddr,
    /// The receive buffer that was got, as the kernel counts; less than asked where `net.core.rmem_max` limits it.
    pub receive_buffer_bytes: usize,
    /// Whether trains are taken.
    pub gro: bool,
}

/// A socket's receive queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketQueue {
    /// Memory that waiting packets take, as the kernel counts.
    pub bytes: u32,
    /// Packets that the kernel dropped for want of room, since the socket was made; a GRO train counts as one. Wraps.
    pub drops: u32,
}

/// Binds a listener. With `reuse_port` it is the first of a group; see [`udp_group`].
///
/// # Errors
/// The port is taken, forbidden, or not an address of this host; or what else the kernel says.
pub fn udp_listener(setup: &UdpSetup) -> Result<UdpListener, SocketError> {
    let socket = unbound(setup)?;
    bind(&socket, setup.address)?;
    if setup.reuse_port {
        // Only after the exclusive bind: see the module's header.
        socket.set_reuse_port(true).map_err(explain_udp(setup.address, "share the port"))?;
    }
    finish(socket, setup)
}

/// Binds one more member to the port of a listener that was made with `reuse_port`.
///
/// # Errors
/// As for [`udp_listener`].
pub fn udp_join(setup: &UdpSetup, first: &UdpListener) -> Result<UdpListener, SocketError> {
    let socket = unbound(setup)?;
    socket.set_reuse_port(true).map_err(explain_udp(first.local, "share the port"))?;
    bind(&socket, first.local)?;
    finish(socket, setup)
}

/// Binds `members` listeners to one port, in order: the kernel numbers a group in order of binding.
///
/// # Errors
/// As for [`udp_listener`]; then none is bound.
///
/// # Panics
/// When `members` is 0 or above [`GROUP_MAX`].
pub fn udp_group(setup: &UdpSetup, members: usize) -> Result<Vec<UdpListener>, SocketError> {
    assert!((1..=GROUP_MAX).contains(&members), "{members} listeners on one port, 1 to {GROUP_MAX} are possible");
    let setup = UdpSetup { reuse_port: members > 1 || setup.reuse_port, ..*setup };
    let mut group = vec![udp_listener(&setup)?];
    while group.len() < members {
        let member = udp_join(&setup, &group[0])?;
        group.push(member);
    }
    Ok(group)
}

fn unbound(setup: &UdpSetup) -> Result<Socket, SocketError> {
    let address = setup.address;
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).map_err(explain_udp(address, "make a UDP socket"))?;
    if let SocketAddr::V6(v6) = address {
        // The wildcard takes IPv4 too, whatever the host's default; any other address has no IPv4 side.
        socket.set_only_v6(!v6.ip().is_unspecified()).map_err(explain_udp(address, "set IPV6_V6ONLY"))?;
    }
    Ok(socket)
}

fn bind(socket: &Socket, address: SocketAddr) -> Result<(), SocketError> {
    socket.bind(&address.into()).map_err(explain_udp(address, "bind"))
}

fn finish(socket: Socket, setup: &UdpSetup) -> Result<UdpListener, SocketError> {
    let address = setup.address;
    enlarge(&socket, setup.receive_buffer_bytes).map_err(explain_udp(address, "set the receive buffer"))?;
    let receive_buffer_bytes = socket.recv_buffer_size().map_err(explain_udp(address, "read the receive buffer"))?;
    if setup.gro {
        set_flag(&socket, libc::SOL_UDP, libc::UDP_GRO).map_err(explain_udp(address, "switch on UDP_GRO"))?;
    }
    if setup.stamp {
        set_flag(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS).map_err(explain_udp(address, "switch on stamps"))?;
    }
    let local = socket.local_addr().map_err(explain_udp(address, "read the local address"))?;
    let local = local.as_socket().expect("a UDP socket has an internet address");
    Ok(UdpListener { fd: Arc::new(OwnedFd::from(socket)), local, receive_buffer_bytes, gro: setup.gro })
}

/// Asks past `net.core.rmem_max` first, which needs CAP_NET_ADMIN, then up to it. The kernel doubles what it is asked,
/// to cover its bookkeeping; `bytes` is meant after the doubling.
fn enlarge(socket: &Socket, bytes: usize) -> io::Result<()> {
    let half = libc::c_int::try_from(bytes / 2).map_err(|_| io::ErrorKind::InvalidInput)?;
    match set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, half) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, half),
        other => other,
    }
}

fn set_flag(socket: &impl AsFd, level: libc::c_int, name: libc::c_int) -> io::Result<()> {
    set_option(socket, level, name, 1)
}

/// Sets an option whose value is one integer, or a descriptor.
pub(crate) fn set_option(socket: &impl AsFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let bytes = libc::socklen_t::try_from(size_of_val(&value)).expect("an integer's size");
    // SAFETY: the value is readable for the length passed, and the descriptor is borrowed open.
    let result = unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw const value).cast(), bytes) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl UdpListener {
    /// What waits in the socket and what was dropped before it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn queue(&self) -> io::Result<SocketQueue> {
        const FIELDS: usize = 9;
        const RECEIVE_ALLOCATED: usize = libc::SK_MEMINFO_RMEM_ALLOC.unsigned_abs() as usize;
        const DROPS: usize = libc::SK_MEMINFO_DROPS.unsigned_abs() as usize;
        const _: () = assert!(RECEIVE_ALLOCATED < FIELDS && DROPS < FIELDS);
        let mut fields = [0u32; FIELDS];
        let mut bytes = libc::socklen_t::try_from(size_of_val(&fields)).expect("36 bytes");
        // SAFETY: `fields` is writable for `bytes` bytes, the kernel writes at most that many, and both live for the
        // length of the call; the descriptor is borrowed open.
        let result = unsafe {
            libc::getsockopt(self.fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, fields.as_mut_ptr().cast(), &raw mut bytes)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(SocketQueue { bytes: fields[RECEIVE_ALLOCATED], drops: fields[DROPS] })
    }
}

#[cfg(test)]
mod tests;
