//! The UDP sockets of a lane: receives armed, trains held until they are framed, buffers given back.
//!
//! A full ring stops the recycling of receive buffers: packets then wait in the socket, and what overflows there the
//! kernel drops and the arrival filter has counted.

use super::listener::{Listen, Listener};
use crate::admit::{self, Facts, Shed};
use crate::intake::{Intake, KEY_BYTES, Route, Train};
use crate::offer::{Offered, Until};
use headworks_io::{Completion, FileSlot, ReceiveBuffers, ReceiveError, Ring, Source, Token};
use headworks_ledger::Counts;
use headworks_ring::Filler;
use std::collections::VecDeque;

/// Receive buffers of a lane: one holds the largest GRO train.
const BUFFERS: u16 = 256;
/// Head of a received message and 64 KiB of payload.
const BUFFER_BYTES: u32 = 64 << 10;
/// Receive buffers of a lane in bytes, for the sum printed at start.
pub const RECEIVE_BYTES: usize = BUFFERS as usize * BUFFER_BYTES as usize;
/// Completions that may be on their way at once: every buffer in one, and every receive's end in another.
pub const COMPLETIONS: u32 = 2 * BUFFERS as u32;
const GROUP: u16 = 1;

/// A train that could not be framed whole: its completion and the packets already taken.
#[derive(Clone, Copy)]
struct Held {
    completion: Completion,
    taken: usize,
}

/// The sockets.
pub struct Sockets {
    buffers: ReceiveBuffers,
    listeners: Vec<Listener>,
    held: VecDeque<Held>,
    /// Whether a completion came since the books were taken.
    heard: bool,
}

impl Sockets {
    /// The sockets, each in the ring's table of files from place 0 on.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(ring: &mut Ring, listen: Vec<Listen>) -> std::io::Result<Sockets> {
        let buffers = ReceiveBuffers::new(ring, GROUP, BUFFERS, BUFFER_BYTES)?;
        let mut listeners = Vec::with_capacity(listen.len());
        for (place, listen) in listen.into_iter().enumerate() {
            let slot = FileSlot(u32::try_from(place).expect("few listeners"));
            ring.set_file(slot, std::sync::Arc::clone(&listen.socket.fd))?;
            listeners.push(Listener::new(listen, slot));
        }
        Ok(Sockets { buffers, listeners, held: VecDeque::with_capacity(usize::from(BUFFERS)), heard: false })
    }

    /// A receive of the listener at `place` brought a train, or ended.
    pub fn on_completion(&mut self, place: usize, completion: &Completion) {
        self.heard = true;
        if !completion.more() {
            self.listeners[place].armed = false;
        }
        if completion.buffer_id().is_some() {
            self.held.push_back(Held { completion: *completion, taken: 0 });
        }
    }

    /// Frames what was received, in order, until there is no more of it, or no room for it.
    pub fn take(&mut self, intake: &mut Intake, filler: &mut Filler, disk_full: bool, now_ns: u64) -> Offered {
        let mut finished = 0;
        while let Some(held) = self.held.front().copied() {
            let (taken, until) = self.take_train(intake, filler, held, disk_full, now_ns);
            if until != Until::Done {
                self.held.front_mut().expect("just seen").taken = taken;
                return Offered { finished, until };
            }
            self.held.pop_front();
            self.buffers.recycle(held.completion.buffer_id().expect("held trains have buffers"));
            finished += 1;
        }
        Offered { finished, until: Until::Done }
    }

    /// Frames one train; how many of its packets are framed, and whether that is all.
    fn take_train(&mut self, intake: &mut Intake, filler: &mut Filler, held: Held, disk_full: bool, now_ns: u64) -> (usize, Until) {
        let listener = &mut self.listeners[usize::try_from(held.completion.token.0).expect("tokens are places")];
        let received = match self.buffers.datagram(&held.completion) {
            Ok(received) => received,
            Err(ReceiveError::OutOfBuffers | ReceiveError::Cancelled) => return (0, Until::Done),
            Err(ReceiveError::Malformed { .. } | ReceiveError::Os(_)) => {
                admit::count(&mut listener.counts, Shed::Malformed, 1);
                return (0, Until::Done);
            }
        };
        let key = key_of(&received.source);
        let route = Route {
            partition: listener.parts.partition,
            key: listener.parts.key_source.then_some(&key[..]),
            receive_time: listener.parts.receive_time,
            received_ns: received.stamp_ns.unwrap_or(now_ns),
        };
        let train = Train::new(received.payload, received.segment_bytes.map(usize::from));
        let count = train.packets();
        let mut taken = held.taken;
        while taken < count {
            let slot = filler.claim();
            let facts = Facts { truncated: received.truncated, ring_full: slot.is_none(), disk_full };
            if let Err(reason) = admit::admit(&facts) {
                admit::count(&mut listener.counts, reason, (count - taken) as u64);
                return (count, Until::Done);
            }
            let Some(slot) = slot else { return (taken, Until::RingFull) };
            let framed = intake.take(slot, &route, train.after(taken));
            listener.counts.received += framed.packets;
            listener.counts.received_bytes += framed.bytes;
            listener.counts.admitted += framed.packets;
            taken += usize::try_from(framed.packets).expect("packets of a train");
            if framed.full {
                return (taken, Until::BlockFull);
            }
        }
        (taken, Until::Done)
    }

    /// Takes the books up to now, once a turn.
    pub fn account(&mut self, now_ns: u64) {
        let quiet = !std::mem::take(&mut self.heard) && self.held.is_empty();
        self.listeners.iter_mut().for_each(|listener| listener.account(quiet, now_ns));
    }

    /// What all of them counted, added to `sum`.
    pub fn counted(&self, sum: Counts) -> Counts {
        self.listeners.iter().fold(sum, |sum, listener| sum.plus(&listener.counts))
    }

    /// Gives buffers back, and arms receives that ended, once enough buffers are back: an empty buffer ring would end them at
    /// once again.
    pub fn arm(&mut self, ring: &mut Ring) {
        self.buffers.publish();
        if self.buffers.outstanding() * 4 > usize::from(BUFFERS) * 3 {
            return;
        }
        for (place, listener) in self.listeners.iter_mut().enumerate().filter(|(_, listener)| !listener.armed) {
            listener.armed = ring.receive(Token(place as u64), listener.slot, &mut self.buffers).is_ok();
        }
    }

    /// Whether something received waits for room.
    pub fn is_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether a difference in the books waits to be settled.
    pub fn is_settling(&self) -> bool {
        self.listeners.iter().any(Listener::is_settling)
    }

    /// Whether nothing waits, here or in the sockets.
    pub fn is_drained(&self) -> bool {
        self.held.is_empty()
            && self.buffers.outstanding() == 0
            && self.listeners.iter().all(|listener| listener.is_drained() && !listener.is_settling())
    }
}

/// The source as a key: 16 bytes of address, IPv4 mapped into IPv6, and the port, big-endian.
pub(crate) fn key_of(source: &Source) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..16].copy_from_slice(&source.address);
    key[16..].copy_from_slice(&source.port.to_be_bytes());
    key
}
