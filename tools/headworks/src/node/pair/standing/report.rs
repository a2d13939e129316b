//! The pair as status and metrics have it.

use super::{Level, Standing, is_connected, lock};
use crate::config::ArbiterKind;
use headworks_gateway::http::report::{ArbiterStatus, PairStatus, PeerStatus, RegisterStatus, SilenceStatus};
use headworks_log::LaneView;
use headworks_log::blocks::bytes_from;
use headworks_replicator::event::Freeze;
use headworks_replicator::link::host::{Cause, Seen};
use headworks_replicator::register::{Mode, Register};
use headworks_replicator::shard::Role;

impl Standing {
    /// How the pair stands; `committed` are the records committed here so far.
    pub fn pair<'a>(&self, views: impl Iterator<Item = &'a LaneView>, committed: u64) -> PairStatus {
        let seen = lock(&self.seen).clone();
        let solo = *lock(&self.solo);
        let leads = matches!(seen.role, Some(Role::Primary(_)));
        let level = lock(&self.level).filter(|_| leads).map(level_name);
        PairStatus {
            register: seen.register.map(|register| self.register(&register)),
            arbiter: ArbiterStatus {
                kind: if self.kind == ArbiterKind::Manual { "manual" } else { "witness" }.into(),
                reachable: seen.arbiter_answers,
                frozen: seen.frozen.map(explain),
            },
            level: level.map(Into::into),
            solo_records: solo.before + solo.since.map_or(0, |since| committed.saturating_sub(since)),
            uncommitted_bytes: views.map(|view| view.positions.uncommitted_bytes.load()).sum(),
            silence: SilenceStatus { max_seconds: seconds(seen.silence_ns_max), limit_seconds: seconds(self.silence_ns_limit) },
            links_rejected: seen.rejected,
            failovers: Cause::ALL.iter().zip(seen.led).map(|(cause, count)| (cause.name().to_owned(), count)).collect(),
            needs_repair: seen.needs_repair,
            awaits_operator: self.awaits_operator(&seen),
        }
    }

    /// The other node, once it was met.
    pub fn peers<'a>(&self, views: impl Iterator<Item = &'a LaneView>) -> Vec<PeerStatus> {
        let seen = lock(&self.seen).clone();
        let known = lock(&self.peer).clone();
        let status = |known: super::Known| PeerStatus {
            name: known.name,
            address: known.address,
            connected: is_connected(&seen),
            in_sync: seen.register.is_some_and(|register| self.has_peer_in_sync(&register)),
            lag_bytes: lag_bytes(&seen, views),
            lag_seconds: seconds(seen.lanes.iter().map(|lane| lane.behind_ns).max().unwrap_or(0)),
        };
        known.map(status).into_iter().collect()
    }

    /// What is wrong right now, in sentences.
    pub fn warnings(&self) -> Vec<String> {
        let seen = lock(&self.seen).clone();
        let other = self.other();
        let mut warnings = Vec::new();
        if let Some(freeze) = seen.frozen {
            warnings.push(format!("the register is frozen: {}; no role changes; see docs/runbooks/frozen-register.md", explain(freeze)));
        } else if !seen.arbiter_answers {
            warnings.push("the arbiter does not answer: records flow, and no role can change until it does".into());
        }
        if seen.needs_repair {
            warnings.push(format!(
                "this node's disk has failed: it does not lead until it is in sync with {other} again; see docs/runbooks/disk-failed.md"
            ));
        }
        if self.awaits_operator(&seen) && matches!(seen.role, Some(Role::Standby)) {
            warnings.push(format!(
                "{other} is not heard, and this node does not lead by itself: make sure that {other} does not run and will not come back as \
                    primary, then `headworks pair promote --confirm-fenced {other}` here; see docs/runbooks/peer-lost.md"
            ));
        }
        match (seen.role, *lock(&self.level)) {
            (Some(Role::Primary(_)), Some(Level::Disk)) => {
                warnings.push(format!(
                    "alone: records are on this disk only until {other} is in sync again; see docs/runbooks/pair-degraded.md"
                ));
            }
            (Some(Role::Primary(_)), Some(Level::Waits)) => {
                warnings.push(format!("waiting for {other}: nothing is committed; see docs/runbooks/peer-lost.md"));
            }
            _ => {}
        }
        warnings
    }

    /// Whether an operator has to say whether this node goes on without the other one: not before his word would be taken, for which the
    /// other must not be heard.
    fn awaits_operator(&self, seen: &Seen) -> bool {
        let misses = match seen.role {
            Some(Role::Standby) => !seen.follows && self.is_in_sync(seen),
            Some(Role::Primary(_)) => {
                *lock(&self.level) == Some(Level::Waits) && seen.register.is_some_and(|known| known.standby.is_some())
            }
            _ => false,
        };
        self.kind == ArbiterKind::Manual && misses && !self.hears(seen)
    }

    fn register(&self, register: &Register) -> RegisterStatus {
        let in_sync = std::iter::once(register.primary).chain(register.standby);
        RegisterStatus {
            version: register.version,
            epoch: u64::from(register.epoch.0),
            primary: self.name_of(register.primary),
            in_sync: in_sync.map(|member| self.name_of(member)).collect(),
            mode: match register.mode {
                Mode::Auto => "auto",
                Mode::Manual => "manual",
                Mode::Vouched => "vouched",
                Mode::Frozen => "frozen",
            }
            .into(),
        }
    }
}

/// Bytes that the peer lacks, by what it had when it was heard last. Only a primary knows.
fn lag_bytes<'a>(seen: &Seen, views: impl Iterator<Item = &'a LaneView>) -> u64 {
    let lanes = seen.lanes.iter().zip(views);
    lanes.filter_map(|(lane, view)| lane.reached.map(|reached| bytes_from(view, reached))).sum()
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::PeerDisk => "peer-disk",
        Level::Disk => "disk",
        Level::Waits => "none",
    }
}

fn explain(freeze: Freeze) -> String {
    match freeze {
        Freeze::Regressed { seen, found } => format!("its version went back from {seen} to {found}"),
        Freeze::Contested => "the other node leads as well, and neither waits for the other: an operator has promoted both".into(),
        Freeze::OtherArbiter => "it comes from another arbiter than the one that this node knows".into(),
    }
}

#[allow(clippy::cast_precision_loss)]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
