//! The machine that a node of a pair runs: told what happens, it orders what to do. One shard is all lanes of a node.
//!
//! # How to drive it
//!
//! One thread owns it. For everything that happens: [`Shard::on`] with the time and an [`Event`], then take every [`Effect`]
//! from [`Shard::effect`] and carry them out *in that order*. A [`Event::Tick`] is due every half heartbeat. Time is any clock
//! that does not go back; it decides when to try something, never what is safe.
//!
//! ```text
//! start        recover lanes (closed) ─► Shard::new ─► Tick ─► Read ─► RegisterRead ┬─► Swap, Persist, Lead, Serve    this node leads
//!                                                                                   └─► role() is Standby: dial
//! standby      LinkUp ─► Send Hello ─► Welcome ┬─ Follow ───► Open, Accept …, Send Ack
//!                                              └─ Truncate ─► Cut │ Restart ─► LaneCut ─► Send Hello   (log closed)
//!                                                             StartOver(Rejoin)                        (log open)
//! primary      Hello (with rejoin::verdict) ─► Send Welcome ─► Ship ─► Ack ─► Gate
//! failover     LinkLost │ silence │ Switch ─► Read ─► Swap ─► Persist ─► Lead ─► Led ─► Serve
//! by hand      Claim ─► Swap (the other's register is taken over) ─► as if an arbiter had said so: see `claim`
//! deposed      StopServing, CloseLink …, StartOver(Deposed); nothing is ordered after that
//! ```
//!
//! # What the edge promises
//!
//! * `Read` and `Swap` are each answered once; a swap that timed out with [`SwapEnd::Unknown`], and its late answer is dropped.
//! * `Persist` is one superblock write; [`Event::Persisted`] repeats what was written.
//! * [`Event::Append`] comes only with a block that proves itself: its own sums, its number, and the chain of its envelope.
//! * `LinkUp` is told of when the lane's log has taken every block that was accepted: a Hello says where it ends, and by which epochs.
//! * What comes on a lane's connection is left there while [`Shard::is_promising`].
//! * A standby's `LaneMoved.durable` counts what an fdatasync covers that began after the write had ended.
//! * `Gate` is an atomic that the log loop reads before each commit: committed = max(committed, min(durable, gate)). It begins
//!   at 0. A gate that has a serial number was lowered: [`Event::GateSeen`] says that no commit by the old one can come any more.
//! * After `StartOver` or `Halt` nothing is told and nothing ordered: [`Shard::role`] is [`Role::Ended`].
//! * Payload bytes never come here: `Ship` says from where on the edge sends blocks, `Accept` which one it appends.
//!
//! # Levels
//!
//! `disk` is the lane's own durable; `peer-disk` is committed; `peer-memory` is min(own written, `PeerReceived`). While this node is
//! alone both peer levels are `disk`, which [`Note::Alone`] says once, and [`Note::Paired`] ends.

use crate::arbiter::{Ended, Tracker};
use crate::claim::Claim;
use crate::event::{Close, Effect, Event, Freeze, Halt, Kept, Note, Order, Outbound, Read, StartOver, SwapEnd};
use crate::message::End;
use crate::primary::Primary;
use crate::register::{Member, Mode, Register};
use crate::rules::Rules;
use crate::standby::{Standby, Welcomed};
use crate::taking::Taking;
use headworks_format::superblock::LANES_MAX;
use headworks_format::{Epoch, PairId};
use std::collections::VecDeque;

/// Effects of one event at most: a few for each lane.
pub const EFFECTS_MAX: usize = 8 * LANES_MAX + 16;

