//! The table of keys: one line a key, with how it is read and how it is shown.
//!
//! Limits of a single value live here, beside the key they limit; what must hold between two keys is in `validate`. Keys of parts that this
//! release has not got are listed too, so that a file written for a later release is answered with that reason and not with a spelling hint.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::units::{show_duration, show_size};
use super::value::Value;
use super::{
    AckLevel, Arbiter, ArbiterKind, Framing, HostPort, Http, Kafka, Key, Lanes, Listener, ListenerKind, LogSettings, Node, Pair, Placement,
    Stream,
};

/// One key of a section `T`.
pub struct Setting<T> {
    /// The key within its section; a dot stands for a table inside (`retention.size`).
    pub key: &'static str,
    /// Reads the value into the section; the error is a sentence for the operator, and the section is then unchanged.
    pub read: fn(&mut T, &Value) -> Result<(), String>,
    /// The value as TOML; `None` when it is absent and has no text of its own.
    pub show: fn(&T) -> Option<String>,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND_NS: u64 = 1_000_000_000;
const DAY_NS: u64 = 86_400 * SECOND_NS;

const RING_BYTES: RangeInclusive<u64> = 4 * MIB..=64 * GIB;
const SEGMENT_BYTES: RangeInclusive<u64> = 8 * MIB..=GIB;
const SEGMENT_ALIGN: u64 = 4 * KIB;
const LINGER_NS: RangeInclusive<u64> = 0..=SECOND_NS;
const DEPTH: RangeInclusive<u32> = 1..=64;
const RETENTION_BYTES: RangeInclusive<u64> = MIB..=8192 * 1024 * GIB;
const RETENTION_AGE_NS: RangeInclusive<u64> = SECOND_NS..=36_500 * DAY_NS;
const RECEIVE_BUFFER_BYTES: RangeInclusive<u64> = 64 * KIB..=GIB - KIB;
const RECORD_BYTES: RangeInclusive<u64> = 1..=MIB;
const CONNECTIONS: RangeInclusive<u32> = 1..=65_536;
const IDLE_NS: RangeInclusive<u64> = SECOND_NS..=365 * DAY_NS;
const IN_SYNC: RangeInclusive<u32> = 1..=2;
const UNCOMMITTED_BYTES: RangeInclusive<u64> = 16 * MIB..=1024 * GIB;
const HEARTBEAT_NS: RangeInclusive<u64> = 1_000_000..=10 * SECOND_NS;
const HEARTBEAT_MISSES: RangeInclusive<u32> = 2..=1000;
const REGISTERS: RangeInclusive<u32> = 0..=63;
const LANES: RangeInclusive<u32> = 1..=64;
const CPU: RangeInclusive<u32> = 0..=1023;
const NODE_NAME_BYTES_MAX: usize = 64;
const LISTENER_NAME_BYTES_MAX: usize = 64;
const STREAM_NAME_BYTES_MAX: usize = 249;
const HOST_BYTES_MAX: usize = 253;

const _: () = assert!(SEGMENT_BYTES.start().is_multiple_of(SEGMENT_ALIGN) && SEGMENT_BYTES.end().is_multiple_of(SEGMENT_ALIGN));

const KEYS: [(&str, Key); 2] = [("none", Key::None), ("source", Key::Source)];
const ACKS: [(&str, AckLevel); 4] =
    [("none", AckLevel::None), ("disk", AckLevel::Disk), ("peer-memory", AckLevel::PeerMemory), ("peer-disk", AckLevel::PeerDisk)];

const KINDS: [(&str, ListenerKind); 2] = [("udp", ListenerKind::Udp), ("tcp", ListenerKind::Tcp)];
const FRAMINGS: [(&str, Framing); 2] = [("length", Framing::Length), ("newline", Framing::Newline)];

const ARBITERS: [(&str, ArbiterKind); 2] = [("witness", ArbiterKind::Witness), ("manual", ArbiterKind::Manual)];

/// `[node]`.
pub const NODE: &[Setting<Node>] = &[
    Setting { key: "name", read: |n, v| keep(&mut n.name, v.text().and_then(node_name)), show: |n| Some(quote(&n.name)) },
    Setting { key: "data", read: |n, v| keep(&mut n.data, data(v)), show: |n| Some(show_data(&n.data)) },
    Setting { key: "lanes", read: |n, v| keep(&mut n.lanes, lanes(v)), show: |n| Some(show_lanes(n.lanes)) },
    Setting { key: "strict", read: |n, v| keep(&mut n.strict, v.flag()), show: |n| Some(n.strict.to_string()) },
    Setting {
        key: "ingest_cpus",
        read: |n, v| keep(&mut n.ingest_cpus, placement(v, cpus)),
        show: |n| Some(show_placement(&n.ingest_cpus)),
    },
    Setting { key: "log_cpu", read: |n, v| keep(&mut n.log_cpu, placement(v, cpu)), show: |n| Some(show_placement(&n.log_cpu)) },
];

/// `[log]`.
pub const LOG: &[Setting<LogSettings>] = &[
    Setting { key: "ring", read: |l, v| keep(&mut l.ring_bytes, ring(v)), show: |l| Some(quote(&show_size(l.ring_bytes))) },
    Setting { key: "segment", read: |l, v| keep(&mut l.segment_bytes, segment(v)), show: |l| Some(quote(&show_size(l.segment_bytes))) },
    Setting {
        key: "linger",
        read: |l, v| keep(&mut l.linger_ns, v.duration(LINGER_NS)),
        show: |l| Some(quote(&show_duration(l.linger_ns))),
    },
    Setting { key: "depth", read: |l, v| keep(&mut l.depth, v.whole(DEPTH).map(index)), show: |l| Some(l.depth.to_string()) },
    Setting {
        key: "retention.size",
        read: |l, v| keep(&mut l.retention.size_bytes, v.size(RETENTION_BYTES)),
        show: |l| Some(quote(&show_size(l.retention.size_bytes))),
    },
    Setting {
        key: "retention.age",
        read: |l, v| keep(&mut l.retention.age_ns, age(v)),
        show: |l| Some(quote(&l.retention.age_ns.map_or_else(|| "none".to_owned(), show_duration))),
    },
];

/// `[[stream]]`, without its name.
pub const STREAM: &[Setting<Stream>] = &[
    Setting { key: "key", read: |s, v| keep(&mut s.key, v.choice(&KEYS)), show: |s| Some(quote(word(&KEYS, s.key))) },
    Setting { key: "receive_time", read: |s, v| keep(&mut s.receive_time, v.flag()), show: |s| Some(s.receive_time.to_string()) },
    Setting { key: "ack", read: |s, v| keep(&mut s.ack, v.choice(&ACKS)), show: |s| Some(quote(word(&ACKS, s.ack))) },
];

/// `[[listener]]`, without its name.
pub const LISTENER: &[Setting<Listener>] = &[
    Setting { key: "kind", read: |l, v| keep(&mut l.kind, v.choice(&KINDS)), show: |l| Some(quote(word(&KINDS, l.kind))) },
    Setting { key: "address", read: |l, v| keep(&mut l.address, v.address()), show: |l| Some(quote(&l.address.to_string())) },
    Setting { key: "stream", read: |l, v| keep(&mut l.stream, v.text().and_then(stream_name)), show: |l| Some(quote(&l.stream)) },
    Setting { key: "gro", read: |l, v| keep(&mut l.gro, v.flag()), show: |l| of(l, ListenerKind::Udp, l.gro.to_string()) },
    Setting {
        key: "receive_buffer",
        read: |l, v| keep(&mut l.receive_buffer_bytes, v.size(RECEIVE_BUFFER_BYTES)),
        show: |l| of(l, ListenerKind::Udp, quote(&show_size(l.receive_buffer_bytes))),
    },
    Setting {
        key: "framing",
        read: |l, v| keep(&mut l.framing, v.choice(&FRAMINGS)),
        show: |l| of(l, ListenerKind::Tcp, quote(word(&FRAMINGS, l.framing))),
    },
    Setting {
        key: "record_max",
        read: |l, v| keep(&mut l.record_bytes_max, v.size(RECORD_BYTES)),
        show: |l| of(l, ListenerKind::Tcp, quote(&show_size(l.record_bytes_max))),
    },
    Setting { key: "ack", read: |l, v| keep(&mut l.ack, v.flag()), show: |l| of(l, ListenerKind::Tcp, l.ack.to_string()) },
    Setting {
        key: "connections_max",
        read: |l, v| keep(&mut l.connections_max, v.whole(CONNECTIONS)),
        show: |l| of(l, ListenerKind::Tcp, l.connections_max.to_string()),
    },
    Setting {
        key: "idle_max",
        read: |l, v| keep(&mut l.idle_ns_max, v.duration(IDLE_NS)),
        show: |l| of(l, ListenerKind::Tcp, quote(&show_duration(l.idle_ns_max))),
    },
];

/// Keys of `[[listener]]` that only one kind has.
pub const LISTENER_KEYS_OF: [(ListenerKind, &str, &[&str]); 2] = [
    (ListenerKind::Udp, "udp", &["gro", "receive_buffer"]),
    (ListenerKind::Tcp, "tcp", &["framing", "record_max", "ack", "connections_max", "idle_max"]),
];

/// The value of a key that only one kind has.
fn of(listener: &Listener, kind: ListenerKind, value: String) -> Option<String> {
    (listener.kind == kind).then_some(value)
}

/// `[kafka]`.
pub const KAFKA: &[Setting<Kafka>] = &[
    Setting { key: "address", read: |k, v| keep(&mut k.address, v.address()), show: |k| Some(quote(&k.address.to_string())) },
    Setting {
        key: "advertise",
        read: |k, v| keep(&mut k.advertise, host_port(v).map(Some)),
        show: |k| k.advertise.as_ref().map(show_host_port),
    },
];

/// `[http]`.
pub const HTTP: &[Setting<Http>] =
    &[Setting { key: "address", read: |h, v| keep(&mut h.address, v.address()), show: |h| Some(quote(&h.address.to_string())) }];

/// `[pair]`.
pub const PAIR: &[Setting<Pair>] = &[
    Setting { key: "peer", read: |p, v| keep(&mut p.peer, target(v)), show: |p| Some(quote(&p.peer.to_string())) },
    Setting { key: "listen", read: |p, v| keep(&mut p.listen, v.address()), show: |p| Some(quote(&p.listen.to_string())) },
    Setting { key: "min_in_sync", read: |p, v| keep(&mut p.min_in_sync, v.whole(IN_SYNC)), show: |p| Some(p.min_in_sync.to_string()) },
    Setting {
        key: "uncommitted_max",
        read: |p, v| keep(&mut p.uncommitted_bytes_max, v.size(UNCOMMITTED_BYTES)),
        show: |p| Some(quote(&show_size(p.uncommitted_bytes_max))),
    },
    Setting {
        key: "heartbeat",
        read: |p, v| keep(&mut p.heartbeat_ns, v.duration(HEARTBEAT_NS)),
        show: |p| Some(quote(&show_duration(p.heartbeat_ns))),
    },
    Setting {
        key: "heartbeat_misses",
        read: |p, v| keep(&mut p.heartbeat_misses, v.whole(HEARTBEAT_MISSES)),
        show: |p| Some(p.heartbeat_misses.to_string()),
    },
];
/// Keys of `[pair]` that must be written.
pub const PAIR_REQUIRED: [&str; 2] = ["peer", "listen"];

/// `[arbiter]`.
pub const ARBITER: &[Setting<Arbiter>] = &[
    Setting { key: "kind", read: |a, v| keep(&mut a.kind, arbiter_kind(v)), show: |a| Some(quote(word(&ARBITERS, a.kind))) },
    Setting {
        key: "address",
        read: |a, v| keep(&mut a.address, target(v).map(Some)),
        show: |a| a.address.map(|address| quote(&address.to_string())),
    },
    Setting {
        key: "register",
        read: |a, v| keep(&mut a.register, register(v)),
        show: |a| (a.kind == ArbiterKind::Witness).then(|| a.register.to_string()),
    },
];

/// Sections with one table each.
pub const TABLES: [&str; 6] = ["node", "log", "kafka", "http", "pair", "arbiter"];
/// Sections with a list of named entries.
pub const LISTS: [&str; 2] = ["stream", "listener"];
/// Keys of each `[[listener]]` that must be written.
pub const LISTENER_REQUIRED: [&str; 3] = ["kind", "address", "stream"];

/// Why a key that is no key of this release may still be a right one; `None` for a key of no release.
pub fn unbuilt(path: &str) -> Option<String> {
    (path == "arbiter.endpoints")
        .then(|| "belongs to the arbiter kind `etcd`, which is not built into this release: use kind = \"witness\" and address".to_owned())
}

/// The environment variable of a key's path: `log.retention.size` is `HEADWORKS_LOG_RETENTION_SIZE`.
pub fn variable(path: &str) -> String {
    let upper = path.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    format!("HEADWORKS_{}", upper.collect::<String>())
}

/// The candidate that looks most like `wanted`; `None` only when there is no candidate.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let score = |candidate: &str| strsim::normalized_damerau_levenshtein(wanted, candidate);
    let best = candidates.into_iter().max_by(|a, b| score(a).total_cmp(&score(b)));
    best.map(str::to_owned)
}

