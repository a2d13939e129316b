//! The ingest loop's turn: reap, take, seal, account, arm; one clock read, one submit, nothing allocated.

use super::listener::{Listen, Listener};
use crate::admit::{self, Facts, Shed};
use crate::batches::{BATCHES_A_TURN_MAX, Batches, Inbox};
use crate::intake::{Intake, KEY_BYTES, Route, Train};
use crate::seal;
use headworks_format::block::COUNTERS;
use headworks_io::fatal::{Reason, fatal};
use headworks_io::{Clock, Completion, FileSlot, Idle, Policy, ReceiveBuffers, ReceiveError, Ring, RingSetup, Source, Step, Token, Wake};
use headworks_ledger::Counts;
use headworks_ring::{Filler, Receiver};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const COMPLETIONS_MAX: usize = 256;
/// Receive buffers of a lane: one holds the largest GRO train.
const BUFFERS: u16 = 256;
/// Head of a received message and 64 KiB of payload.
const BUFFER_BYTES: u32 = 64 << 10;
/// Receive buffers of a lane in bytes, for the sum printed at start.
pub const RECEIVE_BYTES: usize = BUFFERS as usize * BUFFER_BYTES as usize;
const GROUP: u16 = 1;
const WAKE_TOKEN: Token = Token(u64::MAX);
const WAIT_MAX: Duration = Duration::from_secs(1);
/// The wait while a difference in the books waits to be settled.
const WAIT_SETTLE: Duration = Duration::from_millis(2);
/// The longest a stop waits for sockets that keep being sent to.
const DRAIN_MAX_NS: u64 = 2_000_000_000;

/// The message that ends the loop.
#[derive(Debug, Clone, Copy)]
pub struct Stop;

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
    /// Slots whose blocks were submitted.
    fn disk_full(&self) -> bool;
}

/// The loop's parts, made on any thread.
pub struct IngestParts {
    /// Sockets.
    pub listeners: Vec<Listen>,
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

/// What a loop leaves behind.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// The lane's cumulative counters.
    pub counters: [u64; COUNTERS],
}

/// A train that could not be framed whole: its completion and the packets already taken.
#[derive(Clone, Copy)]
struct Held {
    completion: Completion,
    taken: usize,
}

/// The ingest loop of one lane.
pub struct IngestLoop {
    ring: Ring,
    buffers: ReceiveBuffers,
    listeners: Vec<Listener>,
    filler: Filler,
    intake: Intake,
    held: VecDeque<Held>,
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
    stopping_since_ns: Option<u64>,
}