/// What does not change while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Settings {
    /// This node and its disk.
    pub me: Member,
    /// The pair.
    pub pair: PairId,
    /// Lanes of each node.
    pub lanes: u32,
    /// Size of a segment on each node.
    pub segment_bytes: u64,
    /// What a register begins with that was never written.
    pub mode: Mode,
    /// Whether a primary whose standby is gone goes on alone (`min_in_sync = 1`), or waits for it (2). In manual mode it waits
    /// in any case, and goes on alone when an operator says so.
    pub may_run_alone: bool,
    /// How often a sign of life is sent.
    pub heartbeat_ns: u64,
    /// After how long a silence the other node counts as gone.
    pub detect_ns: u64,
    /// How much longer a standby waits, so that a primary that lives drops it first: 2 × `detect_ns`.
    pub holdoff_ns: u64,
    /// How often the register is looked at, and an unknown swap sent again.
    pub poll_ns: u64,
    /// How long a planned handover may take before it is taken back.
    pub handover_ns: u64,
    /// How long after one handover for a slow disk no other is tried.
    pub handover_pause_ns: u64,
    /// How many blocks a learner may lack when its acknowledgements begin to be required.
    pub catch_up_blocks: u64,
}

/// A lane's log, as the machine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lane {
    /// Where it ends. On a primary the number alone is kept up.
    pub end: End,
    /// Every block below is durable.
    pub durable: u64,
    /// Every block below is known to be committed.
    pub committed: u64,
    /// Whether it is open, and so cannot be cut.
    pub is_open: bool,
}

/// What this node is in its pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It does not know the register yet.
    Starting,
    /// It follows, or tries to. The edge dials the other node.
    Standby,
    /// It is becoming primary.
    Taking(Epoch),
    /// It leads in this epoch.
    Primary(Epoch),
    /// It does nothing any more: start over, or halted.
    Ended,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Starting,
    Standby(Standby),
    Taking(Taking),
    Primary(Primary),
    Ended,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shard {
    pub(crate) settings: Settings,
    pub(crate) rules: Rules,
    pub(crate) tracker: Tracker,
    pub(crate) state: State,
    pub(crate) lanes: Vec<Lane>,
    /// What is durable in the superblock.
    pub(crate) kept: Kept,
    /// What was ordered to be written there last.
    pub(crate) keeping: Kept,
    pub(crate) poll_due_ns: u64,
    /// What the other node has said of its own register, not heeded yet.
    pub(crate) claim: Option<Claim>,
    /// Whether it has ever said anything of it.
    pub(crate) was_answered: bool,
    /// When a node that led before began to wait for that.
    pub(crate) began_ns: Option<u64>,
    effects: VecDeque<Effect>,
}

impl Shard {
    /// A machine for a process that has just started. `lanes` are as recovery left them, closed.
    ///
    /// Panics when their number is not the settings'.
    #[must_use]
    pub fn new(settings: Settings, kept: Kept, lanes: Vec<Lane>) -> Shard {
        Shard::with_rules(settings, kept, lanes, Rules::ALL)
    }

