//! Every state against every event: what is answered, and where the group stands then.

use super::*;

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    JoinNew,
    JoinNewIdFirst,
    JoinPending,
    JoinLeader,
    JoinFollower,
    JoinFollowerChanged,
    JoinUnknown,
    JoinOtherType,
    SyncLeader,
    SyncFollower,
    SyncOldGeneration,
    SyncUnknown,
    Heartbeat,
    HeartbeatOldGeneration,
    HeartbeatUnknown,
    LeaveLeader,
    LeaveFollower,
    LeaveUnknown,
    CommitMember,
    CommitOldGeneration,
    CommitByHand,
    GoneOfNobody,
    Delete,
    SessionOver,
}

use Case::*;

const CASES: [Case; 24] = [
    JoinNew,
    JoinNewIdFirst,
    JoinPending,
    JoinLeader,
    JoinFollower,
    JoinFollowerChanged,
    JoinUnknown,
    JoinOtherType,
    SyncLeader,
    SyncFollower,
    SyncOldGeneration,
    SyncUnknown,
    Heartbeat,
    HeartbeatOldGeneration,
    HeartbeatUnknown,
    LeaveLeader,
    LeaveFollower,
    LeaveUnknown,
    CommitMember,
    CommitOldGeneration,
    CommitByHand,
    GoneOfNobody,
    Delete,
    SessionOver,
];
const STATES: [State; 5] = [State::Empty, State::Preparing, State::Completing, State::Stable, State::Dead];

