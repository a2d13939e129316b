//! The ingest loop's turn: reap, take, seal, acknowledge, account, arm; one clock read, one submit, nothing allocated.
//!
//! ```text
//! udp sockets ─┐
//! tcp edge ────┼─► intake ─► slot ring ─► log loop        who finds the block full has it sealed and goes on;
//! inbox ───────┘                                           who finds the ring full waits, and so does its sender
//! ```

use crate::batches::{BATCHES_A_TURN_MAX, Batches, Inbox};
use crate::intake::Intake;
use crate::offer::{Offered, Until};
use crate::seal;
use crate::tcp::acks::Reached;
use crate::tcp::edge::{Connections, ListenTcp};
use crate::udp::{Listen, Sockets};
use headworks_format::block::COUNTERS;
use headworks_io::fatal::{Reason, fatal};
use headworks_io::{Clock, Completion, Idle, Policy, Ring, RingSetup, Step, Token, Wake};
use headworks_ledger::Counts;
use headworks_ring::{Filler, Receiver};
use std::sync::Arc;
use std::time::Duration;

const COMPLETIONS_MAX: usize = 256;
const WAKE_TOKEN: Token = Token(u64::MAX);
const WAIT_MAX: Duration = Duration::from_secs(1);
/// The wait while a difference in the books waits to be settled.
const WAIT_SETTLE: Duration = Duration::from_millis(2);
/// The longest an orderly stop waits for sockets that keep being sent to.
const DRAIN_NS_MAX: u64 = 2_000_000_000;

/// The message that ends the loop.
#[derive(Debug, Clone, Copy)]
pub struct Stop {
    /// The longest it waits for sockets that keep being sent to.
    pub drain_ns_max: u64,
}

impl Stop {
    /// An orderly end: what waits in the sockets is taken in.
    pub const DRAINED: Stop = Stop { drain_ns_max: DRAIN_NS_MAX };
}

/// How the loop runs.
#[derive(Debug, Clone, Copy)]
pub struct IngestSetup {
    /// How long a block may wait for more packets, in ns.
    pub linger_ns: u64,
    /// Most block writes under way.
    pub depth: u64,
    /// What to do when there is nothing to do.
    pub idle: Policy,
}

/// What tells the loop how far its log is.
pub trait Progress: Send + Sync {
    /// Blocks submitted and not yet written.
    fn writing(&self) -> u64;
    /// Whether the log has no room for want of space on the volume.
    fn disk_full(&self) -> bool;
    /// Ring slots below this number hold blocks that every other required member of the pair has in memory.
    fn shared_slots(&self) -> u64;
    /// Ring slots below this number hold committed blocks.
    fn committed_slots(&self) -> u64;
    /// Whether more is durable and not committed than may be: whoever can wait is made to, so TCP and Produce are not read.
    fn is_backlogged(&self) -> bool;
}

/// The loop's parts, made on any thread.
pub struct IngestParts {
    /// UDP sockets.
    pub listeners: Vec<Listen>,
    /// TCP listeners.
    pub tcp: Vec<ListenTcp>,
    /// The ring's producer.
    pub filler: Filler,
    /// How far the lane's log is.
    pub progress: Arc<dyn Progress>,
    /// Wakes this loop.
    pub wake: Wake,
    /// Wakes the log loop.
    pub log: Wake,
    /// The lane's counters when the last run ended.
    pub carried: Counts,
    /// Ends the loop.
    pub control: Receiver<Stop>,
    /// Batches that clients made.
    pub batches: Batches,
}

/// What is asked for packets or records: whether the disk is full, and the time.
type Source = fn(&mut IngestLoop, bool, u64) -> Offered;

/// What a loop leaves behind.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// The lane's cumulative counters.
    pub counters: [u64; COUNTERS],
    /// Blocks that it has handed to the log loop.
    pub published: u64,
}

/// The ingest loop of one lane.
pub struct IngestLoop {
    ring: Ring,
    udp: Sockets,
    tcp: Connections,
    /// UDP listeners: tokens below this are theirs.
    udp_places: usize,
    filler: Filler,
    intake: Intake,
    progress: Arc<dyn Progress>,
    wake: Wake,
    log: Wake,
    carried: Counts,
    control: Receiver<Stop>,
    inbox: Inbox,
    completions: [Completion; COMPLETIONS_MAX],
    clock: Clock,
    idle: Idle,
    setup: IngestSetup,
    /// Since when it is to end, and how long that may take.
    stopping: Option<(u64, Stop)>,
}

