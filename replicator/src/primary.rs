//! The primary: requires whom it must, commits what they have, and changes who that is one confirmed swap at a time.
//!
//! ```text
//! required  = the other member in sync in every register that may be the present one, and the learner that is being added
//! gate      = min(durable acknowledged by each of them, in this epoch)      none required: no limit
//!
//! shrink    link lost, silence or backlog ─► swap ─► confirmed: no longer required
//! expand    learner close behind ─► required ─► gate seen ─► has all that is committed ─► swap ─► confirmed: in sync
//! hand over intake stopped ─► standby has everything, durably ─► Switch ─► deposed, or taken back by a new epoch
//! ```

use crate::event::{Close, Effect, Introduction, Note, Outbound};
use crate::message::{Ack, End, PROTOCOL, Refusal, Verdict};
use crate::register::{Member, Mode, Register};
use crate::shard::{Settings, Shard, State};
use crate::standby::by_hand;
use headworks_format::Epoch;

/// No limit.
const OPEN: u64 = u64::MAX;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Primary {
    pub epoch: Epoch,
    /// Since when it leads.
    since_ns: u64,
    /// The node that an operator says is fenced: good for one shrink.
    pub fenced: Option<u128>,
    /// Who follows: the member in sync, a learner, or the first while the second asks.
    peers: Vec<Peer>,
    /// The learner whose acknowledgements are required before it is registered.
    adding: Option<Member>,
    gates: Vec<Gate>,
    /// Counts the gates that were lowered.
    serial: u32,
    /// What [`Effect::PeerReceived`] said last.
    received: Vec<u64>,
    handing: Option<Handing>,
    handover_after_ns: u64,
    heartbeat_due_ns: u64,
    /// The last of [`Note::Alone`], [`Note::Paired`] and [`Note::Stalled`].
    said: Option<Note>,
}

/// A node that follows, or did.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Peer {
    member: Member,
    lanes: Vec<PeerLane>,
    heard_ns: u64,
    /// When it followed on every lane last, or began to ask.
    whole_ns: u64,
    /// Whether it is silent, by the last look: then it is not taken in before it is heard.
    is_missed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct PeerLane {
    up: bool,
    received: u64,
    durable: u64,
}

/// A lane's commit gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Gate {
    through: u64,
    /// The lowering that the log loop has not answered yet; 0 for none.
    unseen: u32,
    /// No more was committed before the gate was what it is: the log's end when the epoch began, which holds whatever was
    /// committed in earlier ones, or what the log loop said when it saw the gate lowered.
    committed: u64,
}

/// A planned handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Handing {
    until_ns: u64,
    stopped: bool,
    sent: bool,
}

/// Two at most are of interest: who is in sync, and who asks.
const PEERS_MAX: usize = 2;

impl Primary {
    pub(crate) fn new(now_ns: u64, epoch: Epoch, ends: &[u64], settings: &Settings) -> Primary {
        Primary {
            epoch,
            since_ns: now_ns,
            fenced: None,
            peers: Vec::with_capacity(PEERS_MAX),
            adding: None,
            gates: ends.iter().map(|end| Gate { through: 0, unseen: 0, committed: *end }).collect(),
            serial: 0,
            received: vec![0; ends.len()],
            handing: None,
            handover_after_ns: 0,
            heartbeat_due_ns: now_ns.saturating_add(settings.heartbeat_ns),
            said: None,
        }
    }

    fn peer(&self, member: Member) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.member == member)
    }

    fn peer_mut(&mut self, member: Member) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.member == member)
    }

    /// Lanes on which anybody follows.
    pub(crate) fn lanes_up(&self) -> impl Iterator<Item = u32> {
        let up = |lane: usize| self.peers.iter().any(|peer| peer.lanes[lane].up);
        (0..self.gates.len()).filter(move |lane| up(*lane)).map(|lane| u32::try_from(lane).expect("at most 64 lanes"))
    }

    fn acked(&self, member: Member, lane: usize) -> PeerLane {
        self.peer(member).map_or(PeerLane::default(), |peer| peer.lanes[lane])
    }
}

impl Peer {
    fn hear(&mut self, now_ns: u64) {
        (self.heard_ns, self.is_missed) = (now_ns, false);
    }

    fn is_up(&self) -> bool {
        self.lanes.iter().all(|lane| lane.up)
    }

