//! The loop over all connections: one thread, readiness by epoll, time by a timer of nanoseconds.
//!
//! ```text
//!  slots that became due ──► ready sources ──► fill, write until the kernel takes no more
//!  epoll: writable ────────────┘       readable ──► counts       ended ──► broken ──► again after a pause
//! ```
//!
//! Each source has its own part of the schedule, so one that is held up holds up no other, and what it owes stays due with
//! the time that it was due at. The loop wakes for slots at most every fifth of a millisecond: thousands of connections a
//! millisecond cost a write each, and a wake-up each would cost as much again.
//!
//! At the end of the schedule each connection is shut for writing, and read until the appliance ends it. What is not
//! finished after [`DRAIN_NS_MAX`] is left as unknown.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use hdrhistogram::Histogram;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use socket2::{Domain, Protocol, Socket, Type};

use super::Plan;
use super::record::Recorder;
use super::source::{Ready, Source};
use crate::clock::Clock;
use crate::journal::Shared;
use crate::kafka::wire::is_itself;
use crate::ledger::Quantiles;
use crate::ledger::answers::{Answers, Connections, Waits, histogram};
use crate::load::Come;
use crate::pace::{Pace, Share};
use crate::stop::Stop;

#[cfg(test)]
mod tests;

/// Shortest time between two looks at the schedule when nothing is written.
const LOOK_NS_MIN: u64 = 200_000;

/// Longest, so that a signal is obeyed soon.
const LOOK_NS_MAX: u64 = 20_000_000;

/// Pause after a connection ended, and the longest one after several attempts that failed.
const PAUSE_NS_MIN: u64 = 5_000_000;
const PAUSE_NS_MAX: u64 = 200_000_000;

/// Longest wait for a connection to come about.
const CONNECT_NS_MAX: u64 = 1_000_000_000;

/// Longest time after the schedule, or after a signal, for what is left to be sent and acknowledged.
const DRAIN_NS_MAX: u64 = 10_000_000_000;

/// Different lines of the appliance that are kept.
const LINES_MAX: usize = 16;

/// Marks the timer among the sources.
const TIMER: u64 = u64::MAX;

const EVENTS_MAX: usize = 1024;

/// A source's way out.
#[derive(Debug)]
enum Link {
    /// Being made; given up at this time, ns after the start; the pause after that.
    Connecting(TcpStream, u64, u64),
    /// Takes records.
    Open(TcpStream),
    /// Shut for writing; the appliance has still to end it.
    Finishing(TcpStream),
    /// To be made again at this time, ns after the start; the pause after the next failure.
    Down(u64, u64),
    /// There is nothing left to do.
    Over,
}

/// One run, ready to go.
#[derive(Debug)]
pub struct Run {
    target: SocketAddr,
    ack: bool,
    pace: Pace,
    recorder: Recorder,
    sources: Vec<(Source, Link)>,
    shared: Shared,
    epoll: Epoll,
    timer: TimerFd,
    /// Sources to serve, each once.
    ready: Vec<usize>,
    is_ready: Vec<bool>,
    /// Sources that wait for the ledger file.
    held: Vec<usize>,
    held_ns: u64,
    /// Slots whose sources were woken.
    woken: u64,
    lateness: Histogram<u64>,
    waits: Waits,
    connections: Connections,
    errors: BTreeMap<String, u64>,
    said: BTreeMap<String, u64>,
    clock: Clock,
    stops: bool,
}

