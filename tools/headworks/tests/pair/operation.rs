//! What is seen, what is ordered, what is refused.

use crate::harness::packets::{self, named};
use crate::harness::program::{call, check_end, text_of};
use crate::harness::{http, loadgen, wait};
use crate::operated::Pair;
use headworks_format::{Epoch, LaneId, PairId};
use headworks_replicator::message::{self, End, Hello, Message, PROTOCOL, Spans, Verdict};
use headworks_replicator::register::Member;
use nix::sys::signal::Signal;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

#[test]
fn it_says_how_it_stands_and_changes_roles_when_ordered() {
    const SENT: usize = 500;
    const PACKETS: u64 = SENT as u64;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let pair = Pair::start(folder.path());
    let (a, b) = (&pair.a, &pair.b);
    let sent: Vec<_> = (0..SENT).map(|number| named(0, number, 200)).collect();
    packets::send(&packets::source(a.node.udp()), &sent);
    let status = a.until("all of it is on both disks", |status| {
        status["streams"][0]["partitions"][0]["high_watermark"] == PACKETS && status["peers"][0]["lag_bytes"] == 0
    });
    let (register, peer) = (&status["pair"]["register"], &status["peers"][0]);
    assert_eq!((&register["primary"], &register["in_sync"]), (&"a".into(), &serde_json::json!(["a", "b"])), "{register}");
    assert_eq!((&peer["name"], &peer["connected"], &peer["in_sync"]), (&"b".into(), &true.into(), &true.into()), "{peer}");
    assert_eq!(status["pair"]["arbiter"]["reachable"], true, "{status}");
    assert_eq!(a.metric("headworks_peer_in_sync{peer=\"b\"}"), "1");
    assert_eq!(a.metric("headworks_failovers_total{cause=\"start\"}"), "1");
    assert_eq!(a.metric("headworks_quarantine_files"), "0");
    check_end(&a.pair(&["status"]), 0, &["role primary", "in sync a, b", "peer b", "connected", "level peer-disk"]);

    // Refused: without the token, at the standby, for who is heard, at a primary.
    let token = a.node.data.join("admin.token");
    let mode = std::fs::metadata(&token).expect("a token").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "mode of {}", token.display());
    check_end(&a.pair(&["promote", "--confirm-fenced", "b"]), 1, &["refused: b is not fenced: it is connected"]);
    check_end(&a.pair(&["promote", "--confirm-fenced", "c"]), 1, &["refused: the other node is b, not c"]);
    check_end(&a.pair(&["rejoin"]), 1, &["refused: this node is primary: only a standby rejoins"]);
    check_end(&b.pair(&["switchover"]), 1, &["refused: this node is standby: order it at the primary, a"]);

    check_end(&a.pair(&["switchover"]), 0, &["b leads in epoch"]);
    b.until("b leads with a in sync", |status| status["role"] == "primary" && status["peers"][0]["in_sync"] == true);
    a.until("a stands by", |status| status["role"] == "standby" && status["ready"] == true);
    assert_eq!(b.metric("headworks_failovers_total{cause=\"switchover\"}"), "1");
    assert_eq!(b.metric("headworks_downgraded"), "0");
    let records = |status: &serde_json::Value| status["streams"][0]["partitions"][0]["high_watermark"].as_u64();
    let found = b.until("b has all of it", |status| records(status) >= Some(PACKETS));
    assert_eq!(records(&found), Some(PACKETS), "{found}");
    assert!(a.node.log().contains("administrative request"), "an order stands in the log:\n{}", a.node.log());

    check_end(&a.pair(&["rejoin"]), 0, &["this node starts over"]);
    wait::until_true("it has started over as ordered", || (a.node.log().contains("why=Ordered"), a.node.log()));
    a.until("and is in sync again", |status| status["role"] == "standby" && status["ready"] == true);
}

#[test]
fn who_is_left_alone_says_so_and_counts_what_is_on_one_disk_only() {
    const SENT: usize = 300;
    const PACKETS: u64 = SENT as u64;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let Pair { a, b, _witness } = Pair::start(folder.path());
    b.node.kill();
    let alone = a.until("a goes on alone", |status| {
        status["pair"]["level"] == "disk" && status["pair"]["register"]["in_sync"] == serde_json::json!(["a"])
    });
    assert_eq!(alone["ready"], true, "{alone}");
    let sent: Vec<_> = (0..SENT).map(|number| named(0, number, 200)).collect();
    packets::send(&packets::source(a.node.udp()), &sent);
    let status = a.until("what is committed alone is counted", |status| status["pair"]["solo_records"].as_u64() >= Some(PACKETS));
    assert_eq!(status["pair"]["solo_records"], PACKETS, "{status}");
    assert!(status["peers"][0]["lag_bytes"].as_u64() > Some(0), "{status}");
    let warns = |text: &str| {
        status["warnings"].as_array().expect("a list").iter().any(|line| line.as_str().is_some_and(|line| line.contains(text)))
    };
    assert!(warns("docs/runbooks/pair-degraded.md"), "{status}");
    assert_eq!(a.metric("headworks_downgraded"), "1");
    check_end(&a.pair(&["status"]), 1, &["in sync a  mode auto", "peer b", "not connected", "not in sync", "level disk"]);
    check_end(&a.pair(&["switchover"]), 1, &["refused: b is not in sync"]);
    check_end(&a.pair(&["promote", "--confirm-fenced", "b"]), 1, &["refused: this node leads alone already"]);
}

