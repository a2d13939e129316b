//! What is shown of the pair, put together once a tick; nothing here decides anything.

use super::PairLoop;
use crate::event::{Event, Order};
use crate::link::arbiter::Arbiter;
use crate::link::host::{Cause, Host, LaneSeen, Seen};
use crate::link::lane::Lane;
use crate::shard::Role;
use headworks_log::Disk;

impl<H: Host, A: Arbiter> PairLoop<H, A> {
    /// Keeps why this node would lead if it did now.
    pub(super) fn consider(&mut self, event: &Event) {
        if self.cause == Cause::Start && self.shard.role() == Role::Standby {
            self.cause = Cause::Silence;
        }
        self.cause = match (event, self.cause) {
            (Event::Order(Order::Promote { .. }), _) => Cause::Operator,
            (Event::Switch { .. }, Cause::Silence | Cause::PeerLost) => Cause::Switchover,
            // After a Switch the old primary's process goes: that is no loss.
            (Event::LinkLost { reset: true, .. }, Cause::Silence) => Cause::PeerLost,
            // A primary answers: whatever would have made this node lead is over.
            (Event::Welcome { .. }, _) => Cause::Silence,
            (_, cause) => cause,
        };
    }

    /// The other node was heard on a connection.
    pub(super) fn hear(&mut self, now_ns: u64) {
        self.silence_ns_max = self.silence_ns_max.max(now_ns.saturating_sub(self.heard_ns));
        self.heard_ns = now_ns;
    }

    /// Shows how the pair stands.
    pub(super) fn show(&mut self, now_ns: u64) {
        let role = self.shard.role();
        let leads = matches!(role, Role::Primary(_));
        if self.lanes.iter().any(|lane| lane.connection.is_some()) {
            self.silence_ns_max = self.silence_ns_max.max(now_ns.saturating_sub(self.heard_ns));
        }
        let seen = Seen {
            role: Some(role),
            register: self.shard.register().copied(),
            frozen: self.shard.frozen(),
            arbiter_answers: self.arbiter_answers,
            needs_repair: self.shard.kept().needs_repair,
            follows: self.shard.is_following(),
            lanes: self.lanes.iter_mut().map(|lane| lane_seen(lane, leads, now_ns)).collect(),
            heard_ns: self.heard_ns,
            silence_ns_max: self.silence_ns_max,
            led: self.led,
            rejected: self.rejected,
        };
        self.host.show(&seen);
    }
}

fn lane_seen<D: Disk>(lane: &mut Lane<D>, leads: bool, now_ns: u64) -> LaneSeen {
    let reached = lane.reached.filter(|_| leads);
    let (_, durable) = lane.positions();
    lane.pace.note(durable, now_ns);
    let behind_ns = reached.map_or(0, |reached| lane.pace.behind_ns(reached, now_ns));
    LaneSeen { peer: lane.peer, is_up: lane.connection.is_some(), reached, behind_ns }
}
