//! A node of a pair: it looks at the register, follows or leads, and starts over when it may do neither as it is.
//!
//! ```text
//! main ── waits for signals
//! ├─ hw-pair      the machine, its connections, the node around it: begin in `host`
//! ├─ hw-arbiter   asks the witness, or keeps the register in the node's own directory
//! └─ log loop, gateway; ingest loops once the node leads
//! ```
//!
//! A blank directory takes the pair's identity, lanes and segment size from the register (see `register`) before it is formatted, so that
//! the two nodes' logs can be the same. Ports are settled at start, even those that are opened only when the node leads.

pub mod heal;
mod host;
mod ports;
mod register;
mod restart;
mod salvage;
pub mod standing;

use super::assemble::Ground;
use super::closed;
use super::directory::Founding;
use super::failure::Failure;
use super::preflight::Warning;
use super::run::{self, Node, spawn, wait_for_signal};
use super::sockets::Servers;
use crate::config::{Arbiter as Arbitration, ArbiterKind, Config, Pair};
use headworks_gateway::cluster::Cluster;
use headworks_io::Wake;
use headworks_io::fatal::Reason;
use headworks_lane::Part;
use headworks_replicator::event::{Event, Kept, Order};
use headworks_replicator::link::pair::{PairLoop, PairParts};
use headworks_replicator::register::{Member, Mode};
use headworks_replicator::shard::{Settings, Shard};
use heal::Lender;
use host::{Closed, Common, PairHost, Stopping};
use nix::sys::signal::SigSet;
use register::{Found, Looking};
use standing::Standing;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long an orderly stop waits for the standby to take over.
const HANDOVER_MAX: Duration = Duration::from_secs(2);
/// How often the register is looked at.
const POLL_NS: u64 = 50_000_000;
/// How long a planned handover may take before it is taken back.
const HANDOVER_NS: u64 = 1_000_000_000;
/// How long after a handover for a slow disk no other is tried.
const HANDOVER_PAUSE_NS: u64 = 60_000_000_000;
/// How many blocks a learner may lack when its acknowledgements begin to be required.
const CATCH_UP_BLOCKS: u64 = 32;

/// Runs a node of a pair until a signal ends it.
///
/// # Errors
/// What kept it from starting, or from stopping cleanly.
pub fn run(config: &Config, pair: &Pair, arbitration: &Arbitration, signals: &SigSet, warnings: Vec<Warning>) -> Result<(), Failure> {
    let volume = Arc::new(restart::lock(&config.node.data[0])?);
    let wake = Wake::new().map_err(|error| Failure::new(Reason::Kernel, format!("no eventfd is to be had: {error}")))?;
    let listener = super::sockets::server(pair.listen, "pair", "--set pair.listen=HOST:PORT")?;
    let servers = Servers::bind(config)?;
    let (mut config, settled) = ports::settle(config, &servers, &listener)?;
    let looking = Looking { config: &config, pair, arbitration, volume: &volume, listener: &listener, wake: &wake, signals };
    let Some(found) = Found::look(&looking)? else { return Ok(()) };
    let founding =
        found.register.map(|register| Founding { pair: register.pair, lanes: register.lanes, segment_bytes: register.segment_bytes });
    if let Some(founding) = &founding {
        config.log.segment_bytes = founding.segment_bytes;
    }
    let ground = Ground::take_of(&config, volume, warnings, founding)?;
    let state = &ground.directory.state;
    let (me, identity, lanes) = (Member { node: state.node_id, incarnation: state.incarnation }, state.pair, state.lanes);
    let part = if found.is_alone(me) { Part::Alone } else { Part::Primary };
    let mut opened = ground.recover(&config, part)?;
    let lender = Lender { peer: pair.peer, pair: identity };
    let healed = ground.heal(&config, part, lender, &mut opened)?;
    let arbiter = found.into_arbiter(&ground, &wake)?;
    let known = opened.iter().map(closed::as_lane).collect();
    let shard = Shard::new(settings(pair, arbitration, &ground, me), kept(&ground), known);

    let (tell, events) = mpsc::channel();
    let stopping = Arc::new(Stopping::default());
    let standing = Standing::new(me, &config.node.name, (pair, arbitration), tell.clone(), wake.clone());
    if let Some(known) = ground.remembered_peer() {
        standing.remember(known);
    }
    let common = Common {
        config,
        settled,
        stopping: Arc::clone(&stopping),
        events,
        tell: tell.clone(),
        wake: wake.clone(),
        cluster: cluster(&ground, pair),
        standing: Arc::new(standing),
        lender,
        healed: Arc::new(AtomicU64::new(healed)),
    };
    let host = PairHost::new(common, Closed { ground, servers, opened });
    let tick_ns = pair.heartbeat_ns / 2;
    let inquires = arbitration.kind == ArbiterKind::Manual;
    let parts = PairParts { shard, host, arbiter, listener, peer: pair.peer, wake: wake.clone(), pair: identity, tick_ns, inquires };
    let pair_loop = PairLoop::new(parts, lanes).map_err(|error| Failure::new(Reason::Kernel, format!("the pair's listener: {error}")))?;
    let handle = spawn("hw-pair", move || pair_loop.run())?;

    wait_for_signal(signals)?;
    hand_over(&tell, &wake, &stopping, &handle);
    stopping.is_over.store(true, Ordering::Release);
    wake.wake();
    run::join(handle, "the pair's loop").into_node().map_or(Ok(()), Node::stop)
}

