//! The pair's loop, on the thread `hw-pair`: everything that the two nodes and the arbiter say to each other goes through here.
//!
//! ```text
//! arbiter answers ┐
//! node's events   │              ┌► connections: messages, blocks from slots or segments
//! lanes moved     ├► Shard::on ──┼► gates of the log loop, slots published to it
//! messages, blocks│   effects    ├► superblock, arbiter
//! time            ┘              └► the node: lead, serve, start over
//! ```
//!
//! A turn never waits but for the superblock, and for what the node does when it is told to lead. Between turns it sleeps in one
//! poll over all descriptors.

mod claims;
mod show;
mod sleep;
mod speak;
mod strangers;

use super::arbiter::Arbiter;
use super::compare::Asking;
use super::connection::{Connection, Lost};
use super::host::{Cause, Host};
use super::inquiry::Inquiry;
use super::lane::Lane;
use super::lending::Lending;
use super::receiving::Receiving;
use super::shipping::Shipping;
use super::words::Heard;
use crate::event::{Effect, Event, Outbound, StartOver};
use crate::message::{self, Verdict};
use crate::shard::{Role, Shard};
use crate::witness::Outcome;
use headworks_format::{Epoch, PairId};
use headworks_io::{Clock, Wake};
use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};

/// How long a node that stands by looks for a primary before it opens its lanes by itself.
const ALONE_NS: u64 = 1_500_000_000;
/// How long a node that stands by waits for the answer to what it asked before it asks again on another connection.
const ANSWER_NS_MAX: u64 = 1_000_000_000;
/// Blocks and messages of one lane that are taken before others have their turn.
const TAKEN_MAX: usize = 64;

/// What the loop is made of.
pub struct PairParts<H: Host, A> {
    /// The machine.
    pub shard: Shard,
    /// The node.
    pub host: H,
    /// The arbiter.
    pub arbiter: A,
    /// Where the other node's lanes are let in.
    pub listener: TcpListener,
    /// Where the other node listens.
    pub peer: SocketAddr,
    /// Rung by the log loop, the arbiter and the node.
    pub wake: Wake,
    /// The pair.
    pub pair: PairId,
    /// How often time is told of.
    pub tick_ns: u64,
    /// Whether each node keeps a register of its own: then a node that is not connected asks the other one what that says.
    pub inquires: bool,
}

/// The loop.
pub struct PairLoop<H: Host, A> {
    shard: Shard,
    host: H,
    arbiter: A,
    listener: TcpListener,
    peer: SocketAddr,
    wake: Wake,
    pair: PairId,
    tick_ns: u64,
    lanes: Vec<Lane<H::Disk>>,
    strangers: Vec<(Connection, u64)>,
    /// Lanes that ask and cannot be answered yet.
    asking: Vec<(Connection, Asking)>,
    lent: Vec<Lending<H::Disk>>,
    /// What effects brought about, told once the effects before are carried out.
    news: VecDeque<Event>,
    log: Option<Wake>,
    /// The last thing that the arbiter was asked, and whether it was a swap.
    token: u64,
    swaps: bool,
    ticked_ns: u64,
    heard_ns: u64,
    silence_ns_max: u64,
    arbiter_answers: bool,
    /// Why this node would lead if it did now.
    cause: Cause,
    led: [u64; Cause::ALL.len()],
    rejected: u64,
    is_open: bool,
    since_ns: u64,
    /// Where an operator is the arbiter: asks the other node what its register says.
    inquiry: Option<Inquiry>,
}

