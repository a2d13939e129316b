//! The log loop: one turn over a node's lanes, the commands of their logs, and how those end.

use super::gateway::{Gateway, Judged, Waiting};
use super::lane::Lane;
use super::machine::lane_id;
use super::queue::{Done, Reply, What};
use super::world::World;
use crate::breach::{Breach, check};
use crate::disk::{Fate, SimDisk};
use crate::node::seal;
use headworks_format::segment::PAGE_BYTES;
use headworks_log::recover::blank;
use headworks_log::{Command, PageKind, StorageFault};
use headworks_replicator::event::Event;

/// How long to wait before a full volume is asked again.
const RETRY_FULL_NS: u64 = 100_000_000;
/// Durable blocks that may stay in their slots.
const SLOTS_KEPT: u64 = 3;

impl World {
    /// One turn of a node's log loop.
    pub(super) fn log_turn(&mut self, node: usize) -> Result<(), Breach> {
        let (wall_ns, now_ns) = (self.nodes[node].wall(self.queue.now_ns), self.queue.now_ns);
        let mut has_moved = false;
        for at in 0..self.lanes() {
            let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
            process.rung.1 = false;
            let lane = &mut process.lanes[at];
            if lane.log.is_none() {
                continue;
            }
            let before = positions(lane);
            if lane.turn(wall_ns, &mut self.nonces)?
                && let Some(taking) = &mut process.taking
            {
                taking.ends[at] = Some(lane.log_mut().next());
            }
            lane.note_waiting(now_ns);
            for receipt in lane.receipts() {
                process.gateway.placed(&receipt);
            }
            has_moved |= positions(lane) != before;
            self.show(node, at)?;
            self.commands(node, at);
        }
        self.take_over(node)?;
        self.acknowledge(node)?;
        let Some(process) = &self.nodes[node].process else { return Ok(()) };
        let gate_seen = process.lanes.iter().any(|lane| lane.gate.1 != 0 && lane.view.gate.seen() == lane.gate.1);
        if has_moved || gate_seen || process.stopping == Some(false) {
            self.ring_pair(node);
        }
        Ok(())
    }

    /// Shows the truth what has become stamped, durable and committed.
    fn show(&mut self, node: usize, at: usize) -> Result<(), Breach> {
        let here = &mut self.nodes[node];
        let Some(process) = &mut here.process else { return Ok(()) };
        let leads = process.led;
        let lane = &mut process.lanes[at];
        let positions = &lane.view.positions;
        let (committed, durable) = (positions.committed.load(), positions.durable.load());
        let (written, submitted) = (positions.written.load(), positions.submitted.load());
        check("positions are in order", committed <= durable && durable <= written && written <= submitted, || {
            format!("node {node}: submitted {submitted}, written {written}, durable {durable}, committed {committed}")
        })?;
        for (sequence, block) in lane.memory.range(lane.shown..) {
            self.truth.has_block(lane.chains[sequence], block);
        }
        lane.shown = submitted;
        for (sequence, chain) in lane.chains.range(lane.seen_durable..durable.max(lane.seen_durable)) {
            self.truth.is_durable(node, at, *sequence, *chain);
            self.counts.durable += 1;
        }
        lane.seen_durable = lane.seen_durable.max(durable);
        let newly: Vec<_> = lane.chains.range(lane.seen..committed.max(lane.seen)).map(|(sequence, chain)| (*sequence, *chain)).collect();
        lane.seen = lane.seen.max(committed);
        here.starts[at] = here.starts[at].max(lane.view.start());
        lane.forget(SLOTS_KEPT);
        for (sequence, chain) in newly {
            self.trace.add(105, &[node as u64, at as u64, sequence]);
            self.truth.commits(node, at, sequence, chain, leads)?;
            self.counts.committed += u64::from(leads.is_some());
            self.in_sync_has(node, at, sequence, chain)?;
        }
        Ok(())
    }

