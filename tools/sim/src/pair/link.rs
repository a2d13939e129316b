//! The pair's loop at its connections: dialling, messages, blocks, and the turn that looks at everything.

use super::network::ARBITER;
use super::node::Process;
use super::queue::What;
use super::wire;
use super::world::World;
use crate::breach::{Breach, check};
use headworks_format::Epoch;
use headworks_log::LaneView;
use headworks_log::blocks::Missing;
use headworks_replicator::event::{Effect, Event, Outbound};
use headworks_replicator::link::compare::{Asking, history};
use headworks_replicator::link::words::{Heard, Speaker, heard, prove};
use headworks_replicator::message::{Ack, Envelope, Message, Refusal, Verdict};
use headworks_replicator::shard::Role;
use headworks_replicator::witness::decode_answer;
use std::sync::Arc;

/// How long to wait behind a try that failed.
const REDIAL_NS: u64 = 10_000_000;
/// How long a block may be on its way to the disk before the disk counts as hung.
const DISK_NS_MAX: u64 = 500_000_000;
/// How often that is looked at.
const LOOK_EVERY_NS: u64 = 50_000_000;
/// How long a node that stands by looks for a primary before it opens its lanes by itself.
const ALONE_NS: u64 = 1_500_000_000;
/// How long a node that stands by waits for the answer to what it asked before it asks again on another connection.
const ANSWER_NS_MAX: u64 = 1_000_000_000;
/// How long a connection may say nothing.
const STRANGER_NS_MAX: u64 = 2_000_000_000;
/// Messages under way on a connection before no more blocks are sent.
const FLYING_MAX: usize = 24;

impl World {
    /// One turn of a node's pair loop.
    pub(super) fn pair_turn(&mut self, node: usize) -> Result<(), Breach> {
        if let Some(process) = &mut self.nodes[node].process {
            process.rung.0 = false;
        }
        self.hear_news(node)?;
        self.look_at_lanes(node)?;
        self.look_at_node(node)?;
        self.answer_asking(node)?;
        self.dial(node)?;
        for lane in 0..self.lanes() {
            self.receive(node, lane)?;
            self.ship(node, lane)?;
        }
        Ok(())
    }

    fn process(&mut self, node: usize) -> Option<&mut Process> {
        self.nodes[node].process.as_mut()
    }

    fn hear_news(&mut self, node: usize) -> Result<(), Breach> {
        while let Some(event) = self.process(node).and_then(|process| process.news.pop_front()) {
            self.tell(node, event)?;
        }
        Ok(())
    }

    fn look_at_lanes(&mut self, node: usize) -> Result<(), Breach> {
        for at in 0..self.lanes() {
            let lane = u32::try_from(at).expect("few lanes");
            let Some(process) = self.process(node) else { return Ok(()) };
            let is_open = process.is_open;
            let here = &mut process.lanes[at];
            let (_, serial) = here.gate;
            if serial != 0 && here.view.gate.seen() == serial {
                here.gate.1 = 0;
                let committed = here.view.positions.committed.load();
                self.tell(node, Event::GateSeen { lane, serial, committed })?;
            }
            let Some(process) = self.process(node) else { return Ok(()) };
            let here = &mut process.lanes[at];
            let (end, durable) = here.positions();
            if is_open && here.told != (end, durable) {
                here.told = (end, durable);
                self.tell(node, Event::LaneMoved { lane, end, durable })?;
            }
        }
        Ok(())
    }

    /// What the node around the loop has to say.
    fn look_at_node(&mut self, node: usize) -> Result<(), Breach> {
        let (now_ns, uncommitted_max) = (self.queue.now_ns, self.shape.uncommitted_bytes_max);
        let Some(process) = self.process(node) else { return Ok(()) };
        if process.stopping == Some(false) && process.lanes.iter().all(|lane| lane.intake.is_empty()) {
            process.stopping = Some(true);
            return self.tell(node, Event::IntakeStopped);
        }
        if now_ns.saturating_sub(process.looked_ns) < LOOK_EVERY_NS || !process.is_open {
            return Ok(());
        }
        process.looked_ns = now_ns;
        if process.lanes.iter().any(|lane| lane.waiting_ns != 0 && now_ns.saturating_sub(lane.waiting_ns) > DISK_NS_MAX) {
            self.counts.disks_slow += 1;
            return self.tell(node, Event::DiskSlow);
        }
        let uncommitted: u64 = process.lanes.iter().map(|lane| lane.view.positions.uncommitted_bytes.load()).sum();
        if uncommitted > uncommitted_max {
            self.counts.backlogs += 1;
            return self.tell(node, Event::Backlog);
        }
        Ok(())
    }

