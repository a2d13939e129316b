//! The standby: follows what it can prove, acknowledges what is durable, and makes itself primary when it may.
//!
//! A lane follows in one epoch, the promised one. It begins with a Welcome whose verdict says that the lane's log is a
//! beginning of the primary's, and grows by appends of that epoch that fit its end by their chain; so an acknowledgement in
//! an epoch says that everything below is in both logs.

use crate::event::{Close, Effect, Halt, Note, Outbound, StartOver};
use crate::message::{Ack, End, Envelope, Refusal, Verdict};
use crate::register::{Mode, Register};
use crate::shard::{Shard, State};
use headworks_format::{Chain, Epoch};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Standby {
    links: Vec<Link>,
    /// When the primary was heard last, on any lane.
    heard_ns: u64,
    /// Whether to make itself primary at the next look at the register.
    bids: bool,
    /// The epoch that it has tried to take.
    asked: Option<Epoch>,
    /// The node that an operator says is fenced.
    pub fenced: Option<u128>,
}

/// A lane's connection to the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Link {
    /// Whether it is there.
    up: bool,
    /// The epoch in which the lane follows.
    follows: Option<Epoch>,
    /// A Welcome that waits for its epoch to be promised durably.
    waiting: Option<Welcomed>,
    /// When something came on it last, while it follows. Each lane has its own: one whose other end is gone, and which has nothing to
    /// send that would find it out, must not live by what the others hear.
    heard_ns: u64,
}

/// What the primary has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Welcomed {
    pub epoch: Epoch,
    pub judged: End,
    pub verdict: Verdict,
    pub own: Option<Chain>,
    /// The newest register that the primary knows.
    pub register_version: u64,
}

impl Standby {
    /// Whether every lane follows.
    pub(crate) fn is_following(&self) -> bool {
        self.links.iter().all(|link| link.follows.is_some())
    }
}

impl Shard {
    pub(crate) fn stand_by(&mut self, now_ns: u64) {
        let links = vec![Link::default(); self.lanes.len()];
        self.state = State::Standby(Standby { links, heard_ns: now_ns, bids: false, asked: None, fenced: None });
    }

    fn standby(&mut self) -> Option<&mut Standby> {
        match &mut self.state {
            State::Standby(standby) => Some(standby),
            _ => None,
        }
    }

    fn link(&mut self, lane: u32) -> Option<&mut Link> {
        self.standby().map(|standby| &mut standby.links[lane as usize])
    }

    /// The epoch in which a lane follows, 0 while it asks; none when its connection is not there.
    #[cfg(test)]
    pub(crate) fn asks_or_follows(&self, lane: u32) -> Option<Epoch> {
        let State::Standby(standby) = &self.state else { return None };
        let link = standby.links[lane as usize];
        link.up.then(|| link.follows.unwrap_or_default())
    }

    /// Whether a lane waits for a promise to be durable. What comes on its connection until then is left there: it could neither be
    /// answered nor taken.
    #[must_use]
    pub fn is_promising(&self, lane: u32) -> bool {
        matches!(&self.state, State::Standby(standby) if standby.links[lane as usize].waiting.is_some())
    }

    /// The epoch in which a lane follows.
    fn follows(&mut self, lane: u32) -> Option<Epoch> {
        self.link(lane).and_then(|link| link.follows)
    }

    pub(crate) fn on_link_up(&mut self, lane: u32) {
        let Some(link) = self.link(lane) else { return self.close(lane, Close::Unexpected) };
        *link = Link { up: true, ..Link::default() };
        self.send(lane, Outbound::Hello);
    }

    pub(crate) fn on_link_lost(&mut self, lane: u32, reset: bool) {
        match &mut self.state {
            State::Standby(standby) => {
                let link = &mut standby.links[lane as usize];
                let followed = link.follows.is_some();
                *link = Link::default();
                if reset && followed {
                    self.bid();
                }
            }
            State::Primary(_) => self.on_peer_lost(lane),
            _ => {}
        }
    }

