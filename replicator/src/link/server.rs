//! A witness: one thread, one poll loop, several nodes.
//!
//! ```text
//! loop: sleep until a socket, the stop or a watch is due → accept → each connection: receive, answer, send → watches → close
//! ```
//!
//! One request after the other, and each swap's sync within the loop: a swap is rare, and nobody may be told of a register that is not
//! durable yet. Everything is bounded: connections, bytes of a frame, bytes not yet sent, watches of a connection. A peer that breaks a bound
//! or sends what is no request is counted and closed; a request of another witness or place is answered and no fault.

use super::file::{FileError, RegisterFile};
use crate::message::Rejected;
use crate::register::{Register, SwapAnswer, version_of};
use crate::witness::{Answer, Ask, Denied, FRAME_BYTES_MAX, Request, Says, decode_request, encode_answer};
use headworks_io::{Clock, Wake};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Connections at once: 64 pairs of nodes, and as many again for connections whose end was not noticed yet.
pub const CONNECTIONS_MAX: usize = 256;
/// Watches of a connection.
pub const WATCHES_MAX: usize = 16;
/// Longest wait of a watch; a longer one is cut to this.
pub const WATCH_NS_MAX: u64 = 60_000_000_000;
/// A connection from which nothing came for so long is closed: five times the longest watch.
const IDLE_NS_MAX: u64 = 300_000_000_000;
/// Answers that a peer leaves unread.
const UNSENT_BYTES_MAX: usize = 16 * FRAME_BYTES_MAX;
/// How long the loop leaves a listener alone that cannot accept: descriptors are used up, and will not come back at once.
const ACCEPT_PAUSE_NS: u64 = 100_000_000;

/// Why a connection was closed from this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It sent what is no request.
    Rejected(Rejected),
    /// It leaves its answers unread.
    Unread,
    /// It asked for more than [`WATCHES_MAX`] watches at once.
    Watches,
    /// It was silent for too long.
    Idle,
    /// It was one more than [`CONNECTIONS_MAX`].
    TooMany,
}

/// What happened, for whoever writes it down.
#[derive(Debug)]
pub enum Event {
    /// A register has changed, durably.
    Swapped {
        /// Its place.
        place: u16,
        /// As it is.
        register: Register,
        /// Who asked.
        peer: SocketAddr,
    },
    /// A request was denied.
    Denied {
        /// Why.
        why: Denied,
        /// Who asked.
        peer: SocketAddr,
    },
    /// A connection was closed.
    Closed {
        /// Why.
        why: Closed,
        /// Whose.
        peer: SocketAddr,
        /// Connections closed for a reason so far.
        closed: u64,
    },
    /// A connection could not be taken.
    Accept(io::Error),
}

/// Ends a server from another thread.
#[derive(Debug, Clone)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    wake: Wake,
}

impl Stop {
    /// It ends after the request under way.
    pub fn stop(&self) {
        self.asked.store(true, Ordering::Release);
        self.wake.wake();
    }
}

struct Watch {
    id: u64,
    place: u16,
    beyond: u64,
    deadline_ns: u64,
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    received: Vec<u8>,
    unsent: Vec<u8>,
    watches: Vec<Watch>,
    heard_ns: u64,
    /// The peer has gone, or is to go.
    over: bool,
    why: Option<Closed>,
    /// Why it was denied something last: said once, since a node goes on asking many times a second.
    denied: Option<Denied>,
}

/// See the module.
pub struct Server {
    listener: TcpListener,
    file: RegisterFile,
    stop: Stop,
    connections: Vec<Connection>,
    closed: u64,
    accept_from_ns: u64,
    tell: Box<dyn FnMut(Event) + Send>,
}

