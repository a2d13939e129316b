//! Failover by loss and by silence, planned handover, what waits, and what an operator decides.

use super::*;

#[test]
fn a_reset_link_promotes_at_once_and_silence_after_the_primary_had_its_chance() {
    let mut rig = following();
    assert_eq!(rig.tell(Event::LinkLost { lane: 0, reset: false }), [], "given up here: nobody has died");
    let mut rig = following();
    assert_eq!(rig.tell(Event::LinkLost { lane: 0, reset: true }), [Effect::Read]);
    assert_eq!(rig.swap_by(found(register(7, 4, PEER, Some(ME)))).register, register(8, 5, ME, None));
    let mut rig = following();
    rig.now_ns = 3 * DETECT_NS - 1;
    assert_eq!(rig.tell(Event::Tick), []);
    rig.now_ns += 1;
    assert_eq!(rig.tell(Event::Tick).last(), Some(&Effect::Read));
    let mut rig = paired();
    rig.now_ns = DETECT_NS;
    assert!(swap_of(&rig.tell(Event::Tick)).is_some(), "a primary that lives drops the standby first");
}

#[test]
fn a_standby_that_hears_nothing_gives_its_connections_up_and_follows_on_new_ones() {
    let mut rig = following();
    rig.now_ns = 3 * DETECT_NS;
    let silent = |lane| Effect::CloseLink { lane, why: Close::Silent };
    assert_eq!(rig.tell(Event::Tick), [silent(0), silent(1), Effect::Read]);
    rig.tell(found(register(8, 4, PEER, None)));
    rig.now_ns *= 2;
    assert_eq!(rig.tell(Event::Tick), [Effect::Read], "what is closed is not closed again");
    rig.tell(found(register(8, 4, PEER, None)));
    assert_eq!(rig.tell(Event::LinkUp { lane: 0 }), [Effect::Send { lane: 0, message: Outbound::Hello }]);
    rig.tell(welcome(0, 4, Verdict::Follow { from: end(3) }, None));
    assert_eq!(rig.shard.asks_or_follows(0), Some(Epoch(4)));
}

#[test]
fn a_lane_that_hears_nothing_does_not_live_by_what_another_hears() {
    let mut rig = following();
    let heartbeat = |lane| Event::Heartbeat { lane, epoch: Epoch(4), committed: vec![3, 3] };
    rig.now_ns = 2 * DETECT_NS;
    rig.tell(heartbeat(1));
    rig.now_ns = 3 * DETECT_NS;
    assert_eq!(rig.tell(Event::Tick), [Effect::CloseLink { lane: 0, why: Close::Silent }], "the primary lives: nobody is to lead");
    assert_eq!((rig.shard.asks_or_follows(0), rig.shard.asks_or_follows(1)), (None, Some(Epoch(4))));
}

#[test]
fn silence_counts_only_where_something_could_be_heard() {
    let mut rig = following();
    rig.now_ns = 2 * DETECT_NS;
    (0..2).for_each(|lane| assert_eq!(rig.tell(Event::HeldBack { lane }), []));
    rig.now_ns = 3 * DETECT_NS;
    assert_eq!(rig.tell(Event::Tick), [], "its own log holds it back");
    rig.now_ns = 5 * DETECT_NS;
    assert_eq!(rig.tell(Event::Tick).last(), Some(&Effect::Read), "what was held back is taken, and nothing comes");
}

#[test]
fn a_late_standby_keeps_its_connections_until_the_register_is_without_it() {
    let silent = |lane| Effect::CloseLink { lane, why: Close::Silent };
    let closed = |effects: &[Effect]| (0..2).filter(|lane| effects.contains(&silent(*lane))).count();
    let mut rig = paired();
    rig.now_ns = DETECT_NS;
    let dropping = rig.tell(Event::Tick);
    assert_eq!((swap_of(&dropping).map(|swap| swap.register.standby), closed(&dropping)), (Some(None), 0), "{dropping:?}");
    assert_eq!(closed(&rig.tell(Event::Tick)), 0, "the swap is under way");
    assert_eq!(swap_of(&rig.tell(Event::SwapEnded(SwapEnd::Swapped))), None, "who says nothing is not taken in again");
    assert_eq!(closed(&rig.tell(Event::Tick)), 2, "it is out, and still silent");

    let mut rig = paired();
    rig.now_ns = DETECT_NS;
    rig.tell(Event::Tick);
    rig.tell(Event::SwapEnded(SwapEnd::Swapped));
    rig.ack(0, 3);
    rig.ack(1, 3);
    assert_eq!(closed(&rig.tell(Event::Tick)), 0, "who was only late goes on to follow on the connections that it has");
}