    /// Closes the lane's connection; it is dialled again.
    fn unlink(&mut self, lane: u32, why: Close) {
        if let Some(link) = self.link(lane) {
            *link = Link::default();
        }
        self.close(lane, why);
    }

    /// Rule 1: whether a message of that epoch may be taken; what is older is answered with what was promised.
    fn is_current(&mut self, lane: u32, epoch: Epoch) -> bool {
        if epoch >= self.kept.promised || !self.rules.promise() {
            return true;
        }
        let promised = self.kept.promised;
        self.send(lane, Outbound::Nack { promised });
        self.unlink(lane, Close::OldEpoch);
        false
    }

    pub(crate) fn on_welcome(&mut self, now_ns: u64, lane: u32, welcome: Welcomed) {
        let epoch = welcome.epoch;
        // Only who has asked and was not answered yet is told anything.
        if self.link(lane).is_none_or(|link| !link.up || link.follows.is_some()) {
            return;
        }
        if let Verdict::Refuse(why) = welcome.verdict {
            return self.on_refused(lane, why);
        }
        if !self.is_current(lane, epoch) {
            return;
        }
        if epoch <= self.kept.promised {
            return self.heed(now_ns, lane, welcome);
        }
        self.keep(epoch.max(self.keeping.promised));
        if self.rules.promise_first() {
            if let Some(link) = self.link(lane) {
                link.waiting = Some(welcome);
            }
        } else {
            self.kept.promised = epoch;
            self.heed(now_ns, lane, welcome);
        }
    }

    fn on_refused(&mut self, lane: u32, why: Refusal) {
        match why {
            Refusal::OtherPair => self.halt(Halt::OtherPair),
            Refusal::Unequal => self.halt(Halt::Unequal),
            Refusal::NothingInCommon => self.halt(Halt::NothingInCommon { lane }),
            Refusal::NotPrimary | Refusal::Protocol | Refusal::Promised => self.unlink(lane, Close::Refused),
        }
    }

    /// A promise is durable: what waited for it goes on.
    pub(crate) fn on_promised(&mut self, now_ns: u64) {
        for lane in 0..self.settings.lanes {
            let promised = self.kept.promised;
            let waiting = self.link(lane).and_then(|link| link.waiting.take_if(|waiting| waiting.epoch <= promised));
            match waiting {
                Some(waiting) if waiting.epoch == promised => self.heed(now_ns, lane, waiting),
                Some(_) => self.unlink(lane, Close::OldEpoch),
                None => {}
            }
        }
    }

    /// Does what the primary's verdict on a lane says, if this node's own log agrees.
    fn heed(&mut self, now_ns: u64, lane: u32, welcome: Welcomed) {
        self.hear(now_ns, lane);
        if let Some(standby) = self.standby() {
            // Who answers is not fenced, whatever was said of it before.
            standby.fenced = None;
        }
        // The log has moved since it asked: what was said of it does not hold any more.
        if welcome.judged != self.lane(lane).end {
            return self.unlink(lane, Close::Unfitting);
        }
        match welcome.verdict {
            Verdict::Follow { from } if from == welcome.judged => self.follow(lane, welcome.epoch),
            Verdict::Truncate { to } => self.cut(lane, to, welcome.own),
            Verdict::Restart { from, shared } => self.restart(lane, from, shared, welcome.register_version),
            Verdict::Follow { .. } | Verdict::Refuse(_) => self.unlink(lane, Close::Unfitting),
        }
    }

    fn follow(&mut self, lane: u32, epoch: Epoch) {
        if let Some(link) = self.link(lane) {
            link.follows = Some(epoch);
        }
        let here = &mut self.lanes[lane as usize];
        if !here.is_open {
            here.is_open = true;
            self.order(Effect::Open { lane });
        }
        self.acknowledge(lane);
    }

