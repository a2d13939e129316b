//! The pair's register as a node begins: at its witness; or in the node's own directory, where an operator is the arbiter.
//!
//! ```text
//! witness    ask; a new directory waits for an answer                        the machine founds
//! manual     open the file; a blank one: meet the other node, which is       the first register is written here,
//!            as blank (one of the two founds) or knows the pair              before the machine looks at it
//! ```
//!
//! A file that was there once and is gone is no blank one: whoever starts over it would forget whom it has followed.

use crate::config::{Arbiter as Arbitration, ArbiterKind, Config, Pair};
use crate::node::assemble::Ground;
use crate::node::directory;
use crate::node::failure::Failure;
use headworks_format::Epoch;
use headworks_format::witness::Identity;
use headworks_io::fatal::Reason;
use headworks_io::{Clock, Volume, Wake};
use headworks_replicator::link::arbiter::{Arbiter as _, ArbiterHandle, WitnessSettings};
use headworks_replicator::link::file::{FileError, MANUAL_FILE, RegisterFile};
use headworks_replicator::link::founding::{Met, meet};
use headworks_replicator::register::{Member, Mode, Register, Swap, SwapAnswer};
use headworks_replicator::witness::Outcome;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How long one look at the register is waited for.
const LOOK_NS: u64 = 300_000_000;
/// Looks that a directory waits for which knows who this node is.
const LOOKS_MAX: u64 = 2;
/// The one register of a node's own file.
const OWN_PLACE: u16 = 0;

/// Where the register is.
enum Place {
    Witness(ArbiterHandle),
    /// The file, and whether this node founds the pair.
    Own(RegisterFile, bool),
}

/// The register before anything is formatted.
pub struct Found {
    /// What it holds, here or with the other node; none when the pair is to be founded, or nobody answers.
    pub register: Option<Register>,
    place: Place,
}

/// What a node has to look with.
pub struct Looking<'a> {
    /// What it was told.
    pub config: &'a Config,
    /// Its pair.
    pub pair: &'a Pair,
    /// Its arbiter.
    pub arbitration: &'a Arbitration,
    /// Its directory.
    pub volume: &'a Arc<Volume>,
    /// Where the other node comes in.
    pub listener: &'a TcpListener,
    /// Rung by the arbiter.
    pub wake: &'a Wake,
    /// What ends it.
    pub signals: &'a SigSet,
}

impl Found {
    /// Looks for the register; none when a signal has ended the wait.
    ///
    /// # Errors
    /// The arbiter cannot be begun, or the node's own file cannot be used.
    pub fn look(looking: &Looking<'_>) -> Result<Option<Found>, Failure> {
        let stops = SignalFd::with_flags(looking.signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC);
        let stops = stops.map_err(|error| Failure::new(Reason::Kernel, format!("no signalfd is to be had: {error}")))?;
        let is_over = || matches!(stops.read_signal(), Ok(Some(_)));
        match looking.arbitration.kind {
            ArbiterKind::Witness => at_witness(looking, is_over),
            ArbiterKind::Manual => by_hand(looking, is_over),
        }
    }

    /// Whether what is durable in this node's lanes is committed, since nobody else has to have it.
    #[must_use]
    pub fn is_alone(&self, me: Member) -> bool {
        let founds = matches!(self.place, Place::Witness(_));
        self.register.map_or(founds, |register| register.primary == me && register.standby.is_none() && register.mode != Mode::Manual)
    }

    /// The arbiter, for the machine. Who founds by hand writes the first register now.
    ///
    /// # Errors
    /// No thread is to be had, or the file cannot be written.
    pub fn into_arbiter(self, ground: &Ground, wake: &Wake) -> Result<ArbiterHandle, Failure> {
        match self.place {
            Place::Witness(arbiter) => Ok(arbiter),
            Place::Own(mut file, founds) => {
                if founds {
                    found(&mut file, ground)?;
                }
                started(ArbiterHandle::manual(file, wake.clone()))
            }
        }
    }
}

fn started(arbiter: std::io::Result<ArbiterHandle>) -> Result<ArbiterHandle, Failure> {
    arbiter.map_err(|error| Failure::new(Reason::Kernel, format!("no thread for the arbiter: {error}")))
}

// A witness.

