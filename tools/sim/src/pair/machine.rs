//! Telling the machine, and carrying out what it orders, in order: as `replicator::link::pair` and the node's host do it.

use super::lane::{Lane, Part};
use super::network::ARBITER;
use super::node::Taking;
use super::queue::What;
use super::storage::Shared;
use super::world::World;
use crate::breach::{Breach, check};
use headworks_format::checkpoint::Partition;
use headworks_format::{Epoch, LaneId, Sequence};
use headworks_log::catalog;
use headworks_log::recover::{Rules, truncate};
use headworks_log::view::PartitionView;
use headworks_log::{DiskError, recover};
use headworks_replicator::event::{Effect, Event, Halt, Kept, Note, StartOver};
use headworks_replicator::message::End;
use headworks_replicator::shard::Role;
use headworks_replicator::witness::{Ask, Request, encode_request};

/// How long the arbiter may take to answer.
const ANSWER_NS_MAX: u64 = 200_000_000;

impl World {
    /// Tells a node's machine, and carries out what it orders.
    pub(super) fn tell(&mut self, node: usize, event: Event) -> Result<(), Breach> {
        let now_ns = self.nodes[node].clock(self.queue.now_ns);
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        process.shard.on(now_ns, event);
        loop {
            while let Some(effect) = self.nodes[node].process.as_mut().and_then(|process| process.shard.effect()) {
                self.carry_out(node, effect)?;
            }
            let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
            let Some(event) = process.news.pop_front() else { return Ok(()) };
            process.shard.on(now_ns, event);
        }
    }

    pub(super) fn carry_out(&mut self, node: usize, effect: Effect) -> Result<(), Breach> {
        if !matches!(
            effect,
            Effect::Send { .. } | Effect::Accept { .. } | Effect::Gate { serial: 0, .. } | Effect::PeerReceived { .. } | Effect::Read
        ) {
            self.told(|| format!("node {node}: {effect:?}"));
        }
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        match effect {
            Effect::Read => self.ask(node, Ask::Get),
            Effect::Swap(swap) => self.ask(node, Ask::Swap(swap)),
            Effect::Persist(kept) => self.persist(node, &kept),
            Effect::Send { lane, message } => return self.say(node, lane, message),
            // Answered where the asking connection is at hand.
            Effect::Refuse { .. } => {}
            Effect::Ship { lane, epoch, from } => process.lanes[lane as usize].shipping = Some((epoch, from)),
            Effect::CloseLink { lane, .. } => self.hang_up(node, lane as usize),
            Effect::Accept { lane, .. } => {
                let frame = process.append.clone().expect("what is accepted has just come");
                let (_, block) = super::wire::block_of(&frame).expect("it was told of as an append");
                process.lanes[lane as usize].accept(block);
                self.ring_log(node);
            }
            Effect::Gate { lane, through, serial } => self.set_gate(node, lane as usize, through, serial),
            Effect::PeerReceived { lane, through } => process.lanes[lane as usize].view.gate.set_received(through),
            Effect::Open { lane } => {
                process.lanes[lane as usize].is_wanted_open = true;
                if !process.is_open && process.lanes.iter().all(|lane| lane.is_wanted_open) {
                    return self.open(node);
                }
            }
            // Opened for want of a primary: what is open is not cut.
            Effect::Cut { .. } | Effect::Restart { .. } if process.is_open => self.start_over(node, StartOver::Rejoin),
            Effect::Cut { lane, to } => return self.cut(node, lane, to),
            Effect::Restart { lane, from, shared } => return self.restart(node, lane, from, shared),
            Effect::Lead { epoch } => return self.lead(node, epoch),
            Effect::Serve { epoch } => (process.led, process.serves, process.has_stopped) = (Some(epoch), true, false),
            Effect::StopServing => process.stop_serving(),
            Effect::StopIntake => {
                process.stop_serving();
                process.stopping = Some(false);
                self.ring_log(node);
            }
            Effect::StartOver(why) => self.start_over(node, why),
            Effect::Halt(why) => return self.halt(node, why),
            Effect::Note(note) => self.note(node, note),
        }
        Ok(())
    }

