//! A stretch of full load against a node or a probe: warmed up, counted twice, and the sender's and the books' account.
//!
//! ```text
//!   generator  ├──────────────────────────────────────────┤
//!              ├─ warm ─┤first look ──── window ──── second look├─ tail ─┤ closed books
//! ```
//! The rate is between the two looks, so neither start nor drain is in it; loss is over the whole run.
//!
//! Beside the rate stands what the receiving loop costs: nanoseconds of its processor for each thing counted. On loopback
//! the sender slows down when it must wake a receiver that sleeps, so a receiver that keeps up and idles may show a *lower*
//! rate than one that is swamped. Where nothing is lost the rate is the sender's, and the cost is the figure to look at.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::figures::{Row, Spread, number};
use crate::process::{Books, Generator, Load, Node, Sent, threads};
use crate::table::spread;

/// The generator goes on this long after the second look, which may come late on a full machine.
const TAIL: Duration = Duration::from_millis(400);

/// The appliance's receiving thread.
const INGEST: &str = "hw-ingest-0";

/// What one stretch came to.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    /// Counted things a second.
    pub per_second: f64,
    /// Nanoseconds of the receiving loop for each thing counted.
    pub cost_ns: f64,
    /// Share of the window that the receiving loop ran, 0 to 1.
    pub busy: f64,
    /// What was sent.
    pub sent: Sent,
}

/// A sending plan with the duration that a stretch needs.
pub fn load(bench: &Bench, packet_bytes: usize, gso: bool, cpu: usize) -> Load {
    Load { packet_bytes, rate: None, gso, duration: bench.scale.warm + bench.scale.window + TAIL, cpu }
}

/// What is looked at: a counter, and the thread that does the receiving.
pub struct Watch<'a, F> {
    /// The counter.
    pub count: F,
    /// The thread's process.
    pub pid: u32,
    /// The thread's name.
    pub thread: &'a str,
}

/// One look.
struct Look {
    at: Instant,
    count: u64,
    run_ns: u64,
}

impl<F: FnMut() -> Result<u64, String>> Watch<'_, F> {
    /// The count and the thread's time, at the middle of the time that asking for the count took.
    fn look(&mut self) -> Result<Look, String> {
        let asked = Instant::now();
        let count = (self.count)()?;
        let at = asked + asked.elapsed() / 2;
        Ok(Look { at, count, run_ns: threads::run_ns(self.pid, self.thread)? })
    }
}

/// Loads a target and looks twice.
///
/// # Errors
/// The generator or a look fails.
pub fn stretch(
    bench: &Bench,
    target: SocketAddr,
    load: &Load,
    mut watch: Watch<'_, impl FnMut() -> Result<u64, String>>,
) -> Result<Stretch, String> {
    let generator = Generator::start(bench, target, load)?;
    thread::sleep(bench.scale.warm);
    let first = watch.look()?;
    thread::sleep(bench.scale.window);
    let second = watch.look()?;
    let sent = generator.finish()?;
    let seconds = (second.at - first.at).as_secs_f64();
    let (counted, ran_ns) = (number(second.count - first.count), number(second.run_ns - first.run_ns));
    Ok(Stretch { per_second: counted / seconds, cost_ns: ran_ns / counted.max(1.0), busy: ran_ns / seconds / 1e9, sent })
}

/// What the receiving loop cost in probe and subject, run by run.
#[derive(Debug, Default)]
pub struct Costs {
    /// The probe's runs.
    pub probe: Vec<Stretch>,
    /// The subject's.
    pub subject: Vec<Stretch>,
}

