//! Bodies of messages, field by field, in the order in which they stand.
//!
//! ```text
//! member      node u128 │ incarnation u128               text       length u16 │ UTF-8
//! end         sequence u64 │ chain [u8; 16]              list       count u16 │ entries
//! register    a record of 4 KiB, as an arbiter keeps it
//! ```

use super::frame::{KIND_APPEND, Reason, Rejected};
use super::{
    ADDRESS_BYTES_MAX, Ack, Append, Claim, End, Envelope, Fetch, Heartbeat, HeartbeatAck, Hello, Lacks, Message, NAME_BYTES_MAX, Nack,
    Positions, Refusal, SPANS_MAX, Switch, Verdict, Welcome,
};
use crate::register::{Member, RECORD_BYTES, Record, Register};
use headworks_format::superblock::LANES_MAX;
use headworks_format::units::EPOCH_MAX;
use headworks_format::{Chain, Epoch, LaneId, PairId, block};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A text of a message; its limit is that of its field.
pub type Text<'a> = &'a str;

/// An epoch of a lane's log, and its first block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Span {
    /// The epoch.
    pub epoch: U32,
    /// Number of its first block.
    pub first: U64,
}

/// An epoch history: epochs strictly rise, first blocks never fall; at most [`SPANS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spans<'a>(&'a [Span]);

impl<'a> Spans<'a> {
    /// None when it is too long or out of order.
    #[must_use]
    pub fn new(spans: &'a [Span]) -> Option<Spans<'a>> {
        let in_order = |two: &[Span]| two[0].epoch.get() < two[1].epoch.get() && two[0].first.get() <= two[1].first.get();
        let possible =
            spans.len() <= SPANS_MAX && spans.windows(2).all(in_order) && spans.last().is_none_or(|last| last.epoch.get() <= EPOCH_MAX.0);
        possible.then_some(Spans(spans))
    }

    /// Epoch and first block, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Epoch, u64)> + 'a {
        self.0.iter().map(|span| (Epoch(span.epoch.get()), span.first.get()))
    }
}

/// Takes a frame apart; knows where it is, so that what is wrong has a place.
pub(super) struct Reader<'a> {
    frame: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(frame: &'a [u8], at: usize) -> Reader<'a> {
        Reader { frame, at }
    }

    /// Nothing may be left.
    pub(super) fn finish(&self) -> Result<(), Rejected> {
        if self.at == self.frame.len() { Ok(()) } else { Err(self.rejected(Reason::Rest)) }
    }

    fn rejected(&self, reason: Reason) -> Rejected {
        Rejected { reason, position: self.at }
    }

    fn limit<T>(&self, what: &'static str, value: Option<T>) -> Result<T, Rejected> {
        value.ok_or(self.rejected(Reason::Limit(what)))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Rejected> {
        let end = self.at.checked_add(bytes).filter(|end| *end <= self.frame.len());
        let end = end.ok_or(self.rejected(Reason::Ends))?;
        let taken = &self.frame[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Rejected> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, Rejected> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, Rejected> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, Rejected> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Rejected> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn u128(&mut self) -> Result<u128, Rejected> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    fn epoch(&mut self) -> Result<Epoch, Rejected> {
        let epoch = Epoch(self.u32()?);
        self.limit("epoch", (epoch <= EPOCH_MAX).then_some(epoch))
    }

    fn lane(&mut self) -> Result<u32, Rejected> {
        let lane = self.u32()?;
        self.limit("lane", ((lane as usize) < LANES_MAX).then_some(lane))
    }

    fn member(&mut self) -> Result<Member, Rejected> {
        let member = Member { node: self.u128()?, incarnation: self.u128()? };
        self.limit("member", (member.node != 0 && member.incarnation != 0).then_some(member))
    }

    fn flag(&mut self, what: &'static str) -> Result<bool, Rejected> {
        let flag = self.u8()?;
        self.limit(what, (flag <= 1).then_some(flag == 1))
    }

    fn register(&mut self) -> Result<Register, Rejected> {
        let record = Record::parse(self.take(RECORD_BYTES)?);
        self.limit("register", if let Record::Present(register) = record { Some(register) } else { None })
    }

    fn end(&mut self) -> Result<End, Rejected> {
        Ok(End { sequence: self.u64()?, chain: Chain(self.array()?) })
    }

    fn text(&mut self, what: &'static str, bytes_max: usize) -> Result<Text<'a>, Rejected> {
        let length = usize::from(self.u16()?);
        self.limit(what, (length <= bytes_max).then_some(()))?;
        let bytes = self.take(length)?;
        self.limit(what, core::str::from_utf8(bytes).ok())
    }

    fn list<T: FromBytes + Immutable + KnownLayout + Unaligned>(
        &mut self,
        what: &'static str,
        entries_max: usize,
    ) -> Result<&'a [T], Rejected> {
        let entries = usize::from(self.u16()?);
        self.limit(what, (entries <= entries_max).then_some(()))?;
        let bytes = self.take(entries * size_of::<T>())?;
        self.limit(what, <[T]>::ref_from_bytes(bytes).ok())
    }

    fn positions(&mut self) -> Result<Positions<'a>, Rejected> {
        let list = self.list("positions", LANES_MAX)?;
        self.limit("positions", Positions::new(list))
    }
}

fn read_claim<'a>(from: &mut Reader<'a>) -> Result<Claim<'a>, Rejected> {
    let (asks, name) = (from.flag("asks")?, from.text("name", NAME_BYTES_MAX)?);
    let is_written = from.flag("register")?;
    let of = if is_written { Some((from.member()?, from.register()?)) } else { None };
    Ok(Claim { asks, name, of })
}

