use std::num::NonZeroU64;

use super::*;
use crate::ledger::State;
use crate::ledger::tests::ledger_of;

fn draft() -> Ledger {
    let mut ledger = ledger_of([0, 0]);
    ledger.state = State::Running;
    ledger
}

fn keeper(path: PathBuf, ahead: u64, source_max: u64) -> Keeper {
    let shared = Shared { sources: Arc::new([]), failed: Arc::default() };
    let sources = draft().sources.iter().map(|_| Progress::default()).collect();
    Keeper { ledger: draft(), path, shared: Shared { sources, ..shared }, ahead, source_max }
}

/// After the sender sent this many, the file and the permission of source 0 say this.
#[track_caller]
fn check(keeper: &mut Keeper, sent: u64, bound: u64) {
    keeper.shared.sources[0].sent.store(sent, Ordering::Relaxed);
    keeper.write(Durability::Renamed).unwrap();
    let source = Ledger::read(&keeper.path).unwrap().sources[0];
    assert_eq!((source.sent, source.sent_max), (sent, bound));
    assert_eq!(keeper.shared.sources[0].allowed.load(Ordering::Acquire), bound);
}

#[test]
fn the_bound_stays_ahead_of_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mut keeper = keeper(folder.path().join("run.json"), 100, 250);
    check(&mut keeper, 0, 100);
    check(&mut keeper, 60, 160);
    check(&mut keeper, 160, 250);
    check(&mut keeper, 250, 250);
}

#[test]
fn nothing_may_be_sent_that_the_file_does_not_cover() {
    let folder = tempfile::tempdir().unwrap();
    let mut keeper = keeper(folder.path().join("no/such/run.json"), 100, 250);
    assert!(keeper.write(Durability::Renamed).is_err());
    assert_eq!(keeper.shared.sources[0].allowed.load(Ordering::Acquire), 0);
}

#[test]
fn the_first_file_stands_before_the_journal_is_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    let rate = Rate::PerSecond(NonZeroU64::new(10).unwrap());
    let journal = Journal::start(draft(), path.clone(), rate, 30).unwrap();
    assert_eq!(Ledger::read(&path).unwrap().state, State::Running);
    let shared = journal.progress();
    assert_eq!(shared.sources[1].allowed.load(Ordering::Acquire), 30);
    drop(shared);
    journal.end().unwrap();
}

#[test]
fn a_bound_is_seconds_of_the_rate_within_limits() {
    let at = |rate| ahead(Rate::PerSecond(NonZeroU64::new(rate).unwrap()));
    assert_eq!(at(1), AHEAD_PACKETS_MIN);
    assert_eq!(at(1_000_000), 5_000_000);
    assert_eq!(at(1_000_000_000), AHEAD_PACKETS_MAX);
    assert_eq!(ahead(Rate::Max), AHEAD_PACKETS_MAX);
}
