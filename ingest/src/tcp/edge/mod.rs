//! The TCP connections of a lane: from accept to close, each in a place of a fixed table.
//!
//! ```text
//!            peer's end, between records, all told                         nothing in flight, nothing held
//!   Open ──────────────────────────────────────────────────────► Gone ──────────────────────────────────► place free
//!    │ ├─ peer's end, acknowledgements due ─► Finishing ─ told ──►▲
//!    │ └─ violation, limit ─► Telling ─ sent ─► Draining ─ end ───┘         Draining throws away what still comes, since
//!    └─ failed ───────────────────────────────────────────────────►         closing over unread bytes resets the line away
//! ```

mod closing;
mod listener;
mod place;
mod take;

pub use listener::ListenTcp;

use super::acks::Reached;
use super::assembly::Pages;
use super::end::End;
use headworks_io::{Completion, ConnectionSlot, FileSlot, ReceiveBuffers, Ring, Token, Way};
use headworks_ledger::Counts;
use listener::Listener;
use place::{Place, State};
use std::collections::VecDeque;
use std::sync::Arc;

/// Receive buffers of a lane's connections, and their bytes.
const BUFFERS: u16 = 128;
const BUFFER_BYTES: u32 = 64 << 10;
const GROUP: u16 = 2;
/// Places for connections that are turned away: they are told so first.
const TURNED_AWAY_MAX: usize = 16;
/// Bytes of all records of a lane that lie half here.
const ASSEMBLY_BYTES: usize = 64 << 20;
/// How often limits of time are looked at.
const SWEEP_NS: u64 = 250_000_000;
/// How long a connection may be thrown away from before it is closed over it.
const DRAINING_NS_MAX: u64 = 2_000_000_000;
/// A stop takes what comes until nothing came for so long.
const QUIET_NS: u64 = 5_000_000;

/// Memory of a lane's TCP side in bytes, for the sum printed at start; nothing without a listener.
#[must_use]
pub fn memory_bytes(connections_max: usize) -> usize {
    if connections_max == 0 {
        return 0;
    }
    let place = size_of::<Option<Place>>() + headworks_io::SEND_BYTES_MAX;
    usize::from(BUFFERS) * BUFFER_BYTES as usize + ASSEMBLY_BYTES + (connections_max + TURNED_AWAY_MAX) * place
}

/// A receive that is not taken whole yet: its completion, and the bytes taken.
#[derive(Clone, Copy)]
struct Held {
    slot: ConnectionSlot,
    completion: Completion,
    taken: usize,
}

/// The connections.
pub struct Connections {
    /// None without a listener.
    buffers: Option<ReceiveBuffers>,
    listeners: Vec<Listener>,
    places: Box<[Option<Place>]>,
    /// Places in use, in no order.
    open: Vec<u32>,
    free: Vec<u32>,
    /// Connections whose receive is to be armed, each once.
    unarmed: VecDeque<u32>,
    pages: Pages,
    held: VecDeque<Held>,
    /// How far the lane had come when acknowledgements were last looked at.
    reached: Reached,
    /// Acknowledgements that found no room in the submission queue.
    untold: bool,
    swept_ns: u64,
    heard_ns: u64,
    stopping: bool,
}

impl Connections {
    /// Completions that may be on their way at once.
    pub fn completions(listen: &[ListenTcp]) -> u32 {
        let places: u32 = listen.iter().map(|listen| listen.connections_max).sum();
        if listen.is_empty() { 0 } else { 2 * u32::from(BUFFERS) + places }
    }

