//! The appliance's settings: derived, checked, and ready to be used without another question.
//!
//! ```text
//! embedded default < file (TOML) < environment (HEADWORKS_SECTION_KEY) < --set section.key=value < --data DIR
//!        └──────────────┴───────────── draft: one table of keys (schema) ───┴──────────────┘
//!                                        └► validate: what holds between keys ► Config, or every problem at once
//! ```
//! One table says which keys exist, how each is read and how it is shown; the file, the environment, `--set`, the nearest-key hint and the
//! print-out of `check-config` all walk that table, so a key cannot exist for one of them only. The file is walked by hand over a tree that
//! keeps its positions, because a derived deserializer stops at the first problem and loses the line inside `[[listener]]`.
//!
//! Refused: unknown keys anywhere, parts that this release has not got (named as such, not as unknown), and any value outside its limits.

mod draft;
mod error;
mod file;
mod schema;
mod show;
mod sources;
mod units;
mod validate;
mod value;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub use error::ConfigErrors;
pub use sources::Sources;

/// Everything the appliance is told before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The machine's part.
    pub node: Node,
    /// The lanes' rings and logs.
    pub log: LogSettings,
    /// Streams that exist from the start, at least one, names unique.
    pub streams: Vec<Stream>,
    /// Sockets that feed streams, names unique; none is allowed (Kafka Produce only).
    pub listeners: Vec<Listener>,
    /// The Kafka protocol's listener.
    pub kafka: Kafka,
    /// The HTTP listener.
    pub http: Http,
    /// The other node; `None` for a node alone. There exactly when `arbiter` is.
    pub pair: Option<Pair>,
    /// Who decides which node leads.
    pub arbiter: Option<Arbiter>,
    /// Where the base of these settings came from.
    pub origin: Origin,
}

/// The base that environment and command line were laid over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// No file was named: the embedded default.
    Embedded,
    /// This file.
    File(PathBuf),
}

/// `[node]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// 1 to 64 of `a-z A-Z 0-9 . _ -`; the host name unless set.
    pub name: String,
    /// Data directories: exactly one in this release.
    pub data: Vec<PathBuf>,
    /// How many lanes a new data directory gets.
    pub lanes: Lanes,
    /// Whether a warning about the host is an error.
    pub strict: bool,
    /// CPUs of the ingest loops, one for each lane, in lane order.
    pub ingest_cpus: Placement<Vec<usize>>,
    /// CPU of the log loop.
    pub log_cpu: Placement<usize>,
}

/// Lanes of a data directory that is being made; one that exists keeps its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// min(cores − 1, 8), at least 1.
    Auto,
    /// 1 to 64.
    Fixed(u32),
}

/// Which CPU a loop is pinned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement<T> {
    /// The program's rule: log loop on the first allowed CPU, ingest loop of lane i on the (i+1)-th.
    Auto,
    /// These, whatever else runs there.
    Fixed(T),
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Payload bytes of one lane's slot ring: a power of two of 1 MiB slots.
    pub ring_bytes: u64,
    /// Bytes of a segment file, a multiple of 4 KiB.
    pub segment_bytes: u64,
    /// How long a batch may stay open for more records.
    pub linger_ns: u64,
    /// Block writes of one lane under way at once.
    pub depth: usize,
    /// What may be recycled.
    pub retention: Retention,
}

/// `log.retention`: a segment may go when the log is larger than `size_bytes`, or the segment older than `age_ns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// At least four segments.
    pub size_bytes: u64,
    /// `None`: age alone frees nothing.
    pub age_ns: Option<u64>,
}

/// What an acknowledgement waits for, when one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckLevel {
    /// Nothing.
    None,
    /// Durable here.
    Disk,
    /// Durable here and in a peer's memory.
    PeerMemory,
    /// Committed: durable on the whole in-sync set; on one node the same as `Disk`.
    PeerDisk,
}

/// What becomes a record's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// No key.
    None,
    /// The sender's address and port.
    Source,
}

/// `[[stream]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// 1 to 249 of `a-z A-Z 0-9 . _ -`, not `.` or `..`: also the Kafka topic.
    pub name: String,
    /// What becomes a record's key.
    pub key: Key,
    /// Whether records carry the kernel's receive time.
    pub receive_time: bool,
    /// What an acknowledgement waits for.
    pub ack: AckLevel,
}

/// `[[listener]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// 1 to 64 of `a-z A-Z 0-9 . _ -`; names it in `--set`, in the ledger and in metrics.
    pub name: String,
    /// What it speaks.
    pub kind: ListenerKind,
    /// Port 0: one that is free.
    pub address: SocketAddr,
    /// A stream of this configuration.
    pub stream: String,
    /// UDP: whether the kernel may hand over trains of datagrams.
    pub gro: bool,
    /// UDP: socket receive buffer asked for, in each lane.
    pub receive_buffer_bytes: u64,
    /// TCP: how records are told apart.
    pub framing: Framing,
    /// TCP: bytes of the largest record.
    pub record_bytes_max: u64,
    /// TCP: whether peers are told how many of their records reached the stream's level.
    pub ack: bool,
    /// TCP: most connections in each lane.
    pub connections_max: u32,
    /// TCP: a connection from which nothing came for so long is closed.
    pub idle_ns_max: u64,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerKind {
    /// One record a datagram.
    Udp,
    /// Records framed in a connection's bytes.
    Tcp,
}