#[test]
fn a_primary_that_is_told_to_stop_ends_well_though_its_standby_stands_still() {
    const SENT: usize = 300;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let Pair { mut a, mut b, _witness } = Pair::start(folder.path());
    let sent: Vec<_> = (0..SENT).map(|number| named(0, number, 200)).collect();
    packets::send(&packets::source(a.node.udp()), &sent);
    a.node.settled(SENT as u64);
    b.node.signal(Signal::SIGSTOP);
    // The handover waits for what stands still, and is taken back.
    a.node.signal(Signal::SIGTERM);
    a.node.stopped();
    assert!(a.node.log().contains("everything received is durable"), "{}", a.node.log());
    b.node.kill();
    let a = a.again();
    a.until("it leads again, alone", |status| status["role"] == "primary" && status["ready"] == true);
    let ledger = a.node.ledger();
    ledger.assert_balanced();
    assert_eq!((ledger.arrived(), ledger.admitted()), (SENT as u64, SENT as u64), "the books of earlier runs: {}", ledger.0);
}

/// Whoever knows the pair's id, which every Kafka client is told, may say what it likes on the pair's port.
#[test]
fn who_asks_for_another_lane_on_a_lanes_connection_loses_that_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let Pair { a, b, _witness } = Pair::start(folder.path());
    b.node.kill();
    a.until("a goes on alone", |status| status["pair"]["register"]["in_sync"] == serde_json::json!(["a"]));
    let hello = |lane: u32, lanes: u32| Hello {
        protocol: PROTOCOL,
        pair: PairId(a.node.kafka().cluster()),
        member: Member { node: 77, incarnation: 78 },
        name: "stranger",
        address: "127.0.0.1:9",
        lanes,
        segment_bytes: 8 << 20,
        lane: LaneId(lane),
        promised: Epoch(0),
        register_version: 0,
        end: End::BLANK,
        committed: 0,
        history: Spans::new(&[]).expect("a short history"),
    };
    let mut stranger = TcpStream::connect(a.pair_address()).expect("the pair's port is open");
    stranger.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket takes a limit");
    let mut said = Vec::new();
    message::encode(&Message::Hello(hello(0, 1)), &mut said);
    stranger.write_all(&said).expect("it listens");
    let mut answer = Vec::new();
    let verdict = loop {
        if let Some((Message::Welcome(welcome), _)) = message::next(&answer).expect("a whole message") {
            break welcome.verdict;
        }
        let mut byte = [0];
        stranger.read_exact(&mut byte).expect("an answer");
        answer.extend(byte);
    };
    assert_eq!(verdict, Verdict::Follow { from: End::BLANK }, "the connection is the lane's");
    said.clear();
    message::encode(&Message::Hello(hello(63, 64)), &mut said);
    stranger.write_all(&said).expect("it listens");
    let mut rest = Vec::new();
    // Closed, in order or not; an open connection would run into the limit.
    if let Err(error) = stranger.read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    let mut a = a;
    a.node.assert_alive();
    assert!(!a.node.log().contains("panicked"), "{}", a.node.log());
    // The loop that leads answers an order, and refuses it for its own reason.
    check_end(&a.pair(&["switchover"]), 1, &["is not in sync"]);
}

#[test]
fn a_topic_first_asked_for_at_the_standby_is_made_and_written_to() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let Pair { a, b, _witness } = Pair::start(folder.path());
    let standby = b.node.address("kafka").to_string();
    let arguments =
        ["kafka", "--target", &standby, "--topic", "orders", "--rate", "2k", "--size", "100", "--sources", "2", "--acks", "all"];
    let mut load = loadgen::begin_unasked(&[&arguments[..], &["--duration", "120s"]].concat(), &folder.path().join("run.json"));
    load.under_way();
    a.until("the new topic is written to", |status| {
        let orders = status["streams"].as_array().and_then(|streams| streams.iter().find(|stream| stream["name"] == "orders"));
        let records = |stream: &serde_json::Value| -> u64 {
            let partitions = stream["partitions"].as_array().expect("partitions");
            partitions.iter().filter_map(|partition| partition["high_watermark"].as_u64()).sum()
        };
        orders.is_some_and(|orders| records(orders) >= 500)
    });
    let ledger = load.interrupted();
    assert_eq!(ledger["answers"]["fatal"], serde_json::json!({}), "{ledger}");
}

#[test]
fn a_single_node_refuses_orders() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let node = crate::harness::node::Node::start(&folder.path().join("data"), &["node.lanes=1"]);
    let data = text_of(&node.data);
    let address = node.address("http").to_string();
    for arguments in [&["switchover"][..], &["rejoin"], &["promote", "--confirm-fenced", "b"]] {
        let ended = call(["pair"].iter().chain(arguments).chain(&["--http", &address, "--data", &data]));
        check_end(&ended, 1, &["refused: this is a single node"]);
    }
    check_end(&call(["pair", "switchover", "--http", &address, "--data", "/nowhere"]), 78, &["no token in /nowhere/admin.token"]);
    assert_eq!(http::ask(node.address("http"), "/api/v1/status").json()["pair"], serde_json::Value::Null);
    node.stop();
}
