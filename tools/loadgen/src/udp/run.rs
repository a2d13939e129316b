//! The sending loop: take what is due, stamp it, hand it to the kernel, count what the kernel said.
//!
//! One thread serves all sources in turn, a train (or one packet) each. Nothing in the loop allocates,
//! and the clock is read once a train. What is due waits for nothing: if the loop is late, trains are
//! full and every packet still carries the time it was due.
//!
//! A packet that the kernel refused takes its slot of the schedule and no sequence: sequences are dense
//! over what was *sent*, so a gap at the far end is a loss and never a refusal. On a connected socket
//! ECONNREFUSED speaks of an earlier packet and stops this one; the earlier one was sent, and is lost.

use std::collections::BTreeMap;
use std::io;
use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;
use nix::errno::Errno;

use super::socket::Way;
use super::train::Train;
use crate::clock::Clock;
use crate::journal::Shared;
use crate::ledger::{Quantiles, SOURCE_PACKETS_MAX};
use crate::load::Come;
use crate::pace::{Next, Pace};
use crate::packet::Template;
use crate::stop::Stop;

#[cfg(test)]
mod tests;

/// A gap in the schedule longer than this is slept through; a shorter one is yielded through.
const SLEEP_NS_MIN: u64 = 200_000;

/// Sleep ends this long before the packet is due: the kernel wakes up to 50 µs late (timer slack).
const WAKE_EARLY_NS: u64 = 100_000;

/// Longest sleep, so that a signal is obeyed soon.
const SLEEP_NS_MAX: u64 = 20_000_000;

/// Time between two looks at a bound that the journal has yet to raise.
const HELD_LOOK: Duration = Duration::from_millis(1);

/// Latest that a packet is recorded to be, an hour; later ones count as this late.
const LATENESS_NS_MAX: u64 = 3_600_000_000_000;

/// What a run has come to.
#[derive(Debug)]
pub struct Outcome {
    /// First slot of the schedule, nanoseconds since 1970.
    pub started_ns: u64,
    /// From there to the end, ns.
    pub elapsed_ns: u64,
    /// The time that the offered packets take on the schedule, ns; 0 without one.
    pub span_ns: u64,
    /// Packets that were due.
    pub offered: u64,
    /// Packets sent, one entry a source.
    pub sent: Vec<u64>,
    /// Packets refused, by errno.
    pub refused: Vec<(Errno, u64)>,
    /// How late packets were taken up, ns; absent without a schedule.
    pub lateness: Option<Histogram<u64>>,
    /// A signal ended it.
    pub interrupted: bool,
    /// The sender waited this long for the ledger file.
    pub held: Duration,
}

/// One run, ready to go.
#[derive(Debug)]
pub struct Run {
    pace: Pace,
    train: Train,
    sockets: Vec<UdpSocket>,
    shared: Shared,
    sent: Vec<u64>,
    /// The source whose turn it is.
    turn: usize,
    refused: Vec<(Errno, u64)>,
    lateness: Histogram<u64>,
    started_ns: u64,
    held: Duration,
}

/// What stands in the train after a look at the schedule.
enum Filled {
    Some,
    Wait(u64),
    Held,
    Done,
}

impl Run {
    /// A run over these sockets, one a source.
    ///
    /// # Panics
    /// There is no socket, or not as many as the journal has sources.
    pub fn new(pace: Pace, template: &Template, way: Way, sockets: Vec<UdpSocket>, shared: Shared) -> Self {
        let sources = shared.sources.len();
        assert!(!sockets.is_empty() && sockets.len() == sources, "{} sockets for {sources} sources", sockets.len());
        Self {
            pace,
            train: Train::new(template, way == Way::Single),
            sent: vec![0; sockets.len()],
            sockets,
            shared,
            turn: 0,
            refused: Vec::new(),
            lateness: Histogram::new_with_bounds(1, LATENESS_NS_MAX, 3).expect("bounds in order"),
            started_ns: 0,
            held: Duration::ZERO,
        }
    }

    /// Sends until the schedule ends, a signal comes, or the ledger cannot be kept.
    ///
    /// # Errors
    /// The wall clock is out of range.
    pub fn until_done(mut self, stop: &Stop) -> Result<Outcome, String> {
        let clock = Clock::start()?;
        self.started_ns = clock.started_ns();
        while !stop.is_raised() && !self.shared.failed.load(Ordering::Relaxed) {
            let now_ns = clock.elapsed_ns();
            match self.fill(now_ns) {
                Filled::Some => self.send(),
                Filled::Wait(until_ns) => idle(until_ns - now_ns),
                Filled::Held => {
                    thread::sleep(HELD_LOOK);
                    self.held += HELD_LOOK;
                }
                Filled::Done => break,
            }
        }
        Ok(self.outcome(clock.elapsed_ns(), stop.is_raised()))
    }