/// Reads the body of that kind.
pub(super) fn read_message<'a>(kind: u8, from: &mut Reader<'a>) -> Result<Message<'a>, Rejected> {
    Ok(match kind {
        1 => Message::Hello(read_hello(from)?),
        2 => Message::Welcome(read_welcome(from)?),
        KIND_APPEND => {
            let envelope = read_envelope(from)?;
            Message::Append(Append { envelope, block: from.take(envelope.block_bytes as usize)? })
        }
        4 => Message::Heartbeat(Heartbeat { epoch: from.epoch()?, committed: from.positions()? }),
        5 => Message::HeartbeatAck(HeartbeatAck { epoch: from.epoch()? }),
        6 => Message::Ack(read_ack(from)?),
        7 => Message::Switch(Switch { epoch: from.epoch()?, ends: from.positions()? }),
        8 => Message::Nack(Nack { promised: from.epoch()? }),
        9 => Message::Fetch(Fetch { pair: PairId(from.u128()?), lane: from.lane()?, sequence: from.u64()? }),
        10 => Message::Lacks(Lacks { lane: from.lane()?, sequence: from.u64()? }),
        11 => Message::Claim(read_claim(from)?),
        _ => return Err(Rejected { reason: Reason::Kind, position: super::FRAME_HEAD_BYTES - 5 }),
    })
}

fn read_hello<'a>(from: &mut Reader<'a>) -> Result<Hello<'a>, Rejected> {
    let protocol = from.u16()?;
    let pair = PairId(from.u128()?);
    let member = from.member()?;
    let name = from.text("name", NAME_BYTES_MAX)?;
    let address = from.text("address", ADDRESS_BYTES_MAX)?;
    let lanes = from.u32()?;
    from.limit("lanes", (1..=LANES_MAX).contains(&(lanes as usize)).then_some(()))?;
    let segment_bytes = from.u64()?;
    let lane = from.lane()?;
    let lane = LaneId(from.limit("lane", (lane < lanes).then_some(lane))?);
    let (promised, register_version) = (from.epoch()?, from.u64()?);
    let (end, committed) = (from.end()?, from.u64()?);
    let spans = from.list("history", SPANS_MAX)?;
    let history = from.limit("history", Spans::new(spans))?;
    Ok(Hello { protocol, pair, member, name, address, lanes, segment_bytes, lane, promised, register_version, end, committed, history })
}

