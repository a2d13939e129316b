use super::*;
use crate::appliance::report::Run;
use crate::ledger::tests::ledger_of;

fn counted(dropped: u64, shed: u64) -> Counted {
    Counted {
        dropped: BTreeMap::from([("kernel_rcvbuf".to_owned(), dropped)]),
        shed: BTreeMap::from([("policy".to_owned(), shed)]),
        exact: true,
        since_before_run: true,
        ..Counted::default()
    }
}

fn total(sent: u64, stored: u64) -> Total {
    Total { sent, sent_max: sent, stored, missing: sent - stored, ..Total::default() }
}

/// These counts are balanced, or not for reasons that hold these words, one a reason.
#[track_caller]
fn check(total: Total, seen: Seen, counted: Result<Counted, String>, reasons: &[&str]) -> Findings {
    let ledger = ledger_of([total.sent, 0]);
    let findings = judge("t", &ledger, (&total, &AnsweredTotal::default()), seen, counted, &Report::default(), Vec::new());
    assert_eq!(findings.balanced, reasons.is_empty(), "{:?}", findings.reasons);
    assert_eq!(findings.reasons.len(), reasons.len(), "{:?}", findings.reasons);
    for (reason, words) in findings.reasons.iter().zip(reasons) {
        assert!(reason.contains(words), "{reason:?} lacks {words:?}");
    }
    findings
}

#[test]
fn all_stored_is_balanced() {
    check(total(10, 10), Seen::default(), Ok(counted(0, 0)), &[]);
}

#[test]
fn a_loss_counted_packet_for_packet_is_balanced() {
    let findings = check(total(10, 4), Seen::default(), Ok(counted(5, 1)), &[]);
    assert_eq!(findings.unexplained, 0);
    let dead = Counted { dead_lettered: 2, ..counted(4, 0) };
    check(total(10, 4), Seen::default(), Ok(dead), &[]);
}

#[test]
fn an_uncounted_loss_is_not_balanced() {
    let reason = "1 packets are missing and counted under no cause";
    let findings = check(total(10, 4), Seen::default(), Ok(counted(5, 0)), &[reason]);
    assert_eq!(findings.unexplained, 1);
}

#[test]
fn a_counted_loss_that_did_not_happen_is_not_balanced() {
    let reason = "counts 2 lost packets that are not missing";
    let findings = check(total(10, 9), Seen::default(), Ok(counted(3, 0)), &[reason]);
    assert_eq!(findings.unexplained, -2);
}

#[test]
fn counters_that_cannot_be_compared_are_not_balanced() {
    let reason = || Err("arrived of udp went back".to_owned());
    let findings = check(total(10, 10), Seen::default(), reason(), &["went back"]);
    assert_eq!(findings.counted, None);
    check(total(10, 9), Seen::default(), reason(), &["went back", "under no cause"]);
}

#[test]
fn what_makes_counts_doubtful_is_said_with_them() {
    let doubtful = Counted { exact: false, since_before_run: false, ..counted(0, 0) };
    let findings = check(total(10, 9), Seen::default(), Ok(doubtful), &["not exact"]);
    assert!(findings.reasons[0].contains("totals were compared"), "{:?}", findings.reasons);
}

#[test]
fn copies_corruption_damage_and_inventions_are_not_balanced() {
    let mut seen = Seen::default();
    seen.corrupt(Damage::Checksum);
    seen.corrupt(Damage::Length);
    seen.damage("cut off".to_owned());
    let total = Total { duplicated: 3, unclaimed: 4, ..total(10, 10) };
    let reasons = ["3 packets are stored more", "2 packets are not as", "1 batches", "4 packets of"];
    let findings = check(total, seen, Ok(counted(0, 0)), &reasons);
    assert_eq!(findings.corrupted, 2);
}

#[test]
fn disorder_gaps_and_foreign_records_are_told_and_allowed() {
    let seen = Seen { foreign: 7, offset_gaps: 2, ..Seen::default() };
    let findings = check(Total { reordered: 5, ..total(9, 9) }, seen, Ok(counted(0, 0)), &[]);
    assert_eq!((findings.foreign, findings.offset_gaps, findings.reordered), (7, 2, 5));
}

#[test]
fn a_run_cut_off_may_have_lost_its_tail() {
    let cut = Total { sent: 8, sent_max: 20, stored: 6, missing: 2, ..Total::default() };
    check(cut, Seen::default(), Ok(counted(2, 0)), &[]);
    check(cut, Seen::default(), Ok(counted(14, 0)), &[]);
    check(cut, Seen::default(), Ok(counted(1, 0)), &["1 packets are missing"]);
    check(cut, Seen::default(), Ok(counted(15, 0)), &["counts 1 lost"]);
}

#[test]
fn an_unobserved_time_is_named_if_the_run_overlaps_it() {
    let mut ledger = ledger_of([10, 0]);
    (ledger.started_ns, ledger.ended_ns) = (5_000_000, 8_500_000);
    let spans = [(1, 4), (1, 5), (6, 7), (9, 12), (10, 12)].map(|(from, to)| Span { from, to });
    let after = Report { unobserved: spans.to_vec(), run: Run::default(), ..Report::default() };
    let judged = judge("t", &ledger, (&total(10, 9), &AnsweredTotal::default()), Seen::default(), Ok(counted(0, 0)), &after, Vec::new());
    assert_eq!(judged.unobserved, spans[1..4]);
    assert!(judged.reasons[0].contains("counted nothing"), "{:?}", judged.reasons);
    ledger.state = State::Running;
    let judged = judge("t", &ledger, (&total(10, 9), &AnsweredTotal::default()), Seen::default(), Ok(counted(0, 0)), &after, Vec::new());
    assert_eq!(judged.unobserved, spans[1..]);
}
