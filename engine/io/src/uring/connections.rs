//! Connections of a ring: accepted, received from, sent to, closed, each in a place of a fixed table.
//!
//! ```text
//!   accept (goes on) ──► accepted ──► open ──► receive (goes on), send (one at a time) ──► shut ──► close
//!                        descriptor   place    completions name the place by their token    both end   place free again
//! ```
//!
//! The ring owns the descriptors and what is being sent, so that neither goes while the kernel uses it: a place is closed
//! only when nothing of it is in flight, which ends receives and sends of a peer that says nothing by `shut`.
//! Between `register_connections` and drop nothing is allocated.

use std::collections::VecDeque;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;

use io_uring::opcode;
use io_uring::types::{Fd, Fixed};
use socket2::SockRef;

use super::{FileSlot, Ring};
use crate::acceptors;
use crate::aligned::AlignedBuffer;
use crate::buffers::ReceiveBuffers;
use crate::completion::{Completion, Token};
use crate::received::Source;

/// Most bytes of one send: an acknowledgement or a line of text.
pub const SEND_BYTES_MAX: usize = 256;
/// Accepted connections that may wait to be opened.
const ACCEPTED_MAX: usize = 1024;

/// Tokens of connections carry one of these above the place; no other operation may.
const RECEIVE: u64 = 0x6877_7263;
const SEND: u64 = 0x6877_736e;
const TAG_SHIFT: u32 = 32;

/// Place of a connection in a ring's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionSlot(pub u32);

/// Which of a connection's two operations a completion belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Bytes came, or their end.
    Received,
    /// Bytes went.
    Sent,
}

impl Token {
    /// The connection that the operation belongs to, and which of its operations it is; none for every other.
    #[must_use]
    pub fn connection(self) -> Option<(ConnectionSlot, Way)> {
        let way = match self.0 >> TAG_SHIFT {
            RECEIVE => Way::Received,
            SEND => Way::Sent,
            _ => return None,
        };
        Some((ConnectionSlot(u32::try_from(self.0 & u64::from(u32::MAX)).expect("32 bits")), way))
    }

    fn of(slot: ConnectionSlot, tag: u64) -> Token {
        Token(tag << TAG_SHIFT | u64::from(slot.0))
    }
}

/// A connection that was accepted and has no place yet; dropped, it is closed.
#[derive(Debug)]
pub struct Accepted {
    /// The accept that brought it.
    pub token: Token,
    /// Who is at the other end; none when it is gone already.
    pub source: Option<Source>,
    fd: OwnedFd,
}

/// The table.
#[derive(Default)]
pub(super) struct Connections {
    places: Vec<Place>,
    /// [`SEND_BYTES_MAX`] a place: what the kernel reads while it sends.
    outbox: Option<AlignedBuffer>,
    accepts: Vec<Token>,
    accepted: VecDeque<(Token, OwnedFd)>,
    /// The group that all receive into, by its index.
    group: Option<usize>,
}

#[derive(Default)]
struct Place {
    fd: Option<OwnedFd>,
    receiving: bool,
    sending: bool,
}

impl Connections {
    /// The buffer group of a connection's receive.
    pub(super) fn group(&self) -> usize {
        self.group.expect("a connection receives into a group")
    }

    /// Enters a completion: takes an accepted descriptor over, or notes that an operation ended.
    pub(super) fn settle(&mut self, completion: &Completion) {
        match completion.token.connection() {
            Some((slot, way)) if !completion.more() => {
                let place = &mut self.places[slot.0 as usize];
                match way {
                    Way::Received => place.receiving = false,
                    Way::Sent => place.sending = false,
                }
            }
            Some(_) => {}
            None => {
                if completion.result >= 0 && self.accepts.contains(&completion.token) {
                    // SAFETY: an accept that succeeded made this descriptor for us and told nobody else of it; each
                    // completion is settled once, so it is owned once.
                    let fd = unsafe { OwnedFd::from_raw_fd(completion.result) };
                    self.accepted.push_back((completion.token, fd));
                }
            }
        }
    }
}

impl Ring {
    /// Makes the table of connections, all free. Once in a ring's life.
    ///
    /// # Panics
    /// When there is a table already, or of no places.
    pub fn register_connections(&mut self, places: u32) {
        let table = &mut self.connections;
        assert!(table.places.is_empty() && places > 0, "{places} connections asked, {} there", table.places.len());
        table.places.resize_with(places as usize, Place::default);
        table.outbox = Some(AlignedBuffer::zeroed(places as usize * SEND_BYTES_MAX));
        table.accepted.reserve(ACCEPTED_MAX);
        table.accepts.reserve(crate::sockets::GROUP_MAX);
    }

    /// Arms an accept that goes on: each connection makes one completion and waits in [`accepted`](Ring::accepted). It
    /// ends, with no [`more`](Completion::more), on an error such as a shortage of descriptors; arm again later.
    ///
    /// # Errors
    /// The token, when the submission queue is full.
    ///
    /// # Panics
    /// When the slot is not in the table of files.
    pub fn accept(&mut self, token: Token, listener: FileSlot) -> Result<(), Token> {
        self.assert_file(listener);
        assert!(token.connection().is_none(), "{token:?} is a connection's");
        if !self.connections.accepts.contains(&token) {
            self.connections.accepts.push(token);
        }
        let entry = opcode::AcceptMulti::new(Fixed(listener.0)).flags(libc::SOCK_CLOEXEC).build();
        // SAFETY: the operation names no memory.
        unsafe { self.push(token, entry) }
    }

