//! How the pair stands, kept for who watches and who orders: the loop writes it once a tick, the gateway's thread reads it.
//!
//! ```text
//! hw-pair ── show, met, note ──► Standing ──► /api/v1/status, /metrics, /readyz
//!    ▲                              │
//!    └──────── Event::Order ────────┘◄── POST /api/v1/pair/…
//! ```
//!
//! An order is judged here by what was seen last, so that an operator learns at once why nothing will happen; whether it happens, the
//! machine decides by what is so then. What was seen may be a tick old, never more.

mod answers;
mod report;

use crate::config::{Arbiter, ArbiterKind, Pair};
use headworks_io::{Clock, Wake};
use headworks_replicator::event::{Event, Note};
use headworks_replicator::link::host::{Peer, Seen};
use headworks_replicator::register::{Member, Register};
use headworks_replicator::shard::Role;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;

/// The other node, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub node: u128,
    /// Its name.
    pub name: String,
    /// Where its Kafka clients reach it.
    pub address: String,
}

/// What a primary commits by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    PeerDisk,
    Disk,
    Waits,
}

/// Records that are committed while this node is alone.
#[derive(Debug, Clone, Copy, Default)]
struct Solo {
    before: u64,
    /// What was committed when it began to be alone, if it is.
    since: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub struct Standing {
    me: Member,
    name: String,
    kind: ArbiterKind,
    silence_ns_limit: u64,
    seen: Mutex<Seen>,
    peer: Mutex<Option<Known>>,
    level: Mutex<Option<Level>>,
    solo: Mutex<Solo>,
    /// When the last order was accepted: its answer is on its way then.
    ordered: Mutex<Option<Instant>>,
    tell: Mutex<mpsc::Sender<Event>>,
    wake: Wake,
}

impl Standing {
    /// Of a node that has just started. `tell` and `wake` lead to the loop.
    #[must_use]
    pub fn new(me: Member, name: &str, (pair, arbiter): (&Pair, &Arbiter), tell: mpsc::Sender<Event>, wake: Wake) -> Standing {
        Standing {
            me,
            name: name.to_owned(),
            kind: arbiter.kind,
            silence_ns_limit: pair.heartbeat_ns * u64::from(pair.heartbeat_misses),
            seen: Mutex::default(),
            peer: Mutex::default(),
            level: Mutex::default(),
            solo: Mutex::default(),
            ordered: Mutex::default(),
            tell: Mutex::new(tell),
            wake,
        }
    }

    /// When an order was accepted last.
    pub fn ordered(&self) -> Option<Instant> {
        *lock(&self.ordered)
    }

    /// What the loop has seen.
    pub fn show(&self, seen: &Seen) {
        let mut shown = lock(&self.seen);
        if *shown != *seen {
            shown.clone_from(seen);
        }
    }

    /// The other node has said who it is.
    pub fn met(&self, peer: &Peer) {
        self.remember(Known { node: peer.member.node, name: peer.name.clone(), address: peer.address.clone() });
    }

    /// The other node was met in an earlier life.
    pub fn remember(&self, known: Known) {
        *lock(&self.peer) = Some(known);
    }

    /// The machine has said by what it commits; `committed` are the records committed so far.
    pub fn note(&self, note: &Note, committed: u64) {
        let level = match note {
            Note::Paired => Level::PeerDisk,
            Note::Alone => Level::Disk,
            Note::Stalled => Level::Waits,
            _ => return,
        };
        *lock(&self.level) = Some(level);
        let mut solo = lock(&self.solo);
        match (level, solo.since) {
            (Level::Disk, None) => solo.since = Some(committed),
            (Level::PeerDisk | Level::Waits, Some(since)) => {
                *solo = Solo { before: solo.before + committed.saturating_sub(since), since: None };
            }
            _ => {}
        }
    }

    /// What this node is: `starting`, `standby` or `primary`.
    #[must_use]
    pub fn role(&self) -> &'static str {
        role_name(lock(&self.seen).role)
    }

    /// Whether this node does its part: a primary commits, a standby is in sync and follows.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn ready(&self) -> Result<(), String> {
        let seen = lock(&self.seen).clone();
        let other = self.other();
        match seen.role {
            Some(Role::Primary(_)) if *lock(&self.level) == Some(Level::Waits) => {
                Err(format!("primary, and waits: nothing is committed until {other} is in sync again (pair.min_in_sync = 2)"))
            }
            Some(Role::Primary(_)) => Ok(()),
            Some(Role::Standby) if seen.needs_repair => Err("standby whose disk has failed: it cannot lead".into()),
            Some(Role::Standby) if !seen.follows => Err(format!("standby: does not follow {other}, which is not there or does not lead")),
            Some(Role::Standby) if !self.is_in_sync(&seen) => Err(format!("standby: not in sync with {other} yet")),
            Some(Role::Standby) if seen.frozen.is_some() => Err("standby: the register is not trusted, so it cannot lead".into()),
            Some(Role::Standby) => Ok(()),
            Some(Role::Taking(_)) => Err("taking the lead".into()),
            _ if !seen.arbiter_answers => Err("starting: the arbiter does not answer".into()),
            _ => Err("starting".into()),
        }
    }

    /// Gives the loop something to do.
    fn tell(&self, event: Event) {
        // A loop that has ended takes nothing: the process is about to.
        drop(lock(&self.tell).send(event));
        self.wake.wake();
    }

    /// Whether the other node is heard, so that it is not fenced.
    fn hears(&self, seen: &Seen) -> bool {
        let is_there = if matches!(seen.role, Some(Role::Standby)) { seen.follows } else { is_connected(seen) };
        is_there && heard_ns_ago(seen) < self.silence_ns_limit
    }

    fn is_in_sync(&self, seen: &Seen) -> bool {
        seen.register.is_some_and(|register| register.in_sync(self.me))
    }

    /// The other node's name, for sentences.
    fn other(&self) -> String {
        lock(&self.peer).as_ref().map_or_else(|| "the other node".to_owned(), |known| known.name.clone())
    }

    fn name_of(&self, member: Member) -> String {
        if member.node == self.me.node {
            return self.name.clone();
        }
        let peer = lock(&self.peer);
        let known = peer.as_ref().filter(|known| known.node == member.node);
        known.map_or_else(|| format!("{:032x}", member.node), |known| known.name.clone())
    }

    /// Whether the register has the other node in sync.
    fn has_peer_in_sync(&self, register: &Register) -> bool {
        register.primary.node != self.me.node || register.standby.is_some()
    }
}

fn is_connected(seen: &Seen) -> bool {
    !seen.lanes.is_empty() && seen.lanes.iter().all(|lane| lane.is_up)
}

fn role_name(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Standby) => "standby",
        Some(Role::Primary(_)) => "primary",
        Some(Role::Starting | Role::Taking(_) | Role::Ended) | None => "starting",
    }
}

fn heard_ns_ago(seen: &Seen) -> u64 {
    Clock.monotonic_ns().saturating_sub(seen.heard_ns)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
