//! Ports that are opened when the node leads are settled when it starts: port 0 is picked then, and said.

use crate::config::{Config, Listener, ListenerKind};
use crate::node::failure::Failure;
use crate::node::sockets::Servers;
use headworks_io::fatal::Reason;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// The configuration with a port for each address, and as settings those that were picked: they stay when the process starts over.
///
/// # Errors
/// An address of which no port can be had.
pub fn settle(config: &Config, servers: &Servers, pair: &TcpListener) -> Result<(Config, Vec<String>), Failure> {
    let mut config = config.clone();
    let mut settled = Vec::new();
    for listener in config.listeners.iter_mut().filter(|listener| listener.address.port() == 0) {
        listener.address = pick(listener)?;
        settled.push(format!("listener.{}.address={}", listener.name, listener.address));
    }
    for (key, address, bound) in
        [("kafka.address", &mut config.kafka.address, &servers.kafka), ("http.address", &mut config.http.address, &servers.http)]
    {
        if address.port() == 0 {
            *address = local(bound)?;
            settled.push(format!("{key}={address}"));
        }
    }
    if config.pair.as_ref().is_some_and(|pair| pair.listen.port() == 0) {
        settled.push(format!("pair.listen={}", local(pair)?));
    }
    Ok((config, settled))
}

fn local(socket: &TcpListener) -> Result<SocketAddr, Failure> {
    socket.local_addr().map_err(|error| Failure::new(Reason::Kernel, format!("a bound socket has no address: {error}")))
}

fn pick(listener: &Listener) -> Result<SocketAddr, Failure> {
    let picked = match listener.kind {
        ListenerKind::Udp => UdpSocket::bind(listener.address).and_then(|socket| socket.local_addr()),
        ListenerKind::Tcp => TcpListener::bind(listener.address).and_then(|socket| socket.local_addr()),
    };
    picked.map_err(|error| {
        Failure::new(Reason::Config, format!("listener {}: no port of {} is to be had: {error}", listener.name, listener.address.ip()))
    })
}
