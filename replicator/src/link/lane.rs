//! A lane of the pair at the edge: its connection, what it ships or receives, and its log.

use super::connection::{Connection, Lost};
use super::dialling::Dialling;
use super::host::LaneLog;
use super::pace::Pace;
use super::receiving::{Received, Receiving};
use super::shipping::{Shipped, Shipping};
use crate::event::{Event, Introduction};
use crate::message::{self, End, Hello, Message};
use crate::rejoin::{self, Lineage};
use headworks_format::{Chain, Epoch, LaneId, PairId};
use headworks_log::blocks::{self, Missing};
use headworks_log::{Blocks, Disk};
use std::cell::{Cell, RefCell};

/// What a lane of the other node says first, owned.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The lane.
    pub lane: u32,
    /// Who asks.
    pub from: Introduction,
    /// Its name.
    pub name: String,
    /// Where its Kafka clients reach it.
    pub address: String,
    /// Where its log ends.
    pub end: End,
    /// Its epochs, oldest first.
    pub history: Vec<(Epoch, u64)>,
}

impl Asking {
    /// From the message.
    #[must_use]
    pub fn of(hello: &Hello<'_>) -> Asking {
        Asking {
            lane: hello.lane.0,
            from: Introduction {
                protocol: hello.protocol,
                pair: hello.pair,
                member: hello.member,
                lanes: hello.lanes,
                segment_bytes: hello.segment_bytes,
                promised: hello.promised,
                register_version: hello.register_version,
            },
            name: hello.name.to_owned(),
            address: hello.address.to_owned(),
            end: hello.end,
            history: hello.history.iter().collect(),
        }
    }
}

/// What a connection brought.
#[derive(Debug)]
pub enum Brought {
    /// Something for the machine.
    Event(Event),
    /// A lane asks to follow.
    Asking(Asking),
    /// The answer to our own Hello, with who answers.
    Answer {
        /// What the machine is told.
        event: Event,
        /// Who answered.
        peer: super::host::Peer,
    },
    /// Nothing more for now.
    Nothing,
}

/// See the module.
pub struct Lane<D: Disk> {
    /// Its log.
    pub log: LaneLog<D>,
    /// Blocks of its log by number.
    pub blocks: Blocks<D>,
    /// Its connection.
    pub connection: Option<Connection>,
    /// Tries to get one.
    pub dialling: Dialling,
    /// On a standby: since when it has asked on its connection and was not answered yet.
    pub asked_ns: Option<u64>,
    /// On a primary: what is sent.
    pub shipping: Option<Shipping>,
    /// On a standby with an open log: where blocks go.
    pub receiving: Option<Receiving>,
    /// Whether the machine wants the log open.
    pub is_wanted_open: bool,
    /// The gate as last ordered, and the lowering that is to be answered; 0 for none.
    pub gate: (u64, u32),
    /// What the machine was told of its positions last.
    pub told: (u64, u64),
    /// How the last turn of sending ended.
    pub shipped: Shipped,
    /// What the peer has in memory and on disk, by its acknowledgements.
    pub peer: Option<(u64, u64)>,
    /// What it had on disk when it was heard last, on this connection or an earlier one.
    pub reached: Option<u64>,
    /// When the log came how far.
    pub pace: Pace,
    /// The newest block that could not be read from its segment.
    harmed: Option<u64>,
}

impl<D: Disk> Lane<D> {
    /// Over a log.
    #[must_use]
    pub fn new(log: LaneLog<D>) -> Lane<D> {
        let blocks = Blocks::new(log.view.clone(), log.disk.clone());
        let gate = (log.committed, 0);
        Lane {
            log,
            blocks,
            connection: None,
            dialling: Dialling::default(),
            asked_ns: None,
            shipping: None,
            receiving: None,
            is_wanted_open: false,
            gate,
            told: (0, 0),
            shipped: Shipped::All,
            peer: None,
            reached: None,
            pace: Pace::default(),
            harmed: None,
        }
    }

    /// The log was opened, or cut: it is another one to read from.
    pub fn renew(&mut self, log: LaneLog<D>) {
        self.blocks = Blocks::new(log.view.clone(), log.disk.clone());
        self.log = log;
        if self.log.readers.is_some() {
            self.log.view.gate.set_durable(self.gate.0);
        }
    }

    /// The number of the lane.
    #[must_use]
    pub fn id(&self) -> LaneId {
        self.log.view.lane
    }