impl Run {
    /// A run over these connections, one a source.
    ///
    /// # Errors
    /// The kernel has no epoll or timer to give, or a connection cannot be made non-blocking.
    pub fn new(plan: &Plan, recorder: Recorder, streams: Vec<TcpStream>, shared: Shared) -> Result<Self, String> {
        let pace = plan.load.pace();
        let count = plan.load.sources;
        let source = |number| Source::new(number, Share::new(&pace, number, count), recorder.record_bytes(), plan.ack);
        let opened = streams.len() as u64;
        let sources: Vec<_> = (0..count).map(source).zip(streams.into_iter().map(Link::Open)).collect();
        let no = |what: &'static str| move |errno: Errno| format!("no {what}: {errno}");
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(no("epoll"))?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC).map_err(no("timer"))?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER)).map_err(no("timer"))?;
        let run = Self {
            target: plan.target,
            ack: plan.ack,
            pace,
            recorder,
            ready: (0..sources.len()).collect(),
            is_ready: vec![true; sources.len()],
            sources,
            shared,
            epoll,
            timer,
            held: Vec::new(),
            held_ns: 0,
            woken: 0,
            lateness: histogram(),
            waits: Waits::default(),
            connections: Connections { opened, ..Connections::default() },
            errors: BTreeMap::new(),
            said: BTreeMap::new(),
            clock: Clock::start()?,
            stops: false,
        };
        for (index, (_, link)) in run.sources.iter().enumerate() {
            let Link::Open(stream) = link else { continue };
            prepare(stream).map_err(|error| format!("a connection to {}: {error}", run.target))?;
            run.watch(stream, index).map_err(no("epoll"))?;
        }
        Ok(run)
    }

    /// Sends until the schedule has ended and everything is answered, a signal comes, or the ledger cannot be kept.
    ///
    /// # Errors
    /// The wall clock is out of range, the kernel fails, or the appliance acknowledges what was not sent.
    pub fn until_done(mut self, stop: &Stop) -> Result<Come, String> {
        // The schedule starts now, not when the connections were made.
        self.clock = Clock::start()?;
        let mut drains_from = None;
        let mut events = vec![EpollEvent::empty(); EVENTS_MAX];
        while !self.shared.failed.load(Ordering::Relaxed) {
            let now_ns = self.clock.elapsed_ns();
            self.stops = stop.is_raised();
            if drains_from.is_none() && (self.stops || self.pace.is_over(now_ns)) {
                drains_from = Some(now_ns);
                (0..self.sources.len()).for_each(|index| self.wake(index));
            }
            self.wake_due(now_ns);
            self.reconnect(now_ns)?;
            for index in std::mem::take(&mut self.ready) {
                self.is_ready[index] = false;
                self.serve(index, now_ns)?;
            }
            if self.sources.iter().all(|(_, link)| matches!(link, Link::Over)) {
                break;
            }
            if drains_from.is_some_and(|from_ns| now_ns > from_ns.saturating_add(DRAIN_NS_MAX)) {
                break;
            }
            self.wait(now_ns, &mut events)?;
        }
        self.come()
    }

    /// Wakes the sources whose slots became due.
    fn wake_due(&mut self, now_ns: u64) {
        if !self.pace.is_scheduled() {
            return;
        }
        let offered = self.pace.offered(now_ns);
        let sources = self.sources.len() as u64;
        let from = self.woken.max(offered.saturating_sub(sources));
        for slot in from..offered {
            self.wake(usize::try_from(slot % sources).expect("4096 at most"));
        }
        self.woken = offered;
    }

    #[inline]
    fn wake(&mut self, index: usize) {
        if !self.is_ready[index] {
            self.is_ready[index] = true;
            self.ready.push(index);
        }
    }

    /// Hands over what is due of one source, until the kernel takes no more.
    fn serve(&mut self, index: usize, now_ns: u64) -> Result<(), String> {
        loop {
            let (is_open, is_down) = match self.sources[index].1 {
                Link::Open(_) => (true, false),
                Link::Down(..) => (false, true),
                _ => return Ok(()),
            };
            let ready = self.fill(index, now_ns);
            // What is due waits for a connection; a source that owes nothing needs none.
            if is_down && (self.stops || ready == Ready::Done) {
                self.sources[index].1 = Link::Over;
            }
            if !is_open {
                return Ok(());
            }
            match ready {
                Ready::Nothing => return Ok(()),
                Ready::Held => {
                    self.held.push(index);
                    return Ok(());
                }
                Ready::Done => {
                    self.finish(index, now_ns);
                    return Ok(());
                }
                Ready::Bytes => {}
            }
            if !self.write(index, now_ns)? {
                return Ok(());
            }
        }
    }

    fn fill(&mut self, index: usize, now_ns: u64) -> Ready {
        // Acquire: the ledger file that covers these records stands on disk by now.
        let allowed = self.shared.sources[index].allowed.load(Ordering::Acquire);
        let (scheduled, lateness) = (self.pace.is_scheduled(), &mut self.lateness);
        let times = (self.clock.started_ns(), now_ns);
        self.sources[index].0.fill(&mut self.recorder, times, (allowed, self.stops), |late_ns| {
            if scheduled {
                // An hour is beyond every run's patience.
                lateness.record(late_ns.min(3_600_000_000_000)).expect("a histogram that grows takes every time");
            }
        })
    }

    /// Hands what is ready to the kernel; whether it may take more at once.
    fn write(&mut self, index: usize, now_ns: u64) -> Result<bool, String> {
        let (source, Link::Open(stream)) = &mut self.sources[index] else { return Ok(false) };
        match stream.write(source.bytes()) {
            Ok(taken) => {
                source.on_written(taken);
                let goes_on = self.pace.is_scheduled() || !source.bytes().is_empty();
                self.shared.sources[index].sent.store(source.sent_whole(), Ordering::Relaxed);
                if !goes_on {
                    // Without a schedule there is always more: the others first.
                    self.wake(index);
                }
                Ok(goes_on)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => {
                // What the appliance said before it ended the connection can still be read.
                self.read(index, now_ns)?;
                self.end(index, now_ns, Some(&error));
                Ok(false)
            }
        }
    }

    /// Everything was handed over: the appliance may end the connection.
    fn finish(&mut self, index: usize, now_ns: u64) {
        let (_, link) = &mut self.sources[index];
        let Link::Open(stream) = std::mem::replace(link, Link::Over) else { return };
        match stream.shutdown(Shutdown::Write) {
            Ok(()) => *link = Link::Finishing(stream),
            Err(error) => {
                *link = Link::Open(stream);
                self.end(index, now_ns, Some(&error));
            }
        }
    }

    /// Takes what the appliance wrote on a connection, and its end if it has come.
    fn read(&mut self, index: usize, now_ns: u64) -> Result<(), String> {
        let (source, link) = &mut self.sources[index];
        let (Link::Open(stream) | Link::Finishing(stream)) = link else { return Ok(()) };
        let mut bytes = [0; 4096];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => {
                    self.end(index, now_ns, None);
                    return Ok(());
                }
                Ok(read) => source.on_answer(&bytes[..read], now_ns, self.clock.started_ns(), &mut self.waits)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.end(index, now_ns, Some(&error));
                    return Ok(());
                }
            }
        }
    }

    /// A connection is over, by an error or in order.
    fn end(&mut self, index: usize, now_ns: u64, error: Option<&io::Error>) {
        let (source, link) = &mut self.sources[index];
        let was_finishing = matches!(link, Link::Finishing(_));
        let was_open = matches!(link, Link::Open(_));
        if !was_finishing && !was_open {
            return;
        }
        let line = source.last_words();
        if error.is_none() && was_finishing && line.is_none() && source.is_answered() {
            source.on_finished();
            *link = Link::Over;
            return;
        }
        self.connections.broken += 1;
        if let Some(error) = error {
            *self.errors.entry(name(error)).or_default() += 1;
        }
        if let Some(line) = line
            && (self.said.len() < LINES_MAX || self.said.contains_key(&line))
        {
            *self.said.entry(line).or_default() += 1;
        }
        source.on_broken();
        *link = if was_finishing { Link::Over } else { Link::Down(now_ns + PAUSE_NS_MIN, PAUSE_NS_MIN) };
    }

    /// Begins the connections whose time has come.
    fn reconnect(&mut self, now_ns: u64) -> Result<(), String> {
        if self.connections.broken == 0 {
            return Ok(());
        }
        for index in 0..self.sources.len() {
            let (at_ns, pause_ns) = match self.sources[index].1 {
                Link::Down(at_ns, pause_ns) | Link::Connecting(_, at_ns, pause_ns) => (at_ns, pause_ns),
                _ => continue,
            };
            if at_ns > now_ns {
                continue;
            }
            if matches!(self.sources[index].1, Link::Connecting(..)) {
                self.on_refused(index, now_ns, pause_ns, &io::ErrorKind::TimedOut.into());
                continue;
            }
            match begin(self.target) {
                Ok(stream) => {
                    self.watch(&stream, index).map_err(|errno| format!("no epoll: {errno}"))?;
                    self.sources[index].1 = Link::Connecting(stream, now_ns + CONNECT_NS_MAX, pause_ns);
                }
                Err(error) => self.on_refused(index, now_ns, pause_ns, &error),
            }
        }
        Ok(())
    }

    /// A connection that was begun has come about or failed.
    fn on_connected(&mut self, index: usize, now_ns: u64) {
        let (_, link) = &mut self.sources[index];
        let Link::Connecting(stream, _, pause_ns) = std::mem::replace(link, Link::Over) else { return };
        match stream.take_error().unwrap_or_else(Some).or_else(|| stream.peer_addr().err()) {
            None if is_itself(&stream) => self.on_refused(index, now_ns, pause_ns, &io::ErrorKind::ConnectionRefused.into()),
            None => {
                *link = Link::Open(stream);
                self.connections.opened += 1;
                self.wake(index);
            }
            Some(error) => self.on_refused(index, now_ns, pause_ns, &error),
        }
    }

    fn on_refused(&mut self, index: usize, now_ns: u64, pause_ns: u64, error: &io::Error) {
        self.connections.refused += 1;
        *self.errors.entry(name(error)).or_default() += 1;
        self.sources[index].1 = Link::Down(now_ns + pause_ns, (pause_ns * 2).min(PAUSE_NS_MAX));
        // One that owes nothing any more is over.
        self.wake(index);
    }

    fn watch(&self, stream: &TcpStream, index: usize) -> nix::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        self.epoll.add(stream, EpollEvent::new(flags, index as u64))
    }

    /// Waits for connections or for time, and takes in what came.
    fn wait(&mut self, now_ns: u64, events: &mut [EpollEvent]) -> Result<(), String> {
        let fails = |errno: Errno| format!("waiting failed: {errno}");
        let gap_ns = self.gap_ns(now_ns);
        if gap_ns > 0 {
            let expiration = Expiration::OneShot(TimeSpec::from_duration(Duration::from_nanos(gap_ns)));
            self.timer.set(expiration, TimerSetTimeFlags::empty()).map_err(fails)?;
        }
        let timeout = if gap_ns > 0 { EpollTimeout::NONE } else { EpollTimeout::ZERO };
        let count = match self.epoll.wait(events, timeout) {
            Err(Errno::EINTR) => 0,
            waited => waited.map_err(fails)?,
        };
        let now_ns = self.clock.elapsed_ns();
        for event in &events[..count] {
            if event.data() == TIMER {
                // It has done its work by waking us, and is set anew each time.
                continue;
            }
            let index = usize::try_from(event.data()).expect("an index, as it was given");
            if matches!(self.sources[index].1, Link::Connecting(..)) {
                self.on_connected(index, now_ns);
            }
            if event.events().intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
                self.read(index, now_ns)?;
            }
            if event.events().contains(EpollFlags::EPOLLOUT) {
                self.wake(index);
            }
        }
        if !self.held.is_empty() {
            self.held_ns += gap_ns;
            std::mem::take(&mut self.held).into_iter().for_each(|index| self.wake(index));
        }
        Ok(())
    }

    /// How long there is nothing to do but to wait for connections, ns.
    fn gap_ns(&self, now_ns: u64) -> u64 {
        if !self.ready.is_empty() {
            return 0;
        }
        let next_ns = if self.pace.is_scheduled() && self.woken < self.pace.slots_max() && !self.stops {
            self.pace.due_ns(self.woken).saturating_sub(now_ns)
        } else {
            LOOK_NS_MAX
        };
        let longest_ns = if self.held.is_empty() && self.connections.broken == 0 { LOOK_NS_MAX } else { 1_000_000 };
        next_ns.clamp(LOOK_NS_MIN, longest_ns)
    }

    fn come(mut self) -> Result<Come, String> {
        let elapsed_ns = self.clock.elapsed_ns();
        for index in 0..self.sources.len() {
            self.end_unfinished(index);
        }
        let started_ns = self.clock.started_ns();
        let offered = if self.pace.is_scheduled() { self.pace.offered(elapsed_ns) } else { 0 };
        let waits = &mut self.waits;
        let ended: Vec<_> = self.sources.into_iter().map(|(source, _)| source.end(elapsed_ns, started_ns, waits)).collect();
        let (sent, by_source): (Vec<u64>, Vec<_>) = ended.into_iter().unzip();
        // Without a schedule what was offered is what was taken.
        let offered = if self.pace.is_scheduled() { offered } else { sent.iter().sum() };
        let mut answers = Answers {
            acks: if self.ack { "cumulative" } else { "none" }.to_owned(),
            latency: waits.latency(),
            gap: waits.gap(),
            connections: self.connections,
            said: self.said,
            by_source,
            ..Answers::default()
        };
        (answers.acknowledged, answers.unknown) = answers.totals();
        Ok(Come {
            started_ns,
            elapsed_ns,
            span_ns: self.pace.span_ns(offered),
            offered,
            sent,
            lateness: self.pace.is_scheduled().then(|| Quantiles::of(&self.lateness)),
            errors: self.errors,
            answers: Some(answers),
            interrupted: self.stops,
            held: Duration::from_nanos(self.held_ns),
        })
    }

    /// A connection that the appliance did not end in time is as good as broken.
    fn end_unfinished(&mut self, index: usize) {
        let (source, link) = &mut self.sources[index];
        if matches!(link, Link::Open(_) | Link::Finishing(_)) {
            self.connections.broken += 1;
            source.on_broken();
        }
        *link = Link::Over;
    }
}

/// Makes a connection fit for the loop.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)
}

/// Begins a connection.
fn begin(target: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&target.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// The name of the error: `ECONNRESET`, `EPIPE` and others.
fn name(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.kind().to_string(), |code| format!("{:?}", Errno::from_raw(code)))
}
