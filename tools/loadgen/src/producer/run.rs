//! The loop of one producer: connect, take up what is due, send, take answers, wait.
//!
//! Nothing that is due is dropped: while there is no connection, or five batches wait for their answers, records stay due
//! and are taken up later with the time that they were due at. After the schedule, or a signal, what is left has
//! [`DRAIN_NS_MAX`] to be sent and acknowledged.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::link::{Link, PAUSE};
use super::window::{Verdict, Window};
use super::{Acks, Plan};
use crate::clock::Clock;
use crate::journal::Shared;
use crate::kafka::KafkaError;
use crate::ledger::answers::{Answered, Connections, Waits, histogram};
use crate::pace::{Next, Share};
use crate::packet::Template;
use crate::stop::Stop;

/// Longest time after the schedule, or after a signal, for what is left.
const DRAIN_NS_MAX: u64 = 20_000_000_000;

/// Longest wait, so that a signal is obeyed soon.
const LOOK_NS_MAX: u64 = 20_000_000;

/// Bytes that may wait for the kernel beside a batch; more are not made.
const UNWRITTEN_BYTES_MAX: usize = 1 << 20;

/// What a producer has come to.
#[derive(Debug)]
pub struct Ended {
    /// Packets that were handed over.
    pub sent: u64,
    /// What is known of them.
    pub answered: Answered,
    /// Times of that.
    pub waits: Waits,
    /// How late packets were taken up.
    pub lateness: Histogram<u64>,
    /// What became of connections.
    pub connections: Connections,
    /// Errors that passed, by name.
    pub retriable: BTreeMap<String, u64>,
    /// Errors that did not.
    pub fatal: BTreeMap<String, u64>,
    /// It waited this long for the ledger file.
    pub held: Duration,
}

/// One producer.
#[derive(Debug)]
pub struct Producer {
    source: usize,
    acks: Acks,
    linger_ns: u64,
    patience_ns: u64,
    share: Share,
    window: Window,
    link: Link,
    shared: Shared,
    clock: Clock,
    lateness: Histogram<u64>,
    connections: Connections,
    held: Duration,
    stops: bool,
}

/// Why no further record is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filled {
    Full,
    WaitsUntil(u64),
    Held,
    Done,
}

impl Producer {
    /// A producer with its share of the schedule.
    pub fn new(plan: &Plan, source: u32, share: Share, template: &Template, link: Link, shared: Shared, clock: Clock) -> Self {
        let whole_ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self {
            source: usize::try_from(source).expect("1024 at most"),
            acks: plan.acks,
            linger_ns: whole_ns(plan.linger),
            patience_ns: whole_ns(plan.patience),
            share,
            window: Window::new(source, plan.acks, template, plan.batch_bytes),
            link,
            shared,
            clock,
            lateness: histogram(),
            connections: Connections::default(),
            held: Duration::ZERO,
            stops: false,
        }
    }

    /// Sends until everything of the schedule is answered, a signal comes, or the ledger cannot be kept.
    pub fn until_done(mut self, stop: &Stop) -> Ended {
        let mut drains_from = None;
        while !self.shared.failed.load(Ordering::Relaxed) {
            let now_ns = self.clock.elapsed_ns();
            self.stops = stop.is_raised();
            let is_over = self.next(now_ns) == Next::Done;
            if is_over && self.window.is_empty() {
                break;
            }
            // A backlog is no reason to go on for ever: the schedule's end counts, not that of the backlog.
            if drains_from.is_none() && (is_over || self.share.is_over(now_ns)) {
                drains_from = Some(now_ns);
            }
            if drains_from.is_some_and(|from_ns| now_ns > from_ns.saturating_add(DRAIN_NS_MAX)) {
                break;
            }
            if let Err(reason) = self.step(now_ns) {
                self.on_broken(&reason);
            }
        }
        self.end()
    }

    /// One round; why the connection is over, if it is.
    fn step(&mut self, now_ns: u64) -> Result<(), String> {
        if let Next::Due(due_ns) = self.next(now_ns) {
            self.window.on_due(due_ns);
        }
        if !self.link.stands() {
            self.connect();
            return Ok(());
        }
        if self.link.oldest_ns().is_some_and(|asked_ns| now_ns > asked_ns.saturating_add(self.patience_ns)) {
            return Err("no answer in time".to_owned());
        }
        let wait_ns = self.send(now_ns)?;
        self.link.write().map_err(|error| error.to_string())?;
        self.link.wait(Duration::from_nanos(wait_ns.min(LOOK_NS_MAX)))?;
        self.receive()
    }

