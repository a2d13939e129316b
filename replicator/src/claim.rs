//! What the other node says of its own register, where an operator is the arbiter and each node keeps one.
//!
//! A swap of one's own register is one's word to oneself: it keeps that word through a crash, and cannot settle who of two is right. What
//! settles it is who waits for whom. A primary that requires the other node commits nothing without it, so it may always yield; one that
//! does not require it, since an operator has vouched for that, has records that the other lacks, and never does.
//!
//! ```text
//! the other leads, and …                                          this node
//!   …is who this node follows, in this epoch or a later one         takes the other's register over
//!   …in a lower epoch than this one                                 nothing: the other is told, and does what has to be done
//!   …this node leads too, requires the other, is not required       yields: takes it over, and starts over deposed
//!   …this node leads too, is required, does not require             takes an epoch above the other's, so that the other can yield
//!   …this node leads too, and neither requires the other            freezes: two operator's words, two histories
//! ```
//!
//! Epochs of the two never meet: a node takes odd ones or even ones, which of them the register says by who leads in its epoch. So
//! whoever has acknowledged an epoch has acknowledged one node, though no arbiter has counted them.
//!
//! It refuses what one word too many would bring: two nodes that have both gone on without the other are frozen where the later one is seen.

use crate::event::{Freeze, Note, Outbound};
use crate::register::{Member, Mode, Register};
use crate::shard::{Shard, State};
use headworks_format::Epoch;

/// What the other node has said of itself; none when its register was never written.
pub(crate) type Claim = Option<(Member, Register)>;

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// Nothing.
    Stands,
    /// The other's register becomes this node's.
    TakesOver(Register),
    /// This node's next epoch has to lie above.
    Outbid(Epoch),
    /// Two nodes lead, each by an operator's word.
    Contested,
}

impl Shard {
    /// Whether an operator is the arbiter.
    pub(crate) fn is_manual(&self) -> bool {
        self.settings.mode == Mode::Manual
    }

    pub(crate) fn on_claim(&mut self, now_ns: u64, claim: Claim) {
        if !self.is_manual() {
            return;
        }
        if let Some(halt) = claim.and_then(|(_, register)| self.foreign(&register)) {
            // Who knows its own pair is not moved by a stranger.
            if self.tracker.known().is_none() {
                self.halt(halt);
            }
            return;
        }
        self.claim = Some(claim);
        if self.tracker.is_settled() {
            self.on_register(now_ns, Ok(()));
        }
    }

    /// Judges what the other node has said last, as soon as the register can be changed.
    pub(crate) fn heed_claim(&mut self) {
        if !self.tracker.is_settled() || matches!(self.state, State::Ended) {
            return;
        }
        let Some(claim) = self.claim.take() else { return };
        self.was_answered = true;
        match self.judge(claim) {
            Judged::Stands => {}
            Judged::TakesOver(register) => {
                let effect = self.tracker.swap(register);
                self.order(effect);
            }
            Judged::Outbid(epoch) => self.keep(epoch.max(self.keeping.promised)),
            Judged::Contested => {
                self.tracker.contest();
                self.note(Note::Frozen(Freeze::Contested));
            }
        }
    }

    fn judge(&self, claim: Claim) -> Judged {
        let me = self.settings.me;
        // Who does not lead by its own register says nothing that another could go by.
        let Some((from, theirs)) = claim.filter(|(from, theirs)| theirs.primary == *from && *from != me) else { return Judged::Stands };
        let Some(own) = self.tracker.known() else { return Judged::TakesOver(theirs) };
        if own.primary != me {
            let differs = Register { version: own.version, ..theirs } != *own;
            let is_news = theirs.epoch > own.epoch || (own.primary == from && theirs.epoch == own.epoch && differs);
            return if is_news { Judged::TakesOver(theirs) } else { Judged::Stands };
        }
        let is_higher = theirs.epoch > own.epoch;
        match (own.standby == Some(from), theirs.standby == Some(me)) {
            // The other node sees this one's higher epoch, and does what has to be done.
            _ if !is_higher => Judged::Stands,
            (true, false) => Judged::TakesOver(theirs),
            (false, true) => Judged::Outbid(theirs.epoch),
            (true, true) | (false, false) => Judged::Contested,
        }
    }

    /// Whether who led before waits for the other node to say whether it leads now. If it does not answer, this node leads: it requires
    /// the other, so it takes packets in and commits none.
    pub(crate) fn waits_for_claim(&mut self, now_ns: u64, register: &Register) -> bool {
        let since_ns = *self.began_ns.get_or_insert(now_ns);
        let patience_ns = self.settings.detect_ns.saturating_add(self.settings.holdoff_ns);
        self.is_manual() && register.standby.is_some() && !self.was_answered && now_ns.saturating_sub(since_ns) < patience_ns
    }

    /// A promise above the epoch in which this node leads: it has to lead in a higher one, or not at all.
    pub(crate) fn is_outbid(&self) -> bool {
        matches!(&self.state, State::Primary(primary) if self.kept.promised > primary.epoch)
    }

    /// A primary's register has changed: who follows takes that over.
    pub(crate) fn claim_if_followed(&mut self) {
        let followed = if let State::Primary(primary) = &self.state { primary.lanes_up().next() } else { None };
        if let Some(lane) = followed {
            self.claim_on(lane);
        }
    }

    /// A primary says what its register holds, on one lane.
    pub(crate) fn claim_on(&mut self, lane: u32) {
        if self.is_manual() {
            self.send(lane, Outbound::Claim);
        }
    }
}