impl IngestLoop {
    /// Builds the loop on the thread that will run it.
    ///
    /// # Errors
    /// io_uring or memory is not to be had.
    pub fn new(parts: IngestParts, setup: IngestSetup) -> Result<IngestLoop, String> {
        let text = |error: std::io::Error| error.to_string();
        let udp_places = parts.listeners.len();
        let files = udp_places + parts.tcp.len();
        let cq_entries = crate::udp::COMPLETIONS + Connections::completions(&parts.tcp) + 64;
        let mut ring = Ring::new(&RingSetup { sq_entries: 256, cq_entries }).map_err(|error| error.to_string())?;
        ring.register_files(u32::try_from(files.max(1)).expect("few listeners")).map_err(text)?;
        let udp = Sockets::new(&mut ring, parts.listeners).map_err(text)?;
        let tcp = Connections::new(&mut ring, udp_places, parts.tcp).map_err(text)?;
        ring.watch(WAKE_TOKEN, &parts.wake).map_err(|_| "no room for the first submission".to_owned())?;
        Ok(IngestLoop {
            ring,
            udp,
            tcp,
            udp_places,
            filler: parts.filler,
            intake: Intake::default(),
            progress: parts.progress,
            wake: parts.wake,
            log: parts.log,
            carried: parts.carried,
            control: parts.control,
            inbox: Inbox::new(parts.batches),
            completions: [Completion::default(); COMPLETIONS_MAX],
            clock: Clock,
            idle: Idle::new(setup.idle),
            setup,
            stopping: None,
        })
    }

    /// Runs until told to stop and drained; what was received is sealed then.
    pub fn run(mut self) -> Ended {
        loop {
            let done = self.turn();
            if self.is_ended() {
                return self.end();
            }
            if self.idle.next(done) == Step::Wait {
                self.wait();
            }
        }
    }

    /// One turn; returns how much was done.
    pub fn turn(&mut self) -> usize {
        self.ring.submit().unwrap_or_else(|error| fatal(Reason::Kernel, format!("io_uring submit failed: {error}")));
        let reaped = self.ring.reap(&mut self.completions);
        let now_ns = self.clock.realtime_ns();
        let woken = self.sort(reaped, now_ns);
        let taken = self.take(now_ns) + self.take_batches(now_ns);
        let sealed = self.seal_if_due(now_ns);
        let reached = self.reached();
        let told = self.tcp.tick(&mut self.ring, reached, now_ns);
        self.account(now_ns);
        self.udp.arm(&mut self.ring);
        let armed = self.tcp.arm(&mut self.ring);
        if let Some(stop) = self.control.recv() {
            self.stopping = Some((now_ns, stop));
            self.tcp.stop();
        }
        taken + sealed + told + armed + reaped - woken
    }

    /// Puts completions where they belong; returns how many were mere wake-ups.
    fn sort(&mut self, reaped: usize, now_ns: u64) -> usize {
        let mut woken = 0;
        for completion in &self.completions[..reaped] {
            if completion.token == WAKE_TOKEN {
                woken += 1;
                self.wake.drain();
                if !completion.more() && self.ring.watch(WAKE_TOKEN, &self.wake).is_err() {
                    fatal(Reason::Bug, "no room to watch the wake again");
                }
            } else if let Some((slot, way)) = completion.token.connection() {
                self.tcp.on_completion(&mut self.ring, slot, way, completion, now_ns);
            } else {
                let place = usize::try_from(completion.token.0).expect("tokens are places");
                match place.checked_sub(self.udp_places) {
                    None => self.udp.on_completion(place, completion),
                    Some(place) => self.tcp.on_accept(place, completion),
                }
            }
        }
        self.tcp.welcome(&mut self.ring, now_ns);
        woken
    }

    /// Frames what was received until it or the ring ends. Returns the receives finished.
    fn take(&mut self, now_ns: u64) -> usize {
        let disk_full = self.progress.disk_full();
        let mut finished = 0;
        let sources: &[Source] = if self.progress.is_backlogged() { &[Self::take_udp] } else { &[Self::take_udp, Self::take_tcp] };
        for source in sources {
            loop {
                let offered = source(self, disk_full, now_ns);
                finished += offered.finished;
                if offered.until != Until::BlockFull {
                    break;
                }
                self.seal_open();
            }
        }
        finished
    }

    fn take_udp(&mut self, disk_full: bool, now_ns: u64) -> Offered {
        self.udp.take(&mut self.intake, &mut self.filler, disk_full, now_ns)
    }

    fn take_tcp(&mut self, _disk_full: bool, now_ns: u64) -> Offered {
        self.tcp.take(&mut self.ring, &mut self.intake, &mut self.filler, now_ns)
    }

