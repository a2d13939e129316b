//! Comparing a lane's log with the one that asks to follow it: what [`crate::rejoin`] decides over, looked up in view and segments.

use super::host::Peer;
use crate::event::Introduction;
use crate::message::{self, End, Envelope, Hello, Verdict};
use crate::rejoin::{self, Lineage};
use headworks_format::{Chain, Epoch};
use headworks_log::blocks::{self, Missing};
use headworks_log::{Blocks, Disk, LaneView};
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

    /// Who asks, as the node is told.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer { member: self.from.member, name: self.name.clone(), address: self.address.clone() }
    }
}

/// A lane's log, as far as it is compared.
pub struct Compared<'a, D: Disk> {
    /// Its published state.
    pub view: &'a LaneView,
    /// Its blocks by number.
    pub blocks: &'a mut Blocks<D>,
    /// Where it ended when it was recovered, or cut.
    pub end: End,
    /// Whether it is closed, and so ends there.
    pub is_closed: bool,
    /// The newest block that could not be read from its segment.
    pub harmed: &'a mut Option<u64>,
}

impl<D: Disk> Compared<'_, D> {
    /// What the asking lane would have to do. Not to be had as long as the block at the point where the two could meet is on its
    /// way to the disk, nor when it would have to begin anew and `may_restart` says that it may not.
    pub fn verdict(&mut self, asking: &Asking, may_restart: bool) -> Option<Verdict> {
        let view = self.view;
        let (submitted, written) = (view.positions.submitted.load(), view.positions.written.load());
        if asking.end.sequence.min(submitted) > written {
            return None;
        }
        let history = history(view);
        let start_at = match self.harm_for(asking.end.sequence) {
            // It would wait for that block in vain: its log begins behind it.
            Some(harmed) if may_restart => blocks::extents(view).into_iter().map(|extent| extent.base).find(|base| *base > harmed)?,
            Some(_) => return None,
            None => blocks::first(view).unwrap_or(self.end.sequence),
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
        if sequence == self.end.sequence && self.is_closed {
            return Some(self.end.chain);
        }
        match self.blocks.chain_at(sequence) {
            Ok(chain) => Some(chain),
            // Nothing can be said of it now.
            Err(Missing::NotYet | Missing::Gone) => None,
            Err(Missing::Unreadable(_)) => {
                *self.harmed = (*self.harmed).max(Some(sequence));
                None
            }
        }
    }

    /// The newest block that cannot be read, if who has everything below `end` needs it.
    fn harm_for(&mut self, end: u64) -> Option<u64> {
        let harmed = (*self.harmed)?;
        if self.blocks.read(harmed).is_ok() {
            // It was healed, or the disk has thought better of it.
            *self.harmed = None;
        }
        self.harmed.filter(|harmed| end <= *harmed)
    }

    /// The lane's own chain at the point that a verdict names; none where it has no such block.
    pub fn chain_of(&mut self, verdict: &Verdict) -> Option<Chain> {
        let point = match verdict {
            Verdict::Follow { from } | Verdict::Restart { from, .. } => from.sequence,
            Verdict::Truncate { to } => to.sequence,
            Verdict::Refuse(_) => return None,
        };
        self.chain_at(point)
    }

    /// Whether this very block is here already; asked below the end only, which is `end` or what was submitted since.
    pub fn has(&mut self, envelope: &Envelope, end: u64) -> bool {
        let end = end.max(self.view.positions.submitted.load());
        envelope.sequence < end && self.chain_at(envelope.sequence + 1) == Some(envelope.chain)
    }
}

/// A log's epochs with the first block of each, as many as a Hello takes.
#[must_use]
pub fn history(view: &LaneView) -> Vec<(Epoch, u64)> {
    let mut history = blocks::epochs(view);
    history.drain(..history.len().saturating_sub(message::SPANS_MAX));
    history
}
