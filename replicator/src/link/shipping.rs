//! The primary's side of a lane: blocks go out as they were stamped, from the slots while they lie there, else from segments.
//!
//! A slot is pinned for one send and no longer: what the kernel does not take is sent later, from the slot if it is still
//! there, else from the file. The bytes are the same in both.

use super::connection::{Connection, Lost};
use super::host::LaneLog;
use crate::message::{ENVELOPE_BYTES, Envelope, encode_envelope};
use headworks_format::Epoch;
use headworks_format::block::{HEAD_BYTES, Head};
use headworks_log::blocks::Missing;
use headworks_log::{Blocks, Disk};

/// Bytes of one lane that are sent before others have their turn.
const TURN_BYTES_MAX: usize = 8 << 20;

/// Where a lane's sending stands.
#[derive(Debug)]
pub struct Shipping {
    epoch: Epoch,
    next: u64,
    /// After the last block that is sent.
    until: u64,
    part: Option<Part>,
    /// Whether the next block cannot be read.
    is_harmed: bool,
}

/// A block that is not wholly sent.
#[derive(Debug)]
struct Part {
    envelope: Vec<u8>,
    block_bytes: usize,
    /// Bytes sent of envelope and block together.
    sent: usize,
}

/// How a turn of sending ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shipped {
    /// Nothing more is there.
    All,
    /// The next block is stamped and neither in a slot nor written yet.
    Waits,
    /// The kernel takes no more now.
    Full,
    /// Others have their turn.
    Turn,
}

impl Shipping {
    /// From that block on, in envelopes of that epoch.
    #[must_use]
    pub fn new(epoch: Epoch, from: u64) -> Shipping {
        Shipping { epoch, next: from, until: u64::MAX, part: None, is_harmed: false }
    }

    /// That block alone.
    #[must_use]
    pub fn of(epoch: Epoch, block: u64) -> Shipping {
        Shipping { until: block.saturating_add(1), ..Shipping::new(epoch, block) }
    }

    /// Whether every block that was wanted is sent.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next >= self.until
    }

    /// Whether a block is half sent: nothing else may go between.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.part.as_ref().is_some_and(|part| part.sent > 0)
    }

    /// The block that could not be read, if that is why sending ended.
    #[must_use]
    pub fn harmed(&self) -> Option<u64> {
        self.is_harmed.then_some(self.next)
    }

    /// Sends as far as blocks and the connection go. Returns the bytes sent and why it ended.
    ///
    /// # Errors
    /// The connection ended, or the lane's next block is not to be had any more.
    pub fn ship<D: Disk>(
        &mut self,
        connection: &mut Connection,
        log: &LaneLog<D>,
        blocks: &mut Blocks<D>,
    ) -> Result<(usize, Shipped), Lost> {
        let mut total = 0;
        while total < TURN_BYTES_MAX {
            if self.next >= log.view.positions.submitted.load().min(self.until) {
                return Ok((total, Shipped::All));
            }
            if connection.is_full() {
                return Ok((total, Shipped::Full));
            }
            let sent = match self.send_some(connection, log, blocks) {
                Ok(sent) => sent?,
                Err(Missing::NotYet) => return Ok((total, Shipped::Waits)),
                Err(Missing::Gone) => return Err(Lost::given_up(format!("block {} was given back by retention", self.next))),
                Err(Missing::Unreadable(why)) => {
                    self.is_harmed = true;
                    return Err(Lost::given_up(why));
                }
            };
            total += sent;
        }
        Ok((total, Shipped::Turn))
    }

    /// One send of the next block's rest.
    fn send_some<D: Disk>(
        &mut self,
        connection: &mut Connection,
        log: &LaneLog<D>,
        blocks: &mut Blocks<D>,
    ) -> Result<Result<usize, Lost>, Missing> {
        let trailed = log.view.trail.find(self.next);
        let pin = trailed.and_then(|trailed| Some((log.readers.as_ref()?.pin(trailed.slot.0)?, trailed.bytes as usize)));
        match pin {
            Some((pin, bytes)) => Ok(self.send_of(connection, log, &pin[..bytes])),
            None => Ok(self.send_of(connection, log, blocks.read(self.next)?)),
        }
    }

    fn send_of<D: Disk>(&mut self, connection: &mut Connection, log: &LaneLog<D>, block: &[u8]) -> Result<usize, Lost> {
        let committed = log.view.positions.committed.load();
        let (epoch, lane) = (self.epoch, log.view.lane.0);
        let part = self.part.get_or_insert_with(|| Part::of(block, lane, epoch, committed));
        let (envelope, rest) = if part.sent < ENVELOPE_BYTES {
            (&part.envelope[part.sent..], block)
        } else {
            (&part.envelope[ENVELOPE_BYTES..], &block[part.sent - ENVELOPE_BYTES..])
        };
        let sent = connection.send(envelope, rest)?;
        part.sent += sent;
        if part.sent == ENVELOPE_BYTES + part.block_bytes {
            self.part = None;
            self.next += 1;
        }
        Ok(sent)
    }
}

impl Part {
    fn of(block: &[u8], lane: u32, epoch: Epoch, committed: u64) -> Part {
        let page: &[u8; HEAD_BYTES] = block.first_chunk().expect("a block has a head page");
        let head = Head::parse(page).expect("a shared block, or one that was proved, parses");
        let mut bytes = Vec::with_capacity(ENVELOPE_BYTES);
        encode_envelope(&Envelope::of(&head, lane, epoch, committed), &mut bytes);
        Part { envelope: bytes, block_bytes: block.len(), sent: 0 }
    }
}
