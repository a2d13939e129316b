//! A machine of two lanes, in the states that the tests begin with.

use super::*;

pub const ME: Member = Member { node: 1, incarnation: 10 };
pub const PEER: Member = Member { node: 2, incarnation: 20 };
pub const ARBITER: u128 = 9;
pub const OPEN: u64 = u64::MAX;
pub const DETECT_NS: u64 = 50;

pub fn settings() -> Settings {
    Settings {
        me: ME,
        pair: PairId(7),
        lanes: 2,
        segment_bytes: 1 << 28,
        mode: Mode::Auto,
        may_run_alone: true,
        heartbeat_ns: 10,
        detect_ns: DETECT_NS,
        holdoff_ns: 2 * DETECT_NS,
        poll_ns: 1_000,
        handover_ns: 500,
        handover_pause_ns: 100_000,
        catch_up_blocks: 64,
    }
}

pub fn register(version: u64, epoch: u32, primary: Member, standby: Option<Member>) -> Register {
    let Settings { pair, lanes, segment_bytes, mode, .. } = settings();
    Register { version, pair, lanes, segment_bytes, epoch: Epoch(epoch), primary, standby, mode }
}

pub fn found(register: Register) -> Event {
    Event::RegisterRead(Read::Found { arbiter: ARBITER, register: Some(register) })
}

/// What a node knows that has seen version 7 and promised epoch 4.
pub const KEPT: Kept = Kept { promised: Epoch(4), register_version: 7, arbiter: ARBITER, needs_repair: false };

/// A block's chain, by its number.
pub fn chain(sequence: u64) -> Chain {
    Chain([u8::try_from(sequence).unwrap(); 16])
}

pub fn end(sequence: u64) -> End {
    End { sequence, chain: chain(sequence) }
}

pub struct Rig {
    pub shard: Shard,
    pub now_ns: u64,
}

impl Rig {
    /// A process that has just started on lanes of three blocks each, of which two are known to be committed.
    pub fn with(settings: Settings, kept: Kept) -> Rig {
        let lane = Lane { end: end(3), durable: 3, committed: 2, is_open: false };
        Rig { shard: Shard::new(settings, kept, vec![lane; 2]), now_ns: 0 }
    }

    pub fn tell(&mut self, event: Event) -> Vec<Effect> {
        self.shard.on(self.now_ns, event);
        core::iter::from_fn(|| self.shard.effect()).collect()
    }

    /// The one swap that an event orders.
    pub fn swap_by(&mut self, event: Event) -> Swap {
        let effects = self.tell(event);
        swap_of(&effects).unwrap_or_else(|| panic!("no swap in {effects:?}"))
    }

    /// Reads `register` at start.
    pub fn start(&mut self, register: Register) -> Vec<Effect> {
        assert_eq!(self.tell(Event::Tick), [Effect::Read]);
        self.tell(found(register))
    }

    /// The way from a confirmed swap to the lead.
    pub fn lead(&mut self) -> Vec<Effect> {
        let promised = self.tell(Event::SwapEnded(SwapEnd::Swapped));
        let kept = promised.iter().find_map(|effect| if let Effect::Persist(kept) = effect { Some(*kept) } else { None });
        let effects = self.tell(Event::Persisted(kept.unwrap_or_else(|| panic!("no promise in {promised:?}"))));
        assert!(matches!(effects[..], [Effect::Lead { .. }]), "{effects:?}");
        self.tell(Event::Led { ends: vec![3, 3] })
    }

    pub fn hello(&mut self, lane: u32, member: Member) -> Vec<Effect> {
        self.tell(Event::Hello { lane, from: introduction(member), end: end(3), verdict: Verdict::Follow { from: end(3) } })
    }

    pub fn ack(&mut self, lane: u32, durable: u64) -> Vec<Effect> {
        let Role::Primary(epoch) = self.shard.role() else { panic!("{:?}", self.shard.role()) };
        self.tell(Event::Ack(Ack { epoch, member: PEER, lane, received: durable, durable }))
    }
}

pub fn introduction(member: Member) -> Introduction {
    let Settings { pair, lanes, segment_bytes, .. } = settings();
    Introduction { protocol: PROTOCOL, pair, member, lanes, segment_bytes, promised: Epoch(4), register_version: 7 }
}

pub fn swap_of(effects: &[Effect]) -> Option<Swap> {
    effects.iter().find_map(|effect| if let Effect::Swap(swap) = effect { Some(*swap) } else { None })
}

/// Gates by lane.
pub fn gates(effects: &[Effect]) -> Vec<(u32, u64)> {
    let gate = |effect: &Effect| if let Effect::Gate { lane, through, .. } = effect { Some((*lane, *through)) } else { None };
    effects.iter().filter_map(gate).collect()
}

pub fn acks(effects: &[Effect]) -> Vec<(u32, u64, u64)> {
    let ack = |effect: &Effect| match effect {
        Effect::Send { message: Outbound::Ack(ack), .. } => Some((ack.epoch.0, ack.received, ack.durable)),
        _ => None,
    };
    effects.iter().filter_map(ack).collect()
}

/// A primary in epoch 5 that is alone, with lanes of three blocks.
pub fn alone_with(settings: Settings) -> Rig {
    let mut rig = Rig::with(settings, KEPT);
    rig.start(register(7, 4, ME, None));
    rig.lead();
    rig
}

pub fn alone() -> Rig {
    alone_with(settings())
}

/// A primary in epoch 5 with PEER in sync, which has acknowledged everything.
pub fn paired_with(settings: Settings) -> Rig {
    let mut rig = Rig::with(settings, KEPT);
    rig.start(register(7, 4, ME, Some(PEER)));
    rig.lead();
    for lane in 0..2 {
        rig.hello(lane, PEER);
        rig.ack(lane, 3);
    }
    rig
}

pub fn paired() -> Rig {
    paired_with(settings())
}

/// A standby in sync, both lanes of which follow PEER in epoch 4.
pub fn following_with(settings: Settings) -> Rig {
    let mut rig = Rig::with(settings, KEPT);
    assert_eq!(rig.start(register(7, 4, PEER, Some(ME))), []);
    for lane in 0..2 {
        assert_eq!(rig.tell(Event::LinkUp { lane }), [Effect::Send { lane, message: Outbound::Hello }]);
        rig.tell(welcome(lane, 4, Verdict::Follow { from: end(3) }, None));
    }
    rig
}

pub fn following() -> Rig {
    following_with(settings())
}

pub fn welcome(lane: u32, epoch: u32, verdict: Verdict, own: Option<Chain>) -> Event {
    Event::Welcome { lane, epoch: Epoch(epoch), judged: end(3), verdict, own, register_version: 7 }
}

pub fn envelope(epoch: u32, sequence: u64) -> Envelope {
    Envelope {
        lane: 0,
        epoch: Epoch(epoch),
        sequence,
        previous: chain(sequence),
        chain: chain(sequence + 1),
        committed: 3,
        block_bytes: 8192,
    }
}

pub fn append(epoch: u32, sequence: u64) -> Event {
    Event::Append { envelope: envelope(epoch, sequence), present: false }
}
