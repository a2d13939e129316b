//! A block lent to the other node, which wrote it and cannot read it any more.
//!
//! Whoever asks is answered, leading or not, open or closed: a block is the same wherever it lies, and proves itself there. The
//! connection is for one block and ends behind it.

use super::connection::{Connection, Lost};
use super::host::LaneLog;
use super::shipping::{Shipped, Shipping};
use crate::message::{Fetch, Lacks, Message};
use headworks_format::Epoch;
use headworks_log::{Blocks, Disk};
use std::os::fd::BorrowedFd;

/// Blocks that are lent at once.
pub const LENT_MAX: usize = 4;
/// How long the other node may take to receive one.
const LENT_NS_MAX: u64 = 2_000_000_000;

/// A block on its way.
pub struct Lending<D: Disk> {
    connection: Connection,
    log: LaneLog<D>,
    blocks: Blocks<D>,
    shipping: Shipping,
    until_ns: u64,
}

impl<D: Disk> Lending<D> {
    /// Of that lane's log; none where the block cannot be read, of which the other node is told.
    ///
    /// # Errors
    /// The connection ended.
    pub fn of(mut connection: Connection, log: LaneLog<D>, epoch: Epoch, fetch: Fetch, now_ns: u64) -> Result<Option<Lending<D>>, Lost> {
        let mut blocks = Blocks::new(log.view.clone(), log.disk.clone());
        if blocks.read(fetch.sequence).is_err() {
            connection.queue(&Message::Lacks(Lacks { lane: fetch.lane, sequence: fetch.sequence }))?;
            connection.flush()?;
            return Ok(None);
        }
        let until_ns = now_ns.saturating_add(LENT_NS_MAX);
        Ok(Some(Lending { connection, log, blocks, shipping: Shipping::of(epoch, fetch.sequence), until_ns }))
    }

    /// Sends of it what the kernel takes; whether more is to come.
    ///
    /// # Errors
    /// The connection ended, the block was given back, or the other node took too long.
    pub fn go_on(&mut self, now_ns: u64) -> Result<bool, Lost> {
        self.connection.on_writable();
        let (_, shipped) = self.shipping.ship(&mut self.connection, &self.log, &mut self.blocks)?;
        match shipped {
            _ if self.shipping.is_done() => Ok(false),
            Shipped::All | Shipped::Waits => Err(Lost::given_up("a block was lent that is not written here")),
            _ if now_ns > self.until_ns => Err(Lost::given_up("a block that was lent was not taken")),
            Shipped::Full | Shipped::Turn => Ok(true),
        }
    }

    /// Its descriptor: more goes out once it is writable.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.connection.fd()
    }
}
