//! `headworks-loadgen udp`: packets to a UDP address, on a schedule that waits for nobody.
//!
//! ```text
//!  pace ──► train ──► socket of the source ──► kernel
//!            ▲ stamped in place       │ taken: sent   refused: counted by errno
//!            └── sequence ◄── run ────┘
//!                              │ counts            ┌─ once a second
//!                              └──► journal ──► ledger file
//! ```
//!
//! [`run`] is the loop, [`train`] the buffer it stamps, [`socket`] one source's way out, [`journal`]
//! the thread that keeps the ledger file ahead of the sender, [`report`] what an operator reads after.

pub mod journal;
pub mod report;
pub mod run;
pub mod socket;
pub mod train;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::appliance;
use crate::ledger::{Durability, FORMAT, Flow, Lateness, Ledger, Source, State};
use crate::pace::{Pace, Rate};
use crate::packet::Template;
use crate::stop::Stop;
use journal::Journal;
use run::{Outcome, Run};
use socket::Way;

/// What to send.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to.
    pub target: SocketAddr,
    /// How fast, over all sources.
    pub rate: Rate,
    /// Bytes of a payload.
    pub size: usize,
    /// For how long.
    pub duration: Option<Duration>,
    /// How many at most.
    pub count: Option<u64>,
    /// How many flows.
    pub sources: u32,
    /// Whether to send trains.
    pub gso: bool,
    /// What the filler is made from.
    pub seed: u64,
    /// Where the ledger goes.
    pub ledger: PathBuf,
    /// Where the appliance's own ledger can be asked for before the first packet.
    pub http: Option<String>,
}

/// A run that is over.
#[derive(Debug)]
pub struct Sent {
    /// The ledger, as it stands in its file.
    pub ledger: Ledger,
    /// The sender waited this long for its file to be written.
    pub held: Duration,
}

/// Sends as planned and leaves the ledger behind.
///
/// # Errors
/// A socket cannot be opened, the appliance does not answer, or the ledger cannot be written; a
/// sentence that says which.
pub fn send(plan: &Plan, stop: &Stop) -> Result<Sent, String> {
    let before = plan.http.as_deref().map(appliance::ledger).transpose()?;
    let way = if plan.gso { Way::Trains } else { Way::Single };
    let sockets = (0..plan.sources).map(|_| socket::open(plan.target, way, plan.size)).collect::<Result<Vec<_>, _>>()?;
    let pace = Pace::new(plan.rate, plan.duration, plan.count);
    let run_id = draw()?;
    let draft = draft(plan, run_id, run::now_ns()?, before);

    // From here on the file claims no less than what may be sent, whatever ends the process.
    let journal = Journal::start(draft, plan.ledger.clone(), plan.rate, pace.slots_max()).map_err(|error| error.to_string())?;
    let template = Template::new(run_id, plan.seed, plan.size);
    let run = Run::new(pace, &template, way, sockets, journal.progress());
    let outcome = run.until_done(stop);
    let (ledger, outcome) = (journal.end()?, outcome?);
    let ledger = closed(ledger, &outcome);
    ledger.write(&plan.ledger, Durability::Synced).map_err(|error| error.to_string())?;
    Ok(Sent { ledger, held: outcome.held })
}

/// The ledger before the first packet.
fn draft(plan: &Plan, run_id: u64, started_ns: u64, before: Option<appliance::Report>) -> Ledger {
    let source = |source| Source { source, first_sequence: 0, sent: 0, sent_max: 0 };
    Ledger {
        format: FORMAT,
        state: State::Running,
        run_id,
        seed: plan.seed,
        transport: "udp".to_owned(),
        target: plan.target.to_string(),
        size: plan.size,
        rate: plan.rate.to_string(),
        gso: plan.gso,
        started_ns,
        ended_ns: started_ns,
        offered: Flow::default(),
        achieved: Flow::default(),
        errors: std::collections::BTreeMap::new(),
        sources: (0..plan.sources).map(source).collect(),
        lateness: None,
        before,
    }
}

/// The ledger after the last packet: exact.
fn closed(mut ledger: Ledger, outcome: &Outcome) -> Ledger {
    ledger.state = if outcome.interrupted { State::Interrupted } else { State::Complete };
    ledger.started_ns = outcome.started_ns;
    ledger.ended_ns = outcome.started_ns.saturating_add(outcome.elapsed_ns);
    for (source, sent) in ledger.sources.iter_mut().zip(&outcome.sent) {
        source.sent = *sent;
        source.sent_max = *sent;
    }
    // A run that kept up ends with its last packet, one step before the end of its time: the rate is
    // over the whole time. Without a schedule the span is 0 and the clock alone counts.
    let took_ns = outcome.elapsed_ns.max(outcome.span_ns);
    let offered_ns = if outcome.span_ns > 0 { outcome.span_ns } else { took_ns };
    ledger.offered = flow(outcome.offered, offered_ns);
    ledger.achieved = flow(ledger.sent(), took_ns);
    ledger.errors = outcome.errors_by_name();
    ledger.lateness = outcome.lateness.as_ref().map(|late| Lateness {
        p50_ns: late.value_at_quantile(0.5),
        p99_ns: late.value_at_quantile(0.99),
        p9999_ns: late.value_at_quantile(0.9999),
        max_ns: late.max(),
    });
    ledger
}

/// Packets over the time they took, to the nearest whole packet a second.
fn flow(packets: u64, took_ns: u64) -> Flow {
    let took_ns = u128::from(took_ns.max(1));
    let per_second = (u128::from(packets) * 1_000_000_000 + took_ns / 2) / took_ns;
    Flow { packets, per_second: u64::try_from(per_second).unwrap_or(u64::MAX) }
}

/// A number that no other run has.
fn draw() -> Result<u64, String> {
    use std::io::Read;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|error| format!("cannot draw a run id from /dev/urandom: {error}"))?;
    Ok(u64::from_le_bytes(bytes))
}
