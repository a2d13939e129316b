//! Between the machine's words and the wire's: what the machine does not hold is added to what it says, and what was heard is made
//! into what it understands.

use super::compare::{Asking, history};
use super::host::Peer;
use crate::event::{Event, Outbound};
use crate::message::{self, Envelope, Hello, Message, Positions, Span, Spans, Switch, Welcome};
use crate::shard::Shard;
use headworks_format::block::{self, Expected, inspect};
use headworks_format::{Epoch, LaneId, Nonce, PairId, Sequence, checkpoint};
use headworks_log::LaneView;
use zerocopy::little_endian::U64;

/// What a connection of a lane brought.
#[derive(Debug)]
pub enum Heard {
    /// Something for the machine.
    Event(Event),
    /// A lane asks to follow.
    Asking(Asking),
    /// The answer to our own Hello, with who answers.
    Answer {
        /// What the machine is told.
        event: Event,
        /// Who answered.
        peer: Peer,
    },
}

/// What a message says that came on the connection of that lane.
///
/// # Errors
/// It makes no sense there. A block is no word: it is received apart.
pub fn heard(message: &Message<'_>, lane: u32) -> Result<Heard, String> {
    Ok(match message {
        Message::Hello(hello) => Heard::Asking(Asking::of(hello)),
        Message::Welcome(welcome) => Heard::Answer {
            event: Event::Welcome {
                lane,
                epoch: welcome.epoch,
                verdict: welcome.verdict,
                judged: welcome.judged,
                own: None,
                register_version: welcome.register_version,
            },
            peer: Peer { member: welcome.member, name: welcome.name.into(), address: welcome.address.into() },
        },
        Message::Append(_) => return Err("a block for a lane that does not follow".into()),
        Message::Heartbeat(beat) => Heard::Event(Event::Heartbeat { lane, epoch: beat.epoch, committed: beat.committed.iter().collect() }),
        Message::HeartbeatAck(ack) => Heard::Event(Event::HeartbeatAck { lane, epoch: ack.epoch }),
        Message::Ack(ack) if ack.lane != lane => return Err(format!("lane {} acknowledged on lane {lane}", ack.lane)),
        Message::Ack(ack) => Heard::Event(Event::Ack(*ack)),
        Message::Switch(switch) => Heard::Event(Event::Switch { epoch: switch.epoch, ends: switch.ends.iter().collect() }),
        Message::Fetch(_) | Message::Lacks(_) => return Err("a block is borrowed on a lane's own connection".into()),
        Message::Nack(nack) => Heard::Event(Event::Nack { promised: nack.promised }),
        Message::Claim(claim) => Heard::Event(Event::Claim { of: claim.of }),
    })
}

/// Who speaks, beside what the machine holds.
pub struct Speaker<'a> {
    /// The machine.
    pub shard: &'a Shard,
    /// The node's name.
    pub name: &'a str,
    /// Where its Kafka clients reach it.
    pub address: &'a str,
    /// Its lanes' logs.
    pub views: &'a [&'a LaneView],
}

impl Speaker<'_> {
    /// Hands over the message that says this on the connection of that lane.
    pub fn say<R>(&self, lane: u32, message: Outbound, take: impl FnOnce(&Message<'_>) -> R) -> R {
        match message {
            Outbound::Hello => self.say_hello(lane, take),
            Outbound::Welcome { epoch, verdict, judged } => {
                let mine = self.shard.introduction();
                take(&Message::Welcome(Welcome {
                    member: mine.member,
                    name: self.name,
                    address: self.address,
                    epoch,
                    register_version: mine.register_version,
                    lane: LaneId(lane),
                    verdict,
                    judged,
                }))
            }
            Outbound::Heartbeat { epoch } => {
                let committed = self.every_lane(|lane| self.views[lane as usize].positions.committed.load());
                take(&Message::Heartbeat(message::Heartbeat { epoch, committed: positions(&committed) }))
            }
            Outbound::HeartbeatAck { epoch } => take(&Message::HeartbeatAck(message::HeartbeatAck { epoch })),
            Outbound::Ack(ack) => take(&Message::Ack(ack)),
            Outbound::Switch { epoch } => {
                // What the machine knows that the standby has: a log may have gone on since by a checkpoint that nobody misses.
                let ends = self.every_lane(|lane| self.shard.lane(lane).end.sequence);
                take(&Message::Switch(Switch { epoch, ends: positions(&ends) }))
            }
            Outbound::Nack { promised } => take(&Message::Nack(message::Nack { promised })),
            Outbound::Claim => {
                let member = self.shard.introduction().member;
                let of = self.shard.register().map(|register| (member, *register));
                take(&Message::Claim(message::Claim { asks: false, name: self.name, of }))
            }
        }
    }

    fn every_lane(&self, of: impl Fn(u32) -> u64) -> Vec<U64> {
        (0..).take(self.views.len()).map(|lane| of(lane).into()).collect()
    }

    fn say_hello<R>(&self, lane: u32, take: impl FnOnce(&Message<'_>) -> R) -> R {
        let (mine, state) = (self.shard.introduction(), self.shard.lane(lane));
        let history: Vec<Span> = history(self.views[lane as usize]).into_iter().map(span).collect();
        take(&Message::Hello(Hello {
            protocol: mine.protocol,
            pair: mine.pair,
            member: mine.member,
            name: self.name,
            address: self.address,
            lanes: mine.lanes,
            segment_bytes: mine.segment_bytes,
            lane: LaneId(lane),
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

/// Whether a block that came is what its envelope says: the block's own sums, its number, and the chain of its envelope, on both ends.
///
/// # Errors
/// What does not hold.
pub fn prove(bytes: &[u8], envelope: &Envelope, lane: LaneId, pair: PairId) -> Result<(), String> {
    let nonce = block::header(bytes).expect("larger than a header").nonce.get();
    let expected = Expected { lane, nonce: Nonce(nonce), sequence: Sequence(envelope.sequence), chain: Some(envelope.previous) };
    let (validity, head) = inspect(bytes, &expected);
    let says = |what: &str| format!("block {} does not prove itself: {what}", envelope.sequence);
    if let Some(fault) = validity.first_fault() {
        return Err(says(fault));
    }
    let head = head.ok_or_else(|| says("head"))?;
    match () {
        () if head.block_bytes() != bytes.len() => Err(says("size")),
        () if head.chain() != envelope.chain => Err(says("chain")),
        () if head.header().pair_id.get() != pair.0 => Err(says("pair")),
        () if head.is_control() && checkpoint::of_block(bytes).is_none() => Err(says("checkpoint")),
        () => Ok(()),
    }
}
