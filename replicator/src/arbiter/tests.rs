use super::*;
use crate::register::Mode;
use headworks_format::{Epoch, PairId};

const ME: Member = Member { node: 1, incarnation: 10 };
const PEER: Member = Member { node: 2, incarnation: 20 };

fn register(version: u64, standby: Option<Member>) -> Register {
    Register { version, pair: PairId(7), lanes: 1, segment_bytes: 1 << 28, epoch: Epoch(3), primary: ME, standby, mode: Mode::Auto }
}

fn read(register: Register) -> Read {
    Read::Found { arbiter: 9, register: Some(register) }
}

/// One that has read version 5, in which PEER is in sync.
fn tracker() -> Tracker {
    let mut tracker = Tracker::new(Rules::ALL, &Kept { register_version: 4, ..Kept::default() });
    assert_eq!(tracker.read(), Some(Effect::Read));
    assert_eq!(tracker.read(), None, "one at a time");
    assert_eq!(tracker.on_read(read(register(5, Some(PEER)))), Ok(()));
    tracker
}

fn standbys(tracker: &Tracker) -> Vec<Member> {
    tracker.standbys().collect()
}

#[test]
fn a_confirmed_swap_is_known_and_a_refused_one_is_lost_or_had_landed() {
    let shrunk = register(6, None);
    for (end, ended, known) in [
        (SwapEnd::Swapped, Ended::Landed, shrunk),
        (SwapEnd::Refused(Some(shrunk)), Ended::Landed, shrunk),
        (SwapEnd::Refused(Some(register(7, Some(PEER)))), Ended::Lost, register(7, Some(PEER))),
    ] {
        let mut tracker = tracker();
        assert_eq!(tracker.swap(register(0, None)), Effect::Swap(Swap { expected: 5, register: shrunk }));
        assert_eq!(standbys(&tracker), [PEER], "under way");
        assert_eq!(tracker.on_swap_ended(end), Ok(ended));
        assert_eq!(tracker.known(), Some(&known));
        assert!(tracker.is_settled());
    }
}

#[test]
fn an_unknown_swap_counts_both_ways_until_a_higher_version_is_seen() {
    let mut tracker = tracker();
    tracker.swap(register(0, None));
    assert_eq!(tracker.on_swap_ended(SwapEnd::Unknown), Ok(Ended::Unknown));
    assert!(!tracker.is_settled());
    tracker.read();
    assert_eq!(tracker.on_read(read(register(5, Some(PEER)))), Ok(()));
    assert_eq!((standbys(&tracker), tracker.is_settled()), (vec![PEER], false), "the old version proves nothing");
    tracker.read();
    assert_eq!(tracker.on_read(read(register(6, None))), Ok(()));
    assert_eq!((standbys(&tracker), tracker.is_settled()), (vec![], true));
}

#[test]
fn an_unknown_swap_is_sent_again_as_it_was() {
    let mut tracker = tracker();
    let sent = tracker.swap(register(0, None));
    assert_eq!(tracker.retry(), None, "it is under way");
    tracker.on_swap_ended(SwapEnd::Unknown).unwrap();
    assert_eq!(tracker.retry(), Some(sent));
    assert_eq!(tracker.on_swap_ended(SwapEnd::Swapped), Ok(Ended::Landed));
    assert_eq!(tracker.retry(), None);
}

#[test]
fn an_unknown_registration_keeps_the_new_member_counted() {
    let mut tracker = Tracker::new(Rules::ALL, &Kept::default());
    tracker.read();
    tracker.on_read(read(register(5, None))).unwrap();
    tracker.swap(register(0, Some(PEER)));
    tracker.on_swap_ended(SwapEnd::Unknown).unwrap();
    tracker.read();
    tracker.on_read(read(register(5, None))).unwrap();
    assert_eq!(standbys(&tracker), [PEER]);
}

#[test]
fn a_register_that_goes_back_freezes_until_it_is_as_it_was_known() {
    let mut tracker = tracker();
    tracker.read();
    assert_eq!(tracker.on_read(read(register(3, None))), Err(Freeze::Regressed { seen: 5, found: 3 }));
    tracker.read();
    assert_eq!(tracker.on_read(read(register(3, None))), Ok(()), "said once");
    assert!(!tracker.is_settled() && tracker.retry().is_none());
    assert_eq!(tracker.known(), Some(&register(5, Some(PEER))), "what was known stays");
    tracker.read();
    assert_eq!(tracker.on_read(read(register(5, None))), Ok(()), "another one of that version");
    assert!(tracker.frozen().is_some());
    tracker.read();
    assert_eq!(tracker.on_read(read(register(5, Some(PEER)))), Ok(()));
    assert!(tracker.is_settled() && tracker.frozen().is_none());
    let mut kept = Tracker::new(Rules::ALL, &Kept { register_version: 5, ..Kept::default() });
    kept.read();
    assert_eq!(kept.on_read(read(register(4, None))), Err(Freeze::Regressed { seen: 5, found: 4 }), "through a restart");
}

#[test]
fn another_arbiter_is_not_believed() {
    let mut tracker = tracker();
    tracker.read();
    let other = Read::Found { arbiter: 8, register: Some(register(6, None)) };
    assert_eq!(tracker.on_read(other), Err(Freeze::OtherArbiter));
}

#[test]
fn answers_to_nothing_are_dropped() {
    let mut tracker = tracker();
    assert_eq!(tracker.on_read(read(register(9, None))), Ok(()));
    assert_eq!(tracker.on_swap_ended(SwapEnd::Swapped), Ok(Ended::Unknown));
    assert_eq!(tracker.known(), Some(&register(5, Some(PEER))));
}

#[test]
fn an_arbiter_that_refuses_the_version_that_it_holds_proves_nothing() {
    let mut tracker = tracker();
    tracker.swap(register(0, None));
    assert_eq!(tracker.on_swap_ended(SwapEnd::Refused(Some(register(5, Some(PEER))))), Ok(Ended::Unknown));
    assert!(!tracker.is_settled());
}
