//! Over real sockets on loopback: framing, order, bounds and endings.

use std::time::Duration;

use bytes::BufMut;
use kafka_protocol::messages as wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::*;
use crate::cluster::Cluster;
use crate::counters::Counters;
use crate::store::Store as _;

/// A server on loopback and what a test needs to judge it.
struct Server {
    address: std::net::SocketAddr,
    counters: Counters,
    close: watch::Sender<bool>,
    log: MemoryLog,
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }
}

/// Runs a server beside a test; both end together, and the server must have ended by itself.
async fn check<F: Future<Output = ()>>(limits: Limits, test: impl FnOnce(std::rc::Rc<Server>) -> F) {
    let log = MemoryLog::default().with_topic("events", 1);
    log.write("events", 0, &[(1, b"a")]);
    let (close, closing) = watch::channel(false);
    let counters = Counters::default();
    let broker = Broker::new(log.clone(), identity(), Cluster::default(), limits, counters.clone(), closing);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = std::rc::Rc::new(Server { address: listener.local_addr().expect("an address"), counters, close, log });
    let tasks = LocalSet::new();
    let listening = tasks.spawn_local(crate::kafka::listen(std::rc::Rc::new(broker), listener));
    tasks
        .run_until(async {
            test(std::rc::Rc::clone(&server)).await;
            server.close.send_replace(true);
            listening.await.expect("a server that ends by itself");
        })
        .await;
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_i32(i32::try_from(frame.len()).expect("a small frame"));
    bytes.extend_from_slice(frame);
    bytes
}

/// The next answer, its length included.
async fn answer(stream: &mut TcpStream) -> Bytes {
    let length = stream.read_i32().await.expect("a length");
    let mut bytes = BytesMut::new();
    bytes.put_i32(length);
    let length = usize::try_from(length).expect("a length");
    bytes.resize(4 + length, 0);
    stream.read_exact(&mut bytes[4..]).await.expect("an answer");
    bytes.freeze()
}

/// The server closes without another byte.
async fn check_closed(stream: &mut TcpStream) {
    let mut byte = [0];
    let ended = stream.read(&mut byte).await;
    let closed = match &ended {
        Ok(count) => *count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    };
    assert!(closed, "{ended:?}");
}

fn versions(correlation: i32) -> Vec<u8> {
    framed(&frame(0, correlation, &wire::ApiVersionsRequest::default()))
}

fn fetch(correlation: i32, offset: i64) -> Vec<u8> {
    use wire::fetch_request::{FetchPartition, FetchTopic};
    let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name("events")).with_partitions(vec![partition]);
    let request = wire::FetchRequest::default().with_max_wait_ms(20_000).with_min_bytes(1).with_max_bytes(1 << 20).with_topics(vec![topic]);
    framed(&frame(4, correlation, &request))
}