    /// The listeners, each in the ring's table of files from place `first` on, and room for their connections.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(ring: &mut Ring, first: usize, listen: Vec<ListenTcp>) -> std::io::Result<Connections> {
        let connections_max: usize = listen.iter().map(|listen| listen.connections_max as usize).sum();
        let places = if listen.is_empty() { 0 } else { connections_max + TURNED_AWAY_MAX };
        let mut buffers = None;
        if places > 0 {
            ring.register_connections(place_number(places));
            buffers = Some(ReceiveBuffers::new(ring, GROUP, BUFFERS, BUFFER_BYTES)?);
        }
        let mut listeners = Vec::with_capacity(listen.len());
        for (place, listen) in listen.into_iter().enumerate() {
            let file = FileSlot(place_number(first + place));
            ring.set_file(file, Arc::clone(&listen.acceptor.fd))?;
            listeners.push(Listener::new(listen, Token(file.0.into()), file));
        }
        Ok(Connections {
            buffers,
            listeners,
            places: (0..places).map(|_| None).collect(),
            open: Vec::with_capacity(places),
            free: (0..place_number(places)).rev().collect(),
            unarmed: VecDeque::with_capacity(places),
            pages: Pages::new(if places > 0 { ASSEMBLY_BYTES } else { 0 }),
            held: VecDeque::with_capacity(usize::from(BUFFERS) + places),
            reached: Reached::default(),
            untold: false,
            swept_ns: 0,
            heard_ns: 0,
            stopping: false,
        })
    }

    /// The accept of the listener at `place` brought a connection, or ended.
    pub fn on_accept(&mut self, place: usize, completion: &Completion) {
        // Ended by a shortage that passes (descriptors, memory) or an overflow: armed again at the next sweep.
        let listener = &mut self.listeners[place];
        listener.armed = completion.more();
        if completion.errno().is_some() {
            listener.parts.tally.on_accept_failed();
        }
    }

    /// Gives accepted connections their places, or turns them away.
    pub fn welcome(&mut self, ring: &mut Ring, now_ns: u64) {
        while let Some(accepted) = ring.accepted() {
            let Some(index) = self.listeners.iter().position(|listener| listener.token == accepted.token) else { continue };
            let listener = &mut self.listeners[index];
            if self.stopping {
                continue;
            }
            // Dropped, it is closed: it is gone already, or one too many even to be told.
            let Some(source) = accepted.source else {
                listener.parts.tally.on_end(End::Failed);
                continue;
            };
            let Some(slot) = self.free.pop() else {
                listener.parts.tally.on_end(End::Refused);
                continue;
            };
            let slot = ConnectionSlot(slot);
            ring.open(slot, accepted);
            let is_one_too_many = listener.open >= listener.parts.connections_max;
            listener.open += 1;
            listener.parts.tally.on_open();
            self.places[slot.0 as usize] = Some(Place::new(index, listener, &source, self.open.len(), now_ns));
            self.open.push(slot.0);
            self.unarmed.push_back(slot.0);
            if is_one_too_many {
                self.end(ring, slot, End::Refused, now_ns);
            }
        }
    }

    /// A receive or a send of a connection ended, or brought something.
    pub fn on_completion(&mut self, ring: &mut Ring, slot: ConnectionSlot, way: Way, completion: &Completion, now_ns: u64) {
        let place = self.places[slot.0 as usize].as_mut().expect("a place with something in flight is in use");
        if way == Way::Sent {
            self.on_sent(ring, slot, completion);
            return;
        }
        self.heard_ns = now_ns;
        if place.state == State::Open {
            place.heard_ns = now_ns;
        }
        let is_starved = completion.is_out_of_buffers();
        if completion.buffer_id().is_some() || !is_starved && !completion.more() {
            // Bytes, or the end that comes after all bytes.
            place.held += 1;
            self.held.push_back(Held { slot, completion: *completion, taken: 0 });
        }
        if !completion.more() {
            place.armed = false;
            place.ended = completion.buffer_id().is_none() && !is_starved;
            if !place.ended {
                self.unarmed.push_back(slot.0);
            }
        }
    }

    /// Arms accepts and receives that ended, and gives buffers back. Returns how many were armed.
    pub fn arm(&mut self, ring: &mut Ring) -> usize {
        let Some(buffers) = &mut self.buffers else { return 0 };
        buffers.publish();
        for listener in self.listeners.iter_mut().filter(|listener| !listener.armed && !listener.is_waiting) {
            listener.armed = ring.accept(listener.token, listener.file).is_ok();
            listener.is_waiting = true;
        }
        let mut armed = 0;
        while buffers.outstanding() * 4 <= usize::from(BUFFERS) * 3
            && let Some(slot) = self.unarmed.front().copied()
        {
            let place = self.places[slot as usize].as_mut().expect("a place is freed only when its receive has ended");
            if !ring.receive_from(ConnectionSlot(slot), buffers) {
                break;
            }
            place.armed = true;
            self.unarmed.pop_front();
            armed += 1;
        }
        armed
    }

    /// Tells peers what was stored, and looks at limits of time when it is due. Returns how many were told.
    pub fn tick(&mut self, ring: &mut Ring, reached: Reached, now_ns: u64) -> usize {
        if self.open.is_empty() && self.listeners.is_empty() {
            return 0;
        }
        let mut told = 0;
        if self.has_news(reached) {
            (self.reached, self.untold) = (reached, false);
            told = self.acknowledge(ring);
        }
        if now_ns.saturating_sub(self.swept_ns) >= SWEEP_NS {
            self.swept_ns = now_ns;
            self.sweep(ring, now_ns);
        }
        told
    }

    /// Whether peers may have to be told of something since the last tick.
    pub fn has_news(&self, reached: Reached) -> bool {
        !self.open.is_empty() && (reached != self.reached || self.untold)
    }

    /// Time until limits are to be looked at; none without a connection.
    pub fn sweep_in_ns(&self, now_ns: u64) -> Option<u64> {
        let is_accepting = self.listeners.iter().all(|listener| listener.armed);
        (!self.open.is_empty() || !is_accepting).then(|| (self.swept_ns + SWEEP_NS).saturating_sub(now_ns))
    }

    /// No more connections are taken; what is on its way is.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Whether a stop need not wait any longer: nothing waits here, nothing came for a while, and everybody was told.
    pub fn is_drained(&self, now_ns: u64) -> bool {
        self.held.is_empty()
            && (self.open.is_empty() || now_ns.saturating_sub(self.heard_ns) >= QUIET_NS)
            && self.open.iter().all(|slot| self.place(ConnectionSlot(*slot)).is_settled())
    }

    /// Whether something received waits for room.
    pub fn is_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Publishes the books.
    pub fn account(&mut self) {
        self.listeners.iter_mut().for_each(Listener::account);
    }

    /// What all listeners counted, added to `sum`.
    pub fn counted(&self, sum: Counts) -> Counts {
        self.listeners.iter().fold(sum, |sum, listener| sum.plus(&listener.counts))
    }

    fn place(&self, slot: ConnectionSlot) -> &Place {
        self.places[slot.0 as usize].as_ref().expect("a place in use")
    }

    fn place_mut(&mut self, slot: ConnectionSlot) -> &mut Place {
        self.places[slot.0 as usize].as_mut().expect("a place in use")
    }

    fn acknowledge(&mut self, ring: &mut Ring) -> usize {
        let mut told = 0;
        for at in (0..self.open.len()).rev() {
            let slot = ConnectionSlot(self.open[at]);
            told += usize::from(self.tell_count(ring, slot));
        }
        told
    }

    /// Tells a peer its count, if it is news and the last telling has ended.
    fn tell_count(&mut self, ring: &mut Ring, slot: ConnectionSlot) -> bool {
        let (reached, swept_ns) = (self.reached, self.swept_ns);
        let place = self.place_mut(slot);
        let Some(acks) = place.acks.as_mut().filter(|_| matches!(place.state, State::Open | State::Finishing)) else { return false };
        acks.on_reached(&reached);
        let Some(count) = acks.due() else { return false };
        if place.sending {
            // Its completion looks again.
            return false;
        }
        let told = ring.send_to(slot, &count.to_be_bytes());
        if told {
            acks.on_told(count);
            place.sending = true;
            place.sending_since_ns = swept_ns;
        }
        self.untold |= !told;
        told
    }
}

fn place_number(place: usize) -> u32 {
    u32::try_from(place).expect("a lane has few thousand places")
}
