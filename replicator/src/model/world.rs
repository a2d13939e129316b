//! Everything there is, what can happen to it, and what must hold after that.

use super::network::{Block, Content, Packet, block, blocks, chain, end, history};
use super::node::{Asked, Node};
use crate::event::{Effect, Event, Introduction, Note, Order, Outbound, Read, SwapEnd};
use crate::message::{Ack, End, Envelope, PROTOCOL};
use crate::register::{Mode, Register, Swap, SwapAnswer, swapped, version_of};
use crate::rejoin::{self, Lineage};
use crate::rules::Rules;
use crate::shard::Role;
use headworks_format::{Epoch, PairId};
use std::collections::BTreeSet;

const ARBITER: u128 = 99;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub rules: Rules,
    /// Whether envelopes say what is committed: what a standby knows protects it, so the search goes without.
    pub tells_committed: bool,
    /// Whether an operator is the arbiter: each node keeps a register then. Else the first is the arbiter's.
    pub by_hand: bool,
    pub registers: [Option<Register>; 2],
    /// Swaps whose senders gave up, and of which register: each may land yet.
    pub late: BTreeSet<(usize, Swap)>,
    /// The node that an operator has told to lead, until it is known what has become of it.
    pub word: Option<usize>,
    pub words: u8,
    /// The only disk with something committed is lost: the operator has nobody to tell any more.
    pub is_lost: bool,
    pub nodes: [Node; 2],
    /// Every message that was ever sent.
    pub sent: BTreeSet<Packet>,
    pub records: u8,
    pub crashes: u8,
    pub disks_lost: u8,
    /// What was committed by anybody, ever.
    pub committed: Vec<Block>,
    /// Who committed in each epoch, and how far.
    pub commits: Vec<Commit>,
}

/// What a leader has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Commit {
    epoch: Epoch,
    node: usize,
    through: usize,
}

/// Something that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Deliver(Packet),
    LinkUp(usize),
    LinkLost(usize),
    Tick(usize),
    /// The arbiter does what was asked; the answer is under way.
    Serve(usize),
    /// The answer arrives.
    Hear(usize),
    /// No answer will arrive to what the arbiter has not done yet.
    Lose(usize),
    /// A swap lands that its sender gave up.
    Land(usize, Swap),
    Persist(usize),
    Append(usize),
    Sync(usize),
    /// The process dies; what was written and not synced is kept, or not.
    Crash {
        node: usize,
        keeps_unsynced: bool,
    },
    LoseDisk(usize),
    Switchover(usize),
    /// The other hears, now or later, what this node's register says now.
    Claim(usize),
    /// An operator says to this node that the other is fenced, rightly or not.
    Promote(usize),
}

/// What went wrong.
pub type Violation = String;

impl World {
    /// Two blank nodes and a blank register.
    pub fn new(rules: Rules) -> World {
        World {
            rules,
            tells_committed: false,
            by_hand: false,
            registers: [None, None],
            late: BTreeSet::new(),
            word: None,
            words: 0,
            is_lost: false,
            nodes: [0, 1].map(|index| Node::new(index, Mode::Auto, rules)),
            sent: BTreeSet::new(),
            records: 0,
            crashes: 0,
            disks_lost: 0,
            committed: Vec::new(),
            commits: Vec::new(),
        }
    }

    /// Two blank nodes, of which the first has founded the pair by hand.
    pub fn by_hand(rules: Rules) -> World {
        let nodes = [0, 1].map(|index| Node::new(index, Mode::Manual, rules));
        let founded = Register {
            version: 1,
            pair: PairId(7),
            lanes: 1,
            segment_bytes: 1 << 28,
            epoch: Epoch(1),
            primary: nodes[0].member,
            standby: None,
            mode: Mode::Manual,
        };
        World { by_hand: true, registers: [Some(founded), None], nodes, ..World::new(rules) }
    }

    /// The register that a node swaps.
    fn place(&self, node: usize) -> usize {
        if self.by_hand { node } else { 0 }
    }