impl<H: Host, A: Arbiter> PairLoop<H, A> {
    /// Over recovered lanes.
    ///
    /// # Errors
    /// The listener cannot be made non-blocking.
    pub fn new(parts: PairParts<H, A>, lanes: u32) -> std::io::Result<PairLoop<H, A>> {
        parts.listener.set_nonblocking(true)?;
        let lanes = (0..lanes).map(|lane| Lane::new(parts.host.log(lane))).collect();
        Ok(PairLoop {
            shard: parts.shard,
            host: parts.host,
            arbiter: parts.arbiter,
            listener: parts.listener,
            peer: parts.peer,
            wake: parts.wake,
            pair: parts.pair,
            tick_ns: parts.tick_ns,
            lanes,
            strangers: Vec::new(),
            asking: Vec::new(),
            lent: Vec::new(),
            news: VecDeque::new(),
            log: None,
            token: 0,
            swaps: false,
            ticked_ns: 0,
            heard_ns: 0,
            silence_ns_max: 0,
            arbiter_answers: false,
            cause: Cause::Start,
            led: [0; Cause::ALL.len()],
            rejected: 0,
            is_open: false,
            since_ns: Clock.monotonic_ns(),
            inquiry: parts.inquires.then(|| Inquiry::new(parts.peer)),
        })
    }

    /// Runs until the node stops, or the machine has ended.
    pub fn run(mut self) -> H {
        while !self.host.is_over() && self.shard.role() != Role::Ended {
            if self.turn() == 0 {
                self.wait();
            }
        }
        self.host
    }

    /// One turn; returns how much was done.
    pub fn turn(&mut self) -> usize {
        let now_ns = Clock.monotonic_ns();
        let mut done = self.hear_arbiter(now_ns);
        while let Some(event) = self.host.next() {
            if matches!(event, Event::IntakeStopped) {
                // The last blocks were stamped before that was said: the machine must not believe that the standby has all without them.
                self.look_at_lanes(now_ns);
            }
            self.on(now_ns, event);
            done += 1;
        }
        done += self.look_at_lanes(now_ns);
        done += self.let_in(now_ns);
        done += self.answer_asking(now_ns);
        self.lend(now_ns);
        if self.shard.role() == Role::Standby {
            self.dial(now_ns);
        }
        done += self.inquire(now_ns);
        for lane in 0..self.lanes.len() {
            done += self.receive(lane, now_ns);
            done += self.send(lane, now_ns);
        }
        if now_ns.saturating_sub(self.ticked_ns) >= self.tick_ns {
            self.ticked_ns = now_ns;
            self.tell_held_back(now_ns);
            self.on(now_ns, Event::Tick);
            self.open_if_alone(now_ns);
            self.show(now_ns);
        }
        done
    }

    /// Tells the machine, and carries out what it orders, in order.
    fn on(&mut self, now_ns: u64, event: Event) {
        self.consider(&event);
        self.shard.on(now_ns, event);
        self.carry_out_all(now_ns);
        while let Some(event) = self.news.pop_front() {
            self.shard.on(now_ns, event);
            self.carry_out_all(now_ns);
        }
    }

    fn carry_out_all(&mut self, now_ns: u64) {
        while let Some(effect) = self.shard.effect() {
            self.carry_out(effect, now_ns);
        }
    }

    fn carry_out(&mut self, effect: Effect, now_ns: u64) {
        match effect {
            Effect::Read => {
                (self.token, self.swaps) = (self.token + 1, false);
                self.arbiter.get(self.token, self.shard.kept().arbiter);
            }
            Effect::Swap(swap) => {
                (self.token, self.swaps) = (self.token + 1, true);
                self.arbiter.cas(self.token, self.shard.kept().arbiter, swap);
            }
            Effect::Persist(kept) => self.host.persist(&kept),
            Effect::Send { lane, message } => self.queue(lane, message, now_ns),
            // Answered where the asking connection is at hand.
            Effect::Refuse { .. } => {}
            Effect::Ship { lane, epoch, from } => self.lanes[lane as usize].shipping = Some(Shipping::new(epoch, from)),
            Effect::CloseLink { lane, .. } => self.hang_up(lane, now_ns),
            Effect::Accept { lane, .. } => self.accept(lane),
            Effect::Gate { lane, through, serial } => self.set_gate(lane, through, serial),
            Effect::PeerReceived { lane, through } => self.lanes[lane as usize].log.view.gate.set_received(through),
            Effect::Open { lane } => self.want_open(lane),
            // Opened for want of a primary: what is open is not cut.
            Effect::Cut { .. } | Effect::Restart { .. } if self.is_open => self.host.start_over(StartOver::Rejoin),
            Effect::Cut { lane, to } => {
                self.host.cut(lane, to);
                self.renew(lane);
                self.news.push_back(Event::LaneCut { lane, end: to });
            }
            Effect::Restart { lane, from, shared } => {
                self.host.restart(lane, from, shared);
                self.renew(lane);
                self.news.push_back(Event::LaneCut { lane, end: from });
            }
            Effect::Lead { epoch } => self.lead(epoch),
            Effect::Serve { epoch } => self.host.serve(epoch),
            Effect::StopServing => self.host.stop_serving(),
            Effect::StopIntake => self.host.stop_intake(),
            Effect::StartOver(why) => self.host.start_over(why),
            Effect::Halt(why) => self.host.halt(&why),
            Effect::Note(note) => self.host.note(&note),
        }
    }