#[test]
fn a_standby_has_its_time_to_come_back_to_a_restarted_primary() {
    let led = || {
        let mut rig = Rig::with(settings(), KEPT);
        rig.start(register(7, 4, ME, Some(PEER)));
        rig.lead();
        rig
    };
    let mut rig = led();
    rig.now_ns = DETECT_NS - 1;
    assert_eq!(swap_of(&rig.tell(Event::Tick)), None);
    rig.now_ns += 1;
    assert!(swap_of(&rig.tell(Event::Tick)).is_some(), "it never came");

    let mut rig = led();
    rig.now_ns = DETECT_NS - 1;
    rig.hello(0, PEER);
    rig.now_ns = 2 * DETECT_NS - 2;
    rig.tell(Event::HeartbeatAck { lane: 0, epoch: Epoch(5) });
    assert_eq!(swap_of(&rig.tell(Event::Tick)), None);
    rig.now_ns += 1;
    assert!(swap_of(&rig.tell(Event::Tick)).is_some(), "it came with half of its lanes");
}

#[test]
fn a_promoted_standby_closes_promises_leads_and_serves_in_that_order() {
    let mut rig = following();
    rig.tell(Event::LinkLost { lane: 0, reset: true });
    rig.tell(found(register(7, 4, PEER, Some(ME))));
    assert!(acks(&rig.tell(Event::LaneMoved { lane: 1, end: 3, durable: 3 })).len() == 1, "it follows until it has won");
    let won = rig.tell(Event::SwapEnded(SwapEnd::Swapped));
    let kept = Kept { promised: Epoch(5), register_version: 8, ..KEPT };
    assert_eq!(won.last(), Some(&Effect::Persist(kept)), "{won:?}");
    assert_eq!(rig.tell(append(4, 3)), [], "nothing is taken from the old epoch any more");
    assert_eq!(rig.tell(Event::Persisted(kept)), [Effect::Lead { epoch: Epoch(5) }]);
    let led = rig.tell(Event::Led { ends: vec![3, 3] });
    assert_eq!((led[0], gates(&led)), (Effect::Serve { epoch: Epoch(5) }, vec![(0, OPEN), (1, OPEN)]));
}

#[test]
fn a_bid_that_is_lost_leaves_a_standby() {
    let mut rig = following();
    rig.tell(Event::LinkLost { lane: 0, reset: true });
    rig.swap_by(found(register(7, 4, PEER, Some(ME))));
    rig.tell(Event::SwapEnded(SwapEnd::Refused(Some(register(8, 4, PEER, None)))));
    assert_eq!(rig.shard.role(), Role::Standby);
}

#[test]
fn a_handover_waits_for_intake_and_for_the_standby_and_then_says_switch() {
    let mut rig = paired();
    rig.tell(Event::LaneMoved { lane: 0, end: 5, durable: 4 });
    assert_eq!(rig.tell(Event::Order(Order::Switchover)), [Effect::StopIntake]);
    let switches = |effects: &[Effect]| effects.contains(&Effect::Send { lane: 0, message: Outbound::Switch { epoch: Epoch(5) } });
    assert!(!switches(&rig.ack(0, 4)));
    assert!(!switches(&rig.tell(Event::IntakeStopped)), "the standby lacks a block");
    // Its own disk is behind, and may hang: what the standby has is durable there.
    assert!(switches(&rig.ack(0, 5)));
    assert!(!switches(&rig.ack(0, 5)), "once");
    assert_eq!(swap_of(&rig.tell(Event::Backlog)), None, "nobody is dropped meanwhile");
    rig.tell(Event::Nack { promised: Epoch(6) });
    let deposed = rig.tell(found(register(9, 6, PEER, None)));
    assert_eq!(deposed.last(), Some(&Effect::StartOver(StartOver::Deposed)));
}

#[test]
fn a_standby_takes_over_when_it_has_everything_and_not_otherwise() {
    let mut rig = following();
    assert_eq!(rig.tell(Event::Switch { epoch: Epoch(4), ends: vec![3, 4] }), [], "a block is missing");
    assert_eq!(rig.tell(Event::Switch { epoch: Epoch(3), ends: vec![3, 3] }), [], "of an epoch that is over");
    assert_eq!(rig.tell(Event::Switch { epoch: Epoch(4), ends: vec![3] }), [], "of another number of lanes");
    assert_eq!(rig.tell(Event::Switch { epoch: Epoch(4), ends: vec![3, 3] }), [Effect::Read]);
    let mut rig = following();
    assert_eq!(rig.tell(Event::Switch { epoch: Epoch(4), ends: vec![3, 2] }), [Effect::Read], "more than that is no less");
}

#[test]
fn an_order_that_comes_while_the_register_is_looked_at_is_carried_out() {
    let mut rig = paired();
    rig.now_ns = settings().poll_ns;
    for lane in 0..2 {
        rig.tell(Event::HeartbeatAck { lane, epoch: Epoch(5) });
    }
    assert!(rig.tell(Event::Tick).contains(&Effect::Read));
    assert_eq!(rig.tell(Event::Order(Order::Switchover)), [Effect::StopIntake]);
}