    fn next(&self, now_ns: u64) -> Next {
        if self.stops { Next::Done } else { self.share.next(now_ns) }
    }

    fn connect(&mut self) {
        match self.link.connect(self.window.lacks_identity()) {
            Ok(identity) => {
                self.connections.opened += 1;
                if let Some((id, epoch)) = identity {
                    self.window.on_identity(id, epoch);
                }
            }
            Err(error) => {
                self.connections.refused += 1;
                let name = match error {
                    KafkaError::Connection { source, .. } => source.kind().to_string(),
                    KafkaError::Refused(reason) | KafkaError::Malformed(reason) => reason,
                };
                *self.window.retriable.entry(name).or_default() += 1;
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Sends what may be sent; how long there is nothing more to send, ns.
    fn send(&mut self, now_ns: u64) -> Result<u64, String> {
        while self.window.has_room() && self.link.unwritten() < UNWRITTEN_BYTES_MAX {
            // What was sent before goes first: nothing new between.
            if !self.window.has_to_repeat() {
                let filled = self.fill(now_ns);
                let lingers_until_ns = self.window.growing_since_ns().map(|since_ns| since_ns.saturating_add(self.linger_ns));
                match (filled, lingers_until_ns) {
                    (Filled::Held, None) => {
                        self.held += Duration::from_millis(1);
                        return Ok(1_000_000);
                    }
                    (Filled::Done, None) => return Ok(LOOK_NS_MAX),
                    (Filled::WaitsUntil(next_ns), None) => return Ok(next_ns.saturating_sub(now_ns)),
                    (Filled::WaitsUntil(_), Some(until_ns)) if until_ns > now_ns => return Ok(until_ns - now_ns),
                    _ => {}
                }
            }
            let Some(batch) = self.window.send() else { break };
            self.link.produce(batch, now_ns).map_err(|error| error.to_string())?;
            self.shared.sources[self.source].sent.store(self.window.sent(), Ordering::Relaxed);
            self.link.write().map_err(|error| error.to_string())?;
        }
        Ok(LOOK_NS_MAX)
    }

    /// Takes up what is due.
    fn fill(&mut self, now_ns: u64) -> Filled {
        // Acquire: the ledger file that covers these records stands on disk by now.
        let allowed = self.shared.sources[self.source].allowed.load(Ordering::Acquire);
        while !self.window.is_full() {
            let due_ns = match self.next(now_ns) {
                Next::Done => return Filled::Done,
                Next::Wait(next_ns) => return Filled::WaitsUntil(next_ns),
                Next::Due(_) if self.window.next() >= allowed => return Filled::Held,
                Next::Due(due_ns) => due_ns,
            };
            // An hour is beyond every run's patience.
            let late_ns = (now_ns - due_ns).min(3_600_000_000_000);
            self.lateness.record(late_ns).expect("a histogram that grows takes every time");
            self.window.take(due_ns, self.clock.started_ns());
            self.share.take();
        }
        Filled::Full
    }

    fn receive(&mut self) -> Result<(), String> {
        let mut codes = VecDeque::new();
        // Answers that came before the end of a connection count.
        let over = self.link.read(&mut codes);
        let now_ns = self.clock.elapsed_ns();
        for code in codes {
            match self.window.on_answer(code, now_ns, self.clock.started_ns())? {
                Verdict::Goes => {}
                // Its name is counted with the answer.
                Verdict::Again => return Err(String::new()),
            }
        }
        over
    }

    /// The connection is over; the next one may lead elsewhere.
    fn on_broken(&mut self, reason: &str) {
        self.connections.broken += 1;
        if !reason.is_empty() {
            *self.window.retriable.entry(reason.to_owned()).or_default() += 1;
        }
        self.link.drop_it();
        self.window.on_broken();
        std::thread::sleep(PAUSE);
    }

    fn end(mut self) -> Ended {
        // Nobody answers a producer with acks 0: that its last records were taken shows by a question behind them.
        if self.acks == Acks::None
            && let Err(reason) = self.link.fence()
        {
            self.on_broken(&reason);
        }
        self.window.end(self.clock.elapsed_ns(), self.clock.started_ns());
        Ended {
            sent: self.window.sent(),
            answered: self.window.answered,
            waits: self.window.waits,
            lateness: self.lateness,
            connections: self.connections,
            retriable: self.window.retriable,
            fatal: self.window.fatal,
            held: self.held,
        }
    }
}
