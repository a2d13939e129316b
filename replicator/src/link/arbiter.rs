//! A node's arbiter: one thread, `hw-arbiter`, that asks; its results go by a channel, and each rings the node's wake.
//!
//! ```text
//! pair loop ── Order ──► hw-arbiter ── TCP ──► witness          (or: the file `register` in the node's own directory)
//!           ◄─ Answered ┘  wake
//! ```
//!
//! It holds one connection and makes it when there is something to ask; a request that cannot be sent is Unreachable at once, so that
//! the asker sets the pace. After a request that was not answered in time the connection is given up: what stands still may hold back
//! the other answers, too. What each end means: [`crate::witness::Calls`].

use super::file::RegisterFile;
use crate::register::{Swap, SwapAnswer};
use crate::witness::{Answered, Ask, Calls, Denied, FRAME_BYTES_MAX, Outcome, Request, Unreachable, decode_answer, encode_request};
use headworks_io::fatal::{Reason, fatal};
use headworks_io::{Clock, Wake};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel};
use std::thread;
use std::time::Duration;

/// Orders that can wait.
pub const ORDERS_MAX: usize = 64;

/// What an arbiter is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The asker's number; the result carries it.
    pub token: u64,
    /// Identity of the arbiter that is meant; 0 as long as none is known.
    pub arbiter: u128,
    /// What is asked. A watch waits as long as it says, and then for one request's time.
    pub ask: Ask,
}

/// A node's arbiter, whichever it is: orders go in, results come out in any order.
pub trait Arbiter {
    /// Asks what the register is.
    fn get(&mut self, token: u64, arbiter: u128) {
        self.order(Order { token, arbiter, ask: Ask::Get });
    }

    /// Asks for a swap.
    fn cas(&mut self, token: u64, arbiter: u128, swap: Swap) {
        self.order(Order { token, arbiter, ask: Ask::Swap(swap) });
    }

    /// Asks for anything.
    fn order(&mut self, order: Order);

    /// A result, if there is one.
    fn next(&mut self) -> Option<Answered>;
}

/// How a witness is asked.
#[derive(Debug, Clone, Copy)]
pub struct WitnessSettings {
    /// Where it listens.
    pub address: SocketAddr,
    /// The pair's register there.
    pub place: u16,
    /// How long a connection may take.
    pub connect_ns: u64,
    /// How long a request may take.
    pub request_ns: u64,
}

impl WitnessSettings {
    /// With the times that suit one rack.
    #[must_use]
    pub fn at(address: SocketAddr) -> WitnessSettings {
        WitnessSettings { address, place: 0, connect_ns: 100_000_000, request_ns: 200_000_000 }
    }
}

/// The channels to the thread. When it is dropped the thread ends.
#[derive(Debug)]
pub struct ArbiterHandle {
    orders: Option<SyncSender<Order>>,
    rung: Wake,
    results: Receiver<Answered>,
    /// Orders that the thread did not take: unreachable, since nothing was sent.
    refused: Vec<Answered>,
}

impl ArbiterHandle {
    /// Starts the thread that asks a witness; `wake` is rung on each result.
    ///
    /// # Errors
    /// No thread or descriptor is to be had.
    pub fn witness(settings: WitnessSettings, wake: Wake) -> io::Result<ArbiterHandle> {
        ArbiterHandle::start(wake, move |edge| Asker { settings, edge, calls: Calls::default(), connection: None }.run())
    }

    /// Starts the thread that keeps the register in a file of the node's own: the operator is the arbiter.
    ///
    /// # Errors
    /// As [`ArbiterHandle::witness`].
    pub fn manual(file: RegisterFile, wake: Wake) -> io::Result<ArbiterHandle> {
        ArbiterHandle::start(wake, move |edge| Keeper { file, edge }.run())
    }

    fn start(wake: Wake, body: impl FnOnce(Edge) + Send + 'static) -> io::Result<ArbiterHandle> {
        let (orders, ordered) = sync_channel(ORDERS_MAX);
        // Every order has one result, so the asker bounds this one.
        let (results, resulted) = channel();
        let rung = Wake::new()?;
        let edge = Edge { orders: ordered, rung: rung.clone(), results, wake };
        thread::Builder::new().name("hw-arbiter".into()).spawn(move || body(edge))?;
        Ok(ArbiterHandle { orders: Some(orders), rung, results: resulted, refused: Vec::new() })
    }
}

impl Arbiter for ArbiterHandle {
    fn order(&mut self, order: Order) {
        let sent = self.orders.as_ref().expect("there until the drop").try_send(order);
        if let Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) = sent {
            let outcome = Outcome::Unreachable(Unreachable::Connect);
            self.refused.push(Answered { token: order.token, arbiter: 0, outcome });
        }
        self.rung.wake();
    }

    fn next(&mut self) -> Option<Answered> {
        self.refused.pop().or_else(|| self.results.try_recv().ok())
    }
}

impl Drop for ArbiterHandle {
    fn drop(&mut self) {
        self.orders = None;
        self.rung.wake();
    }
}

/// The thread's ends of the channels.
struct Edge {
    orders: Receiver<Order>,
    rung: Wake,
    results: Sender<Answered>,
    wake: Wake,
}

impl Edge {
    fn tell(&self, answered: Answered) {
        // A node that has gone does not need it.
        let _heard = self.results.send(answered).is_ok();
        self.wake.wake();
    }
}