    /// Whether nothing was heard of it for so long, or it has not followed on every lane.
    fn is_gone(&self, now_ns: u64, detect_ns: u64) -> bool {
        self.is_silent(now_ns, detect_ns) || (!self.is_up() && now_ns.saturating_sub(self.whole_ns) >= detect_ns)
    }

    fn is_silent(&self, now_ns: u64, detect_ns: u64) -> bool {
        now_ns.saturating_sub(self.heard_ns) >= detect_ns
    }
}

impl Shard {
    fn primary(&mut self) -> Option<&mut Primary> {
        match &mut self.state {
            State::Primary(primary) => Some(primary),
            _ => None,
        }
    }

    /// Whom this primary must wait for.
    fn required(&self, primary: &Primary) -> Vec<Member> {
        if !self.rules.commit() {
            return Vec::new();
        }
        let mut required: Vec<Member> = self.tracker.standbys().chain(primary.adding.filter(|_| self.rules.expand())).collect();
        required.dedup();
        required
    }

    pub(crate) fn received_by_peers(&self, primary: &Primary, lane: u32) -> u64 {
        let received = |member: &Member| primary.acked(*member, lane as usize).received;
        self.required(primary).iter().map(received).min().unwrap_or(OPEN)
    }

    /// Puts everything in order after something has moved: gates first, then what can be done next.
    pub(crate) fn settle(&mut self) {
        self.set_gates();
        self.expand();
        self.hand_over_when_complete();
    }

    fn set_gates(&mut self) {
        let State::Primary(primary) = &self.state else { return };
        let required = self.required(primary);
        let alone = required.is_empty() && self.tracker.known().is_some();
        let said = match () {
            () if !alone && self.waits_for(primary, &required) => Note::Stalled,
            () if !alone => Note::Paired,
            () if self.commits_alone() => Note::Alone,
            () => Note::Stalled,
        };
        // Before the gates: who counts what is committed alone begins while none of it is.
        if said == Note::Alone {
            self.say(said);
        }
        for lane in 0..self.settings.lanes {
            self.set_gate(lane, &required, said);
        }
        self.say(said);
    }

    fn say(&mut self, said: Note) {
        let Some(primary) = self.primary() else { return };
        if primary.said.replace(said) != Some(said) {
            self.note(said);
        }
    }

    /// Whether a member is required that does not follow, and that this node does not drop by itself.
    fn waits_for(&self, primary: &Primary, required: &[Member]) -> bool {
        let follows = |member: &Member| primary.peer(*member).is_some_and(|peer| peer.is_up() && !peer.is_missed);
        !self.settings.may_run_alone && !required.iter().all(follows)
    }

    /// Alone, a node commits if it is set to, or if an operator has left it alone.
    fn commits_alone(&self) -> bool {
        self.settings.may_run_alone || self.tracker.known().is_some_and(|register| register.mode == Mode::Vouched)
    }

    fn set_gate(&mut self, lane: u32, required: &[Member], said: Note) {
        let at = lane as usize;
        let Some(primary) = self.primary() else { return };
        let least = |of: fn(PeerLane) -> u64| required.iter().map(|member| of(primary.acked(*member, at))).min();
        let gate = primary.gates[at];
        let through = match said {
            Note::Stalled if required.is_empty() => gate.through,
            _ => least(|acked| acked.durable).unwrap_or(OPEN),
        };
        let received = least(|acked| acked.received).unwrap_or(OPEN);
        let news = core::mem::replace(&mut primary.received[at], received) != received;
        if through != gate.through {
            let mut serial = 0;
            if through < gate.through {
                primary.serial += 1;
                serial = primary.serial;
                primary.gates[at].unseen = serial;
            }
            primary.gates[at].through = through;
            self.order(Effect::Gate { lane, through, serial });
        }
        if news {
            self.order(Effect::PeerReceived { lane, through: received });
        }
    }

    pub(crate) fn on_gate_seen(&mut self, lane: u32, serial: u32, committed: u64) {
        let Some(primary) = self.primary() else { return };
        let gate = &mut primary.gates[lane as usize];
        if gate.unseen == serial {
            // What the log loop has seen committed in its life may be less than what was committed before it.
            (gate.unseen, gate.committed) = (0, gate.committed.max(committed));
            self.settle();
        }
    }

    // Who follows.

