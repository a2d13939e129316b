//! A node's own side of the conversation: which request is under way, and what its end means.
//!
//! ```text
//!               answered             not sent, and never will be   sent, and no answer
//! read, watch   Read                 Unreachable                   Unreachable: nothing can have changed by it
//! swap          Swapped / Refused    Unreachable                   Unknown: it may have landed, or may land later
//! ```
//!
//! A denied request has changed nothing and never will, so a denial is Unreachable as well, with its reason. Of a swap that was handed to
//! the kernel nothing is ever called failed: the bytes may lie in a buffer of a witness that stands still.
//!
//! Pure: `(now, events) → outcomes`; the edge is [`crate::link::arbiter`].

use super::wire::{Answer, Ask, Denied, Says};
use crate::register::{Register, Swap};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The register; none when it was never written.
    Read(Option<Register>),
    /// The register is the one asked for, durably.
    Swapped,
    /// Nothing has changed: the version was another one. The register as it is.
    Refused(Option<Register>),
    /// The swap may have landed, and may land later.
    Unknown,
    /// Nothing was learned, and nothing has changed or will by this request.
    Unreachable(Unreachable),
}

/// Why nothing was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// No connection.
    Connect,
    /// A connection, but no answer in time.
    Silent,
    /// The connection ended.
    Lost,
    /// It answered that it will not.
    Denied(Denied),
}

/// The end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Number that the asker gave.
    pub token: u64,
    /// Identity of the arbiter that answered; 0 when none did.
    pub arbiter: u128,
    /// How it ended.
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    id: u64,
    token: u64,
    swaps: bool,
    deadline_ns: u64,
}

/// Requests under way on one connection.
#[derive(Debug, Default)]
pub struct Calls {
    last_id: u64,
    waiting: Vec<Call>,
}

impl Calls {
    /// Notes a request that is about to be sent; its number on the wire.
    pub fn begin(&mut self, token: u64, ask: &Ask, deadline_ns: u64) -> u64 {
        self.last_id += 1;
        self.waiting.push(Call { id: self.last_id, token, swaps: matches!(ask, Ask::Swap(Swap { .. })), deadline_ns });
        self.last_id
    }

    /// The next time at which something is given up.
    #[must_use]
    pub fn deadline_ns(&self) -> Option<u64> {
        self.waiting.iter().map(|call| call.deadline_ns).min()
    }

    /// Requests under way.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// An answer has come; none when nobody waits for it any more.
    pub fn on_answer(&mut self, answer: &Answer) -> Option<Answered> {
        let at = self.waiting.iter().position(|call| call.id == answer.id)?;
        let call = self.waiting.swap_remove(at);
        let outcome = match answer.says {
            Says::Register(register) if !call.swaps => Outcome::Read(register),
            Says::Swapped if call.swaps => Outcome::Swapped,
            Says::Refused(register) if call.swaps => Outcome::Refused(register),
            Says::Denied(why) => Outcome::Unreachable(Unreachable::Denied(why)),
            // An answer to a question that was not asked says nothing about the one that was.
            Says::Register(_) | Says::Swapped | Says::Refused(_) => unanswered(&call, Unreachable::Lost),
        };
        Some(Answered { token: call.token, arbiter: answer.witness, outcome })
    }

    /// Gives up what is overdue. The connection is then of no more use: what stands still may have the rest of the answers, too.
    pub fn on_time(&mut self, now_ns: u64) -> Vec<Answered> {
        self.end(Unreachable::Silent, |call| call.deadline_ns <= now_ns)
    }

    /// The connection has ended, whatever was sent.
    pub fn on_lost(&mut self) -> Vec<Answered> {
        self.end(Unreachable::Lost, |_| true)
    }

    fn end(&mut self, why: Unreachable, is_over: impl Fn(&Call) -> bool) -> Vec<Answered> {
        let (over, waiting): (Vec<Call>, Vec<Call>) = self.waiting.iter().partition(|call| is_over(call));
        self.waiting = waiting;
        over.iter().map(|call| Answered { token: call.token, arbiter: 0, outcome: unanswered(call, why) }).collect()
    }
}

fn unanswered(call: &Call, why: Unreachable) -> Outcome {
    if call.swaps { Outcome::Unknown } else { Outcome::Unreachable(why) }
}

#[cfg(test)]
mod tests;
