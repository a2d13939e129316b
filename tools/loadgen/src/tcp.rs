//! `headworks-loadgen tcp`: records over connections, one a source, on a schedule that waits for nobody.
//!
//! ```text
//!  share of the schedule ──► record ──► connection of the source ──► kernel
//!      │ due: stamped with its own time     │ taken: sent                ▲ 5 ms … 200 ms later
//!      └ held up: stays due                 └ broken: what was under way is unknown ──┘
//!  acknowledgements ──► counts ──► latency, gap, spans of the ledger
//! ```
//!
//! [`run`] is the loop over all connections, [`source`] one of them with what it owes, [`record`] a record's bytes on the
//! wire, [`counts`] what the appliance says back.
//!
//! Nothing is sent twice. A record that the kernel began to take before its connection broke is *unknown* unless it was
//! acknowledged; the next connection goes on behind it.

pub mod counts;
pub mod record;
pub mod run;
pub mod source;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::ledger::Framing;
use crate::load::{self, Load, Sent};
use crate::packet::Template;
use crate::stop::Stop;
use record::Recorder;
use run::Run;

/// Longest wait for one of the first connections.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Descriptors beside those of connections.
const DESCRIPTORS_OWN: u64 = 64;

/// What to send.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to.
    pub target: SocketAddr,
    /// How much of what.
    pub load: Load,
    /// How records are told apart.
    pub framing: Framing,
    /// Whether the listener acknowledges, and is waited for.
    pub ack: bool,
}

/// Sends as planned and leaves the ledger behind.
///
/// # Errors
/// A connection cannot be made at the start, the appliance does not answer or acknowledges what was not sent, or the
/// ledger cannot be written; a sentence that says which.
pub fn send(plan: &Plan, stop: &Stop) -> Result<Sent, String> {
    let load = &plan.load;
    let before = load.before()?;
    allow_descriptors(u64::from(load.sources) + DESCRIPTORS_OWN)?;
    let streams = (0..load.sources).map(|_| connect(plan.target)).collect::<Result<Vec<_>, _>>()?;
    let told = load::Way { transport: "tcp", target: plan.target.to_string(), gso: false, framing: Some(plan.framing) };
    let load::Opened { journal, run_id } = load.open(&told, before)?;
    let recorder = Recorder::new(&Template::new(run_id, load.seed, load.size), plan.framing);
    let run = Run::new(plan, recorder, streams, journal.progress())?;
    let come = run.until_done(stop);
    let (ledger, come) = (journal.end()?, come?);
    load.close(ledger, come)
}

/// One of the first connections: whoever runs this wants to know at once that nothing listens.
fn connect(target: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect_timeout(&target, CONNECT_MAX).map_err(|error| format!("cannot connect to {target}: {error}"))
}

/// Makes room for that many open descriptors.
fn allow_descriptors(wanted: u64) -> Result<(), String> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|errno| format!("cannot ask for the limit of descriptors: {errno}"))?;
    if soft >= wanted {
        return Ok(());
    }
    if hard < wanted {
        return Err(format!("{wanted} descriptors are needed, {hard} are allowed: raise `ulimit -Hn`, or take fewer --sources"));
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map_err(|errno| format!("cannot raise the limit of descriptors to {wanted}: {errno}"))
}