    // The arbiter.

    fn hear_arbiter(&mut self, now_ns: u64) -> usize {
        let mut heard = 0;
        while let Some(answered) = self.arbiter.next() {
            heard += 1;
            self.arbiter_answers = !matches!(answered.outcome, Outcome::Unreachable(_) | Outcome::Unknown);
            // A late answer to what was given up is nobody's.
            if answered.token == self.token {
                self.on(now_ns, Event::of_answer(&answered, self.swaps));
            }
        }
        heard
    }

    // The lanes' logs.

    fn look_at_lanes(&mut self, now_ns: u64) -> usize {
        let mut moved = 0;
        for at in 0..self.lanes.len() {
            let lane = u32::try_from(at).expect("at most 64 lanes");
            let gate = &self.lanes[at].log.view.gate;
            let (_, serial) = self.lanes[at].gate;
            if serial != 0 && gate.seen() == serial {
                self.lanes[at].gate.1 = 0;
                let committed = self.lanes[at].log.view.positions.committed.load();
                self.on(now_ns, Event::GateSeen { lane, serial, committed });
                moved += 1;
            }
            let (end, durable) = self.lanes[at].positions();
            if self.is_open && self.lanes[at].told != (end, durable) {
                self.lanes[at].told = (end, durable);
                self.on(now_ns, Event::LaneMoved { lane, end, durable });
                moved += 1;
            }
        }
        moved
    }

    fn tell_held_back(&mut self, now_ns: u64) {
        for lane in (0u32..).take(self.lanes.len()) {
            if self.lanes[lane as usize].holds_back() {
                self.on(now_ns, Event::HeldBack { lane });
            }
        }
    }

    fn set_gate(&mut self, lane: u32, through: u64, serial: u32) {
        let at = &mut self.lanes[lane as usize];
        at.gate.0 = through;
        if serial == 0 {
            at.log.view.gate.set_durable(through);
        } else {
            at.gate.1 = serial;
            at.log.view.gate.lower(through, serial);
        }
        self.wake_log();
    }

    fn wake_log(&self) {
        if let Some(log) = &self.log {
            log.wake();
        }
    }

    fn want_open(&mut self, lane: u32) {
        self.lanes[lane as usize].is_wanted_open = true;
        if !self.is_open && self.lanes.iter().all(|lane| lane.is_wanted_open) {
            self.open();
        }
    }

    /// A node that stands by and finds no primary is opened all the same, so that it can be asked how it is.
    fn open_if_alone(&mut self, now_ns: u64) {
        if self.shard.role() == Role::Standby && !self.is_open && now_ns.saturating_sub(self.since_ns) >= ALONE_NS {
            self.open();
        }
    }

