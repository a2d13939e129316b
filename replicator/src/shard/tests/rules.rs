//! One rule after the other.

use super::*;

#[test]
fn rule_1_a_higher_epoch_is_answered_when_its_promise_is_durable_and_not_before() {
    let mut rig = Rig::with(settings(), KEPT);
    rig.start(register(7, 4, PEER, Some(ME)));
    rig.tell(Event::LinkUp { lane: 0 });
    let promise = Kept { promised: Epoch(6), ..KEPT };
    let effects = rig.tell(welcome(0, 6, Verdict::Follow { from: end(3) }, None));
    assert_eq!(effects, [Effect::Persist(promise)], "nothing is said before");
    assert!(rig.shard.is_promising(0) && !rig.shard.is_promising(1), "what follows on lane 0 could not be taken now");
    let effects = rig.tell(Event::Persisted(promise));
    assert!(!rig.shard.is_promising(0));
    assert_eq!(acks(&effects), [(6, 3, 3)]);
    assert!(effects.contains(&Effect::Open { lane: 0 }), "{effects:?}");
}

#[test]
fn rule_1_a_lower_epoch_is_refused_in_appends_heartbeats_and_recovery() {
    let refused = |event: Event| {
        let mut rig = Rig::with(settings(), KEPT);
        rig.start(register(7, 4, PEER, Some(ME)));
        rig.tell(Event::LinkUp { lane: 0 });
        if !matches!(event, Event::Welcome { .. }) {
            rig.tell(welcome(0, 4, Verdict::Follow { from: end(3) }, None));
        }
        let nack = Effect::Send { lane: 0, message: Outbound::Nack { promised: Epoch(4) } };
        assert_eq!(rig.tell(event), [nack, Effect::CloseLink { lane: 0, why: Close::OldEpoch }]);
        assert_eq!(rig.shard.lane(0).end, end(3));
    };
    refused(append(3, 3));
    refused(Event::Heartbeat { lane: 0, epoch: Epoch(3), committed: vec![3, 3] });
    refused(welcome(0, 3, Verdict::Follow { from: end(3) }, None));
    refused(welcome(0, 3, Verdict::Truncate { to: end(2) }, Some(chain(2))));
}

#[test]
fn rule_2_an_append_fits_or_is_there_and_never_truncates() {
    let mut rig = following();
    let effects = rig.tell(append(4, 3));
    assert!(effects.contains(&Effect::Accept { lane: 0, sequence: 3 }), "{effects:?}");
    assert_eq!(rig.shard.lane(0).end, end(4));
    let again = rig.tell(Event::Append { envelope: envelope(4, 3), present: true });
    assert_eq!(acks(&again), [(4, 4, 3)], "what is there is acknowledged again");
    assert!(!again.iter().any(|effect| matches!(effect, Effect::Accept { .. })), "{again:?}");
    for unfitting in [
        append(4, 2),
        append(4, 5),
        append(5, 4),
        Event::Append { envelope: Envelope { previous: chain(9), ..envelope(4, 4) }, present: false },
    ] {
        let mut rig = following();
        rig.tell(append(4, 3));
        let effects = rig.tell(unfitting.clone());
        assert_eq!(effects, [Effect::CloseLink { lane: 0, why: Close::Unfitting }], "{unfitting:?}");
        assert_eq!(rig.shard.lane(0).end, end(4));
        assert_eq!(rig.tell(append(4, 4)), [], "the lane follows nobody until it has asked again");
    }
}

#[test]
fn rule_3_what_is_received_is_not_acknowledged_as_durable() {
    let mut rig = following();
    assert_eq!(acks(&rig.tell(append(4, 3))), [(4, 4, 3)]);
    assert_eq!(acks(&rig.tell(Event::LaneMoved { lane: 0, end: 4, durable: 4 })), [(4, 4, 4)]);
}

