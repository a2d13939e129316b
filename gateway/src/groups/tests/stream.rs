//! Committed offsets over a log in memory: renewed, released, expired, and never taken back.

use crate::groups::Committed;
use crate::kafka::ErrorCode;
use crate::limits::Limits;
use crate::memory::MemoryLog;
use crate::store::Store;
use headworks_format::committed::{Key, STREAM, Value};
use std::collections::BTreeMap;
use std::time::Duration;

fn key(group: &str) -> Key<'_> {
    Key { group, topic: "events", partition: 0 }
}

fn value(offset: i64, committed_ms: i64) -> Option<Value<'static>> {
    Some(Value { offset, leader_epoch: -1, metadata: "", committed_ms })
}

async fn commit(committed: &Committed, log: &MemoryLog, group: &str, offset: i64) {
    committed.append(log, &[(key(group), value(offset, offset))]).await.expect("committed");
}

/// What a node finds that starts on the log as it is.
async fn found(log: &MemoryLog) -> BTreeMap<String, i64> {
    let committed = Committed::default();
    committed.follow(log).await.expect("read");
    let table = committed.table(log).expect("all of it is known");
    table.entries().map(|(key, entry)| (key.group.to_owned(), entry.offset)).collect()
}

#[tokio::test]
async fn what_retention_may_take_is_never_needed() {
    let log = MemoryLog::default();
    let committed = Committed::default();
    committed.keep(&log).await.expect("read");
    commit(&committed, &log, "quiet", 7).await;
    let mut expected = BTreeMap::from([("quiet".to_owned(), 7)]);
    let mut renewed = 0;
    for offset in 0..200 {
        commit(&committed, &log, "busy", offset).await;
        expected.insert("busy".to_owned(), offset);
        let before = log.appended(STREAM, 0);
        committed.keep(&log).await.expect("read");
        renewed += log.appended(STREAM, 0) - before;
        let released = log.released(STREAM, 0);
        assert!(released <= before, "what is released was read");
        // Now and then retention takes all that it may.
        if offset % 10 == 9 {
            log.trim(STREAM, 0, released);
        }
        assert_eq!(found(&log).await, expected, "after {offset}");
    }
    assert!(log.state(STREAM, 0).expect("it is there").log_start > 100, "the quiet group's entry moves on");
    assert!((2..80).contains(&renewed), "{renewed} renewals for 200 commits");
}

#[tokio::test]
async fn a_renewal_never_overtakes_a_commit_that_is_under_way() {
    let log = MemoryLog::default();
    let committed = Committed::default();
    commit(&committed, &log, "group", 1).await;
    for offset in 0..20 {
        commit(&committed, &log, "other", offset).await;
    }
    log.hold();
    let newer = async { committed.append(&log, &[(key("group"), value(2, 2))]).await };
    let renewal = async { committed.keep(&log).await };
    let release = async {
        // Both have begun: the commit is handed over, the renewal waits for it.
        for _ in 0..10 {
            tokio::task::yield_now().await;
            log.commit(STREAM, 0);
        }
    };
    let (newer, renewal, ()) = tokio::join!(newer, renewal, release);
    newer.expect("committed");
    renewal.expect("kept");
    assert_eq!(found(&log).await["group"], 2);
}

#[tokio::test]
async fn offsets_of_groups_without_members_end_by_the_time_of_commits_not_of_clocks() {
    let limits = Limits { offsets_retention: Duration::from_millis(1_000), ..Limits::default() };
    let log = MemoryLog::default();
    let committed = Committed::default();
    for group in ["gone", "idle", "new"] {
        committed.append(&log, &[(key(group), value(1, 10))]).await.expect("committed");
    }
    let has_members = |group: &str| group == "idle";
    committed.expire(&log, &limits, &has_members).await;
    // The clock is decades ahead of these commits, and nothing ends.
    assert_eq!(found(&log).await.len(), 3);
    committed.append(&log, &[(key("new"), value(2, 1_010))]).await.expect("committed");
    committed.expire(&log, &limits, &has_members).await;
    assert_eq!(found(&log).await.len(), 3, "exactly as old as kept");
    committed.append(&log, &[(key("new"), value(3, 1_011))]).await.expect("committed");
    committed.expire(&log, &limits, &has_members).await;
    let left = found(&log).await;
    assert_eq!(left.keys().collect::<Vec<_>>(), ["idle", "new"], "gone has had no members");
    // The idle group's time begins when it was last seen with members.
    committed.append(&log, &[(key("new"), value(4, 2_011))]).await.expect("committed");
    committed.expire(&log, &limits, &|_| false).await;
    assert_eq!(found(&log).await.len(), 2);
    committed.append(&log, &[(key("new"), value(5, 2_012))]).await.expect("committed");
    committed.expire(&log, &limits, &|_| false).await;
    assert_eq!(found(&log).await.keys().collect::<Vec<_>>(), ["new"]);
}

#[tokio::test]
async fn a_start_gives_members_their_time_to_come_back() {
    let limits = Limits { offsets_retention: Duration::from_millis(1_000), ..Limits::default() };
    let log = MemoryLog::default();
    let committed = Committed::default();
    committed.append(&log, &[(key("slow"), value(1, 10))]).await.expect("committed");
    committed.append(&log, &[(key("busy"), value(1, 900_000))]).await.expect("committed");
    // Seen for the first time after a start: the slow group may have members that have not joined yet.
    let again = Committed::default();
    again.keep(&log).await.expect("read");
    again.expire(&log, &limits, &|_| false).await;
    assert_eq!(found(&log).await.len(), 2);
    again.append(&log, &[(key("busy"), value(2, 901_001))]).await.expect("committed");
    again.expire(&log, &limits, &|_| false).await;
    assert_eq!(found(&log).await.keys().collect::<Vec<_>>(), ["busy"]);
}

#[tokio::test]
async fn a_batch_that_would_be_too_large_is_refused() {
    let log = MemoryLog::default();
    let committed = Committed::default();
    let text = "x".repeat(4096);
    let entry = |partition| {
        let value = Value { offset: 1, leader_epoch: -1, metadata: &text, committed_ms: 1 };
        (Key { group: "g", topic: "t", partition }, Some(value))
    };
    let entries: Vec<_> = (0..300).map(entry).collect();
    assert_eq!(committed.append(&log, &entries).await, Err(ErrorCode::InvalidCommitOffsetSize));
    assert!(log.state(STREAM, 0).is_none());
}
