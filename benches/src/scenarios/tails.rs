//! Eight consumers at the end of one partition while packets come at half the rate that the node takes without loss: none may
//! be lost, every consumer must have been given everything, and the gateway may copy each byte that it serves once at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use super::single::lossless_rate;
use super::throughput;
use crate::bench::Bench;
use crate::figures::{Bar, Row, Spread, number};
use crate::kafka::{Client, End};
use crate::process::{Generator, Load, Node};

const NAME: &str = "tails";
const TOPIC: &str = "events";
const CONSUMERS: usize = 8;
const PACKET_BYTES: usize = 512;
/// While a consumer is to go on: no offset is reached. Then the offset to reach.
const GO_ON: i64 = i64::MAX;

/// Loss beside the consumers, and bytes copied for each byte served.
///
/// # Errors
/// The node, a client or the books fail.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let placement = &bench.placements()[0];
    let scratch = bench.scratch("tails-")?;
    let retention = bench.scale.retention_bytes;
    let node = Node::start(bench, &scratch.path().join("data"), placement, retention, &[])?;
    throughput::first_lap(bench, &node, retention, placement.generator)?;
    let load = Load { packet_bytes: PACKET_BYTES, rate: None, gso: false, duration: bench.scale.window, cpu: placement.generator };
    let (rate, _) = lossless_rate(bench, &node, &load)?;
    let duration = bench.scale.window * 2;
    // A consumer that is held up reads on from files. What retention has taken it could not be given, and that is not what is asked here.
    let kept_packets = (retention - 2 * bench.scale.segment_bytes) / PACKET_BYTES as u64;
    let rate_max = u64::try_from(u128::from(kept_packets) * 1000 / duration.as_millis()).expect("packets a second fit");
    let half = Load { rate: Some((rate / 2).min(rate_max)), duration, ..load };
    let (mut lost, mut copied) = (Vec::new(), Vec::new());
    for _ in 0..bench.scale.runs {
        let before = node.closed_books()?;
        let (copies, served) = copies_and_served(&node)?;
        let tails = Tails::start(&node)?;
        let sent = Generator::start(bench, node.udp, &half)?.finish()?;
        let books = node.closed_books()?.since(&before);
        tails.finish(&node)?;
        let (copies_after, served_after) = copies_and_served(&node)?;
        lost.push(number(sent.packets.saturating_sub(books.durable)));
        copied.push(number(copies_after - copies) / number((served_after - served).max(1)));
    }
    node.stop()?;
    let what = format!("lost beside {CONSUMERS} tail consumers, {} packets/s of {PACKET_BYTES} B", half.rate.unwrap_or(rate));
    let lost = Row::of(NAME, what, "packets", Spread::of(&lost)).held_to(Bar::AtMost(0.0));
    let lost = lost.noted(format!("{rate} packets/s are taken without loss when nobody reads; every consumer was given all of it"));
    let copied = Row::of(NAME, "copied by the gateway for each byte served", "bytes", Spread::of(&copied)).held_to(Bar::AtMost(1.0));
    Ok(vec![lost, copied])
}

/// Consumers under way, each on a thread of its own.
struct Tails {
    until: Arc<AtomicI64>,
    threads: Vec<thread::JoinHandle<Result<(), String>>>,
}

impl Tails {
    fn start(node: &Node) -> Result<Tails, String> {
        let until = Arc::new(AtomicI64::new(GO_ON));
        let mut threads = Vec::new();
        for _ in 0..CONSUMERS {
            let mut client = Client::connect(node.kafka, TOPIC)?;
            let mut offset = client.offset(End::Latest)?;
            let until = Arc::clone(&until);
            let follow = move || {
                while offset < until.load(Ordering::Acquire) {
                    offset = client.fetch(offset)?.next_offset;
                }
                Ok(())
            };
            threads.push(thread::Builder::new().name("tail".into()).spawn(follow).map_err(|error| format!("no thread: {error}"))?);
        }
        Ok(Tails { until, threads })
    }

    /// Lets each read to the end as it stands now. A fetch waits half a second at most, so one that has it all ends soon.
    fn finish(self, node: &Node) -> Result<(), String> {
        let end = Client::connect(node.kafka, TOPIC)?.offset(End::Latest)?;
        self.until.store(end, Ordering::Release);
        self.threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a consumer panicked".to_owned())?)
    }
}

fn copies_and_served(node: &Node) -> Result<(u64, u64), String> {
    Ok((node.counter("headworks_consumed_copied_bytes_total")?, node.counter("headworks_consumed_bytes_total")?))
}
