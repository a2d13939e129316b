//! Serves a small log in memory on loopback, for a try with real clients:
//! `cargo run -p headworks-gateway --example serve_memory -- 9092 9600`, then
//! `kcat -b 127.0.0.1:9092 -t events -C -e`. A third argument is the time in milliseconds between two
//! records that go on being written.

#[allow(dead_code, reason = "the tests use more of it than this example")]
#[path = "../src/memory.rs"]
mod memory;

use std::net::TcpListener;
use std::time::Duration;

use headworks_gateway::cluster::Cluster;
use headworks_gateway::http::Observed;
use headworks_gateway::http::administration::{Act, Token};
use headworks_gateway::http::report::{HistogramReport, LaneStatus, LedgerReport, ListenerLedger, MetricsReport, StatusReport};
use headworks_gateway::{Advertised, GatewayParts, Identity, Limits, serve, store};
use memory::MemoryLog;

struct Quiet;

impl Observed for Quiet {
    fn ledger(&self) -> LedgerReport {
        let listener = ListenerLedger {
            name: "udp".to_owned(),
            exact: true,
            arrived: 10_012,
            dropped: [("kernel_rcvbuf".to_owned(), 12)].into(),
            received: 10_000,
            admitted: 10_000,
            ..ListenerLedger::default()
        };
        LedgerReport { listeners: vec![listener], ..LedgerReport::default() }
    }

    fn status(&self) -> StatusReport {
        StatusReport {
            node: "memory".to_owned(),
            role: "single".to_owned(),
            ready: true,
            lanes: vec![LaneStatus::default()],
            ..StatusReport::default()
        }
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn administer(&self, _: &Act) -> Result<String, String> {
        Err("a log in memory has no pair".to_owned())
    }

    fn metrics(&self) -> MetricsReport {
        MetricsReport { role: "single".to_owned(), fdatasync_duration: Some(HistogramReport::default()), ..MetricsReport::default() }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let kafka_port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let http_port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let every_ms: Option<u64> = arguments.next().map(|time| time.parse()).transpose()?;
    let kafka = TcpListener::bind(("127.0.0.1", kafka_port))?;
    let http = TcpListener::bind(("127.0.0.1", http_port))?;
    println!("ready kafka={} http={}", kafka.local_addr()?, http.local_addr()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let log = filled();
    let identity = Identity {
        cluster_id: "headworks-memory".to_owned(),
        node_id: 1,
        advertised: Advertised { host: "127.0.0.1".to_owned(), port: kafka.local_addr()?.port() },
    };
    runtime.block_on(serve(GatewayParts {
        kafka,
        http,
        store: log.clone(),
        observed: Quiet,
        token: Token::new(String::new()),
        identity,
        cluster: Cluster::default(),
        limits: Limits::default(),
        // Never completes: the example is ended by a signal.
        shutdown: Box::pin(async move { go_on_writing(log, every_ms).await }),
    }))?;
    Ok(())
}

/// Two partitions, a hundred batches of a hundred records each.
fn filled() -> MemoryLog {
    let log = MemoryLog::default().with_topic("events", 2);
    for batch in 0..100i64 {
        for partition in 0..2 {
            let values: Vec<String> = (0..100).map(|record| format!("partition {partition} record {}", batch * 100 + record)).collect();
            let records: Vec<(i64, &[u8])> =
                (0i64..).zip(&values).map(|(at, value)| (1_700_000_000_000 + batch * 100 + at, value.as_bytes())).collect();
            log.write("events", partition, &records);
        }
    }
    log
}

async fn go_on_writing(log: MemoryLog, every_ms: Option<u64>) {
    let Some(every_ms) = every_ms else {
        return std::future::pending().await;
    };
    let mut every = tokio::time::interval(Duration::from_millis(every_ms));
    loop {
        every.tick().await;
        log.write("events", 0, &[(1_700_000_100_000, b"one more")]);
    }
}