/// A node's name.
pub fn node_name(name: &str) -> Result<String, String> {
    plain_name(name, NODE_NAME_BYTES_MAX)
}

/// A listener's name.
pub fn listener_name(name: &str) -> Result<String, String> {
    plain_name(name, LISTENER_NAME_BYTES_MAX)
}

/// A stream's name, by the rules of a Kafka topic.
pub fn stream_name(name: &str) -> Result<String, String> {
    if name == "." || name == ".." {
        return Err(format!("`{name}` cannot be a stream: the names . and .. are refused by Kafka clients"));
    }
    plain_name(name, STREAM_NAME_BYTES_MAX)
}

/// Text as a TOML string.
pub fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn keep<T>(field: &mut T, value: Result<T, String>) -> Result<(), String> {
    *field = value?;
    Ok(())
}

fn plain_name(name: &str, bytes_max: usize) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(odd) = name.chars().find(|c| !plain(*c)) {
        return Err(format!("`{name}` has the character {odd:?}: write 1 to {bytes_max} of a-z A-Z 0-9 . _ -"));
    }
    if name.is_empty() || name.len() > bytes_max {
        return Err(format!("the name has {} bytes: write 1 to {bytes_max} of a-z A-Z 0-9 . _ -", name.len()));
    }
    Ok(name.to_owned())
}