    /// Time is told of, and goes on.
    pub(super) fn tick(&mut self, node: usize) -> Result<(), Breach> {
        let (now_ns, life) = (self.queue.now_ns, self.nodes[node].life);
        self.queue.after(self.shape.heartbeat_ns / 2, What::Tick { node, life });
        self.tell_held_back(node)?;
        self.tell(node, Event::Tick)?;
        self.vouch_for_disk(node)?;
        self.close_strangers(node);
        let Some(process) = self.process(node) else { return Ok(()) };
        if process.shard.role() == Role::Standby && !process.is_open && now_ns.saturating_sub(process.since_ns) >= ALONE_NS {
            self.open(node)?;
        }
        self.ring_log(node);
        Ok(())
    }

    fn tell_held_back(&mut self, node: usize) -> Result<(), Breach> {
        for lane in (0u32..).take(self.lanes()) {
            if self.process(node).is_some_and(|process| process.lanes[lane as usize].holds_back()) {
                self.tell(node, Event::HeldBack { lane })?;
            }
        }
        Ok(())
    }

    fn close_strangers(&mut self, node: usize) {
        let now_ns = self.queue.now_ns;
        let Some(process) = self.process(node) else { return };
        let is_late = |since_ns: u64| now_ns.saturating_sub(since_ns) >= STRANGER_NS_MAX;
        let late: Vec<u64> =
            process.strangers.iter().filter(|(_, since_ns)| is_late(**since_ns)).map(|(connection, _)| *connection).collect();
        process.strangers.retain(|_, since_ns| !is_late(*since_ns));
        late.into_iter().for_each(|connection| self.network.close(&mut self.queue, node, connection, true));
    }

    // The arbiter.

    /// Its answer has come.
    pub(super) fn answered(&mut self, node: usize, bytes: &[u8]) -> Result<(), Breach> {
        let Ok(Some((answer, _))) = decode_answer(bytes) else {
            return Err(Breach::new("the arbiter's answers can be read", format!("{bytes:02x?}")));
        };
        let answered = self.process(node).and_then(|process| process.calls.on_answer(&answer));
        self.learn(node, answered)
    }

    /// What is overdue is given up.
    pub(super) fn given_up(&mut self, node: usize) -> Result<(), Breach> {
        let now_ns = self.queue.now_ns;
        let overdue = self.process(node).map_or_else(Vec::new, |process| process.calls.on_time(now_ns));
        self.learn(node, overdue)
    }

    fn learn(&mut self, node: usize, answers: impl IntoIterator<Item = headworks_replicator::witness::Answered>) -> Result<(), Breach> {
        for answered in answers {
            let Some(process) = self.process(node) else { return Ok(()) };
            // A late answer to what was given up is nobody's.
            if answered.token == process.token {
                let event = Event::of_answer(&answered, process.swaps);
                self.tell(node, event)?;
            }
        }
        Ok(())
    }

    // Connections.

    fn dial(&mut self, node: usize) -> Result<(), Breach> {
        let (now_ns, life) = (self.queue.now_ns, self.nodes[node].life);
        let is_late = |asked_ns: u64| now_ns.saturating_sub(asked_ns) >= ANSWER_NS_MAX;
        for at in 0..self.lanes() {
            if self.process(node).is_some_and(|process| process.lanes[at].asked_ns.is_some_and(is_late)) {
                self.lose(node, at)?;
            }
        }
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        if process.shard.role() != Role::Standby {
            return Ok(());
        }
        for (at, lane) in process.lanes.iter_mut().enumerate() {
            // What it accepted has to be in its log: an end behind its history would be answered with a cut.
            let end = process.shard.lane(u32::try_from(at).expect("few lanes")).end.sequence;
            let holds_all = !process.is_open || lane.view.positions.written.load() >= end;
            if lane.connection.is_none() && holds_all && lane.dial_ns.is_some_and(|due_ns| due_ns <= now_ns) {
                lane.dial_ns = None;
                self.network.dial(&mut self.queue, (node, life), at);
            }
        }
        Ok(())
    }

