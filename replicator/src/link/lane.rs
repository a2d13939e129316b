//! A lane of the pair at the edge: its connection, what it ships or receives, and its log.

use super::compare::Compared;
use super::connection::{Connection, Lost};
use super::dialling::Dialling;
use super::host::LaneLog;
use super::pace::Pace;
use super::receiving::{Received, Receiving};
use super::shipping::{Shipped, Shipping};
use super::words::{Heard, heard};
use crate::event::Event;
use crate::message;
use headworks_format::{LaneId, PairId};
use headworks_log::{Blocks, Disk};

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

    /// Its log, to be compared with the other node's.
    pub fn compared(&mut self) -> Compared<'_, D> {
        let is_closed = self.log.readers.is_none();
        Compared { view: &self.log.view, blocks: &mut self.blocks, end: self.log.end, is_closed, harmed: &mut self.harmed }
    }

    /// Receives and takes the next thing apart; none where nothing more is there for now.
    ///
    /// # Errors
    /// The connection ended, or what came makes no sense.
    pub fn bring(&mut self, pair: PairId) -> Result<Option<Heard>, Lost> {
        let id = self.id();
        loop {
            let Some(connection) = &mut self.connection else { return Ok(None) };
            let within = self.receiving.as_ref().is_some_and(Receiving::is_within);
            if !within && connection.received().is_empty() && connection.fill()? == 0 {
                return Ok(None);
            }
            if is_block(connection.received()) || within {
                // A lane that is not open yet leaves its blocks where they are.
                let Some(receiving) = &mut self.receiving else { return Ok(None) };
                match receiving.receive(connection, id, pair)? {
                    Received::Block(envelope) => {
                        let end = self.told.0;
                        let present = self.compared().has(&envelope, end);
                        return Ok(Some(Heard::Event(Event::Append { envelope, present })));
                    }
                    Received::Message => {
                        if connection.fill()? == 0 {
                            return Ok(None);
                        }
                        continue;
                    }
                    Received::More => return Ok(None),
                }
            }
            match self.next_message()? {
                Some(heard) => return Ok(Some(heard)),
                None => {
                    let Some(connection) = &mut self.connection else { return Ok(None) };
                    if connection.fill()? == 0 {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn next_message(&mut self) -> Result<Option<Heard>, Lost> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let next = message::next(connection.received()).map_err(|rejected| Lost::given_up(format!("malformed: {rejected:?}")))?;
        let Some((message, bytes)) = next else { return Ok(None) };
        let heard = heard(&message, self.log.view.lane.0).map_err(Lost::given_up)?;
        if let Heard::Event(Event::Ack(ack)) = &heard {
            (self.peer, self.reached) = (Some((ack.received, ack.durable)), Some(ack.durable));
        }
        connection.consume(bytes);
        Ok(Some(heard))
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