fn data(value: &Value) -> Result<Vec<PathBuf>, String> {
    let paths = match value {
        Value::List(members) => members.iter().map(Value::text).collect::<Result<Vec<_>, _>>()?,
        other => vec![other.text()?],
    };
    let [path] = paths.as_slice() else {
        return Err(format!("{} directories where this release takes exactly 1: write data = [\"/var/lib/headworks\"]", paths.len()));
    };
    if path.is_empty() || path.contains('\0') {
        return Err(format!("{path:?} is not a directory's path: write data = [\"/var/lib/headworks\"]"));
    }
    Ok(vec![PathBuf::from(path)])
}

fn lanes(value: &Value) -> Result<Lanes, String> {
    if value.is_word("auto") {
        return Ok(Lanes::Auto);
    }
    value.whole(LANES).map(Lanes::Fixed).map_err(|reason| format!("{reason}, or \"auto\""))
}

fn placement<T>(value: &Value, fixed: fn(&Value) -> Result<T, String>) -> Result<Placement<T>, String> {
    if value.is_word("auto") {
        return Ok(Placement::Auto);
    }
    fixed(value).map(Placement::Fixed).map_err(|reason| format!("{reason}, or \"auto\""))
}

fn cpu(value: &Value) -> Result<usize, String> {
    value.whole(CPU).map(index)
}

