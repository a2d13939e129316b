//! The node around the pair's loop: what is done when the machine orders it. It lives on the thread `hw-pair`.
//!
//! ```text
//! Closed ── open ──► Running, follows ── lead ──► Running, leads
//!    └────────────── lead ──────────────────────────┘                 nothing leads back: a node starts over
//! ```

use super::heal::{self, Heal, Lender};
use super::restart;
use super::salvage::{self, Salvage};
use super::standing::Standing;
use crate::config::Config;
use crate::node::assemble::{self, Assembly, Ground, Joining};
use crate::node::failure::Failure;
use crate::node::intake::{self, Beginning};
use crate::node::run::{Node, spawn};
use crate::node::sockets::{Servers, Sockets};
use headworks_format::Epoch;
use headworks_format::checkpoint::Partition;
use headworks_gateway::cluster::{Cluster, Taken};
use headworks_io::fatal::{Reason, fatal};
use headworks_io::{Clock, Wake};
use headworks_lane::{Control, Grow, LaneDisk, LaneParts, Led, Part, Told};
use headworks_log::LaneView;
use headworks_log::view::PartitionView;
use headworks_replicator::event::{Event, Halt, Kept, Note, StartOver};
use headworks_replicator::link::host::{Host, LaneLog, Peer, Seen};
use headworks_replicator::message::End;
use headworks_ring::Filler;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, mpsc};
use std::time::Duration;

/// How long the log loop may take to make durable what was followed.
const LED_MAX: Duration = Duration::from_secs(30);
/// How long a block may be on its way to the disk before the disk counts as hung.
const DISK_NS_MAX: u64 = 500_000_000;
/// How often that is looked at.
const LOOK_EVERY_NS: u64 = 50_000_000;
/// How long packets that wait in sockets are drained when another node takes over.
const HANDOVER_DRAIN_NS: u64 = 5_000_000;

/// How a stop and the loop tell each other.
#[derive(Debug, Default)]
pub struct Stopping {
    /// The loop is to end.
    pub is_over: AtomicBool,
    /// A stop has asked for a handover: whoever would start over ends instead.
    pub hands_over: AtomicBool,
    /// That handover is not possible, or is done.
    pub is_handed: AtomicBool,
}

/// What stays the same whatever the node is.
pub struct Common {
    /// What it was told, with its ports settled.
    pub config: Config,
    /// Settings that were picked at start.
    pub settled: Vec<String>,
    /// How a stop and the loop tell each other.
    pub stopping: Arc<Stopping>,
    /// What happens in the node.
    pub events: mpsc::Receiver<Event>,
    /// The other end.
    pub tell: mpsc::Sender<Event>,
    /// Wakes the loop.
    pub wake: Wake,
    /// The brokers as clients are told.
    pub cluster: Cluster,
    /// How the pair stands, for who watches and who orders.
    pub standing: Arc<Standing>,
    /// Where copies of blocks are to be had that do not hold any more.
    pub lender: Lender,
    /// Blocks healed.
    pub healed: Arc<AtomicU64>,
}

/// A node whose lanes are recovered and closed.
pub struct Closed {
    /// The directory.
    pub ground: Ground,
    /// Where clients come in.
    pub servers: Servers,
    /// The lanes.
    pub opened: Vec<LaneParts>,
}

enum State {
    Closed(Box<Closed>),
    Running(Box<Running>),
    /// Between two states; nobody sees it.
    Changing,
}

/// A lane's log: what it shows, its directory, its ring's readers.
type Log = (Arc<LaneView>, Arc<LaneDisk>, headworks_ring::Readers);

struct Running {
    node: Node,
    told: mpsc::Receiver<Told>,
    logs: Vec<Log>,
}

/// See the module.
pub struct PairHost {
    common: Common,
    state: State,
    is_announced: bool,
    /// What was said last: it is not said twice in a row.
    noted: Option<Note>,
    looked_ns: u64,
    /// What failed, once a write or an fdatasync has.
    failed: Option<String>,
}

impl PairHost {
    /// Over closed lanes.
    #[must_use]
    pub fn new(common: Common, closed: Closed) -> PairHost {
        PairHost {
            common,
            state: State::Closed(Box::new(closed)),
            is_announced: restart::has_started_over(),
            noted: None,
            looked_ns: 0,
            failed: None,
        }
    }

    /// The node that runs, if one does, for an orderly stop.
    #[must_use]
    pub fn into_node(self) -> Option<Node> {
        match self.state {
            State::Running(running) => Some(running.node),
            State::Closed(_) | State::Changing => None,
        }
    }