#[tokio::test]
async fn a_topic_asked_for_at_the_standby_is_made_by_the_leader() {
    use wire::metadata_request::MetadataRequestTopic;
    check(Limits::default(), async |leader| {
        let (close, closing) = watch::channel(false);
        let (cluster, here) = (Cluster::standby(), MemoryLog::default());
        let standby = Broker::new(here.clone(), identity(), cluster.clone(), Limits::default(), Counters::default(), closing);
        let wanted = |may_create: bool| {
            let topics = ["fresh", "not a name"].map(|topic| MetadataRequestTopic::default().with_name(Some(name(topic))));
            wire::MetadataRequest::default().with_topics(Some(topics.into())).with_allow_auto_topic_creation(may_create)
        };
        let codes = async |may_create| {
            let answer = ask(&standby, 5, &wanted(may_create)).await;
            answer.topics.iter().map(|topic| topic.error_code).collect::<Vec<_>>()
        };
        assert_eq!(codes(true).await, [3, 3], "nobody is known to ask");
        cluster.met(crate::cluster::Broker { id: 3, host: "127.0.0.1".to_owned(), port: leader.address.port() });
        assert_eq!(codes(false).await, [3, 3], "the client does not want them made");
        assert!(leader.log.topics().iter().all(|topic| topic.name != "fresh"));
        assert_eq!(codes(true).await, [5, 17], "made there and not known here yet; no name of a topic");
        let made = leader.log.topics().into_iter().find(|topic| topic.name == "fresh").expect("made by the leader");
        assert_eq!((made.partitions, here.topics().len()), (4, 0));
        assert_eq!(codes(true).await[0], 5, "there already, and still to be asked for again");
        cluster.met(crate::cluster::Broker { id: 3, host: "127.0.0.1".to_owned(), port: 1 });
        assert_eq!(codes(true).await[0], 5, "a leader that does not answer");
        drop(close);
    })
    .await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    check(Limits::default(), |server| async move {
        let mut stream = server.connect().await;
        // The fetch in the middle waits for a commit; what follows it must not overtake it.
        let requests = [versions(1), fetch(2, 1), versions(3)].concat();
        stream.write_all(&requests).await.expect("requests sent");
        decode::<wire::ApiVersionsRequest>(0, 1, answer(&mut stream).await);
        server.log.write("events", 0, &[(2, b"b")]);
        let fetched = decode::<wire::FetchRequest>(4, 2, answer(&mut stream).await);
        let records = fetched.responses[0].partitions[0].records.as_ref();
        assert!(records.is_some_and(|records| !records.is_empty()));
        decode::<wire::ApiVersionsRequest>(0, 3, answer(&mut stream).await);
    })
    .await;
}

#[tokio::test]
async fn frame_in_single_bytes_is_read() {
    check(Limits::default(), |server| async move {
        let mut stream = server.connect().await;
        stream.set_nodelay(true).expect("a socket option");
        for byte in versions(9) {
            stream.write_all(&[byte]).await.expect("a byte sent");
            tokio::task::yield_now().await;
        }
        decode::<wire::ApiVersionsRequest>(0, 9, answer(&mut stream).await);
    })
    .await;
}

#[tokio::test]
async fn answer_larger_than_the_socket_buffers_arrives_whole() {
    check(Limits::default(), |server| async move {
        let big = vec![7; 900_000];
        for _ in 0..8 {
            server.log.write("events", 0, &[(1, &big)]);
        }
        let mut stream = server.connect().await;
        for offset in 1..9 {
            stream.write_all(&fetch(5, offset)).await.expect("a request sent");
        }
        for _ in 1..9 {
            let fetched = decode::<wire::FetchRequest>(4, 5, answer(&mut stream).await);
            let records = fetched.responses[0].partitions[0].records.as_ref();
            assert!(records.is_some_and(|records| records.len() > big.len()));
        }
    })
    .await;
}

#[tokio::test]
async fn unknown_version_of_api_versions_gets_version_0_and_stays_open() {
    check(Limits::default(), |server| async move {
        let mut stream = server.connect().await;
        // Version 99 with a header that nobody knows.
        let frame = [0, 18, 0, 99, 0, 0, 0, 6, 0xff, 0xfe, 0xfd];
        stream.write_all(&framed(&frame)).await.expect("a request sent");
        let told = decode::<wire::ApiVersionsRequest>(0, 6, answer(&mut stream).await);
        assert_eq!(told.error_code, 35);
        let own = &told.api_keys[0];
        assert_eq!((own.api_key, own.min_version, own.max_version), (18, 0, 4));
        stream.write_all(&versions(7)).await.expect("a request sent");
        decode::<wire::ApiVersionsRequest>(0, 7, answer(&mut stream).await);
    })
    .await;
}

#[tokio::test]
async fn unknown_key_and_version_are_counted_and_closed() {
    check(Limits::default(), |server| async move {
        for (key, version) in [(999i16, 0i16), (1, 99), (24, 0), (0, 2)] {
            let mut stream = server.connect().await;
            let mut frame = Vec::new();
            frame.put_i16(key);
            frame.put_i16(version);
            frame.put_slice(&[0; 8]);
            stream.write_all(&framed(&frame)).await.expect("a request sent");
            check_closed(&mut stream).await;
        }
        assert_eq!(server.counters.closed_count("unsupported"), 4);
    })
    .await;
}