#[test]
fn rule_4_committed_is_what_every_member_in_sync_has() {
    let mut rig = paired();
    let moved = rig.tell(Event::LaneMoved { lane: 0, end: 9, durable: 9 });
    assert_eq!(gates(&moved), [], "this node alone is not enough");
    assert_eq!(gates(&rig.ack(0, 7)), [(0, 7)]);
    assert_eq!(gates(&rig.ack(0, 5)), [], "an acknowledgement that comes late takes nothing back");
    let old = Ack { epoch: Epoch(4), member: PEER, lane: 0, received: 9, durable: 9 };
    assert_eq!(rig.tell(Event::Ack(old)), [], "one of another epoch says nothing about this log");
}

#[test]
fn rule_5_a_shrink_counts_when_it_is_confirmed() {
    let mut rig = paired();
    let swap = rig.swap_by(Event::LinkLost { lane: 0, reset: true });
    assert_eq!((swap.expected, swap.register.standby, swap.register.epoch), (8, None, Epoch(5)));
    assert_eq!(gates(&rig.tell(Event::LaneMoved { lane: 0, end: 9, durable: 9 })), []);
    let confirmed = rig.tell(Event::SwapEnded(SwapEnd::Swapped));
    assert_eq!(gates(&confirmed), [(0, OPEN), (1, OPEN)]);
    assert!(confirmed.contains(&Effect::Note(Note::Alone)), "running alone is said: {confirmed:?}");
}

#[test]
fn rule_5_a_swap_without_an_answer_counts_both_ways_until_it_is_known() {
    let mut rig = paired();
    let swap = rig.swap_by(Event::LinkLost { lane: 0, reset: true });
    assert_eq!(rig.tell(Event::SwapEnded(SwapEnd::Unknown)), []);
    rig.now_ns = 2_000;
    assert_eq!(swap_of(&rig.tell(Event::Tick)), Some(swap), "the same swap is sent again");
    assert_eq!(gates(&rig.tell(Event::SwapEnded(SwapEnd::Unknown))), []);
    rig.now_ns = 4_000;
    rig.tell(Event::Tick);
    // The first one had landed; the register says so itself.
    let resolved = rig.tell(Event::SwapEnded(SwapEnd::Refused(Some(swap.register))));
    assert_eq!(gates(&resolved), [(0, OPEN), (1, OPEN)]);
}

#[test]
fn rule_6_only_a_member_in_sync_with_its_disk_makes_itself_primary() {
    let bids = |settings: Settings, kept: Kept, register: Register| {
        let mut rig = Rig::with(settings, kept);
        rig.start(register);
        rig.now_ns = 3 * DETECT_NS;
        assert!(rig.tell(Event::Tick).contains(&Effect::Read));
        rig.tell(found(register))
    };
    let in_sync = register(7, 4, PEER, Some(ME));
    let swap = swap_of(&bids(settings(), KEPT, in_sync)).expect("it may");
    assert_eq!((swap.expected, swap.register), (7, register(8, 5, ME, None)));
    let may_not = [Effect::Note(Note::MayNotLead)];
    assert_eq!(bids(settings(), KEPT, register(7, 4, PEER, None)), may_not);
    let wiped = Settings { me: Member { incarnation: 11, ..ME }, ..settings() };
    assert_eq!(bids(wiped, KEPT, in_sync), may_not, "the same node with another disk");
    assert_eq!(bids(settings(), Kept { needs_repair: true, ..KEPT }, in_sync), may_not);
    assert_eq!(bids(settings(), KEPT, Register { mode: Mode::Manual, ..in_sync }), [Effect::Note(Note::AwaitsOperator)]);
    assert_eq!(bids(settings(), KEPT, Register { mode: Mode::Frozen, ..in_sync }), may_not);
}

#[test]
fn rule_7_a_restarted_primary_takes_a_new_epoch_before_it_appends() {
    let mut rig = Rig::with(settings(), KEPT);
    let effects = rig.start(register(7, 4, ME, Some(PEER)));
    assert_eq!(swap_of(&effects).unwrap().register, register(8, 5, ME, Some(PEER)), "with the same member in sync");
    assert_eq!(rig.shard.role(), Role::Taking(Epoch(5)));
    let led = rig.lead();
    assert_eq!((led[0], rig.shard.role()), (Effect::Serve { epoch: Epoch(5) }, Role::Primary(Epoch(5))));
    assert_eq!(gates(&led), [], "nothing is committed before the member in sync has said what it has in this epoch");
}

