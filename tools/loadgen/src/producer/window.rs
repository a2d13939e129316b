//! What a producer has under way: one batch that grows, and at most five that wait for an answer.
//!
//! ```text
//!   acknowledged │ waiting: sealed, in order │ growing │ due, not taken up
//!                │ on the way │ to be sent    │
//!   at a break:   acks all: all of it to be sent again      acks 0, 1: unknown, and gone
//! ```
//!
//! A batch is numbered when it is sealed and keeps its bytes until it is answered, so what is sent again is the same. Five
//! is what a broker remembers of an idempotent producer: with six under way a repeated one could not be told from a new one.
//!
//! | answer | acks all | acks 1 |
//! |---|---|---|
//! | taken, or taken before | acknowledged | acknowledged |
//! | an error that passes | all again, by a new connection | unknown |
//! | any other error | everything under way unknown, a new producer id | unknown |
//!
//! No socket and no clock stands here.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::Acks;
use super::batch::{Growing, HEADER_BYTES, Identity, NOBODY, RECORD_BYTES_OWN};
use crate::kafka::wire::error_name;
use crate::ledger::answers::{Answered, Owed, Waits};
use crate::packet::{Template, stamp};

#[cfg(test)]
mod tests;

/// Batches that wait for an answer.
const UNDER_WAY_MAX: usize = 5;

/// A batch that was sealed.
#[derive(Debug)]
struct Sealed {
    bytes: Bytes,
    /// Packets `from` to `to - 1`.
    from: u64,
    to: u64,
    due_ns: Vec<u64>,
}

/// What an answer means for the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Goes,
    /// Another one is to be made, perhaps to another leader.
    Again,
}

/// What one producer has under way.
#[derive(Debug)]
pub struct Window {
    source: u32,
    acks: Acks,
    packet: Vec<u8>,
    batch_bytes: usize,
    growing: Growing,
    growing_due_ns: Vec<u64>,
    /// Next packet.
    next: u64,
    waiting: VecDeque<Sealed>,
    /// How many of those are on the way by the connection that stands.
    on_way: usize,
    /// First packet that went by it; of use where nobody answers.
    connection_from: u64,
    /// Producer id and epoch, and the sequence of its next record.
    identity: Option<(i64, i16)>,
    sequence: i32,
    owed: Owed,
    /// What it was told.
    pub answered: Answered,
    /// Times of that.
    pub waits: Waits,
    /// Errors after which the same was sent again.
    pub retriable: BTreeMap<String, u64>,
    /// Errors after which it was not.
    pub fatal: BTreeMap<String, u64>,
}

impl Window {
    /// Of a producer that has sent nothing.
    pub fn new(source: u32, acks: Acks, template: &Template, batch_bytes: usize) -> Self {
        let packet = template.bytes().to_vec();
        let batch_bytes = batch_bytes.max(HEADER_BYTES + RECORD_BYTES_OWN + packet.len());
        Self {
            source,
            acks,
            packet,
            batch_bytes,
            growing: Growing::default(),
            growing_due_ns: Vec::new(),
            next: 0,
            waiting: VecDeque::new(),
            on_way: 0,
            connection_from: 0,
            identity: None,
            sequence: 0,
            owed: Owed::default(),
            answered: Answered::default(),
            waits: Waits::default(),
            retriable: BTreeMap::new(),
            fatal: BTreeMap::new(),
        }
    }

    /// Next packet to be taken up.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Packets that were handed over at least once.
    pub fn sent(&self) -> u64 {
        self.next - self.growing_due_ns.len() as u64
    }

    /// Whether the growing batch takes no further record.
    pub fn is_full(&self) -> bool {
        self.growing.len() + RECORD_BYTES_OWN + self.packet.len() > self.batch_bytes
    }

    /// When the growing batch's first record was due.
    pub fn growing_since_ns(&self) -> Option<u64> {
        self.growing_due_ns.first().copied()
    }

    /// Whether a batch may be sent now beside those on their way.
    pub fn has_room(&self) -> bool {
        self.on_way < UNDER_WAY_MAX
    }

    /// Whether something that was sent before has to be sent again first.
    pub fn has_to_repeat(&self) -> bool {
        self.on_way < self.waiting.len()
    }

