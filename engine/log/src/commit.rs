//! From durable to committed: what is durable here becomes visible once every other required member has it too.
//!
//! ```text
//!  flights ─► durable ─► ahead ─► gate ─► committed: high watermarks, acknowledgements, consumers
//!                        (a run a block and partition, oldest first; a fixed number of them)
//! ```
//!
//! On one node the gate is open, and what is durable is committed at once. The account of what is ahead is bounded: while the
//! peer stalls, the newer half of it is joined to one run a partition whenever it has grown too long, which only makes the steps coarser in
//! which records are shown.

use crate::append::{Flight, Log, Source};
use crate::view::{Slot, gate};
use std::collections::VecDeque;

/// Runs that the account holds.
pub const AHEAD_MAX: usize = 1 << 16;
/// So many are joined. What is left has room for every batch of the blocks under way.
const JOIN_FROM: usize = AHEAD_MAX / 2;
/// A run that shows nothing: a checkpoint's.
const NOWHERE: usize = usize::MAX;

/// What becomes visible when everything below `through` is committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ahead {
    pub through: u64,
    /// The partition's place, and the offset behind its last record.
    pub place: usize,
    pub end_offset: u64,
    pub slot: Slot,
    pub bytes: u64,
    /// Records that this node stamped.
    pub records: u64,
}

impl Log {
    /// Whether so many batches more can be kept account of, and those of every block under way.
    pub(crate) fn has_room_ahead(&self, batches: usize) -> bool {
        let flying: usize = self.flights.iter().map(|flight| 1 + flight.entries.2 - flight.entries.1).sum();
        self.ahead.len() + flying + batches < AHEAD_MAX
    }

    /// A block became durable here.
    pub(crate) fn go_ahead(&mut self, flight: &Flight) {
        let slot = if let Source::Slot(slot) = flight.source { Slot(slot) } else { Slot::NONE };
        let through = flight.sequence + 1;
        let (mut bytes, mut records) = (u64::from(flight.bytes), if flight.followed { 0 } else { u64::from(flight.records) });
        let (_, first, last) = flight.entries;
        if first == last {
            push(&mut self.ahead, Ahead { through, place: NOWHERE, end_offset: 0, slot, bytes, records });
        }
        for (place, end_offset) in self.view.ends_of(flight.entries) {
            // What counts for the whole block is counted with its first run.
            let (bytes, records) = (std::mem::take(&mut bytes), std::mem::take(&mut records));
            let run = Ahead { through, place, end_offset, slot, bytes, records };
            push(&mut self.ahead, run);
        }
        let uncommitted = &self.view.positions.uncommitted_bytes;
        uncommitted.set(uncommitted.load() + u64::from(flight.bytes));
    }

    /// Publishes how far the log is durable, and shows what of it lies below the gate.
    pub(crate) fn commit(&mut self) {
        let (gate, serial) = self.view.gate.look();
        let committed = self.durable.min(gate).max(self.committed);
        // What is committed is shown first: who learns of the position finds it there.
        if committed > self.committed {
            self.show(committed);
        }
        self.view.positions.durable.set(self.durable);
        if committed > self.committed {
            self.committed = committed;
            self.view.positions.committed.set(committed);
        }
        self.view.gate.heed(serial);
        self.share();
    }

    fn show(&mut self, committed: u64) {
        let (mut slots, mut bytes) = (self.view.positions.committed_slots.load(), 0);
        while let Some(run) = self.ahead.front()
            && run.through <= committed
        {
            if run.place != NOWHERE {
                self.view.partitions[run.place].raise(run.end_offset);
            }
            slots = behind(run.slot).unwrap_or(slots);
            bytes += run.bytes;
            self.committed_records += run.records;
            self.ahead.pop_front();
        }
        self.view.positions.committed_slots.set(slots);
        let uncommitted = &self.view.positions.uncommitted_bytes;
        uncommitted.set(uncommitted.load() - bytes);
    }