#[tokio::test]
async fn absurd_lengths_are_counted_and_closed() {
    check(Limits::default(), |server| async move {
        let most = i32::try_from(Limits::default().request_bytes_max).expect("a few MiB");
        for length in [i32::MAX, -1, i32::MIN, 0, 7, most + 1] {
            let mut stream = server.connect().await;
            stream.write_i32(length).await.expect("a length sent");
            check_closed(&mut stream).await;
        }
        assert_eq!(server.counters.closed_count("frame_length"), 6);
    })
    .await;
}

#[tokio::test]
async fn malformed_body_is_counted_and_closed() {
    check(Limits::default(), |server| async move {
        let mut stream = server.connect().await;
        let mut frame = frame(1, 1, &wire::MetadataRequest::default()).to_vec();
        frame.pop();
        stream.write_all(&framed(&frame)).await.expect("a request sent");
        check_closed(&mut stream).await;
        assert_eq!(server.counters.closed_count("malformed"), 1);
    })
    .await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_room_comes_back() {
    let limits = Limits { kafka_connections_max: 1, ..Limits::default() };
    check(limits, |server| async move {
        let mut first = server.connect().await;
        first.write_all(&versions(1)).await.expect("a request sent");
        answer(&mut first).await;
        let mut second = server.connect().await;
        check_closed(&mut second).await;
        assert_eq!(server.counters.closed_count("too_many_connections"), 1);
        first.shutdown().await.expect("an end sent");
        check_closed(&mut first).await;
        let mut third = server.connect().await;
        third.write_all(&versions(3)).await.expect("a request sent");
        decode::<wire::ApiVersionsRequest>(0, 3, answer(&mut third).await);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_is_given_up_after_the_deadline() {
    check(Limits::default(), |server| async move {
        for sent in [2, 10] {
            let mut stream = server.connect().await;
            stream.write_all(&versions(1)[..sent]).await.expect("half a frame sent");
            check_closed(&mut stream).await;
        }
        assert_eq!(server.counters.closed_count("stalled"), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn client_that_stops_reading_is_dropped() {
    check(Limits::default(), |server| async move {
        let big = vec![7; 1_000_000];
        for _ in 0..40 {
            server.log.write("events", 0, &[(1, &big)]);
        }
        let mut stream = server.connect().await;
        // More than loopback's socket buffers take, and not a byte of it read.
        let requests: Vec<u8> = (1..40).flat_map(|offset| fetch(1, offset)).collect();
        stream.write_all(&requests).await.expect("requests sent");
        // Each write that moves a byte puts the deadline off, so only the full socket lets it pass.
        while server.counters.closed_count("stalled") == 0 {
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn silent_connection_is_closed_after_the_idle_time() {
    check(Limits::default(), |server| async move {
        let mut stream = server.connect().await;
        check_closed(&mut stream).await;
        assert_eq!(server.counters.closed_count("idle"), 1);
    })
    .await;
}

#[tokio::test]
async fn shutdown_answers_a_waiting_fetch_and_closes() {
    check(Limits::default(), |server| async move {
        let mut stream = server.connect().await;
        stream.write_all(&[versions(1), fetch(2, 1)].concat()).await.expect("requests sent");
        answer(&mut stream).await;
        while server.counters.answered_count("ApiVersions", "NONE") == 0 {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        server.close.send_replace(true);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("an orderly end");
        if !rest.is_empty() {
            // The fetch was begun before the end was seen: then it is answered whole.
            decode::<wire::FetchRequest>(4, 2, rest.into());
        }
    })
    .await;
}

/// A produce request of two records for the one partition.
fn produce(correlation: i32) -> Vec<u8> {
    framed(&frame(9, correlation, &super::produce::request(-1, "events", 0, Some(super::produce::batch_of(2)))))
}

#[tokio::test]
async fn produce_requests_are_handed_over_before_the_first_is_answered() {
    check(Limits::default(), |server| async move {
        server.log.hold();
        let mut stream = server.connect().await;
        for correlation in 1..=5 {
            stream.write_all(&produce(correlation)).await.expect("sent");
        }
        // Handed over, all of them, though nothing is committed and so nothing answered.
        while server.log.appended("events", 0) < 11 {
            tokio::task::yield_now().await;
        }
        server.log.commit("events", 0);
        for correlation in 1..=5 {
            let answer = decode::<wire::ProduceRequest>(9, correlation, answer(&mut stream).await);
            let partition = &answer.responses[0].partition_responses[0];
            assert_eq!((partition.error_code, partition.base_offset), (0, i64::from(correlation) * 2 - 1));
        }
    })
    .await;
}

#[tokio::test]
async fn a_produce_request_waits_for_room_and_what_came_before_it_is_answered_meanwhile() {
    check(Limits::default(), |server| async move {
        server.log.hold();
        let mut stream = server.connect().await;
        stream.write_all(&produce(1)).await.expect("sent");
        while server.log.appended("events", 0) < 3 {
            tokio::task::yield_now().await;
        }
        server.log.set_full(true);
        stream.write_all(&produce(2)).await.expect("sent");
        server.log.commit("events", 0);
        decode::<wire::ProduceRequest>(9, 1, answer(&mut stream).await);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.log.appended("events", 0), 3, "the second one waits");
        server.log.set_full(false);
        while server.log.appended("events", 0) < 5 {
            tokio::task::yield_now().await;
        }
        server.log.commit("events", 0);
        decode::<wire::ProduceRequest>(9, 2, answer(&mut stream).await);
    })
    .await;
}

#[tokio::test]
async fn what_is_asked_after_a_produce_is_answered_after_it() {
    check(Limits::default(), |server| async move {
        server.log.hold();
        let mut stream = server.connect().await;
        stream.write_all(&[produce(1), versions(2), produce(3)].concat()).await.expect("sent");
        while server.log.appended("events", 0) < 3 {
            tokio::task::yield_now().await;
        }
        server.log.commit("events", 0);
        decode::<wire::ProduceRequest>(9, 1, answer(&mut stream).await);
        decode::<wire::ApiVersionsRequest>(0, 2, answer(&mut stream).await);
        while server.log.appended("events", 0) < 5 {
            tokio::task::yield_now().await;
        }
        server.log.commit("events", 0);
        decode::<wire::ProduceRequest>(9, 3, answer(&mut stream).await);
    })
    .await;
}

/// A join of a member that has no id, in a version that makes it a member at once.
fn join(correlation: i32) -> Vec<u8> {
    use wire::join_group_request::JoinGroupRequestProtocol;
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    let request = wire::JoinGroupRequest::default()
        .with_group_id(wire::GroupId(text("readers")))
        .with_session_timeout_ms(30_000)
        .with_rebalance_timeout_ms(60_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol]);
    framed(&frame(3, correlation, &request))
}

#[tokio::test]
async fn a_join_that_waits_holds_up_nobody_and_ends_with_its_connection() {
    check(Limits::default(), |server| async move {
        let (mut first, mut second, mut third) = (server.connect().await, server.connect().await, server.connect().await);
        first.write_all(&join(1)).await.expect("sent");
        let joined = decode::<wire::JoinGroupRequest>(3, 1, answer(&mut first).await);
        assert_eq!((joined.error_code, joined.generation_id), (0, 1));
        // Both wait for the first member, which will never join again.
        second.write_all(&join(2)).await.expect("sent");
        third.write_all(&join(3)).await.expect("sent");
        first.write_all(&versions(4)).await.expect("sent");
        decode::<wire::ApiVersionsRequest>(0, 4, answer(&mut first).await);
        // The first leaves and the second's connection ends: the third is alone, and told so.
        second.shutdown().await.expect("an end sent");
        check_closed(&mut second).await;
        let leave = wire::LeaveGroupRequest::default().with_group_id(wire::GroupId(text("readers"))).with_member_id(joined.member_id);
        first.write_all(&framed(&frame(1, 5, &leave))).await.expect("sent");
        assert_eq!(decode::<wire::LeaveGroupRequest>(1, 5, answer(&mut first).await).error_code, 0);
        let joined = decode::<wire::JoinGroupRequest>(3, 3, answer(&mut third).await);
        assert_eq!((joined.error_code, joined.generation_id, joined.members.len()), (0, 2, 1));
    })
    .await;
}
