use crate::settle::{BETWEEN_LOOKS_NS, Queue, Settling, contradicted};
use headworks_ledger::Counts;

const EMPTY: Queue = Queue { bytes: 0, drops: 3 };

fn counts(arrived: u64, received: u64) -> Counts {
    Counts { arrived, received, ..Counts::default() }
}

#[test]
fn two_looks_at_an_empty_socket_with_moved_drops_settle_the_difference() {
    let mut settling = Settling::default();
    assert_eq!(settling.look(&counts(100, 60), EMPTY, 0), None);
    assert_eq!(settling.look(&counts(100, 60), EMPTY, BETWEEN_LOOKS_NS - 1), None);
    assert_eq!(settling.look(&counts(100, 60), EMPTY, BETWEEN_LOOKS_NS), Some(40));
}

#[test]
fn a_packet_between_the_looks_begins_them_anew() {
    let mut settling = Settling::default();
    assert_eq!(settling.look(&counts(100, 60), EMPTY, 0), None);
    assert_eq!(settling.look(&counts(101, 60), EMPTY, BETWEEN_LOOKS_NS), None);
    assert_eq!(settling.look(&counts(101, 61), EMPTY, 2 * BETWEEN_LOOKS_NS), None);
    assert_eq!(settling.look(&counts(101, 61), EMPTY, 3 * BETWEEN_LOOKS_NS), Some(40));
}

#[test]
fn what_waits_in_the_socket_is_not_dropped() {
    let mut settling = Settling::default();
    let waiting = Queue { bytes: 768, drops: 3 };
    assert_eq!(settling.look(&counts(100, 60), EMPTY, 0), None);
    assert_eq!(settling.look(&counts(100, 60), waiting, BETWEEN_LOOKS_NS), None);
    assert_eq!(settling.look(&counts(100, 60), EMPTY, 2 * BETWEEN_LOOKS_NS), None, "the look before was undone");
}

#[test]
fn a_difference_that_the_kernel_does_not_confirm_stays_pending() {
    let mut settling = Settling::default();
    let unmoved = Queue { bytes: 0, drops: 0 };
    for look in 0..10 {
        assert_eq!(settling.look(&counts(100, 60), unmoved, look * BETWEEN_LOOKS_NS), None);
    }
}

#[test]
fn drops_settled_once_are_not_settled_again() {
    let mut settling = Settling::default();
    settling.look(&counts(100, 60), EMPTY, 0);
    assert_eq!(settling.look(&counts(100, 60), EMPTY, BETWEEN_LOOKS_NS), Some(40));
    for look in 2..10 {
        assert_eq!(settling.look(&counts(150, 105), EMPTY, look * BETWEEN_LOOKS_NS), None);
    }
}

#[test]
fn the_kernels_counter_may_wrap() {
    let mut settling = Settling::default();
    assert_eq!(settling.inexact(Queue { bytes: 0, drops: u32::MAX }), u64::from(u32::MAX));
    assert_eq!(settling.inexact(Queue { bytes: 0, drops: 4 }), 5);
}

#[test]
fn a_packet_given_up_and_received_after_all_is_taken_back() {
    let mut settling = Settling::default();
    assert_eq!(settling.look(&counts(100, 60), EMPTY, 0), None);
    let dropped = settling.look(&counts(100, 60), EMPTY, BETWEEN_LOOKS_NS).expect("nothing moved between the looks");
    let late = Counts { dropped_kernel_rcvbuf: dropped, ..counts(100, 61) };
    assert_eq!(contradicted(&late), 1);
    let right = Counts { dropped_kernel_rcvbuf: dropped - contradicted(&late), ..late };
    assert_eq!((right.dropped_kernel_rcvbuf, right.pending(), right.imbalance()), (39, 0, 61), "{right:?}");
}

#[test]
fn books_that_hold_together_contradict_nothing_and_more_received_than_arrived_stays_seen() {
    assert_eq!(contradicted(&counts(100, 60)), 0);
    assert_eq!(contradicted(&Counts { dropped_kernel_rcvbuf: 40, ..counts(100, 60) }), 0);
    let impossible = Counts { dropped_kernel_rcvbuf: 1, ..counts(100, 102) };
    assert_eq!(contradicted(&impossible), 1);
    assert!(Counts { dropped_kernel_rcvbuf: 0, ..impossible }.imbalance() > 0, "a bug is not hidden by taking back");
}
