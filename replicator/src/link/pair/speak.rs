//! Saying things to the other node: on a lane's connection, which is lost where it cannot take them.

use super::{Lost, PairLoop};
use crate::event::{Event, Outbound};
use crate::link::arbiter::Arbiter;
use crate::link::connection::Connection;
use crate::link::host::Host;
use crate::link::words::Speaker;
use crate::message::{self, Message};
use headworks_log::LaneView;

impl<H: Host, A: Arbiter> PairLoop<H, A> {
    pub(super) fn queue(&mut self, lane: u32, message: Outbound, now_ns: u64) {
        let Some(mut connection) = self.lanes[lane as usize].connection.take() else { return };
        let queued = self.queue_on(lane, &mut connection, message);
        self.lanes[lane as usize].connection = Some(connection);
        if let Err(lost) = queued {
            self.host.say(&format!("lane {lane}: {}", lost.why));
            self.hang_up(lane, now_ns);
            self.news.push_back(Event::LinkLost { lane, reset: false });
        }
    }

    pub(super) fn queue_on(&self, lane: u32, connection: &mut Connection, message: Outbound) -> Result<(), Lost> {
        let (name, address) = self.host.introduction();
        let views: Vec<&LaneView> = self.lanes.iter().map(|lane| &*lane.log.view).collect();
        let speaker = Speaker { shard: &self.shard, name: &name, address: &address, views: &views };
        speaker.say(lane, message, |message| connection.queue(message))
    }

    /// What this node's own register says.
    pub(super) fn queue_claim(&self, connection: &mut Connection, asks: bool) -> Result<(), Lost> {
        let (mine, (name, _)) = (self.shard.introduction(), self.host.introduction());
        let of = self.shard.register().map(|register| (mine.member, *register));
        connection.queue(&Message::Claim(message::Claim { asks, name: &name, of }))
    }
}