    /// The oldest connection that was accepted and has no place yet.
    pub fn accepted(&mut self) -> Option<Accepted> {
        let (token, fd) = self.connections.accepted.pop_front()?;
        Some(Accepted { token, source: acceptors::greet(&fd), fd })
    }

    /// Gives a connection its place.
    ///
    /// # Panics
    /// When the place is taken or not in the table.
    pub fn open(&mut self, slot: ConnectionSlot, accepted: Accepted) {
        let place = self.place(slot);
        assert!(place.fd.is_none(), "{slot:?} is taken");
        place.fd = Some(accepted.fd);
    }

    /// Arms a receive that goes on: what arrives takes a buffer of the group and makes one completion. A count of 0 is the
    /// peer's end. It ends, with no [`more`](Completion::more), at the end, on an error, and when no buffer is left
    /// (`ENOBUFS`; arm again once buffers are back). `false`: the submission queue is full.
    ///
    /// # Panics
    /// When the place is free or receives already, or the buffers are not the ones of the ring's other connections.
    #[must_use]
    pub fn receive_from(&mut self, slot: ConnectionSlot, buffers: &mut ReceiveBuffers) -> bool {
        let group = buffers.group();
        let index = self.groups.iter().position(|known| Rc::ptr_eq(known, group));
        let index = index.expect("receive into buffers that another ring was given");
        assert_eq!(*self.connections.group.get_or_insert(index), index, "all connections of a ring receive into one group");
        let id = group.id();
        let place = self.place(slot);
        assert!(!place.receiving, "{slot:?} receives already");
        let entry = opcode::RecvMulti::new(descriptor(place, slot), id).build();
        // SAFETY: the buffers of the group are owned by `groups` until teardown has seen nothing in flight, and are lent out
        // only between a completion and their recycling. The descriptor is the place's until nothing is in flight.
        let pushed = unsafe { self.push(Token::of(slot, RECEIVE), entry) }.is_ok();
        self.place(slot).receiving = pushed;
        pushed
    }

    /// Sends bytes, whole unless the connection ends. `false`: the submission queue is full, or the send before is under way.
    ///
    /// # Panics
    /// When the place is free, or there is nothing or more than [`SEND_BYTES_MAX`] bytes to send.
    #[must_use]
    pub fn send_to(&mut self, slot: ConnectionSlot, bytes: &[u8]) -> bool {
        assert!((1..=SEND_BYTES_MAX).contains(&bytes.len()), "{} bytes to send, 1 to {SEND_BYTES_MAX}", bytes.len());
        let place = self.place(slot);
        let descriptor = descriptor(place, slot);
        if place.sending {
            return false;
        }
        let outbox = self.connections.outbox.as_ref().expect("made with the places");
        let address = outbox.base().as_ptr().wrapping_add(slot.0 as usize * SEND_BYTES_MAX);
        // SAFETY: the place is in the table (looked up above), so its part lies in the outbox, which is as long as all parts
        // together; `bytes` fits it (asserted) and lies elsewhere. The kernel does not read this part: nothing is being sent.
        // No reference to the outbox's bytes exists; this is the only access.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address, bytes.len()) };
        let length = u32::try_from(bytes.len()).expect("at most 256");
        // WAITALL: a send that finds little room goes on when there is more. NOSIGNAL: a peer that is gone is an error.
        let entry = opcode::Send::new(descriptor, address.cast_const(), length).flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL).build();
        // SAFETY: the bytes lie in the outbox, which the table owns until teardown has seen nothing in flight, in a part that
        // is this place's alone and that nothing writes before the completion: `sending` is set until then.
        let pushed = unsafe { self.push(Token::of(slot, SEND), entry) }.is_ok();
        self.place(slot).sending = pushed;
        pushed
    }

    /// Ends one direction of a connection or both; receives and sends under way there then complete. An error means that the
    /// peer was faster.
    ///
    /// # Panics
    /// When the place is free.
    pub fn shut(&mut self, slot: ConnectionSlot, how: Shutdown) -> std::io::Result<()> {
        let fd = self.place(slot).fd.as_ref().unwrap_or_else(|| panic!("{slot:?} is free"));
        SockRef::from(fd).shutdown(how)
    }

    /// Whether something of the connection is in flight.
    #[must_use]
    pub fn is_in_flight(&self, slot: ConnectionSlot) -> bool {
        let place = &self.connections.places[slot.0 as usize];
        place.receiving || place.sending
    }

    /// Closes a connection and frees its place.
    ///
    /// # Panics
    /// When the place is free, or something of it is in flight.
    pub fn close(&mut self, slot: ConnectionSlot) {
        let place = self.place(slot);
        assert!(!place.receiving && !place.sending, "{slot:?}: receiving {}, sending {}", place.receiving, place.sending);
        assert!(place.fd.take().is_some(), "{slot:?} is free");
    }

    fn place(&mut self, slot: ConnectionSlot) -> &mut Place {
        let places = self.connections.places.len();
        self.connections.places.get_mut(slot.0 as usize).unwrap_or_else(|| panic!("{slot:?} of {places}"))
    }
}

fn descriptor(place: &Place, slot: ConnectionSlot) -> Fd {
    Fd(place.fd.as_ref().unwrap_or_else(|| panic!("{slot:?} is free")).as_raw_fd())
}

#[cfg(test)]
mod tests;