    /// A try to connect has ended.
    pub(super) fn dialled(&mut self, node: usize, lane: usize, connection: u64) -> Result<(), Breach> {
        let (now_ns, due_ns) = (self.queue.now_ns, self.queue.now_ns + REDIAL_NS);
        let Some(process) = self.process(node) else { return Ok(()) };
        process.lanes[lane].dial_ns = Some(due_ns);
        let wanted = process.shard.role() == Role::Standby && process.lanes[lane].connection.is_none();
        let Some(other) = self.process(1 - node).filter(|_| connection != 0 && wanted) else { return Ok(()) };
        other.strangers.insert(connection, now_ns);
        self.network.connect(connection);
        let Some(process) = self.process(node) else { return Ok(()) };
        let here = &mut process.lanes[lane];
        (here.connection, here.asked_ns) = (Some(connection), Some(now_ns));
        here.inbox.clear();
        self.tell(node, Event::LinkUp { lane: u32::try_from(lane).expect("few lanes") })
    }

    /// A frame has come.
    pub(super) fn frame(&mut self, node: usize, connection: u64, frame: Arc<[u8]>) -> Result<(), Breach> {
        let Some(process) = self.process(node) else { return Ok(()) };
        if process.strangers.remove(&connection).is_some() {
            return match wire::message(&frame) {
                Ok(Message::Hello(hello)) => {
                    let asking = Asking::of(&hello);
                    // Who asks again has given up the connection on which it asked before.
                    process.asking.retain(|(_, before)| before.lane != asking.lane || before.from.member != asking.from.member);
                    process.asking.push((connection, asking));
                    Ok(())
                }
                _ => {
                    self.network.close(&mut self.queue, node, connection, true);
                    Ok(())
                }
            };
        }
        if let Some(lane) = process.lane_of(connection) {
            process.lanes[lane].inbox.push_back(frame);
        }
        Ok(())
    }

    /// The other end of a connection is gone.
    pub(super) fn closed(&mut self, node: usize, connection: u64) -> Result<(), Breach> {
        self.network.close(&mut self.queue, node, connection, false);
        let Some(process) = self.process(node) else { return Ok(()) };
        process.strangers.remove(&connection);
        process.asking.retain(|(asking, _)| *asking != connection);
        let Some(lane) = process.lane_of(connection) else { return Ok(()) };
        self.hang_up(node, lane);
        self.tell(node, Event::LinkLost { lane: u32::try_from(lane).expect("few lanes"), reset: true })
    }

    /// Closes a lane's connection.
    pub(super) fn hang_up(&mut self, node: usize, lane: usize) {
        let due_ns = self.queue.now_ns + REDIAL_NS;
        let Some(process) = self.process(node) else { return };
        let here = &mut process.lanes[lane];
        if here.dial_ns.is_some() {
            here.dial_ns = Some(due_ns);
        }
        if let Some(connection) = here.hang_up() {
            self.network.close(&mut self.queue, node, connection, true);
        }
    }

    fn lose(&mut self, node: usize, lane: usize) -> Result<(), Breach> {
        self.counts.lost_links += 1;
        self.hang_up(node, lane);
        self.tell(node, Event::LinkLost { lane: u32::try_from(lane).expect("few lanes"), reset: false })
    }

    // What goes out.

    /// Says something on a lane's connection.
    pub(super) fn say(&mut self, node: usize, lane: u32, message: Outbound) -> Result<(), Breach> {
        match message {
            Outbound::Ack(Ack { epoch, .. }) | Outbound::Welcome { epoch, .. } | Outbound::HeartbeatAck { epoch } => {
                self.answers(node, epoch)?
            }
            _ => {}
        }
        let connection = self.process(node).and_then(|process| process.lanes[lane as usize].connection);
        if let Some(connection) = connection {
            self.say_on(node, connection, lane, message);
        }
        Ok(())
    }