#[test]
fn rule_7_a_swap_of_an_earlier_life_that_lands_late_is_no_lead() {
    let mut rig = following();
    rig.now_ns = 2_000;
    (0..2).for_each(|lane| drop(rig.tell(Event::Heartbeat { lane, epoch: Epoch(4), committed: vec![3, 3] })));
    assert_eq!(rig.tell(Event::Tick), [Effect::Read]);
    let swap = rig.swap_by(found(register(8, 5, ME, None)));
    assert_eq!(swap.register, register(9, 6, ME, None), "the epoch after the one that it never led");
}

#[test]
fn rule_8_a_learner_is_required_first_and_registered_when_it_has_what_is_committed() {
    let mut rig = alone();
    rig.hello(0, PEER);
    assert_eq!(swap_of(&rig.hello(1, PEER)), None);
    let required = rig.tell(Event::LaneMoved { lane: 0, end: 5, durable: 5 });
    assert_eq!(swap_of(&required), None);
    let mut rig = alone();
    rig.hello(0, PEER);
    let lowered = rig.hello(1, PEER);
    let serials: Vec<_> = lowered
        .iter()
        .filter_map(|effect| if let Effect::Gate { lane, through: 0, serial } = effect { Some((*lane, *serial)) } else { None })
        .collect();
    assert_eq!(serials.len(), 2, "both gates are lowered, and want an answer: {lowered:?}");
    for lane in 0..2 {
        assert_eq!(swap_of(&rig.ack(lane, 3)), None, "the log loop may commit by the old gate yet");
    }
    let (lane, serial) = serials[0];
    assert_eq!(swap_of(&rig.tell(Event::GateSeen { lane, serial, committed: 4 })), None);
    let (lane, serial) = serials[1];
    assert_eq!(swap_of(&rig.tell(Event::GateSeen { lane, serial, committed: 3 })), None, "block 3 of lane 0 is committed, and missing");
    let swap = swap_of(&rig.ack(0, 4)).expect("now it has everything");
    assert_eq!(swap.register.standby, Some(PEER));
}

#[test]
fn rule_8_a_learner_needs_what_earlier_epochs_and_earlier_lives_committed() {
    // The log of three blocks may be committed whole, though this process has committed nothing yet.
    let mut rig = Rig::with(settings(), KEPT);
    rig.start(register(7, 4, ME, Some(Member { incarnation: 19, ..PEER })));
    rig.lead();
    rig.hello(0, PEER);
    let mut effects = rig.hello(1, PEER);
    for lane in 0..2 {
        effects.extend(rig.ack(lane, 2));
    }
    assert_eq!(swap_of(&effects), None, "in place of a member that is gone");

    let mut rig = alone();
    rig.hello(0, PEER);
    for effect in rig.hello(1, PEER) {
        if let Effect::Gate { lane, serial, .. } = effect {
            rig.tell(Event::GateSeen { lane, serial, committed: 0 });
        }
    }
    rig.ack(0, 2);
    assert_eq!(swap_of(&rig.ack(1, 3)), None, "what the log loop has seen in its life is not all");
    assert!(swap_of(&rig.ack(0, 3)).is_some());
}

#[test]
fn rule_8_a_registration_without_an_answer_keeps_the_learner_required() {
    let mut rig = alone();
    rig.hello(0, PEER);
    let lowered = rig.hello(1, PEER);
    for effect in lowered {
        if let Effect::Gate { lane, serial, .. } = effect {
            rig.tell(Event::GateSeen { lane, serial, committed: 3 });
        }
    }
    rig.ack(0, 3);
    assert!(swap_of(&rig.ack(1, 3)).is_some());
    rig.tell(Event::SwapEnded(SwapEnd::Unknown));
    let lost = rig.tell(Event::LinkLost { lane: 0, reset: true });
    let read = rig.tell(found(register(8, 5, ME, None)));
    let moved = rig.tell(Event::LaneMoved { lane: 0, end: 9, durable: 9 });
    assert_eq!(gates(&[lost, read, moved].concat()), [], "reading the old version proves nothing");
}

