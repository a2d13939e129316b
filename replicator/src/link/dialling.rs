//! A standby's connection of a lane, from the first try until it stands.

use super::connection::Connection;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

/// How long a try may take before the next.
const TRY_NS_MAX: u64 = 500_000_000;
/// How long to wait behind a try that failed.
const PAUSE_NS: u64 = 10_000_000;

/// A lane's dialling.
#[derive(Debug, Default)]
pub struct Dialling {
    under_way: Option<(Socket, u64)>,
    after_ns: u64,
}

impl Dialling {
    /// The last connection was of no use: the next try comes after a pause.
    pub fn pause(&mut self, now_ns: u64) {
        (self.under_way, self.after_ns) = (None, now_ns + PAUSE_NS);
    }

    /// The descriptor of a try under way: writable once it has ended.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.under_way.as_ref().map(|(socket, _)| socket.as_fd())
    }

    /// Goes on; the connection, once it stands.
    pub fn step(&mut self, address: SocketAddr, now_ns: u64) -> Option<Connection> {
        if self.under_way.is_none() && now_ns >= self.after_ns {
            match begin(address) {
                Ok(socket) => self.under_way = Some((socket, now_ns)),
                Err(_) => self.after_ns = now_ns + PAUSE_NS,
            }
        }
        let (socket, since_ns) = self.under_way.as_ref()?;
        let is_late = now_ns.saturating_sub(*since_ns) > TRY_NS_MAX;
        let stands = match socket.take_error() {
            Ok(None) => socket.peer_addr().is_ok(),
            Ok(Some(_)) | Err(_) => {
                self.pause(now_ns);
                return None;
            }
        };
        if !stands {
            if is_late {
                self.pause(now_ns);
            }
            return None;
        }
        let (socket, _) = self.under_way.take()?;
        self.after_ns = now_ns + PAUSE_NS;
        Connection::new(TcpStream::from(socket)).ok()
    }
}

fn begin(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::from(address)) {
        Ok(()) => Ok(socket),
        Err(error) if error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(nix::libc::EINPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}