    /// Rule 10: a log is cut at the last common point, proved by the chain, never below what is committed.
    fn cut(&mut self, lane: u32, to: End, own: Option<Chain>) {
        let here = *self.lane(lane);
        if to.sequence >= here.end.sequence {
            return self.unlink(lane, Close::Unfitting);
        }
        if to.sequence < here.committed {
            return self.halt(Halt::CutBelowCommitted { lane, to: to.sequence, committed: here.committed });
        }
        // Of an open log the block there may not be written yet, and cannot be compared: the start does it.
        if here.is_open {
            return self.start_over(StartOver::Rejoin);
        }
        if own != Some(to.chain) {
            return self.halt(Halt::NothingInCommon { lane });
        }
        self.order(Effect::Cut { lane, to });
    }

    /// What the lane lacks is gone at the primary: it begins anew, which no member in sync ever has to. That this node is in sync may be
    /// what it believes yet: a primary that knows a newer register may have gone on without it.
    fn restart(&mut self, lane: u32, from: End, shared: u64, register_version: u64) {
        let me = self.settings.me;
        if self.tracker.known().is_some_and(|register| register.in_sync(me)) {
            if register_version <= self.tracker.version_max() {
                return self.halt(Halt::RestartInSync { lane });
            }
            self.read_register();
            return self.unlink(lane, Close::Refused);
        }
        if self.lane(lane).is_open {
            return self.start_over(StartOver::Rejoin);
        }
        // What is committed is in every log that leads.
        let shared = shared.max(self.lane(lane).committed);
        self.order(Effect::Restart { lane, from, shared });
    }

    pub(crate) fn on_lane_cut(&mut self, lane: u32, end: End) {
        let here = &mut self.lanes[lane as usize];
        assert!(!here.is_open, "lane {lane} was cut to {} while it was open", end.sequence);
        // A log that begins anew behind its end holds nothing that it could have known to be committed.
        let committed = if end.sequence > here.end.sequence { 0 } else { here.committed };
        (here.end, here.durable, here.committed) = (end, end.sequence, committed);
        if self.link(lane).is_some_and(|link| link.up) {
            self.send(lane, Outbound::Hello);
        }
    }

    /// Rule 2: a block is taken if it is of the epoch that is followed and fits the end of the log, or is there already. An
    /// append never truncates.
    pub(crate) fn on_append(&mut self, now_ns: u64, envelope: &Envelope, present: bool) {
        let lane = envelope.lane;
        let Some(follows) = self.follows(lane) else { return };
        if !self.is_current(lane, envelope.epoch) {
            return;
        }
        if envelope.epoch != follows && self.rules.promise() {
            return self.unlink(lane, Close::Unfitting);
        }
        let here = self.lane(lane).end;
        let fits = envelope.sequence == here.sequence && envelope.previous == here.chain;
        // Without rule 2 an append that comes late cuts what came after it.
        let overwrites = !self.rules.append() && envelope.sequence <= here.sequence;
        if fits || overwrites {
            let end = End { sequence: envelope.sequence + 1, chain: envelope.chain };
            self.lanes[lane as usize].end = end;
            self.order(Effect::Accept { lane, sequence: envelope.sequence });
        } else if !(present && envelope.sequence < here.sequence) {
            return self.unlink(lane, Close::Unfitting);
        }
        self.hear(now_ns, lane);
        self.raise_committed(lane, envelope.committed);
        self.acknowledge(lane);
    }

    /// What the primary says is committed is committed here as well, as far as the log goes.
    fn raise_committed(&mut self, lane: u32, committed: u64) {
        let here = &mut self.lanes[lane as usize];
        let through = committed.min(here.end.sequence);
        if through > here.committed {
            here.committed = through;
            self.order(Effect::Gate { lane, through, serial: 0 });
        }
    }

