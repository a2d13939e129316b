//! A node of a pair: it looks at the register, follows or leads, and starts over when it may do neither as it is.
//!
//! ```text
//! main ── waits for signals
//! ├─ hw-pair      the machine, its connections, the node around it: begin in `host`
//! ├─ hw-arbiter   asks the witness
//! └─ log loop, gateway; ingest loops once the node leads
//! ```
//!
//! A blank directory takes the pair's identity, lanes and segment size from the register before it is formatted, so that the two
//! nodes' logs can be the same. Ports are settled at start, even those that are opened only when the node leads.

pub mod heal;
mod host;
mod ports;
mod restart;
mod salvage;
pub mod standing;

use super::assemble::Ground;
use super::closed;
use super::directory::{self, Founding};
use super::failure::Failure;
use super::preflight::Warning;
use super::run::{self, Node, spawn, wait_for_signal};
use super::sockets::Servers;
use crate::config::{Arbiter as Arbitration, ArbiterKind, Config, Pair};
use headworks_gateway::cluster::Cluster;
use headworks_io::fatal::Reason;
use headworks_io::{Clock, Volume, Wake};
use headworks_lane::Part;
use headworks_replicator::event::{Event, Kept, Order};
use headworks_replicator::link::arbiter::{Arbiter as _, ArbiterHandle, WitnessSettings};
use headworks_replicator::link::pair::{PairLoop, PairParts};
use headworks_replicator::register::{Member, Mode, Register};
use headworks_replicator::shard::{Settings, Shard};
use headworks_replicator::witness::Outcome;
use heal::Lender;
use host::{Closed, Common, PairHost, Stopping};
use nix::sys::signal::SigSet;
use standing::Standing;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long one look at the register is waited for.
const LOOK_NS: u64 = 300_000_000;
/// Looks that a directory waits for which knows who this node is.
const LOOKS_MAX: u64 = 2;
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
    let mut arbiter = arbiter(arbitration, &wake)?;
    let register = first_look(&mut arbiter, &wake, &volume)?;
    let founding = register.map(|register| Founding { pair: register.pair, lanes: register.lanes, segment_bytes: register.segment_bytes });
    if let Some(founding) = &founding {
        config.log.segment_bytes = founding.segment_bytes;
    }
    let ground = Ground::take_of(&config, volume, warnings, founding)?;
    let state = &ground.directory.state;
    let (me, identity, lanes) = (Member { node: state.node_id, incarnation: state.incarnation }, state.pair, state.lanes);
    let is_alone = register.is_none_or(|register| register.primary == me && register.standby.is_none());
    let part = if is_alone { Part::Alone } else { Part::Primary };
    let mut opened = ground.recover(&config, part)?;
    let lender = Lender { peer: pair.peer, pair: identity };
    let healed = ground.heal(&config, part, lender, &mut opened)?;
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
        cluster: cluster(&ground),
        standing: Arc::new(standing),
        lender,
        healed: Arc::new(AtomicU64::new(healed)),
    };
    let host = PairHost::new(common, Closed { ground, servers, opened });
    let tick_ns = pair.heartbeat_ns / 2;
    let parts = PairParts { shard, host, arbiter, listener, peer: pair.peer, wake: wake.clone(), pair: identity, tick_ns };
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
fn cluster(ground: &Ground) -> Cluster {
    let cluster = Cluster::standby();
    if let Some(broker) = ground.remembered_peer().and_then(|known| run::broker_of(known.node, &known.address)) {
        cluster.met(broker);
    }
    cluster
}

fn arbiter(arbitration: &Arbitration, wake: &Wake) -> Result<ArbiterHandle, Failure> {
    let (ArbiterKind::Witness, Some(address)) = (arbitration.kind, arbitration.address) else {
        return Err(Failure::new(Reason::Config, "arbiter.kind = \"manual\" is not served by this release; set kind = \"witness\""));
    };
    let settings = WitnessSettings { place: arbitration.register, ..WitnessSettings::at(address) };
    let started = ArbiterHandle::witness(settings, wake.clone());
    started.map_err(|error| Failure::new(Reason::Kernel, format!("no thread for the arbiter: {error}")))
}

/// The register before anything is formatted. A directory that has a superblock can do without; a blank one waits, since the pair
/// may have an identity already.
fn first_look(arbiter: &mut ArbiterHandle, wake: &Wake, volume: &Volume) -> Result<Option<Register>, Failure> {
    let known = directory::read(volume).ok();
    let meant = known.as_ref().map_or(0, |state| state.arbiter);
    for look in 0.. {
        // The loop's own requests are numbered from 1 on.
        arbiter.get(u64::MAX - look, meant);
        if let Some(register) = answer(arbiter, wake) {
            return Ok(register);
        }
        if known.is_some() && look + 1 >= LOOKS_MAX {
            break;
        }
        if look == 0 {
            tracing::warn!("the arbiter does not answer; a new directory waits for it, since the pair may have an identity already");
        }
    }
    Ok(None)
}

fn answer(arbiter: &mut ArbiterHandle, wake: &Wake) -> Option<Option<Register>> {
    let until_ns = Clock.monotonic_ns() + LOOK_NS;
    while Clock.monotonic_ns() < until_ns {
        while let Some(answered) = arbiter.next() {
            if let Outcome::Read(register) = answered.outcome {
                return Some(register);
            }
        }
        thread::park_timeout(Duration::from_millis(1));
        wake.drain();
    }
    None
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
