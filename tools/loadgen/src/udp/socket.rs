//! One source's socket: connected, so that the kernel's refusals come back, and told to hide none.
//!
//! A UDP send that the device queue drops returns success unless the socket asks for errors
//! (`IP_RECVERR`; Linux, `net/ipv4/udp.c`, `udp_send_skb`), so every socket here asks: what the kernel
//! refused must not count as sent. A send that would block returns EAGAIN after a tenth of a second
//! rather than hold the loop, so signals and the end of the run are seen.
//!
//! For trains the segment size is set once on the socket (`UDP_SEGMENT`), so a train is one plain
//! `send` without control messages: the kernel cuts it into datagrams of that size.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

#[cfg(test)]
mod tests;

/// Longest time one send may hold the loop.
const SEND_TIME_MAX: Duration = Duration::from_millis(100);

/// Send buffer asked for; the kernel grants what its limit allows.
const SEND_BUFFER_BYTES: usize = 4 << 20;

/// How packets leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// One datagram a call.
    Single,
    /// Up to 64 datagrams a call, cut by the kernel or the device.
    Trains,
}

/// A socket of its own source port, connected to the target.
///
/// # Errors
/// A sentence that names the step that failed, and what the system said.
pub fn open(target: SocketAddr, way: Way, size: usize) -> Result<UdpSocket, String> {
    let fails = |step: &'static str| move |error: std::io::Error| format!("cannot {step} a UDP socket for {target}: {error}");
    let socket = Socket::new(Domain::for_address(target), Type::DGRAM, Some(Protocol::UDP)).map_err(fails("open"))?;
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    socket.bind(&any.into()).map_err(fails("bind"))?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES).map_err(fails("size"))?;
    socket.set_write_timeout(Some(SEND_TIME_MAX)).map_err(fails("limit"))?;
    match target {
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true),
        SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true),
    }
    .map_err(|errno| fails("ask for the errors of")(errno.into()))?;
    if way == Way::Trains {
        let size = i32::try_from(size).expect("65,507 at most");
        setsockopt(&socket, sockopt::UdpGsoSegment, &size).map_err(|errno| fails("set segmentation offload on")(errno.into()))?;
    }
    socket.connect(&target.into()).map_err(fails("connect"))?;
    Ok(socket.into())
}
