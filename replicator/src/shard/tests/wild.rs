//! Any event in any state: nothing panics, effects stay within their bound, and who has ended stays so.

use super::*;

fn any_member() -> impl Strategy<Value = Member> {
    prop_oneof![Just(ME), Just(PEER), Just(Member { incarnation: 21, ..PEER })]
}

fn any_register() -> impl Strategy<Value = Register> {
    (6..12u64, 3..8u32, any_member(), prop::option::of(any_member())).prop_map(|(version, epoch, primary, standby)| {
        register(version, epoch, primary, standby.filter(|standby| standby.node != primary.node))
    })
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Follow { from: end(3) }),
        (0..5u64).prop_map(|at| Verdict::Truncate { to: end(at) }),
        (0..9u64, 0..9u64).prop_map(|(at, shared)| Verdict::Restart { from: end(at), shared }),
        Just(Verdict::Refuse(Refusal::NotPrimary)),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let lane = 0..2u32;
    let epoch = || (3..8u32).prop_map(Epoch);
    prop_oneof![
        Just(Event::Tick),
        any_register().prop_map(found),
        Just(Event::RegisterRead(Read::Unreachable)),
        Just(Event::SwapEnded(SwapEnd::Swapped)),
        Just(Event::SwapEnded(SwapEnd::Unknown)),
        any_register().prop_map(|register| Event::SwapEnded(SwapEnd::Refused(Some(register)))),
        (lane.clone(), any::<bool>()).prop_map(|(lane, reset)| Event::LinkLost { lane, reset }),
        lane.clone().prop_map(|lane| Event::LinkUp { lane }),
        (lane.clone(), any_member(), any_verdict()).prop_map(|(lane, member, verdict)| Event::Hello {
            lane,
            from: introduction(member),
            end: end(3),
            verdict
        }),
        (lane.clone(), 3..8u32, any_verdict()).prop_map(|(lane, epoch, verdict)| welcome(lane, epoch, verdict, Some(chain(2)))),
        (3..8u32, 0..6u64).prop_map(|(epoch, sequence)| append(epoch, sequence)),
        (lane.clone(), epoch()).prop_map(|(lane, epoch)| Event::Heartbeat { lane, epoch, committed: vec![3, 2] }),
        (lane.clone(), epoch()).prop_map(|(lane, epoch)| Event::HeartbeatAck { lane, epoch }),
        (lane.clone(), epoch(), any_member(), 0..9u64).prop_map(|(lane, epoch, member, durable)| Event::Ack(Ack {
            epoch,
            member,
            lane,
            received: 9,
            durable
        })),
        epoch().prop_map(|epoch| Event::Switch { epoch, ends: vec![3, 3] }),
        epoch().prop_map(|promised| Event::Nack { promised }),
        (any_member(), any_register()).prop_map(|(from, register)| Event::Claim { of: Some((from, register)) }),
        Just(Event::Claim { of: None }),
        (lane.clone(), 0..9u64).prop_map(|(lane, durable)| Event::LaneMoved { lane, end: 9, durable }),
        lane.clone().prop_map(|lane| Event::HeldBack { lane }),
        (lane, 0..3u32).prop_map(|(lane, serial)| Event::GateSeen { lane, serial, committed: 3 }),
        Just(Event::Led { ends: vec![3, 3] }),
        Just(Event::IntakeStopped),
        Just(Event::Backlog),
        Just(Event::DiskSlow),
        Just(Event::Order(Order::Switchover)),
        Just(Event::Order(Order::Promote { fenced: 2 })),
    ]
}

proptest! {
    #[test]
    fn no_order_of_events_panics_or_orders_too_much(begin in 0..4usize, events in prop::collection::vec(any_event(), 1..60)) {
        let mut rig = [alone, paired, following, || Rig::with(settings(), KEPT)][begin]();
        for event in events {
            rig.now_ns += 7;
            let ended = rig.shard.role() == Role::Ended;
            let effects = rig.tell(event);
            prop_assert!(effects.len() <= EFFECTS_MAX, "{} effects", effects.len());
            prop_assert!(!ended || effects.is_empty(), "{effects:?} after the end");
            // Writes of the superblock end at once here.
            for effect in effects {
                if let Effect::Persist(kept) = effect {
                    rig.tell(Event::Persisted(kept));
                }
            }
        }
    }
}
