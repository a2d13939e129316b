//! Why there is no listener, with what to type.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::fatal::Reason;

/// What a listener speaks below its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}

impl Transport {
    /// The letter by which `ss` chooses it.
    fn letter(self) -> char {
        match self {
            Transport::Udp => 'u',
            Transport::Tcp => 't',
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        })
    }
}

/// Why there is no listener. `Display` says the cause and what to do.
#[derive(Debug)]
pub struct SocketError {
    /// What was to be opened.
    pub transport: Transport,
    /// The address asked for.
    pub address: SocketAddr,
    /// What is in the way.
    pub cause: Cause,
}

/// What is in the way of a listener.
#[derive(Debug)]
pub enum Cause {
    /// Another socket holds the port.
    AddrInUse,
    /// This user may not bind there.
    Permission,
    /// The address is not one of this host's.
    AddrNotAvailable,
    /// Anything else.
    Os {
        /// What was tried.
        operation: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

pub(crate) fn explain_udp(address: SocketAddr, operation: &'static str) -> impl Fn(io::Error) -> SocketError {
    explain(Transport::Udp, address, operation)
}

pub(crate) fn explain(transport: Transport, address: SocketAddr, operation: &'static str) -> impl Fn(io::Error) -> SocketError {
    move |error| {
        let cause = match error.raw_os_error() {
            Some(libc::EADDRINUSE) => Cause::AddrInUse,
            Some(libc::EACCES | libc::EPERM) => Cause::Permission,
            Some(libc::EADDRNOTAVAIL) => Cause::AddrNotAvailable,
            _ => Cause::Os { operation, error },
        };
        SocketError { transport, address, cause }
    }
}

impl SocketError {
    /// The reason to exit with.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self.cause {
            Cause::AddrInUse => Reason::PortBusy,
            Cause::Permission => Reason::Permission,
            Cause::AddrNotAvailable => Reason::Config,
            Cause::Os { .. } => Reason::Kernel,
        }
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SocketError { transport, address, cause } = self;
        match cause {
            Cause::AddrInUse => {
                let (letter, port) = (transport.letter(), address.port());
                write!(f, "{transport} {address} is in use by another socket; `ss -{letter}lnp 'sport = :{port}'` names it")
            }
            Cause::Permission => write!(
                f,
                "{transport} {address} may not be bound by this user; low ports need CAP_NET_BIND_SERVICE, \
                 `sysctl net.ipv4.ip_unprivileged_port_start` says which are low"
            ),
            Cause::AddrNotAvailable => {
                write!(f, "{transport} {address} is not an address of this host; `ip -brief address` lists them")
            }
            Cause::Os { operation, error } => write!(f, "cannot {operation} for {transport} {address}: {error}"),
        }
    }
}

impl std::error::Error for SocketError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Os { error, .. } => Some(error),
            _ => None,
        }
    }
}
