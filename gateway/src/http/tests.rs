//! HTTP over real sockets, as plain text: what a browser, a scrape and a probe get.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::report::*;
use super::*;

/// An appliance that says what a test wants.
struct Fixed(Result<(), String>);

impl Observed for Fixed {
    fn ledger(&self) -> LedgerReport {
        let listener = ListenerLedger {
            name: "udp".to_owned(),
            exact: true,
            arrived: 12,
            dropped: [("kernel_rcvbuf".to_owned(), 2)].into(),
            received: 10,
            admitted: 9,
            shed: [("oversize".to_owned(), 1)].into(),
            ..ListenerLedger::default()
        };
        LedgerReport {
            listeners: vec![listener],
            lanes: vec![LaneLedger::default()],
            unobserved: vec![Span { from: 1, to: 2 }],
            ..LedgerReport::default()
        }
    }

    fn status(&self) -> StatusReport {
        StatusReport { node: "a".to_owned(), role: "single".to_owned(), ready: self.0.is_ok(), ..StatusReport::default() }
    }

    fn ready(&self) -> Result<(), String> {
        self.0.clone()
    }

    fn metrics(&self) -> MetricsReport {
        metrics()
    }

    fn administer(&self, act: &Act) -> Result<String, String> {
        match act {
            Act::Promote { fenced } if fenced == "b" => Err("b is heard".to_owned()),
            act => Ok(format!("{act:?}")),
        }
    }
}

fn metrics() -> MetricsReport {
    MetricsReport {
        arrived_packets: vec![ListenerLaneCount { listener: "udp".to_owned(), lane: 1, count: 12 }],
        shed_records: vec![CauseCount { owner: "events".to_owned(), cause: "oversize".to_owned(), count: 3 }],
        ring_occupancy: vec![LaneRatio { lane: 0, ratio: 0.25 }],
        fdatasync_duration: Some(HistogramReport { buckets: vec![(0.001, 4), (0.01, 9)], sum_seconds: 0.5, count: 10 }),
        ledger_imbalance: vec![ListenerImbalance { listener: "udp".to_owned(), records: -1 }],
        role: "single".to_owned(),
        epoch: 5,
        version: "0.1.0".to_owned(),
        ..MetricsReport::default()
    }
}

/// Serves a fixed appliance beside a test; the server must end by itself.
async fn check<F: Future<Output = ()>>(ready: Result<(), String>, limits: Limits, test: impl FnOnce(SocketAddr) -> F) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (close, closing) = watch::channel(false);
    let tasks = LocalSet::new();
    let counters = Counters::default();
    let serving = tasks.spawn_local(listen(listener, Fixed(ready), Token::new("s3cret".to_owned()), counters, limits, closing));
    tasks
        .run_until(async {
            test(address).await;
            close.send_replace(true);
            serving.await.expect("a server that ends by itself");
        })
        .await;
}

/// Sends one request and reads everything that comes.
async fn exchange(address: SocketAddr, method: &str, path: &str) -> (u16, String, String) {
    exchange_with(address, method, path, "\r\n").await
}

