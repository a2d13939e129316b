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
//! [`run`] is the loop, [`train`] the buffer it stamps, [`socket`] one source's way out.

pub mod run;
pub mod socket;
pub mod train;

use std::net::SocketAddr;

use crate::load::{self, Load, Sent};
use crate::packet::Template;
use crate::stop::Stop;
use run::Run;
use socket::Way;

/// What to send.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to.
    pub target: SocketAddr,
    /// How much of what.
    pub load: Load,
    /// Whether to send trains.
    pub gso: bool,
}

/// Sends as planned and leaves the ledger behind.
///
/// # Errors
/// A socket cannot be opened, the appliance does not answer, or the ledger cannot be written; a
/// sentence that says which.
pub fn send(plan: &Plan, stop: &Stop) -> Result<Sent, String> {
    let load = &plan.load;
    let before = load.before()?;
    let way = if plan.gso { Way::Trains } else { Way::Single };
    let sockets = (0..load.sources).map(|_| socket::open(plan.target, way, load.size)).collect::<Result<Vec<_>, _>>()?;
    let told = load::Way { transport: "udp", target: plan.target.to_string(), gso: plan.gso, framing: None };
    let load::Opened { journal, run_id } = load.open(&told, before)?;
    let template = Template::new(run_id, load.seed, load.size);
    let run = Run::new(load.pace(), &template, way, sockets, journal.progress());
    let outcome = run.until_done(stop);
    let (ledger, outcome) = (journal.end()?, outcome?);
    load.close(ledger, outcome.into())
}
