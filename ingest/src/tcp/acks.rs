//! What a connection may be told of its records: a count that only grows and never runs ahead of what it stands for.
//!
//! A record is known by the ring's block that it was framed into. When that block has reached the stream's level, the record
//! has, and with it all before it. Few blocks are under way at once; a connection that writes to more of them
//! than are kept here is told of the later ones together, late rather than early.

/// Blocks of one connection that are told apart.
const BLOCKS_MAX: usize = 4;

/// When a record counts as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// When it is framed.
    Received,
    /// When its block is released: durable on this node.
    Durable,
    /// When every other required member of the pair has it in memory; with none required, when it is committed.
    PeerMemory,
    /// When it is durable on every member of the in-sync set.
    Committed,
}

/// How far the lane's blocks have come, by level: blocks below have reached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// Released by the log.
    pub durable: u64,
    /// In the other's memory.
    pub peer_memory: u64,
    /// Committed.
    pub committed: u64,
}

impl Reached {
    fn of(&self, level: Level) -> u64 {
        match level {
            Level::Received => u64::MAX,
            Level::Durable => self.durable,
            Level::PeerMemory => self.peer_memory,
            Level::Committed => self.committed,
        }
    }
}

/// A connection's acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acks {
    level: Level,
    /// Block and the connection's count of records up to and in it, oldest first.
    blocks: [(u64, u64); BLOCKS_MAX],
    len: usize,
    records: u64,
    stored: u64,
    told: u64,
}

impl Acks {
    /// Of a connection that has sent nothing yet.
    #[must_use]
    pub fn new(level: Level) -> Acks {
        Acks { level, blocks: [(0, 0); BLOCKS_MAX], len: 0, records: 0, stored: 0, told: 0 }
    }

    /// One more record was framed, into that block.
    pub fn on_record(&mut self, block: u64) {
        self.records += 1;
        if self.level == Level::Received {
            self.stored = self.records;
            return;
        }
        let last = self.len.checked_sub(1);
        match last.map(|last| &mut self.blocks[last]) {
            Some(newest) if newest.0 == block || self.len == BLOCKS_MAX => *newest = (block, self.records),
            _ => {
                self.blocks[self.len] = (block, self.records);
                self.len += 1;
            }
        }
    }

    /// The lane has come so far.
    pub fn on_reached(&mut self, reached: &Reached) {
        let below = reached.of(self.level);
        let reached = self.blocks[..self.len].iter().take_while(|(block, _)| *block < below).count();
        if reached > 0 {
            self.stored = self.blocks[reached - 1].1;
            self.blocks.copy_within(reached..self.len, 0);
            self.len -= reached;
        }
    }

    /// The count to tell now, if it is news.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        (self.stored > self.told).then_some(self.stored)
    }

    /// The count was handed over to be sent.
    pub fn on_told(&mut self, count: u64) {
        self.told = count;
    }

    /// Whether the peer has been told of every record.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.told == self.records
    }
}

#[cfg(test)]
mod tests;