impl IngestLoop {
    /// Builds the loop on the thread that will run it.
    ///
    /// # Errors
    /// io_uring or memory is not to be had.
    pub fn new(parts: IngestParts, setup: IngestSetup) -> Result<IngestLoop, String> {
        let text = |error: std::io::Error| error.to_string();
        // Twice as many completions as buffers: every buffer can be in one and every receive end in another.
        let mut ring =
            Ring::new(&RingSetup { sq_entries: 64, cq_entries: 2 * u32::from(BUFFERS) + 64 }).map_err(|error| error.to_string())?;
        ring.register_files(u32::try_from(parts.listeners.len()).expect("few listeners")).map_err(text)?;
        let buffers = ReceiveBuffers::new(&mut ring, GROUP, BUFFERS, BUFFER_BYTES).map_err(text)?;
        let mut listeners = Vec::with_capacity(parts.listeners.len());
        for (place, listen) in parts.listeners.into_iter().enumerate() {
            let slot = FileSlot(u32::try_from(place).expect("as above"));
            ring.set_file(slot, Arc::clone(&listen.socket.fd)).map_err(text)?;
            listeners.push(Listener::new(listen, slot));
        }
        ring.watch(WAKE_TOKEN, &parts.wake).map_err(|_| "no room for the first submission".to_owned())?;
        Ok(IngestLoop {
            ring,
            buffers,
            listeners,
            filler: parts.filler,
            intake: Intake::default(),
            held: VecDeque::with_capacity(usize::from(BUFFERS)),
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
            stopping_since_ns: None,
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
        let woken = self.sort(reaped);
        let taken = self.take(now_ns) + self.take_batches(now_ns);
        let sealed = self.seal_if_due(now_ns);
        self.account(reaped == woken && self.held.is_empty(), now_ns);
        self.buffers.publish();
        self.arm();
        if self.control.recv().is_some() {
            self.stopping_since_ns = Some(now_ns);
        }
        taken + sealed + reaped - woken
    }

    /// Puts completions where they belong; returns how many were mere wake-ups.
    fn sort(&mut self, reaped: usize) -> usize {
        let mut woken = 0;
        for completion in &self.completions[..reaped] {
            if completion.token == WAKE_TOKEN {
                woken += 1;
                self.wake.drain();
                if !completion.more() && self.ring.watch(WAKE_TOKEN, &self.wake).is_err() {
                    fatal(Reason::Bug, "no room to watch the wake again");
                }
                continue;
            }
            let place = usize::try_from(completion.token.0).expect("tokens are places");
            if !completion.more() {
                self.listeners[place].armed = false;
            }
            if completion.buffer_id().is_some() {
                self.held.push_back(Held { completion: *completion, taken: 0 });
            }
        }
        woken
    }

    /// Frames what was received, in order, until it or the ring ends. Returns the trains finished.
    fn take(&mut self, now_ns: u64) -> usize {
        let mut finished = 0;
        while let Some(held) = self.held.front().copied() {
            let place = usize::try_from(held.completion.token.0).expect("tokens are places");
            match self.take_train(place, held, now_ns) {
                Some(taken) => {
                    self.held.front_mut().expect("just seen").taken = taken;
                    break;
                }
                None => {
                    self.held.pop_front();
                    self.buffers.recycle(held.completion.buffer_id().expect("held trains have buffers"));
                    finished += 1;
                }
            }
        }
        finished
    }

    /// Frames one train; some: the ring is full and so many of its packets are framed.
    fn take_train(&mut self, place: usize, held: Held, now_ns: u64) -> Option<usize> {
        let received = match self.buffers.datagram(&held.completion) {
            Ok(received) => received,
            Err(ReceiveError::OutOfBuffers | ReceiveError::Cancelled) => return None,
            Err(ReceiveError::Malformed { .. } | ReceiveError::Os(_)) => {
                admit::count(&mut self.listeners[place].counts, Shed::Malformed, 1);
                return None;
            }
        };
        let listener = &mut self.listeners[place];
        let key = key_of(&received.source);
        let route = Route {
            partition: listener.parts.partition,
            key: listener.parts.key_source.then_some(&key[..]),
            receive_time: listener.parts.receive_time,
            received_ns: received.stamp_ns.unwrap_or(now_ns),
        };
        let mut taken = held.taken;
        let train = Train::new(received.payload, received.segment_bytes.map(usize::from));
        let count = train.packets();
        while taken < count {
            let slot = self.filler.claim();
            let facts = Facts { truncated: received.truncated, ring_full: slot.is_none(), disk_full: self.progress.disk_full() };
            if let Err(reason) = admit::admit(&facts) {
                let listener = &mut self.listeners[place];
                admit::count(&mut listener.counts, reason, (count - taken) as u64);
                return None;
            }
            let Some(slot) = slot else { return Some(taken) };
            let framed = self.intake.take(slot, &route, train.after(taken));
            let counts = &mut self.listeners[place].counts;
            counts.received += framed.packets;
            counts.received_bytes += framed.bytes;
            counts.admitted += framed.packets;
            taken += usize::try_from(framed.packets).expect("packets of a train");
            if framed.full {
                let counters = lane_counters(&self.listeners, &self.inbox, &self.carried);
                seal_block(&mut self.intake, &mut self.filler, &self.log, counters);
            }
        }
        None
    }

    /// Takes batches that clients made, until there is none, the ring is full, or packets are to be looked at again.
    fn take_batches(&mut self, now_ns: u64) -> usize {
        let mut taken = 0;
        while taken < BATCHES_A_TURN_MAX {
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

    fn seal_state(&self, now_ns: u64) -> seal::State {
        seal::State {
            awaited: self.intake.is_awaited(),
            payload_bytes: self.intake.payload_bytes(),
            age_ns: self.intake.first_ns().map_or(0, |first| now_ns.saturating_sub(first)),
            writing: self.progress.writing(),
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
        seal_block(&mut self.intake, &mut self.filler, &self.log, lane_counters(&self.listeners, &self.inbox, &self.carried));
    }

    fn account(&mut self, quiet: bool, now_ns: u64) {
        self.listeners.iter_mut().for_each(|listener| listener.account(quiet, now_ns));
        self.inbox.account();
    }

    /// Arms receives that ended, once enough buffers are back: an empty buffer ring would end them at once again.
    fn arm(&mut self) {
        if self.buffers.outstanding() * 4 > usize::from(BUFFERS) * 3 {
            return;
        }
        for (place, listener) in self.listeners.iter_mut().enumerate().filter(|(_, listener)| !listener.armed) {
            listener.armed = self.ring.receive(Token(place as u64), listener.slot, &mut self.buffers).is_ok();
        }
    }

    fn wait(&mut self) {
        let now_ns = self.clock.realtime_ns();
        // Announce sleep, then look once more at what others may have changed meanwhile.
        let state = self.seal_state(now_ns);
        if self.wake.park()
            || seal::is_due(&self.seal_state(now_ns))
            || !self.control.is_empty()
            || (!self.inbox.is_empty() && !self.inbox.is_held())
            || ((!self.held.is_empty() || self.inbox.is_held()) && self.filler.claim().is_some())
        {
            self.wake.unpark();
            return;
        }
        let mut timeout = seal::due_in_ns(&state).map_or(WAIT_MAX, Duration::from_nanos).min(WAIT_MAX);
        if self.stopping_since_ns.is_some() || self.listeners.iter().any(Listener::is_settling) {
            timeout = timeout.min(WAIT_SETTLE);
        }
        self.ring.wait(Some(timeout)).unwrap_or_else(|error| fatal(Reason::Kernel, format!("io_uring wait failed: {error}")));
        self.wake.unpark();
    }

    fn is_ended(&self) -> bool {
        let Some(since) = self.stopping_since_ns else { return false };
        let drained = self.held.is_empty()
            && self.inbox.is_empty()
            && self.buffers.outstanding() == 0
            && self.listeners.iter().all(|listener| listener.is_drained() && !listener.is_settling());
        drained || self.clock.realtime_ns().saturating_sub(since) > DRAIN_MAX_NS
    }

    fn end(mut self) -> Ended {
        if self.intake.payload_bytes() > 0 {
            self.seal_open();
        }
        let now_ns = self.clock.realtime_ns();
        self.account(true, now_ns);
        Ended { counters: lane_counters(&self.listeners, &self.inbox, &self.carried) }
    }
}

fn seal_block(intake: &mut Intake, filler: &mut Filler, log: &Wake, counters: [u64; COUNTERS]) {
    let slot = filler.claim().expect("an open block stands in a claimed slot");
    intake.seal(slot, counters);
    filler.publish();
    log.wake();
}

/// The lane's cumulative counters: what earlier runs left and what this run's listeners counted.
fn lane_counters(listeners: &[Listener], inbox: &Inbox, carried: &Counts) -> [u64; COUNTERS] {
    let exact = carried.exact.max(u64::from(carried.received == 0));
    let listened = listeners.iter().fold(Counts { exact, ..*carried }, |sum, listener| sum.plus(&listener.counts));
    listened.plus(&inbox.counts).to_slots()
}

/// The source as a key: 16 bytes of address, IPv4 mapped into IPv6, and the port, big-endian.
fn key_of(source: &Source) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..16].copy_from_slice(&source.address);
    key[16..].copy_from_slice(&source.port.to_be_bytes());
    key
}
