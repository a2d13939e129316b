//! Everything there is, and what happens to it: one event after another, each of them checked.

use super::arbiter::Arbiter;
use super::clients::Client;
use super::faults::Faults;
use super::lane::Lane;
use super::network::Network;
use super::node::{Node, Process};
use super::queue::{Done, Queue, Reply, What};
use super::run::{Counts, Mutant, Options};
use super::storage::Storage;
use super::truth::Truth;
use crate::breach::{Breach, check};
use crate::disk::Broken;
use crate::node::seal;
use crate::random::Random;
use crate::reader;
use crate::trace::Trace;
use headworks_format::block::{self, Head};
use headworks_format::{Chain, Epoch, LaneId, PairId};
use headworks_log::append::Config;
use headworks_log::catalog::Stream;
use headworks_log::recover::blank;
use headworks_log::retain::Limits;
use headworks_log::view::LaneView;
use headworks_log::{blocks, recover};
use headworks_replicator::register::Mode;
use headworks_replicator::shard::{Lane as MachineLane, Settings, Shard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Purposes of the streams.
const SHAPE: u64 = 11;
const SCHEDULE: u64 = 12;
const FAULTS: u64 = 13;
const NETWORK: u64 = 14;
const ARBITER: u64 = 15;
const NONCES: u64 = 16;
const CLIENTS: u64 = 32;

/// What stays the same during a run.
#[derive(Debug)]
pub struct Shape {
    /// What each lane's log is fixed to.
    pub config: Config,
    /// Lanes.
    pub lanes: u32,
    /// How often a sign of life is sent.
    pub heartbeat_ns: u64,
    /// Whether a primary goes on alone.
    pub may_run_alone: bool,
    /// Uncommitted bytes beyond which the standby is left behind.
    pub uncommitted_bytes_max: u64,
    /// Segment files that fit on a lane's disk.
    pub files_max: usize,
    /// Streams of every lane.
    pub streams: Vec<Stream>,
    /// Whether a failed disk is told to the machine, which writes it down; else the process just ends.
    pub faults_are_kept: bool,
    /// What is wrong on purpose.
    #[cfg_attr(not(feature = "mutants"), expect(dead_code, reason = "rules are taken away in builds for it only"))]
    pub mutant: Mutant,
}

/// See the module.
pub struct World {
    pub(super) shape: Shape,
    pub(super) queue: Queue,
    pub(super) network: Network,
    pub(super) arbiter: Arbiter,
    pub(super) nodes: [Node; 2],
    pub(super) clients: Vec<Client>,
    pub(super) truth: Truth,
    pub(super) faults: Faults,
    pub(super) schedule: Random,
    pub(super) nonces: Random,
    pub(super) trace: Trace,
    pub(super) counts: Counts,
    /// Whether clients send no more.
    pub(super) is_quiet: bool,
    pub(super) is_told: bool,
}

impl World {
    /// Two blank nodes, a blank register, and clients that are about to send.
    pub fn new(seed: u64, options: &Options) -> World {
        let mut random = Random::new(seed, SHAPE);
        let shape = shape(&mut random, options.mutant);
        let broken = if let Mutant::Disk(broken) = options.mutant { broken } else { Broken::Not };
        let blank = || Storage::blank(shape.lanes, shape.config.segment_bytes, broken);
        let faults = Faults::new(Random::new(seed, FAULTS), options.faults);
        let clients = (0..random.index(4) + 2).map(|number| Client::new(number, Random::new(seed, CLIENTS + number as u64), shape.lanes));
        let mut world = World {
            queue: Queue::default(),
            network: Network::new(Random::new(seed, NETWORK), faults.has("loose")),
            arbiter: Arbiter::new(Random::new(seed, ARBITER), options.mutant == Mutant::ArbiterForgets),
            nodes: [Node::new(0, blank()), Node::new(1, blank())],
            clients: clients.collect(),
            truth: Truth::new(shape.lanes),
            faults,
            schedule: Random::new(seed, SCHEDULE),
            nonces: Random::new(seed, NONCES),
            trace: Trace::default(),
            counts: Counts::default(),
            is_quiet: false,
            is_told: options.is_told,
            shape,
        };
        for node in 0..2 {
            world.start_after(node, 1_000_000, 30_000_000);
        }
        for client in 0..world.clients.len() {
            world.queue.after(10_000_000, What::Next { client });
        }
        world.queue.after(20_000_000, What::Consume);
        world.queue.after(300_000_000, What::Fault);
        world
    }

    /// A line for who replays a seed to understand it.
    pub(super) fn told(&self, line: impl FnOnce() -> String) {
        if self.is_told {
            println!("{:>10.3} ms  {}", core::time::Duration::from_nanos(self.queue.now_ns).as_secs_f64() * 1_000.0, line());
        }
    }

    pub(super) fn lanes(&self) -> usize {
        self.shape.lanes as usize
    }

    /// Lets things happen until that time.
    pub fn until(&mut self, end_ns: u64) -> Result<(), Breach> {
        while self.queue.next_ns().is_some_and(|next_ns| next_ns <= end_ns) {
            let Some(what) = self.queue.pop() else { break };
            self.happen(what)?;
        }
        self.queue.now_ns = self.queue.now_ns.max(end_ns);
        Ok(())
    }

    fn happen(&mut self, what: What) -> Result<(), Breach> {
        self.counts.events += 1;
        if what.life().is_some_and(|(node, life)| self.nodes[node].life != life) {
            return Ok(());
        }
        if let What::Frame { node, connection, .. } = what {
            let is_up = !self.nodes[node].is_silent;
            if !self.network.arrives(&mut self.queue, node, connection, is_up) {
                return Ok(());
            }
        }
        if let Some((node, is_log)) = what.process() {
            let at = &mut self.nodes[node];
            let Some(process) = &at.process else { return self.nobody(&what) };
            if at.paused_until_ns > self.queue.now_ns || (!is_log && process.taking.is_some()) {
                at.held.push(what);
                return Ok(());
            }
        }
        self.trace.add(what.kind(), &[self.queue.now_ns, what.process().map_or(9, |(node, _)| node as u64)]);
        self.take(what)
    }

    /// A process is gone: whoever wants something of it is told.
    fn nobody(&mut self, what: &What) -> Result<(), Breach> {
        if let What::Request { client, attempt, node } = what
            && !self.nodes[*node].is_silent
        {
            self.reply(*client, *attempt, Reply::NotLeader);
        }
        Ok(())
    }

    fn take(&mut self, what: What) -> Result<(), Breach> {
        match what {
            What::Start { node, .. } => self.start(node),
            What::Wake { node } => {
                if self.nodes[node].paused_until_ns <= self.queue.now_ns {
                    self.release(node);
                }
                Ok(())
            }
            What::Tick { node, .. } => self.tick(node).and_then(|()| self.pair_turn(node)),
            What::Turn { node, .. } => self.pair_turn(node),
            What::Frame { node, connection, bytes } => self.frame(node, connection, bytes).and_then(|()| self.pair_turn(node)),
            What::Closed { node, connection } => self.closed(node, connection).and_then(|()| self.pair_turn(node)),
            What::Dialled { node, lane, connection, .. } => self.dialled(node, lane, connection).and_then(|()| self.pair_turn(node)),
            What::Asked { node, life, bytes } => self.asked(node, life, &bytes),
            What::Answered { node, bytes, .. } => self.answered(node, &bytes).and_then(|()| self.pair_turn(node)),
            What::GivenUp { node, .. } => self.given_up(node).and_then(|()| self.pair_turn(node)),
            What::Persisted { node, kept, .. } => self.persisted(node, kept).and_then(|()| self.pair_turn(node)),
            What::Disk { node, lane, done, .. } => self.disk(node, lane, done).and_then(|()| self.log_turn(node)),
            What::ArbiterStarts => self.arbiter.start().map_err(|says| Breach::new("the arbiter starts again", says)),
            What::Request { node, client, attempt } => self.request(node, client, attempt),
            What::Switchover { node, .. } => self.switchover(node).and_then(|()| self.pair_turn(node)),
            What::Reply { client, attempt, reply } => {
                self.replied(client, attempt, reply);
                Ok(())
            }
            What::Timeout { client, attempt } => {
                self.timed_out(client, attempt);
                Ok(())
            }
            What::Next { client } => {
                self.next(client);
                Ok(())
            }
            What::Consume => self.consume(),
            What::Fault => self.fault(),
        }
    }

    // Processes.

    /// Starts a node's process some time from now on.
    pub(super) fn start_after(&mut self, node: usize, least_ns: u64, most_ns: u64) {
        if self.nodes[node].stays_down {
            return;
        }
        let delay_ns = self.schedule.within(least_ns, most_ns);
        let life = self.nodes[node].life;
        self.queue.after(delay_ns, What::Start { node, life });
    }

    fn start(&mut self, node: usize) -> Result<(), Breach> {
        let at = &mut self.nodes[node];
        if at.process.is_some() {
            return Ok(());
        }
        at.is_silent = false;
        let (kept, me) = (at.storage.kept, at.member);
        // As the node looks before it recovers: whoever knows nothing waits for the arbiter.
        let reaches = self.arbiter.is_up() && !self.network.is_cut(node, super::network::ARBITER, self.queue.now_ns);
        let is_other = kept.arbiter != 0 && Some(kept.arbiter) != self.arbiter.incarnation();
        let register = if reaches && !is_other { Some(self.arbiter.register()) } else { None };
        if register.is_none() && kept.arbiter == 0 {
            self.start_after(node, 50_000_000, 150_000_000);
            return Ok(());
        }
        let is_alone = register.flatten().is_none_or(|register| register.primary == me && register.standby.is_none());
        let mut lanes = Vec::new();
        for lane in 0..self.lanes() {
            let mut disk = self.nodes[node].storage.lanes[lane].clone();
            self.arm(&disk);
            let recovered = recover(&mut disk, &self.rules(lane, is_alone));
            disk.with(|disk| disk.fuse = None);
            match recovered {
                Ok(recovered) => lanes.push(Lane::closed(u32::try_from(lane).expect("few lanes"), disk, recovered)),
                Err(error) => return self.disk_failed(node, &error),
            }
        }
        self.told(|| {
            let ends: Vec<_> = lanes.iter().map(|lane: &Lane| (lane.recovered.next, lane.gate.0, lane.recovered.holes().count())).collect();
            format!("node {node} starts, alone {is_alone}, lanes {ends:?}, {kept:?}")
        });
        let known =
            lanes.iter().map(|lane| MachineLane { end: lane.end, durable: lane.end.sequence, committed: lane.gate.0, is_open: false });
        let shard = machine(&self.shape, self.settings(node), kept, known.collect());
        let now_ns = self.queue.now_ns;
        self.nodes[node].process = Some(Process::new(shard, lanes, now_ns));
        self.counts.starts += 1;
        for lane in 0..self.lanes() {
            self.find(node, lane)?;
        }
        let life = self.nodes[node].life;
        self.queue.after(0, What::Tick { node, life });
        Ok(())
    }

    fn settings(&self, node: usize) -> Settings {
        let shape = &self.shape;
        let detect_ns = 5 * shape.heartbeat_ns;
        Settings {
            me: self.nodes[node].member,
            pair: shape.config.pair,
            lanes: shape.lanes,
            segment_bytes: shape.config.segment_bytes,
            mode: Mode::Auto,
            may_run_alone: shape.may_run_alone,
            heartbeat_ns: shape.heartbeat_ns,
            detect_ns,
            holdoff_ns: 2 * detect_ns,
            poll_ns: 50_000_000,
            handover_ns: 1_000_000_000,
            handover_pause_ns: 2_000_000_000,
            catch_up_blocks: 32,
        }
    }

    /// A lane is what was found on its disk: what was durable is there, or in quarantine, or is the other log's as well.
    pub(super) fn find(&mut self, node: usize, lane: usize) -> Result<(), Breach> {
        let (start, shared) = (self.nodes[node].starts[lane], self.nodes[node].shared[lane]);
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let at = &mut process.lanes[lane];
        let mut found = BTreeMap::new();
        for sequence in blocks::first(&at.view).unwrap_or(at.end.sequence)..at.end.sequence {
            let Ok(block) = at.blocks.read(sequence) else { continue };
            let head = block.first_chunk().and_then(|page| Head::parse(page).ok());
            found.insert(sequence, head.expect("a block that was proved").chain());
        }
        at.chains.clone_from(&found);
        let disk = at.disk.clone();
        let is_kept = |bytes: &[u8]| disk.with(|disk| crate::restart::is_kept(disk, bytes));
        self.truth.finds((node, lane), &found, start, shared, is_kept)
    }

    /// A node's process ends. `power`: its system with it. `waits`: whoever starts next waits for its writes.
    pub(super) fn die(&mut self, node: usize, power: bool, waits: bool) {
        let life = self.nodes[node].life;
        let jobs = self.queue.take(|what| what.life() == Some((node, life)) && !matches!(what, What::Start { .. }));
        self.queue.take(|what| what.life() == Some((node, life)));
        let held = std::mem::take(&mut self.nodes[node].held);
        self.nodes[node].life += 1;
        self.network.close_all(&mut self.queue, node, !power);
        let Some(process) = self.nodes[node].process.take() else { return };
        self.trace.add(100, &[node as u64, u64::from(power)]);
        self.told(|| format!("node {node} dies{}", if power { " with its power" } else { "" }));
        // What the files thread was at got as far as chance has it.
        for what in jobs.into_iter().chain(held) {
            let What::Disk { lane, done, .. } = what else { continue };
            let at = &process.lanes[lane];
            let Some(log) = &at.log else { continue };
            let calls = if waits { None } else { Some(u32::try_from(self.schedule.below(7)).expect("below 7")) };
            at.disk.with(|disk| {
                disk.fuse = calls;
                match done {
                    Done::Blank(file) => drop(blank(disk, file)),
                    Done::Seal(order) => drop(seal(disk, at.view.lane, log, &order)),
                    _ => {}
                }
            });
        }
        let at = &mut self.nodes[node];
        self.counts.torn += at.storage.die(&mut self.schedule, power, waits);
        (at.paused_until_ns, at.is_silent, at.refuses_in) = (0, power, None);
    }

    /// What came while a node could not listen comes now.
    pub(super) fn release(&mut self, node: usize) {
        for what in std::mem::take(&mut self.nodes[node].held) {
            // It has arrived already.
            if let What::Frame { connection, .. } = what {
                self.network.comes(connection, node);
            }
            self.queue.after(0, what);
        }
    }

    fn persisted(&mut self, node: usize, kept: headworks_replicator::event::Kept) -> Result<(), Breach> {
        let storage = &mut self.nodes[node].storage;
        storage.kept = storage.keeping.remove(0);
        self.tell(node, headworks_replicator::event::Event::Persisted(kept))
    }

    /// Wakes a node's pair loop.
    pub(super) fn ring_pair(&mut self, node: usize) {
        let life = self.nodes[node].life;
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| !process.rung.0) else { return };
        process.rung.0 = true;
        let delay_ns = self.hiccup();
        self.queue.after(delay_ns, What::Turn { node, life });
    }

    /// Wakes a node's log loop.
    pub(super) fn ring_log(&mut self, node: usize) {
        let life = self.nodes[node].life;
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| !process.rung.1) else { return };
        process.rung.1 = true;
        let delay_ns = self.hiccup();
        self.queue.after(delay_ns, What::Disk { node, life, lane: 0, done: Done::Wake });
    }

    /// How long a thread takes to wake.
    fn hiccup(&mut self) -> u64 {
        if self.schedule.chance(15) { self.schedule.within(40_000, 3_000_000) } else { self.schedule.within(1_000, 40_000) }
    }

    /// How long a call of a node's disk takes.
    pub(super) fn latency(&mut self, node: usize) -> u64 {
        let (until_ns, factor) = self.nodes[node].slow;
        let factor = if until_ns > self.queue.now_ns { factor } else { 1 };
        self.schedule.within(20_000, 400_000) * factor
    }

    // What must hold of both together.

    /// What a node has committed, every other member in sync has on disk.
    pub(super) fn in_sync_has(&self, node: usize, lane: usize, sequence: u64, chain: Chain) -> Result<(), Breach> {
        let Some(register) = self.arbiter.register().filter(|_| !self.faults.arbiter_lies) else { return Ok(()) };
        for member in [Some(register.primary), register.standby].into_iter().flatten() {
            let other = 1 - node;
            if self.nodes[other].member == member && self.nodes[other].starts[lane] <= sequence {
                let has = self.truth.durable[other][lane].get(&sequence) == Some(&chain);
                check("what is committed is on the disk of every member in sync", has || self.truth.rots, || {
                    format!("node {node} commits block {sequence} of lane {lane}, and node {other} has it not ({register:?})")
                })?;
            }
        }
        Ok(())
    }

    /// The register has changed: whoever is in sync now has everything that is committed.
    pub(super) fn register_changed(&mut self) -> Result<(), Breach> {
        let Some(register) = self.arbiter.register().filter(|_| !self.faults.arbiter_lies) else { return Ok(()) };
        self.trace.add(106, &[register.version, u64::from(register.epoch.0)]);
        self.told(|| format!("register {register:?}"));
        self.truth.register(register.epoch)?;
        for (index, node) in self.nodes.iter().enumerate().filter(|(_, node)| register.in_sync(node.member)) {
            for (lane, committed) in self.truth.committed.iter().enumerate() {
                for (sequence, chain) in committed.range(node.starts[lane]..) {
                    let has = self.truth.durable[index][lane].get(sequence) == Some(chain);
                    check("whoever is registered in sync has everything committed", has || self.truth.rots, || {
                        format!("node {index} has not block {sequence} of lane {lane} as committed ({register:?})")
                    })?;
                }
            }
        }
        Ok(())
    }

    // Clients.

    fn next(&mut self, client: usize) {
        if self.is_quiet {
            return;
        }
        let out = self.clients[client].make(client);
        self.truth.sends(&super::batches::as_sent(&out.bytes));
        self.send(client);
    }

    /// Sends what is not acknowledged, once more.
    fn send(&mut self, client: usize) {
        let from = &mut self.clients[client];
        from.attempt += 1;
        let (node, attempt) = (from.leader, from.attempt);
        let (delay_ns, patience_ns) = (self.schedule.within(20_000, 300_000), self.schedule.within(150_000_000, 400_000_000));
        if !self.loses() {
            self.queue.after(delay_ns, What::Request { node, client, attempt });
        }
        self.queue.after(patience_ns, What::Timeout { client, attempt });
    }

    /// Answers a client.
    pub(super) fn reply(&mut self, client: usize, attempt: u64, reply: Reply) {
        let delay_ns = self.schedule.within(20_000, 300_000);
        if !self.loses() {
            self.queue.after(delay_ns, What::Reply { client, attempt, reply });
        }
    }

    /// Whether what goes between a client and a node is lost.
    fn loses(&mut self) -> bool {
        self.is_faulty() && self.schedule.chance(15)
    }

    fn replied(&mut self, client: usize, attempt: u64, reply: Reply) {
        let at = &mut self.clients[client];
        if at.attempt != attempt || at.out.is_none() {
            return;
        }
        match reply {
            Reply::Done => {
                (at.out, at.acked) = (None, at.acked + 1);
                let pause_ns = at.pause_ns();
                self.queue.after(pause_ns, What::Next { client });
            }
            Reply::NotLeader => {
                // Answered by the timeout, which is sooner then.
                at.leader = 1 - at.leader;
                let pause_ns = self.schedule.within(3_000_000, 20_000_000);
                self.queue.after(pause_ns, What::Timeout { client, attempt });
            }
        }
    }

    fn timed_out(&mut self, client: usize, attempt: u64) {
        let at = &mut self.clients[client];
        if at.attempt != attempt || at.out.is_none() {
            return;
        }
        if self.schedule.chance(300) {
            at.leader = 1 - at.leader;
        }
        self.send(client);
    }

    // Consumers.

    fn consume(&mut self) -> Result<(), Breach> {
        let pause_ns = self.schedule.within(2_000_000, 20_000_000);
        self.queue.after(pause_ns, What::Consume);
        let (node, lane) = (self.schedule.index(2), self.schedule.index(self.lanes()));
        let Some(process) = self.nodes[node].process.as_ref().filter(|process| process.is_open) else { return Ok(()) };
        let at = &process.lanes[lane];
        if at.view.partitions.is_empty() {
            return Ok(());
        }
        let place = self.schedule.index(at.view.partitions.len());
        let (start, end) = (at.view.log_start(place), at.view.partitions[place].high_watermark());
        if start >= end {
            return Ok(());
        }
        let offset = self.schedule.within(start, end - 1);
        let found = self.read(node, lane, place, offset)?;
        self.counts.batches_read += found;
        check("a kept offset is served", found > 0 || self.truth.rots, || {
            format!("node {node}, lane {lane}, place {place}: offset {offset} of {start} to {end}")
        })
    }

    /// Reads as the gateway does; how many batches were served.
    pub(super) fn read(&self, node: usize, lane: usize, place: usize, offset: u64) -> Result<u64, Breach> {
        let Some(process) = &self.nodes[node].process else { return Ok(0) };
        let (disk, view): (_, &Arc<LaneView>) = (&process.lanes[lane].disk, &process.lanes[lane].view);
        let partition = view.partitions[place].id;
        reader::serve(disk, view, place, offset, |file, epoch, entry| {
            let Some(bytes) = reader::read(disk, file, epoch, entry) else { return Ok(0) };
            self.truth.serves(lane, partition.0, entry.base_offset, &bytes)?;
            Ok(1)
        })
    }
}