impl Server {
    /// On a bound listener.
    ///
    /// # Errors
    /// No descriptor is to be had.
    pub fn new(listener: TcpListener, file: RegisterFile, tell: Box<dyn FnMut(Event) + Send>) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        let stop = Stop { asked: Arc::new(AtomicBool::new(false)), wake: Wake::new()? };
        Ok(Server { listener, file, stop, connections: Vec::new(), closed: 0, accept_from_ns: 0, tell })
    }

    /// What ends it.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// The file failed: nothing may be answered any more, by this process.
    pub fn run(mut self) -> Result<(), FileError> {
        while !self.stop.asked.load(Ordering::Acquire) {
            let ready = self.wait();
            let now_ns = Clock.monotonic_ns();
            if ready.accept {
                self.accept(now_ns);
            }
            for at in ready.connections {
                self.receive(at, now_ns)?;
            }
            self.tell_watchers(now_ns);
            self.send();
            self.close(now_ns);
        }
        Ok(())
    }

    /// Sleeps until there is something to do. A stop that was asked for while this thread was busy is found by the look before the sleep.
    fn wait(&self) -> Ready {
        let now_ns = Clock.monotonic_ns();
        let accepts = now_ns >= self.accept_from_ns;
        let mut fds = vec![PollFd::new(self.stop.wake.as_fd(), PollFlags::POLLIN)];
        fds.push(PollFd::new(self.listener.as_fd(), if accepts { PollFlags::POLLIN } else { PollFlags::empty() }));
        for connection in &self.connections {
            let sends = if connection.unsent.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
            fds.push(PollFd::new(connection.stream.as_fd(), PollFlags::POLLIN | sends));
        }
        if self.stop.wake.park() {
            return Ready { accept: false, connections: Vec::new() };
        }
        let timeout = self.due_ns(accepts).saturating_sub(now_ns).div_ceil(1_000_000);
        let timeout = PollTimeout::from(u16::try_from(timeout).unwrap_or(u16::MAX));
        // EINTR and the like: the next turn looks again, and everything here is looked at without blocking.
        let woken = poll(&mut fds, timeout);
        self.stop.wake.unpark();
        self.stop.wake.drain();
        let any = |fd: &PollFd<'_>| woken.is_ok() && fd.any().unwrap_or(true);
        let connections = (0..self.connections.len()).filter(|at| any(&fds[at + 2])).collect();
        Ready { accept: accepts && any(&fds[1]), connections }
    }

    /// When the loop has to look without being woken.
    fn due_ns(&self, accepts: bool) -> u64 {
        let watches = self.connections.iter().flat_map(|connection| &connection.watches).map(|watch| watch.deadline_ns);
        let idle = self.connections.iter().map(|connection| connection.heard_ns + IDLE_NS_MAX);
        let accept = (!accepts).then_some(self.accept_from_ns);
        watches.chain(idle).chain(accept).min().unwrap_or(u64::MAX)
    }

    fn accept(&mut self, now_ns: u64) {
        loop {
            match self.listener.accept() {
                Ok((stream, peer)) => self.admit(stream, peer, now_ns),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => return,
                // One that was reset before it was taken says nothing about the next.
                Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
                Err(error) => {
                    self.accept_from_ns = now_ns + ACCEPT_PAUSE_NS;
                    return (self.tell)(Event::Accept(error));
                }
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr, now_ns: u64) {
        if let Err(error) = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)) {
            return (self.tell)(Event::Accept(error));
        }
        if self.connections.len() >= CONNECTIONS_MAX {
            self.closed += 1;
            return (self.tell)(Event::Closed { why: Closed::TooMany, peer, closed: self.closed });
        }
        let (received, unsent, watches) = (Vec::new(), Vec::new(), Vec::new());
        self.connections.push(Connection {
            stream,
            peer,
            received,
            unsent,
            watches,
            heard_ns: now_ns,
            over: false,
            why: None,
            denied: None,
        });
    }

    /// Takes what has come, and answers every whole request of it.
    fn receive(&mut self, at: usize, now_ns: u64) -> Result<(), FileError> {
        let mut chunk = [0; FRAME_BYTES_MAX];
        let connection = &mut self.connections[at];
        match connection.stream.read(&mut chunk) {
            Ok(0) => connection.over = true,
            Ok(bytes) => {
                connection.received.extend_from_slice(&chunk[..bytes]);
                connection.heard_ns = now_ns;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => connection.over = true,
        }
        while !self.connections[at].over {
            match decode_request(&self.connections[at].received) {
                Ok(None) => break,
                Ok(Some((request, bytes))) => {
                    self.connections[at].received.drain(..bytes);
                    self.answer(at, &request, now_ns)?;
                }
                Err(rejected) => self.connections[at].end(Closed::Rejected(rejected)),
            }
        }
        Ok(())
    }

    fn answer(&mut self, at: usize, request: &Request, now_ns: u64) -> Result<(), FileError> {
        let Request { id, witness, place, ask } = *request;
        match ask {
            Ask::Get => {
                let says = self.file.register(witness, place).map(Says::Register);
                self.say(at, id, says);
            }
            Ask::Watch { beyond, wait_ms } => match self.file.register(witness, place) {
                Ok(_) => {
                    let deadline_ns = now_ns + (u64::from(wait_ms) * 1_000_000).min(WATCH_NS_MAX);
                    self.connections[at].watch(Watch { id, place, beyond, deadline_ns });
                }
                Err(why) => self.say(at, id, Err(why)),
            },
            Ask::Swap(swap) => match self.file.swap(witness, place, &swap) {
                Ok(swapping) => {
                    // If we die between the two, the swap has landed and nobody was told: unknown to who asked, as it says.
                    self.file.carry_out(&swapping.before)?;
                    self.say(at, id, Ok(says(&swapping.answer)));
                    self.connections[at].send();
                    self.file.carry_out(&swapping.behind)?;
                    if swapping.answer == SwapAnswer::Swapped {
                        (self.tell)(Event::Swapped { place, register: swap.register, peer: self.connections[at].peer });
                    }
                }
                Err(why) => self.say(at, id, Err(why)),
            },
        }
        Ok(())
    }

    fn say(&mut self, at: usize, id: u64, says: Result<Says, Denied>) {
        let connection = &mut self.connections[at];
        if let Err(why) = says
            && connection.denied.replace(why) != Some(why)
        {
            (self.tell)(Event::Denied { why, peer: connection.peer });
        }
        connection.say(&Answer { id, witness: self.file.incarnation(), says: says.unwrap_or_else(Says::Denied) });
    }

    /// Answers the watches whose register has another version than their askers know, and those that have waited long enough.
    fn tell_watchers(&mut self, now_ns: u64) {
        let Server { file, connections, .. } = self;
        for connection in connections {
            let mut due = Vec::new();
            connection.watches.retain(|watch| {
                let register = file.register(0, watch.place).expect("the place was there when the watch began");
                let is_due = version_of(register.as_ref()) != watch.beyond || watch.deadline_ns <= now_ns;
                if is_due {
                    due.push(Answer { id: watch.id, witness: file.incarnation(), says: Says::Register(register) });
                }
                !is_due
            });
            due.iter().for_each(|answer| connection.say(answer));
        }
    }

    fn send(&mut self) {
        self.connections.iter_mut().for_each(Connection::send);
    }

    fn close(&mut self, now_ns: u64) {
        let Server { connections, closed, tell, .. } = self;
        connections.retain_mut(|connection| {
            if !connection.over && now_ns >= connection.heard_ns + IDLE_NS_MAX {
                connection.end(Closed::Idle);
            }
            if let Some(why) = connection.why {
                *closed += 1;
                tell(Event::Closed { why, peer: connection.peer, closed: *closed });
            }
            !connection.over
        });
    }
}

struct Ready {
    accept: bool,
    connections: Vec<usize>,
}

impl Connection {
    fn end(&mut self, why: Closed) {
        (self.over, self.why) = (true, Some(why));
    }

    fn watch(&mut self, watch: Watch) {
        if self.watches.len() >= WATCHES_MAX {
            return self.end(Closed::Watches);
        }
        self.watches.push(watch);
    }

    fn say(&mut self, answer: &Answer) {
        encode_answer(answer, &mut self.unsent);
        if self.unsent.len() > UNSENT_BYTES_MAX {
            self.end(Closed::Unread);
        }
    }

    /// Sends what the kernel takes.
    fn send(&mut self) {
        while !self.unsent.is_empty() && !self.over {
            match self.stream.write(&self.unsent) {
                Ok(0) => self.over = true,
                Ok(bytes) => drop(self.unsent.drain(..bytes)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.over = true,
            }
        }
    }
}

fn says(answer: &SwapAnswer) -> Says {
    match answer {
        SwapAnswer::Swapped => Says::Swapped,
        SwapAnswer::Refused(register) => Says::Refused(*register),
    }
}
