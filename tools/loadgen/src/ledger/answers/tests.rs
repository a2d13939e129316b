use super::*;

fn spans(of: &[(u64, u64)]) -> Spans {
    let mut spans = Spans::default();
    of.iter().for_each(|(from, to)| spans.push(*from, *to));
    spans
}

/// One source that sent ten packets.
fn answers(acknowledged: &[(u64, u64)], unknown: &[(u64, u64)]) -> Answers {
    let by_source = vec![Answered { acknowledged: spans(acknowledged), unknown: spans(unknown) }];
    let mut answers = Answers { by_source, ..Answers::default() };
    (answers.acknowledged, answers.unknown) = answers.totals();
    answers
}

#[test]
fn spans_that_touch_are_one() {
    let joined = spans(&[(0, 5), (5, 5), (5, 9), (12, 13)]);
    assert_eq!(joined.iter().collect::<Vec<_>>(), [Span(0, 9), Span(12, 13)]);
    assert_eq!(joined.len(), 10);
    assert_eq!(serde_json::to_string(&joined).unwrap(), "[[0,9],[12,13]]");
}

#[test]
fn answers_that_hold_together_are_taken() {
    assert_eq!(answers(&[(0, 4), (6, 10)], &[(4, 6)]).contradiction([10].into_iter()), None);
    assert_eq!(answers(&[], &[]).contradiction([0].into_iter()), None);
}

#[test]
fn answers_that_contradict_are_refused() {
    let beyond = answers(&[(0, 11)], &[]);
    assert!(beyond.contradiction([10].into_iter()).unwrap().contains("go beyond the 10 packets"));
    let both = answers(&[(0, 5)], &[(4, 6)]);
    assert!(both.contradiction([10].into_iter()).unwrap().contains("overlap"));
    let mut short = answers(&[(0, 5)], &[]);
    short.acknowledged = 4;
    assert!(short.contradiction([10].into_iter()).unwrap().contains("(4, 0) packets acknowledged and unknown, the spans hold 5 and 0"));
    assert!(answers(&[], &[]).contradiction([1, 1].into_iter()).unwrap().contains("1 of 2 sources"));
    let disordered: Spans = serde_json::from_str("[[5,6],[0,2]]").unwrap();
    assert!(!disordered.holds_together(10));
}

#[test]
fn a_gap_reaches_from_the_last_answer_or_from_what_was_due_later() {
    let mut owed = Owed::default();
    assert_eq!(owed.on_answer(50, None), None, "nothing was due");
    owed.on_due(70);
    owed.on_due(80);
    assert_eq!(owed.on_answer(100, Some(80)), Some((70, 100)));
    assert_eq!(owed.on_answer(150, None), Some((100, 150)), "what was due before the last answer waits since that answer");
    assert_eq!(owed.open_gap(900), None);
    owed.on_due(800);
    assert_eq!(owed.open_gap(900), Some((800, 900)));
}

#[test]
fn the_longest_gap_stays_and_histograms_add_up() {
    let (mut one, mut other) = (Waits::default(), Waits::default());
    one.note(1_000_000);
    one.note_gap(0, 10, 20);
    other.note(u64::MAX);
    other.note_gap(1, 100, 150);
    other.note_gap(1, 200, 210);
    one.add(&other);
    assert_eq!(one.gap(), Some(Gap { source: 1, from_ns: 100, to_ns: 150, length_ns: 50 }));
    let latency = one.latency().unwrap();
    assert_eq!(latency.samples, 2);
    assert!(latency.max_ns >= TIME_NS_MAX && latency.p50_ns < 1_010_000, "{latency:?}");
    assert_eq!(Waits::default().latency(), None);
}