    /// Takes batches that clients made, until there is none, the ring is full, or packets are to be looked at again.
    fn take_batches(&mut self, now_ns: u64) -> usize {
        let mut taken = 0;
        while taken < BATCHES_A_TURN_MAX && !self.progress.is_backlogged() {
            let Some(batch) = self.inbox.next() else { break };
            let Some(slot) = self.filler.claim() else {
                self.inbox.hold(batch);
                break;
            };
            if self.intake.take_batch(slot, &batch, now_ns) {
                self.inbox.took(batch);
                taken += 1;
            } else {
                self.inbox.hold(batch);
                self.seal_open();
            }
        }
        taken
    }

    fn reached(&mut self) -> Reached {
        let (peer_memory, committed) = (self.progress.shared_slots(), self.progress.committed_slots());
        Reached { durable: self.filler.released(), peer_memory, committed }
    }

    /// Whether something received waits and can be framed now.
    fn has_work(&mut self) -> bool {
        let takes_all = !self.progress.is_backlogged();
        if takes_all && !self.inbox.is_empty() && !self.inbox.is_held() {
            return true;
        }
        let held = self.udp.is_held() || (takes_all && (self.tcp.is_held() || self.inbox.is_held()));
        held && self.filler.claim().is_some()
    }

    fn has_counts_to_tell(&mut self) -> bool {
        let reached = self.reached();
        self.tcp.has_news(reached)
    }

    fn seal_state(&mut self, now_ns: u64) -> seal::State {
        seal::State {
            awaited: self.intake.is_awaited(),
            payload_bytes: self.intake.payload_bytes(),
            age_ns: self.intake.first_ns().map_or(0, |first| now_ns.saturating_sub(first)),
            writing: self.progress.writing(),
            undurable: self.filler.published() - self.filler.released(),
            depth: self.setup.depth,
            linger_ns: self.setup.linger_ns,
        }
    }

    fn seal_if_due(&mut self, now_ns: u64) -> usize {
        if !seal::is_due(&self.seal_state(now_ns)) {
            return 0;
        }
        self.seal_open();
        1
    }

    /// Seals the open block into the claimed slot and hands it to the log loop.
    fn seal_open(&mut self) {
        let counters = self.counters();
        let slot = self.filler.claim().expect("an open block stands in a claimed slot");
        self.intake.seal(slot, counters);
        self.filler.publish();
        self.log.wake();
    }

    /// The lane's cumulative counters: what earlier runs left and what this run's listeners counted.
    fn counters(&self) -> [u64; COUNTERS] {
        let exact = self.carried.exact.max(u64::from(self.carried.received == 0));
        let carried = Counts { exact, ..self.carried };
        self.tcp.counted(self.udp.counted(carried)).plus(&self.inbox.counts).to_slots()
    }

    fn account(&mut self, now_ns: u64) {
        self.udp.account(now_ns);
        self.tcp.account();
        self.inbox.account();
    }

    fn wait(&mut self) {
        let now_ns = self.clock.realtime_ns();
        // Announce sleep, then look once more at what others may have changed meanwhile.
        let state = self.seal_state(now_ns);
        if self.wake.park()
            || seal::is_due(&self.seal_state(now_ns))
            || !self.control.is_empty()
            || self.has_work()
            || self.has_counts_to_tell()
        {
            self.wake.unpark();
            return;
        }
        let mut timeout = seal::due_in_ns(&state).map_or(WAIT_MAX, Duration::from_nanos).min(WAIT_MAX);
        if self.stopping.is_some() || self.udp.is_settling() {
            timeout = timeout.min(WAIT_SETTLE);
        }
        if let Some(sweep_ns) = self.tcp.sweep_in_ns(now_ns) {
            timeout = timeout.min(Duration::from_nanos(sweep_ns));
        }
        self.ring.wait(Some(timeout)).unwrap_or_else(|error| fatal(Reason::Kernel, format!("io_uring wait failed: {error}")));
        self.wake.unpark();
    }

    fn is_ended(&self) -> bool {
        let Some((since_ns, stop)) = self.stopping else { return false };
        let now_ns = self.clock.realtime_ns();
        let drained = self.udp.is_drained() && self.inbox.is_empty() && self.tcp.is_drained(now_ns);
        drained || now_ns.saturating_sub(since_ns) > stop.drain_ns_max
    }

    fn end(mut self) -> Ended {
        if self.intake.payload_bytes() > 0 {
            self.seal_open();
        }
        let now_ns = self.clock.realtime_ns();
        self.account(now_ns);
        Ended { counters: self.counters(), published: self.filler.published() }
    }
}