fn cpus(value: &Value) -> Result<Vec<usize>, String> {
    let cpus = value.members().iter().map(cpu).collect::<Result<Vec<_>, _>>()?;
    if cpus.is_empty() {
        return Err("an empty list where the CPU of each lane is wanted, such as [1, 2]".to_owned());
    }
    let twice = cpus.iter().enumerate().find(|(position, cpu)| cpus[..*position].contains(cpu));
    twice
        .map_or(Ok(cpus.clone()), |(_, cpu)| Err(format!("CPU {cpu} stands there twice: give every lane a CPU of its own, such as [1, 2]")))
}

fn ring(value: &Value) -> Result<u64, String> {
    let bytes = value.size(RING_BYTES)?;
    if bytes.is_power_of_two() {
        return Ok(bytes);
    }
    let (below, above) = (bytes.next_power_of_two() / 2, bytes.next_power_of_two());
    Err(format!("{} is not a power of two of MiB: write {} or {}", value.seen(), show_size(below), show_size(above)))
}

fn segment(value: &Value) -> Result<u64, String> {
    let bytes = value.size(SEGMENT_BYTES)?;
    if bytes.is_multiple_of(SEGMENT_ALIGN) {
        return Ok(bytes);
    }
    Err(format!("{} is not a multiple of 4KiB: write {}", value.seen(), show_size(bytes.next_multiple_of(SEGMENT_ALIGN))))
}