    fn closed(&mut self) -> &mut Closed {
        match &mut self.state {
            State::Closed(closed) => closed,
            State::Running(_) | State::Changing => fatal(Reason::Bug, "a lane was to be changed while it is open"),
        }
    }

    fn running(&mut self) -> &mut Running {
        match &mut self.state {
            State::Running(running) => running,
            State::Closed(_) | State::Changing => fatal(Reason::Bug, "the lanes are not open"),
        }
    }

    fn ground(&mut self) -> &mut Ground {
        match &mut self.state {
            State::Closed(closed) => &mut closed.ground,
            State::Running(running) => &mut running.node.ground,
            State::Changing => fatal(Reason::Bug, "the node is changing"),
        }
    }

    /// Joins the lanes and starts the log loop and the gateway.
    fn start(&mut self, part: Part, epoch: Epoch) -> Result<(), Failure> {
        let State::Closed(closed) = std::mem::replace(&mut self.state, State::Changing) else {
            return Err(Failure::new(Reason::Bug, "the lanes were opened twice"));
        };
        let Closed { ground, servers, opened } = *closed;
        let joining = Joining {
            part,
            epoch,
            since_ns: Clock.realtime_ns(),
            shipper: Some(self.common.wake.clone()),
            cluster: self.common.cluster.clone(),
            standing: Some(Arc::clone(&self.common.standing)),
            healed: Arc::clone(&self.common.healed),
        };
        let mut assembly: Assembly = assemble::assemble(&self.common.config, ground, servers, opened, joining)?;
        let logs: Vec<Log> =
            assembly.lanes.iter().map(|lane| (Arc::clone(&lane.view), Arc::clone(&lane.disk), lane.readers.clone())).collect();
        let healing = assembly.healing.take();
        let (mut node, told) = Node::start(self.common.config.clone(), assembly)?;
        node.serve()?;
        self.salvage(&node, &logs)?;
        if let Some((mender, harmed)) = healing {
            let lanes = logs.iter().map(|(view, disk, _)| (Arc::clone(view), Arc::clone(disk))).collect();
            heal::start(Heal { harmed, mender, lanes, lender: self.common.lender, healed: Arc::clone(&self.common.healed) })?;
        }
        self.state = State::Running(Box::new(Running { node, told, logs }));
        Ok(())
    }

    /// Looks after packets that a divergent tail has left in quarantine.
    fn salvage(&self, node: &Node, logs: &[Log]) -> Result<(), Failure> {
        let own = node.advertised();
        salvage::start(Salvage {
            quarantine: node.ground.volume.folder("quarantine")?,
            views: logs.iter().map(|(view, _, _)| Arc::clone(view)).collect(),
            cluster: self.common.cluster.clone(),
            own: format!("{}:{}", own.host, own.port),
            streams: salvage::listened(&self.common.config),
        })
    }

    /// Follows from now on.
    fn follow(&mut self) -> Result<(Vec<Filler>, Wake), Failure> {
        let epoch = assemble::epoch_seen(&self.closed().opened);
        self.start(Part::Follower, epoch)?;
        let running = self.running();
        let fillers = running.node.fillers.drain(..).map(|(filler, _)| filler).collect();
        let log = running.node.line.wake.clone();
        self.announce();
        Ok((fillers, log))
    }

    /// Leads from now on, from closed lanes.
    fn lead_from_closed(&mut self, epoch: Epoch) -> Result<Vec<u64>, Failure> {
        let closed = self.closed();
        let (ends, newest_ns) = (assemble::ends(&closed.opened), assemble::newest_ns(&closed.opened));
        let lanes = closed.ground.directory.state.lanes;
        let taken: Vec<Taken> = closed.opened.iter().map(|lane| taken(&lane.recovered.producers, lane.recovered.next)).collect();
        let directory = &mut closed.ground.directory;
        directory.begin_epoch(epoch, ends.clone())?;
        let mut warnings = Vec::new();
        let sockets = Sockets::bind(&self.common.config, lanes, &mut warnings)?;
        self.closed().ground.directory.note_unobserved(newest_ns, sockets.bound_ns);
        self.start(Part::Primary, epoch)?;
        let running = self.running();
        running.node.ground.warnings.extend(warnings);
        let beginnings = running.node.fillers.drain(..).map(|(filler, counters)| Beginning { filler, counters }).collect();
        self.take_in(&sockets, beginnings, taken)?;
        Ok(ends)
    }