    /// A node answers in an epoch: it has written down that it will answer in no lower one, and never does.
    fn answers(&mut self, node: usize, epoch: Epoch) -> Result<(), Breach> {
        let at = &mut self.nodes[node];
        let kept = at.storage.kept.promised;
        check("nobody answers in an epoch before it is promised durably", epoch <= kept, || {
            format!("node {node} answers in epoch {epoch}, and its superblock says {kept}")
        })?;
        check("nobody answers in an epoch after a higher one", epoch >= at.answered, || {
            format!("node {node} answers in epoch {epoch} after it has answered in {}", at.answered)
        })?;
        at.answered = epoch;
        Ok(())
    }

    fn say_on(&mut self, node: usize, connection: u64, lane: u32, message: Outbound) {
        let Some(process) = &self.nodes[node].process else { return };
        let views: Vec<&LaneView> = process.lanes.iter().map(|lane| &*lane.view).collect();
        let speaker = Speaker { shard: &process.shard, name: "node", address: "127.0.0.1:9092", views: &views };
        let frame = speaker.say(lane, message, wire::frame);
        self.network.send(&mut self.queue, node, connection, frame);
    }

    fn ship(&mut self, node: usize, at: usize) -> Result<(), Breach> {
        let lane = u32::try_from(at).expect("few lanes");
        loop {
            let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
            let here = &mut process.lanes[at];
            let (Some(connection), Some((epoch, next))) = (here.connection, here.shipping) else { return Ok(()) };
            if next >= here.view.positions.submitted.load() || self.network.flying(connection, 1 - node) >= FLYING_MAX {
                return Ok(());
            }
            let committed = here.view.positions.committed.load();
            match here.block(next) {
                Ok(block) => {
                    here.shipping = Some((epoch, next + 1));
                    self.network.send(&mut self.queue, node, connection, wire::append(&block, lane, epoch, committed));
                }
                Err(Missing::NotYet) => return Ok(()),
                Err(Missing::Gone | Missing::Unreadable(_)) => return self.lose(node, at),
            }
        }
    }

    // What comes in.

    fn answer_asking(&mut self, node: usize) -> Result<(), Breach> {
        let asking = self.process(node).map_or_else(Vec::new, |process| std::mem::take(&mut process.asking));
        for (connection, asking) in asking {
            let Some(process) = self.process(node) else { return Ok(()) };
            let leads = matches!(process.shard.role(), Role::Primary(_));
            // A member in sync never begins anew; without its connection it soon is none.
            let may_restart = process.shard.register().is_none_or(|register| !register.in_sync(asking.from.member));
            let lane = &mut process.lanes[asking.lane as usize];
            let verdict = if leads { lane.compared().verdict(&asking, may_restart) } else { Some(Verdict::Refuse(Refusal::NotPrimary)) };
            match verdict {
                Some(verdict) => self.answer(node, connection, &asking, verdict)?,
                None => process.asking.push((connection, asking)),
            }
        }
        Ok(())
    }

    fn answer(&mut self, node: usize, connection: u64, asking: &Asking, verdict: Verdict) -> Result<(), Breach> {
        let (lane, now_ns) = (asking.lane, self.nodes[node].clock(self.queue.now_ns));
        self.told(|| {
            let history = self.nodes[node].process.as_ref().map(|process| history(&process.lanes[lane as usize].view));
            let (end, theirs) = (asking.end.sequence, &asking.history);
            format!("node {node} answers lane {lane} that ends at {end} with {theirs:?}, over {history:?}: {verdict:?}")
        });
        let Some(process) = self.process(node) else { return Ok(()) };
        process.shard.on(now_ns, Event::Hello { lane, from: asking.from, end: asking.end, verdict });
        let effects: Vec<Effect> = std::iter::from_fn(|| process.shard.effect()).collect();
        let refused = effects.iter().find_map(|effect| if let Effect::Refuse { why, .. } = effect { Some(*why) } else { None });
        let epoch: Epoch = process.shard.kept().promised;
        if let Some(why) = refused {
            self.counts.refusals += 1;
            self.say_on(node, connection, lane, Outbound::Welcome { epoch, verdict: Verdict::Refuse(why), judged: asking.end });
            self.network.close(&mut self.queue, node, connection, true);
        } else {
            self.hang_up(node, lane as usize);
            let Some(process) = self.process(node) else { return Ok(()) };
            process.lanes[lane as usize].connection = Some(connection);
        }
        for effect in effects {
            self.carry_out(node, effect)?;
        }
        if let (None, Verdict::Follow { from }) = (refused, verdict) {
            self.replay_behind(node, connection, lane, from.sequence);
        }
        self.hear_news(node)
    }