    fn ask(&mut self, node: usize, ask: Ask) {
        let now_ns = self.queue.now_ns;
        let life = self.nodes[node].life;
        let Some(process) = &mut self.nodes[node].process else { return };
        let swaps = matches!(ask, Ask::Swap(_));
        (process.token, process.swaps) = (process.token + 1, swaps);
        // Given up by a thread of its own, at no time that others keep.
        let patience_ns = ANSWER_NS_MAX + self.schedule.below(40_000_000);
        let id = process.calls.begin(process.token, &ask, now_ns + patience_ns);
        let mut bytes = Vec::new();
        encode_request(&Request { id, witness: process.shard.kept().arbiter, place: 0, ask }, &mut bytes);
        if let Some(time_ns) = self.network.comes_ns(node, ARBITER, now_ns, swaps) {
            self.queue.at(time_ns, What::Asked { node, life, bytes });
        }
        self.queue.after(patience_ns, What::GivenUp { node, life });
    }

    /// A superblock write, in order behind those under way.
    fn persist(&mut self, node: usize, kept: &Kept) {
        let latency = self.latency(node);
        let at = &mut self.nodes[node];
        let before = at.storage.keeping.last().copied().unwrap_or(at.storage.kept);
        let promised = before.promised.max(kept.promised);
        at.storage.keeping.push(Kept { promised, ..*kept });
        at.kept_ns = at.kept_ns.max(self.queue.now_ns + 2 * latency);
        let what = What::Persisted { node, life: at.life, kept: *kept };
        self.queue.at(at.kept_ns, what);
    }

    fn set_gate(&mut self, node: usize, lane: usize, through: u64, serial: u32) {
        let Some(process) = &mut self.nodes[node].process else { return };
        let at = &mut process.lanes[lane];
        at.gate.0 = through;
        if serial == 0 {
            at.view.gate.set_durable(through);
        } else {
            at.gate.1 = serial;
            at.view.gate.lower(through, serial);
        }
        self.ring_log(node);
    }

    /// Opens every lane, to follow.
    pub(super) fn open(&mut self, node: usize) -> Result<(), Breach> {
        let mut config = self.shape.config;
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let epoch = process.lanes.iter().map(|lane| lane.recovered.epoch).max().unwrap_or_default();
        process.is_open = true;
        let mut opened = Ok(());
        for (at, lane) in process.lanes.iter_mut().enumerate() {
            config.lane = lane_id(at);
            let partitions = lane.recovered.partitions.clone();
            opened = opened.and_then(|()| lane.open(Part::Follower, config, epoch, partitions));
            let lane = u32::try_from(at).expect("few lanes");
            process.news.push_back(Event::LinkLost { lane, reset: false });
        }
        if let Err(error) = opened {
            return self.disk_failed(node, &error);
        }
        // It took its time, in which nothing was heard from here: both sides begin their connections anew.
        (0..self.lanes()).for_each(|lane| self.hang_up(node, lane));
        self.known_committed(node)?;
        self.ring_log(node);
        Ok(())
    }

    fn cut(&mut self, node: usize, lane: u32, to: End) -> Result<(), Breach> {
        let Some(process) = &self.nodes[node].process else { return Ok(()) };
        let at = lane as usize;
        for (sequence, chain) in process.lanes[at].chains.range(to.sequence..) {
            let committed = self.truth.committed[at].get(sequence);
            check("nobody cuts what is committed", committed != Some(chain) || self.truth.rots, || {
                format!("node {node} cuts lane {at} at {}, and its block {sequence} is committed", to.sequence)
            })?;
        }
        self.counts.cuts += 1;
        match self.cut_lane(node, at, to.sequence, to.sequence)? {
            Some(()) => self.lane_cut(node, lane, to),
            None => Ok(()),
        }
    }

    fn restart(&mut self, node: usize, lane: u32, from: End, shared: u64) -> Result<(), Breach> {
        let Some(process) = &self.nodes[node].process else { return Ok(()) };
        let at = lane as usize;
        self.counts.restarts += 1;
        // Also for who dies in the middle: the next start finds less than there was.
        self.nodes[node].shared[at] = shared;
        if process.lanes[at].end.sequence > 0 && self.cut_lane(node, at, 0, shared)?.is_none() {
            return Ok(());
        }
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let lane_at = &mut process.lanes[at];
        (lane_at.recovered.next, lane_at.recovered.chain) = (from.sequence, from.chain);
        lane_at.recovered.committed = from.sequence;
        let recovered = std::mem::take(&mut lane_at.recovered);
        lane_at.renew(recovered);
        (self.nodes[node].starts[at], self.nodes[node].shared[at]) = (from.sequence, 0);
        self.lane_cut(node, lane, from)
    }

