//! What members experience, told from beginning to end.

use super::*;

#[test]
fn first_members_are_joined_together_after_the_initial_delay() {
    let mut rig = Rig::new();
    let first = rig.join(fresh("a"));
    rig.pass(BOUNDS.initial_delay_ms - 50);
    let second = rig.join(fresh("b"));
    rig.pass(BOUNDS.initial_delay_ms - 50);
    assert_eq!(rig.answer(first), None, "one more member puts the end off");
    rig.pass(50);
    let (first, second) = (rig.joined(first), rig.joined(second));
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_eq!((first.leader.as_str(), second.leader.as_str()), ("a", "a"));
    assert_eq!((first.members.len(), second.members.len()), (2, 0), "the leader alone learns of everybody");
    assert_eq!(first.members[1].metadata, "range");
}

#[test]
fn initial_delay_is_bounded_however_many_come() {
    let mut rig = Rig::new();
    let first = rig.join(Join { id_first: false, ..fresh("a") });
    for _ in 0..40 {
        rig.pass(100);
        if rig.state() == State::Completing {
            break;
        }
        // Comes and goes, so that there is room for the next.
        let next = rig.join(fresh("b"));
        rig.leave(vec![leaver("b")]);
        rig.answer(next);
    }
    assert_eq!(rig.joined(first).error, ErrorCode::None);
    assert!(rig.now_ms <= 8 * BOUNDS.initial_delay_ms + 100, "waited {} ms", rig.now_ms);
}

#[test]
fn a_member_that_comes_makes_the_others_join_again() {
    let mut rig = Rig::new();
    let generation = rig.stable(&["a"]);
    let new = rig.join(fresh("b"));
    assert_eq!(rig.heartbeat(speaker("a", generation)), ErrorCode::RebalanceInProgress);
    assert_eq!(rig.commit(speaker("a", generation)), ErrorCode::None, "what was read is committed before joining again");
    let old = rig.join(again("a"));
    let (new, old) = (rig.joined(new), rig.joined(old));
    assert_eq!((new.generation, old.generation), (generation + 1, generation + 1));
    assert_eq!(new.leader, "a", "the leader stays");
    let waiting = rig.sync(speaker("b", new.generation), &[]);
    assert_eq!(rig.answer(waiting), None);
    let leading = rig.sync(speaker("a", new.generation), &[("a", "0"), ("b", "1")]);
    assert_eq!((rig.synced(leading).assignment, rig.synced(waiting).assignment), (Bytes::from("0"), Bytes::from("1")));
}

#[test]
fn who_does_not_join_again_in_time_is_dropped() {
    let mut rig = Rig::new();
    let generation = rig.stable(&["a", "b"]);
    let new = rig.join(fresh("c"));
    let old = rig.join(again("a"));
    for _ in 0..REBALANCE_MS / 5_000 {
        // It is alive, and still does not join.
        assert_eq!(rig.heartbeat(speaker("b", generation)), ErrorCode::RebalanceInProgress);
        rig.pass(5_000);
    }
    assert_eq!((rig.joined(new).error, rig.joined(old).members.len()), (ErrorCode::None, 2));
    assert_eq!(rig.heartbeat(speaker("b", generation)), ErrorCode::UnknownMemberId);
}

#[test]
fn who_falls_silent_is_dropped_and_the_others_join_again() {
    let mut rig = Rig::new();
    let generation = rig.stable(&["a", "b"]);
    rig.pass(SESSION_MS - 1);
    assert_eq!(rig.heartbeat(speaker("b", generation)), ErrorCode::None);
    rig.pass(1);
    assert_eq!(rig.state(), State::Preparing, "a was silent");
    let left = rig.join(again("b"));
    let joined = rig.joined(left);
    assert_eq!((joined.generation, joined.leader.as_str(), joined.members.len()), (generation + 1, "b", 1));
}

#[test]
fn who_does_not_ask_for_its_assignment_is_dropped() {
    let mut rig = Rig::new();
    let generation = rig.completing(&["a", "b"]);
    let waiting = rig.sync(speaker("b", generation), &[]);
    for _ in 0..REBALANCE_MS / 5_000 {
        assert!(matches!(rig.heartbeat(speaker("a", generation)), ErrorCode::None));
        rig.pass(5_000);
    }
    assert_eq!(rig.synced(waiting).error, ErrorCode::RebalanceInProgress);
    assert_eq!(rig.heartbeat(speaker("a", generation)), ErrorCode::UnknownMemberId);
}

#[test]
fn the_last_member_that_leaves_empties_the_group_and_time_ends_it() {
    let mut rig = Rig::new();
    let generation = rig.stable(&["a", "b"]);
    assert_eq!(rig.leave(vec![leaver("a"), leaver("nobody"), leaver("b")]), [ErrorCode::None, ErrorCode::UnknownMemberId, ErrorCode::None]);
    assert_eq!(rig.state(), State::Empty);
    assert_eq!(rig.coordinator.describe(GROUP).expect("kept").generation, generation + 1);
    rig.pass(BOUNDS.empty_ms_max);
    assert_eq!(rig.state(), State::Dead);
}