#[test]
fn rule_9_deposed_is_who_is_not_named_and_he_orders_nothing_any_more() {
    for register in [register(9, 6, PEER, None), register(9, 6, ME, None)] {
        let mut rig = paired();
        rig.now_ns = 2_000;
        let mut effects = rig.tell(Event::Nack { promised: Epoch(6) });
        effects.extend(rig.tell(found(register)));
        let stop = effects.iter().position(|effect| *effect == Effect::StopServing).expect("clients are sent away");
        assert!(effects[stop..].contains(&Effect::CloseLink { lane: 1, why: Close::OldEpoch }));
        assert_eq!(effects.last(), Some(&Effect::StartOver(StartOver::Deposed)));
        assert_eq!(rig.shard.role(), Role::Ended);
        let late = Ack { epoch: Epoch(5), member: PEER, lane: 0, received: 9, durable: 9 };
        assert_eq!(rig.tell(Event::Ack(late)), [], "no acknowledgement after demotion");
        assert_eq!(rig.tell(Event::Tick), []);
    }
}

#[test]
fn rule_9_a_failed_swap_alone_deposes_nobody() {
    let mut rig = paired();
    rig.swap_by(Event::LinkLost { lane: 0, reset: true });
    let refused = rig.tell(Event::SwapEnded(SwapEnd::Refused(Some(register(9, 5, ME, Some(PEER))))));
    assert!(!refused.contains(&Effect::StopServing), "{refused:?}");
    assert_eq!(rig.shard.role(), Role::Primary(Epoch(5)));
}

#[test]
fn rule_10_a_log_is_cut_at_a_proved_point_with_the_log_closed_and_never_below_committed() {
    let cut = |verdict: Verdict, own: Option<Chain>| {
        let mut rig = Rig::with(settings(), KEPT);
        rig.start(register(7, 4, PEER, None));
        rig.tell(Event::LinkUp { lane: 0 });
        (rig.tell(welcome(0, 4, verdict, own)), rig)
    };
    let (effects, mut rig) = cut(Verdict::Truncate { to: end(2) }, Some(chain(2)));
    assert_eq!(effects, [Effect::Cut { lane: 0, to: end(2) }]);
    assert_eq!(rig.tell(Event::LaneCut { lane: 0, end: end(2) }), [Effect::Send { lane: 0, message: Outbound::Hello }]);
    let halted = |(effects, rig): (Vec<Effect>, Rig)| (effects.last().copied(), rig.shard.role());
    let below = Halt::CutBelowCommitted { lane: 0, to: 1, committed: 2 };
    assert_eq!(halted(cut(Verdict::Truncate { to: end(1) }, Some(chain(1)))), (Some(Effect::Halt(below)), Role::Ended));
    let differs = Some(Effect::Halt(Halt::NothingInCommon { lane: 0 }));
    assert_eq!(halted(cut(Verdict::Truncate { to: end(2) }, Some(chain(9)))), (differs, Role::Ended));
    assert_eq!(halted(cut(Verdict::Refuse(Refusal::NothingInCommon), None)), (differs, Role::Ended));

    for own in [Some(chain(2)), None] {
        let mut rig = following();
        rig.tell(Event::LinkUp { lane: 0 });
        let open = rig.tell(welcome(0, 4, Verdict::Truncate { to: end(2) }, own));
        assert_eq!(open, [Effect::StartOver(StartOver::Rejoin)], "an open log is not cut, and what is not written yet not compared");
    }
}

