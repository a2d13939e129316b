use std::time::Duration;

use super::*;
use crate::ledger::Flow;
use crate::ledger::tests::ledger_of;

/// A run of 1,000 packets at 1,000 a second that sent this many in this many milliseconds.
fn sent(packets: u64, took_ms: u64) -> Sent {
    let mut ledger = ledger_of([packets, 0]);
    ledger.errors.clear();
    ledger.ended_ns = ledger.started_ns + took_ms * 1_000_000;
    ledger.offered = Flow { packets: 1000, per_second: 1000 };
    ledger.achieved = Flow { packets, per_second: packets * 1000 / took_ms.max(1000) };
    Sent { ledger, held: Duration::ZERO }
}

/// The run is warned of with these words, one a warning.
#[track_caller]
fn check(sent: &Sent, expected: &[&str]) {
    let warnings = warnings(sent);
    assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
    for (warning, words) in warnings.iter().zip(expected) {
        assert!(warning.contains(words), "{warning:?} lacks {words:?}");
    }
}

#[test]
fn a_run_on_time_is_not_warned_of() {
    check(&sent(1000, 999), &[]);
    check(&sent(990, 1000), &[]);
    check(&sent(1000, 1015), &[]);
}

#[test]
fn packets_that_never_left_are_told() {
    check(&sent(900, 1000), &["900 of 1000 packets a second; 100 never left"]);
}

#[test]
fn a_run_that_took_longer_than_planned_is_told() {
    check(&sent(1000, 2000), &["500 of 1000 packets a second; 0 never left"]);
}

#[test]
fn refusals_signals_and_a_slow_ledger_are_told() {
    let mut run = sent(1000, 1000);
    run.ledger.errors.insert("ECONNREFUSED".to_owned(), 1);
    run.ledger.errors.insert("EINVAL".to_owned(), 1);
    run.ledger.gso = true;
    run.ledger.state = State::Interrupted;
    run.held = Duration::from_millis(5);
    check(&run, &["closed port", "MTU", "waited 5ms", "a signal ended"]);
}

#[test]
fn the_table_names_what_an_operator_asks_for() {
    let mut run = sent(900, 1000);
    run.ledger.errors.insert("ENOBUFS".to_owned(), 100);
    let table = table(&run.ledger, Path::new("run.json"));
    for words in ["00abcdef01234567, complete", "900 packets", "100 packets, ENOBUFS", "run.json"] {
        assert!(table.contains(words), "{table} lacks {words:?}");
    }
}
