//! Every socket of a node. Those of clients that read and ask are open from the start; those of senders once the node leads:
//! bound for all lanes at once, then dealt out.
//!
//! A killed node's ports are not free at once: its rings hold its sockets, and the kernel takes rings down after the process
//! itself is gone (io_uring's exit work; tens of milliseconds). A supervisor may start the next one sooner. So a port that is
//! busy is asked for again for a moment before it counts as taken by somebody else.

use super::failure::Failure;
use super::observe::ListenerBook;
use super::preflight::{self, Warning};
use crate::config::{AckLevel, Config, Framing, Key, Listener, ListenerKind, Stream};
use headworks_format::PartitionId;
use headworks_gateway::http::report::ListenerStatus;
use headworks_ingest::tcp::acks::Level;
use headworks_ingest::tcp::edge::ListenTcp;
use headworks_ingest::tcp::end::Tally;
use headworks_ingest::tcp::framing;
use headworks_ingest::udp::Listen;
use headworks_io::fatal::Reason;
use headworks_io::{ArrivalFilter, Clock, TcpAcceptor, UdpListener, UdpSetup, tcp_group, udp_group};
use headworks_ledger::Book;
use headworks_log::LaneView;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a port may be busy before somebody else has it.
const BUSY_MAX: Duration = Duration::from_secs(1);
/// Between two attempts.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Where clients come in.
pub struct Servers {
    /// The Kafka listener.
    pub kafka: TcpListener,
    /// The HTTP listener.
    pub http: TcpListener,
}

impl Servers {
    /// Binds both.
    ///
    /// # Errors
    /// A port that cannot be had, with its name and what to do.
    pub fn bind(config: &Config) -> Result<Servers, Failure> {
        Ok(Servers {
            kafka: server(config.kafka.address, "kafka", "--set kafka.address=HOST:PORT")?,
            http: server(config.http.address, "http", "--set http.address=HOST:PORT")?,
        })
    }

    fn status(&self) -> Result<Vec<ListenerStatus>, Failure> {
        let server = |(kind, server): (&str, &TcpListener)| {
            let address = server.local_addr();
            let address = address.map_err(|error| Failure::new(Reason::Kernel, format!("a bound socket has no address: {error}")))?;
            Ok(ListenerStatus { name: kind.into(), kind: kind.into(), address: address.to_string(), stream: None })
        };
        [("kafka", &self.kafka), ("http", &self.http)].into_iter().map(server).collect()
    }
}

/// Where senders come in.
pub struct Sockets {
    /// One group for each configured listener, in their order.
    groups: Vec<Group>,
    /// When all were bound, in ns since 1970.
    pub bound_ns: u64,
}

/// A listener's sockets, one for each lane.
enum Group {
    Udp(Vec<UdpListener>),
    Tcp(Vec<TcpAcceptor>),
}

impl Group {
    fn local(&self) -> SocketAddr {
        match self {
            Group::Udp(group) => group[0].local,
            Group::Tcp(group) => group[0].local,
        }
    }
}

/// What one lane listens on.
#[derive(Default)]
pub struct OfLane {
    /// UDP.
    pub udp: Vec<Listen>,
    /// TCP.
    pub tcp: Vec<ListenTcp>,
}

impl Sockets {
    /// Binds everything, for so many lanes.
    ///
    /// # Errors
    /// A port that cannot be had, with its name and what to do.
    pub fn bind(config: &Config, lanes: u32, warnings: &mut Vec<Warning>) -> Result<Sockets, Failure> {
        let groups = config.listeners.iter().map(|listener| group(config, listener, lanes as usize, warnings)).collect::<Result<_, _>>()?;
        Ok(Sockets { groups, bound_ns: Clock.realtime_ns() })
    }

    /// The configuration with the addresses that were bound: where a port was to be picked, the picked one.
    #[must_use]
    pub fn bound(&self, config: &Config) -> Config {
        let mut bound = config.clone();
        bound.listeners.iter_mut().zip(&self.groups).for_each(|(listener, group)| listener.address = group.local());
        bound
    }