    /// The worst moment for an old frame: behind the Welcome, the block of an earlier epoch that fits the lane's end.
    fn replay_behind(&mut self, node: usize, connection: u64, lane: u32, end: u64) {
        let Some(epoch) = self.leads(node).filter(|_| self.is_faulty()) else { return };
        let is_old = |envelope: &Envelope| envelope.lane == lane && envelope.sequence == end && envelope.epoch < epoch;
        let fits = |frame: &[u8]| wire::block_of(frame).is_some_and(|(envelope, _)| is_old(&envelope));
        if let Some(frame) = self.network.old_block(1 - node, fits) {
            self.network.send(&mut self.queue, node, connection, frame);
        }
    }

    fn receive(&mut self, node: usize, at: usize) -> Result<(), Breach> {
        loop {
            let Some(process) = self.process(node) else { return Ok(()) };
            if process.shard.is_promising(u32::try_from(at).expect("few lanes")) {
                return Ok(());
            }
            let here = &mut process.lanes[at];
            if here.holds_back() {
                return Ok(());
            }
            let Some(frame) = here.inbox.pop_front() else { return Ok(()) };
            if wire::block_of(&frame).is_some() { self.receive_block(node, at, frame)? } else { self.hear(node, at, &frame)? }
        }
    }

    fn receive_block(&mut self, node: usize, at: usize, frame: Arc<[u8]>) -> Result<(), Breach> {
        let pair = self.shape.config.pair;
        let Some(process) = self.process(node) else { return Ok(()) };
        let here = &mut process.lanes[at];
        let Some((envelope, block)) = wire::block_of(&frame) else { return Ok(()) };
        if envelope.lane as usize != at || prove(block, &envelope, here.view.lane, pair).is_err() {
            return self.lose(node, at);
        }
        let told = here.told.0;
        let present = here.compared().has(&envelope, told);
        process.append = Some(Arc::clone(&frame));
        self.tell(node, Event::Append { envelope, present })
    }

    fn hear(&mut self, node: usize, at: usize, frame: &[u8]) -> Result<(), Breach> {
        let lane = u32::try_from(at).expect("few lanes");
        let heard = wire::message(frame).and_then(|message| heard(&message, lane));
        match heard {
            Ok(Heard::Event(event)) => self.tell(node, event),
            Ok(Heard::Answer { event: Event::Welcome { lane, epoch, verdict, judged, register_version, .. }, .. }) => {
                let Some(process) = self.process(node) else { return Ok(()) };
                process.lanes[at].asked_ns = None;
                let own = process.lanes[at].compared().chain_of(&verdict);
                self.told(|| format!("node {node} is answered {verdict:?}, own {own:?}"));
                self.tell(node, Event::Welcome { lane, epoch, verdict, judged, own, register_version })
            }
            Ok(Heard::Answer { event, .. }) => self.tell(node, event),
            // On a connection that is a lane's already: it was cut, and asks again.
            Ok(Heard::Asking(asking)) => {
                let Some(process) = self.process(node) else { return Ok(()) };
                if let Some(connection) = process.lanes[at].hang_up() {
                    process.asking.push((connection, asking));
                    self.ring_pair(node);
                }
                Ok(())
            }
            Err(_) => self.lose(node, at),
        }
    }

    /// A question has come to the arbiter.
    pub(super) fn asked(&mut self, node: usize, life: u64, bytes: &[u8]) -> Result<(), Breach> {
        let before = self.arbiter.swaps;
        let answer = self.arbiter.answer(bytes);
        if self.arbiter.swaps != before {
            self.register_changed()?;
        }
        if !self.arbiter.is_up() {
            self.arbiter_starts_later();
        }
        let time_ns = self.network.comes_ns(ARBITER, node, self.queue.now_ns, false);
        if let (Some(bytes), Some(time_ns)) = (answer, time_ns) {
            self.queue.at(time_ns, What::Answered { node, life, bytes });
        }
        Ok(())
    }
}
