use super::*;

/// Packets (intended ns, timestamp ms, header ns) come to summaries with these labels, samples, counts
/// below zero and longest, the latter to three digits.
#[track_caller]
fn check(packets: &[(u64, i64, Option<i64>)], expected: &[(&str, u64, u64, u64)]) {
    let mut latencies = Latencies::default();
    for (intended_ns, timestamp_ms, receive_time_ns) in packets.iter().copied() {
        let record = Record { offset: 0, timestamp_ms, receive_time_ns, value: &[] };
        latencies.note(intended_ns, &record);
    }
    let summaries = latencies.summaries();
    assert_eq!(summaries.len(), expected.len(), "{summaries:?}");
    for (summary, (of, samples, below_zero, max_ns)) in summaries.iter().zip(expected) {
        assert_eq!((summary.of, summary.points.samples), (*of, *samples));
        assert_eq!(summary.below_zero, *below_zero);
        let off = summary.points.max_ns.abs_diff(*max_ns);
        assert!(off * 1000 <= *max_ns, "longest {} against {max_ns}", summary.points.max_ns);
    }
}

#[test]
fn without_the_header_only_the_timestamp_speaks() {
    check(&[(1_000_000, 3, None)], &[(BY_TIMESTAMP, 1, 0, 2_000_000)]);
}

#[test]
fn with_the_header_both_speak_each_under_its_label() {
    let expected = [(BY_HEADER, 1, 0, 50_000), (BY_TIMESTAMP, 1, 1, 0)];
    check(&[(1_000_000, 0, Some(1_050_000))], &expected);
}

#[test]
fn nothing_measured_says_nothing() {
    check(&[], &[]);
}

#[test]
fn times_out_of_range_saturate() {
    let expected = [(BY_TIMESTAMP, 2, 1, LATENCY_NS_MAX)];
    check(&[(0, i64::MAX, None), (u64::MAX, i64::MIN, None)], &expected);
}