    /// Closes its connection.
    pub fn hang_up(&mut self) {
        self.connection = None;
        self.asked_ns = None;
        self.shipping = None;
        self.peer = None;
        if let Some(receiving) = &mut self.receiving {
            receiving.forget();
        }
    }

    /// Takes a connection, in place of an earlier one.
    pub fn take(&mut self, connection: Connection) {
        self.hang_up();
        self.connection = Some(connection);
    }

    /// Whether everything below that block is in the log, and can be read back. What was accepted and is on its way through the ring has no
    /// chain that could be compared yet, and its epoch may be missing in the history: a verdict on such a log would be on another one.
    #[must_use]
    pub fn holds_through(&self, end: u64) -> bool {
        self.log.readers.is_none() || self.log.view.positions.written.load() >= end
    }

    /// Its epochs with the first block of each.
    #[must_use]
    pub fn history(&self) -> Vec<(Epoch, u64)> {
        let mut history = blocks::epochs(&self.log.view);
        history.drain(..history.len().saturating_sub(message::SPANS_MAX));
        history
    }

    /// What the asking lane would have to do. Not to be had as long as the block at the point where the two could meet is on its
    /// way to the disk, nor when it would have to begin anew and `may_restart` says that it may not.
    pub fn verdict(&mut self, asking: &Asking, may_restart: bool) -> Option<message::Verdict> {
        let view = self.log.view.clone();
        let (submitted, written) = (view.positions.submitted.load(), view.positions.written.load());
        if asking.end.sequence.min(submitted) > written {
            return None;
        }
        let history = self.history();
        let start_at = match self.harm_for(asking.end.sequence) {
            // It would wait for that block in vain: its log begins behind it.
            Some(harmed) if may_restart => blocks::extents(&view).into_iter().map(|extent| extent.base).find(|base| *base > harmed)?,
            Some(_) => return None,
            None => blocks::first(&view).unwrap_or(self.log.end.sequence),
        };
        let start = End { sequence: start_at, chain: self.chain_at(start_at)? };
        let (waits, this) = (Cell::new(false), RefCell::new(&mut *self));
        let verdict = rejoin::verdict(
            Lineage { history: &asking.history, end: asking.end.sequence },
            asking.end.chain,
            Lineage { history: &history, end: submitted },
            start,
            |sequence| {
                let chain = this.borrow_mut().chain_at(sequence);
                waits.set(waits.get() || (chain.is_none() && sequence >= start_at));
                chain
            },
        );
        (!waits.get()).then_some(verdict)
    }

    /// The chain that the lane's block of that number carries, or would carry at its end.
    pub fn chain_at(&mut self, sequence: u64) -> Option<Chain> {
        if sequence == self.log.end.sequence && self.log.readers.is_none() {
            return Some(self.log.end.chain);
        }
        match self.blocks.chain_at(sequence) {
            Ok(chain) => Some(chain),
            // Nothing can be said of it now.
            Err(Missing::NotYet | Missing::Gone) => None,
            Err(Missing::Unreadable(_)) => {
                self.note_harm(sequence);
                None
            }
        }
    }

    fn note_harm(&mut self, sequence: u64) {
        self.harmed = self.harmed.max(Some(sequence));
    }

    /// The newest block that cannot be read, if who has everything below `end` needs it.
    fn harm_for(&mut self, end: u64) -> Option<u64> {
        let harmed = self.harmed?;
        if self.blocks.read(harmed).is_ok() {
            // It was healed, or the disk has thought better of it.
            self.harmed = None;
        }
        self.harmed.filter(|harmed| end <= *harmed)
    }

    /// Receives and takes the next thing apart.
    ///
    /// # Errors
    /// The connection ended, or what came makes no sense.
    pub fn bring(&mut self, pair: PairId) -> Result<Brought, Lost> {
        let id = self.id();
        loop {
            let Some(connection) = &mut self.connection else { return Ok(Brought::Nothing) };
            let within = self.receiving.as_ref().is_some_and(Receiving::is_within);
            if !within && connection.received().is_empty() && connection.fill()? == 0 {
                return Ok(Brought::Nothing);
            }
            if is_block(connection.received()) || within {
                // A lane that is not open yet leaves its blocks where they are.
                let Some(receiving) = &mut self.receiving else { return Ok(Brought::Nothing) };
                match receiving.receive(connection, id, pair)? {
                    Received::Block(envelope) => {
                        let present = self.is_present(&envelope);
                        return Ok(Brought::Event(Event::Append { envelope, present }));
                    }
                    Received::Message => {
                        if connection.fill()? == 0 {
                            return Ok(Brought::Nothing);
                        }
                        continue;
                    }
                    Received::More => return Ok(Brought::Nothing),
                }
            }
            match self.next_message()? {
                Some(brought) => return Ok(brought),
                None => {
                    let Some(connection) = &mut self.connection else { return Ok(Brought::Nothing) };
                    if connection.fill()? == 0 {
                        return Ok(Brought::Nothing);
                    }
                }
            }
        }
    }