    fn open(&mut self) {
        let (fillers, log) = self.host.open();
        self.log = Some(log);
        self.is_open = true;
        for (lane, filler) in (0u32..).zip(fillers) {
            self.renew(lane);
            let at = &mut self.lanes[lane as usize];
            let known = at.log.view.partitions.iter().map(|partition| partition.id);
            at.receiving = Some(Receiving::new(filler, known));
            // It took its time, in which nothing was heard from here: both sides begin this connection anew.
            at.hang_up();
            self.news.push_back(Event::LinkLost { lane, reset: false });
        }
        self.wake_log();
    }

    fn renew(&mut self, lane: u32) {
        let log = self.host.log(lane);
        self.lanes[lane as usize].renew(log);
    }

    fn lead(&mut self, epoch: Epoch) {
        let fillers = self.is_open.then(|| {
            let receiving = self.lanes.iter_mut().filter_map(|lane| lane.receiving.take());
            receiving.map(Receiving::into_filler).collect::<Vec<_>>()
        });
        for lane in &mut self.lanes {
            lane.hang_up();
        }
        let Some(ends) = self.host.lead(epoch, fillers) else { return };
        self.led[self.cause as usize] += 1;
        self.is_open = true;
        for lane in (0u32..).take(self.lanes.len()) {
            self.renew(lane);
        }
        self.news.push_back(Event::Led { ends });
    }

    // What comes in.

    /// Answers who asks to follow, as soon as the two logs can be compared.
    fn answer_asking(&mut self, now_ns: u64) -> usize {
        let mut answered = 0;
        for (connection, asking) in std::mem::take(&mut self.asking) {
            let lane = asking.lane as usize;
            let leads = matches!(self.shard.role(), Role::Primary(_));
            // A member in sync never begins anew; without its connection it soon is none.
            let is_in_sync = self.shard.register().is_some_and(|register| register.in_sync(asking.from.member));
            // Whoever is refused for what it is costs no look into the log.
            let verdict = match self.shard.refuses(&asking.from) {
                Some(why) => Some(Verdict::Refuse(why)),
                None if leads => self.lanes[lane].compared().verdict(&asking, !is_in_sync),
                None => Some(Verdict::Refuse(message::Refusal::NotPrimary)),
            };
            if let Some(Verdict::Restart { from, .. }) = verdict
                && from.sequence > asking.end.sequence
            {
                let (end, from) = (asking.end.sequence, from.sequence);
                self.host.say(&format!("lane {lane}: the other node begins anew at block {from}; those from {end} on are not to be had"));
            }
            match verdict {
                Some(verdict) => {
                    self.answer(connection, &asking, verdict, now_ns);
                    answered += 1;
                }
                None => self.asking.push((connection, asking)),
            }
        }
        answered
    }

    fn answer(&mut self, mut connection: Connection, asking: &Asking, verdict: Verdict, now_ns: u64) {
        let lane = asking.lane;
        self.shard.on(now_ns, Event::Hello { lane, from: asking.from, end: asking.end, verdict });
        let effects: Vec<Effect> = std::iter::from_fn(|| self.shard.effect()).collect();
        let refused = effects.iter().find_map(|effect| if let Effect::Refuse { why, .. } = effect { Some(*why) } else { None });
        if let Some(why) = refused {
            let welcome = Outbound::Welcome { epoch: self.shard.kept().promised, verdict: Verdict::Refuse(why), judged: asking.end };
            // Who is refused is told once; whether it hears is its own affair.
            drop(self.queue_on(lane, &mut connection, welcome).and_then(|()| connection.flush()));
        } else {
            self.heard_ns = now_ns;
            self.lanes[lane as usize].take(connection);
            self.host.met(asking.peer());
        }
        for effect in effects {
            self.carry_out(effect, now_ns);
        }
        while let Some(event) = self.news.pop_front() {
            self.on(now_ns, event);
        }
    }

