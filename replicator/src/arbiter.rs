//! What this node knows of the register, and what it cannot know: the tracking of reads and swaps.
//!
//! One read or swap is under way at a time. A swap that ended without an answer is *unknown*: it may have landed, and may
//! still land as long as the register has the version that it expects. Reading that version proves nothing. It is known
//! again when a higher version is seen, or when the same swap, sent again, was answered. Until then both registers are
//! possible, and the stricter set counts: who is in sync in any of them is waited for.
//!
//! ```text
//! known v ──swap──► under way ──Swapped──► known v+1
//!                      │  └─Refused──────► known what was found: the swap itself (landed) or another's (lost)
//!                      └─no answer──► unknown ──read v+1…, or the same swap answered──► known
//! ```
//!
//! It refuses a register that goes back: a version below one that was seen, a blank one, another content of a version that is
//! known, or another arbiter than before freezes it, and nothing is swapped any more. That ends when the arbiter that is known
//! answers with a version that is not below any seen: what was put aside is there again.

use crate::event::{Effect, Freeze, Kept, Read, SwapEnd};
use crate::register::{Member, Register, Swap, version_of};
use crate::rules::Rules;

/// What is under way at the arbiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Busy {
    Idle,
    Reading,
    Swapping(Swap),
}

/// How a swap ended, as far as this node can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Ended {
    /// The register is the one asked for.
    Landed,
    /// Somebody else was first.
    Lost,
    /// Nobody knows.
    Unknown,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tracker {
    pub rules: Rules,
    known: Option<Register>,
    /// Whether anything was read in this life of the process.
    was_read: bool,
    version_max: u64,
    arbiter: u128,
    busy: Busy,
    unknown: Option<Swap>,
    frozen: Option<Freeze>,
    is_contested: bool,
    /// Whether it was answered last time.
    answers: bool,
}

impl Tracker {
    pub(crate) fn new(rules: Rules, kept: &Kept) -> Tracker {
        Tracker {
            rules,
            known: None,
            was_read: false,
            version_max: kept.register_version,
            arbiter: kept.arbiter,
            busy: Busy::Idle,
            unknown: None,
            frozen: None,
            is_contested: false,
            answers: false,
        }
    }

    /// The register with the highest version seen in this life; none when it is blank or was not read.
    pub(crate) fn known(&self) -> Option<&Register> {
        self.known.as_ref()
    }

    /// Whether the register was read, and is blank.
    pub(crate) fn is_blank(&self) -> bool {
        self.was_read && self.known.is_none()
    }

    pub(crate) fn frozen(&self) -> Option<Freeze> {
        self.frozen.or(self.is_contested.then_some(Freeze::Contested))
    }

    pub(crate) fn arbiter(&self) -> u128 {
        self.arbiter
    }

    pub(crate) fn version_max(&self) -> u64 {
        self.version_max
    }

    /// Whether a swap may be begun: nothing is under way or unknown, and the register is trusted.
    pub(crate) fn is_settled(&self) -> bool {
        self.busy == Busy::Idle && self.unknown.is_none() && self.frozen().is_none() && self.was_read
    }

    /// Whether the register is known and trusted, and nothing of this node is about to change it; it may be asked for just now.
    pub(crate) fn is_known(&self) -> bool {
        !self.swaps() && self.frozen().is_none() && self.was_read
    }

    /// Whether what is asked now is likely to be answered: the last question was.
    pub(crate) fn answers(&self) -> bool {
        self.answers
    }

    /// Whether a swap is under way or unknown.
    pub(crate) fn swaps(&self) -> bool {
        self.pending().is_some()
    }

    fn pending(&self) -> Option<Swap> {
        match self.busy {
            Busy::Swapping(swap) => Some(swap),
            _ => self.unknown,
        }
    }

    /// Everybody who is the other member in sync in a register that may be the present one.
    pub(crate) fn standbys(&self) -> impl Iterator<Item = Member> {
        let pending = self.pending().map(|swap| swap.register);
        // Without rule 5 a shrink counts from the moment it is asked for.
        let known = if self.rules.shrink() || pending.is_none() { self.known } else { None };
        known.into_iter().chain(pending).filter_map(|register| register.standby)
    }

