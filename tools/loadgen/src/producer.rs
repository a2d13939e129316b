//! `headworks-loadgen kafka`: records by Kafka's protocol, one producer a source, on a schedule that waits for nobody.
//!
//! ```text
//!  share of the schedule ──► batch ──► window: at most five unanswered ──► link ──► leader of the source's partition
//!      │ due: stamped            │ acks all: numbered, kept, sent again        │
//!      └ held up: stays due      └ acks 0, 1: once; unknown when it breaks     └ broken: any server of --target, 5 ms later
//! ```
//!
//! [`run`] is the loop of one producer, [`window`] what it has under way, [`batch`] the bytes of it, [`link`] its connection
//! and the way to a leader. Every producer is a thread: finding a leader may take its time, and holds up no other.
//!
//! With acks = all the producer is idempotent: what was not acknowledged is sent again, the same bytes in the same order,
//! and must be stored once. With acks 0 or 1 nothing is sent twice.

pub mod batch;
pub mod link;
pub mod run;
pub mod window;

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::clock::Clock;
use crate::journal::Shared;
use crate::ledger::Quantiles;
use crate::ledger::answers::{Answers, Connections, Waits, histogram};
use crate::load::{self, Come, Load, Sent};
use crate::pace::Share;
use crate::packet::Template;
use crate::stop::Stop;
use link::{Link, Route};
use run::{Ended, Producer};

/// Most producers of one run: each is a thread.
pub const PRODUCERS_MAX: u32 = 1024;

/// When a record counts as taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Acks {
    /// At once; nobody answers.
    #[value(name = "0")]
    None,
    /// On the leader's disk.
    #[value(name = "1")]
    Leader,
    /// On every disk of the in-sync set; idempotent.
    All,
}

impl Acks {
    /// As the protocol has it.
    pub fn number(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Acks::None => "0",
            Acks::Leader => "1",
            Acks::All => "all",
        }
    }
}

/// What to send.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Servers, any of which may know the leaders.
    pub servers: Vec<String>,
    /// Where records go.
    pub topic: String,
    /// When a record counts as taken.
    pub acks: Acks,
    /// How long a batch waits for more records.
    pub linger: Duration,
    /// Bytes of a batch.
    pub batch_bytes: usize,
    /// How long an answer may take before its connection is given up.
    pub patience: Duration,
    /// How much of what.
    pub load: Load,
}

/// Sends as planned and leaves the ledger behind.
///
/// # Errors
/// No server leads to the topic at the start, the appliance does not answer, or the ledger cannot be written; a sentence
/// that says which.
pub fn send(plan: &Plan, stop: &Stop) -> Result<Sent, String> {
    let load = &plan.load;
    let before = load.before()?;
    let route = Route::open(plan, stop)?;
    let links = (0..load.sources).map(|source| Link::new(route.of(source))).collect::<Vec<_>>();
    let told = load::Way { transport: "kafka", target: plan.servers.join(","), gso: false, framing: None };
    let load::Opened { journal, run_id } = load.open(&told, before)?;
    let template = Template::new(run_id, load.seed, load.size);
    let clock = Clock::start()?;
    let come = produce(plan, links, &template, journal.progress(), clock, stop);
    let ledger = journal.end()?;
    load.close(ledger, come?)
}

/// Runs every producer to its end.
fn produce(plan: &Plan, links: Vec<Link>, template: &Template, shared: Shared, clock: Clock, stop: &Stop) -> Result<Come, String> {
    let pace = plan.load.pace();
    let ended = thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.load.sources)
            .zip(links)
            .map(|(source, link)| {
                let share = Share::new(&pace, source, plan.load.sources);
                let producer = Producer::new(plan, source, share, template, link, shared.clone(), clock);
                thread::Builder::new().name(format!("producer-{source}")).spawn_scoped(scope, move || producer.until_done(stop))
            })
            .collect::<Result<_, _>>()
            .map_err(|error| format!("no thread for a producer: {error}"))?;
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a producer died".to_owned())).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(together(plan, ended, &clock, pace.is_scheduled().then_some(&pace), stop.is_raised()))
}

/// What all producers have come to.
fn together(plan: &Plan, ended: Vec<Ended>, clock: &Clock, schedule: Option<&crate::pace::Pace>, interrupted: bool) -> Come {
    let elapsed_ns = clock.elapsed_ns();
    let (mut waits, mut lateness, mut connections) = (Waits::default(), histogram(), Connections::default());
    let (mut retriable, mut fatal) = (BTreeMap::new(), BTreeMap::new());
    let (mut sent, mut by_source, mut held) = (Vec::new(), Vec::new(), Duration::ZERO);
    for one in ended {
        waits.add(&one.waits);
        lateness.add(&one.lateness).expect("a histogram that grows takes every other");
        connections.opened += one.connections.opened;
        connections.refused += one.connections.refused;
        connections.broken += one.connections.broken;
        add(&mut retriable, one.retriable);
        add(&mut fatal, one.fatal);
        sent.push(one.sent);
        by_source.push(one.answered);
        held = held.max(one.held);
    }
    let mut answers = Answers {
        acks: plan.acks.word().to_owned(),
        latency: waits.latency(),
        gap: waits.gap(),
        connections,
        retriable,
        fatal,
        by_source,
        ..Answers::default()
    };
    (answers.acknowledged, answers.unknown) = answers.totals();
    let offered = schedule.map_or_else(|| sent.iter().sum(), |pace| pace.offered(elapsed_ns));
    Come {
        started_ns: clock.started_ns(),
        elapsed_ns,
        span_ns: schedule.map_or(0, |pace| pace.span_ns(offered)),
        offered,
        sent,
        lateness: schedule.map(|_| Quantiles::of(&lateness)),
        errors: BTreeMap::new(),
        answers: Some(answers),
        interrupted,
        held,
    }
}

fn add(into: &mut BTreeMap<String, u64>, from: BTreeMap<String, u64>) {
    for (name, count) in from {
        *into.entry(name).or_default() += count;
    }
}
