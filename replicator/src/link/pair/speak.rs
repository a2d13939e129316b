//! Saying things to the other node: what the machine does not hold is added here.

use super::{Lost, PairLoop};
use crate::event::{Event, Outbound};
use crate::link::arbiter::Arbiter;
use crate::link::connection::Connection;
use crate::link::host::Host;
use crate::message::{self, Hello, Message, Positions, Span, Spans, Switch, Welcome};
use headworks_format::Epoch;
use headworks_log::LaneView;
use zerocopy::little_endian::U64;

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

    /// Adds what the machine does not hold, and queues the message.
    pub(super) fn queue_on(&self, lane: u32, connection: &mut Connection, message: Outbound) -> Result<(), Lost> {
        match message {
            Outbound::Hello => self.queue_hello(lane, connection),
            Outbound::Welcome { epoch, verdict, judged } => {
                let (mine, (name, address)) = (self.shard.introduction(), self.host.introduction());
                connection.queue(&Message::Welcome(Welcome {
                    member: mine.member,
                    name: &name,
                    address: &address,
                    epoch,
                    register_version: mine.register_version,
                    lane: headworks_format::LaneId(lane),
                    verdict,
                    judged,
                }))
            }
            Outbound::Heartbeat { epoch } => {
                let committed = self.every_lane(|view| view.positions.committed.load());
                connection.queue(&Message::Heartbeat(message::Heartbeat { epoch, committed: positions(&committed) }))
            }
            Outbound::HeartbeatAck { epoch } => connection.queue(&Message::HeartbeatAck(message::HeartbeatAck { epoch })),
            Outbound::Ack(ack) => connection.queue(&Message::Ack(ack)),
            Outbound::Switch { epoch } => {
                let ends = self.every_lane(|view| view.positions.submitted.load());
                connection.queue(&Message::Switch(Switch { epoch, ends: positions(&ends) }))
            }
            Outbound::Nack { promised } => connection.queue(&Message::Nack(message::Nack { promised })),
            Outbound::Claim => self.queue_claim(connection, false),
        }
    }

    /// What this node's own register says.
    pub(super) fn queue_claim(&self, connection: &mut Connection, asks: bool) -> Result<(), Lost> {
        let (mine, (name, _)) = (self.shard.introduction(), self.host.introduction());
        let of = self.shard.register().map(|register| (mine.member, *register));
        connection.queue(&Message::Claim(message::Claim { asks, name: &name, of }))
    }

    fn every_lane(&self, of: fn(&LaneView) -> u64) -> Vec<U64> {
        self.lanes.iter().map(|lane| of(&lane.log.view).into()).collect()
    }

    fn queue_hello(&self, lane: u32, connection: &mut Connection) -> Result<(), Lost> {
        let (mine, (name, address)) = (self.shard.introduction(), self.host.introduction());
        let state = self.shard.lane(lane);
        let history: Vec<Span> = self.lanes[lane as usize].history().into_iter().map(span).collect();
        connection.queue(&Message::Hello(Hello {
            protocol: mine.protocol,
            pair: mine.pair,
            member: mine.member,
            name: &name,
            address: &address,
            lanes: mine.lanes,
            segment_bytes: mine.segment_bytes,
            lane: headworks_format::LaneId(lane),
            promised: mine.promised,
            register_version: mine.register_version,
            end: state.end,
            committed: state.committed,
            history: Spans::new(&history).expect("epochs of a log rise, and are no more than a message takes"),
        }))
    }
}

fn positions(positions: &[U64]) -> Positions<'_> {
    Positions::new(positions).expect("1 to 64 lanes")
}

fn span((epoch, first): (Epoch, u64)) -> Span {
    Span { epoch: epoch.0.into(), first: first.into() }
}