    /// Orders a read, if nothing is under way.
    pub(crate) fn read(&mut self) -> Option<Effect> {
        if self.busy != Busy::Idle {
            return None;
        }
        self.busy = Busy::Reading;
        Some(Effect::Read)
    }

    /// Orders a swap from the known register to this one.
    pub(crate) fn swap(&mut self, register: Register) -> Effect {
        assert!(self.is_settled(), "a swap to {register:?} while {:?}, {:?} unknown, {:?}", self.busy, self.unknown, self.frozen);
        self.order(Swap::from(self.known.as_ref(), register))
    }

    /// Orders the unknown swap again, if there is one and nothing is under way.
    pub(crate) fn retry(&mut self) -> Option<Effect> {
        let swap = self.unknown.filter(|_| self.busy == Busy::Idle && self.frozen.is_none())?;
        Some(self.order(swap))
    }

    fn order(&mut self, swap: Swap) -> Effect {
        self.busy = Busy::Swapping(swap);
        Effect::Swap(swap)
    }

    /// A read has ended. An answer that arrives when none is due is dropped.
    ///
    /// # Errors
    /// The register is not trusted any more; said once.
    pub(crate) fn on_read(&mut self, read: Read) -> Result<(), Freeze> {
        if self.busy != Busy::Reading {
            return Ok(());
        }
        self.busy = Busy::Idle;
        self.answers = false;
        let Read::Found { arbiter, register } = read else { return Ok(()) };
        if self.arbiter != 0 && arbiter != self.arbiter {
            return self.freeze(Freeze::OtherArbiter);
        }
        (self.arbiter, self.answers) = (arbiter, true);
        self.see(register)
    }

    /// A swap has ended.
    ///
    /// # Errors
    /// As [`Tracker::on_read`].
    pub(crate) fn on_swap_ended(&mut self, end: SwapEnd) -> Result<Ended, Freeze> {
        let Busy::Swapping(swap) = self.busy else { return Ok(Ended::Unknown) };
        self.busy = Busy::Idle;
        self.answers = end != SwapEnd::Unknown;
        match end {
            SwapEnd::Swapped => {
                self.see(Some(swap.register))?;
                Ok(Ended::Landed)
            }
            // An arbiter that refuses the very version it holds has not understood: nothing is known.
            SwapEnd::Refused(found) if version_of(found.as_ref()) != swap.expected => {
                self.see(found)?;
                Ok(if found == Some(swap.register) { Ended::Landed } else { Ended::Lost })
            }
            SwapEnd::Refused(_) | SwapEnd::Unknown => {
                self.unknown = Some(swap);
                Ok(Ended::Unknown)
            }
        }
    }

    fn see(&mut self, found: Option<Register>) -> Result<(), Freeze> {
        let version = version_of(found.as_ref());
        // A version has one content. Another one says that the arbiter went back and came as far by another way.
        let is_another = self.known.is_some() && version == version_of(self.known.as_ref()) && found != self.known;
        if version < self.version_max || is_another {
            return self.freeze(Freeze::Regressed { seen: self.version_max, found: version });
        }
        (self.version_max, self.frozen) = (version, None);
        (self.known, self.was_read) = (found, true);
        // Without the second half of rule 5 a look at the old version is taken for the swap's end.
        if self.unknown.is_some_and(|swap| swap.expected < version || !self.rules.unknown()) {
            self.unknown = None;
        }
        Ok(())
    }

    /// The other node's register contradicts this one, which no look at this one can settle: nothing is swapped any more in this life.
    pub(crate) fn contest(&mut self) {
        self.is_contested = true;
    }

    fn freeze(&mut self, why: Freeze) -> Result<(), Freeze> {
        if self.frozen.is_some() {
            return Ok(());
        }
        self.frozen = Some(why);
        Err(why)
    }
}

#[cfg(test)]
mod tests;
