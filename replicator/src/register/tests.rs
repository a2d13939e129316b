use super::*;
use headworks_format::{Epoch, PairId};

fn register(version: u64) -> Register {
    let primary = Member { node: 1, incarnation: 10 };
    Register { version, pair: PairId(7), lanes: 2, segment_bytes: 1 << 28, epoch: Epoch(1), primary, standby: None, mode: Mode::Auto }
}

#[test]
fn a_swap_counts_and_lands_at_most_once() {
    let first = Swap::from(None, register(99));
    assert_eq!((first.expected, first.register.version), (0, 1));
    let (current, answer) = swapped(None, &first);
    assert_eq!((current, answer), (Some(register(1)), SwapAnswer::Swapped));
    assert_eq!(swapped(current, &first), (current, SwapAnswer::Refused(current)), "a swap that comes twice");
}

#[test]
fn of_two_swaps_from_one_version_the_first_wins() {
    let here = register(4);
    let alone = Swap::from(Some(&here), Register { epoch: Epoch(2), ..here });
    let other = Swap::from(Some(&here), Register { epoch: Epoch(3), ..here });
    let (current, _) = swapped(Some(here), &other);
    assert_eq!(swapped(current, &alone), (Some(other.register), SwapAnswer::Refused(Some(other.register))));
}

#[test]
fn a_swap_that_does_not_count_by_one_is_refused() {
    let here = register(4);
    let skips = Swap { expected: 4, register: register(6) };
    assert_eq!(swapped(Some(here), &skips).1, SwapAnswer::Refused(Some(here)));
    let from_nothing = Swap { expected: 4, register: register(5) };
    assert_eq!(swapped(None, &from_nothing), (None, SwapAnswer::Refused(None)));
}
