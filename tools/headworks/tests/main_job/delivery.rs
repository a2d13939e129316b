//! A packet goes in by UDP and comes out by Kafka, byte for byte, in the order of its source.

use super::{start_with_two_listeners, values};
use crate::harness::node::Node;
use crate::harness::packets::{self, name_of, named};
use crate::harness::random::Random;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// From nothing to the most that a datagram carries, with the edges of varints and pages between.
const SIZES: [usize; 16] = [1, 0, 2, 63, 64, 127, 128, 1400, 1472, 4095, 4096, 8192, 9000, 16_384, 65_000, 65_507];

#[test]
fn packets_of_all_sizes_come_out_byte_for_byte_on_both_families() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = start_with_two_listeners(folder.path(), &["node.lanes=1"]);
    let mut random = Random::announced("packets_of_all_sizes");
    let mut sent = Vec::new();
    for (round, target) in [node.udp(), node.address("udp.six"), node.udp()].into_iter().enumerate() {
        let train = packets::of_sizes(&mut random, &SIZES);
        packets::send(&packets::source(target), &train);
        sent.extend(train);
        let arrived = (round as u64 + 1) * SIZES.len() as u64;
        node.settled(arrived).assert_balanced();
    }
    assert_eq!(values(&node, 0), sent, "what came out against what went in");
    node.stop();
}

#[test]
fn two_lanes_keep_the_order_of_each_source() {
    const SOURCES: usize = 64;
    const PACKETS: usize = 200;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=2"]);
    let sockets: Vec<_> = (0..SOURCES).map(|_| packets::source(node.udp())).collect();
    for number in 0..PACKETS {
        for (source, socket) in sockets.iter().enumerate() {
            packets::send(socket, &[named(source, number, 100)]);
        }
    }
    let ledger = node.settled((SOURCES * PACKETS) as u64);
    ledger.assert_balanced();
    assert_eq!(ledger.admitted(), (SOURCES * PACKETS) as u64, "every packet is admitted: {}", ledger.0);
    assert_eq!(node.kafka().partitions("events"), [0, 1]);

    let mut home = BTreeMap::new();
    let mut next = vec![0; SOURCES];
    for partition in [0, 1] {
        for value in values(&node, partition) {
            let (source, number) = name_of(&value);
            assert_eq!(number, next[source], "source {source}: number {number} came where {} should", next[source]);
            next[source] += 1;
            let first = *home.entry(source).or_insert(partition);
            assert_eq!(first, partition, "source {source} in partitions {first} and {partition}");
        }
    }
    assert!(next.iter().all(|count| *count == PACKETS), "{PACKETS} of each source: {next:?}");
    let used: std::collections::BTreeSet<_> = home.values().collect();
    assert_eq!(used.len(), 2, "64 flows in {} of 2 lanes", used.len());
    node.stop();
}

#[test]
fn key_is_the_source_and_header_t_the_time_of_receipt() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let settings = ["node.lanes=1", "stream.events.key=source", "stream.events.receive_time=true"];
    let node = start_with_two_listeners(folder.path(), &settings);
    let before_ns = now_ns();
    let four = packets::source(node.udp());
    let six = packets::source(node.address("udp.six"));
    packets::send(&four, &[b"from four".to_vec()]);
    node.settled(1);
    packets::send(&six, &[b"from six".to_vec()]);
    node.settled(2);
    let after_ns = now_ns();

    let records = node.kafka().read_all("events", 0);
    let keys: Vec<_> = records.iter().map(|record| record.key.as_deref().unwrap_or_default().to_vec()).collect();
    let own = |socket: &std::net::UdpSocket| key_of(socket.local_addr().expect("a bound socket"));
    assert_eq!(keys, [own(&four), own(&six)]);
    for record in &records {
        assert_eq!(record.headers.len(), 1, "{:?}", record.headers);
        let (name, value) = record.headers.first().expect("one header");
        assert_eq!(&**name, "t");
        let value = value.as_deref().expect("the header has a value");
        let time_ns = i64::from_be_bytes(value.try_into().expect("eight bytes"));
        assert!((before_ns..=after_ns).contains(&time_ns), "received at {time_ns}, sent between {before_ns} and {after_ns}");
        assert_eq!(record.timestamp, time_ns / 1_000_000, "the record's time is the header's in ms");
    }
    node.stop();
}

/// 16 bytes of v6-mapped address and two of port, as the stream's key says it.
fn key_of(address: SocketAddr) -> Vec<u8> {
    let ip = match address.ip() {
        std::net::IpAddr::V4(four) => four.to_ipv6_mapped(),
        std::net::IpAddr::V6(six) => six,
    };
    [&ip.octets()[..], &address.port().to_be_bytes()[..]].concat()
}

fn now_ns() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(now.as_nanos()).expect("it is before 2262")
}
