//! What must hold between keys. Limits of a single key are in the table, beside the key.
//!
//! Each check is one function, names both values it compares, and reports at the last-written key that it needs, because that is the line the
//! operator has just changed.

use std::net::SocketAddr;

use super::draft::Draft;
use super::schema::{LISTENER_KEYS_OF, PAIR_REQUIRED};
use super::units::show_size;
use super::{ArbiterKind, Config, Lanes, ListenerKind, Placement};
use headworks_format::committed;

const RETENTION_SEGMENTS_MIN: u64 = 4;
const STREAMS_MAX: usize = 1024;
const LISTENERS_MAX: usize = 64;

/// Notes in the draft whatever does not hold.
pub fn validate(draft: &mut Draft) {
    retention_holds_segments(draft);
    every_lane_has_its_cpu(draft);
    wildcard_is_advertised(draft);
    servers_differ(draft);
    lists_are_within_limits(draft);
    own_streams_are_left_alone(draft);
    listeners_feed_known_streams(draft);
    listeners_differ(draft);
    listeners_have_keys_of_their_kind(draft);
    pair_has_an_arbiter(draft);
    pair_is_whole(draft);
    arbiter_is_whole(draft);
}

fn retention_holds_segments(draft: &mut Draft) {
    let (size, segment) = (draft.config.log.retention.size_bytes, draft.config.log.segment_bytes);
    let least = segment.saturating_mul(RETENTION_SEGMENTS_MIN);
    if size < least {
        let (size, segment, least) = (show_size(size), show_size(segment), show_size(least));
        let reason = format!(
            "retention of {size} is less than {RETENTION_SEGMENTS_MIN} segments of {segment}: write log.retention.size of at least \
                {least}, or a smaller log.segment"
        );
        draft.relate(&["log.retention.size", "log.segment"], reason);
    }
}

fn every_lane_has_its_cpu(draft: &mut Draft) {
    let (Lanes::Fixed(lanes), Placement::Fixed(cpus)) = (draft.config.node.lanes, &draft.config.node.ingest_cpus) else {
        return;
    };
    let cpus = cpus.len();
    if usize::try_from(lanes) != Ok(cpus) {
        draft.relate(
            &["node.ingest_cpus", "node.lanes"],
            format!("{cpus} CPUs for {lanes} lanes: name one CPU for each lane, or write \"auto\""),
        );
    }
}

fn wildcard_is_advertised(draft: &mut Draft) {
    let address = draft.config.kafka.address;
    if address.ip().is_unspecified() && draft.config.kafka.advertise.is_none() {
        let reason = format!(
            "{address} is a wildcard, so clients cannot be told where to connect: write kafka.advertise with a name or number of \
                this host, such as advertise = \"a.example:9092\""
        );
        draft.relate(&["kafka.address", "kafka.advertise"], reason);
    }
}

/// Kafka, HTTP, the other node and TCP listeners are all TCP: no two of them on one port.
fn servers_differ(draft: &mut Draft) {
    let tcp = draft.config.listeners.iter().filter(|listener| listener.kind == ListenerKind::Tcp);
    let mut servers: Vec<(String, SocketAddr)> = tcp.map(|l| (format!("listener.{}.address", l.name), l.address)).collect();
    servers.push(("kafka.address".to_owned(), draft.config.kafka.address));
    servers.push(("http.address".to_owned(), draft.config.http.address));
    servers.extend(draft.config.pair.as_ref().map(|pair| ("pair.listen".to_owned(), pair.listen)));
    differ(draft, &servers);
}

fn lists_are_within_limits(draft: &mut Draft) {
    let (streams, listeners) = (draft.config.streams.len(), draft.config.listeners.len());
    if streams == 0 && !draft.has_lost_entries("stream") {
        draft.relate(
            &["stream"],
            "no stream is defined: write at least one [[stream]], or leave the section out for the default stream `events`".to_owned(),
        );
    }
    if streams > STREAMS_MAX {
        draft.relate(&["stream"], format!("{streams} streams where at most {STREAMS_MAX} can be defined: remove some"));
    }
    if listeners > LISTENERS_MAX {
        draft.relate(&["listener"], format!("{listeners} listeners where at most {LISTENERS_MAX} can be defined: remove some"));
    }
}

fn own_streams_are_left_alone(draft: &mut Draft) {
    if draft.config.streams.iter().any(|stream| stream.name == committed::STREAM) {
        let reason = format!("the appliance keeps the offsets of consumer groups in `{}` itself: write another name", committed::STREAM);
        draft.relate(&["stream"], reason);
    }
}

fn listeners_feed_known_streams(draft: &mut Draft) {
    if draft.has_lost_entries("stream") {
        return;
    }
    // A listener whose stream could not be read has its own error; `relate` knows.
    let mut default_said = false;
    for (name, stream) in unknown_streams(&draft.config) {
        // The embedded listeners feed one stream: that it is not there is one mistake, not one for each of them.
        let is_default = !draft.places.contains_key(&format!("listener.{name}.stream"));
        if is_default && default_said {
            continue;
        }
        default_said |= is_default;
        let known = draft.config.streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>().join(", ");
        let key = format!("listener.{name}.stream");
        let own = if is_default { ", or write [[listener]] sections of your own" } else { "" };
        let reason = format!("no stream is named `{stream}`: write one that is defined ({known}), or add a [[stream]] with this name{own}");
        draft.relate(&[&key], reason);
    }
}