    /// The sockets of one lane, each with its books.
    ///
    /// # Errors
    /// A listener that names a stream which is not there.
    pub fn of_lane(
        &self,
        config: &Config,
        lane: usize,
        view: &LaneView,
        books: &mut Vec<ListenerBook>,
        warnings: &mut Vec<Warning>,
    ) -> Result<OfLane, Failure> {
        let mut of_lane = OfLane::default();
        for (listener, group) in config.listeners.iter().zip(&self.groups) {
            let stream = stream_of(config, listener).ok_or_else(|| {
                let text = format!("listener {} names stream {}, which is not configured", listener.name, listener.stream);
                Failure::new(Reason::Config, text)
            })?;
            let partition = partition_of(view, &stream.name);
            let (clerk, book) = Book::open();
            let tally = matches!(group, Group::Tcp(_)).then(Arc::<Tally>::default);
            let names = (listener.name.clone(), stream.name.clone());
            books.push(ListenerBook { listener: names.0, stream: names.1, lane: view.lane.0, book, tally: tally.clone() });
            let (key_source, receive_time) = (stream.key == Key::Source, stream.receive_time);
            match group {
                Group::Udp(group) => {
                    let socket = group[lane].clone();
                    let filter = ArrivalFilter::attach(&socket);
                    if let (Err(error), 0) = (&filter, lane) {
                        warnings.push(preflight::inexact(&listener.name, error));
                    }
                    of_lane.udp.push(Listen { socket, filter: filter.ok(), partition, key_source, receive_time, clerk });
                }
                Group::Tcp(group) => of_lane.tcp.push(ListenTcp {
                    name: listener.name.clone(),
                    acceptor: group[lane].clone(),
                    framing: match listener.framing {
                        Framing::Length => framing::Framing::Length,
                        Framing::Newline => framing::Framing::Newline,
                    },
                    record_bytes_max: u32::try_from(listener.record_bytes_max).expect("at most 1 MiB"),
                    ack: listener.ack.then(|| level(stream.ack)),
                    connections_max: listener.connections_max,
                    idle_ns_max: listener.idle_ns_max,
                    partition,
                    key_source,
                    receive_time,
                    clerk,
                    tally: tally.expect("made above"),
                }),
            }
        }
        Ok(of_lane)
    }
}

/// What is open, or will be once the node leads, for whoever asks.
///
/// # Errors
/// A bound socket without an address.
pub fn status(config: &Config, servers: &Servers) -> Result<Vec<ListenerStatus>, Failure> {
    let listeners = config.listeners.iter().map(|listener| ListenerStatus {
        name: listener.name.clone(),
        kind: kind(listener.kind).into(),
        address: listener.address.to_string(),
        stream: Some(listener.stream.clone()),
    });
    Ok(listeners.chain(servers.status()?).collect())
}

/// What the ready line calls it.
fn kind(kind: ListenerKind) -> &'static str {
    match kind {
        ListenerKind::Udp => "udp",
        ListenerKind::Tcp => "tcp",
    }
}

/// When a record counts as stored.
fn level(ack: AckLevel) -> Level {
    match ack {
        AckLevel::None => Level::Received,
        AckLevel::Disk => Level::Durable,
        AckLevel::PeerMemory => Level::PeerMemory,
        AckLevel::PeerDisk => Level::Committed,
    }
}

fn stream_of<'c>(config: &'c Config, listener: &Listener) -> Option<&'c Stream> {
    config.streams.iter().find(|stream| stream.name == listener.stream)
}

fn partition_of(view: &LaneView, stream: &str) -> PartitionId {
    let partition = view.partitions.iter().find(|partition| partition.stream == stream);
    partition.expect("the catalog gave every stream a partition in every lane").id
}

fn group(config: &Config, listener: &Listener, lanes: usize, warnings: &mut Vec<Warning>) -> Result<Group, Failure> {
    if listener.kind == ListenerKind::Tcp {
        return Ok(Group::Tcp(patiently(|| Ok(tcp_group(listener.address, lanes)?))?));
    }
    let setup = UdpSetup {
        address: listener.address,
        gro: listener.gro,
        reuse_port: lanes > 1,
        receive_buffer_bytes: usize::try_from(listener.receive_buffer_bytes).unwrap_or(usize::MAX),
        stamp: stream_of(config, listener).is_some_and(|stream| stream.receive_time),
    };
    let group = patiently(|| Ok(udp_group(&setup, lanes)?))?;
    warnings.extend(preflight::receive_buffer(&listener.name, group[0].receive_buffer_bytes, listener.receive_buffer_bytes));
    Ok(Group::Udp(group))
}

/// Binds, again and again while the port is busy and the time is not over.
fn patiently<T>(mut bind: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let deadline = Instant::now() + BUSY_MAX;
    loop {
        match bind() {
            Err(failure) if failure.reason == Reason::PortBusy && Instant::now() < deadline => thread::sleep(BUSY_PAUSE),
            bound => return bound,
        }
    }
}

/// A TCP listener; `choose` is what to write for another address.
///
/// # Errors
/// The address is taken, not allowed, or not of this host.
pub fn server(address: SocketAddr, name: &str, choose: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        let (reason, text) = match error.kind() {
            std::io::ErrorKind::AddrInUse => (
                Reason::PortBusy,
                format!(
                    "{name} address {address} is taken by another process; `ss -ltnp 'sport = :{}'` names it, or choose another with \
                     {choose}",
                    address.port()
                ),
            ),
            std::io::ErrorKind::PermissionDenied => (
                Reason::Permission,
                format!("{name} address {address} may not be bound by this user: ports below 1024 need CAP_NET_BIND_SERVICE"),
            ),
            _ => (Reason::Config, format!("{name} address {address} cannot be bound: {error}; `ip addr` lists this host's addresses")),
        };
        Failure::new(reason, text)
    })
}
