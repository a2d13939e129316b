//! Apache Kafka's own broker beside the appliance: its own client, one node each, the same machine and disk, in turns.
//!
//! Twice: with a broker that flushes each batch before it acknowledges, which is the durability that the appliance has; and
//! with Kafka's defaults, where an acknowledged record may be in the page cache only. Both hold four partitions; the
//! appliance has one lane. Only the first is held to a bar.

use std::cell::Cell;

use crate::bench::Bench;
use crate::figures::{Bar, Row};
use crate::process::Node;
use crate::process::kafka::{Broker, Distribution};
use crate::runner::Pairs;

const NAME: &str = "versus-kafka";
const SIZES: [usize; 2] = [100, 1024];
/// Records of a first run, which tells how many make a window.
const FIRST_RECORDS: u64 = 20_000;
/// Rate at which latency is measured: both keep up with it by far.
const LATENCY_RATE: u64 = 2_000;
const CONSUMED_BYTES: u64 = 200 << 20;

/// Each mode of Kafka against the appliance.
///
/// # Errors
/// Java, Maven, a broker or the node fails.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let kafka = Distribution::fetch(bench)?;
    let mut rows = Vec::new();
    let modes = [("flushing each batch", &["log.flush.interval.messages=1"][..], true), ("its defaults, not durable", &[], false)];
    for (mode, settings, is_equal) in modes {
        let scratch = bench.scratch("versus-kafka-")?;
        let broker = kafka.start(&scratch.path().join("kafka"), settings)?;
        let node = Node::start(bench, &scratch.path().join("data"), &bench.placements()[0], bench.scale.retention_bytes, &[])?;
        let versus = Versus { bench, kafka: &kafka, broker: &broker, node: &node, mode, is_equal };
        for bytes in SIZES {
            rows.push(versus.throughput(bytes)?);
            rows.push(versus.latency(bytes)?);
        }
        rows.push(versus.consumer()?);
        drop(broker);
        node.stop()?;
    }
    Ok(rows)
}

struct Versus<'b> {
    bench: &'b Bench,
    kafka: &'b Distribution,
    broker: &'b Broker,
    node: &'b Node,
    mode: &'static str,
    is_equal: bool,
}

impl Versus<'_> {
    fn held(&self, row: Row, bar: Bar) -> Row {
        if self.is_equal { row.held_to(bar) } else { row }
    }

    fn throughput(&self, bytes: usize) -> Result<Row, String> {
        let topic = format!("produced-{bytes}");
        let window = self.bench.scale.window.as_secs().max(1);
        let records = |to| -> Result<u64, String> {
            let first = self.kafka.produce(to, &topic, FIRST_RECORDS, bytes, None)?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let per_second = first.per_second as u64;
            Ok((per_second * window).max(FIRST_RECORDS))
        };
        let (theirs, ours) = (records(self.broker.address)?, records(self.node.kafka)?);
        let rate = |to, records| Ok(self.kafka.produce(to, &topic, records, bytes, None)?.per_second / 1e3);
        let pairs = Pairs::measure(self.bench, || rate(self.broker.address, theirs), || rate(self.node.kafka, ours))?;
        let what = format!("produce {bytes} B, acks=all; Kafka {}", self.mode);
        Ok(self.held(pairs.row(NAME, what, "k records/s"), Bar::AtLeast(1.0)))
    }

    fn latency(&self, bytes: usize) -> Result<Row, String> {
        let topic = format!("timed-{bytes}");
        let records = LATENCY_RATE * self.bench.scale.window.as_secs().max(1);
        let p99 = |to| Ok(self.kafka.produce(to, &topic, records, bytes, Some(LATENCY_RATE))?.p99_ms);
        // Once each before: topics are made and compilers are warm.
        p99(self.broker.address)?;
        p99(self.node.kafka)?;
        let pairs = Pairs::measure(self.bench, || p99(self.broker.address), || p99(self.node.kafka))?;
        let what = format!("produce p99 at {LATENCY_RATE}/s of {bytes} B, acks=all; Kafka {}", self.mode);
        Ok(self.held(pairs.row(NAME, what, "ms"), Bar::AtMost(1.0)))
    }

    fn consumer(&self) -> Result<Row, String> {
        const BYTES: usize = 1024;
        let records = CONSUMED_BYTES / BYTES as u64;
        for to in [self.broker.address, self.node.kafka] {
            self.kafka.produce(to, "consumed", records, BYTES, None)?;
        }
        let round = Cell::new(0);
        let read = |from| {
            // A group of its own each time: it begins at the start.
            round.set(round.get() + 1);
            self.kafka.consume(from, "consumed", records, &format!("reader-{}", round.get()))
        };
        let pairs = Pairs::measure(self.bench, || read(self.broker.address), || read(self.node.kafka))?;
        let what = format!("consume {BYTES} B, one client of four partitions; Kafka {}", self.mode);
        Ok(self.held(pairs.row(NAME, what, "MB/s"), Bar::AtLeast(1.0)))
    }
}