    /// Whether this very block is here already; asked below the end only.
    fn is_present(&mut self, envelope: &message::Envelope) -> bool {
        let end = self.told.0.max(self.log.view.positions.submitted.load());
        envelope.sequence < end && self.chain_at(envelope.sequence + 1) == Some(envelope.chain)
    }

    fn next_message(&mut self) -> Result<Option<Brought>, Lost> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let next = message::next(connection.received()).map_err(|rejected| Lost::given_up(format!("malformed: {rejected:?}")))?;
        let Some((message, bytes)) = next else { return Ok(None) };
        let lane = self.log.view.lane.0;
        let brought = match message {
            Message::Hello(hello) => Brought::Asking(Asking::of(&hello)),
            Message::Welcome(welcome) => {
                let peer = super::host::Peer { member: welcome.member, name: welcome.name.into(), address: welcome.address.into() };
                Brought::Answer {
                    event: Event::Welcome { lane, epoch: welcome.epoch, verdict: welcome.verdict, judged: welcome.judged, own: None },
                    peer,
                }
            }
            Message::Append(_) => return Err(Lost::given_up("a block for a lane that does not follow")),
            Message::Heartbeat(beat) => {
                Brought::Event(Event::Heartbeat { lane, epoch: beat.epoch, committed: beat.committed.iter().collect() })
            }
            Message::HeartbeatAck(ack) => Brought::Event(Event::HeartbeatAck { lane, epoch: ack.epoch }),
            Message::Ack(ack) if ack.lane != lane => return Err(Lost::given_up(format!("lane {} acknowledged on lane {lane}", ack.lane))),
            Message::Ack(ack) => {
                self.peer = Some((ack.received, ack.durable));
                self.reached = Some(ack.durable);
                Brought::Event(Event::Ack(ack))
            }
            Message::Switch(switch) => Brought::Event(Event::Switch { epoch: switch.epoch, ends: switch.ends.iter().collect() }),
            Message::Fetch(_) | Message::Lacks(_) => return Err(Lost::given_up("a block is borrowed on a lane's own connection")),
            Message::Nack(nack) => Brought::Event(Event::Nack { promised: nack.promised }),
            Message::Claim(claim) => Brought::Event(Event::Claim { of: claim.of }),
        };
        connection.consume(bytes);
        Ok(Some(brought))
    }

    /// Sends what is queued, then blocks. Returns the bytes of blocks sent.
    ///
    /// # Errors
    /// The connection ended, or a block is not to be had.
    pub fn send(&mut self) -> Result<usize, Lost> {
        let Some(connection) = &mut self.connection else { return Ok(0) };
        let within = self.shipping.as_ref().is_some_and(Shipping::is_within);
        if !within && !connection.flush()? {
            return Ok(0);
        }
        let Some(shipping) = &mut self.shipping else { return Ok(0) };
        let shipped = shipping.ship(connection, &self.log, &mut self.blocks);
        self.harmed = self.harmed.max(shipping.harmed());
        let (sent, shipped) = shipped?;
        self.shipped = shipped;
        if !shipping.is_within() {
            connection.flush()?;
        }
        Ok(sent)
    }

    /// Whether what has come waits for the log: for a free slot, or to be opened.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        match (&self.receiving, &self.connection) {
            (Some(receiving), _) => receiving.is_stalled(),
            (None, Some(connection)) => is_block(connection.received()),
            (None, None) => false,
        }
    }

    /// Positions of the log as they are now.
    #[must_use]
    pub fn positions(&self) -> (u64, u64) {
        let positions = &self.log.view.positions;
        (positions.submitted.load(), positions.durable.load())
    }
}

/// Whether an Append stands first.
fn is_block(received: &[u8]) -> bool {
    const KIND_AT: usize = 4;
    const KIND_APPEND: u8 = 3;
    received.get(KIND_AT) == Some(&KIND_APPEND)
}

#[cfg(test)]
mod tests;