/// A directory that has a superblock can do without an answer; a blank one waits, since the pair may have an identity already.
fn at_witness(looking: &Looking<'_>, mut is_over: impl FnMut() -> bool) -> Result<Option<Found>, Failure> {
    let address = looking.arbitration.address.ok_or_else(|| Failure::new(Reason::Config, "a witness needs arbiter.address"))?;
    let settings = WitnessSettings { place: looking.arbitration.register, ..WitnessSettings::at(address) };
    let mut arbiter = started(ArbiterHandle::witness(settings, looking.wake.clone()))?;
    let known = directory::read(looking.volume).ok();
    let meant = known.as_ref().map_or(0, |state| state.arbiter);
    for look in 0.. {
        // The loop's own requests are numbered from 1 on.
        arbiter.get(u64::MAX - look, meant);
        if let Some(register) = answer(&mut arbiter, looking.wake) {
            return Ok(Some(Found { register, place: Place::Witness(arbiter) }));
        }
        if known.is_some() && look + 1 >= LOOKS_MAX {
            break;
        }
        if is_over() {
            return Ok(None);
        }
        if look == 0 {
            tracing::warn!("the arbiter does not answer; a new directory waits for it, since the pair may have an identity already");
        }
    }
    Ok(Some(Found { register: None, place: Place::Witness(arbiter) }))
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

// By hand.

fn by_hand(looking: &Looking<'_>, is_over: impl FnMut() -> bool) -> Result<Option<Found>, Failure> {
    let file = open(looking.volume)?;
    let own = file.register(0, OWN_PLACE).map_err(|why| Failure::new(Reason::Bug, format!("a file of its own denies a node: {why:?}")))?;
    if own.is_some() {
        return Ok(Some(Found { register: own, place: Place::Own(file, false) }));
    }
    let (name, peer) = (&looking.config.node.name, looking.pair.peer);
    tracing::warn!(%peer, "no register here: waiting for the other node, which knows the pair or founds it together with this one");
    let met = meet(looking.listener, peer, name, is_over);
    let met = met.map_err(|error| Failure::new(Reason::Kernel, format!("the pair's listener: {error}")))?;
    let (register, founds) = match met {
        Met::Founds => (None, true),
        Met::Pair(register) => (Some(register), false),
        Met::Stopped => return Ok(None),
        Met::SameName => {
            let text = format!("both nodes of the pair are called \"{name}\"; set another node.name at one of them");
            return Err(Failure::new(Reason::Config, text));
        }
    };
    Ok(Some(Found { register, place: Place::Own(file, founds) }))
}

fn open(volume: &Arc<Volume>) -> Result<RegisterFile, Failure> {
    let path = volume.path().join(MANUAL_FILE);
    let had_one = directory::read(volume).is_ok_and(|state| state.arbiter != 0);
    if had_one && matches!(path.try_exists(), Ok(false)) {
        return Err(Failure::new(
            Reason::Storage,
            format!(
                "{} is gone, or this directory belonged to a pair with a witness: it says whom this node has followed, and nothing is \
                    started without it. Start this node with a new directory, and it catches up with the other one; see \
                    docs/runbooks/peer-lost.md where that one is gone as well",
                path.display()
            ),
        ));
    }
    let identity = Identity { incarnation: directory::random_u128()?, created_ns: Clock.realtime_ns() };
    let (file, notes) = RegisterFile::open(Arc::clone(volume), MANUAL_FILE, identity).map_err(|error| unusable(&error))?;
    notes.iter().for_each(|note| tracing::warn!("{note}"));
    Ok(file)
}

/// Writes the first register: this node leads, and commits nothing before the other is in sync.
fn found(file: &mut RegisterFile, ground: &Ground) -> Result<(), Failure> {
    let state = &ground.directory.state;
    let first = Register {
        version: 0,
        pair: state.pair,
        lanes: state.lanes,
        segment_bytes: state.segment_bytes,
        epoch: Epoch(1),
        primary: Member { node: state.node_id, incarnation: state.incarnation },
        standby: None,
        mode: Mode::Manual,
    };
    let swapping = file.swap(0, OWN_PLACE, &Swap::from(None, first));
    let swapping = swapping.map_err(|why| Failure::new(Reason::Bug, format!("a file of its own denies a node: {why:?}")))?;
    assert!(swapping.answer == SwapAnswer::Swapped, "a blank register is {:?}", swapping.answer);
    for effects in [&swapping.before, &swapping.behind] {
        file.carry_out(effects).map_err(|error| unusable(&error))?;
    }
    tracing::warn!("the pair is founded: this node leads, and commits nothing before the other one is in sync");
    Ok(())
}

fn unusable(error: &FileError) -> Failure {
    Failure::new(Reason::Storage, error.to_string())
}
