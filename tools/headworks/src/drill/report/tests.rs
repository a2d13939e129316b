//! What the page says.

use super::*;

#[test]
fn a_spread_names_the_middle_the_99th_and_the_longest() {
    let ns = (1..=200).rev().map(|ms| ms * 1_000_000).collect();
    assert_eq!(spread(ns), "p50 100.0 ms, p99 198.0 ms, longest 200.0 ms, of 200");
    assert_eq!(spread(vec![1_550_000]), "p50 1.5 ms, p99 1.5 ms, longest 1.5 ms, of 1");
    assert_eq!(spread(Vec::new()), "-");
}

#[test]
fn a_drill_without_runs_or_with_a_broken_one_is_not_kept() {
    let mut drilled = Drilled::new("kill-primary", 1, &[], "2k");
    assert!(!drilled.is_kept(), "nothing was shown by no run");
    drilled.runs.push(Run::default());
    assert!(drilled.is_kept());
    drilled.runs.push(Run { broken: vec!["1 acknowledged records are missing".to_owned()], ..Run::default() });
    assert!(!drilled.is_kept());
    assert!(text(&drilled).contains("BROKEN           run 0: 1 acknowledged records are missing"), "{}", text(&drilled));
}

#[test]
fn a_bar_that_is_missed_or_was_not_measured_is_said_and_breaks_nothing() {
    let run = |gap_ms: u64| Run { gap_ns: gap_ms * 1_000_000, ..Run::default() };
    let runs: Vec<Run> = [20, 30, 900].map(run).into();
    let check = |of, percent, ms_max, seen_ms: Option<u64>, is_met| {
        let held = held(&Bar { of, percent, ms_max }, &runs);
        assert_eq!((held.seen_ns, held.is_met), (seen_ms.map(|ms| ms * 1_000_000), is_met), "{}", held.bar);
    };
    check(Measure::Gap, 50, 30, Some(30), true);
    check(Measure::Gap, 50, 29, Some(30), false);
    check(Measure::Gap, 100, 500, Some(900), false);
    check(Measure::Resumed, 100, 1000, None, false);
    let mut drilled = Drilled::new("kill-primary", 1, &[], "2k");
    drilled.runs = runs.clone();
    drilled.bars = vec![held(&Bar { of: Measure::Gap, percent: 99, ms_max: 500 }, &runs)];
    assert!(drilled.is_kept());
    assert!(text(&drilled).contains("verdict          kept, 1 of 1 bars missed"), "{}", text(&drilled));
}