fn age(value: &Value) -> Result<Option<u64>, String> {
    if value.is_word("none") {
        return Ok(None);
    }
    value.duration(RETENTION_AGE_NS).map(Some).map_err(|reason| format!("{reason}, or \"none\""))
}

fn host_port(value: &Value) -> Result<HostPort, String> {
    let text = value.text()?;
    let wanted = || format!("`{text}` is not a host with a port of 1 to 65535: write what clients can reach, such as a.example:9092");
    let (host, port) = text.rsplit_once(':').ok_or_else(wanted)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wanted)?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bracketed.unwrap_or(host);
    let number: Option<IpAddr> = host.parse().ok();
    if number.is_some_and(|ip| ip.is_unspecified()) {
        return Err(format!(
            "`{text}` is a wildcard, which no client can connect to: write a name or number of this host, such as a.example:9092"
        ));
    }
    let named = bracketed.is_none() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let right = if bracketed.is_some() { number.is_some_and(|ip| ip.is_ipv6()) } else { named };
    if host.is_empty() || host.len() > HOST_BYTES_MAX || !right {
        return Err(wanted());
    }
    Ok(HostPort { host: host.to_owned(), port })
}

/// An address to connect to.
fn target(value: &Value) -> Result<SocketAddr, String> {
    let address = value.address()?;
    if address.ip().is_unspecified() || address.port() == 0 {
        return Err(format!("{address} is nothing to connect to: write the other host's address and port, such as 10.0.0.2:9700"));
    }
    Ok(address)
}

fn arbiter_kind(value: &Value) -> Result<ArbiterKind, String> {
    if value.is_word("etcd") {
        return Err("`etcd` is an arbiter of a later release: write \"witness\" with the address of a `headworks witness`, or \"manual\""
            .to_owned());
    }
    value.choice(&ARBITERS)
}

fn register(value: &Value) -> Result<u16, String> {
    value.whole(REGISTERS).map(|number| u16::try_from(number).expect("REGISTERS ends below 2^16"))
}

fn show_data(data: &[PathBuf]) -> String {
    let paths: Vec<String> = data.iter().map(|path| quote(&path.to_string_lossy())).collect();
    format!("[{}]", paths.join(", "))
}

fn show_lanes(lanes: Lanes) -> String {
    match lanes {
        Lanes::Auto => quote("auto"),
        Lanes::Fixed(lanes) => lanes.to_string(),
    }
}

fn show_placement<T: std::fmt::Debug>(placement: &Placement<T>) -> String {
    match placement {
        Placement::Auto => quote("auto"),
        Placement::Fixed(cpus) => format!("{cpus:?}"),
    }
}

fn show_host_port(to: &HostPort) -> String {
    let host = if to.host.contains(':') { format!("[{}]", to.host) } else { to.host.clone() };
    quote(&format!("{host}:{}", to.port))
}

fn word<T: PartialEq>(words: &[(&'static str, T)], meaning: T) -> &'static str {
    let found = words.iter().find(|(_, known)| *known == meaning);
    found.expect("the table of words lists every meaning").0
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("the program runs where an address has at least 32 bits")
}