    pub(crate) fn on_hello(&mut self, now_ns: u64, lane: u32, from: &Introduction, judged: End, verdict: Verdict) {
        let epoch = match &self.state {
            State::Primary(primary) => primary.epoch,
            _ => return self.refuse(lane, Refusal::NotPrimary),
        };
        if let Some(refusal) = self.refusal(epoch, from) {
            if refusal == Refusal::Promised {
                self.read_register();
            }
            return self.refuse(lane, refusal);
        }
        if let Verdict::Refuse(why) = verdict {
            return self.refuse(lane, why);
        }
        self.introduce(now_ns, lane, from.member);
        self.claim_on(lane);
        self.send(lane, Outbound::Welcome { epoch, judged, verdict });
        // A lane that has to be cut first asks again when it is.
        if let Verdict::Follow { from: point } = verdict {
            self.ship(lane, epoch, point.sequence, from.member);
        }
        self.settle();
    }

    fn refuse(&mut self, lane: u32, why: Refusal) {
        self.order(Effect::Refuse { lane, why });
    }

    /// Why a primary refuses whoever introduces itself so, if it does.
    pub(crate) fn refuses(&self, from: &Introduction) -> Option<Refusal> {
        let State::Primary(primary) = &self.state else { return None };
        self.refusal(primary.epoch, from)
    }

    fn refusal(&self, epoch: Epoch, from: &Introduction) -> Option<Refusal> {
        let settings = &self.settings;
        match () {
            () if from.protocol != PROTOCOL => Some(Refusal::Protocol),
            () if from.pair != settings.pair => Some(Refusal::OtherPair),
            () if from.lanes != settings.lanes || from.segment_bytes != settings.segment_bytes => Some(Refusal::Unequal),
            () if from.promised > epoch => Some(Refusal::Promised),
            () if from.member.node == settings.me.node => Some(Refusal::OtherPair),
            () => None,
        }
    }

    /// Makes room for whoever asks; a member that must be waited for stays known.
    fn introduce(&mut self, now_ns: u64, lane: u32, member: Member) {
        let State::Primary(primary) = &self.state else { return };
        let (required, lanes) = (self.required(primary), self.lanes.len());
        let Some(primary) = self.primary() else { return };
        primary.peers.retain(|peer| peer.member == member || required.contains(&peer.member));
        for peer in &mut primary.peers {
            peer.lanes[lane as usize].up = false;
        }
        if primary.peer(member).is_none() {
            primary.peers.push(Peer {
                member,
                lanes: vec![PeerLane::default(); lanes],
                heard_ns: now_ns,
                whole_ns: now_ns,
                is_missed: false,
            });
        }
        if let Some(peer) = primary.peer_mut(member) {
            peer.hear(now_ns);
        }
        // Who is there is not fenced, whatever was said of it before.
        primary.fenced = primary.fenced.filter(|fenced| *fenced != member.node);
    }

    fn ship(&mut self, lane: u32, epoch: Epoch, from: u64, member: Member) {
        if let Some(peer) = self.primary().and_then(|primary| primary.peer_mut(member)) {
            peer.lanes[lane as usize].up = true;
        }
        self.order(Effect::Ship { lane, epoch, from });
    }

    pub(crate) fn on_peer_lost(&mut self, lane: u32) {
        let Some(primary) = self.primary() else { return };
        for peer in &mut primary.peers {
            peer.lanes[lane as usize].up = false;
        }
        self.give_up_adding();
        self.take_back_if_handing();
        // A swap tells what the register says as well as a read does.
        self.shrink();
        self.read_register();
        self.settle();
    }

    /// Rule 3 on this side: an acknowledgement counts in its own epoch only, and for the disk that it names.
    pub(crate) fn on_ack(&mut self, now_ns: u64, ack: &Ack) {
        let Some(primary) = self.primary() else { return };
        if ack.epoch != primary.epoch {
            return;
        }
        let Some(peer) = primary.peer_mut(ack.member) else { return };
        let lane = &mut peer.lanes[ack.lane as usize];
        lane.received = lane.received.max(ack.received);
        lane.durable = lane.durable.max(ack.durable);
        peer.hear(now_ns);
        self.settle();
    }

    pub(crate) fn on_heartbeat_ack(&mut self, now_ns: u64, epoch: Epoch) {
        let Some(primary) = self.primary() else { return };
        if epoch == primary.epoch {
            primary.peers.iter_mut().filter(|peer| peer.lanes.iter().any(|lane| lane.up)).for_each(|peer| peer.hear(now_ns));
        }
    }

    /// Whoever promised a higher epoch knows something: the register is looked at, and decides.
    pub(crate) fn on_nack(&mut self, promised: Epoch) {
        if self.primary().is_some_and(|primary| promised > primary.epoch) {
            self.read_register();
        }
    }