    /// Tells clients what is far enough.
    fn acknowledge(&mut self, node: usize) -> Result<(), Breach> {
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let places: Vec<(u64, u64)> =
            process.lanes.iter().map(|lane| (lane.view.positions.committed.load(), lane.view.positions.durable.load())).collect();
        let (told, has_stopped) = (process.gateway.told(&places), process.has_stopped);
        for (waiting, base) in told {
            check("nobody is acknowledged who was told to go away", !has_stopped, || format!("node {node}: {waiting:?}"))?;
            let out = self.clients[waiting.client].out.as_ref().filter(|_| self.clients[waiting.client].attempt == waiting.attempt);
            if let Some(out) = out.filter(|_| waiting.level == super::clients::Level::Committed) {
                let sent = super::batches::as_sent(&out.bytes);
                self.truth.acknowledges(waiting.lane, waiting.partition.0, base, &sent)?;
                self.counts.acked += 1;
            }
            self.reply(waiting.client, waiting.attempt, Reply::Done);
        }
        Ok(())
    }

    /// A client's request has come.
    pub(super) fn request(&mut self, node: usize, client: usize, attempt: u64) -> Result<(), Breach> {
        let from = &self.clients[client];
        let (Some(out), true) = (&from.out, from.attempt == attempt) else { return Ok(()) };
        let Some(process) = self.nodes[node].process.as_mut().filter(|process| process.serves) else {
            self.reply(client, attempt, Reply::NotLeader);
            return Ok(());
        };
        let lane = from.lane;
        let known = process.lanes[lane].view.partitions.iter().find(|partition| partition.stream == from.stream).map(|known| known.id);
        let Some(partition) = known else {
            self.reply(client, attempt, Reply::NotLeader);
            return Ok(());
        };
        let judged = process.gateway.judge(client, lane, partition, out);
        if self.is_told {
            println!("{:>10} node {node}: client {client} sends {} again and again {attempt}: {judged:?}", self.queue.now_ns, out.first);
        }
        let ticket = match judged {
            Judged::New(ticket) => {
                process.lanes[lane].intake.push_back(Gateway::batch(partition, ticket, out));
                ticket
            }
            Judged::Known(ticket) => ticket,
            Judged::OutOfOrder => {
                let (first, epoch) = (out.first, self.leads(node));
                // Who was deposed and does not know it yet knows nothing of what came after it.
                let leads = !self.faults.arbiter_lies && self.arbiter.register().is_some_and(|register| Some(register.epoch) == epoch);
                self.reply(client, attempt, Reply::NotLeader);
                return check("an acknowledged batch is known to whoever leads", !leads || self.truth.rots, || {
                    format!("node {node} says that batches of client {client} are missing before {first}")
                });
            }
        };
        process.gateway.waits(Waiting { client, attempt, lane, partition, ticket, level: from.level });
        self.ring_log(node);
        Ok(())
    }

    /// Orders what a log orders.
    fn commands(&mut self, node: usize, at: usize) {
        while let Some((delay_ns, done)) = self.command(node, at) {
            let life = self.nodes[node].life;
            self.queue.after(delay_ns, What::Disk { node, life, lane: at, done });
        }
    }

    fn command(&mut self, node: usize, at: usize) -> Option<(u64, Done)> {
        let latency = self.latency(node);
        let lane = &mut self.nodes[node].process.as_mut()?.lanes[at];
        let command = lane.log_mut().command()?;
        let done = match command {
            Command::WriteBlock { sequence, file, position, bytes, .. } => {
                let block = lane.memory.get(&sequence).expect("what is written stands in its slot").to_vec();
                let id = lane.disk.with(|disk| disk.begin_write(file, position, block, Fate::Done));
                Done::Block(sequence, file, id, bytes)
            }
            Command::WritePage { kind, file, position } => {
                let mut page = [0; PAGE_BYTES];
                match kind {
                    PageKind::Header => lane.log_mut().header_page(&mut page),
                    PageKind::Records => lane.log_mut().record_page(&mut page),
                }
                let id = lane.disk.with(|disk| disk.begin_write(file, position, page.to_vec(), Fate::Done));
                Done::Page(kind, file, id)
            }
            Command::Sync { file } => Done::Sync(file, lane.disk.with(|disk| disk.begin_sync(file))),
            Command::MakeSegment => Done::Made,
            Command::Seal(order) => Done::Seal(order),
            Command::Blank { file } => Done::Blank(file),
        };
        Some((latency, done))
    }