#[test]
fn rule_10_a_verdict_on_another_end_says_nothing() {
    let mut rig = Rig::with(settings(), KEPT);
    rig.start(register(7, 4, PEER, None));
    rig.tell(Event::LinkUp { lane: 0 });
    let mut late = welcome(0, 4, Verdict::Truncate { to: end(2) }, Some(chain(2)));
    if let Event::Welcome { judged, .. } = &mut late {
        *judged = end(5);
    }
    assert_eq!(rig.tell(late), [Effect::CloseLink { lane: 0, why: Close::Unfitting }]);
}

#[test]
fn rule_11_a_node_with_a_new_disk_is_another_member() {
    let mut rig = paired();
    let wiped = Member { incarnation: 21, ..PEER };
    for lane in 0..2 {
        rig.hello(lane, wiped);
        let ack = Ack { epoch: Epoch(5), member: wiped, lane, received: 3, durable: 3 };
        rig.tell(Event::Ack(ack));
    }
    rig.tell(Event::LaneMoved { lane: 0, end: 9, durable: 9 });
    let ack = Ack { epoch: Epoch(5), member: wiped, lane: 0, received: 9, durable: 9 };
    assert_eq!(gates(&rig.tell(Event::Ack(ack))), [], "who was in sync is still waited for");
}

#[test]
fn rule_12_without_the_arbiter_data_flows_and_nothing_changes() {
    let mut rig = paired();
    rig.now_ns = 2_000;
    rig.tell(Event::HeartbeatAck { lane: 0, epoch: Epoch(5) });
    assert!(rig.tell(Event::Tick).contains(&Effect::Read));
    assert_eq!(rig.tell(Event::RegisterRead(Read::Unreachable)), []);
    rig.tell(Event::LaneMoved { lane: 0, end: 9, durable: 9 });
    assert_eq!(gates(&rig.ack(0, 9)), [(0, 9)]);
}

#[test]
fn rule_12_a_register_that_goes_back_or_comes_from_another_arbiter_freezes() {
    let other = Event::RegisterRead(Read::Found { arbiter: 8, register: Some(register(8, 5, ME, Some(PEER))) });
    let back = Freeze::Regressed { seen: 8, found: 7 };
    for (event, why) in [(found(register(7, 4, ME, Some(PEER))), back), (other, Freeze::OtherArbiter)] {
        let mut rig = paired();
        rig.now_ns = 2_000;
        rig.tell(Event::HeartbeatAck { lane: 0, epoch: Epoch(5) });
        rig.tell(Event::Tick);
        assert_eq!(rig.tell(event), [Effect::Note(Note::Frozen(why))]);
        assert_eq!(swap_of(&rig.tell(Event::LinkLost { lane: 0, reset: true })), None, "nothing is swapped any more");
        assert_eq!(rig.shard.frozen(), Some(why));
    }
}

#[test]
fn rule_12_a_freeze_ends_when_the_register_that_was_known_is_there_again() {
    let known = register(8, 5, ME, Some(PEER));
    let other = Event::RegisterRead(Read::Found { arbiter: 8, register: None });
    let forked = found(register(8, 5, ME, None));
    let again = |rig: &mut Rig, event: Event| {
        rig.now_ns += 2_000;
        rig.tell(Event::HeartbeatAck { lane: 0, epoch: Epoch(5) });
        rig.tell(Event::HeartbeatAck { lane: 1, epoch: Epoch(5) });
        rig.tell(Event::Tick);
        rig.tell(event)
    };
    for event in [found(register(7, 4, ME, Some(PEER))), other, forked] {
        let mut rig = paired();
        assert!(matches!(again(&mut rig, event.clone())[..], [Effect::Note(Note::Frozen(_))]));
        assert_eq!(again(&mut rig, event), [], "said once");
        assert!(again(&mut rig, found(known)).contains(&Effect::Note(Note::Trusted)));
        assert_eq!(rig.shard.frozen(), None);
        assert!(swap_of(&rig.tell(Event::LinkLost { lane: 0, reset: true })).is_some(), "and changes are made again");
    }
}

