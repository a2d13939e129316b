use crate::{Book, Counts, NAMES, SLOTS};
use proptest::prelude::*;

fn any_counts() -> impl Strategy<Value = Counts> {
    prop::array::uniform11(0..1u64 << 40).prop_map(|values| {
        let mut slots = [0; SLOTS];
        slots[..11].copy_from_slice(&values);
        Counts::from_slots(&slots)
    })
}

proptest! {
    #[test]
    fn counts_survive_their_slots(counts in any_counts()) {
        prop_assert_eq!(Counts::from_slots(&counts.to_slots()), counts);
    }

    #[test]
    fn balanced_books_have_no_imbalance_and_any_single_slip_shows(
        dropped in 0..1000u64, pending in 0..1000u64, shed in 0..1000u64, dead in 0..1000u64, admitted in 0..1000u64, slip in 1..1000u64
    ) {
        let received = shed + dead + admitted;
        let arrived = dropped + received + pending;
        let refused = Counts { dropped_kernel_rcvbuf: dropped, shed_policy: shed, dead_lettered: dead, ..Counts::default() };
        let books = Counts { arrived, received, admitted, ..refused };
        prop_assert_eq!(books.imbalance(), 0);
        prop_assert_eq!(books.pending(), pending);
        prop_assert_eq!(Counts { admitted: admitted + slip, ..books }.imbalance(), slip);
        prop_assert_eq!(Counts { dropped_kernel_rcvbuf: dropped + pending + slip, ..books }.imbalance(), slip);
    }
}

#[test]
fn counts_add_up_and_are_exact_only_together() {
    let one = Counts { arrived: 3, received: 2, exact: 1, ..Counts::default() };
    let other = Counts { arrived: 4, shed_oversize: 1, exact: 0, ..Counts::default() };
    assert_eq!(one.plus(&other), Counts { arrived: 7, received: 2, shed_oversize: 1, exact: 0, ..Counts::default() });
}

#[test]
fn carried_books_balance_without_what_was_pending() {
    let last = Counts { arrived: 10, dropped_kernel_rcvbuf: 2, received: 5, admitted: 5, ..Counts::default() };
    let carried = last.carried();
    assert_eq!((carried.arrived, carried.pending(), carried.imbalance()), (7, 0, 0));
}

#[test]
fn names_are_as_many_as_slots_and_distinct() {
    let distinct: std::collections::BTreeSet<_> = NAMES.iter().collect();
    assert_eq!(distinct.len(), SLOTS);
}

/// A writer publishes records whose counters all equal the turn's number; a reader that saw half a record would see two numbers.
#[test]
fn a_reader_never_sees_half_a_record() {
    let (mut clerk, book) = Book::open();
    let turns = 200_000u64;
    let writer = std::thread::spawn(move || {
        for turn in 1..=turns {
            let mut slots = [0; SLOTS];
            slots[..11].fill(turn);
            clerk.publish(&Counts::from_slots(&slots));
        }
    });
    let mut last = 0;
    while last < turns {
        let counts = book.read();
        assert!(counts.to_slots()[..11].iter().all(|value| *value == counts.arrived), "half a record: {counts:?}");
        assert!(counts.arrived >= last, "turn {} after {last}", counts.arrived);
        last = counts.arrived;
    }
    writer.join().expect("the writer ends");
}
