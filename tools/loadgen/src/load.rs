//! What every run is told and leaves behind, whatever it sends by: rate, size, length, number of sources; and its ledger,
//! as a draft before the first packet and closed after the last.

use std::path::PathBuf;
use std::time::Duration;

use crate::appliance::{self, Report};
use crate::clock;
use crate::journal::Journal;
use crate::ledger::answers::Answers;
use crate::ledger::{Durability, FORMAT, Flow, Framing, Ledger, Quantiles, Source, State};
use crate::pace::{Pace, Rate};

/// What every transport is told.
#[derive(Debug, Clone)]
pub struct Load {
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
    /// What the filler is made from.
    pub seed: u64,
    /// Where the ledger goes.
    pub ledger: PathBuf,
    /// Where the appliance's own ledger can be asked for before the first packet.
    pub http: Option<String>,
}

/// What the ledger says of the way that packets took.
#[derive(Debug, Clone)]
pub struct Way {
    /// `udp`, `tcp`, `kafka`.
    pub transport: &'static str,
    /// Where to.
    pub target: String,
    /// Whether packets left in segmentation-offload trains.
    pub gso: bool,
    /// How records were told apart in a stream of bytes.
    pub framing: Option<Framing>,
}

/// What a run has come to, in the ledger's terms.
#[derive(Debug)]
pub struct Come {
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
    /// How late packets left; absent without a schedule.
    pub lateness: Option<Quantiles>,
    /// Packets refused, by name of the error.
    pub errors: std::collections::BTreeMap<String, u64>,
    /// What was answered, by a transport that answers.
    pub answers: Option<Answers>,
    /// A signal ended it.
    pub interrupted: bool,
    /// The sender waited this long for its ledger file.
    pub held: Duration,
}

/// A run that is over.
#[derive(Debug)]
pub struct Sent {
    /// The ledger, as it stands in its file.
    pub ledger: Ledger,
    /// The sender waited this long for its file to be written.
    pub held: Duration,
}

/// A run whose ledger file stands and has not ended yet.
#[derive(Debug)]
pub struct Opened {
    /// Keeps the file ahead of the sender.
    pub journal: Journal,
    /// Drawn for this run.
    pub run_id: u64,
}

impl Load {
    /// Its schedule.
    pub fn pace(&self) -> Pace {
        Pace::new(self.rate, self.duration, self.count)
    }

    /// The appliance's ledger now, if somebody said where to ask.
    ///
    /// # Errors
    /// The appliance does not answer.
    pub fn before(&self) -> Result<Option<Report>, String> {
        self.http.as_deref().map(appliance::ledger).transpose()
    }

    /// Writes the ledger for the first time. From here on the file claims no less than what may be sent, whatever ends
    /// the process.
    ///
    /// # Errors
    /// The file cannot be written, or no run id be drawn.
    pub fn open(&self, way: &Way, before: Option<Report>) -> Result<Opened, String> {
        let run_id = draw()?;
        let draft = self.draft(way, run_id, clock::now_ns()?, before);
        let journal = Journal::start(draft, self.ledger.clone(), self.rate, self.pace().slots_max());
        Ok(Opened { journal: journal.map_err(|error| error.to_string())?, run_id })
    }

    /// Writes the ledger for the last time: exact.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn close(&self, ledger: Ledger, come: Come) -> Result<Sent, String> {
        let held = come.held;
        let ledger = closed(ledger, come);
        ledger.write(&self.ledger, Durability::Synced).map_err(|error| error.to_string())?;
        Ok(Sent { ledger, held })
    }

    /// The ledger before the first packet.
    fn draft(&self, way: &Way, run_id: u64, started_ns: u64, before: Option<Report>) -> Ledger {
        let source = |source| Source { source, first_sequence: 0, sent: 0, sent_max: 0 };
        Ledger {
            format: FORMAT,
            state: State::Running,
            run_id,
            seed: self.seed,
            transport: way.transport.to_owned(),
            target: way.target.clone(),
            size: self.size,
            rate: self.rate.to_string(),
            gso: way.gso,
            framing: way.framing,
            started_ns,
            ended_ns: started_ns,
            offered: Flow::default(),
            achieved: Flow::default(),
            errors: std::collections::BTreeMap::new(),
            sources: (0..self.sources).map(source).collect(),
            lateness: None,
            answers: None,
            before,
        }
    }
}

/// The ledger after the last packet.
fn closed(mut ledger: Ledger, come: Come) -> Ledger {
    ledger.state = if come.interrupted { State::Interrupted } else { State::Complete };
    ledger.started_ns = come.started_ns;
    ledger.ended_ns = come.started_ns.saturating_add(come.elapsed_ns);
    for (source, sent) in ledger.sources.iter_mut().zip(&come.sent) {
        source.sent = *sent;
        source.sent_max = *sent;
    }
    // A run that kept up ends with its last packet, one step before the end of its time: the rate is
    // over the whole time. Without a schedule the span is 0 and the clock alone counts.
    let took_ns = come.elapsed_ns.max(come.span_ns);
    let offered_ns = if come.span_ns > 0 { come.span_ns } else { took_ns };
    ledger.offered = flow(come.offered, offered_ns);
    ledger.achieved = flow(ledger.sent(), took_ns);
    ledger.errors = come.errors;
    ledger.lateness = come.lateness;
    ledger.answers = come.answers;
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
