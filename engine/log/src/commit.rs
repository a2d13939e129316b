//! From durable to committed: what is durable here becomes visible once every other required member has it too.
//!
//! ```text
//!  flights ─► durable ─► ahead ─► gate ─► committed: high watermarks, acknowledgements, consumers
//!                        (a run a block and partition, oldest first; a fixed number of them)
//! ```
//!
//! On one node the gate is open, and what is durable is committed at once. The account of what is ahead is bounded: while the
//! peer stalls, neighbouring runs of one partition are joined, which only makes the steps coarser in which they are shown.

use crate::append::{Flight, Log, Source};
use crate::view::{Slot, gate};

/// Runs that the account holds.
pub const AHEAD_MAX: usize = 1 << 16;
/// From here on neighbours are joined.
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
            self.ahead.push_back(Ahead { through, place: NOWHERE, end_offset: 0, slot, bytes, records });
        }
        for (place, end_offset) in self.view.ends_of(flight.entries) {
            // What counts for the whole block is counted with its first run.
            let (bytes, records) = (std::mem::take(&mut bytes), std::mem::take(&mut records));
            let run = Ahead { through, place, end_offset, slot, bytes, records };
            let joins = self.ahead.len() >= JOIN_FROM;
            match self.ahead.back_mut() {
                Some(back) if back.place == place && (back.through == through || joins) => {
                    *back = Ahead { bytes: back.bytes + run.bytes, records: back.records + run.records, ..run };
                }
                _ => self.ahead.push_back(run),
            }
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

fn behind(slot: Slot) -> Option<u64> {
    (slot != Slot::NONE).then(|| slot.0 + 1)
}