    /// Whether nothing is left to be sent or answered.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.growing_due_ns.is_empty()
    }

    /// Whether a producer id is needed before anything can be sent.
    pub fn lacks_identity(&self) -> bool {
        self.acks == Acks::All && self.identity.is_none()
    }

    /// The server gave a producer id.
    pub fn on_identity(&mut self, id: i64, epoch: i16) {
        (self.identity, self.sequence) = (Some((id, epoch)), 0);
    }

    /// A packet is due since then, whether it can be taken up or not.
    pub fn on_due(&mut self, due_ns: u64) {
        if self.acks != Acks::None {
            self.owed.on_due(due_ns);
        }
    }

    /// Takes up a packet that is due.
    ///
    /// # Panics
    /// The growing batch is full.
    pub fn take(&mut self, due_ns: u64, started_ns: u64) {
        assert!(!self.is_full(), "{} bytes of a batch of {}", self.growing.len(), self.batch_bytes);
        let intended_ns = started_ns + due_ns;
        stamp(&mut self.packet, self.source, self.next, intended_ns);
        self.growing.push(i64::try_from(intended_ns / 1_000_000).expect("a time before 2554"), &self.packet);
        self.growing_due_ns.push(due_ns);
        self.on_due(due_ns);
        self.next += 1;
    }

    /// A batch to be sent: one that was sent before, else the growing one. With acks 0 it is not kept.
    ///
    /// # Panics
    /// There is no room for it, or a producer id is lacking.
    pub fn send(&mut self) -> Option<Bytes> {
        assert!(self.has_room() && !self.lacks_identity(), "{} under way, {:?}", self.on_way, self.identity);
        if let Some(again) = self.waiting.get(self.on_way) {
            self.on_way += 1;
            return Some(again.bytes.clone());
        }
        if self.growing_due_ns.is_empty() {
            return None;
        }
        let due_ns = std::mem::take(&mut self.growing_due_ns);
        let count = i32::try_from(due_ns.len()).expect("a batch is below 2 MiB");
        let by = self.identity.map_or(NOBODY, |(id, epoch)| Identity { id, epoch, sequence: self.sequence });
        let bytes = self.growing.seal(by);
        // Sequences go from 2^31 - 1 to 0.
        self.sequence = (i64::from(self.sequence) + i64::from(count)).rem_euclid(1 << 31).try_into().expect("below 2^31");
        if self.acks != Acks::None {
            let from = self.next - due_ns.len() as u64;
            self.waiting.push_back(Sealed { bytes: bytes.clone(), from, to: self.next, due_ns });
            self.on_way += 1;
        }
        Some(bytes)
    }

    /// The oldest batch was answered with this code.
    ///
    /// # Errors
    /// None was on its way.
    pub fn on_answer(&mut self, code: i16, now_ns: u64, started_ns: u64) -> Result<Verdict, String> {
        if self.on_way == 0 {
            return Err("an answer, and nothing was asked".to_owned());
        }
        let error = ResponseError::try_from_code(code);
        let repeated = self.acks == Acks::All && error == Some(ResponseError::DuplicateSequenceNumber);
        if error.is_none() && code == 0 || repeated {
            self.acknowledge(now_ns, started_ns);
            return Ok(Verdict::Goes);
        }
        let passes = error.is_some_and(|error| error.is_retriable());
        let errors = if passes { &mut self.retriable } else { &mut self.fatal };
        *errors.entry(error_name(code)).or_default() += 1;
        match (self.acks, passes) {
            (Acks::All, true) => Ok(Verdict::Again),
            (Acks::All, false) => {
                self.forget(self.waiting.len());
                self.identity = None;
                Ok(Verdict::Again)
            }
            (_, passes) => {
                self.forget(1);
                Ok(if passes { Verdict::Again } else { Verdict::Goes })
            }
        }
    }

    fn acknowledge(&mut self, now_ns: u64, started_ns: u64) {
        let Some(batch) = self.waiting.pop_front() else { return };
        self.on_way -= 1;
        batch.due_ns.iter().for_each(|due_ns| self.waits.note(now_ns.saturating_sub(*due_ns)));
        self.answered.acknowledged.push(batch.from, batch.to);
        let rest_ns = self.waiting.front().and_then(|batch| batch.due_ns.first()).or(self.growing_due_ns.first()).copied();
        if let Some((from_ns, to_ns)) = self.owed.on_answer(now_ns, rest_ns) {
            self.waits.note_gap(self.source, started_ns + from_ns, started_ns + to_ns);
        }
    }

    /// The oldest ones are given up: nobody knows of them.
    fn forget(&mut self, batches: usize) {
        for batch in self.waiting.drain(..batches) {
            self.answered.unknown.push(batch.from, batch.to);
        }
        self.on_way = self.on_way.saturating_sub(batches);
    }

    /// The connection is over.
    pub fn on_broken(&mut self) {
        match self.acks {
            Acks::None => self.answered.unknown.push(self.connection_from, self.sent()),
            Acks::Leader => self.forget(self.waiting.len()),
            Acks::All => {}
        }
        self.on_way = 0;
        self.connection_from = self.sent();
    }

    /// The end of the run: what is under way is unknown, and a gap may be open.
    pub fn end(&mut self, now_ns: u64, started_ns: u64) {
        self.forget(self.waiting.len());
        if let Some((from_ns, to_ns)) = self.owed.open_gap(now_ns).filter(|_| self.acks != Acks::None) {
            self.waits.note_gap(self.source, started_ns + from_ns, started_ns + to_ns);
        }
    }
}
