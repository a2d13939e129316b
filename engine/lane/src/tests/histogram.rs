use crate::Histogram;

/// A quantile is known to the width of a bucket: never below the truth, at most a sixteenth above.
#[test]
fn quantiles_are_within_a_bucket_of_the_truth() {
    for duration_ns in [1_000, 1_500, 17_000, 123_456, 999_999, 2_000_000, 77_000_000, 5_000_000_000] {
        let histogram = Histogram::default();
        histogram.record(duration_ns, 3);
        let told = histogram.snapshot().quantile_ns(0.99);
        assert!(told >= duration_ns && told <= duration_ns + duration_ns / 16 + 1_000, "{duration_ns} ns told as {told}");
    }
}

#[test]
fn quantiles_count_by_weight() {
    let histogram = Histogram::default();
    histogram.record(1_000_000, 99);
    histogram.record(50_000_000, 1);
    let snapshot = histogram.snapshot();
    assert!(snapshot.quantile_ns(0.99) < 1_100_000, "{}", snapshot.quantile_ns(0.99));
    assert!(snapshot.quantile_ns(1.0) >= 50_000_000, "{}", snapshot.quantile_ns(1.0));
    assert_eq!((snapshot.count(), snapshot.sum_ns), (100, 149_000_000));
}

#[test]
fn everything_is_at_most_forever_and_nothing_at_most_zero() {
    let histogram = Histogram::default();
    [0, 10, 1 << 40, u64::MAX].iter().for_each(|duration_ns| histogram.record(*duration_ns, 1));
    let snapshot = histogram.snapshot();
    assert_eq!((snapshot.at_most(u64::MAX), snapshot.at_most(0)), (4, 0));
}

#[test]
fn what_came_since_is_the_difference() {
    let histogram = Histogram::default();
    histogram.record(5_000, 2);
    let before = histogram.snapshot();
    histogram.record(9_000_000, 1);
    let since = histogram.snapshot().since(&before);
    assert_eq!((since.count(), since.sum_ns), (1, 9_000_000));
    assert!(since.quantile_ns(0.5) >= 9_000_000);
}