    pub(crate) fn tick_primary(&mut self, now_ns: u64) {
        let (heartbeat_ns, detect_ns) = (self.settings.heartbeat_ns, self.settings.detect_ns);
        let Some(primary) = self.primary() else { return };
        let epoch = primary.epoch;
        let beats = now_ns >= primary.heartbeat_due_ns;
        if beats {
            primary.heartbeat_due_ns = now_ns.saturating_add(heartbeat_ns);
        }
        let late = primary.handing.is_some_and(|handing| now_ns >= handing.until_ns);
        let up: Vec<u32> = primary.lanes_up().collect();
        if beats {
            up.iter().for_each(|lane| self.send(*lane, Outbound::Heartbeat { epoch }));
        }
        if late {
            self.take_back_if_handing();
        }
        self.drop_silent(now_ns, detect_ns);
        self.settle();
    }

    /// Who is silent is dropped from the register first, and loses its connections when it is out: to a standby that was only late a
    /// closed connection looks like a primary that has died, and it would be as quick at the register. By hand it is not dropped, and
    /// would not lead for that: it loses its connections at once, and dials again.
    fn drop_silent(&mut self, now_ns: u64, detect_ns: u64) {
        let registered = self.tracker.known().and_then(|register| register.standby);
        let spared = registered.filter(|_| !self.is_manual());
        let lanes = self.settings.lanes;
        let Some(primary) = self.primary() else { return };
        primary.peers.iter_mut().for_each(|peer| peer.is_missed = peer.is_silent(now_ns, detect_ns));
        primary.peers.iter_mut().filter(|peer| peer.is_up()).for_each(|peer| peer.whole_ns = now_ns);
        let is_out = |peer: &Peer| peer.is_silent(now_ns, detect_ns) && spared != Some(peer.member);
        // Who has not come yet after this node began to lead has the same time for it.
        let never_came = now_ns.saturating_sub(primary.since_ns) >= detect_ns;
        let is_gone = |member: Member| primary.peer(member).map_or(never_came, |peer| peer.is_gone(now_ns, detect_ns));
        let gone = registered.is_some_and(is_gone);
        let closing = primary.peers.iter().any(|peer| is_out(peer) && peer.lanes.iter().any(|lane| lane.up));
        if closing {
            primary.peers.iter_mut().filter(|peer| is_out(peer)).for_each(|peer| peer.lanes.iter_mut().for_each(|lane| lane.up = false));
            (0..lanes).for_each(|lane| self.close(lane, Close::Silent));
            self.give_up_adding();
        }
        if gone {
            self.shrink();
        }
    }

    // Who is in sync.

    /// Rule 5: a member is dropped by a swap, and counts until that is confirmed.
    pub(crate) fn shrink(&mut self) {
        let State::Primary(primary) = &self.state else { return };
        let Some(register) = self.tracker.known().copied() else { return };
        let Some(standby) = register.standby.filter(|_| self.tracker.is_settled() && primary.handing.is_none()) else { return };
        let allowed = match register.mode {
            Mode::Auto => self.settings.may_run_alone || primary.fenced == Some(standby.node),
            Mode::Manual | Mode::Vouched => primary.fenced == Some(standby.node) || !self.rules.word(),
            Mode::Frozen => false,
        };
        if allowed {
            if let Some(primary) = self.primary() {
                primary.fenced = None;
            }
            let mode = if by_hand(register.mode) { Mode::Vouched } else { register.mode };
            let effect = self.tracker.swap(Register { standby: None, mode, ..register });
            self.order(effect);
        }
    }

    /// Rule 8: a learner is required first, and registered when it has everything that is committed.
    fn expand(&mut self) {
        if !self.tracker.is_settled() {
            return;
        }
        let State::Primary(primary) = &self.state else { return };
        let Some(register) = self.tracker.known().copied().filter(|register| register.mode != Mode::Frozen) else { return };
        if register.standby.is_some() && register.standby == primary.adding {
            return self.added();
        }
        let Some(learner) = self.learner(primary, &register) else { return };
        if self.rules.expand() {
            if primary.adding != Some(learner) {
                if let Some(primary) = self.primary() {
                    primary.adding = Some(learner);
                }
                self.set_gates();
            }
            if !self.has_all_committed(learner) {
                return;
            }
        }
        let mode = if by_hand(register.mode) { Mode::Manual } else { register.mode };
        let effect = self.tracker.swap(Register { standby: Some(learner), mode, ..register });
        self.order(effect);
    }

