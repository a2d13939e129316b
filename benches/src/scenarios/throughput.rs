//! A stretch of full load against a node or a probe: warmed up, counted twice, and the sender's and the books' account.
//!
//! ```text
//!   generator  ├──────────────────────────────────────────┤
//!              ├─ warm ─┤first look ──── window ──── second look├─ tail ─┤ closed books
//! ```
//! The rate is between the two looks, so neither start nor drain is in it; loss is over the whole run.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::figures::{Spread, number};
use crate::process::{Books, Generator, Load, Node, Sent};

/// The generator goes on this long after the second look, which may come late on a full machine.
const TAIL: Duration = Duration::from_millis(400);

/// What one stretch came to.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    /// Counted things a second.
    pub per_second: f64,
    /// What was sent.
    pub sent: Sent,
}

/// A sending plan with the duration that a stretch needs.
pub fn load(bench: &Bench, packet_bytes: usize, gso: bool, cpu: usize) -> Load {
    Load { packet_bytes, rate: None, gso, duration: bench.scale.warm + bench.scale.window + TAIL, cpu }
}

/// Loads a target and looks at a counter twice.
///
/// # Errors
/// The generator or the look fails.
pub fn stretch(
    bench: &Bench,
    folder: &Path,
    target: std::net::SocketAddr,
    load: &Load,
    mut count: impl FnMut() -> Result<u64, String>,
) -> Result<Stretch, String> {
    let generator = Generator::start(bench, folder, target, load)?;
    thread::sleep(bench.scale.warm);
    let first = look(&mut count)?;
    thread::sleep(bench.scale.window);
    let second = look(&mut count)?;
    let sent = generator.finish()?;
    let seconds = (second.0 - first.0).as_secs_f64();
    Ok(Stretch { per_second: number(second.1 - first.1) / seconds, sent })
}

/// A count and the middle of the time that asking for it took.
fn look(count: &mut impl FnMut() -> Result<u64, String>) -> Result<(Instant, u64), String> {
    let asked = Instant::now();
    let counted = count()?;
    Ok((asked + asked.elapsed() / 2, counted))
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
    pub fn stretch(&mut self, bench: &Bench, folder: &Path, node: &Node, load: &Load) -> Result<f64, String> {
        let before = node.closed_books()?;
        let stretch = stretch(bench, folder, node.udp, load, || Ok(node.books()?.durable))?;
        let books = node.closed_books()?.since(&before);
        self.note(&stretch.sent, &books)?;
        Ok(stretch.per_second)
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

/// Fills a node's log once round its retention, so that segments are reused from then on and no new ones are made beside
/// the load: the state that a node is in for all but its first minutes.
///
/// # Errors
/// The generator fails, or the node's volume does not fill within a bounded number of rounds.
pub fn first_lap(bench: &Bench, folder: &Path, node: &Node, retention_bytes: u64, cpu: usize) -> Result<(), String> {
    /// Stretches of load at most; each writes a few hundred MB a second.
    const ROUNDS_MAX: u32 = 120;
    let packet_bytes = 1400;
    let load = Load { packet_bytes, rate: None, gso: true, duration: Duration::from_secs(1).min(bench.scale.window * 2), cpu };
    let wanted = (retention_bytes + 4 * bench.scale.segment_bytes) / packet_bytes as u64;
    let start = node.books()?.durable;
    for _ in 0..ROUNDS_MAX {
        Generator::start(bench, folder, node.udp, &load)?.finish()?;
        if node.books()?.durable - start >= wanted {
            node.closed_books()?;
            return Ok(());
        }
    }
    Err(format!("{} of {wanted} records are durable after {ROUNDS_MAX} rounds of load", node.books()?.durable - start))
}