/// What comes of an event: `waits`, an error's name, or `-` where nothing is answered.
type Row = (Case, [(&'static str, State); 5]);

/// The table. Columns: Empty, Preparing, Completing, Stable, Dead. In the three in the middle the group has a leader, a
/// follower, and an id that was given and has not come back; in Preparing only the leader has joined again.
#[rustfmt::skip]
fn rows() -> Vec<Row> {
    use State::{Completing as C, Dead as D, Empty as E, Preparing as P, Stable as S};
    const OK: &str = "NONE";
    const WAITS: &str = "waits";
    const UNKNOWN: &str = "UNKNOWN_MEMBER_ID";
    const OLD: &str = "ILLEGAL_GENERATION";
    const AGAIN: &str = "REBALANCE_IN_PROGRESS";
    const OTHER: &str = "INCONSISTENT_GROUP_PROTOCOL";
    const BACK: &str = "MEMBER_ID_REQUIRED";
    const BUSY: &str = "NON_EMPTY_GROUP";
    vec![
        //                        Empty          Preparing      Completing     Stable         Dead
        (JoinNew,                [(WAITS, P),   (WAITS, P),    (WAITS, P),    (WAITS, P),    (WAITS, P)]),
        (JoinNewIdFirst,         [(BACK, E),    (BACK, P),     (BACK, C),     (BACK, S),     (BACK, E)]),
        (JoinPending,            [(WAITS, P),   (WAITS, P),    (WAITS, P),    (WAITS, P),    (UNKNOWN, D)]),
        (JoinLeader,             [(UNKNOWN, E), (WAITS, P),    (OK, C),       (WAITS, P),    (UNKNOWN, D)]),
        // The given id is still waited for, so the follower's join alone does not end the wait.
        (JoinFollower,           [(UNKNOWN, E), (WAITS, P),    (OK, C),       (OK, S),       (UNKNOWN, D)]),
        (JoinFollowerChanged,    [(UNKNOWN, E), (WAITS, P),    (WAITS, P),    (WAITS, P),    (UNKNOWN, D)]),
        (JoinUnknown,            [(UNKNOWN, E), (UNKNOWN, P),  (UNKNOWN, C),  (UNKNOWN, S),  (UNKNOWN, D)]),
        (JoinOtherType,          [(WAITS, P),   (OTHER, P),    (OTHER, C),    (OTHER, S),    (WAITS, P)]),
        (SyncLeader,             [(UNKNOWN, E), (AGAIN, P),    (OK, S),       (OK, S),       (UNKNOWN, D)]),
        (SyncFollower,           [(UNKNOWN, E), (AGAIN, P),    (WAITS, C),    (OK, S),       (UNKNOWN, D)]),
        (SyncOldGeneration,      [(UNKNOWN, E), (OLD, P),      (OLD, C),      (OLD, S),      (UNKNOWN, D)]),
        (SyncUnknown,            [(UNKNOWN, E), (UNKNOWN, P),  (UNKNOWN, C),  (UNKNOWN, S),  (UNKNOWN, D)]),
        (Heartbeat,              [(UNKNOWN, E), (AGAIN, P),    (OK, C),       (OK, S),       (UNKNOWN, D)]),
        (HeartbeatOldGeneration, [(UNKNOWN, E), (OLD, P),      (OLD, C),      (OLD, S),      (UNKNOWN, D)]),
        (HeartbeatUnknown,       [(UNKNOWN, E), (UNKNOWN, P),  (UNKNOWN, C),  (UNKNOWN, S),  (UNKNOWN, D)]),
        (LeaveLeader,            [(UNKNOWN, E), (OK, P),       (OK, P),       (OK, P),       (UNKNOWN, D)]),
        (LeaveFollower,          [(UNKNOWN, E), (OK, P),       (OK, P),       (OK, P),       (UNKNOWN, D)]),
        (LeaveUnknown,           [(UNKNOWN, E), (UNKNOWN, P),  (UNKNOWN, C),  (UNKNOWN, S),  (UNKNOWN, D)]),
        (CommitMember,           [(UNKNOWN, E), (OK, P),       (AGAIN, C),    (OK, S),       (OLD, D)]),
        (CommitOldGeneration,    [(UNKNOWN, E), (OLD, P),      (OLD, C),      (OLD, S),      (OLD, D)]),
        (CommitByHand,           [(OK, E),      (UNKNOWN, P),  (UNKNOWN, C),  (UNKNOWN, S),  (OK, D)]),
        (GoneOfNobody,           [("-", E),     ("-", P),      ("-", C),      ("-", S),      ("-", D)]),
        (Delete,                 [(OK, D),      (BUSY, P),     (BUSY, C),     (BUSY, S),     (OK, D)]),
        // The given id ends with the sessions; in Preparing the leader waits, so it is not silent, and is alone then.
        (SessionOver,            [("-", E),     ("-", C),      ("-", E),      ("-", E),      ("-", D)]),
    ]
}

/// A group in the state, and its generation.
fn rig(state: State) -> (Rig, i32) {
    let mut rig = Rig::new();
    let mut generation = 0;
    match state {
        State::Dead => return (rig, generation),
        State::Empty => {}
        State::Completing => generation = rig.completing(&["leader", "follower"]),
        State::Stable | State::Preparing => generation = rig.stable(&["leader", "follower"]),
    }
    let pending = rig.join(Join { id_first: true, ..fresh("pending") });
    assert_eq!(rig.joined(pending).error, ErrorCode::MemberIdRequired);
    if state == State::Preparing {
        rig.join(again("leader"));
    }
    assert_eq!(rig.state(), state);
    (rig, generation)
}

/// Makes it happen; what was answered.
fn happen(rig: &mut Rig, case: Case, generation: i32) -> String {
    let ticket = match case {
        JoinNew => rig.join(fresh("new")),
        JoinNewIdFirst => rig.join(Join { id_first: true, ..fresh("new") }),
        JoinPending => rig.join(again("pending")),
        JoinLeader => rig.join(again("leader")),
        JoinFollower => rig.join(again("follower")),
        JoinFollowerChanged => rig.join(Join { protocols: protocols(&["range", "sticky"]), ..again("follower") }),
        JoinUnknown => rig.join(again("nobody")),
        JoinOtherType => rig.join(Join { protocol_type: "connect".to_owned(), ..fresh("new") }),
        SyncLeader => rig.sync(speaker("leader", generation), &[]),
        SyncFollower => rig.sync(speaker("follower", generation), &[]),
        SyncOldGeneration => rig.sync(speaker("follower", generation - 1), &[]),
        SyncUnknown => rig.sync(speaker("nobody", generation), &[]),
        Heartbeat => rig.send(|ticket| Event::Heartbeat(ticket, speaker("follower", generation))),
        HeartbeatOldGeneration => rig.send(|ticket| Event::Heartbeat(ticket, speaker("follower", generation - 1))),
        HeartbeatUnknown => rig.send(|ticket| Event::Heartbeat(ticket, speaker("nobody", generation))),
        LeaveLeader => rig.send(|ticket| Event::Leave(ticket, GROUP.to_owned(), vec![leaver("leader")])),
        LeaveFollower => rig.send(|ticket| Event::Leave(ticket, GROUP.to_owned(), vec![leaver("follower")])),
        LeaveUnknown => rig.send(|ticket| Event::Leave(ticket, GROUP.to_owned(), vec![leaver("nobody")])),
        CommitMember => rig.send(|ticket| Event::Commit(ticket, speaker("follower", generation))),
        CommitOldGeneration => rig.send(|ticket| Event::Commit(ticket, speaker("follower", generation + 7))),
        CommitByHand => rig.send(|ticket| Event::Commit(ticket, speaker("", -1))),
        GoneOfNobody => {
            rig.coordinator.on(rig.now_ms, Event::Gone(Ticket(u64::MAX), GROUP.to_owned()), &mut rig.answers);
            return "-".to_owned();
        }
        Delete => rig.send(|ticket| Event::Delete(ticket, GROUP.to_owned())),
        SessionOver => {
            rig.pass(SESSION_MS);
            return "-".to_owned();
        }
    };
    match rig.answer(ticket) {
        None => "waits".to_owned(),
        Some(Answer::Joined(joined)) => joined.error.name().to_owned(),
        Some(Answer::Synced(synced)) => synced.error.name().to_owned(),
        Some(Answer::Plain(error)) => error.name().to_owned(),
        Some(Answer::Left(left)) => left[0].name().to_owned(),
    }
}

#[test]
fn every_state_answers_every_event_as_the_table_says() {
    let rows = rows();
    assert_eq!(rows.iter().map(|(case, _)| *case).collect::<Vec<_>>(), CASES, "one row an event");
    for (case, columns) in rows {
        for (from, (answer, to)) in STATES.into_iter().zip(columns) {
            let (mut rig, generation) = rig(from);
            let found = happen(&mut rig, case, generation);
            assert_eq!((found.as_str(), rig.state()), (answer, to), "{case:?} in {from:?}");
        }
    }
}