fn read_welcome<'a>(from: &mut Reader<'a>) -> Result<Welcome<'a>, Rejected> {
    Ok(Welcome {
        member: from.member()?,
        name: from.text("name", NAME_BYTES_MAX)?,
        address: from.text("address", ADDRESS_BYTES_MAX)?,
        epoch: from.epoch()?,
        register_version: from.u64()?,
        lane: LaneId(from.lane()?),
        judged: from.end()?,
        verdict: read_verdict(from)?,
    })
}

fn read_verdict(from: &mut Reader<'_>) -> Result<Verdict, Rejected> {
    Ok(match from.u8()? {
        0 => Verdict::Follow { from: from.end()? },
        1 => Verdict::Truncate { to: from.end()? },
        2 => Verdict::Restart { from: from.end()?, shared: from.u64()? },
        3 => {
            let number = from.u8()?;
            Verdict::Refuse(from.limit("refusal", REFUSALS.get(usize::from(number)).copied())?)
        }
        _ => return Err(from.rejected(Reason::Limit("verdict"))),
    })
}

/// Refusals by their numbers.
const REFUSALS: [Refusal; 6] =
    [Refusal::NotPrimary, Refusal::OtherPair, Refusal::Unequal, Refusal::Protocol, Refusal::Promised, Refusal::NothingInCommon];

pub(super) fn read_envelope(from: &mut Reader<'_>) -> Result<Envelope, Rejected> {
    let (lane, epoch, sequence) = (from.lane()?, from.epoch()?, from.u64()?);
    let (previous, chain) = (Chain(from.array()?), Chain(from.array()?));
    let (committed, block_bytes) = (from.u64()?, from.u32()?);
    let possible = (block::BLOCK_BYTES_MIN..=block::BLOCK_BYTES_MAX).contains(&(block_bytes as usize));
    from.limit("block", possible.then_some(()))?;
    Ok(Envelope { lane, epoch, sequence, previous, chain, committed, block_bytes })
}

fn read_ack(from: &mut Reader<'_>) -> Result<Ack, Rejected> {
    let (epoch, member, lane) = (from.epoch()?, from.member()?, from.lane()?);
    let (received, durable) = (from.u64()?, from.u64()?);
    from.limit("durable", (durable <= received).then_some(()))?;
    Ok(Ack { epoch, member, lane, received, durable })
}

/// Appends the body and returns its kind.
pub(super) fn write_message(message: &Message<'_>, out: &mut Vec<u8>) -> u8 {
    match message {
        Message::Hello(hello) => {
            write_hello(hello, out);
            1
        }
        Message::Welcome(welcome) => {
            write_welcome(welcome, out);
            2
        }
        Message::Append(append) => {
            write_envelope(&append.envelope, out);
            assert!(append.block.len() == append.envelope.block_bytes as usize, "a block of {} B", append.block.len());
            out.extend_from_slice(append.block);
            KIND_APPEND
        }
        Message::Heartbeat(heartbeat) => {
            put(out, &[&heartbeat.epoch.0.to_le_bytes()]);
            write_list(heartbeat.committed.0, out);
            4
        }
        Message::HeartbeatAck(ack) => {
            put(out, &[&ack.epoch.0.to_le_bytes()]);
            5
        }
        Message::Ack(ack) => {
            put(out, &[&ack.epoch.0.to_le_bytes()]);
            write_member(ack.member, out);
            put(out, &[&ack.lane.to_le_bytes(), &ack.received.to_le_bytes(), &ack.durable.to_le_bytes()]);
            6
        }
        Message::Switch(switch) => {
            put(out, &[&switch.epoch.0.to_le_bytes()]);
            write_list(switch.ends.0, out);
            7
        }
        Message::Nack(nack) => {
            put(out, &[&nack.promised.0.to_le_bytes()]);
            8
        }
        Message::Fetch(fetch) => {
            put(out, &[&fetch.pair.0.to_le_bytes(), &fetch.lane.to_le_bytes(), &fetch.sequence.to_le_bytes()]);
            9
        }
        Message::Lacks(lacks) => {
            put(out, &[&lacks.lane.to_le_bytes(), &lacks.sequence.to_le_bytes()]);
            10
        }
        Message::Claim(claim) => {
            write_claim(claim, out);
            11
        }
    }
}