impl Costs {
    /// A row of nanoseconds for each thing counted, where the ratio is the share of the subject's cost that receiving alone
    /// has.
    pub fn row(&self, scenario: &'static str, what: String, unit: &'static str) -> Row {
        let cost = |runs: &[Stretch]| Spread::of(&runs.iter().map(|run| run.cost_ns).collect::<Vec<_>>());
        let busy = |runs: &[Stretch]| Spread::of(&runs.iter().map(|run| run.busy * 100.0).collect::<Vec<_>>());
        let ratios: Vec<f64> = self.probe.iter().zip(&self.subject).map(|(probe, subject)| probe.cost_ns / subject.cost_ns).collect();
        let row = Row::of(scenario, what, unit, cost(&self.subject));
        let row = Row { probe: Some(cost(&self.probe)), ratio: Some(Spread::of(&ratios)), ..row };
        let (subject, probe) = (spread(busy(&self.subject)), spread(busy(&self.probe)));
        row.noted(format!("ratio: probe / subject; the loop ran {subject} % of the time, the probe's {probe} %"))
    }
}

/// What a node's runs came to, for the notes.
#[derive(Debug, Default)]
pub struct Account {
    sent: Vec<f64>,
    loss: Vec<f64>,
    exact: bool,
}

impl Account {
    /// One stretch of durable records; the books must close after it.
    ///
    /// # Errors
    /// As for [`stretch`], or the books do not close.
    pub fn stretch(&mut self, bench: &Bench, node: &Node, load: &Load) -> Result<Stretch, String> {
        let before = node.closed_books()?;
        let watch = Watch { count: || Ok(node.books()?.durable), pid: node.pid(), thread: INGEST };
        let stretch = stretch(bench, node.udp, load, watch)?;
        let books = node.closed_books()?.since(&before);
        self.note(&stretch.sent, &books)?;
        Ok(stretch)
    }

    fn note(&mut self, sent: &Sent, books: &Books) -> Result<(), String> {
        if books.exact && books.arrived != sent.packets {
            return Err(format!("{} packets were sent, {} arrived by the books", sent.packets, books.arrived));
        }
        self.exact = books.exact;
        self.sent.push(number(sent.per_second));
        self.loss.push(number(books.dropped) / number(books.arrived.max(1)));
        Ok(())
    }

    /// Sender's rate and loss in words.
    pub fn describe(&self) -> String {
        let (sent, loss) = (Spread::of(&self.sent), Spread::of(&self.loss));
        let exact = if self.exact { "" } else { " (not counted independently)" };
        let (median, worst) = (loss.median * 100.0, loss.max * 100.0);
        format!("sender {:.2} M packets/s; lost in the socket: median {median:.1} %, at most {worst:.1} %{exact}", sent.median / 1e6)
    }
}

/// Sends a load to its end: packets sent, and those of them that became durable.
///
/// # Errors
/// The generator or the node's books fail.
pub fn sent_and_durable(bench: &Bench, node: &Node, load: &Load) -> Result<(u64, u64), String> {
    let before = node.closed_books()?;
    let sent = Generator::start(bench, node.udp, load)?.finish()?.packets;
    Ok((sent, node.closed_books()?.since(&before).durable))
}

/// Fills a node's log once round its retention, so that segments are reused from then on and no new ones are made beside
/// the load: the state that a node is in for all but its first minutes.
///
/// # Errors
/// The generator fails, or the node's volume does not fill within a bounded number of rounds.
pub fn first_lap(bench: &Bench, node: &Node, retention_bytes: u64, cpu: usize) -> Result<(), String> {
    /// Stretches of load at most; each writes a few hundred MB a second.
    const ROUNDS_MAX: u32 = 120;
    let packet_bytes = 1400;
    let load = Load { packet_bytes, rate: None, gso: true, duration: Duration::from_secs(1).min(bench.scale.window * 2), cpu };
    let wanted = (retention_bytes + 4 * bench.scale.segment_bytes) / packet_bytes as u64;
    let start = node.books()?.durable;
    for _ in 0..ROUNDS_MAX {
        Generator::start(bench, node.udp, &load)?.finish()?;
        if node.books()?.durable - start >= wanted {
            node.closed_books()?;
            return Ok(());
        }
    }
    Err(format!("{} of {wanted} records are durable after {ROUNDS_MAX} rounds of load", node.books()?.durable - start))
}