    /// Leads from now on, from lanes that followed.
    fn lead_from_following(&mut self, epoch: Epoch, fillers: Vec<Filler>) -> Result<Vec<u64>, Failure> {
        let lanes = fillers.len();
        let running = self.running();
        for lane in 0..lanes {
            running.node.line.order(Control::Lead { lane, epoch })?;
        }
        let mut led: Vec<Led> = Vec::with_capacity(lanes);
        while led.len() < lanes {
            match running.told.recv_timeout(LED_MAX) {
                Ok(Told::Led(one)) => led.push(one),
                Ok(Told::Failed(text)) => return Err(self.disk_failed(text)),
                Err(_) => return Err(Failure::new(Reason::Storage, "what was followed was not durable within 30 s; check the disk")),
            }
        }
        led.sort_unstable_by_key(|led| led.lane);
        let ends: Vec<u64> = led.iter().map(|led| led.next).collect();
        running.node.ground.directory.begin_epoch(epoch, ends.clone())?;
        let views: Vec<Arc<LaneView>> = running.logs.iter().map(|(view, _, _)| Arc::clone(view)).collect();
        let line = running.node.line.clone();
        intake::ensure_streams(&self.common.config, &views, &line)?;
        let mut warnings = Vec::new();
        let sockets = Sockets::bind(&self.common.config, u32::try_from(lanes).expect("at most 64 lanes"), &mut warnings)?;
        let taken = led.iter().map(|led| taken(&led.producers, led.next)).collect();
        let beginnings = fillers.into_iter().zip(&led).map(|(filler, led)| Beginning { filler, counters: led.counters }).collect();
        self.running().node.ground.warnings.extend(warnings);
        self.take_in(&sockets, beginnings, taken)?;
        Ok(ends)
    }

    fn take_in(&mut self, sockets: &Sockets, beginnings: Vec<Beginning>, taken: Vec<Taken>) -> Result<(), Failure> {
        let running = self.running();
        running.node.watched.since_ns.store(sockets.bound_ns, Ordering::Release);
        running.node.take_in(sockets, beginnings)?;
        self.common.cluster.begin_to_lead(taken);
        Ok(())
    }

    /// What the lanes' disk and their account of what is not committed give cause for; looked at once in a while.
    fn look_at_disk(&mut self) -> Option<Event> {
        let now_ns = Clock.realtime_ns();
        let State::Running(running) = &self.state else { return None };
        if now_ns.saturating_sub(self.looked_ns) < LOOK_EVERY_NS {
            return None;
        }
        self.looked_ns = now_ns;
        let waits = |since_ns: u64| since_ns != 0 && now_ns.saturating_sub(since_ns) > DISK_NS_MAX;
        if running.node.watched.lanes.iter().any(|lane| waits(lane.gauges.waiting_since_ns.load(Ordering::Relaxed))) {
            return Some(Event::DiskSlow);
        }
        let uncommitted: u64 = running.logs.iter().map(|(view, _, _)| view.positions.uncommitted_bytes.load()).sum();
        let bytes_max = self.common.config.pair.as_ref().map_or(u64::MAX, |pair| pair.uncommitted_bytes_max);
        (uncommitted > bytes_max).then_some(Event::Backlog)
    }

    /// What the log loop has to say of its disk.
    fn hear_log_loop(&mut self) -> Option<Event> {
        let State::Running(running) = &self.state else { return None };
        let Ok(Told::Failed(text)) = running.told.try_recv() else { return None };
        self.failed = Some(text);
        Some(Event::StorageFault)
    }

    /// The disk has failed before this node leads: written down here, since the machine waits for it to lead.
    fn disk_failed(&mut self, text: String) -> Failure {
        let directory = &mut self.ground().directory;
        directory.state.needs_repair = true;
        directory.write().err().unwrap_or(Failure::new(Reason::Storage, text))
    }

    /// Records committed in this run.
    fn committed(&self) -> u64 {
        match &self.state {
            State::Running(running) => running.node.watched.committed(),
            State::Closed(_) | State::Changing => 0,
        }
    }

    /// Says that the node serves, once in the life of the process and of those that it has replaced.
    fn announce(&mut self) {
        let is_first = !std::mem::replace(&mut self.is_announced, true);
        self.running().node.announce(is_first);
    }
}

fn taken(producers: &[headworks_format::checkpoint::Producer], next: u64) -> Taken {
    Taken { producers: producers.to_vec(), next }
}

/// Ends the process where going on would be wrong.
fn done<T>(result: Result<T, Failure>) -> T {
    result.unwrap_or_else(|failure| fatal(failure.reason, failure.text))
}