/// As [`exchange`], with `rest` behind the usual headers: further ones, the empty line and a body.
async fn exchange_with(address: SocketAddr, method: &str, path: &str, rest: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{rest}");
    stream.write_all(request.as_bytes()).await.expect("a request sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).expect("a status");
    (status.parse().expect("a number"), head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn ledger_has_the_promised_shape() {
    check(Ok(()), Limits::default(), |address| async move {
        let (status, _, body) = exchange(address, "GET", "/api/v1/ledger").await;
        assert_eq!(status, 200);
        let ledger: Value = serde_json::from_str(&body).expect("JSON");
        for path in [
            "/run/epoch",
            "/run/since",
            "/listeners/0/name",
            "/listeners/0/lane",
            "/listeners/0/exact",
            "/listeners/0/arrived",
            "/listeners/0/dropped/kernel_rcvbuf",
            "/listeners/0/received",
            "/listeners/0/admitted",
            "/listeners/0/shed/oversize",
            "/listeners/0/dead_lettered",
            "/listeners/0/pending",
            "/lanes/0/lane",
            "/lanes/0/admitted",
            "/lanes/0/durable",
            "/lanes/0/committed",
            "/lanes/0/in_flight",
            "/host",
            "/unobserved/0/from",
            "/unobserved/0/to",
            "/imbalance",
        ] {
            assert!(ledger.pointer(path).is_some(), "{path} in {body}");
        }
    })
    .await;
}

#[tokio::test]
async fn status_is_json() {
    check(Ok(()), Limits::default(), |address| async move {
        let (status, head, body) = exchange(address, "GET", "/api/v1/status").await;
        assert_eq!(status, 200);
        assert!(head.contains("application/json"), "{head}");
        let report: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(report["node"], "a");
        assert_eq!(report["ready"], true);
    })
    .await;
}

#[tokio::test]
async fn ready_says_why_not() {
    check(Ok(()), Limits::default(), |address| async move {
        assert_eq!(exchange(address, "GET", "/readyz").await.0, 200);
    })
    .await;
    let reason = Err("the disk is full".to_owned());
    check(reason, Limits::default(), |address| async move {
        let (status, _, body) = exchange(address, "GET", "/readyz").await;
        assert_eq!((status, body.as_str()), (503, "the disk is full\n"));
        assert_eq!(exchange(address, "GET", "/healthz").await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn page_loads_nothing_from_elsewhere() {
    check(Ok(()), Limits::default(), |address| async move {
        let (status, head, body) = exchange(address, "GET", "/").await;
        assert_eq!(status, 200);
        assert!(head.contains("default-src 'none'"), "{head}");
        for foreign in ["http://", "https://", "src=", "@import", "innerHTML"] {
            assert!(!body.contains(foreign), "{foreign} in the page");
        }
    })
    .await;
}

#[tokio::test]
async fn unknown_path_and_wrong_method_are_told_in_text() {
    check(Ok(()), Limits::default(), |address| async move {
        let (status, head, _) = exchange(address, "GET", "/nowhere").await;
        assert_eq!(status, 404);
        assert!(head.contains("text/plain"), "{head}");
        let (status, head, _) = exchange(address, "POST", "/api/v1/ledger").await;
        assert_eq!(status, 405);
        assert!(head.to_lowercase().contains("allow: get,head"), "{head}");
    })
    .await;
}

/// Sends an order; an answer's code, head and body.
async fn order(address: SocketAddr, act: &str, authorization: &str, body: &str) -> (u16, String, String) {
    let bytes = body.len();
    let rest = format!("{authorization}content-length: {bytes}\r\n\r\n{body}");
    exchange_with(address, "POST", &format!("/api/v1/pair/{act}"), &rest).await
}

const SHOWN: &str = "authorization: Bearer s3cret\r\n";

#[tokio::test]
async fn orders_need_the_token_and_nothing_is_learned_without_it() {
    check(Ok(()), Limits::default(), |address| async move {
        let mut told = Vec::new();
        for shown in ["", "authorization: Bearer s3cre\r\n", "authorization: Bearer s3cre7\r\n", "authorization: Basic s3cret\r\n"] {
            for act in ["switchover", "promote", "nothing"] {
                let (status, head, body) = order(address, act, shown, "").await;
                assert_eq!(status, 401, "{act} with {shown:?}: {body}");
                assert!(head.to_lowercase().contains("www-authenticate: bearer"), "{head}");
                told.push(body);
            }
        }
        told.dedup();
        assert_eq!(told.len(), 1, "who shows no token is told the same whatever he asks: {told:?}");
    })
    .await;
}

#[tokio::test]
async fn orders_are_accepted_refused_or_malformed_and_counted() {
    check(Ok(()), Limits::default(), |address| async move {
        let says = |body: &str| serde_json::from_str::<Value>(body).expect("JSON");
        let (status, _, body) = order(address, "switchover", SHOWN, "").await;
        assert_eq!((status, says(&body)["accepted"].as_bool(), says(&body)["says"].as_str()), (202, Some(true), Some("Switchover")));
        assert_eq!(order(address, "rejoin", SHOWN, "").await.0, 202);
        assert_eq!(order(address, "promote", SHOWN, "{\"fenced\": \"a\"}").await.0, 202);
        let (status, _, body) = order(address, "promote", SHOWN, "{\"fenced\": \"b\"}").await;
        assert_eq!((status, says(&body)["accepted"].as_bool(), says(&body)["says"].as_str()), (409, Some(false), Some("b is heard")));
        for body in ["", "{}", "{\"fenced\": 1}", "{\"fenced\": \"a\", \"force\": true}"] {
            assert_eq!(order(address, "promote", SHOWN, body).await.0, 400, "{body}");
        }
        assert_eq!(order(address, "nothing", SHOWN, "").await.0, 404);
        assert_eq!(order(address, "promote", SHOWN, &" ".repeat(administration::BODY_BYTES_MAX + 1)).await.0, 413);
        let (_, _, scrape) = exchange(address, "GET", "/metrics").await;
        for line in ["{outcome=\"accepted\"} 3", "{outcome=\"refused\"} 1", "{outcome=\"malformed\"} 5"] {
            let line = format!("headworks_administrative_requests_total{line}");
            assert!(scrape.lines().any(|found| found == line), "{line} in\n{scrape}");
        }
    })
    .await;
}

#[test]
fn an_empty_token_opens_nothing() {
    assert!(!Token::new(String::new()).is(""));
    assert!(Token::new("s3cret".to_owned()).is("s3cret"));
    assert!(!format!("{:?}", Token::new("s3cret".to_owned())).contains("s3cret"));
}

#[tokio::test]
async fn scrape_is_open_metrics() {
    check(Ok(()), Limits::default(), |address| async move {
        let (status, head, body) = exchange(address, "GET", "/metrics").await;
        assert_eq!(status, 200);
        assert!(head.contains("application/openmetrics-text"), "{head}");
        assert!(body.ends_with("# EOF\n"), "{body}");
    })
    .await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let limits = Limits { http_connections_max: 1, ..Limits::default() };
    check(Ok(()), limits, |address| async move {
        // All four connect before the first is answered; the kernel keeps three of them.
        let asked: Vec<_> = (0..4).map(|_| tokio::task::spawn_local(exchange(address, "GET", "/healthz"))).collect();
        for answered in asked {
            let (status, ..) = answered.await.expect("an answer");
            assert_eq!(status, 200);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn half_a_request_is_given_up_after_the_deadline() {
    check(Ok(()), Limits::default(), |address| async move {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(b"GET /heal").await.expect("half a request sent");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("an orderly end");
        assert_eq!(rest, b"");
    })
    .await;
}

fn check_lines(lines: &[&str]) {
    let counters = Counters::default();
    counters.on_answered("Fetch", "NONE", std::time::Duration::from_millis(2));
    let text = render(metrics(), &counters).expect("a scrape");
    for line in lines {
        assert!(text.lines().any(|l| l == *line), "{line} in\n{text}");
    }
}

#[test]
fn scrape_names_are_the_promised_ones() {
    check_lines(&[
        "headworks_arrived_packets_total{listener=\"udp\",lane=\"1\"} 12",
        "headworks_shed_records_total{stream=\"events\",reason=\"oversize\"} 3",
        "headworks_ring_occupancy_ratio{lane=\"0\"} 0.25",
        "headworks_ledger_imbalance_records{listener=\"udp\"} -1",
        "headworks_role{role=\"single\"} 1",
        "headworks_epoch 5",
        "headworks_build_info{version=\"0.1.0\"} 1",
        "headworks_kafka_requests_total{api=\"Fetch\",error=\"NONE\"} 1",
        "headworks_kafka_request_duration_seconds_count{api=\"Fetch\"} 1",
    ]);
}

#[test]
fn scrape_histogram_keeps_its_cumulative_counts() {
    check_lines(&[
        "headworks_fdatasync_duration_seconds_bucket{le=\"0.001\"} 4",
        "headworks_fdatasync_duration_seconds_bucket{le=\"0.01\"} 9",
        "headworks_fdatasync_duration_seconds_bucket{le=\"+Inf\"} 10",
        "headworks_fdatasync_duration_seconds_count 10",
        "headworks_fdatasync_duration_seconds_sum 0.5",
    ]);
}

#[test]
fn scrape_leaves_out_what_nobody_counts() {
    let text = render(metrics(), &Counters::default()).expect("a scrape");
    for absent in ["durable_latency", "replication_lag", "consumer_lag", "failovers"] {
        assert!(!text.contains(absent), "{absent} in\n{text}");
    }
}