    /// Something that a log has ordered has ended.
    pub(super) fn disk(&mut self, node: usize, at: usize, done: Done) -> Result<(), Breach> {
        let refused = self.refuses(node, &done);
        let now_ns = self.queue.now_ns;
        let is_full = self.nodes[node].full_until_ns > now_ns;
        let files_max = self.shape.files_max;
        let Some(process) = &mut self.nodes[node].process else { return Ok(()) };
        let lane = &mut process.lanes[at];
        let Some(log) = &mut lane.log else { return Ok(()) };
        let error = || "input/output error".to_owned();
        let result = match done {
            Done::Wake => Ok(()),
            Done::Retry => {
                log.retry_segments();
                Ok(())
            }
            Done::Block(sequence, file, id, bytes) => {
                if !refused {
                    lane.disk.with(|disk| disk.complete_write(file, id));
                }
                log.on_block_written(sequence, if refused { Err(error()) } else { Ok(bytes) })
            }
            Done::Page(kind, file, id) => {
                let bytes = u32::try_from(PAGE_BYTES).expect("4096");
                if !refused {
                    lane.disk.with(|disk| disk.complete_write(file, id));
                }
                log.on_page_written(kind, if refused { Err(error()) } else { Ok(bytes) })
            }
            Done::Sync(..) if refused => log.on_synced(Err(error()), |_, _| {}),
            Done::Sync(file, covered) => {
                lane.disk.with(|disk| disk.end_sync(file, covered));
                log.on_synced(Ok(()), |_, _| {})
            }
            Done::Made if is_full || lane.disk.with(|disk| disk.file_count()) >= files_max => {
                log.on_segment_failed();
                let life = self.nodes[node].life;
                self.queue.after(RETRY_FULL_NS, What::Disk { node, life, lane: at, done: Done::Retry });
                Ok(())
            }
            Done::Made => {
                log.on_segment(lane.disk.with(SimDisk::make));
                Ok(())
            }
            Done::Seal(order) => {
                let id = lane_id(at);
                let sealed = lane.disk.with(|disk| seal(disk, id, &*log, &order));
                log.on_sealed(order.file, order.nonce, sealed)
            }
            Done::Blank(file) => {
                let blanked = lane.disk.with(|disk| blank(disk, file)).map_err(|error| error.message);
                log.on_blanked(file, blanked)
            }
        };
        match result {
            Ok(()) => Ok(()),
            Err(fault) => self.storage_fault(node, &fault),
        }
    }

    /// A write or an fdatasync has failed: the node steps down and ends.
    fn storage_fault(&mut self, node: usize, fault: &StorageFault) -> Result<(), Breach> {
        check("only a refused call is a fault of the disk", self.counts.refused > 0, || format!("node {node}: {fault:?}"))?;
        self.counts.storage_faults += 1;
        if self.shape.faults_are_kept {
            return self.tell(node, Event::StorageFault);
        }
        self.die(node, false, true);
        self.start_after(node, 50_000_000, 300_000_000);
        Ok(())
    }
}

/// What who waits for the log is woken by.
fn positions(lane: &Lane) -> (u64, u64, u64) {
    let positions = &lane.view.positions;
    (positions.submitted.load(), positions.durable.load(), positions.committed.load())
}