fn write_hello(hello: &Hello<'_>, out: &mut Vec<u8>) {
    put(out, &[&hello.protocol.to_le_bytes(), &hello.pair.0.to_le_bytes()]);
    write_member(hello.member, out);
    write_text(hello.name, NAME_BYTES_MAX, out);
    write_text(hello.address, ADDRESS_BYTES_MAX, out);
    put(out, &[&hello.lanes.to_le_bytes(), &hello.segment_bytes.to_le_bytes(), &hello.lane.0.to_le_bytes()]);
    put(out, &[&hello.promised.0.to_le_bytes(), &hello.register_version.to_le_bytes()]);
    write_end(hello.end, out);
    put(out, &[&hello.committed.to_le_bytes()]);
    write_list(hello.history.0, out);
}

fn write_welcome(welcome: &Welcome<'_>, out: &mut Vec<u8>) {
    write_member(welcome.member, out);
    write_text(welcome.name, NAME_BYTES_MAX, out);
    write_text(welcome.address, ADDRESS_BYTES_MAX, out);
    put(out, &[&welcome.epoch.0.to_le_bytes(), &welcome.register_version.to_le_bytes(), &welcome.lane.0.to_le_bytes()]);
    write_end(welcome.judged, out);
    match welcome.verdict {
        Verdict::Follow { from } => write_point(0, from, out),
        Verdict::Truncate { to } => write_point(1, to, out),
        Verdict::Restart { from, shared } => {
            write_point(2, from, out);
            put(out, &[&shared.to_le_bytes()]);
        }
        Verdict::Refuse(refusal) => {
            let number = REFUSALS.iter().position(|known| *known == refusal).expect("every refusal has a number");
            put(out, &[&[3, u8::try_from(number).expect("six")]]);
        }
    }
}

fn write_claim(claim: &Claim<'_>, out: &mut Vec<u8>) {
    put(out, &[&[u8::from(claim.asks)]]);
    write_text(claim.name, NAME_BYTES_MAX, out);
    put(out, &[&[u8::from(claim.of.is_some())]]);
    if let Some((member, register)) = claim.of {
        write_member(member, out);
        put(out, &[&register.encode()[..]]);
    }
}

fn write_point(kind: u8, end: End, out: &mut Vec<u8>) {
    put(out, &[&[kind]]);
    write_end(end, out);
}

pub(super) fn write_envelope(envelope: &Envelope, out: &mut Vec<u8>) {
    put(out, &[&envelope.lane.to_le_bytes(), &envelope.epoch.0.to_le_bytes(), &envelope.sequence.to_le_bytes()]);
    put(out, &[&envelope.previous.0, &envelope.chain.0]);
    put(out, &[&envelope.committed.to_le_bytes(), &envelope.block_bytes.to_le_bytes()]);
}

fn write_member(member: Member, out: &mut Vec<u8>) {
    put(out, &[&member.node.to_le_bytes(), &member.incarnation.to_le_bytes()]);
}

fn write_end(end: End, out: &mut Vec<u8>) {
    put(out, &[&end.sequence.to_le_bytes(), &end.chain.0]);
}

fn write_text(text: Text<'_>, bytes_max: usize, out: &mut Vec<u8>) {
    assert!(text.len() <= bytes_max, "a text of {} B, at most {bytes_max}", text.len());
    put(out, &[&u16::try_from(text.len()).expect("below 2^16").to_le_bytes(), text.as_bytes()]);
}

fn write_list<T: IntoBytes + Immutable>(entries: &[T], out: &mut Vec<u8>) {
    put(out, &[&u16::try_from(entries.len()).expect("bounded by its type").to_le_bytes(), entries.as_bytes()]);
}

fn put(out: &mut Vec<u8>, fields: &[&[u8]]) {
    fields.iter().for_each(|field| out.extend_from_slice(field));
}
