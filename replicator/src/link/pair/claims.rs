//! Where an operator is the arbiter: what the two nodes say to each other of their registers while they are not connected.
//!
//! A standby dials its primary in any case and is told there. So whoever leads, or led before it started, asks: it is the one that does not
//! know yet that it was deposed.

use super::PairLoop;
use crate::event::Event;
use crate::link::arbiter::Arbiter;
use crate::link::connection::Connection;
use crate::link::host::Host;
use crate::register::{Member, Register};
use crate::shard::Role;

impl<H: Host, A: Arbiter> PairLoop<H, A> {
    /// Goes on asking, as long as there is cause.
    pub(super) fn inquire(&mut self, now_ns: u64) -> usize {
        let Some(mut inquiry) = self.inquiry.take() else { return 0 };
        let told = if self.has_cause_to_inquire() {
            inquiry.step(now_ns, |connection| self.queue_claim(connection, true))
        } else {
            inquiry.stop();
            None
        };
        self.inquiry = Some(inquiry);
        let Some(told) = told else { return 0 };
        self.on(now_ns, Event::Claim { of: told.of });
        1
    }

    fn has_cause_to_inquire(&self) -> bool {
        let leads = matches!(self.shard.role(), Role::Primary(_));
        let is_whole = self.lanes.iter().all(|lane| lane.connection.is_some());
        self.shard.has_seen_register() && (self.shard.role() == Role::Starting || (leads && !is_whole))
    }

    /// Compares the two registers, and says what this one says.
    pub(super) fn answer_claim(&mut self, mut connection: Connection, of: Option<(Member, Register)>, now_ns: u64) {
        // Nothing is known yet: who asks gets no answer, and asks again.
        if !self.shard.has_seen_register() {
            return;
        }
        // Who is answered hears it, or asks again.
        drop(self.queue_claim(&mut connection, false).and_then(|()| connection.flush()));
        self.on(now_ns, Event::Claim { of });
    }
}