    /// The register by which a node leads.
    pub fn register_of(&self, node: usize) -> Option<Register> {
        self.registers[self.place(node)]
    }

    /// From now on these rules hold.
    pub fn obey(&mut self, rules: Rules) {
        self.rules = rules;
        self.nodes.iter_mut().for_each(|node| node.shard.obey(rules));
    }

    /// Whether anybody asks for an epoch beyond this one.
    pub fn asks_beyond(&self, epoch: Epoch) -> bool {
        self.nodes.iter().any(|node| matches!(node.asked, Asked::Swap(swap) if swap.register.epoch > epoch))
    }

    /// What could happen now, whether it changes anything or not.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = self.sent.iter().map(|packet| Step::Deliver(*packet)).collect();
        let may_land = |(place, swap): &&(usize, Swap)| version_of(self.registers[*place].as_ref()) == swap.expected;
        steps.extend(self.late.iter().filter(may_land).map(|(place, swap)| Step::Land(*place, *swap)));
        for (index, node) in self.nodes.iter().enumerate() {
            self.steps_of(index, node, &mut steps);
        }
        steps
    }

    fn steps_of(&self, index: usize, node: &Node, steps: &mut Vec<Step>) {
        steps.push(Step::Tick(index));
        match node.asked {
            Asked::Nothing => {}
            Asked::Swap(_) => steps.extend([Step::Serve(index), Step::Lose(index)]),
            Asked::Answered(_) => steps.push(Step::Hear(index)),
        }
        if !node.keeping.is_empty() {
            steps.push(Step::Persist(index));
        }
        if node.shard.role() == Role::Standby {
            steps.push(Step::LinkLost(index));
            let led = self.register_of(1 - index).map(|register| register.epoch);
            if node.shard.asks_or_follows(0).is_none_or(|follows| Some(follows) < led) {
                steps.push(Step::LinkUp(index));
            }
        }
        if node.leads().is_some() {
            steps.extend([Step::Append(index), Step::LinkLost(index), Step::Switchover(index)]);
        }
        if node.synced < node.blocks.len() {
            steps.push(Step::Sync(index));
            steps.push(Step::Crash { node: index, keeps_unsynced: true });
        }
        steps.push(Step::Crash { node: index, keeps_unsynced: false });
        steps.push(Step::LoseDisk(index));
        if self.by_hand {
            steps.push(Step::Claim(index));
            steps.extend(self.may_be_told_to_lead(index).then_some(Step::Promote(index)));
        }
    }

    /// The operator may be wrong about the other node, which lives on. But he waits for what becomes of a word, and does not give it to a
    /// node while the other one leads without needing it: that one has what this one lacks.
    fn may_be_told_to_lead(&self, index: usize) -> bool {
        let (me, other) = (self.nodes[index].member, self.nodes[1 - index].member);
        let leads_without = self.registers[1 - index].is_some_and(|theirs| theirs.primary == other && theirs.standby != Some(me));
        let may_vouch = self.late.iter().any(|(place, swap)| *place != index && swap.register.mode == Mode::Vouched);
        !self.is_lost && self.word.is_none_or(|told| told == index) && !leads_without && !may_vouch
    }

    /// Makes it happen.
    pub fn take(&mut self, step: Step) -> Result<(), Violation> {
        let done = self.happen(step);
        self.forget();
        done
    }

    fn happen(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Deliver(packet) => self.deliver(&packet),
            Step::LinkUp(node) => self.tell(node, Event::LinkUp { lane: 0 }),
            Step::LinkLost(node) => {
                self.nodes[node].ships = None;
                self.tell(node, Event::LinkLost { lane: 0, reset: true })
            }
            Step::Tick(node) => self.tell(node, Event::Tick),
            Step::Serve(node) => {
                self.serve(node);
                Ok(())
            }
            Step::Hear(node) => self.hear(node),
            Step::Lose(node) => {
                if let Asked::Swap(swap) = self.nodes[node].asked {
                    self.late.insert((self.place(node), swap));
                }
                self.nodes[node].asked = Asked::Nothing;
                self.tell(node, Event::SwapEnded(SwapEnd::Unknown))
            }
            Step::Land(place, swap) => {
                self.late.remove(&(place, swap));
                (self.registers[place], _) = swapped(self.registers[place], &swap);
                Ok(())
            }
            Step::Persist(node) => {
                let kept = self.nodes[node].keeping.remove(0);
                self.nodes[node].kept = kept;
                self.tell(node, Event::Persisted(kept))
            }
            Step::Append(node) => self.append(node),
            Step::Sync(node) => {
                self.nodes[node].synced = self.nodes[node].blocks.len();
                self.log_moved(node)
            }
            Step::Crash { node, keeps_unsynced } => {
                self.crashes += 1;
                let synced = self.nodes[node].synced;
                if !keeps_unsynced {
                    self.nodes[node].blocks.truncate(synced);
                }
                self.start(node);
                Ok(())
            }
            Step::LoseDisk(node) => {
                self.disks_lost += 1;
                if self.by_hand {
                    self.lose_register(node);
                }
                self.nodes[node].lose_disk();
                self.start(node);
                let by_hand = self.by_hand;
                self.late.retain(|(place, _)| !by_hand || *place != node);
                Ok(())
            }
            Step::Switchover(node) => self.tell(node, Event::Order(Order::Switchover)),
            Step::Claim(node) => {
                self.claim(node);
                Ok(())
            }
            Step::Promote(node) => {
                (self.word, self.words) = (Some(node), self.words + 1);
                let fenced = self.nodes[1 - node].member.node;
                self.tell(node, Event::Order(Order::Promote { fenced }))
            }
        }
    }

    fn start(&mut self, node: usize) {
        let place = self.place(node);
        let swap = self.nodes[node].start(self.rules);
        self.late.extend(swap.map(|swap| (place, swap)));
        self.word = self.word.filter(|told| *told != node);
    }

    /// With the disk goes the register that stands on it, and what was said of that.
    fn lose_register(&mut self, node: usize) {
        let (me, other) = (self.nodes[node].member, self.nodes[1 - node].member);
        let was_alone = self.registers[node].is_some_and(|register| register.primary == me && register.standby != Some(other));
        self.is_lost |= was_alone;
        self.registers[node] = None;
        self.sent.retain(|packet| packet.to == node || !matches!(packet.content, Content::Claim { .. }));
    }

    fn claim(&mut self, node: usize) {
        let shard = &self.nodes[node].shard;
        if shard.has_seen_register() {
            let of = shard.register().map(|register| (self.nodes[node].member, *register));
            self.post(Packet { to: 1 - node, content: Content::Claim { of } });
        }
    }

    fn serve(&mut self, node: usize) {
        let Asked::Swap(swap) = self.nodes[node].asked else { return };
        let place = self.place(node);
        let (register, answer) = swapped(self.registers[place], &swap);
        self.registers[place] = register;
        self.nodes[node].asked = Asked::Answered(match answer {
            SwapAnswer::Swapped => SwapEnd::Swapped,
            SwapAnswer::Refused(found) => SwapEnd::Refused(found),
        });
    }

    fn hear(&mut self, node: usize) -> Result<(), Violation> {
        match core::mem::replace(&mut self.nodes[node].asked, Asked::Nothing) {
            Asked::Answered(end) => self.tell(node, Event::SwapEnded(end)),
            Asked::Nothing | Asked::Swap(_) => Ok(()),
        }
    }

    fn append(&mut self, node: usize) -> Result<(), Violation> {
        let Some(epoch) = self.nodes[node].leads().filter(|_| self.nodes[node].takes_packets) else { return Ok(()) };
        self.records += 1;
        let record = block(epoch, self.records);
        self.nodes[node].blocks.push(record);
        self.log_moved(node)?;
        self.ship(node);
        Ok(())
    }

    fn log_moved(&mut self, node: usize) -> Result<(), Violation> {
        let Node { blocks, synced, .. } = &self.nodes[node];
        let (end, durable) = (blocks.len() as u64, *synced as u64);
        self.tell(node, Event::LaneMoved { lane: 0, end, durable })
    }

    /// Sends what is shipped and was not sent yet.
    fn ship(&mut self, node: usize) {
        let from = &mut self.nodes[node];
        let Some((epoch, next)) = &mut from.ships else { return };
        for at in *next..from.blocks.len() {
            let envelope = Envelope {
                lane: 0,
                epoch: *epoch,
                sequence: at as u64,
                previous: chain(&from.blocks[..at]),
                chain: chain(&from.blocks[..=at]),
                committed: if self.tells_committed { from.committed } else { 0 },
                block_bytes: 0,
            };
            self.sent.insert(Packet { to: 1 - node, content: Content::Append(envelope) });
        }
        *next = from.blocks.len();
    }

    fn deliver(&mut self, packet: &Packet) -> Result<(), Violation> {
        let node = &self.nodes[packet.to];
        let own = |sequence: u64| usize::try_from(sequence).ok().and_then(|at| node.blocks.get(..at)).map(chain);
        let event = match packet.content {
            Content::Hello { member, promised, end: theirs } => {
                let (our_history, their_history) = (history(&node.blocks), history(blocks(&theirs.chain)));
                let standby = Lineage { history: &their_history, end: theirs.sequence };
                let primary = Lineage { history: &our_history, end: node.blocks.len() as u64 };
                let verdict = rejoin::verdict(standby, theirs.chain, primary, End::BLANK, own);
                let from = Introduction {
                    protocol: PROTOCOL,
                    pair: PairId(7),
                    member,
                    lanes: 1,
                    segment_bytes: 1 << 28,
                    promised,
                    register_version: 0,
                };
                Event::Hello { lane: 0, from, end: theirs, verdict }
            }
            Content::Welcome { epoch, judged, verdict } => {
                let own = match verdict {
                    crate::message::Verdict::Truncate { to } => own(to.sequence),
                    _ => None,
                };
                Event::Welcome { lane: 0, epoch, judged, verdict, own, register_version: 0 }
            }
            Content::Append(envelope) => Event::Append { envelope, present: own(envelope.sequence + 1) == Some(envelope.chain) },
            Content::Ack(ack) => Event::Ack(ack),
            Content::Switch { epoch, end } => Event::Switch { epoch, ends: vec![end] },
            Content::Claim { of } => Event::Claim { of },
        };
        let arrived = match packet.content {
            Content::Append(envelope) => blocks(&envelope.chain).last().copied(),
            _ => None,
        };
        self.tell_with(packet.to, event, arrived)
    }

    fn tell(&mut self, node: usize, event: Event) -> Result<(), Violation> {
        self.tell_with(node, event, None)
    }

    /// Tells the machine, and carries out what it orders.
    fn tell_with(&mut self, node: usize, event: Event, arrived: Option<Block>) -> Result<(), Violation> {
        self.nodes[node].shard.on(0, event);
        while let Some(effect) = self.nodes[node].shard.effect() {
            self.carry_out(node, effect, arrived)?;
        }
        self.commit(node)
    }

    fn carry_out(&mut self, index: usize, effect: Effect, arrived: Option<Block>) -> Result<(), Violation> {
        let register = self.register_of(index);
        let node = &mut self.nodes[index];
        match effect {
            // What was read may be old by the time that it is used: it is used later, by a swap.
            Effect::Read => node.shard.on(0, Event::RegisterRead(Read::Found { arbiter: ARBITER, register })),
            Effect::Swap(swap) => node.asked = Asked::Swap(swap),
            // A version alone protects from an arbiter that goes back, and none does here.
            Effect::Persist(kept) if kept.promised == node.kept.promised && node.keeping.is_empty() => {
                node.kept = kept;
                node.shard.on(0, Event::Persisted(kept));
            }
            Effect::Persist(kept) => node.keeping.push(kept),
            Effect::Send { message, .. } => return self.send(index, message),
            Effect::Ship { epoch, from, .. } => {
                node.ships = Some((epoch, usize::try_from(from).expect("small")));
                self.ship(index);
            }
            Effect::CloseLink { .. } => node.ships = None,
            Effect::Accept { sequence, .. } => return self.accept(index, sequence, arrived),
            Effect::Gate { through, serial, .. } => {
                node.gate = through;
                if serial > 0 {
                    self.commit(index)?;
                    let committed = self.nodes[index].committed;
                    self.nodes[index].shard.on(0, Event::GateSeen { lane: 0, serial, committed });
                }
            }
            Effect::Cut { to, .. } => {
                if to.sequence < node.committed {
                    return Err(format!("node {index} cuts at {} what is committed below {}", to.sequence, node.committed));
                }
                node.blocks.truncate(usize::try_from(to.sequence).expect("small"));
                node.synced = node.synced.min(node.blocks.len());
                let end = end(&node.blocks);
                node.shard.on(0, Event::LaneCut { lane: 0, end });
            }
            Effect::Lead { epoch } => return self.lead(index, epoch),
            Effect::Serve { .. } => node.takes_packets = true,
            Effect::StopIntake => {
                node.takes_packets = false;
                node.shard.on(0, Event::IntakeStopped);
            }
            Effect::StartOver(_) => self.start(index),
            Effect::Halt(why) => return Err(format!("node {index} halts: {why:?}")),
            Effect::Restart { .. } => return Err(format!("node {index} begins anew, and nothing was ever retired")),
            Effect::Note(Note::MayNotLead) => self.word = self.word.filter(|told| *told != index),
            Effect::Note(Note::Frozen(why)) => return Err(format!("node {index} does not trust its register: {why:?}")),
            Effect::Refuse { .. } | Effect::PeerReceived { .. } | Effect::Open { .. } | Effect::StopServing | Effect::Note(_) => {}
        }
        Ok(())
    }

    fn send(&mut self, from: usize, message: Outbound) -> Result<(), Violation> {
        let node = &self.nodes[from];
        let content = match message {
            Outbound::Hello => Content::Hello { member: node.member, promised: node.shard.kept().promised, end: end(&node.blocks) },
            Outbound::Welcome { epoch, judged, verdict } => Content::Welcome { epoch, judged, verdict },
            Outbound::Ack(ack) => Content::Ack(Ack { received: ack.durable, ..ack }),
            Outbound::Switch { epoch } => Content::Switch { epoch, end: node.blocks.len() as u64 },
            Outbound::Claim => {
                self.claim(from);
                return Ok(());
            }
            Outbound::Heartbeat { .. } | Outbound::HeartbeatAck { .. } | Outbound::Nack { .. } => return Ok(()),
        };
        self.post(Packet { to: 1 - from, content });
        match message {
            Outbound::Ack(ack) => self.answer(from, ack.epoch),
            Outbound::Welcome { epoch, .. } => self.answer(from, epoch),
            _ => Ok(()),
        }
    }

    /// Of acknowledgements in one epoch the last allows whatever an earlier one did, and who asks again asks with what it has
    /// now: the earlier ones go. What is stale enough remains: every Welcome and every append.
    fn post(&mut self, packet: Packet) {
        let replaces = |sent: &Packet| match (&sent.content, &packet.content) {
            (Content::Ack(old), Content::Ack(new)) => old.epoch == new.epoch && old.member == new.member,
            (Content::Hello { .. }, Content::Hello { .. }) | (Content::Claim { .. }, Content::Claim { .. }) => sent.to == packet.to,
            _ => false,
        };
        let is_behind =
            |sent: &Packet| matches!((&sent.content, &packet.content), (Content::Ack(old), Content::Ack(new)) if old.durable > new.durable);
        if !self.sent.iter().any(|sent| replaces(sent) && is_behind(sent)) {
            self.sent.retain(|sent| !replaces(sent));
            self.sent.insert(packet);
        }
    }

    /// Forgets acknowledgements of an epoch that is over and that nobody leads: no epoch is ever led again.
    fn forget(&mut self) {
        let led = [0, 1].map(|node| self.register_of(node).map_or(Epoch(0), |register| register.epoch));
        let nodes = &self.nodes;
        let counts = |sent: &Packet| match &sent.content {
            Content::Ack(ack) => ack.epoch >= led[sent.to] || nodes[sent.to].leads() == Some(ack.epoch),
            _ => true,
        };
        self.sent.retain(counts);
        let registers = self.registers;
        self.late.retain(|(place, swap)| swap.expected >= version_of(registers[*place].as_ref()));
        // What was said is done: the operator sees that it leads alone.
        let is_done = |told: usize| self.registers[told].is_some_and(|register| register.mode == Mode::Vouched);
        self.word = self.word.filter(|told| !is_done(*told));
    }

    fn answer(&mut self, index: usize, epoch: Epoch) -> Result<(), Violation> {
        let node = &mut self.nodes[index];
        if epoch < node.answered {
            return Err(format!("node {index} answers in epoch {epoch} after it has answered in {}", node.answered));
        }
        node.answered = epoch;
        Ok(())
    }

    fn accept(&mut self, index: usize, sequence: u64, arrived: Option<Block>) -> Result<(), Violation> {
        let node = &mut self.nodes[index];
        let at = usize::try_from(sequence).expect("small");
        assert!(at <= node.blocks.len(), "block {at} behind {}", node.blocks.len());
        node.blocks.truncate(at);
        node.synced = node.synced.min(at);
        node.blocks.push(arrived.expect("an append brings a block"));
        Ok(())
    }

    /// By hand, who led before leads again before it knows better; as long as it requires the other node it commits nothing without it.
    fn only_waits(&self, index: usize) -> bool {
        self.by_hand
            && self.registers[index]
                .is_some_and(|register| register.standby.is_some_and(|standby| standby.node == self.nodes[1 - index].member.node))
    }

    /// What a leader holds becomes durable, and the beginning of its epoch.
    fn lead(&mut self, index: usize, epoch: Epoch) -> Result<(), Violation> {
        let node = &mut self.nodes[index];
        node.synced = node.blocks.len();
        let ends = vec![node.blocks.len() as u64];
        node.shard.on(0, Event::Led { ends });
        let earlier = self.commits.iter().filter(|commit| commit.epoch < epoch).map(|commit| commit.through).max().unwrap_or(0);
        if !node.blocks.starts_with(&self.committed[..earlier]) && !self.only_waits(index) {
            let node = &self.nodes[index];
            return Err(format!("node {index} leads epoch {epoch} with {:x?}, and {:x?} is committed", node.blocks, self.committed));
        }
        Ok(())
    }

    /// The log loop's turn: whatever gate and disk allow is committed, and seen by consumers.
    fn commit(&mut self, index: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[index];
        let through = node.gate.min(node.synced as u64).max(node.committed);
        if through == node.committed {
            return Ok(());
        }
        node.committed = through;
        let shown = &self.nodes[index].blocks[..usize::try_from(through).expect("small")];
        let both = shown.len().min(self.committed.len());
        if shown[..both] != self.committed[..both] {
            return Err(format!("node {index} commits {shown:x?}, and {:x?} is committed", self.committed));
        }
        if shown.len() > self.committed.len() {
            self.committed = shown.to_vec();
        }
        let Some(epoch) = self.nodes[index].leads() else { return Ok(()) };
        let commit = Commit { epoch, node: index, through: usize::try_from(through).expect("small") };
        match self.commits.iter_mut().find(|other| other.epoch == epoch) {
            Some(other) if other.node != index => return Err(format!("nodes {index} and {} both commit in epoch {epoch}", other.node)),
            Some(other) => *other = commit,
            None => self.commits.push(commit),
        }
        let other = &self.nodes[1 - index];
        if other.leads().is_some_and(|later| later > epoch)
            && !self.only_waits(1 - index)
            && !other.blocks.starts_with(&self.committed[..commit.through])
        {
            return Err(format!("node {index} commits {:x?} in epoch {epoch}, and {:x?} is led later", self.committed, other.blocks));
        }
        Ok(())
    }
}