#[test]
fn rule_12_without_the_arbiter_nothing_is_handed_over() {
    let mut rig = paired();
    rig.now_ns = 2_000;
    for lane in 0..2 {
        rig.tell(Event::HeartbeatAck { lane, epoch: Epoch(5) });
    }
    rig.tell(Event::Tick);
    rig.tell(Event::RegisterRead(Read::Unreachable));
    for event in [Event::DiskSlow, Event::Order(Order::Switchover)] {
        assert_eq!(rig.tell(event), [Effect::Note(Note::NoHandover)], "the intake goes on");
    }
    rig.now_ns = 4_000;
    for lane in 0..2 {
        rig.tell(Event::HeartbeatAck { lane, epoch: Epoch(5) });
    }
    rig.tell(Event::Tick);
    rig.tell(found(register(8, 5, ME, Some(PEER))));
    assert_eq!(rig.tell(Event::Order(Order::Switchover)), [Effect::StopIntake], "it answers again");
}

#[test]
fn rule_13_a_storage_fault_is_written_down_and_ends_the_node() {
    for mut rig in [paired(), following()] {
        let effects = rig.tell(Event::StorageFault);
        let Effect::Persist(kept) = effects[1] else { panic!("{effects:?}") };
        assert_eq!((effects[0], effects[2]), (Effect::StopServing, Effect::Halt(Halt::StorageFault)));
        assert!(kept.needs_repair);
        assert_eq!(rig.shard.role(), Role::Ended);
    }
}

/// What a node has written down whose disk has failed.
const FAILED: Kept = Kept { needs_repair: true, ..KEPT };

#[test]
fn rule_13_a_disk_that_has_failed_leads_by_an_operators_word_only() {
    let mut rig = Rig::with(settings(), FAILED);
    let named = register(7, 4, ME, None);
    assert_eq!(rig.start(named), [], "it does not lead again, whatever the register says");
    assert_eq!(rig.shard.role(), Role::Standby);
    rig.now_ns = 3 * DETECT_NS;
    assert_eq!(rig.tell(Event::Tick), [Effect::Read]);
    assert_eq!(rig.tell(found(named)), [Effect::Note(Note::MayNotLead)]);
    assert_eq!(rig.tell(Event::Order(Order::Promote { fenced: PEER.node })), [Effect::Read]);
    assert_eq!(rig.swap_by(found(named)).register, register(8, 5, ME, None));
    let promised = rig.tell(Event::SwapEnded(SwapEnd::Swapped));
    let kept = promised.iter().find_map(|effect| if let Effect::Persist(kept) = effect { Some(*kept) } else { None });
    assert_eq!(kept.map(|kept| (kept.promised, kept.needs_repair)), Some((Epoch(5), false)), "{promised:?}");

    let mut rig = Rig::with(settings(), FAILED);
    let in_sync = register(7, 4, PEER, Some(ME));
    rig.start(in_sync);
    rig.tell(Event::Order(Order::Promote { fenced: ME.node }));
    assert_eq!(rig.tell(found(in_sync)), [Effect::Note(Note::MayNotLead)], "the word must name the primary");
    rig.tell(Event::Order(Order::Promote { fenced: PEER.node }));
    assert_eq!(rig.swap_by(found(in_sync)).register, register(8, 5, ME, None));
}

#[test]
fn rule_13_a_disk_is_repaired_when_it_holds_all_that_is_committed() {
    let heartbeat = |lane, committed| Event::Heartbeat { lane, epoch: Epoch(4), committed };
    let repairs = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Persist(kept) if !kept.needs_repair));
    let mut rig = Rig::with(settings(), FAILED);
    rig.start(register(7, 4, PEER, Some(ME)));
    rig.tell(Event::LinkUp { lane: 0 });
    rig.tell(welcome(0, 4, Verdict::Follow { from: end(3) }, None));
    assert!(!repairs(&rig.tell(heartbeat(0, vec![3, 3]))), "lane 1 does not follow yet");
    rig.tell(Event::LinkUp { lane: 1 });
    rig.tell(welcome(1, 4, Verdict::Follow { from: end(3) }, None));
    assert!(!repairs(&rig.tell(heartbeat(0, vec![3, 4]))), "a block is committed that is not durable here");
    let repaired = rig.tell(heartbeat(1, vec![3, 3]));
    assert!(repairs(&repaired) && repaired.contains(&Effect::Note(Note::Repaired)), "{repaired:?}");
    assert!(!repairs(&rig.tell(heartbeat(1, vec![3, 3]))), "once is enough");

    let mut rig = Rig::with(settings(), FAILED);
    rig.start(register(7, 4, PEER, None));
    for lane in 0..2 {
        rig.tell(Event::LinkUp { lane });
        rig.tell(welcome(lane, 4, Verdict::Follow { from: end(3) }, None));
    }
    assert!(!repairs(&rig.tell(heartbeat(0, vec![3, 3]))), "a learner is none yet");
}

