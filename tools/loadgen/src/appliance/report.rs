//! The shape of `/api/v1/ledger`, and what changed between two of them.
//!
//! Every field that the comparison needs is required: an appliance that leaves one out is not read as
//! one that counted zero. What is only shown (`host`, `imbalance`) may be anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Counts by cause or reason.
pub type Counts = BTreeMap<String, u64>;

/// The whole answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which run of the appliance.
    pub run: Run,
    /// One entry a listener and lane.
    pub listeners: Vec<Listener>,
    /// One entry a lane.
    pub lanes: Vec<Lane>,
    /// The host's own counters; shown, no part of the comparison.
    #[serde(default)]
    pub host: serde_json::Value,
    /// Spans of time in which nobody counted.
    #[serde(default)]
    pub unobserved: Vec<Span>,
    /// What the appliance's own equations leave over.
    #[serde(default)]
    pub imbalance: serde_json::Value,
}

/// Which run of the appliance, and since when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Epoch of the run.
    pub epoch: u64,
    /// Its start, milliseconds since 1970.
    pub since: u64,
}

/// The books of one listener in one lane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Name from the appliance's config.
    pub name: String,
    /// Lane number.
    pub lane: u32,
    /// Whether `arrived` was counted packet by packet.
    pub exact: bool,
    /// Packets that reached the socket.
    pub arrived: u64,
    /// Packets the kernel dropped, by cause.
    pub dropped: Counts,
    /// Packets that reached the appliance.
    pub received: u64,
    /// Records taken into the log.
    pub admitted: u64,
    /// Records refused, by reason.
    pub shed: Counts,
    /// Records put aside in a dead-letter stream.
    pub dead_lettered: u64,
    /// Received and not yet decided.
    pub pending: u64,
}

/// The books of one lane's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Lane number.
    pub lane: u32,
    /// Records taken in.
    pub admitted: u64,
    /// Records on disk.
    pub durable: u64,
    /// Records on every disk of the in-sync set.
    pub committed: u64,
    /// Admitted and not yet durable.
    pub in_flight: u64,
}

/// A span of time, milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First moment.
    pub from: u64,
    /// Last moment.
    pub to: u64,
}

/// How far a lane's records must have come before the topic is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Level {
    /// Durable on the appliance's own disk.
    Disk,
    /// Durable on every member of the in-sync set.
    PeerDisk,
}

/// What the appliance counted between two reports: every packet that arrived and is not in the topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Packets that reached the sockets.
    pub arrived: u64,
    /// Records taken into the log.
    pub admitted: u64,
    /// Packets the kernel dropped, by cause.
    pub dropped: Counts,
    /// Records refused, by reason.
    pub shed: Counts,
    /// Records in dead-letter streams.
    pub dead_lettered: u64,
    /// Whether every listener compared counts packet by packet.
    pub exact: bool,
    /// Whether these are differences to a report taken before the run; else they are totals.
    pub since_before_run: bool,
}

impl Counted {
    /// Packets that did not reach the topic, each for a named cause.
    pub fn lost(&self) -> u64 {
        let dropped: u64 = self.dropped.values().sum();
        let shed: u64 = self.shed.values().sum();
        dropped + shed + self.dead_lettered
    }
}

impl Report {
    /// What keeps the books open: records on their way, as a sentence. `None` when all is settled.
    pub fn unsettled(&self, level: Level) -> Option<String> {
        let pending: u64 = self.listeners.iter().map(|listener| listener.pending).sum();
        let in_flight: u64 = self.lanes.iter().map(|lane| lane.in_flight).sum();
        let uncommitted: u64 = match level {
            Level::Disk => 0,
            Level::PeerDisk => self.lanes.iter().map(|lane| lane.durable.saturating_sub(lane.committed)).sum(),
        };
        if pending + in_flight + uncommitted == 0 {
            return None;
        }
        Some(format!("{pending} pending, {in_flight} in flight, {uncommitted} not committed"))
    }

    /// Whether nothing arrived and nothing moved between the two.
    pub fn same_counts(&self, other: &Report) -> bool {
        self.run == other.run && self.listeners == other.listeners && self.lanes == other.lanes
    }

    /// What was counted since `before` (since the books began, without it) by the listeners that
    /// `of` names (by all, without it).
    ///
    /// An appliance that was started again meanwhile has the counts of its earlier runs in a row of their own: then all rows
    /// together are compared, since what each listener had counted is not told apart any more.
    ///
    /// # Errors
    /// A counter is smaller than it was, or no listener goes by the name.
    pub fn since(&self, before: Option<&Report>, of: Option<&str>) -> Result<Counted, String> {
        if let Some(before) = before.filter(|before| of.is_none() && before.run.epoch != self.run.epoch) {
            let mut counted = Counted { exact: true, since_before_run: true, ..Counted::default() };
            counted.add(&self.together(), &before.together())?;
            return Ok(counted);
        }
        let mut counted = Counted { exact: true, since_before_run: before.is_some(), ..Counted::default() };
        let chosen = |listener: &&Listener| of.is_none_or(|name| listener.name == name);
        let nothing = Listener::default();
        let mut found = false;
        for now in self.listeners.iter().filter(chosen) {
            let same = |old: &&Listener| old.name == now.name && old.lane == now.lane;
            let old = before.and_then(|report| report.listeners.iter().find(same));
            counted.add(now, old.unwrap_or(&nothing))?;
            found = true;
        }
        match of {
            Some(name) if !found => Err(format!("the appliance has no listener `{name}`")),
            _ => Ok(counted),
        }
    }
}

impl Report {
    /// All listeners as one.
    fn together(&self) -> Listener {
        let mut all = Listener { name: "all listeners".to_owned(), exact: true, ..Listener::default() };
        for listener in &self.listeners {
            all.exact &= listener.exact;
            all.arrived += listener.arrived;
            all.received += listener.received;
            all.admitted += listener.admitted;
            all.dead_lettered += listener.dead_lettered;
            all.pending += listener.pending;
            for (into, from) in [(&mut all.dropped, &listener.dropped), (&mut all.shed, &listener.shed)] {
                from.iter().for_each(|(cause, count)| *into.entry(cause.clone()).or_default() += count);
            }
        }
        all
    }
}

impl Counted {
    fn add(&mut self, now: &Listener, old: &Listener) -> Result<(), String> {
        let less = |what: &str, now_count: u64, old_count: u64| {
            now_count.checked_sub(old_count).ok_or_else(|| {
                let Listener { name, lane, .. } = now;
                format!("{what} of {name}, lane {lane}, went back from {old_count} to {now_count}")
            })
        };
        self.arrived += less("arrived", now.arrived, old.arrived)?;
        self.admitted += less("admitted", now.admitted, old.admitted)?;
        self.dead_lettered += less("dead_lettered", now.dead_lettered, old.dead_lettered)?;
        self.exact &= now.exact;
        for (into, now_counts, old_counts) in [(&mut self.dropped, &now.dropped, &old.dropped), (&mut self.shed, &now.shed, &old.shed)] {
            for (cause, now_count) in now_counts {
                let old_count = old_counts.get(cause).copied().unwrap_or(0);
                let grown = less(cause, *now_count, old_count)?;
                if grown > 0 {
                    *into.entry(cause.clone()).or_default() += grown;
                }
            }
            // A cause that vanished is a counter that went back.
            for (cause, old_count) in old_counts {
                if !now_counts.contains_key(cause) {
                    less(cause, 0, *old_count)?;
                }
            }
        }
        Ok(())
    }
}