fn unknown_streams(config: &Config) -> Vec<(String, String)> {
    let known = |name: &str| config.streams.iter().any(|stream| stream.name == name);
    let unknown = config.listeners.iter().filter(|listener| !known(&listener.stream));
    unknown.map(|listener| (listener.name.clone(), listener.stream.clone())).collect()
}

fn listeners_differ(draft: &mut Draft) {
    let udp = draft.config.listeners.iter().filter(|listener| listener.kind == ListenerKind::Udp);
    let addresses: Vec<(String, SocketAddr)> = udp.map(|l| (format!("listener.{}.address", l.name), l.address)).collect();
    differ(draft, &addresses);
}

fn differ(draft: &mut Draft, addresses: &[(String, SocketAddr)]) {
    for (index, (key, address)) in addresses.iter().enumerate() {
        // Only the first one before it: three on one address are two mistakes, not three.
        let before = addresses[..index].iter().find(|(_, other)| collide(*other, *address));
        if let Some((other_key, other)) = before {
            draft.relate(
                &[key, other_key],
                format!("{key} {address} and {other_key} {other} cannot both be opened: give one of them another port"),
            );
        }
    }
}

fn listeners_have_keys_of_their_kind(draft: &mut Draft) {
    for at in 0..draft.config.listeners.len() {
        let (name, own) = (draft.config.listeners[at].name.clone(), draft.config.listeners[at].kind);
        for (_, kind, keys) in LISTENER_KEYS_OF.iter().filter(|(kind, ..)| *kind != own) {
            for key in keys.iter() {
                let path = format!("listener.{name}.{key}");
                if draft.places.contains_key(&path) {
                    let kind_path = format!("listener.{name}.kind");
                    draft.relate(&[&path, &kind_path], format!("`{key}` belongs to listeners of kind {kind}: remove it, or change kind"));
                }
            }
        }
    }
}

/// A node of a pair that nobody can tell who leads would be two primaries; an arbiter without a pair is asked nothing.
fn pair_has_an_arbiter(draft: &mut Draft) {
    let (there, reason) = match (&draft.config.pair, &draft.config.arbiter) {
        (Some(_), None) => (
            "pair",
            "is without [arbiter], so nobody can say which node leads: add [arbiter] with kind = \"witness\" and the address of a \
                `headworks witness` on a third host, or with kind = \"manual\"",
        ),
        (None, Some(_)) => ("arbiter", "is without [pair]: add [pair] with peer and listen, or remove [arbiter] for a node alone"),
        _ => return,
    };
    draft.refuse(draft.place_of_section(there), there.to_owned(), reason.to_owned());
}

fn pair_is_whole(draft: &mut Draft) {
    let Some(pair) = draft.config.pair.clone() else { return };
    for key in PAIR_REQUIRED.into_iter().filter(|key| !draft.is_written(&format!("pair.{key}"))).collect::<Vec<_>>() {
        let place = draft.place_of_section("pair");
        draft.refuse(place, format!("pair.{key}"), format!("is missing: a [pair] needs {}", PAIR_REQUIRED.join(" and ")));
    }
    if pair.peer == pair.listen && draft.is_written("pair.peer") {
        let reason = format!("peer and listen are both {}: peer is the other node's listen address", pair.peer);
        draft.relate(&["pair.peer", "pair.listen"], reason);
    }
}

fn arbiter_is_whole(draft: &mut Draft) {
    let Some(arbiter) = draft.config.arbiter.clone() else { return };
    if !draft.is_written("arbiter.kind") {
        let place = draft.place_of_section("arbiter");
        return draft.refuse(place, "arbiter.kind".to_owned(), "is missing: write kind = \"witness\" or kind = \"manual\"".to_owned());
    }
    match arbiter.kind {
        ArbiterKind::Witness if arbiter.address.is_none() => draft.relate(
            &["arbiter.kind", "arbiter.address"],
            "a witness needs its address: write address = \"10.0.0.3:9701\", as `headworks witness` prints it".to_owned(),
        ),
        ArbiterKind::Witness => {}
        ArbiterKind::Manual => manual_keeps_two_copies(draft),
    }
}

/// Without a third party only the operator can say that a node is gone, so no node may commit alone by itself.
fn manual_keeps_two_copies(draft: &mut Draft) {
    for key in ["arbiter.address", "arbiter.register"] {
        if draft.places.contains_key(key) {
            draft.relate(&[key, "arbiter.kind"], "belongs to arbiters of kind witness: remove it, or change kind".to_owned());
        }
    }
    if draft.config.pair.as_ref().is_some_and(|pair| pair.min_in_sync != 2) {
        draft.relate(
            &["arbiter.kind", "pair.min_in_sync"],
            "a manual arbiter needs pair.min_in_sync = 2: only the operator may let a node commit alone, by `headworks pair promote`"
                .to_owned(),
        );
    }
}

/// Whether two sockets of one protocol ask for the same port of the same address; port 0 never does.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() != 0 && a == b
}