#[cfg(feature = "mutants")]
fn machine(shape: &Shape, settings: Settings, kept: headworks_replicator::event::Kept, lanes: Vec<MachineLane>) -> Shard {
    let without = if let Mutant::Rule(rule) = shape.mutant { Some(rule) } else { None };
    Shard::mutant(settings, kept, lanes, headworks_replicator::Rules { without })
}

#[cfg(not(feature = "mutants"))]
fn machine(_: &Shape, settings: Settings, kept: headworks_replicator::event::Kept, lanes: Vec<MachineLane>) -> Shard {
    Shard::new(settings, kept, lanes)
}

fn shape(random: &mut Random, mutant: Mutant) -> Shape {
    let segment_bytes = random.pick(&[256 << 10, 384 << 10, 512 << 10]);
    let config = Config {
        pair: PairId(7),
        lane: LaneId(0),
        epoch: Epoch(0),
        window_bytes: random.pick(&[256 << 10, 512 << 10]),
        depth: random.pick(&[1, 2, 4, 8]),
        blocks_max: random.pick(&[8, 16, 70]),
        segment_bytes,
        segments_max: 12,
        entries_max: random.pick(&[24, 200, 1_000]),
        limits: Limits { size_bytes: segment_bytes * random.within(2, 6), age_ns: None },
    };
    assert!(block::BLOCK_BYTES_MIN as u64 * 4 < config.window_bytes, "a window takes some blocks");
    Shape {
        config,
        lanes: if random.chance(300) { 1 } else { 2 },
        heartbeat_ns: 10_000_000,
        may_run_alone: random.chance(750),
        uncommitted_bytes_max: random.pick(&[64 << 10, 256 << 10, 8 << 20]),
        files_max: usize::try_from(random.within(16, 20)).expect("few"),
        streams: (0..3).map(|number| Stream { name: format!("stream-{number}") }).collect(),
        faults_are_kept: random.chance(500),
        mutant,
    }
}
