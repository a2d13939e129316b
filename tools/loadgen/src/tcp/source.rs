//! One source: its part of the schedule, its connection, and what became of what it sent.
//!
//! ```text
//!   sequences   first ───── acknowledged ───── begun ───── next
//!               │  told of       │ under way     │ in `out`  │ not stamped yet
//!   at a break:                  └── unknown ────┘ └─ go by the next connection ─►
//! ```
//! Bytes are counted per connection, and all records are equally long: so what the kernel took is known to the record, and
//! a record that it took in part is known too. No clock and no socket stands here.

use std::collections::VecDeque;

use super::counts::Counts;
use super::record::Recorder;
use crate::ledger::answers::{Answered, Owed, Waits};
use crate::pace::{Next, Share};

#[cfg(test)]
mod tests;

/// Bytes that are made ready at once: as many as one call hands over well.
const CHUNK_BYTES: usize = 64 << 10;

/// What a source does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// There are bytes for the kernel.
    Bytes,
    /// Nothing is due.
    Nothing,
    /// The ledger file does not cover more.
    Held,
    /// Everything has been handed over.
    Done,
}

/// A source.
#[derive(Debug)]
pub struct Source {
    number: u32,
    share: Share,
    record_bytes: usize,
    /// Whether acknowledgements are kept.
    ack: bool,
    next: u64,
    out: Vec<u8>,
    out_at: usize,
    /// Sequence of the connection's first record, and bytes that the kernel took of it since.
    first: u64,
    written: u64,
    acknowledged: u64,
    /// When each record behind `acknowledged` was due.
    waiting: VecDeque<u64>,
    owed: Owed,
    counts: Counts,
    answered: Answered,
}

impl Source {
    /// A source that has sent nothing.
    pub fn new(number: u32, share: Share, record_bytes: usize, ack: bool) -> Self {
        Self {
            number,
            share,
            record_bytes,
            ack,
            next: 0,
            out: Vec::new(),
            out_at: 0,
            first: 0,
            written: 0,
            acknowledged: 0,
            waiting: VecDeque::new(),
            owed: Owed::default(),
            counts: Counts::default(),
            answered: Answered::default(),
        }
    }

    /// Makes records of what is due, up to a chunk of them; nothing further once the run `stops`. `late` is told how late
    /// each is taken up.
    pub fn fill(
        &mut self,
        recorder: &mut Recorder,
        (started_ns, now_ns): (u64, u64),
        (allowed, stops): (u64, bool),
        mut late: impl FnMut(u64),
    ) -> Ready {
        if self.out_at < self.out.len() {
            return Ready::Bytes;
        }
        self.out.clear();
        self.out_at = 0;
        let why = loop {
            let due_ns = match self.share.next(now_ns) {
                _ if stops => break Ready::Done,
                Next::Done => break Ready::Done,
                Next::Wait(_) => break Ready::Nothing,
                Next::Due(_) if self.next >= allowed => break Ready::Held,
                Next::Due(_) if self.out.len() + self.record_bytes > CHUNK_BYTES.max(self.record_bytes) => break Ready::Bytes,
                Next::Due(due_ns) => due_ns,
            };
            late(now_ns - due_ns);
            recorder.push(&mut self.out, self.number, self.next, started_ns + due_ns);
            self.next += 1;
            self.share.take();
            if self.ack {
                self.owed.on_due(due_ns);
                self.waiting.push_back(due_ns);
            }
        };
        if self.out.is_empty() { why } else { Ready::Bytes }
    }

    /// What the kernel is to take.
    pub fn bytes(&self) -> &[u8] {
        &self.out[self.out_at..]
    }

    /// The kernel took so many of them.
    pub fn on_written(&mut self, bytes: usize) {
        self.out_at += bytes;
        self.written += bytes as u64;
    }

    /// Sequences that the kernel took whole.
    pub fn sent_whole(&self) -> u64 {
        self.first + self.written / self.record_bytes as u64
    }

    /// Sequences that it took, or began to take.
    pub fn begun(&self) -> u64 {
        self.first + self.written.div_ceil(self.record_bytes as u64)
    }

    /// Whether everything that was sent has been acknowledged, or nobody waits for that.
    pub fn is_answered(&self) -> bool {
        !self.ack || self.acknowledged == self.begun()
    }

    /// The appliance wrote something.
    ///
    /// # Errors
    /// It acknowledges what was not sent to it, or less than before.
    pub fn on_answer(&mut self, bytes: &[u8], now_ns: u64, started_ns: u64, waits: &mut Waits) -> Result<(), String> {
        let Some(count) = self.counts.take(bytes).filter(|_| self.ack) else { return Ok(()) };
        let acknowledged = self.first.checked_add(count).filter(|end| (self.acknowledged..=self.sent_whole()).contains(end));
        let Some(acknowledged) = acknowledged else {
            let (told, sent) = (self.acknowledged - self.first, self.sent_whole() - self.first);
            return Err(format!("source {}: {count} records acknowledged after {told}, of {sent} sent on the connection", self.number));
        };
        for _ in self.acknowledged..acknowledged {
            let due_ns = self.waiting.pop_front().expect("an entry for each record sent");
            waits.note(now_ns.saturating_sub(due_ns));
        }
        self.answered.acknowledged.push(self.acknowledged, acknowledged);
        self.acknowledged = acknowledged;
        if let Some((from_ns, to_ns)) = self.owed.on_answer(now_ns, self.waiting.front().copied()) {
            waits.note_gap(self.number, started_ns + from_ns, started_ns + to_ns);
        }
        Ok(())
    }

    /// What the appliance said before it ended the connection.
    pub fn last_words(&self) -> Option<String> {
        self.counts.line()
    }

    /// The connection is over and not everything of it is known: what was under way is unknown, the rest goes by the next.
    pub fn on_broken(&mut self) {
        let begun = self.begun();
        // Without acknowledgements nothing of the connection is known.
        self.answered.unknown.push(self.acknowledged, begun);
        if self.ack {
            self.waiting.drain(..usize::try_from(begun - self.acknowledged).expect("what waits is in memory"));
        }
        let half = self.written % self.record_bytes as u64;
        if half > 0 {
            // The rest of a record that was begun is of no use to another connection.
            self.out_at += self.record_bytes - usize::try_from(half).expect("less than a record");
        }
        self.begin(begun);
    }

    /// The connection ended in order, behind everything that was sent.
    pub fn on_finished(&mut self) {
        self.begin(self.begun());
    }

    fn begin(&mut self, first: u64) {
        (self.first, self.written, self.acknowledged) = (first, 0, first);
        self.counts = Counts::default();
    }

    /// The end of the run: what was sent, and what is known of it.
    pub fn end(self, now_ns: u64, started_ns: u64, waits: &mut Waits) -> (u64, Answered) {
        if let Some((from_ns, to_ns)) = self.owed.open_gap(now_ns).filter(|_| self.ack) {
            waits.note_gap(self.number, started_ns + from_ns, started_ns + to_ns);
        }
        (self.begun(), self.answered)
    }
}