#[test]
fn an_id_that_does_not_come_back_is_forgotten() {
    let mut rig = Rig::new();
    let generation = rig.stable(&["a"]);
    let told = rig.join(Join { id_first: true, ..fresh("b") });
    assert_eq!(rig.joined(told).member, "b");
    assert_eq!(rig.heartbeat(speaker("a", generation)), ErrorCode::None, "nobody is disturbed by an id alone");
    rig.pass(SESSION_MS / 2);
    assert_eq!(rig.heartbeat(speaker("a", generation)), ErrorCode::None);
    rig.pass(SESSION_MS / 2);
    let late = rig.join(again("b"));
    assert_eq!(rig.joined(late).error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_static_member_that_starts_anew_disturbs_nobody() {
    for skips_assignment in [false, true] {
        let mut rig = Rig::new();
        let (first, second) = (rig.join(named("one", "a")), rig.join(named("two", "b")));
        rig.pass(BOUNDS.initial_delay_ms);
        let generation = rig.joined(first).generation;
        rig.joined(second);
        let assignments = [("a", "0"), ("b", "1")];
        for id in ["a", "b"] {
            let ticket = rig.sync(speaker(id, generation), &assignments);
            rig.answer(ticket);
        }
        // The leader itself starts anew.
        let anew = rig.join(Join { skips_assignment, ..named("one", "c") });
        let joined = rig.joined(anew);
        assert_eq!((joined.error, joined.generation, joined.member.as_str()), (ErrorCode::None, generation, "c"));
        if skips_assignment {
            assert_eq!((joined.leader.as_str(), joined.skip_assignment, joined.members.len()), ("c", true, 2));
        } else {
            assert_eq!((joined.leader.as_str(), joined.skip_assignment, joined.members.len()), ("a", false, 0));
        }
        let assigned = rig.sync(speaker("c", generation), &[]);
        assert_eq!(rig.synced(assigned).assignment, "0", "what its former self was given");
        assert_eq!(rig.heartbeat(Speaker { instance: Some("one".to_owned()), ..speaker("a", generation) }), ErrorCode::FencedInstanceId);
        assert_eq!(rig.heartbeat(Speaker { instance: Some("two".to_owned()), ..speaker("b", generation) }), ErrorCode::None);
        assert_eq!(rig.state(), State::Stable);
    }
}

#[test]
fn requests_of_a_replaced_member_are_fenced() {
    let mut rig = Rig::new();
    let waiting = rig.join(named("one", "a"));
    let anew = rig.join(named("one", "b"));
    assert_eq!(rig.joined(waiting).error, ErrorCode::FencedInstanceId);
    rig.pass(BOUNDS.initial_delay_ms);
    let joined = rig.joined(anew);
    assert_eq!((joined.leader.as_str(), joined.members.len()), ("b", 1));
    for (event_name, error) in [
        ("join", {
            let ticket = rig.join(Join { member: "a".to_owned(), ..named("one", "unused") });
            rig.joined(ticket).error
        }),
        ("leave", rig.leave(vec![Leaver { member: "a".to_owned(), instance: Some("one".to_owned()) }])[0]),
    ] {
        assert_eq!(error, ErrorCode::FencedInstanceId, "{event_name}");
    }
    assert_eq!(rig.leave(vec![Leaver { member: String::new(), instance: Some("one".to_owned()) }]), [ErrorCode::None]);
    assert_eq!(rig.state(), State::Empty);
}

#[test]
fn a_static_member_that_changes_the_protocol_makes_all_join_again() {
    let mut rig = Rig::new();
    let first = rig.join(Join { protocols: protocols(&["range", "sticky"]), ..named("one", "a") });
    rig.pass(BOUNDS.initial_delay_ms);
    let generation = rig.joined(first).generation;
    let synced = rig.sync(speaker("a", generation), &[]);
    rig.synced(synced);
    let anew = rig.join(Join { protocols: protocols(&["sticky"]), ..named("one", "b") });
    let joined = rig.joined(anew);
    assert_eq!((joined.generation, joined.protocol.as_deref()), (generation + 1, Some("sticky")));
}

#[test]
fn static_members_alone_are_waited_for_until_their_sessions_end() {
    let mut rig = Rig::new();
    let first = rig.join(named("one", "a"));
    rig.pass(BOUNDS.initial_delay_ms);
    let generation = rig.joined(first).generation;
    let synced = rig.sync(speaker("a", generation), &[]);
    rig.synced(synced);
    let new = rig.join(Join { rebalance_ms: 1_000, session_ms: 60_000, ..fresh("b") });
    // Its client goes away while it waits; it was never told its id.
    rig.coordinator.on(rig.now_ms, Event::Gone(new, GROUP.to_owned()), &mut rig.answers);
    assert_eq!(rig.state(), State::Preparing);
    rig.pass(SESSION_MS);
    assert_eq!(rig.state(), State::Empty);
}

#[test]
fn who_goes_away_while_waiting_is_dropped_at_once_if_it_does_not_know_its_id() {
    let mut rig = Rig::new();
    let gone = rig.join(fresh("a"));
    rig.coordinator.on(rig.now_ms, Event::Gone(gone, GROUP.to_owned()), &mut rig.answers);
    assert_eq!((rig.state(), rig.answer(gone)), (State::Empty, None));
    // One that knows its id may come back with it, within its session.
    let told = rig.join(Join { id_first: true, ..fresh("b") });
    rig.joined(told);
    let gone = rig.join(again("b"));
    rig.coordinator.on(rig.now_ms, Event::Gone(gone, GROUP.to_owned()), &mut rig.answers);
    assert_eq!(rig.state(), State::Preparing);
    let back = rig.join(again("b"));
    rig.pass(BOUNDS.initial_delay_ms);
    assert_eq!(rig.joined(back).error, ErrorCode::None);
}

#[test]
fn a_join_sent_twice_is_answered_twice() {
    let mut rig = Rig::new();
    let generation = rig.stable(&["a", "b"]);
    let new = rig.join(fresh("c"));
    let (once, twice) = (rig.join(again("a")), rig.join(again("a")));
    assert_eq!(rig.joined(once).error, ErrorCode::RebalanceInProgress);
    rig.join(again("b"));
    assert_eq!((rig.joined(twice).generation, rig.joined(new).generation), (generation + 1, generation + 1));
}

#[test]
fn protocol_is_the_one_that_most_like_best_of_what_all_can() {
    let mut rig = Rig::new();
    let with = |id, names| Join { protocols: protocols(names), ..fresh(id) };
    let tickets = [
        rig.join(with("a", &["own", "range", "sticky"])),
        rig.join(with("b", &["sticky", "range"])),
        rig.join(with("c", &["sticky", "range"])),
    ];
    let stranger = rig.join(with("d", &["own"]));
    assert_eq!(rig.joined(stranger).error, ErrorCode::InconsistentGroupProtocol);
    rig.pass(BOUNDS.initial_delay_ms);
    for ticket in tickets {
        assert_eq!(rig.joined(ticket).protocol.as_deref(), Some("sticky"));
    }
}

#[test]
fn sync_that_believes_in_another_protocol_is_refused() {
    let mut rig = Rig::new();
    let generation = rig.completing(&["a"]);
    let believes = |protocol_type: &str, protocol: &str| Sync {
        speaker: speaker("a", generation),
        protocol_type: Some(protocol_type.to_owned()),
        protocol: Some(protocol.to_owned()),
        assignments: Vec::new(),
    };
    for (kind, protocol, error) in [
        ("consumer", "sticky", ErrorCode::InconsistentGroupProtocol),
        ("connect", "range", ErrorCode::InconsistentGroupProtocol),
        ("consumer", "range", ErrorCode::None),
    ] {
        let ticket = rig.send(|ticket| Event::Sync(ticket, believes(kind, protocol)));
        assert_eq!(rig.synced(ticket).error, error, "{kind} {protocol}");
    }
}

#[test]
fn every_bound_answers_with_its_error() {
    let mut rig = Rig::new();
    let mut refused = |join: Join| {
        let ticket = rig.join(join);
        match rig.answer(ticket) {
            Some(Answer::Joined(joined)) => joined.error,
            None => ErrorCode::None,
            other => panic!("{other:?}"),
        }
    };
    let big = |bytes| vec![Protocol { name: "range".to_owned(), metadata: vec![0; bytes].into() }];
    assert_eq!(refused(Join { session_ms: 999, ..fresh("a") }), ErrorCode::InvalidSessionTimeout);
    assert_eq!(refused(Join { session_ms: 60_001, ..fresh("a") }), ErrorCode::InvalidSessionTimeout);
    assert_eq!(refused(Join { protocols: Vec::new(), ..fresh("a") }), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(refused(Join { protocol_type: String::new(), ..fresh("a") }), ErrorCode::InconsistentGroupProtocol);
    for id in ["a", "b", "c", "d"] {
        assert_eq!(refused(fresh(id)), ErrorCode::None);
    }
    assert_eq!(refused(fresh("e")), ErrorCode::GroupMaxSizeReached, "members");
    let other = |group: &str| Join { group: group.to_owned(), ..fresh("x") };
    assert_eq!(refused(Join { protocols: big(2_000), ..other("second") }), ErrorCode::GroupMaxSizeReached, "bytes of a group");
    assert_eq!(refused(Join { protocols: big(1_900), ..other("second") }), ErrorCode::None);
    assert_eq!(refused(Join { protocols: big(1_900), ..other("third") }), ErrorCode::CoordinatorNotAvailable, "bytes of all");
    assert_eq!(refused(other("third")), ErrorCode::None);
    assert_eq!(refused(other("fourth")), ErrorCode::CoordinatorNotAvailable, "groups");
}