    /// Cuts a closed lane and recovers it again; none when the power went meanwhile. From `shared` on what goes is kept.
    fn cut_lane(&mut self, node: usize, lane: usize, to: u64, shared: u64) -> Result<Option<()>, Breach> {
        let mut disk = self.nodes[node].storage.lanes[lane].clone();
        self.arm(&disk);
        let rules = self.rules(lane, false);
        let done = truncate(&mut disk, &rules, Sequence(to), Sequence(shared)).and_then(|_| recover(&mut disk, &rules));
        disk.with(|disk| disk.fuse = None);
        let recovered = match done {
            Ok(recovered) => recovered,
            Err(error) => return self.disk_failed(node, &error).map(|()| None),
        };
        check("a lane that is cut ends there", recovered.next == to || self.truth.rots, || {
            format!("lane {lane} of node {node} was to end at {to} and ends at {}", recovered.next)
        })?;
        let Some(process) = &mut self.nodes[node].process else { return Ok(None) };
        process.lanes[lane].renew(recovered);
        if to == 0 {
            self.nodes[node].starts[lane] = 0;
        }
        self.find(node, lane)?;
        Ok(Some(()))
    }

    fn lane_cut(&mut self, node: usize, lane: u32, end: End) -> Result<(), Breach> {
        if let Some(process) = &mut self.nodes[node].process {
            process.news.push_back(Event::LaneCut { lane, end });
        }
        Ok(())
    }

    fn lead(&mut self, node: usize, epoch: Epoch) -> Result<(), Breach> {
        (0..self.lanes()).for_each(|lane| self.hang_up(node, lane));
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        if process.stopping.is_some() {
            // A handover was taken back: the intake begins anew with the process, which takes the next epoch.
            self.start_over(node, StartOver::Deposed);
            return Ok(());
        }
        if process.is_open {
            process.lanes.iter_mut().for_each(|lane| lane.lead(epoch));
            process.taking = Some(Taking { epoch, ends: vec![None; process.lanes.len()], asked: None });
            self.ring_log(node);
            return Ok(());
        }
        self.lead_from_closed(node, epoch)
    }

    fn lead_from_closed(&mut self, node: usize, epoch: Epoch) -> Result<(), Breach> {
        let (mut config, streams) = (self.shape.config, self.shape.streams.clone());
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let mut partitions: Vec<Vec<Partition>> = process.lanes.iter().map(|lane| lane.recovered.partitions.clone()).collect();
        catalog::complete(&mut partitions);
        catalog::extend(&mut partitions, &streams);
        process.is_open = true;
        let mut opened = Ok(());
        let mut ends = Vec::new();
        for (at, (lane, partitions)) in process.lanes.iter_mut().zip(partitions).enumerate() {
            config.lane = lane_id(at);
            ends.push(lane.recovered.next);
            process.gateway.learn(at, lane.recovered.producers.iter(), lane.recovered.next);
            opened = opened.and_then(|()| lane.open(Part::Primary, config, epoch, partitions));
        }
        if let Err(error) = opened {
            return self.disk_failed(node, &error);
        }
        self.known_committed(node)?;
        self.led(node, epoch, ends)
    }

    /// Goes on from following to leading, as far as the logs have come.
    pub(super) fn take_over(&mut self, node: usize) -> Result<(), Breach> {
        let streams = self.shape.streams.clone();
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let Some(taking) = &mut process.taking else { return Ok(()) };
        if taking.ends.iter().any(Option::is_none) {
            return Ok(());
        }
        let Some(asked) = &taking.asked else {
            let before: Vec<Vec<Partition>> =
                process.lanes.iter().map(|lane| lane.view.partitions.iter().map(as_partition).collect()).collect();
            let mut after = before.clone();
            catalog::extend(&mut after, &streams);
            let mut asked = Vec::new();
            for (at, (lane, partitions)) in process.lanes.iter_mut().zip(after).enumerate() {
                for partition in partitions.into_iter().skip(before[at].len()) {
                    asked.push((at, partition.id));
                    lane.add(partition);
                }
                let next = lane.log_mut().next();
                process.gateway.learn(at, lane.log_mut().producers().iter(), next);
            }
            taking.asked = Some(asked);
            self.ring_log(node);
            return Ok(());
        };
        if !asked.iter().all(|(lane, id)| process.lanes[*lane].view.place(*id).is_some()) {
            return Ok(());
        }
        let Some(Taking { epoch, ends, .. }) = process.taking.take() else { return Ok(()) };
        self.led(node, epoch, ends.into_iter().flatten().collect())?;
        self.release(node);
        // The news wait for the loop's next turn.
        self.ring_pair(node);
        Ok(())
    }