    /// Rule 3: says what is durable, and apart from it what is only received.
    pub(crate) fn acknowledge(&mut self, lane: u32) {
        let Some(followed) = self.follows(lane) else { return };
        // Without rule 1 what came from an old epoch is acknowledged in the promised one.
        let epoch = if self.rules.promise() { followed } else { self.kept.promised };
        if epoch != self.kept.promised {
            return;
        }
        let here = self.lane(lane);
        let received = here.end.sequence;
        let durable = if self.rules.ack() { here.durable.min(received) } else { received };
        let ack = Ack { epoch, member: self.settings.me, lane, received, durable };
        self.send(lane, Outbound::Ack(ack));
    }

    pub(crate) fn on_heartbeat(&mut self, now_ns: u64, lane: u32, epoch: Epoch, committed: &[u64]) {
        if self.link(lane).is_none_or(|link| !link.up) || !self.is_current(lane, epoch) {
            return;
        }
        if self.follows(lane) != Some(epoch) {
            return;
        }
        self.hear(now_ns, lane);
        for (lane, committed) in (0..self.settings.lanes).zip(committed) {
            if self.follows(lane) == Some(epoch) {
                self.raise_committed(lane, *committed);
            }
        }
        self.send(lane, Outbound::HeartbeatAck { epoch });
        self.see_whether_repaired(committed);
    }

    /// Rule 13, the way back: a disk that has failed is repaired once this node follows on every lane, is in sync by the register, and has
    /// durable, since that failure, all that the primary says is committed.
    fn see_whether_repaired(&mut self, committed: &[u64]) {
        let State::Standby(standby) = &self.state else { return };
        let in_sync = self.tracker.known().is_some_and(|register| register.in_sync(self.settings.me));
        let holds_all = self.lanes.iter().zip(committed).all(|(lane, committed)| lane.durable >= *committed);
        if self.keeping.needs_repair && standby.is_following() && in_sync && holds_all {
            self.keeping.needs_repair = false;
            self.order(Effect::Persist(self.keeping));
            self.note(Note::Repaired);
        }
    }

    /// The primary has stopped: whoever has everything that it had takes over at once.
    pub(crate) fn on_switch(&mut self, epoch: Epoch, ends: &[u64]) {
        let State::Standby(standby) = &self.state else { return };
        let complete = |(lane, (link, end)): (&crate::shard::Lane, (&Link, &u64))| {
            link.follows == Some(epoch) && lane.end.sequence >= *end && lane.durable >= *end
        };
        let everything = ends.len() == self.lanes.len() && self.lanes.iter().zip(standby.links.iter().zip(ends)).all(complete);
        if everything && epoch == self.kept.promised {
            self.bid();
        }
    }

    pub(crate) fn tick_standby(&mut self, now_ns: u64) {
        let patience = self.settings.detect_ns.saturating_add(self.settings.holdoff_ns);
        let is_silent = |heard_ns: u64| now_ns.saturating_sub(heard_ns) >= patience;
        // A connection over which nothing came would not bring anything for seconds after the network has healed: what was lost is sent
        // again at intervals that double. A new one begins at once.
        // Who has only asked is left its connection: an answer may take longer than a heartbeat.
        for lane in 0..self.settings.lanes {
            if self.link(lane).is_some_and(|link| link.follows.is_some() && is_silent(link.heard_ns)) {
                self.unlink(lane, Close::Silent);
            }
        }
        let Some(standby) = self.standby().filter(|standby| is_silent(standby.heard_ns)) else { return };
        standby.heard_ns = now_ns;
        self.bid();
    }

    /// The primary was heard on that lane.
    fn hear(&mut self, now_ns: u64, lane: u32) {
        if let Some(standby) = self.standby() {
            (standby.heard_ns, standby.links[lane as usize].heard_ns) = (now_ns, now_ns);
        }
    }

