//! One packet a send: the highest rate at which the node loses none, against the most that the sender can send.
//!
//! The sender's most is measured in the same run against a loop that receives as the node does and throws away: on loopback
//! the sender itself delivers each packet and wakes who waits for it, so a socket that nobody reads (in the notes) says how
//! fast a sender is that wakes nobody, which no receiver can be held to. Then the node is sent the
//! same without a limit; only if that loses packets is the rate searched for, by halving the interval. A rate counts only
//! if every packet sent has arrived and become durable, and it counts as what was really sent, not as what was asked for.

use std::net::{Ipv4Addr, UdpSocket};

use headworks_io::Wake;

use super::throughput;
use crate::bench::{Bench, Placement};
use crate::figures::{Bar, Row, Spread, number};
use crate::probes::receive::{Discard, ReceiveProbe};
use crate::process::{Generator, Load, Node};
use crate::runner::Pairs;
use crate::table::spread;

const NAME: &str = "single";
const SIZES: [usize; 2] = [64, 512];
const BAR: Bar = Bar::AtLeast(0.95);
/// Halvings of the interval: the rate is known to a sixteenth of half the sender's most, 3 %.
const HALVINGS: u32 = 4;

/// Each size in turn.
///
/// # Errors
/// A probe, a node or its books fail.
pub fn run(bench: &Bench) -> Result<Vec<Row>, String> {
    let placement = &bench.placements()[0];
    let scratch = bench.scratch("single-")?;
    let retention = bench.scale.retention_bytes;
    let node = Node::start(bench, &scratch.path().join("data"), placement, retention, &[])?;
    throughput::first_lap(bench, &node, retention, placement.generator)?;
    let rows = SIZES.iter().map(|bytes| measure(bench, &node, placement, *bytes)).collect();
    node.stop()?;
    rows
}

fn measure(bench: &Bench, node: &Node, placement: &Placement, packet_bytes: usize) -> Result<Row, String> {
    let load = Load { duration: bench.scale.window, ..throughput::load(bench, packet_bytes, false, placement.generator) };
    let (mut searched, mut unread) = (0, Vec::new());
    let pairs = Pairs::measure(
        bench,
        || {
            unread.push(number(unread_most(bench, &load)?) / 1e6);
            Ok(number(sender_most(bench, placement, &load)?) / 1e6)
        },
        || {
            let (rate, trials) = lossless_rate(bench, node, &load)?;
            searched = searched.max(trials);
            Ok(number(rate) / 1e6)
        },
    )?;
    let row = pairs.row(NAME, format!("{packet_bytes} B, zero loss"), "M packets/s").held_to(BAR);
    let row = row.noted(format!("at most {searched} trials a run; 1: no packet was lost at the sender's most"));
    Ok(row.noted(format!("to a socket that nobody reads the sender manages {} M packets/s", spread(Spread::of(&unread)))))
}

/// Packets a second that the sender manages when the kernel drops them in a full socket.
fn unread_most(bench: &Bench, load: &Load) -> Result<u64, String> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| format!("no socket: {error}"))?;
    let address = socket.local_addr().map_err(|error| format!("no address: {error}"))?;
    Ok(Generator::start(bench, address, load)?.finish()?.per_second)
}

/// Packets a second that the sender manages when nothing is done with them.
fn sender_most(bench: &Bench, placement: &Placement, load: &Load) -> Result<u64, String> {
    let wake = Wake::new().map_err(|error| format!("no wake: {error}"))?;
    let probe = ReceiveProbe::start(placement.ingest, true, wake, Discard)?;
    let sent = Generator::start(bench, probe.address, load)?.finish()?;
    probe.stop()?;
    Ok(sent.per_second)
}

/// The highest rate found at which nothing is lost, and how many trials it took.
///
/// # Errors
/// The node or the generator fails, or not even the lowest rate is free of loss.
pub fn lossless_rate(bench: &Bench, node: &Node, load: &Load) -> Result<(u64, u32), String> {
    let most = trial(bench, node, load)?;
    if most.lost == 0 {
        return Ok((most.per_second, 1));
    }
    let (mut best, mut low, mut high) = (None, most.per_second / 2, most.per_second);
    let mut rate = low;
    for trials in 0..=HALVINGS {
        let tried = trial(bench, node, &Load { rate: Some(rate), ..*load })?;
        if tried.lost == 0 {
            (best, low) = (Some(tried.per_second), rate);
        } else if best.is_none() {
            return Err(format!("{} packets are lost at {rate} a second, half of what the sender can send", tried.lost));
        } else {
            high = rate;
        }
        rate = u64::midpoint(low, high);
        if trials == HALVINGS {
            break;
        }
    }
    best.map(|rate| (rate, HALVINGS + 2)).ok_or_else(|| "no rate was tried".to_owned())
}

struct Trial {
    per_second: u64,
    lost: u64,
}

fn trial(bench: &Bench, node: &Node, load: &Load) -> Result<Trial, String> {
    let before = node.closed_books()?;
    let sent = Generator::start(bench, node.udp, load)?.finish()?;
    let books = node.closed_books()?.since(&before);
    Ok(Trial { per_second: sent.per_second, lost: sent.packets.saturating_sub(books.durable) })
}
