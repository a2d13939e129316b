use super::{Limits, Rolled, expired};

/// A segment of 100 bytes: the number after its last block, its newest record's time, whether it is sealed.
type Segment = (u64, u64, bool);

/// What may go of these segments before an open one of 100 bytes, where the newest record was written at 1,000.
fn check(rolled: &[Segment], committed: u64, size_bytes: u64, age_ns: Option<u64>, wanted: usize) {
    let seen = rolled.iter().map(|(end_sequence, newest_ns, sealed)| Rolled {
        bytes: 100,
        end_sequence: *end_sequence,
        newest_ns: *newest_ns,
        sealed: *sealed,
    });
    let found = expired(seen, 100, committed, 1_000, &Limits { size_bytes, age_ns });
    assert_eq!(found, wanted, "{rolled:?}, committed {committed}, keep {size_bytes} B and {age_ns:?} ns");
}

const FOUR: [Segment; 4] = [(10, 100, true), (20, 400, true), (30, 700, true), (40, 900, true)];

#[test]
fn size_counts_the_open_segment_and_keeps_what_is_asked_for() {
    for (size_bytes, wanted) in [(600, 0), (500, 0), (499, 1), (400, 1), (399, 2), (300, 2), (299, 3), (200, 3)] {
        check(&FOUR, 99, size_bytes, None, wanted);
    }
}

#[test]
fn age_is_counted_from_the_newest_record_and_takes_what_is_strictly_older() {
    for (age_ns, wanted) in [(901, 0), (900, 0), (899, 1), (600, 1), (599, 2), (300, 2), (299, 3), (u64::MAX, 0)] {
        check(&FOUR, 99, u64::MAX, Some(age_ns), wanted);
    }
}

#[test]
fn either_limit_is_enough() {
    check(&FOUR, 99, 400, Some(599), 2);
    check(&FOUR, 99, 399, Some(901), 2);
    check(&FOUR, 99, 500, Some(900), 0);
}

#[test]
fn the_newest_rolled_segment_always_stays() {
    check(&[], 99, 0, Some(0), 0);
    check(&FOUR[..1], 99, 0, Some(0), 0);
    check(&FOUR[..2], 99, 0, Some(0), 1);
    check(&FOUR, 99, 0, Some(0), 3);
}

#[test]
fn the_block_behind_a_segment_must_be_committed() {
    for (committed, wanted) in [(0, 0), (10, 0), (11, 1), (20, 1), (21, 2), (30, 2), (31, 3)] {
        check(&FOUR, committed, 0, None, wanted);
    }
}

#[test]
fn a_segment_goes_only_if_it_and_the_one_behind_it_are_sealed() {
    for (unsealed, wanted) in [(0, 0), (1, 0), (2, 1), (3, 2)] {
        let mut rolled = FOUR;
        rolled[unsealed].2 = false;
        check(&rolled, 99, 0, None, wanted);
    }
}

#[test]
fn an_old_segment_behind_one_that_stays_stays() {
    check(&[(10, 900, true), (20, 100, true), (30, 100, true)], 99, u64::MAX, Some(500), 0);
}
