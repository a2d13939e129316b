//! TCP listeners: bound and listening, one alone or one for each lane on the same port.
//!
//! A group shares its port as UDP's does (see [`sockets`](crate::sockets)), with the same care: the first member binds
//! without SO_REUSEPORT, so that a port which anybody holds is busy. A connection then belongs to one lane for its life.
//! SO_REUSEADDR lets a node start again while connections of its last run linger in TIME_WAIT; it shares nothing.
//!
//! It refuses to accept, which the ring does.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::received::Source;
use crate::sockets::{GROUP_MAX, SocketError, Transport, explain};

/// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A listening TCP socket.
#[derive(Clone, Debug)]
pub struct TcpAcceptor {
    /// The descriptor; put it in a ring's slot.
    pub fd: Arc<OwnedFd>,
    /// The address bound, with the port chosen.
    pub local: SocketAddr,
}

/// Binds `members` listeners to one port; port 0 lets the kernel choose.
///
/// # Errors
/// The port is taken, forbidden, or not an address of this host; or what else the kernel says. Then none is bound.
///
/// # Panics
/// When `members` is 0 or above [`GROUP_MAX`].
pub fn tcp_group(address: SocketAddr, members: usize) -> Result<Vec<TcpAcceptor>, SocketError> {
    assert!((1..=GROUP_MAX).contains(&members), "{members} listeners on one port, 1 to {GROUP_MAX} are possible");
    let explain = |operation| explain(Transport::Tcp, address, operation);
    let first = unbound(address)?;
    first.bind(&address.into()).map_err(explain("bind"))?;
    if members > 1 {
        first.set_reuse_port(true).map_err(explain("share the port"))?;
    }
    let mut group = vec![listen(first, address)?];
    while group.len() < members {
        let member = unbound(address)?;
        member.set_reuse_port(true).map_err(explain("share the port"))?;
        member.bind(&group[0].local.into()).map_err(explain("bind"))?;
        group.push(listen(member, address)?);
    }
    Ok(group)
}

fn unbound(address: SocketAddr) -> Result<Socket, SocketError> {
    let explain = |operation| explain(Transport::Tcp, address, operation);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).map_err(explain("make a TCP socket"))?;
    socket.set_reuse_address(true).map_err(explain("set SO_REUSEADDR"))?;
    if let SocketAddr::V6(v6) = address {
        // The wildcard takes IPv4 too, whatever the host's default; any other address has no IPv4 side.
        socket.set_only_v6(!v6.ip().is_unspecified()).map_err(explain("set IPV6_V6ONLY"))?;
    }
    Ok(socket)
}

fn listen(socket: Socket, address: SocketAddr) -> Result<TcpAcceptor, SocketError> {
    let explain = |operation| explain(Transport::Tcp, address, operation);
    socket.listen(BACKLOG).map_err(explain("listen"))?;
    let local = socket.local_addr().map_err(explain("read the local address"))?;
    let local = local.as_socket().expect("a TCP socket has an internet address");
    Ok(TcpAcceptor { fd: Arc::new(OwnedFd::from(socket)), local })
}

/// Who is at the other end of a connection; none when it is gone already. Switches the coalescing of small sends off on the
/// way: an acknowledgement is a whole message.
pub(crate) fn greet(connection: &OwnedFd) -> Option<Source> {
    let socket = SockRef::from(connection);
    let peer = socket.peer_addr().ok()?.as_socket()?;
    // Refused only by a connection that has ended, which its first receive will say.
    socket.set_tcp_nodelay(true).ok()?;
    let address = match peer {
        SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped().octets(),
        SocketAddr::V6(v6) => v6.ip().octets(),
    };
    Some(Source { address, port: peer.port() })
}

#[cfg(test)]
mod tests;