#[test]
fn a_handover_that_takes_too_long_is_taken_back_by_a_new_epoch() {
    let mut rig = paired();
    rig.tell(Event::Order(Order::Switchover));
    rig.tell(Event::IntakeStopped);
    rig.now_ns = 500;
    rig.tell(Event::HeartbeatAck { lane: 0, epoch: Epoch(5) });
    let effects = rig.tell(Event::Tick);
    assert!(effects.contains(&Effect::Note(Note::AsksBack)), "{effects:?}");
    assert_eq!(swap_of(&effects).unwrap().register, register(9, 6, ME, Some(PEER)));
    assert_eq!(rig.lead()[0], Effect::Serve { epoch: Epoch(6) });
    let mut lost = paired();
    lost.tell(Event::Order(Order::Switchover));
    assert!(swap_of(&lost.tell(Event::LinkLost { lane: 0, reset: true })).is_some(), "or when the link is lost");
    let effects = lost.tell(Event::SwapEnded(SwapEnd::Refused(Some(register(9, 6, PEER, None)))));
    assert_eq!(effects.last(), Some(&Effect::StartOver(StartOver::Deposed)), "the standby was first");
}

#[test]
fn two_in_sync_at_least_waits_instead_of_running_alone() {
    let two = Settings { may_run_alone: false, ..settings() };
    let mut rig = paired_with(two);
    assert_eq!(swap_of(&rig.tell(Event::LinkLost { lane: 0, reset: true })), None, "nobody is dropped");
    let mut rig = Rig::with(two, KEPT);
    rig.start(register(7, 4, ME, None));
    let led = rig.lead();
    assert_eq!(gates(&led), []);
    assert!(led.contains(&Effect::Note(Note::Stalled)), "{led:?}");
}

#[test]
fn who_asks_is_told_why_he_may_not_follow() {
    let refused = |change: fn(&mut Introduction)| {
        let mut from = introduction(PEER);
        change(&mut from);
        let mut rig = alone();
        let hello = Event::Hello { lane: 0, from, end: end(3), verdict: Verdict::Follow { from: end(3) } };
        rig.tell(hello).into_iter().find_map(|effect| if let Effect::Refuse { why, .. } = effect { Some(why) } else { None })
    };
    assert_eq!(refused(|_| ()), None);
    assert_eq!(refused(|from| from.protocol = 2), Some(Refusal::Protocol));
    assert_eq!(refused(|from| from.pair = PairId(8)), Some(Refusal::OtherPair));
    assert_eq!(refused(|from| from.lanes = 3), Some(Refusal::Unequal));
    assert_eq!(refused(|from| from.promised = Epoch(6)), Some(Refusal::Promised));
    let mut standby = following();
    assert_eq!(standby.hello(0, PEER), [Effect::Refuse { lane: 0, why: Refusal::NotPrimary }]);
}

#[test]
fn a_peer_that_is_heard_is_kept_and_told_what_is_committed() {
    let mut rig = paired();
    rig.now_ns = 10;
    let beats = rig.tell(Event::Tick);
    assert_eq!(beats, [0, 1].map(|lane| Effect::Send { lane, message: Outbound::Heartbeat { epoch: Epoch(5) } }));
    assert_eq!(rig.tell(Event::Tick), [], "not twice");
    let mut standby = following();
    let answered = standby.tell(Event::Heartbeat { lane: 0, epoch: Epoch(4), committed: vec![3, 9] });
    assert_eq!(gates(&answered), [(0, 3), (1, 3)], "as far as its log goes");
    assert_eq!(answered.last(), Some(&Effect::Send { lane: 0, message: Outbound::HeartbeatAck { epoch: Epoch(4) } }));
}

#[test]
fn a_register_of_another_pair_or_shape_halts() {
    let halts = |register: Register| Rig::with(settings(), KEPT).start(register).last().copied();
    assert_eq!(halts(Register { pair: PairId(8), ..register(7, 4, PEER, None) }), Some(Effect::Halt(Halt::OtherPair)));
    assert_eq!(halts(Register { lanes: 3, ..register(7, 4, PEER, None) }), Some(Effect::Halt(Halt::Unequal)));
    assert_eq!(halts(register(7, EPOCH_MAX.0, ME, None)), Some(Effect::Halt(Halt::EpochsEnd)));
}

#[test]
fn an_operator_lets_a_standby_start_over_and_nobody_else() {
    assert_eq!(following().tell(Event::Order(Order::Rejoin)), [Effect::StartOver(StartOver::Ordered)]);
    assert_eq!(paired().tell(Event::Order(Order::Rejoin)), [], "a primary goes on");
}
