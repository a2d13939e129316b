//! The way to a new epoch: swapped, then promised durably, then led. Nothing is appended or answered in it before.
//!
//! ```text
//! Swapping ──the register says so──► Promising ──the promise is durable──► Leading ──every lane begins it──► primary
//!     └──somebody else was first──► stands by, or starts over
//! ```

use crate::event::{Effect, Halt, StartOver};
use crate::primary::Primary;
use crate::register::Register;
use crate::shard::{Shard, State};
use headworks_format::Epoch;
use headworks_format::units::EPOCH_MAX;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Taking {
    pub epoch: Epoch,
    pub step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// The swap is under way or unknown.
    Swapping,
    /// The promise is being written.
    Promising,
    /// The lanes are being opened for the epoch.
    Leading,
}

impl Shard {
    /// Rule 7: who was primary before it started takes a new epoch, with the same member in sync, before it appends.
    pub(crate) fn take_again(&mut self, register: &Register) {
        if self.rules.restart() {
            self.take(*register);
        } else {
            self.state = State::Taking(Taking { epoch: register.epoch, step: Step::Promising });
            self.on_taken();
        }
    }

    pub(crate) fn first_register(&self) -> Register {
        let settings = &self.settings;
        Register {
            version: 0,
            pair: settings.pair,
            lanes: settings.lanes,
            segment_bytes: settings.segment_bytes,
            epoch: Epoch(0),
            primary: settings.me,
            standby: None,
            mode: settings.mode,
        }
    }

    /// Begins to take the epoch after every one that this node knows of, for the members that `from` names.
    pub(crate) fn take(&mut self, from: Register) {
        if !self.tracker.is_settled() {
            return;
        }
        let Some(epoch) = self.next_epoch(&from) else { return self.halt(Halt::EpochsEnd) };
        let effect = self.tracker.swap(Register { epoch, ..from });
        self.order(effect);
        self.state = State::Taking(Taking { epoch, step: Step::Swapping });
    }

    pub(crate) fn next_epoch(&self, register: &Register) -> Option<Epoch> {
        let highest = register.epoch.max(self.kept.promised).max(self.keeping.promised);
        // By hand no arbiter keeps the two nodes' epochs apart: whoever leads in an odd one takes odd ones.
        let own = if register.primary == self.settings.me { register.epoch.0 } else { register.epoch.0 + 1 };
        let is_others = self.is_manual() && self.rules.apart() && (highest.0 + 1) % 2 != own % 2;
        let next = highest.0 + 1 + u32::from(is_others);
        (next <= EPOCH_MAX.0).then_some(Epoch(next))
    }

    /// A register was seen on the way to an epoch: it is ours, or still as it was, or somebody else's.
    pub(crate) fn taking_sees(&mut self, now_ns: u64, taking: Taking) {
        let Some(register) = self.tracker.known().copied() else { return };
        if taking.step != Step::Swapping {
            self.depose_unless_primary(taking.epoch);
        } else if register.primary == self.settings.me && register.epoch == taking.epoch {
            self.promise(taking.epoch);
        } else if !self.tracker.swaps() {
            // Lost. A swap of an earlier life may have landed instead, and names this node: it takes the next epoch.
            if register.primary == self.settings.me {
                return self.take(register);
            }
            if self.lanes.iter().all(|lane| !lane.is_open) {
                return self.stand_by(now_ns);
            }
            self.order(Effect::StopServing);
            self.start_over(StartOver::Deposed);
        }
    }

    /// The register is ours: nothing is appended, answered or led before that is written down.
    pub(crate) fn promise(&mut self, epoch: Epoch) {
        self.state = State::Taking(Taking { epoch, step: Step::Promising });
        self.keep(epoch);
        self.on_taken();
    }

    /// Leads once the promise is durable.
    pub(crate) fn on_taken(&mut self) {
        if let State::Taking(Taking { epoch, step: Step::Promising }) = self.state
            && self.kept.promised >= epoch
        {
            self.state = State::Taking(Taking { epoch, step: Step::Leading });
            self.order(Effect::Lead { epoch });
        }
    }

    /// The lanes are open in the new epoch: clients may be served.
    pub(crate) fn on_led(&mut self, now_ns: u64, ends: &[u64]) {
        let State::Taking(Taking { epoch, step: Step::Leading }) = self.state else { return };
        assert!(ends.len() == self.lanes.len(), "{} ends of {} lanes", ends.len(), self.lanes.len());
        for (lane, end) in self.lanes.iter_mut().zip(ends) {
            (lane.end.sequence, lane.durable, lane.is_open) = (*end, *end, true);
        }
        self.state = State::Primary(Primary::new(now_ns, epoch, ends, &self.settings));
        self.order(Effect::Serve { epoch });
        if !self.depose_unless_primary(epoch) {
            self.settle();
        }
    }
}
