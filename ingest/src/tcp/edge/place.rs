//! One connection.

use super::listener::Listener;
use crate::intake::KEY_BYTES;
use crate::tcp::acks::Acks;
use crate::tcp::assembly::Kept;
use crate::tcp::end::End;
use crate::tcp::framing::Decoder;
use crate::udp::key_of;
use headworks_io::Source;

/// Where a connection stands; see the module's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Records come.
    Open,
    /// The peer sends no more and is not told of everything yet.
    Finishing,
    /// The peer is to be told why it ends.
    Telling(End),
    /// It is told; what still comes is thrown away.
    Draining,
    /// Shut; the place is free when nothing is in flight and nothing held.
    Gone,
}

/// A connection in its place.
pub(super) struct Place {
    pub listener: usize,
    pub key: [u8; KEY_BYTES],
    pub decoder: Decoder,
    pub kept: Kept,
    /// When the record that is kept began, in ns since 1970.
    pub kept_since_ns: u64,
    pub acks: Option<Acks>,
    pub state: State,
    /// When it last sent something, and then when it left `Open`.
    pub heard_ns: u64,
    /// Whether a receive is under way.
    pub armed: bool,
    /// Whether the last receive has ended for good.
    pub ended: bool,
    /// Whether a send is under way.
    pub sending: bool,
    /// Since when, to the length of a sweep.
    pub sending_since_ns: u64,
    /// Receives of it that are held.
    pub held: u32,
    /// Its place in the list of open ones.
    pub listed: usize,
}

impl Place {
    pub fn new(index: usize, listener: &Listener, source: &Source, listed: usize, now_ns: u64) -> Place {
        Place {
            listener: index,
            key: key_of(source),
            decoder: Decoder::new(listener.parts.framing, listener.parts.record_bytes_max),
            kept: Kept::NOTHING,
            kept_since_ns: 0,
            acks: listener.parts.ack.map(Acks::new),
            state: State::Open,
            heard_ns: now_ns,
            armed: false,
            ended: false,
            sending: false,
            sending_since_ns: 0,
            held: 0,
            listed,
        }
    }

    /// Whether the peer knows all that it may know.
    pub fn is_settled(&self) -> bool {
        let is_telling = matches!(self.state, State::Telling(_)) || self.sending;
        !is_telling && self.acks.is_none_or(|acks| acks.is_settled() || self.state == State::Gone)
    }
}