    /// The node leads in that epoch.
    fn led(&mut self, node: usize, epoch: Epoch, ends: Vec<u64>) -> Result<(), Breach> {
        self.counts.led += 1;
        self.trace.add(101, &[node as u64, u64::from(epoch.0)]);
        let life = self.nodes[node].life;
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let chains: Vec<_> = process.lanes.iter().map(|lane| &lane.chains).collect();
        self.truth.leads((node, life), epoch, &chains, &self.nodes[node].starts)?;
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        process.news.push_back(Event::Led { ends });
        self.ring_log(node);
        Ok(())
    }

    fn start_over(&mut self, node: usize, why: StartOver) {
        self.counts.started_over += 1;
        self.trace.add(102, &[node as u64, why as u64]);
        // The process replaces itself: what it had ordered of the disk is waited for.
        self.die(node, false, true);
        self.start_after(node, 5_000_000, 60_000_000);
    }

    fn halt(&mut self, node: usize, why: Halt) -> Result<(), Breach> {
        self.trace.add(103, &[node as u64]);
        let allowed = why == Halt::StorageFault || self.truth.rots;
        check("nobody halts but for a fault of its disk", allowed, || format!("node {node} halts: {why:?}"))?;
        self.counts.halted += 1;
        self.die(node, false, true);
        self.start_after(node, 50_000_000, 300_000_000);
        Ok(())
    }

    fn note(&mut self, node: usize, note: Note) {
        match note {
            Note::Alone => self.counts.alone += 1,
            Note::Paired => self.counts.paired += 1,
            Note::Frozen(_) => self.counts.frozen += 1,
            Note::AsksBack => self.counts.asked_back += 1,
            Note::Stalled | Note::Trusted | Note::NoHandover | Note::MayNotLead | Note::AwaitsOperator => {}
            Note::Repaired => self.counts.repaired += 1,
        }
        self.trace.add(104, &[node as u64]);
    }

    /// A call of the disk that the process waits for has failed: the power is gone.
    pub(super) fn disk_failed(&mut self, node: usize, error: &DiskError) -> Result<(), Breach> {
        let expected = error.message == "the power is gone" || self.truth.rots;
        check("the disk fails only without power", expected, || format!("node {node}: {}", error.message))?;
        self.counts.powers += 1;
        self.die(node, true, false);
        self.start_after(node, 20_000_000, 300_000_000);
        Ok(())
    }

    /// Lets the power go during some of the calls that follow.
    pub(super) fn arm(&mut self, disk: &Shared) {
        if self.faults.has("kills") && self.is_faulty() && self.schedule.chance(60) {
            let calls = u32::try_from(self.schedule.below(14)).expect("below 14");
            disk.with(|disk| disk.fuse = Some(calls));
        }
    }

    /// What recovery is told.
    pub(super) fn rules(&self, lane: usize, alone: bool) -> Rules {
        let config = &self.shape.config;
        Rules { lane: lane_id(lane), segment_bytes: config.segment_bytes, window_bytes: config.window_bytes, alone }
    }

    /// What a lane takes for committed when it opens is.
    fn known_committed(&mut self, node: usize) -> Result<(), Breach> {
        let Some(process) = &self.nodes[node].process else { return Ok(()) };
        for (at, lane) in process.lanes.iter().enumerate() {
            let Lane { seen, chains, .. } = lane;
            let start = self.nodes[node].starts[at].min(*seen);
            for (sequence, chain) in chains.range(start..*seen) {
                let committed = self.truth.committed[at].get(sequence);
                check("what a start takes for committed is", committed == Some(chain) || self.truth.rots, || {
                    format!("node {node} opens lane {at} with block {sequence} below its hint {seen}")
                })?;
            }
        }
        Ok(())
    }

    /// Whether a node leads.
    pub(super) fn leads(&self, node: usize) -> Option<Epoch> {
        match self.nodes[node].process.as_ref()?.shard.role() {
            Role::Primary(epoch) => Some(epoch),
            _ => None,
        }
    }
}

fn as_partition(view: &PartitionView) -> Partition {
    Partition { id: view.id, stream: view.stream.clone(), number: view.number, next_offset: view.high_watermark(), log_start: 0 }
}

pub(super) fn lane_id(lane: usize) -> LaneId {
    LaneId(u32::try_from(lane).expect("few lanes"))
}
