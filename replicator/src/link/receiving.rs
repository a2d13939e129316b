//! The standby's side of a lane: a block is received straight into the ring slot that it will be written from, and proved there.
//!
//! ```text
//!  envelope ─► slot claimed ─► block received into it ─► proved ─► machine: Accept ─► published ─► log loop
//!                  none free: nothing more is read, and the primary's sending stops
//! ```

use super::connection::{Connection, Lost};
use super::words::prove;
use crate::message::{ENVELOPE_BYTES, Envelope, Rejected, envelope};
use headworks_format::checkpoint::{self, Partition};
use headworks_format::{LaneId, PairId, PartitionId, block};
use headworks_ring::Filler;
use std::collections::HashSet;

/// What is being received.
#[derive(Debug, Clone, Copy)]
struct Body {
    envelope: Envelope,
    filled: usize,
}

/// A lane's receiving.
#[derive(Debug)]
pub struct Receiving {
    filler: Filler,
    body: Option<Body>,
    known: HashSet<PartitionId>,
    /// No slot was free: to be tried again when the log loop has moved.
    is_stalled: bool,
}

/// What came of looking.
#[derive(Debug)]
pub enum Received {
    /// A block has come whole, and proves itself.
    Block(Envelope),
    /// More has to come.
    More,
    /// Another message stands first.
    Message,
}

impl Receiving {
    /// Into that ring; `known` are the lane's partitions.
    #[must_use]
    pub fn new(filler: Filler, known: impl Iterator<Item = PartitionId>) -> Receiving {
        Receiving { filler, body: None, known: known.collect(), is_stalled: false }
    }

    /// The ring's producing end, for who leads from now on. What was half received is forgotten.
    #[must_use]
    pub fn into_filler(self) -> Filler {
        self.filler
    }

    /// A connection is gone: what was half received is forgotten.
    pub fn forget(&mut self) {
        self.body = None;
        self.is_stalled = false;
    }

    /// Whether nothing is read until the log loop has moved.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// Whether a block is being received.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.body.is_some()
    }

    /// Takes in of the next block what is there.
    ///
    /// # Errors
    /// The connection ended, or what came is no block of this lane and pair.
    pub fn receive(&mut self, connection: &mut Connection, lane: LaneId, pair: PairId) -> Result<Received, Lost> {
        if self.body.is_none() {
            let unfit = |rejected: Rejected| Lost::given_up(format!("malformed: {rejected:?}"));
            let Some(envelope) = envelope(connection.received()).map_err(unfit)? else { return Ok(Received::Message) };
            if envelope.lane != lane.0 || !sized(&envelope) {
                return Err(Lost::given_up(format!(
                    "a block of {} B for lane {} came for lane {lane}",
                    envelope.block_bytes, envelope.lane
                )));
            }
            connection.consume(ENVELOPE_BYTES);
            self.body = Some(Body { envelope, filled: 0 });
        }
        let body = self.body.as_mut().expect("just seen");
        let Some(slot) = self.filler.claim() else {
            self.is_stalled = true;
            return Ok(Received::More);
        };
        self.is_stalled = false;
        let into = &mut slot[..body.envelope.block_bytes as usize];
        while body.filled < into.len() {
            let held = connection.received();
            let bytes = if held.is_empty() {
                connection.fill_into(&mut into[body.filled..])?
            } else {
                let bytes = held.len().min(into.len() - body.filled);
                into[body.filled..body.filled + bytes].copy_from_slice(&held[..bytes]);
                connection.consume(bytes);
                bytes
            };
            if bytes == 0 {
                return Ok(Received::More);
            }
            body.filled += bytes;
        }
        let envelope = body.envelope;
        self.body = None;
        prove(into, &envelope, lane, pair).map_err(Lost::given_up)?;
        Ok(Received::Block(envelope))
    }

    /// Partitions that the block in hand is the first to name.
    pub fn named(&mut self) -> Vec<Partition> {
        let Some(slot) = self.filler.claim() else { return Vec::new() };
        let header = block::header(slot).expect("a slot is larger than a header");
        if header.flags.get() & block::FLAG_CONTROL == 0 {
            return Vec::new();
        }
        let named = checkpoint::of_block(slot).map_or_else(Vec::new, |checkpoint| checkpoint.partitions);
        named.into_iter().filter(|partition| self.known.insert(partition.id)).collect()
    }

    /// Hands the block in hand to the log loop.
    pub fn publish(&mut self) {
        self.filler.publish();
    }
}

fn sized(envelope: &Envelope) -> bool {
    let bytes = envelope.block_bytes as usize;
    (block::BLOCK_BYTES_MIN..=block::BLOCK_BYTES_MAX).contains(&bytes)
}
