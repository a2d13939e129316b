use super::*;
use crate::witness::tests::register;

fn swap() -> Ask {
    Ask::Swap(Swap::from(None, register(1)))
}

fn answer(id: u64, says: Says) -> Answer {
    Answer { id, witness: 66, says }
}

/// How a call ends that is answered so.
fn ended(ask: Ask, says: Says) -> Outcome {
    let mut calls = Calls::default();
    let id = calls.begin(9, &ask, 100);
    let answered = calls.on_answer(&answer(id, says)).expect("somebody waits");
    assert_eq!((answered.token, answered.arbiter, calls.waiting()), (9, 66, 0));
    answered.outcome
}

#[test]
fn every_answer_has_its_outcome() {
    let (found, watch) = (Some(register(1)), Ask::Watch { beyond: 0, wait_ms: 1 });
    for ask in [Ask::Get, watch] {
        assert_eq!(ended(ask, Says::Register(found)), Outcome::Read(found));
        assert_eq!(ended(ask, Says::Swapped), Outcome::Unreachable(Unreachable::Lost));
        assert_eq!(ended(ask, Says::Denied(Denied::OtherWitness)), Outcome::Unreachable(Unreachable::Denied(Denied::OtherWitness)));
    }
    assert_eq!(ended(swap(), Says::Swapped), Outcome::Swapped);
    assert_eq!(ended(swap(), Says::Refused(found)), Outcome::Refused(found));
    assert_eq!(ended(swap(), Says::Register(found)), Outcome::Unknown, "nonsense proves nothing about a swap");
    assert_eq!(ended(swap(), Says::Denied(Denied::OtherPair)), Outcome::Unreachable(Unreachable::Denied(Denied::OtherPair)));
}

#[test]
fn a_swap_without_an_answer_is_unknown_and_never_failed() {
    let begin = || {
        let mut calls = Calls::default();
        calls.begin(1, &swap(), 100);
        calls.begin(2, &Ask::Get, 100);
        calls
    };
    let outcomes = |answered: Vec<Answered>| answered.into_iter().map(|one| (one.token, one.arbiter, one.outcome)).collect::<Vec<_>>();
    let mut late = begin();
    assert_eq!(late.on_time(99), []);
    assert_eq!(outcomes(late.on_time(100)), [(1, 0, Outcome::Unknown), (2, 0, Outcome::Unreachable(Unreachable::Silent))]);
    let mut lost = begin();
    assert_eq!(outcomes(lost.on_lost()), [(1, 0, Outcome::Unknown), (2, 0, Outcome::Unreachable(Unreachable::Lost))]);
}

#[test]
fn what_was_given_up_is_not_answered_later_nor_twice() {
    let mut calls = Calls::default();
    let (first, second) = (calls.begin(1, &swap(), 100), calls.begin(2, &Ask::Get, 300));
    assert_eq!(calls.deadline_ns(), Some(100));
    assert_eq!(calls.on_time(200).len(), 1);
    assert_eq!(calls.deadline_ns(), Some(300));
    assert_eq!(calls.on_answer(&answer(first, Says::Swapped)), None);
    assert!(calls.on_answer(&answer(second, Says::Register(None))).is_some());
    assert_eq!(calls.on_answer(&answer(second, Says::Register(None))), None);
    assert_eq!((calls.deadline_ns(), calls.waiting()), (None, 0));
}