/// Asks a witness.
struct Asker {
    settings: WitnessSettings,
    edge: Edge,
    calls: Calls,
    connection: Option<Connection>,
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Asker {
    fn run(mut self) {
        loop {
            // Orders that came together fail together: each of them waiting for a connection of its own would make the last one late.
            let mut may_connect = true;
            loop {
                match self.edge.orders.try_recv() {
                    Ok(order) => may_connect = self.ask(&order, may_connect),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.wait();
            self.receive();
            let overdue = self.calls.on_time(Clock.monotonic_ns());
            if !overdue.is_empty() {
                self.finish(overdue);
                self.lose();
            }
        }
    }

    /// Sends an order; false when there was no connection, and making one failed.
    fn ask(&mut self, order: &Order, may_connect: bool) -> bool {
        let has_room = self.calls.waiting() < ORDERS_MAX;
        if self.connection.is_none() && may_connect {
            self.connection = connect(&self.settings).ok();
        }
        let now_ns = Clock.monotonic_ns();
        let waits_ns = if let Ask::Watch { wait_ms, .. } = order.ask { u64::from(wait_ms) * 1_000_000 } else { 0 };
        let is_connected = self.connection.is_some();
        let Some(connection) = self.connection.as_mut().filter(|_| has_room) else {
            let outcome = Outcome::Unreachable(Unreachable::Connect);
            self.edge.tell(Answered { token: order.token, arbiter: 0, outcome });
            return is_connected;
        };
        let id = self.calls.begin(order.token, &order.ask, now_ns + waits_ns + self.settings.request_ns);
        let mut frame = Vec::new();
        encode_request(&Request { id, witness: order.arbiter, place: self.settings.place, ask: order.ask }, &mut frame);
        // A part that went out is a part that may be followed by the rest: from here on a swap is never called failed.
        if connection.stream.write_all(&frame).is_err() {
            self.lose();
        }
        true
    }

    /// Sleeps until an order, an answer, or the time of the most urgent request.
    fn wait(&self) {
        let mut fds = vec![PollFd::new(self.edge.rung.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.connection.as_ref().map(|connection| PollFd::new(connection.stream.as_fd(), PollFlags::POLLIN)));
        let until_ns = self.calls.deadline_ns().map(|deadline| deadline.saturating_sub(Clock.monotonic_ns()).div_ceil(1_000_000));
        let timeout = until_ns.map_or(PollTimeout::NONE, |ms| PollTimeout::from(u16::try_from(ms).unwrap_or(u16::MAX)));
        if self.edge.rung.park() {
            return;
        }
        // Whatever it says, the turn that follows looks at everything without blocking.
        let _woken = poll(&mut fds, timeout).is_ok();
        self.edge.rung.unpark();
        self.edge.rung.drain();
    }

    fn receive(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        let mut chunk = [0; FRAME_BYTES_MAX];
        let is_over = match connection.stream.read(&mut chunk) {
            Ok(0) => true,
            Ok(bytes) => {
                connection.received.extend_from_slice(&chunk[..bytes]);
                false
            }
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        };
        let is_sane = self.take_answers();
        if is_over || !is_sane {
            self.lose();
        }
    }

    /// False when what came is no answer.
    fn take_answers(&mut self) -> bool {
        let mut answered = Vec::new();
        let Some(connection) = &mut self.connection else { return true };
        let is_sane = loop {
            match decode_answer(&connection.received) {
                Ok(Some((answer, bytes))) => {
                    connection.received.drain(..bytes);
                    answered.extend(self.calls.on_answer(&answer));
                }
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        self.finish(answered);
        is_sane
    }

    fn lose(&mut self) {
        self.connection = None;
        let lost = self.calls.on_lost();
        self.finish(lost);
    }

    fn finish(&self, answered: Vec<Answered>) {
        answered.into_iter().for_each(|answered| self.edge.tell(answered));
    }
}

/// A connection whose writes end within a request's time, and whose reads do not wait: the poll does.
fn connect(settings: &WitnessSettings) -> io::Result<Connection> {
    let stream = TcpStream::connect_timeout(&settings.address, Duration::from_nanos(settings.connect_ns))?;
    stream.set_nodelay(true)?;
    // The socket's buffer takes a few requests even when nobody reads; more than that is a witness that stands still.
    stream.set_nonblocking(true)?;
    Ok(Connection { stream, received: Vec::new() })
}

/// Keeps the register in a file of its own. A failed write or sync of that file ends the process, as it ends a witness: what the file says
/// then, only the next start can tell.
struct Keeper {
    file: RegisterFile,
    edge: Edge,
}

/// The one place of a node's own file.
const OWN_PLACE: u16 = 0;

impl Keeper {
    fn run(mut self) {
        // A watch is answered at once: nobody else changes this file.
        while let Ok(order) = self.edge.orders.recv() {
            let outcome = self.outcome(&order);
            self.edge.tell(Answered { token: order.token, arbiter: self.file.incarnation(), outcome });
        }
    }

    fn outcome(&mut self, order: &Order) -> Outcome {
        let denied = |why: Denied| Outcome::Unreachable(Unreachable::Denied(why));
        match order.ask {
            Ask::Get | Ask::Watch { .. } => self.file.register(order.arbiter, OWN_PLACE).map_or_else(denied, Outcome::Read),
            Ask::Swap(swap) => match self.file.swap(order.arbiter, OWN_PLACE, &swap) {
                Ok(swapping) => {
                    for effects in [&swapping.before, &swapping.behind] {
                        self.file.carry_out(effects).unwrap_or_else(|error| fatal(Reason::Storage, error.to_string()));
                    }
                    match swapping.answer {
                        SwapAnswer::Swapped => Outcome::Swapped,
                        SwapAnswer::Refused(register) => Outcome::Refused(register),
                    }
                }
                Err(why) => denied(why),
            },
        }
    }
}