#[test]
fn rule_13_a_disk_that_hangs_hands_over_and_not_twice_in_a_row() {
    let mut rig = paired();
    assert_eq!(rig.tell(Event::DiskSlow), [Effect::StopIntake]);
    assert_eq!(rig.tell(Event::DiskSlow), []);
    let mut rig = alone();
    assert_eq!(rig.tell(Event::DiskSlow), [Effect::Note(Note::NoHandover)], "to whom?");
    assert_eq!(rig.tell(Event::DiskSlow), [], "and that is not asked again at once");
}

#[test]
fn rule_14_a_blank_register_is_not_begun_anew_by_who_has_seen_one() {
    let blank = Event::RegisterRead(Read::Found { arbiter: ARBITER, register: None });
    let mut rig = Rig::with(settings(), KEPT);
    rig.tell(Event::Tick);
    assert_eq!(rig.tell(blank.clone()), [Effect::Note(Note::Frozen(Freeze::Regressed { seen: 7, found: 0 }))]);
    assert_eq!(rig.shard.role(), Role::Starting);
    let mut rig = Rig::with(settings(), Kept { promised: Epoch(4), ..Kept::default() });
    rig.tell(Event::Tick);
    let swap = rig.swap_by(blank);
    assert_eq!((swap.expected, swap.register), (0, register(1, 5, ME, None)), "who has seen none begins it, above its own epochs");
}

#[test]
fn rule_14_a_member_in_sync_never_begins_its_log_anew() {
    let restart = |in_sync: Option<Member>, shared: u64| {
        let mut rig = Rig::with(settings(), KEPT);
        rig.start(register(7, 4, PEER, in_sync));
        rig.tell(Event::LinkUp { lane: 0 });
        rig.tell(welcome(0, 4, Verdict::Restart { from: end(9), shared }, None)).last().copied()
    };
    assert_eq!(restart(Some(ME), 0), Some(Effect::Halt(Halt::RestartInSync { lane: 0 })));
    assert_eq!(restart(None, 3), Some(Effect::Restart { lane: 0, from: end(9), shared: 3 }), "a learner does, as ordered");
    assert_eq!(restart(None, 0), Some(Effect::Restart { lane: 0, from: end(9), shared: 2 }), "what is committed is shared");
}

#[test]
fn rule_14_who_was_left_behind_learns_it_from_the_register_before_it_begins_anew() {
    let mut rig = Rig::with(settings(), KEPT);
    rig.start(register(7, 4, PEER, Some(ME)));
    rig.tell(Event::LinkUp { lane: 0 });
    let mut restart = welcome(0, 4, Verdict::Restart { from: end(9), shared: 3 }, None);
    if let Event::Welcome { register_version, .. } = &mut restart {
        *register_version = 8;
    }
    assert_eq!(rig.tell(restart), [Effect::Read, Effect::CloseLink { lane: 0, why: Close::Refused }], "the primary knows a newer register");
    rig.tell(found(register(8, 4, PEER, None)));
    rig.tell(Event::LinkUp { lane: 0 });
    let again = rig.tell(welcome(0, 4, Verdict::Restart { from: end(9), shared: 3 }, None));
    assert_eq!(again, [Effect::Restart { lane: 0, from: end(9), shared: 3 }]);
}
