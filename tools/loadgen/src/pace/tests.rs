use super::*;

fn per_second(rate: u64) -> Rate {
    Rate::PerSecond(NonZeroU64::new(rate).unwrap())
}

fn for_seconds(rate: u64, seconds: u64) -> Pace {
    Pace::new(per_second(rate), Some(Duration::from_secs(seconds)), None)
}

/// The pace, asked at these times, answers this.
#[track_caller]
fn check(pace: &mut Pace, asked: &[(u64, Next)]) {
    for (now_ns, expected) in asked {
        assert_eq!(pace.next(*now_ns), *expected, "asked at {now_ns} ns");
    }
}

#[test]
fn a_slot_is_due_at_its_time_and_not_before() {
    let wait = Next::Wait(250_000_000);
    let asked = [(0, Next::Due(0)), (1, wait), (249_999_999, wait), (250_000_000, Next::Due(250_000_000))];
    check(&mut for_seconds(4, 1), &asked);
}

#[test]
fn a_late_sender_gets_every_slot_with_its_own_time() {
    let asked = [
        (900_000_000, Next::Due(0)),
        (900_000_000, Next::Due(250_000_000)),
        (900_000_000, Next::Due(500_000_000)),
        (900_000_000, Next::Due(750_000_000)),
        (900_000_000, Next::Done),
    ];
    check(&mut for_seconds(4, 1), &asked);
}

#[test]
fn times_never_drift_from_the_quotient() {
    for rate in [1, 3, 7, 999, 1_000_003, 7_777_777, 1_000_000_000] {
        let mut pace = Pace::new(per_second(rate), None, Some(100_000));
        for slot in 0..100_000_u64 {
            let due = u64::try_from(u128::from(slot) * 1_000_000_000 / u128::from(rate)).unwrap();
            assert_eq!(pace.next(u64::MAX), Next::Due(due), "slot {slot} at {rate} a second");
        }
        assert_eq!(pace.next(u64::MAX), Next::Done, "{rate} a second");
    }
}

#[test]
fn a_run_has_rate_times_duration_slots() {
    for (rate, seconds) in [(1, 1), (3, 2), (1000, 3), (5_000_000, 10)] {
        assert_eq!(for_seconds(rate, seconds).slots_max(), rate * seconds);
    }
    let uneven = Pace::new(per_second(3), Some(Duration::from_millis(500)), None);
    assert_eq!(uneven.slots_max(), 2, "due at 0 and at 333 ms");
}

#[test]
fn the_count_ends_a_run_before_its_time() {
    let mut pace = Pace::new(per_second(10), Some(Duration::from_secs(1)), Some(2));
    check(&mut pace, &[(u64::MAX / 2, Next::Done)]);
    let mut pace = Pace::new(per_second(10), Some(Duration::from_secs(1)), Some(2));
    let now_ns = 500_000_000;
    check(&mut pace, &[(now_ns, Next::Due(0)), (now_ns, Next::Due(100_000_000))]);
    check(&mut pace, &[(now_ns, Next::Done)]);
}

#[test]
fn a_sender_too_slow_is_stopped_after_the_grace() {
    let mut pace = for_seconds(1_000_000, 10);
    let grace_ns = 100_000_000;
    check(&mut pace, &[(10_000_000_000 + grace_ns, Next::Due(0))]);
    check(&mut pace, &[(10_000_000_000 + grace_ns + 1, Next::Done)]);
    assert_eq!(pace.taken(), 1);
    assert_eq!(pace.offered(10_000_000_000 + grace_ns + 1), 10_000_000);
}

#[test]
fn offered_counts_what_was_due_taken_or_not() {
    let pace = for_seconds(4, 1);
    for (now_ns, offered) in [(0, 1), (249_999_999, 1), (250_000_000, 2), (5_000_000_000, 4)] {
        assert_eq!(pace.offered(now_ns), offered, "at {now_ns} ns");
    }
}

#[test]
fn max_is_always_due_until_time_is_up() {
    let mut pace = Pace::new(Rate::Max, Some(Duration::from_nanos(100)), None);
    check(&mut pace, &[(0, Next::Due(0)), (7, Next::Due(7)), (100, Next::Due(100))]);
    check(&mut pace, &[(101, Next::Done)]);
    assert_eq!(pace.offered(101), 3);
}

#[test]
fn the_span_of_slots_is_their_share_of_a_second() {
    assert_eq!(for_seconds(4, 1).span_ns(2), 500_000_000);
    assert_eq!(for_seconds(3, 1).span_ns(1), 333_333_333);
    assert_eq!(Pace::new(Rate::Max, None, Some(1)).span_ns(9), 0);
}

#[test]
fn shares_make_up_the_schedule_slot_for_slot() {
    const SOURCES: u32 = 7;
    let rate = Rate::PerSecond(NonZeroU64::new(333).unwrap());
    let mut whole = Pace::new(rate, Some(Duration::from_secs(2)), None);
    let mut shares: Vec<Share> = (0..SOURCES).map(|source| Share::new(&whole, source, SOURCES)).collect();
    let late_ns = 3 * SECOND_NS;
    for slot in 0..whole.slots_max() {
        let share = &mut shares[usize::try_from(slot % u64::from(SOURCES)).unwrap()];
        let due = whole.next(2 * SECOND_NS);
        assert_eq!(share.next(late_ns), due, "slot {slot}, however late");
        let Next::Due(due_ns) = due else { panic!("slot {slot}: {due:?}") };
        assert_eq!(whole.due_ns(slot), due_ns);
        if due_ns > 0 {
            assert_eq!(share.next(due_ns - 1), Next::Wait(due_ns));
        }
        share.take();
    }
    assert!(shares.iter().all(|share| share.next(late_ns) == Next::Done && share.is_over(late_ns)));
}

#[test]
fn a_share_without_a_schedule_ends_with_the_time_or_its_part_of_the_count() {
    let pace = Pace::new(Rate::Max, Some(Duration::from_secs(1)), Some(5));
    let mut share = Share::new(&pace, 1, 2);
    for now_ns in [3, 9] {
        assert_eq!(share.next(now_ns), Next::Due(now_ns));
        share.take();
    }
    assert_eq!(share.next(10), Next::Done, "slots 1 and 3 of 5");
    assert_eq!(Share::new(&pace, 0, 2).next(SECOND_NS + 1), Next::Done);
}