    /// What has come on that lane waits for this node's own log, and what came behind it, heartbeats too, cannot be seen: that nothing
    /// is heard says nothing of the primary then.
    pub(crate) fn on_held_back(&mut self, now_ns: u64, lane: u32) {
        if self.follows(lane).is_some() {
            self.hear(now_ns, lane);
        }
    }

    /// Wants to be primary: looks at the register first.
    pub(crate) fn bid(&mut self) {
        if let Some(standby) = self.standby() {
            standby.bids = true;
            self.read_register();
        }
    }

    /// Rule 6: who makes itself primary is in sync, with this very disk and no fault of it, and nobody has forbidden it.
    pub(crate) fn standby_sees(&mut self) {
        let State::Standby(standby) = &mut self.state else { return };
        let bids = core::mem::take(&mut standby.bids);
        let Some(register) = self.tracker.known().copied() else { return };
        if register.primary == self.settings.me {
            return if self.kept.needs_repair { self.heed_word_of_disk(bids, &register) } else { self.was_made_primary(register) };
        }
        if !bids || self.tracker.swaps() {
            return;
        }
        // A word is good for one look: what becomes of it is known then, and a later loss needs another.
        let fenced = self.standby().and_then(|standby| standby.fenced.take());
        if !self.may_lead(&register, fenced) {
            let waits = by_hand(register.mode) && fenced.is_none() && register.in_sync(self.settings.me) && !self.kept.needs_repair;
            return self.note(if waits { Note::AwaitsOperator } else { Note::MayNotLead });
        }
        if !self.tracker.is_settled() {
            return;
        }
        let Some(epoch) = self.next_epoch(&register) else { return self.halt(Halt::EpochsEnd) };
        let mode = if by_hand(register.mode) { Mode::Vouched } else { register.mode };
        // While the swap is under way this node goes on to follow: what it takes meanwhile is before the new epoch.
        let effect = self.tracker.swap(Register { epoch, primary: self.settings.me, standby: None, mode, ..register });
        self.order(effect);
        if let Some(standby) = self.standby() {
            standby.asked = Some(epoch);
        }
        // If it was an operator's word that let it lead: written down with the promise of the epoch.
        self.keeping.needs_repair = false;
    }

    /// The register names this node, whose disk has failed: only an operator's word makes it lead, since nobody else has what it has.
    fn heed_word_of_disk(&mut self, bids: bool, register: &Register) {
        let Some(standby) = self.standby().filter(|_| bids) else { return };
        if standby.fenced.take().is_none() {
            return self.note(Note::MayNotLead);
        }
        self.keeping.needs_repair = false;
        self.close_all(Close::NewEpoch);
        self.take_again(register);
    }

    fn may_lead(&self, register: &Register, fenced: Option<u128>) -> bool {
        let in_sync = register.in_sync(self.settings.me) || !self.rules.promote();
        let is_told = fenced == Some(register.primary.node) || !self.rules.word();
        let allowed = register.mode == Mode::Auto || (by_hand(register.mode) && is_told);
        in_sync && allowed && (!self.kept.needs_repair || fenced == Some(register.primary.node))
    }

    /// The register names this node: by the swap that it made just now, or by one of an earlier life that landed late.
    fn was_made_primary(&mut self, register: Register) {
        let asked = self.standby().and_then(|standby| standby.asked);
        if asked == Some(register.epoch) {
            self.close_all(Close::NewEpoch);
            self.promise(register.epoch);
        } else if self.tracker.is_settled() {
            self.close_all(Close::NewEpoch);
            self.take(register);
        }
    }

    /// The arbiter did not answer: whoever wanted to lead tries again when the patience is over once more.
    pub(crate) fn on_unreachable(&mut self) {
        if let Some(standby) = self.standby() {
            (standby.bids, standby.fenced) = (false, None);
        }
    }
}

/// Whether an operator decides, by the register.
pub(crate) fn by_hand(mode: Mode) -> bool {
    matches!(mode, Mode::Manual | Mode::Vouched)
}
