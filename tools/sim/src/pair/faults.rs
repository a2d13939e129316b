//! What goes wrong, and when. A seed has some kinds of faults and not others, so that each is seen alone, too.
//!
//! ```text
//! kills        a process dies; its system lives on, and says so                power     the system dies with it, in the middle of writes
//! pauses       a process stands still, and its messages wait (SIGSTOP)         clocks    elapsed time jumps ahead, wall time anywhere
//! cuts         one direction of one link carries nothing for a time            loose     messages are lost, repeated, late, replayed
//! disk         one call is refused; slow or hanging; full                      replaced  a disk is another one, blank
//! arbiter      dies, forgets what it had not synced                            lies      lost its file, or has an old copy of it
//! switchovers  an operator asks for a handover                                 slow      swaps come late, by more than they are waited for
//! ```
//!
//! Only what the protocol survives is done: a disk is replaced while the other member in sync has everything; an arbiter gets an old
//! copy while both nodes have written down a newer version, or nobody could know (the register of two nodes that never saw the newer
//! one is theirs to believe).

use super::queue::{Done, What};
use super::storage::Storage;
use super::world::World;
use crate::breach::{Breach, check};
use crate::disk::Broken;
use crate::random::Random;
use headworks_format::block::HEAD_BYTES;
use headworks_log::blocks;
use headworks_replicator::event::{Event, Order};
use headworks_replicator::shard::Role;

/// Kinds of faults: the name of each, and in how many of 1,000 runs it comes.
const KINDS: [(&str, u64); 11] = [
    ("kills", 700),
    ("loose", 350),
    ("cuts", 450),
    ("pauses", 350),
    ("clocks", 250),
    ("disk", 300),
    ("replaced", 250),
    ("arbiter", 350),
    ("lies", 200),
    ("switchovers", 350),
    ("slow", 300),
];

/// Some kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds([bool; KINDS.len()]);

impl Kinds {
    /// Those that are named, with commas between.
    ///
    /// # Errors
    /// One of the names is none.
    pub fn named(names: &str) -> Result<Kinds, String> {
        let mut kinds = Kinds([false; KINDS.len()]);
        for name in names.split(',') {
            let known = KINDS.iter().position(|(known, _)| *known == name);
            kinds.0[known.ok_or_else(|| format!("no fault is called {name}"))?] = true;
        }
        Ok(kinds)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        KINDS.iter().zip(self.0).filter(|(_, is)| *is).map(|((name, _), _)| *name)
    }
}

/// The faults of a run.
#[derive(Debug)]
pub struct Faults {
    random: Random,
    kinds: Kinds,
    is_over: bool,
    /// Whether the arbiter has another file than its newest one.
    pub arbiter_lies: bool,
    newest: Option<(u128, u64, Vec<u8>)>,
    older: Vec<(u64, Vec<u8>)>,
}

impl Faults {
    /// The faults of a run: those that are asked for, or that chance has.
    pub fn new(mut random: Random, asked: Option<Kinds>) -> Faults {
        let drawn = Kinds(KINDS.map(|(_, parts)| random.chance(parts)));
        let kinds = asked.unwrap_or(drawn);
        Faults { random, kinds, is_over: false, arbiter_lies: false, newest: None, older: Vec::new() }
    }

    /// Whether there are some of that name.
    pub fn has(&self, name: &str) -> bool {
        self.kinds.names().any(|known| known == name)
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.kinds.names().collect();
        f.write_str(&if names.is_empty() { "none".to_owned() } else { names.join(" ") })
    }
}

impl World {
    pub(super) fn is_faulty(&self) -> bool {
        !self.faults.is_over
    }

    /// Something goes wrong.
    pub(super) fn fault(&mut self) -> Result<(), Breach> {
        if self.faults.is_over {
            return Ok(());
        }
        let random = &mut self.faults.random;
        let pause_ns = if random.chance(250) { random.within(1_000_000, 20_000_000) } else { random.within(20_000_000, 300_000_000) };
        self.queue.after(pause_ns, What::Fault);
        let names: Vec<&str> = self.faults.kinds.names().collect();
        if names.is_empty() {
            return Ok(());
        }
        let (name, node) = (self.faults.random.pick(&names), self.faults.random.index(2));
        self.trace.add(107, &[name.len() as u64, node as u64]);
        self.told(|| format!("fault: {name}, node {node}"));
        match name {
            "kills" => self.kill(node),
            "cuts" => self.cut_links(),
            "pauses" => self.pause(node),
            "clocks" => self.jump(node),
            "disk" => self.hinder(node),
            "replaced" => self.replace(node),
            "arbiter" => {
                self.arbiter.fuse = Some(u32::try_from(self.faults.random.below(3)).expect("below 3"));
                if self.faults.random.chance(500) {
                    self.arbiter.crash();
                    self.arbiter_starts_later();
                }
            }
            "lies" => self.lie(),
            "loose" => self.replay(),
            "slow" => self.network.swaps_late_until_ns = self.queue.now_ns + self.faults.random.within(100_000_000, 1_000_000_000),
            "switchovers" => {
                let life = self.nodes[node].life;
                self.queue.after(0, What::Switchover { node, life });
            }
            _ => {}
        }
        Ok(())
    }