    fn dial(&mut self, now_ns: u64) {
        for at in 0..self.lanes.len() {
            let lane = u32::try_from(at).expect("at most 64 lanes");
            if self.lanes[at].connection.is_some() {
                if self.lanes[at].asked_ns.is_some_and(|asked_ns| now_ns.saturating_sub(asked_ns) >= ANSWER_NS_MAX) {
                    self.lose(at, &Lost::given_up("no answer to what was asked"), now_ns);
                }
                continue;
            }
            if !self.lanes[at].holds_through(self.shard.lane(lane).end.sequence) {
                continue;
            }
            if let Some(connection) = self.lanes[at].dialling.step(self.peer, now_ns) {
                self.lanes[at].take(connection);
                self.lanes[at].asked_ns = Some(now_ns);
                self.heard_ns = now_ns;
                self.on(now_ns, Event::LinkUp { lane });
            }
        }
    }

    fn receive(&mut self, at: usize, now_ns: u64) -> usize {
        let mut taken = 0;
        while taken < TAKEN_MAX && !self.is_promising(at) {
            let heard = match self.lanes[at].bring(self.pair) {
                Ok(None) => return taken,
                Ok(Some(heard)) => heard,
                Err(lost) => {
                    self.lose(at, &lost, now_ns);
                    return taken + 1;
                }
            };
            taken += 1;
            self.hear(now_ns);
            match heard {
                Heard::Event(event) => self.on(now_ns, event),
                Heard::Answer { event, peer } => {
                    self.lanes[at].asked_ns = None;
                    self.host.met(peer);
                    let event = self.with_own_chain(at, event);
                    self.on(now_ns, event);
                }
                // Another lane has a connection of its own.
                Heard::Asking(asking) if asking.lane as usize != at => {
                    self.lose(at, &Lost::given_up("it asks for another lane than its own"), now_ns);
                    return taken;
                }
                // On a connection that is the lane's already: it was cut, and asks again.
                Heard::Asking(asking) => {
                    if let Some(connection) = self.lanes[at].connection.take() {
                        self.lanes[at].hang_up();
                        self.asking.push((connection, asking));
                    }
                }
            }
        }
        taken
    }

    /// Whether what comes on a lane's connection is left there, until a promise is durable.
    fn is_promising(&self, at: usize) -> bool {
        self.shard.is_promising(u32::try_from(at).expect("at most 64 lanes"))
    }

    /// A verdict's point is compared with the lane's own chain there.
    fn with_own_chain(&mut self, at: usize, event: Event) -> Event {
        let Event::Welcome { lane, epoch, verdict, judged, register_version, .. } = event else { return event };
        let own = self.lanes[at].compared().chain_of(&verdict);
        Event::Welcome { lane, epoch, verdict, judged, own, register_version }
    }

    fn accept(&mut self, lane: u32) {
        let named = self.lanes[lane as usize].receiving.as_mut().map_or_else(Vec::new, Receiving::named);
        for mut partition in named {
            // The log loop takes them one by one; it is awake, since there is one to take.
            while let Err(back) = self.host.grow(lane, partition) {
                partition = back;
                self.wake_log();
                std::thread::yield_now();
            }
        }
        if let Some(receiving) = &mut self.lanes[lane as usize].receiving {
            receiving.publish();
        }
        self.wake_log();
    }

    // What goes out.

    fn send(&mut self, at: usize, now_ns: u64) -> usize {
        match self.lanes[at].send() {
            Ok(bytes) => usize::from(bytes > 0),
            Err(lost) => {
                self.lose(at, &lost, now_ns);
                1
            }
        }
    }

    fn lose(&mut self, at: usize, lost: &Lost, now_ns: u64) {
        let lane = u32::try_from(at).expect("at most 64 lanes");
        if !lost.reset {
            self.rejected += 1;
        }
        self.host.say(&format!("lane {lane}: the connection to the other node is lost: {}", lost.why));
        self.hang_up(lane, now_ns);
        self.on(now_ns, Event::LinkLost { lane, reset: lost.reset });
    }

    fn hang_up(&mut self, lane: u32, now_ns: u64) {
        let at = &mut self.lanes[lane as usize];
        at.hang_up();
        at.dialling.pause(now_ns);
    }
}
