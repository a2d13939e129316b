//! Both servers together, from bound listeners to the end of the drain.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::*;
use crate::cluster::Cluster;
use crate::http::report::{LedgerReport, MetricsReport, StatusReport};
use crate::memory::MemoryLog;

struct Nothing;

impl Observed for Nothing {
    fn ledger(&self) -> LedgerReport {
        LedgerReport::default()
    }

    fn status(&self) -> StatusReport {
        StatusReport::default()
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn metrics(&self) -> MetricsReport {
        MetricsReport::default()
    }

    fn administer(&self, _: &Act) -> Result<String, String> {
        Err("nothing".to_owned())
    }
}

/// Addresses of a gateway that serves while a test runs.
#[derive(Clone, Copy)]
struct Open {
    kafka: SocketAddr,
    http: SocketAddr,
}

/// Runs a test beside a gateway, then shuts the gateway down and returns how long its drain took.
async fn check<T, F: Future<Output = T>>(test: impl FnOnce(Open) -> F) -> Duration {
    let kafka = TcpListener::bind("127.0.0.1:0").expect("a port");
    let http = TcpListener::bind("127.0.0.1:0").expect("a port");
    let open = Open { kafka: kafka.local_addr().expect("an address"), http: http.local_addr().expect("an address") };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = serve(GatewayParts {
        kafka,
        http,
        store: MemoryLog::default(),
        observed: Nothing,
        token: Token::new(String::new()),
        identity: Identity {
            cluster_id: "cluster".to_owned(),
            node_id: 1,
            advertised: Advertised { host: "127.0.0.1".to_owned(), port: open.kafka.port() },
        },
        cluster: Cluster::default(),
        limits: Limits::default(),
        shutdown: Box::pin(async move { stopped.await.expect("a test that stops the gateway") }),
    });
    let testing = async move {
        // What the test leaves open stays open through the drain.
        let left_open = test(open).await;
        stop.send(()).expect("a gateway that waits for it");
        (Instant::now(), left_open)
    };
    let ((begun, _left_open), served) = tokio::join!(testing, async {
        let served = serving.await;
        (served, Instant::now())
    });
    served.0.expect("a gateway that begins");
    served.1 - begun
}

#[tokio::test(start_paused = true)]
async fn both_answer_and_an_idle_client_does_not_hold_up_the_end() {
    let drained = check(|open| async move {
        let mut http = TcpStream::connect(open.http).await.expect("HTTP");
        let request = b"GET /healthz HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
        http.write_all(request).await.expect("a request sent");
        let mut answer = String::new();
        http.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

        let mut kafka = TcpStream::connect(open.kafka).await.expect("Kafka");
        // ApiVersions 0 without a client id.
        let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 5, 0xff, 0xff];
        kafka.write_all(&request).await.expect("a request sent");
        let length = kafka.read_i32().await.expect("a length");
        let mut answer = vec![0; usize::try_from(length).expect("a length")];
        kafka.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(answer[..6], [0, 0, 0, 5, 0, 0]);
        kafka
    })
    .await;
    assert_eq!(drained, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn client_that_holds_up_the_end_is_cut_off() {
    let drained = check(|open| async move {
        let mut http = TcpStream::connect(open.http).await.expect("HTTP");
        // An answer comes first, so that the connection is known to be taken.
        let request = b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\nGET /heal";
        http.write_all(request).await.expect("a request and a half sent");
        http.read_u8().await.expect("an answer");
        http
    })
    .await;
    let drain_max = Limits::default().drain_max;
    assert!(drained <= drain_max, "{drained:?}, limit {drain_max:?}");
}