    fn added(&mut self) {
        if let Some(primary) = self.primary() {
            primary.adding = None;
        }
    }

    /// Who follows on every lane, is not in sync, and is close behind.
    fn learner(&self, primary: &Primary, register: &Register) -> Option<Member> {
        let near =
            |(lane, acked): (&crate::shard::Lane, &PeerLane)| acked.durable.saturating_add(self.settings.catch_up_blocks) >= lane.durable;
        let close = |peer: &&Peer| peer.is_up() && !peer.is_missed && self.lanes.iter().zip(&peer.lanes).all(near);
        let outside = |peer: &&Peer| register.standby != Some(peer.member);
        primary.peers.iter().filter(outside).find(close).map(|peer| peer.member).filter(|_| primary.handing.is_none())
    }

    /// Whether the learner has whatever was committed before it was required. What is committed from then on, it has.
    fn has_all_committed(&self, learner: Member) -> bool {
        let State::Primary(primary) = &self.state else { return false };
        let has = |(lane, gate): (usize, &Gate)| gate.unseen == 0 && primary.acked(learner, lane).durable >= gate.committed;
        primary.gates.iter().enumerate().all(has)
    }

    /// A learner that went away before it was registered is not waited for.
    fn give_up_adding(&mut self) {
        let swaps = self.tracker.swaps();
        let Some(primary) = self.primary() else { return };
        if !swaps && primary.adding.is_some_and(|member| primary.peer(member).is_none_or(|peer| !peer.is_up())) {
            primary.adding = None;
        }
    }

    // Handing over.

    /// Begins a planned handover, if the standby in sync can take it, and the arbiter answers: without it the standby could not lead,
    /// and this node could not take the lead back.
    pub(crate) fn hand_over(&mut self, now_ns: u64) {
        let until_ns = now_ns.saturating_add(self.settings.handover_ns);
        let can_swap = self.tracker.is_known() && self.tracker.answers();
        let standby = self.tracker.known().and_then(|register| register.standby);
        let auto = self.tracker.known().is_some_and(|register| register.mode == Mode::Auto);
        let Some(primary) = self.primary() else { return self.note(Note::NoHandover) };
        let ready = standby.and_then(|member| primary.peer(member)).is_some_and(Peer::is_up);
        if !can_swap || !ready || !auto || primary.handing.is_some() {
            return self.note(Note::NoHandover);
        }
        primary.handing = Some(Handing { until_ns, stopped: false, sent: false });
        self.order(Effect::StopIntake);
    }

    /// Rule 13: a disk that hangs costs the lead, but not twice in a row.
    pub(crate) fn on_disk_slow(&mut self, now_ns: u64) {
        let pause_ns = self.settings.handover_pause_ns;
        let Some(primary) = self.primary() else { return };
        if now_ns < primary.handover_after_ns || primary.handing.is_some() {
            return;
        }
        primary.handover_after_ns = now_ns.saturating_add(pause_ns);
        self.hand_over(now_ns);
    }

    pub(crate) fn on_intake_stopped(&mut self) {
        if let Some(handing) = self.primary().and_then(|primary| primary.handing.as_mut()) {
            handing.stopped = true;
        }
        self.settle();
    }

    /// Says that it has stopped, when the standby has everything.
    fn hand_over_when_complete(&mut self) {
        let State::Primary(primary) = &self.state else { return };
        let Some(handing) = primary.handing.filter(|handing| handing.stopped && !handing.sent) else { return };
        let Some(standby) = self.tracker.known().and_then(|register| register.standby) else { return };
        // Whether this node's own disk has it all does not matter any more, and a disk that hangs is a reason to hand over.
        let has = |(at, lane): (usize, &crate::shard::Lane)| primary.acked(standby, at).durable >= lane.end.sequence;
        if !self.lanes.iter().enumerate().all(has) {
            return;
        }
        let epoch = primary.epoch;
        if let Some(primary) = self.primary() {
            primary.handing = Some(Handing { sent: true, ..handing });
        }
        self.send(0, Outbound::Switch { epoch });
    }

    /// The standby did not take over in time: a new epoch, so that the two never both lead.
    fn take_back_if_handing(&mut self) {
        let Some(register) = self.tracker.known().copied() else { return };
        if self.primary().is_none_or(|primary| primary.handing.is_none()) || !self.tracker.is_settled() {
            return;
        }
        self.note(Note::AsksBack);
        self.close_all(Close::NewEpoch);
        self.take(register);
    }
}