    /// As [`Shard::new`], without a rule.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn mutant(settings: Settings, kept: Kept, lanes: Vec<Lane>, rules: Rules) -> Shard {
        Shard::with_rules(settings, kept, lanes, rules)
    }

    pub(crate) fn with_rules(settings: Settings, kept: Kept, lanes: Vec<Lane>, rules: Rules) -> Shard {
        assert!(lanes.len() == settings.lanes as usize && lanes.len() <= LANES_MAX, "{} lanes of {}", lanes.len(), settings.lanes);
        let tracker = Tracker::new(rules, &kept);
        Shard {
            settings,
            rules,
            tracker,
            state: State::Starting,
            lanes,
            kept,
            keeping: kept,
            poll_due_ns: 0,
            claim: None,
            was_answered: false,
            began_ns: None,
            effects: VecDeque::with_capacity(EFFECTS_MAX),
        }
    }

    #[cfg(test)]
    pub(crate) fn obey(&mut self, rules: Rules) {
        self.rules = rules;
        self.tracker.rules = rules;
    }

    /// What this node is now.
    #[must_use]
    pub fn role(&self) -> Role {
        match &self.state {
            State::Starting => Role::Starting,
            State::Standby(_) => Role::Standby,
            State::Taking(taking) => Role::Taking(taking.epoch),
            State::Primary(primary) => Role::Primary(primary.epoch),
            State::Ended => Role::Ended,
        }
    }

    /// The register as last seen.
    #[must_use]
    pub fn register(&self) -> Option<&Register> {
        self.tracker.known()
    }

    /// Whether the register was read, so that none is one that was never written.
    #[must_use]
    pub fn has_seen_register(&self) -> bool {
        self.tracker.known().is_some() || self.tracker.is_blank()
    }

    /// Why the register is not trusted, if it is not.
    #[must_use]
    pub fn frozen(&self) -> Option<Freeze> {
        self.tracker.frozen()
    }

    /// What is durable in the superblock.
    #[must_use]
    pub fn kept(&self) -> Kept {
        self.kept
    }

    /// Who this node says that it is.
    #[must_use]
    pub fn introduction(&self) -> crate::event::Introduction {
        crate::event::Introduction {
            protocol: crate::message::PROTOCOL,
            pair: self.settings.pair,
            member: self.settings.me,
            lanes: self.settings.lanes,
            segment_bytes: self.settings.segment_bytes,
            promised: self.kept.promised,
            register_version: self.tracker.version_max(),
        }
    }

    /// A lane.
    ///
    /// Panics when there is none of that number.
    #[must_use]
    pub fn lane(&self, lane: u32) -> &Lane {
        &self.lanes[lane as usize]
    }

    /// Whether this node stands by and follows on every lane.
    #[must_use]
    pub fn is_following(&self) -> bool {
        matches!(&self.state, State::Standby(standby) if standby.is_following())
    }

    /// What the peer of a primary has in memory of a lane; `u64::MAX` when none is in sync, none when this node does not lead.
    #[must_use]
    pub fn peer_received(&self, lane: u32) -> Option<u64> {
        match &self.state {
            State::Primary(primary) => Some(self.received_by_peers(primary, lane)),
            _ => None,
        }
    }

    /// The next effect to carry out.
    pub fn effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Something has happened.
    ///
    /// Panics on a lane that is not there: the edge checks what it gives to the machine.
    pub fn on(&mut self, now_ns: u64, event: Event) {
        match event {
            _ if matches!(self.state, State::Ended) => {}
            Event::Tick => self.on_tick(now_ns),
            Event::RegisterRead(read) => self.on_register_read(now_ns, read),
            Event::SwapEnded(end) => self.on_swap_ended(now_ns, end),
            Event::Persisted(kept) => self.on_persisted(now_ns, kept),
            Event::Led { ends } => self.on_led(now_ns, &ends),
            Event::StorageFault => self.on_storage_fault(),
            Event::LaneMoved { lane, end, durable } => self.on_lane_moved(lane, end, durable),
            other => self.on_peer(now_ns, other),
        }
        debug_assert!(self.effects.len() <= EFFECTS_MAX, "{} effects of one event", self.effects.len());
    }

    /// What only a standby or only a primary understands.
    fn on_peer(&mut self, now_ns: u64, event: Event) {
        match event {
            Event::Hello { lane, from, end, verdict } => self.on_hello(now_ns, lane, &from, end, verdict),
            Event::LinkUp { lane } => self.on_link_up(lane),
            Event::LinkLost { lane, reset } => self.on_link_lost(lane, reset),
            Event::Welcome { lane, epoch, judged, verdict, own, register_version } => {
                self.on_welcome(now_ns, lane, Welcomed { epoch, judged, verdict, own, register_version });
            }
            Event::Append { envelope, present } => self.on_append(now_ns, &envelope, present),
            Event::Heartbeat { lane, epoch, committed } => self.on_heartbeat(now_ns, lane, epoch, &committed),
            Event::HeldBack { lane } => self.on_held_back(now_ns, lane),
            Event::HeartbeatAck { epoch, .. } => self.on_heartbeat_ack(now_ns, epoch),
            Event::Ack(ack) => self.on_ack(now_ns, &ack),
            Event::Switch { epoch, ends } => self.on_switch(epoch, &ends),
            Event::Nack { promised } => self.on_nack(promised),
            Event::Claim { of } => self.on_claim(now_ns, of),
            Event::GateSeen { lane, serial, committed } => self.on_gate_seen(lane, serial, committed),
            Event::LaneCut { lane, end } => self.on_lane_cut(lane, end),
            Event::IntakeStopped => self.on_intake_stopped(),
            Event::Backlog => self.shrink(),
            Event::DiskSlow => self.on_disk_slow(now_ns),
            Event::Order(Order::Switchover) => self.hand_over(now_ns),
            Event::Order(Order::Promote { fenced }) => self.on_promote(fenced),
            Event::Order(Order::Rejoin) if matches!(self.state, State::Standby(_)) => self.start_over(StartOver::Ordered),
            _ => {}
        }
    }

    pub(crate) fn order(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn note(&mut self, note: Note) {
        self.order(Effect::Note(note));
    }

    pub(crate) fn send(&mut self, lane: u32, message: Outbound) {
        self.order(Effect::Send { lane, message });
    }

    pub(crate) fn close(&mut self, lane: u32, why: Close) {
        self.order(Effect::CloseLink { lane, why });
    }

    pub(crate) fn close_all(&mut self, why: Close) {
        (0..self.settings.lanes).for_each(|lane| self.close(lane, why));
    }

    pub(crate) fn read_register(&mut self) {
        let effect = self.tracker.read();
        self.effects.extend(effect);
    }

    fn on_tick(&mut self, now_ns: u64) {
        match self.state {
            State::Standby(_) => self.tick_standby(now_ns),
            State::Primary(_) => self.tick_primary(now_ns),
            _ => {}
        }
        if now_ns >= self.poll_due_ns {
            self.poll_due_ns = now_ns.saturating_add(self.settings.poll_ns);
            match self.tracker.retry() {
                Some(effect) => self.order(effect),
                None => self.read_register(),
            }
        }
    }

    fn on_register_read(&mut self, now_ns: u64, read: Read) {
        let was_frozen = self.tracker.frozen().is_some();
        let seen = self.tracker.on_read(read);
        if was_frozen && self.tracker.frozen().is_none() {
            self.note(Note::Trusted);
        }
        if read == Read::Unreachable {
            return self.on_unreachable();
        }
        self.on_register(now_ns, seen);
    }

    /// What was seen of the register, by a read or by the answer to a swap.
    pub(crate) fn on_register(&mut self, now_ns: u64, seen: Result<(), Freeze>) {
        if let Err(why) = seen {
            return self.note(Note::Frozen(why));
        }
        if let Some(halt) = self.tracker.known().and_then(|register| self.foreign(register)) {
            return self.halt(halt);
        }
        // Where a node begins, what the other one says comes before what this one would do.
        if matches!(self.state, State::Starting) {
            self.heed_claim();
        }
        match &self.state {
            State::Starting if self.tracker.swaps() => {}
            State::Starting => self.leave_start(now_ns),
            State::Standby(_) => self.standby_sees(),
            State::Primary(primary) => {
                let epoch = primary.epoch;
                if !self.depose_unless_primary(epoch) {
                    self.settle();
                }
            }
            State::Taking(taking) => self.taking_sees(now_ns, *taking),
            State::Ended => {}
        }
        // And elsewhere behind what the register says by now: a primary that was deposed does nothing more.
        self.heed_claim();
        // After the rest, since a promise writes down the version as well.
        if !matches!(self.state, State::Ended) {
            self.keep(self.keeping.promised);
        }
    }

    pub(crate) fn foreign(&self, register: &Register) -> Option<Halt> {
        if register.pair != self.settings.pair {
            return Some(Halt::OtherPair);
        }
        let equal = register.lanes == self.settings.lanes && register.segment_bytes == self.settings.segment_bytes;
        (!equal).then_some(Halt::Unequal)
    }

    /// Rule 9: deposed is who finds another primary, or a higher epoch, in the register. Returns whether it was.
    pub(crate) fn depose_unless_primary(&mut self, epoch: Epoch) -> bool {
        let me = self.settings.me;
        let deposed = self.tracker.known().is_some_and(|register| register.primary != me || register.epoch > epoch);
        if deposed {
            self.order(Effect::StopServing);
            self.close_all(Close::OldEpoch);
            self.start_over(StartOver::Deposed);
        }
        deposed
    }

    pub(crate) fn start_over(&mut self, why: StartOver) {
        self.order(Effect::StartOver(why));
        self.state = State::Ended;
    }

    pub(crate) fn halt(&mut self, why: Halt) {
        self.order(Effect::StopServing);
        self.order(Effect::Halt(why));
        self.state = State::Ended;
    }

    /// The first look at the register decides.
    fn leave_start(&mut self, now_ns: u64) {
        let known = self.tracker.known().copied();
        match known {
            // The read has not been answered, or said nothing.
            None if !self.tracker.is_blank() => {}
            None if self.kept.needs_repair => self.note(Note::MayNotLead),
            // Whoever founds a pair by hand writes its first register itself.
            None if self.is_manual() => self.stand_by(now_ns),
            None => self.take(self.first_register()),
            Some(register) if register.primary == self.settings.me && !self.kept.needs_repair => {
                if !self.waits_for_claim(now_ns, &register) {
                    self.take_again(&register);
                }
            }
            Some(_) => self.stand_by(now_ns),
        }
    }

    fn on_swap_ended(&mut self, now_ns: u64, end: SwapEnd) {
        match self.tracker.on_swap_ended(end) {
            Err(why) => self.on_register(now_ns, Err(why)),
            Ok(Ended::Unknown) => {}
            Ok(Ended::Landed | Ended::Lost) => {
                self.on_register(now_ns, Ok(()));
                self.claim_if_followed();
            }
        }
    }

    /// Orders the superblock to hold what is known now, if it does not.
    pub(crate) fn keep(&mut self, promised: Epoch) {
        let wanted = Kept {
            promised,
            register_version: self.tracker.version_max(),
            arbiter: self.tracker.arbiter(),
            needs_repair: self.keeping.needs_repair,
        };
        if wanted != self.keeping {
            self.keeping = wanted;
            self.order(Effect::Persist(wanted));
        }
    }

    fn on_persisted(&mut self, now_ns: u64, kept: Kept) {
        // Writes end in the order in which they were given.
        self.kept = kept;
        match &self.state {
            State::Taking(_) => self.on_taken(),
            State::Standby(_) => self.on_promised(now_ns),
            State::Primary(_) if self.is_outbid() => {
                self.order(Effect::StopServing);
                self.close_all(Close::NewEpoch);
                self.start_over(StartOver::Outbid);
            }
            _ => {}
        }
    }

    fn on_lane_moved(&mut self, lane: u32, end: u64, durable: u64) {
        let moved = &mut self.lanes[lane as usize];
        moved.durable = moved.durable.max(durable);
        match &self.state {
            State::Primary(_) => {
                moved.end.sequence = moved.end.sequence.max(end);
                self.settle();
            }
            State::Standby(_) => self.acknowledge(lane),
            _ => {}
        }
    }

    /// Rule 13: what failed is written down, the node steps down and ends.
    fn on_storage_fault(&mut self) {
        self.keeping.needs_repair = true;
        self.order(Effect::StopServing);
        self.order(Effect::Persist(self.keeping));
        self.order(Effect::Halt(Halt::StorageFault));
        self.state = State::Ended;
    }

    /// An operator vouches that the other node is fenced.
    fn on_promote(&mut self, fenced: u128) {
        match &mut self.state {
            State::Primary(primary) => {
                primary.fenced = Some(fenced);
                self.shrink();
            }
            State::Standby(standby) => {
                standby.fenced = Some(fenced);
                self.bid();
            }
            _ => self.note(Note::MayNotLead),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