impl Host for PairHost {
    type Disk = LaneDisk;

    fn log(&self, lane: u32) -> LaneLog<LaneDisk> {
        let at = lane as usize;
        match &self.state {
            State::Closed(closed) => done(closed.ground.closed_log(&closed.opened[at])),
            State::Running(running) => {
                let (view, disk, readers) = &running.logs[at];
                let end = End { sequence: view.positions.durable.load(), chain: headworks_format::Chain::START };
                let committed = view.positions.committed.load();
                LaneLog { view: Arc::clone(view), disk: Arc::clone(disk), readers: Some(readers.clone()), end, committed }
            }
            State::Changing => fatal(Reason::Bug, "the node is changing"),
        }
    }

    fn introduction(&self) -> (String, String) {
        let name = self.common.config.node.name.clone();
        let address = match &self.state {
            State::Closed(closed) => crate::node::run::advertised(&self.common.config, &closed.servers.kafka),
            State::Running(running) => Ok(running.node.advertised().clone()),
            State::Changing => fatal(Reason::Bug, "the node is changing"),
        };
        let advertised = done(address);
        (name, format!("{}:{}", advertised.host, advertised.port))
    }

    fn met(&mut self, peer: Peer) {
        if let Some(broker) = crate::node::run::broker_of(peer.member.node, &peer.address) {
            // Who answers has come back: the next time that it is missed is said again.
            self.noted = self.noted.filter(|noted| *noted != Note::AwaitsOperator);
            self.common.standing.met(&peer);
            self.common.cluster.met(broker);
            done(self.ground().remember_peer(&peer));
        }
    }

    fn persist(&mut self, kept: &Kept) {
        let directory = &mut self.ground().directory;
        directory.state.promised_epoch = directory.state.promised_epoch.max(kept.promised);
        directory.state.register_version = kept.register_version;
        directory.state.arbiter = kept.arbiter;
        directory.state.needs_repair = kept.needs_repair;
        let (kept, tell, wake) = (*kept, self.common.tell.clone(), self.common.wake.clone());
        // Two fdatasyncs on a busy disk take longer than a heartbeat may be late.
        let written = self.ground().directory.write_later(move |written| {
            done(written);
            // The loop may have ended.
            drop(tell.send(Event::Persisted(kept)));
            wake.wake();
        });
        done(written);
    }

    fn cut(&mut self, lane: u32, to: End) {
        let config = self.common.config.clone();
        let closed = self.closed();
        done(closed.ground.cut(&config, &mut closed.opened[lane as usize], to, to.sequence));
    }

    fn restart(&mut self, lane: u32, from: End, shared: u64) {
        let config = self.common.config.clone();
        let closed = self.closed();
        done(closed.ground.restart(&config, &mut closed.opened[lane as usize], from, shared));
    }

    fn open(&mut self) -> (Vec<Filler>, Wake) {
        let followed = self.follow();
        done(followed)
    }

    fn grow(&mut self, lane: u32, partition: Partition) -> Result<(), Partition> {
        let view = PartitionView::of(&partition);
        let line = &self.running().node.line;
        let mut grow = line.grow.lock().unwrap_or_else(PoisonError::into_inner);
        grow.send(Grow { lane: lane as usize, partition, view }).map_err(|full| full.0.partition)
    }

    fn lead(&mut self, epoch: Epoch, fillers: Option<Vec<Filler>>) -> Option<Vec<u64>> {
        if let State::Running(running) = &self.state
            && running.node.has_stopped_taking_in()
        {
            // A handover was taken back: the intake begins anew with the process, which takes the next epoch, or not at all when
            // the node was told to stop.
            self.start_over(StartOver::Deposed);
            return None;
        }
        tracing::info!(%epoch, "leading");
        let led = match fillers {
            Some(fillers) => self.lead_from_following(epoch, fillers),
            None => self.lead_from_closed(epoch),
        };
        Some(done(led))
    }

    fn serve(&mut self, epoch: Epoch) {
        if self.common.stopping.is_handed.load(Ordering::Acquire) {
            return;
        }
        tracing::info!(%epoch, "serving");
        self.announce();
        let written = self.ground().directory.write();
        done(written);
    }

    fn stop_serving(&mut self) {
        self.common.cluster.stop_leading();
    }

    fn stop_intake(&mut self) {
        self.common.cluster.stop_leading();
        let stop = self.running().node.stop_taking_in(HANDOVER_DRAIN_NS);
        let (tell, wake) = (self.common.tell.clone(), self.common.wake.clone());
        let stopped = spawn("hw-handover", move || {
            done(stop());
            // The loop may have ended.
            drop(tell.send(Event::IntakeStopped));
            wake.wake();
        });
        drop(done(stopped));
    }

