//! What a node says of itself, in the shapes that outside checks are written against.

use crate::harness::http;
use crate::harness::node::Node;
use crate::harness::packets::{self, named};
use crate::harness::program::{call, check_end};
use serde_json::Value;

/// Metrics that every release keeps and this one counts.
const METRICS: [&str; 15] = [
    "headworks_arrived_packets_total{",
    "headworks_rx_packets_total{",
    "headworks_rx_bytes_total{",
    "headworks_rx_drops_total{",
    "headworks_admitted_records_total{",
    "headworks_shed_records_total{",
    "headworks_ring_occupancy_ratio{",
    "headworks_segment_write_bytes_total{",
    "headworks_fdatasync_duration_seconds_bucket{",
    "headworks_durable_latency_seconds_count",
    "headworks_log_position{",
    "headworks_epoch",
    "headworks_ledger_imbalance_records{",
    "headworks_volume_free_bytes{",
    "headworks_build_info{",
];

fn with_hundred_packets(folder: &std::path::Path) -> Node {
    let node = Node::start(&folder.join("data"), &["node.lanes=2"]);
    let sent: Vec<_> = (0..100).map(|number| named(0, number, 100)).collect();
    packets::send(&packets::source(node.udp()), &sent);
    node.settled(100);
    node
}

/// Each path leads to a value of this kind.
fn check_shape(body: &Value, shape: &[(&str, &str)]) {
    for (pointer, kind) in shape {
        let value = body.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {body}"));
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "list",
            Value::Object(_) => "object",
        };
        assert_eq!(found, *kind, "{pointer} of {body}");
    }
}

#[test]
fn ready_line_is_the_only_line_and_names_every_listener() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=1"]);
    assert!(node.ready.starts_with("ready node=test udp=127.0.0.1:"), "{}", node.ready);
    assert!(node.ready.ends_with(&format!(" data={}", node.data.display())), "{}", node.ready);
    for word in ["udp", "kafka", "http"] {
        assert_ne!(node.address(word).port(), 0, "{word} in {}", node.ready);
    }
    node.stop();
}

#[test]
fn status_has_its_shape() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = with_hundred_packets(folder.path());
    let status = node.status();
    let shape = [
        ("/node", "string"),
        ("/version", "string"),
        ("/role", "string"),
        ("/epoch", "number"),
        ("/ready", "bool"),
        ("/uptime_seconds", "number"),
        ("/listeners/0/address", "string"),
        ("/lanes/1/sealed", "number"),
        ("/lanes/1/submitted", "number"),
        ("/lanes/1/written", "number"),
        ("/lanes/1/durable", "number"),
        ("/lanes/1/committed", "number"),
        ("/lanes/1/ring_occupancy", "number"),
        ("/streams/0/partitions/1/high_watermark", "number"),
        ("/volumes/0/free_bytes", "number"),
        ("/peers", "list"),
        ("/groups", "list"),
        ("/warnings", "list"),
    ];
    check_shape(&status.0, &shape);
    assert_eq!((status.0["node"].as_str(), status.0["ready"].as_bool()), (Some("test"), Some(true)));
    assert_eq!(status.records("events"), 100);
    let by_command = call(["status", "--http", &node.address("http").to_string(), "-o", "json"]);
    check_end(&by_command, 0, &["\"ledger\"", "\"status\""]);
    let by_command = call(["status", "--http", &node.address("http").to_string()]);
    check_end(&by_command, 0, &["node test", "imbalance 0"]);
    node.stop();
}

#[test]
fn ledger_has_its_shape_and_balances() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = with_hundred_packets(folder.path());
    let ledger = node.ledger();
    let shape = [
        ("/run/epoch", "number"),
        ("/run/since", "number"),
        ("/listeners/0/name", "string"),
        ("/listeners/0/lane", "number"),
        ("/listeners/0/exact", "bool"),
        ("/listeners/0/arrived", "number"),
        ("/listeners/0/dropped", "object"),
        ("/listeners/0/received", "number"),
        ("/listeners/0/admitted", "number"),
        ("/listeners/0/shed/disk_full", "number"),
        ("/listeners/0/dead_lettered", "number"),
        ("/listeners/0/pending", "number"),
        ("/lanes/0/in_flight", "number"),
        ("/host", "object"),
        ("/unobserved", "list"),
        ("/imbalance", "number"),
    ];
    check_shape(&ledger.0, &shape);
    ledger.assert_balanced();
    assert_eq!((ledger.arrived(), ledger.admitted(), ledger.durable()), (100, 100, 100));
    node.stop();
}

#[test]
fn metrics_have_their_names_and_the_books_numbers() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = with_hundred_packets(folder.path());
    let answer = node.ask("/metrics");
    assert_eq!(answer.code, 200);
    for name in METRICS {
        assert!(answer.body.lines().any(|line| line.starts_with(name)), "no {name} in\n{}", answer.body);
    }
    let sum = |name: &str| {
        let lines = answer.body.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
    };
    for (name, wanted) in [
        ("headworks_arrived_packets_total{", 100.0),
        ("headworks_admitted_records_total{", 100.0),
        ("headworks_rx_bytes_total{", 10_000.0),
        ("headworks_ledger_imbalance_records{", 0.0),
    ] {
        let found = sum(name);
        assert!((found - wanted).abs() < 0.5, "{name} says {found}, sent were {wanted}");
    }
    assert!(!answer.body.contains(r#"listener="127."#), "an address as a label");
    node.stop();
}

#[test]
fn probes_page_and_unknown_paths_answer() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(&folder.path().join("data"), &["node.lanes=1"]);
    for (path, code, part) in [("/readyz", 200, "ready"), ("/healthz", 200, "ok"), ("/nothing", 404, "/metrics")] {
        let answer = node.ask(path);
        assert_eq!(answer.code, code, "{path}: {}", answer.body);
        assert!(answer.body.contains(part), "{path}: {}", answer.body);
    }
    let page = node.ask("/");
    assert_eq!(page.code, 200);
    assert!(page.head.contains("text/html") && page.body.contains("/api/v1/ledger"), "{}\n{}", page.head, page.body);
    let address = node.address("http");
    node.stop();
    assert!(http::try_ask(address, "/readyz").is_err(), "a stopped node answers at {address}");
}