/// How records are told apart in a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each behind its length, u32 big-endian.
    Length,
    /// Each before a newline.
    Newline,
}

/// `[kafka]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// Port 0: one that is free.
    pub address: SocketAddr,
    /// What clients are told to connect to; always there when `address` is a wildcard.
    pub advertise: Option<HostPort>,
}

/// A host, by name or number (IPv6 without brackets), and a port of 1 to 65535.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or number.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// `[http]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Port 0: one that is free.
    pub address: SocketAddr,
}

/// `[pair]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Where the other node listens for this one: never a wildcard, never port 0.
    pub peer: SocketAddr,
    /// Where this node listens for the other one; port 0: one that is free.
    pub listen: SocketAddr,
    /// 1: a node alone may commit, registered and alarmed; 2: it waits for the other one.
    pub min_in_sync: u32,
    /// Bytes that may wait for a standby before it is given up, or, where two must be in sync, before intake stops.
    pub uncommitted_bytes_max: u64,
    /// Longest silence of a primary that lives.
    pub heartbeat_ns: u64,
    /// Heartbeats that are missed before the other node is taken for dead.
    pub heartbeat_misses: u32,
}

/// `[arbiter]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arbiter {
    /// Which.
    pub kind: ArbiterKind,
    /// Witness: where it listens; always there for that kind, never for another.
    pub address: Option<SocketAddr>,
    /// Witness: the pair's number there, 0 to 63.
    pub register: u16,
}

/// Who decides which node leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArbiterKind {
    /// `headworks witness` on a third host.
    Witness,
    /// The operator; each node keeps the register in its own directory.
    Manual,
}

impl Config {
    /// What runs when no file is named: loopback only, data beside the caller.
    pub fn embedded() -> Config {
        Config {
            node: Node::embedded(),
            log: LogSettings::embedded(),
            streams: vec![Stream::named("events")],
            listeners: vec![
                Listener::named("udp", "events"),
                Listener { kind: ListenerKind::Tcp, address: loopback(9001), ..Listener::named("tcp", "events") },
            ],
            kafka: Kafka { address: loopback(9092), advertise: None },
            http: Http { address: loopback(9600) },
            pair: None,
            arbiter: None,
            origin: Origin::Embedded,
        }
    }

    /// Lays the sources over each other and checks the result.
    ///
    /// # Errors
    /// Every problem of every source at once; the program exits with [`ConfigErrors::EXIT`].
    pub fn load(sources: &Sources) -> Result<Config, ConfigErrors> {
        Ok(Config::resolve(sources)?.config)
    }

    /// As [`Config::load`], keeping where each value was written.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn resolve(sources: &Sources) -> Result<Resolved, ConfigErrors> {
        sources::resolve(sources)
    }
}

/// A checked configuration together with the place of each value that is not the default's; shown as TOML that reads back as itself.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The settings.
    pub config: Config,
    places: draft::Places,
}

impl Node {
    fn embedded() -> Node {
        Node {
            name: host_name().unwrap_or_else(|| "headworks".to_owned()),
            data: vec![PathBuf::from("./headworks-data")],
            lanes: Lanes::Auto,
            strict: false,
            ingest_cpus: Placement::Auto,
            log_cpu: Placement::Auto,
        }
    }
}

impl LogSettings {
    fn embedded() -> LogSettings {
        LogSettings {
            ring_bytes: 64 << 20,
            segment_bytes: 256 << 20,
            linger_ns: 2_000_000,
            depth: 8,
            retention: Retention { size_bytes: 8 << 30, age_ns: None },
        }
    }
}

impl Stream {
    fn named(name: &str) -> Stream {
        Stream { name: name.to_owned(), key: Key::None, receive_time: false, ack: AckLevel::PeerDisk }
    }
}

impl Listener {
    fn named(name: &str, stream: &str) -> Listener {
        Listener {
            name: name.to_owned(),
            kind: ListenerKind::Udp,
            address: loopback(9000),
            stream: stream.to_owned(),
            gro: true,
            receive_buffer_bytes: 64 << 20,
            framing: Framing::Length,
            record_bytes_max: 1 << 20,
            ack: false,
            connections_max: 4096,
            idle_ns_max: 300_000_000_000,
        }
    }
}

impl Pair {
    /// Without its required keys, which the checks find missing by their places.
    fn unset() -> Pair {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Pair {
            peer: nowhere,
            listen: nowhere,
            min_in_sync: 1,
            uncommitted_bytes_max: 1 << 30,
            heartbeat_ns: 10_000_000,
            heartbeat_misses: 5,
        }
    }
}

impl Arbiter {
    /// As [`Pair::unset`].
    fn unset() -> Arbiter {
        Arbiter { kind: ArbiterKind::Witness, address: None, register: 0 }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// The host name, where it can serve as a node name: a host may have none, or one such as `(none)`.
fn host_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = text.trim();
    schema::node_name(name).is_ok().then(|| name.to_owned())
}