    fn start_over(&mut self, why: StartOver) {
        if self.common.stopping.hands_over.load(Ordering::Acquire) {
            self.common.stopping.is_handed.store(true, Ordering::Release);
            return;
        }
        tracing::warn!(?why, "starting over");
        // Whoever ordered it is to be answered first, over a connection that ends with this process. It serves nobody any more, so
        // nobody else waits.
        if let Some(accepted) = self.common.standing.ordered() {
            restart::let_answer_out(accepted);
        }
        restart::start_over(&self.common.settled)
    }

    fn halt(&mut self, why: &Halt) {
        // What the machine has ordered to be written down before is waited for.
        self.ground().directory.finish();
        let failed = self.failed.take().filter(|_| *why == Halt::StorageFault);
        done(Err(failed.map_or_else(|| explain(why), |text| Failure::new(Reason::Storage, text))))
    }

    fn note(&mut self, note: &Note) {
        if self.noted.replace(*note) == Some(*note) {
            return;
        }
        self.common.standing.note(note, self.committed());
        if let Note::Paired | Note::Alone | Note::Stalled = note {
            self.common.cluster.set_waiting(*note == Note::Stalled);
        }
        match note {
            Note::Paired => {
                self.common.cluster.set_paired(true);
                tracing::info!("in sync: records are committed once they are durable on both nodes");
            }
            Note::Alone => {
                self.common.cluster.set_paired(false);
                tracing::error!("alone: records are committed once they are durable here only, until the other node is in sync again");
            }
            Note::NoHandover => {
                self.common.stopping.is_handed.store(true, Ordering::Release);
                tracing::warn!("no handover now: the other node is not in sync");
            }
            Note::Stalled => tracing::error!(
                "waiting: nothing is committed until the other node is in sync again, or an operator says that it is fenced"
            ),
            Note::AwaitsOperator => tracing::error!(
                "the primary is not heard, and this node does not lead by itself: an operator is the arbiter. Make sure that the primary does \
                    not run and will not come back as primary; then `headworks pair promote --confirm-fenced NAME` here"
            ),
            Note::AsksBack => tracing::info!(
                "handing over: the other node did not take over in time, or its connection has ended; this node asks for the lead, and yields \
                    where the other has it"
            ),
            Note::Repaired => tracing::warn!("this node's disk had failed; it is in sync again, and may lead"),
            other => tracing::warn!(note = ?other, "pair"),
        }
    }

    fn say(&mut self, text: &str) {
        tracing::warn!("{text}");
    }

    fn next(&mut self) -> Option<Event> {
        self.hear_log_loop().or_else(|| self.common.events.try_recv().ok()).or_else(|| self.look_at_disk())
    }

    fn show(&mut self, seen: &Seen) {
        self.common.standing.show(seen);
    }

    fn is_over(&self) -> bool {
        self.common.stopping.is_over.load(Ordering::Acquire)
    }
}

fn explain(why: &Halt) -> Failure {
    match why {
        Halt::StorageFault => Failure::new(Reason::Storage, "the disk has failed; see docs/runbooks/disk-failed.md"),
        Halt::OtherPair => Failure::new(
            Reason::Config,
            "the register, or the other node, belongs to another pair than this directory; point [arbiter] and [pair] at this pair, or \
                start with a new directory",
        ),
        Halt::Unequal => Failure::new(
            Reason::Config,
            "the other node has other lanes or another segment size than this directory, so the two logs cannot be the same; start this \
                node with a new directory, which takes both from the register",
        ),
        Halt::CutBelowCommitted { lane, to, committed } => Failure::new(
            Reason::Storage,
            format!(
                "lane {lane}: the primary's log ends at block {to}, and blocks below {committed} were committed here: the arbiter or a disk \
                    has lied. Nothing was changed; compare both directories with `headworks verify` before anything is started"
            ),
        ),
        Halt::NothingInCommon { lane } => Failure::new(
            Reason::Storage,
            format!(
                "lane {lane}: the two logs differ where their histories say that they do not; nothing was changed. `headworks verify` both"
            ),
        ),
        Halt::RestartInSync { lane } => Failure::new(
            Reason::Storage,
            format!("lane {lane}: this node is in sync by the register, and what it lacks is gone at the primary; nothing was changed"),
        ),
        Halt::EpochsEnd => Failure::new(Reason::Storage, "epochs are used up; export the data and start a new pair"),
    }
}