    /// Slots whose blocks stand in the memory of every other required member; with none required, those that are committed.
    fn share(&mut self) {
        let positions = &self.view.positions;
        let mut slots = positions.committed_slots.load();
        let received = self.view.gate.received();
        if received != gate::OPEN {
            let flying = self.flights.iter().rev().filter(|flight| flight.sequence < received);
            let flying = flying.filter_map(|flight| if let Source::Slot(slot) = flight.source { behind(Slot(slot)) } else { None });
            let ahead = self.ahead.iter().rev().filter(|run| run.through <= received).filter_map(|run| behind(run.slot));
            slots = flying.chain(ahead).next().unwrap_or(slots).max(slots);
        }
        if slots > positions.shared_slots.load() {
            positions.shared_slots.set(slots);
        }
    }
}

/// Adds a run behind all others.
pub(crate) fn push(ahead: &mut VecDeque<Ahead>, run: Ahead) {
    match ahead.back_mut() {
        Some(back) if back.place == run.place && back.through == run.through => back.take_in(&run),
        _ => ahead.push_back(run),
    }
    if ahead.len() >= JOIN_FROM {
        join_newer_half(ahead);
    }
}

/// One run for each partition instead of the newer half of all, each shown when the last of what it stands for is. In place: nothing is
/// allocated.
fn join_newer_half(ahead: &mut VecDeque<Ahead>) {
    let from = ahead.len() / 2;
    let newer = &mut ahead.make_contiguous()[from..];
    newer.sort_unstable_by_key(|run| (run.place, run.through));
    let mut kept = 0;
    for at in 1..newer.len() {
        let run = newer[at];
        if run.place == newer[kept].place {
            newer[kept].take_in(&run);
        } else {
            kept += 1;
            newer[kept] = run;
        }
    }
    newer[..=kept].sort_unstable_by_key(|run| run.through);
    ahead.truncate(from + kept + 1);
}

impl Ahead {
    /// A later run of the same partition is shown together with this one.
    fn take_in(&mut self, later: &Ahead) {
        *self = Ahead { bytes: self.bytes + later.bytes, records: self.records + later.records, ..*later };
    }
}

fn behind(slot: Slot) -> Option<u64> {
    (slot != Slot::NONE).then(|| slot.0 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_any_length_is_kept_in_bounds_and_shows_everything_in_order() {
        let mut ahead = VecDeque::new();
        let runs = 5 * AHEAD_MAX as u64;
        for number in 0..runs {
            // Three partitions by turns, and a checkpoint now and then: no two neighbours are of one partition.
            let place = if number % 1000 == 999 { NOWHERE } else { usize::try_from(number % 3).unwrap() };
            push(&mut ahead, Ahead { through: number + 1, place, end_offset: number, slot: Slot(number), bytes: 2, records: 1 });
            assert!(ahead.len() < JOIN_FROM, "{} runs after {number}", ahead.len());
        }
        assert!(ahead.iter().zip(ahead.iter().skip(1)).all(|(one, next)| one.through <= next.through), "shown in order");
        let sum = |of: fn(&Ahead) -> u64| ahead.iter().map(of).sum::<u64>();
        assert_eq!((sum(|run| run.bytes), sum(|run| run.records)), (2 * runs, runs), "nothing is shown twice or not at all");
        assert!(
            ahead.iter().all(|run| run.through == run.end_offset + 1 && run.slot == Slot(run.end_offset)),
            "with the last that it stands for"
        );
        for place in 0..3 {
            let last = (0..runs).rev().find(|number| number % 1000 != 999 && number % 3 == place as u64);
            assert_eq!(ahead.iter().rev().find(|run| run.place == place).map(|run| run.end_offset), last);
        }
    }

    #[test]
    fn what_is_oldest_is_shown_in_the_smallest_steps() {
        let mut ahead = VecDeque::new();
        for number in 0..JOIN_FROM as u64 {
            push(&mut ahead, Ahead { through: number + 1, place: 0, end_offset: number, slot: Slot::NONE, bytes: 1, records: 1 });
        }
        let half = JOIN_FROM / 2;
        assert_eq!(ahead.len(), half + 1);
        assert!(ahead.iter().take(half).zip(0..).all(|(run, number)| run.through == number + 1 && run.records == 1));
        assert_eq!(ahead.back().map(|run| (run.through, run.records)), Some((JOIN_FROM as u64, half as u64)));
    }
}