/// A primary that stops in good order lets the standby take over first; whether it does or not, the stop goes on.
fn hand_over(tell: &mpsc::Sender<Event>, wake: &Wake, stopping: &Stopping, handle: &JoinHandle<PairHost>) {
    stopping.hands_over.store(true, Ordering::Release);
    // A loop that has ended takes nothing, and needs nothing.
    drop(tell.send(Event::Order(Order::Switchover)));
    wake.wake();
    let since = Instant::now();
    while !handle.is_finished() && !stopping.is_handed.load(Ordering::Acquire) && since.elapsed() < HANDOVER_MAX {
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// The brokers as far as they are known: the other one, if the two have ever met.
fn cluster(ground: &Ground, pair: &Pair) -> Cluster {
    let cluster = Cluster::standby();
    // Who has to wait for the other node does so until it is known to be there.
    cluster.set_waiting(pair.min_in_sync >= 2);
    if let Some(broker) = ground.remembered_peer().and_then(|known| run::broker_of(known.node, &known.address)) {
        cluster.met(broker);
    }
    cluster
}

fn settings(pair: &Pair, arbitration: &Arbitration, ground: &Ground, me: Member) -> Settings {
    let state = &ground.directory.state;
    let detect_ns = pair.heartbeat_ns * u64::from(pair.heartbeat_misses);
    Settings {
        me,
        pair: state.pair,
        lanes: state.lanes,
        segment_bytes: state.segment_bytes,
        mode: match arbitration.kind {
            ArbiterKind::Manual => Mode::Manual,
            ArbiterKind::Witness => Mode::Auto,
        },
        may_run_alone: pair.min_in_sync < 2,
        heartbeat_ns: pair.heartbeat_ns,
        detect_ns,
        holdoff_ns: 2 * detect_ns,
        poll_ns: POLL_NS,
        handover_ns: HANDOVER_NS,
        handover_pause_ns: HANDOVER_PAUSE_NS,
        catch_up_blocks: CATCH_UP_BLOCKS,
    }
}

fn kept(ground: &Ground) -> Kept {
    let state = &ground.directory.state;
    Kept {
        promised: state.promised_epoch,
        register_version: state.register_version,
        arbiter: state.arbiter,
        needs_repair: state.needs_repair,
    }
}