    fn kill(&mut self, node: usize) {
        let both = self.faults.random.chance(120);
        for node in (0..2).filter(|other| both || *other == node) {
            if self.nodes[node].process.is_none() {
                continue;
            }
            let power = self.faults.random.chance(500);
            let waits = self.faults.random.chance(500);
            if power {
                self.counts.powers += 1
            } else {
                self.counts.kills += 1
            }
            self.die(node, power, waits);
            let most_ns = if self.faults.random.chance(300) { 1_500_000_000 } else { 150_000_000 };
            self.start_after(node, 1_000_000, most_ns);
        }
    }

    fn cut_links(&mut self) {
        let random = &mut self.faults.random;
        let until_ns = self.queue.now_ns
            + if random.chance(500) { random.within(1_000_000, 90_000_000) } else { random.within(90_000_000, 900_000_000) };
        let (from, to) = random.pick(&[(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]);
        self.network.cut(from, to, until_ns);
        self.counts.cuts_of_links += 1;
        if random.chance(500) {
            self.network.cut(to, from, until_ns);
            self.counts.cuts_of_links += 1;
        }
    }

    fn pause(&mut self, node: usize) {
        let random = &mut self.faults.random;
        let pause_ns = if random.chance(500) { random.within(1_000_000, 150_000_000) } else { random.within(150_000_000, 1_200_000_000) };
        let until_ns = self.queue.now_ns + pause_ns;
        if self.nodes[node].process.is_some() {
            self.nodes[node].paused_until_ns = until_ns;
            self.queue.at(until_ns, What::Wake { node });
            self.counts.pauses += 1;
        }
    }

    fn jump(&mut self, node: usize) {
        let random = &mut self.faults.random;
        let hour_ns = 3_600_000_000_000;
        match random.below(3) {
            0 => self.nodes[node].ahead_ns += random.within(1_000_000, hour_ns),
            1 => self.nodes[node].ahead_ns += random.within(1_000_000, 200_000_000),
            _ => self.nodes[node].skew_ns = random.below(2 * hour_ns),
        }
        self.counts.jumps += 1;
    }

    fn hinder(&mut self, node: usize) {
        let random = &mut self.faults.random;
        let until_ns = self.queue.now_ns + random.within(50_000_000, 1_200_000_000);
        match random.below(4) {
            0 => self.nodes[node].refuses_in = Some(random.below(60)),
            1 => self.nodes[node].full_until_ns = until_ns,
            2 => self.nodes[node].slow = (until_ns, 1_500),
            _ => self.nodes[node].slow = (until_ns, random.pick(&[10, 100])),
        }
        self.counts.disks_hindered += 1;
    }

    /// Frames of some time ago come again, on the connection that their lane has now.
    fn replay(&mut self) {
        for _ in 0..self.faults.random.within(1, 4) {
            let Some((node, bytes)) = self.network.old() else { return };
            let lane = super::wire::lane_of(&bytes);
            let Some(connection) = self.nodes[node].process.as_ref().and_then(|process| process.lanes.get(lane)?.connection) else {
                continue;
            };
            self.network.harmed.repeated += 1;
            self.network.comes(connection, node);
            self.queue.after(0, What::Frame { node, connection, bytes });
        }
    }

    /// Whether the disk refuses the call that ends now.
    pub(super) fn refuses(&mut self, node: usize, done: &Done) -> bool {
        let counts = matches!(done, Done::Block(..) | Done::Page(..) | Done::Sync(..));
        let Some(left) = self.nodes[node].refuses_in.as_mut().filter(|_| counts) else { return false };
        if *left > 0 {
            *left -= 1;
            return false;
        }
        self.nodes[node].refuses_in = None;
        self.counts.refused += 1;
        true
    }

    /// A node gets another disk, if what it had is on the other one's.
    fn replace(&mut self, node: usize) {
        let other = self.nodes[1 - node].member;
        let is_spare = self.arbiter.register().is_some_and(|register| register.in_sync(other));
        // A swap of its own that lands when its disk is gone could leave it alone in sync, which nobody survives.
        let asks = self.queue.any(|what| matches!(what, What::Asked { node: asking, .. } if *asking == node));
        if !is_spare || asks || self.faults.arbiter_lies {
            return;
        }
        self.die(node, true, false);
        let broken = Broken::Not;
        self.nodes[node].replace_disk(Storage::blank(self.shape.lanes, self.shape.config.segment_bytes, broken));
        self.truth.loses_disk(node);
        self.counts.disks_replaced += 1;
        self.start_after(node, 10_000_000, 300_000_000);
    }

    /// The arbiter starts again some time from now on.
    pub(super) fn arbiter_starts_later(&mut self) {
        let delay_ns = self.schedule.within(1_000_000, 400_000_000);
        self.queue.after(delay_ns, What::ArbiterStarts);
    }

    /// The arbiter loses its file, or gets an old copy of it.
    fn lie(&mut self) {
        let Some(register) = self.arbiter.register().filter(|_| self.arbiter.is_up()) else { return };
        if self.faults.arbiter_lies {
            return;
        }
        let seen = self.nodes.iter().map(|node| node.storage.kept.register_version).min().unwrap_or(0);
        let older = self.faults.older.iter().rev().find(|(version, _)| *version < seen).map(|(_, file)| file.clone());
        let knows = self.nodes.iter().all(|node| node.storage.kept.arbiter != 0);
        let (file, arbiter) = (self.arbiter.copy(), self.arbiter.incarnation().unwrap_or_default());
        match older {
            Some(older) if self.faults.random.chance(500) => self.arbiter.restore(older),
            _ if knows && self.faults.random.chance(500) => self.arbiter.wipe(u128::from(self.faults.random.draw())),
            _ => return self.faults.older.push((register.version, file)),
        }
        (self.faults.newest, self.faults.arbiter_lies) = (Some((arbiter, register.version, file)), true);
        self.counts.arbiter_lies += 1;
        self.arbiter_starts_later();
    }

    /// An operator asks for a handover.
    pub(super) fn switchover(&mut self, node: usize) -> Result<(), Breach> {
        self.counts.switchovers += 1;
        self.tell(node, Event::Order(Order::Switchover))
    }

    /// Nothing goes wrong from now on, and what is broken is mended.
    pub(super) fn heal(&mut self) -> Result<(), Breach> {
        self.faults.is_over = true;
        self.network.heal(&mut self.queue);
        self.arbiter.fuse = None;
        if let Some((arbiter, version, file)) = self.faults.newest.take()
            // A late swap may have brought it there again by itself.
            && !(self.arbiter.incarnation() == Some(arbiter) && self.arbiter.register().is_some_and(|register| register.version >= version))
        {
            self.arbiter.restore(file);
            // What it has said with the other one is heard by nobody any more.
            drop(self.queue.take(|what| matches!(what, What::Asked { .. } | What::Answered { .. })));
        }
        self.faults.arbiter_lies = false;
        self.arbiter.start().map_err(|says| Breach::new("the arbiter starts again", says))?;
        for node in 0..2 {
            self.mend(node);
        }
        self.trace.add(108, &[self.queue.now_ns]);
        Ok(())
    }

    fn mend(&mut self, node: usize) {
        let at = &mut self.nodes[node];
        (at.slow, at.full_until_ns, at.refuses_in) = ((0, 1), 0, None);
        if at.paused_until_ns > self.queue.now_ns {
            at.paused_until_ns = 0;
            self.release(node);
        }
    }

    /// An operator has looked at a disk that has failed, and vouches for it where the node is the only one that has everything: whoever
    /// can be brought in sync by another needs no word.
    pub(super) fn vouch_for_disk(&mut self, node: usize) -> Result<(), Breach> {
        let (member, other) = (self.nodes[node].member, &self.nodes[1 - node]);
        let Some(process) = self.nodes[node].process.as_ref().filter(|_| self.faults.is_over) else { return Ok(()) };
        let Some(register) = process.shard.register().filter(|register| register.in_sync(member)) else { return Ok(()) };
        let other_may_lead = register.in_sync(other.member) && !other.storage.kept.needs_repair;
        if process.shard.role() != Role::Standby || !process.shard.kept().needs_repair || other_may_lead {
            return Ok(());
        }
        let fenced = other.member.node;
        self.counts.vouched += 1;
        self.tell(node, Event::Order(Order::Promote { fenced }))
    }

    // What is looked at when nothing goes wrong any more.

    pub(super) fn role(&self, node: usize) -> Option<Role> {
        self.nodes[node].process.as_ref().map(|process| process.shard.role())
    }

    /// The node that leads a pair whose other node is in sync.
    pub(super) fn leader(&self) -> Option<usize> {
        let register = self.arbiter.register()?;
        let leader = self.nodes.iter().position(|node| node.member == register.primary)?;
        let standby = register.standby.is_some_and(|standby| standby == self.nodes[1 - leader].member);
        let serves = self.nodes[leader].process.as_ref().is_some_and(|process| process.serves);
        let follows = self.role(1 - leader) == Some(Role::Standby);
        (serves && standby && follows && self.leads(leader) == Some(register.epoch)).then_some(leader)
    }

    /// Whether everything that was sent is everywhere.
    pub(super) fn is_at_rest(&self) -> bool {
        let Some(leader) = self.leader() else { return false };
        let positions = |node: usize, lane: usize| {
            let positions = &self.nodes[node].process.as_ref()?.lanes[lane].view.positions;
            Some((positions.submitted.load(), positions.durable.load(), positions.committed.load()))
        };
        let equal = |lane: usize| {
            let here = positions(leader, lane);
            here == positions(1 - leader, lane) && here.is_some_and(|(end, durable, committed)| end == durable && end == committed)
        };
        self.clients.iter().all(|client| client.out.is_none()) && (0..self.lanes()).all(equal)
    }

    /// Both nodes have the same blocks, byte for byte.
    pub(super) fn same(&mut self) -> Result<(), Breach> {
        let [one, other] = &mut self.nodes;
        let (Some(one), Some(other)) = (&mut one.process, &mut other.process) else { return Ok(()) };
        for (lane, (one, other)) in one.lanes.iter_mut().zip(&mut other.lanes).enumerate() {
            let first = blocks::first(&one.view).max(blocks::first(&other.view)).unwrap_or(0);
            for sequence in first..one.view.positions.committed.load() {
                let (here, there) = (one.blocks.read(sequence), other.blocks.read(sequence));
                let same = matches!((&here, &there), (Ok(here), Ok(there)) if here == there);
                check("both nodes have the same blocks, byte for byte", same || self.truth.rots, || {
                    let head = |block: &[u8]| format!("{:02x?}", &block[..HEAD_BYTES.min(64)]);
                    format!("block {sequence} of lane {lane}: {:?} and {:?}", here.map(head), there.map(head))
                })?;
            }
        }
        Ok(())
    }

    /// Everything that was acknowledged is served by that node, as far as retention has left it.
    pub(super) fn serves_all(&mut self, node: usize) -> Result<(), Breach> {
        for (lane, partition, base) in self.truth.acknowledged() {
            let Some(process) = &self.nodes[node].process else { break };
            let view = &process.lanes[lane].view;
            let Some(place) = view.partitions.iter().position(|known| known.id.0 == partition) else {
                return Err(Breach::new("everything acknowledged is served by the survivor", format!("partition {partition} is gone")));
            };
            let kept = base >= view.log_start(place);
            let found = if kept { self.read(node, lane, place, base)? } else { 0 };
            check("everything acknowledged is served by the survivor", found > 0 || !kept || self.truth.rots, || {
                format!("node {node}, lane {lane}, partition {partition}, offset {base}")
            })?;
            self.counts.batches_read += found;
        }
        Ok(())
    }

    /// How everything stands, for who looks at a failure.
    pub(super) fn shown(&self) -> String {
        let register = self.arbiter.register();
        let nodes: Vec<String> = self
            .nodes
            .iter()
            .map(|node| {
                let lanes = node.process.iter().flat_map(|process| &process.lanes).map(|lane| {
                    let positions = &lane.view.positions;
                    let (end, durable, committed) = (positions.submitted.load(), positions.durable.load(), positions.committed.load());
                    format!("[end {end} durable {durable} committed {committed} gate {:?} link {:?}]", lane.gate, lane.connection)
                });
                let lanes: Vec<String> = lanes.collect();
                format!(
                    "{:?} kept {:?} {:?} {}",
                    node.member,
                    node.storage.kept,
                    node.process.as_ref().map(|p| p.shard.role()),
                    lanes.join(" ")
                )
            })
            .collect();
        let clients: Vec<_> = self.clients.iter().map(|client| (client.leader, client.acked, client.out.is_some())).collect();
        format!("at {} ns: {register:?}\n  {}\n  {}\n  clients {clients:?}", self.queue.now_ns, nodes[0], nodes[1])
    }
}
