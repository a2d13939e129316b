//! What must hold between keys. Limits of a single key are in the table, beside the key.
//!
//! Each check is one function, names both values it compares, and reports at the last-written key that it needs, because that is the line the
//! operator has just changed.

use std::net::SocketAddr;

use super::draft::Draft;
use super::units::show_size;
use super::{Config, Lanes, Placement};

const RETENTION_SEGMENTS_MIN: u64 = 4;
const STREAMS_MAX: usize = 1024;
const LISTENERS_MAX: usize = 64;

/// Notes in the draft whatever does not hold.
pub fn validate(draft: &mut Draft) {
    retention_holds_segments(draft);
    every_lane_has_its_cpu(draft);
    wildcard_is_advertised(draft);
    kafka_and_http_differ(draft);
    lists_are_within_limits(draft);
    listeners_feed_known_streams(draft);
    listeners_differ(draft);
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

fn kafka_and_http_differ(draft: &mut Draft) {
    let (kafka, http) = (draft.config.kafka.address, draft.config.http.address);
    if collide(kafka, http) {
        draft.relate(
            &["http.address", "kafka.address"],
            format!("kafka.address {kafka} and http.address {http} cannot both be opened: give one of them another port"),
        );
    }
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

fn listeners_feed_known_streams(draft: &mut Draft) {
    if draft.has_lost_entries("stream") {
        return;
    }
    // A listener whose stream could not be read has its own error; `relate` knows.
    for (name, stream) in unknown_streams(&draft.config) {
        let known = draft.config.streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>().join(", ");
        let key = format!("listener.{name}.stream");
        let own = if draft.places.contains_key(&key) { "" } else { ", or write [[listener]] sections of your own" };
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
    let addresses: Vec<(String, SocketAddr)> =
        draft.config.listeners.iter().map(|l| (format!("listener.{}.address", l.name), l.address)).collect();
    for (index, (key, address)) in addresses.iter().enumerate() {
        // Only the first one before it: three on one address are two mistakes, not three.
        let before = addresses[..index].iter().find(|(_, other)| collide(*other, *address));
        if let Some((other_key, other)) = before {
            draft.relate(&[key, other_key], format!("{key} {address} and {other_key} {other} are the same: give one of them another port"));
        }
    }
}

/// Whether two sockets of one protocol ask for the same port of the same address; port 0 never does.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() != 0 && a == b
}