    /// Fills the train with what is due, for the source whose turn it is.
    #[inline]
    fn fill(&mut self, now_ns: u64) -> Filled {
        let first = self.sent[self.turn];
        // Acquire: the ledger file that covers these packets stands on disk by now.
        let allowed = self.shared.sources[self.turn].allowed.load(Ordering::Acquire);
        if first >= allowed {
            let over = first == SOURCE_PACKETS_MAX || self.pace.taken() == self.pace.slots_max();
            return if over { Filled::Done } else { Filled::Held };
        }
        let source = u32::try_from(self.turn).expect("4096 sources at most");
        let scheduled = self.pace.is_scheduled();
        let mut sequence = first;
        self.train.clear();
        while !self.train.is_full() && sequence < allowed {
            let due_ns = match self.pace.next(now_ns) {
                Next::Due(due_ns) => due_ns,
                Next::Wait(until_ns) if self.train.is_empty() => return Filled::Wait(until_ns),
                Next::Done if self.train.is_empty() => return Filled::Done,
                Next::Wait(_) | Next::Done => break,
            };
            if scheduled {
                self.lateness.saturating_record(now_ns - due_ns);
            }
            self.train.push(source, sequence, self.started_ns + due_ns);
            sequence += 1;
        }
        Filled::Some
    }

    /// Hands the train to the kernel and counts it as sent or as refused, whole.
    #[inline]
    fn send(&mut self) {
        let bytes = self.train.bytes();
        let packets = u64::try_from(self.train.len()).expect("64 at most");
        match self.sockets[self.turn].send(bytes) {
            Ok(taken) => {
                // A datagram socket takes all or nothing.
                assert_eq!(taken, bytes.len(), "bytes taken of a send, against bytes given");
                self.sent[self.turn] += packets;
                self.shared.sources[self.turn].sent.store(self.sent[self.turn], Ordering::Relaxed);
            }
            Err(error) => self.refuse(&error, packets),
        }
        self.turn = (self.turn + 1) % self.sockets.len();
    }

    /// Counts refused packets under the errno.
    #[cold]
    fn refuse(&mut self, error: &io::Error, packets: u64) {
        let errno = error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
        match self.refused.iter_mut().find(|(known, _)| *known == errno) {
            Some((_, count)) => *count += packets,
            None => self.refused.push((errno, packets)),
        }
    }

    fn outcome(self, elapsed_ns: u64, interrupted: bool) -> Outcome {
        let offered = self.pace.offered(elapsed_ns);
        let span_ns = self.pace.span_ns(offered);
        Outcome {
            started_ns: self.started_ns,
            elapsed_ns,
            span_ns,
            offered,
            sent: self.sent,
            refused: self.refused,
            lateness: self.pace.is_scheduled().then_some(self.lateness),
            interrupted,
            held: self.held,
        }
    }
}

impl Outcome {
    /// Packets refused, by the name of the error: `ECONNREFUSED`, `ENOBUFS`, `EAGAIN` and others.
    pub fn errors_by_name(&self) -> BTreeMap<String, u64> {
        self.refused.iter().map(|(errno, count)| (format!("{errno:?}"), *count)).collect()
    }
}

impl From<Outcome> for Come {
    fn from(outcome: Outcome) -> Come {
        Come {
            started_ns: outcome.started_ns,
            elapsed_ns: outcome.elapsed_ns,
            span_ns: outcome.span_ns,
            offered: outcome.offered,
            errors: outcome.errors_by_name(),
            lateness: outcome.lateness.as_ref().map(Quantiles::of),
            answers: None,
            interrupted: outcome.interrupted,
            held: outcome.held,
            sent: outcome.sent,
        }
    }
}

/// Lets the gap pass, or part of it: the loop looks again.
fn idle(gap_ns: u64) {
    if gap_ns > SLEEP_NS_MIN {
        thread::sleep(Duration::from_nanos((gap_ns - WAKE_EARLY_NS).min(SLEEP_NS_MAX)));
    } else {
        thread::yield_now();
    }
}
