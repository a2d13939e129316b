//! Fetch: what is answered, how much, and when. Time is paused: a test that waits 500 ms takes none,
//! and one that is woken by event sees no time go by.

use std::time::Duration;

use kafka_protocol::messages as wire;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchResponse, PartitionData};
use kafka_protocol::records::RecordBatchDecoder;
use tokio::time::Instant;

use super::*;

/// Bytes of value in a batch of `big`.
const BIG_BYTES: usize = 10_000;

/// A moment of paused time that comes once everyone waits.
async fn later(after_ms: u64) {
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
}

fn at(partition: i32, offset: i64) -> FetchPartition {
    FetchPartition::default().with_partition(partition).with_fetch_offset(offset).with_partition_max_bytes(1 << 20)
}

fn fetch(partitions: Vec<FetchPartition>) -> wire::FetchRequest {
    let topic = FetchTopic::default().with_topic(name("events")).with_partitions(partitions);
    wire::FetchRequest::default().with_max_wait_ms(500).with_min_bytes(1).with_max_bytes(50 << 20).with_topics(vec![topic])
}

/// Four partitions: three batches of two records, one of which is uncommitted; empty; one big batch;
/// three big batches.
fn log() -> MemoryLog {
    let log = MemoryLog::default().with_topic("events", 4);
    log.write("events", 0, &[(1, b"a"), (2, b"b")]);
    log.write("events", 0, &[(3, b"c"), (4, b"d")]);
    log.append("events", 0, &[(5, b"e"), (6, b"f")]);
    log.write("events", 2, &[(1, &[0; BIG_BYTES])]);
    for _ in 0..3 {
        log.write("events", 3, &[(1, &[0; BIG_BYTES])]);
    }
    log
}

async fn fetched(log: &MemoryLog, version: i16, request: &wire::FetchRequest) -> FetchResponse {
    let (broker, _close) = broker(log, Limits::default());
    let response = ask(&broker, version, request).await;
    assert_eq!(
        broker.replies.free_bytes(),
        i64::try_from(Limits::default().replies_buffered_bytes_max).expect("a small limit"),
        "the budget after the answer is gone"
    );
    response
}

fn partition(response: &FetchResponse, at: usize) -> &PartitionData {
    &response.responses[0].partitions[at]
}

/// Offsets of the records in an answer.
fn offsets(data: &PartitionData) -> Vec<i64> {
    let mut records = data.records.clone().expect("records are never null");
    if records.is_empty() {
        return Vec::new();
    }
    let sets = RecordBatchDecoder::decode_all(&mut records).expect("batches that decode");
    sets.iter().flat_map(|set| set.records.iter().map(|record| record.offset)).collect()
}

#[tokio::test(start_paused = true)]
async fn committed_batches_come_whole_in_every_version() {
    for version in 4..=12 {
        let response = fetched(&log(), version, &fetch(vec![at(0, 0)])).await;
        assert_eq!((response.error_code, response.session_id), (0, 0));
        let data = partition(&response, 0);
        assert_eq!(offsets(data), [0, 1, 2, 3], "version {version}");
        assert_eq!((data.high_watermark, data.last_stable_offset), (4, 4));
        if version >= 5 {
            assert_eq!(data.log_start_offset, 0);
        }
        assert_eq!(data.preferred_read_replica.0, -1);
        assert_eq!(data.aborted_transactions, Some(Vec::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn offset_inside_a_batch_gives_that_whole_batch() {
    let response = fetched(&log(), 12, &fetch(vec![at(0, 3)])).await;
    assert_eq!(offsets(partition(&response, 0)), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn every_partition_asked_is_listed_and_empty_is_not_null() {
    for version in 4..=12 {
        let request = fetch(vec![at(1, 0), at(0, 0), at(1, 0)]);
        let response = fetched(&log(), version, &request).await;
        let numbers: Vec<_> = response.responses[0].partitions.iter().map(|data| data.partition_index).collect();
        assert_eq!(numbers, [1, 0, 1]);
        assert_eq!(partition(&response, 0).records, Some(Bytes::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn high_watermark_is_no_error_and_beyond_is_with_real_bounds() {
    let log = log();
    log.trim("events", 0, 2);
    // Up to the log's end an offset is only early: a consumer may have read so far from the node that led before.
    for offset in [4, 5, 6] {
        let response = fetched(&log, 12, &fetch(vec![at(0, offset)])).await;
        let data = partition(&response, 0);
        assert_eq!((data.error_code, data.records.as_deref()), (0, Some(&[][..])), "offset {offset}");
    }
    for offset in [1, 7, -1] {
        let response = fetched(&log, 12, &fetch(vec![at(0, offset)])).await;
        let data = partition(&response, 0);
        assert_eq!(data.error_code, 1, "offset {offset}");
        assert_eq!((data.log_start_offset, data.high_watermark), (2, 4));
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_partition_and_topic_are_errors_beside_data() {
    let request = fetch(vec![at(9, 0), at(0, 0), at(-1, 0)]);
    let response = fetched(&log(), 12, &request).await;
    assert_eq!(partition(&response, 0).error_code, 3);
    assert_eq!(partition(&response, 0).high_watermark, -1);
    assert_eq!(offsets(partition(&response, 1)), [0, 1, 2, 3]);
    assert_eq!(partition(&response, 2).error_code, 3);
}

#[tokio::test(start_paused = true)]
async fn epochs_older_are_fenced_and_newer_unknown() {
    let log = log();
    log.promote("events", 0, 4);
    for (epoch, error) in [(3, 74), (5, 75), (4, 0), (-1, 0)] {
        let request = fetch(vec![at(0, 0).with_current_leader_epoch(epoch)]);
        let response = fetched(&log, 9, &request).await;
        assert_eq!(partition(&response, 0).error_code, error, "epoch {epoch}");
    }
}

#[tokio::test(start_paused = true)]
async fn storage_fault_is_told_as_such() {
    let log = log();
    log.break_storage();
    let response = fetched(&log, 12, &fetch(vec![at(0, 0)])).await;
    assert_eq!(partition(&response, 0).error_code, 56);
}

#[tokio::test(start_paused = true)]
async fn sessions_are_declined() {
    for (id, epoch) in [(5, 1), (5, 0), (0, 1)] {
        let request = fetch(vec![at(0, 0)]).with_session_id(id).with_session_epoch(epoch);
        let response = fetched(&log(), 7, &request).await;
        assert_eq!(response.error_code, 70, "session {id} epoch {epoch}");
        assert!(response.responses.is_empty());
    }
    let request = fetch(vec![at(0, 0)]).with_session_epoch(0);
    assert_eq!(fetched(&log(), 7, &request).await.session_id, 0);
}

#[tokio::test(start_paused = true)]
async fn first_batch_comes_whole_whatever_the_limits() {
    let tiny = at(2, 0).with_partition_max_bytes(1);
    let request = fetch(vec![tiny, at(0, 0)]).with_max_bytes(1);
    let response = fetched(&log(), 12, &request).await;
    assert_eq!(offsets(partition(&response, 0)), [0]);
    assert!(offsets(partition(&response, 1)).is_empty(), "the limit is used up");
}

#[tokio::test(start_paused = true)]
async fn partition_limit_stops_reading_at_a_batch() {
    let limited = at(3, 0).with_partition_max_bytes(25_000);
    let response = fetched(&log(), 12, &fetch(vec![limited, at(0, 0)])).await;
    assert_eq!(offsets(partition(&response, 0)), [0, 1]);
    assert_eq!(offsets(partition(&response, 1)), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn server_cap_holds_whatever_is_asked() {
    let limits = Limits { reply_bytes_max: 15_000, ..Limits::default() };
    let (broker, _close) = broker(&log(), limits);
    let request = fetch(vec![at(3, 0), at(2, 0)]).with_max_bytes(i32::MAX);
    let response = ask(&broker, 12, &request).await;
    assert_eq!(offsets(partition(&response, 0)), [0]);
    assert!(offsets(partition(&response, 1)).is_empty(), "nothing that does not fit");
}

#[tokio::test(start_paused = true)]
async fn only_the_first_batch_may_be_larger_than_the_limit() {
    for bytes_max in (1..45_000).step_by(997) {
        let response = fetched(&log(), 12, &fetch(vec![at(3, 0), at(2, 0), at(0, 0)]).with_max_bytes(bytes_max)).await;
        let parts = &response.responses[0].partitions;
        let bytes: usize = parts.iter().map(|part| part.records.as_ref().map_or(0, bytes::Bytes::len)).sum();
        let one_alone = parts.iter().flat_map(offsets).count() == 1;
        assert!(one_alone || bytes <= usize::try_from(bytes_max).expect("positive"), "{bytes} bytes of at most {bytes_max}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_ends_the_answer_at_once_and_is_read_once() {
    let begun = Instant::now();
    let log = log();
    let many = fetch(vec![at(3, 0), at(2, 0), at(2, 0), at(2, 0), at(2, 0)]).with_max_bytes(15_000).with_min_bytes(15_000);
    let response = fetched(&log, 12, &many).await;
    assert_eq!(begun.elapsed(), Duration::ZERO, "what is there and does not fit is no reason to wait for more");
    assert_eq!(offsets(partition(&response, 0)), [0]);
    assert_eq!(log.reads(), 2, "one that fits, one that does not");
}

#[tokio::test(start_paused = true)]
async fn a_partition_whose_own_limit_is_too_small_does_not_hold_up_the_next() {
    let response = fetched(&log(), 12, &fetch(vec![at(0, 0), at(2, 0).with_partition_max_bytes(1), at(3, 0)])).await;
    assert_eq!(offsets(partition(&response, 0)), [0, 1, 2, 3]);
    assert!(offsets(partition(&response, 1)).is_empty(), "it waits until it is asked for first");
    assert_eq!(offsets(partition(&response, 2)), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn batches_are_handed_on_without_a_copy() {
    let log = MemoryLog::default().with_topic("events", 1);
    let stored = log.write("events", 0, &[(1, b"a")]);
    let (broker, _close) = broker(&log, Limits::default());
    let answer = outcome(&broker, 12, &fetch(vec![at(0, 0)])).await;
    let Ok(Answer::Reply(reply)) = answer else {
        panic!("{answer:?}");
    };
    let same = reply.parts.iter().any(|part| part.as_ptr() == stored.as_ptr());
    assert!(same, "the stored batch itself is a part of the answer");
}

#[tokio::test(start_paused = true)]
async fn nothing_new_waits_as_long_as_asked_and_no_longer() {
    let log = log();
    let begun = Instant::now();
    let response = fetched(&log, 12, &fetch(vec![at(0, 4), at(1, 0)])).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(500));
    assert!(offsets(partition(&response, 0)).is_empty());
    assert_eq!(log.reads(), 0, "a look without news reads nothing");
}

#[tokio::test(start_paused = true)]
async fn wait_is_clamped() {
    let limits = Limits::default();
    for (asked_ms, waited) in [(i32::MAX, limits.fetch_wait_max), (-1, Duration::ZERO)] {
        let begun = Instant::now();
        let request = fetch(vec![at(1, 0)]).with_max_wait_ms(asked_ms);
        fetched(&log(), 12, &request).await;
        assert_eq!(begun.elapsed(), waited, "{asked_ms} ms asked");
    }
}

#[tokio::test(start_paused = true)]
async fn commit_ends_the_wait_and_append_does_not() {
    let log = log();
    let begun = Instant::now();
    let writes = async {
        later(100).await;
        log.append("events", 1, &[(1, b"x")]);
        later(100).await;
        log.commit("events", 1);
    };
    let request = fetch(vec![at(1, 0)]);
    let (response, ()) = tokio::join!(fetched(&log, 12, &request), writes);
    assert_eq!(offsets(partition(&response, 0)), [0]);
    assert_eq!(begun.elapsed(), Duration::from_millis(200));
}

#[tokio::test(start_paused = true)]
async fn commit_between_look_and_wait_is_not_lost() {
    // The read of partition 0 yields once; the commit to partition 1, already looked at, falls there.
    let log = log();
    let begun = Instant::now();
    let first_bytes = log.append("events", 1, &[(1, &[0; 500])]).len();
    let wanted_bytes = i32::try_from(first_bytes + 100).expect("a small batch");
    let request = fetch(vec![at(1, 0), at(0, 0)]).with_min_bytes(wanted_bytes);
    let commit = async { log.commit("events", 1) };
    let (response, ()) = tokio::join!(fetched(&log, 12, &request), commit);
    assert_eq!(offsets(partition(&response, 0)), [0]);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_more_bytes_reads_each_batch_once() {
    let log = log();
    let batch_bytes = log.write("events", 1, &[(1, b"x")]).len();
    let wanted_bytes = i32::try_from(3 * batch_bytes).expect("a small batch");
    let writes = async {
        for _ in 0..2 {
            later(10).await;
            log.write("events", 1, &[(1, b"x")]);
        }
    };
    let begun = Instant::now();
    let request = fetch(vec![at(1, 0)]).with_min_bytes(wanted_bytes);
    let (response, ()) = tokio::join!(fetched(&log, 12, &request), writes);
    assert_eq!(offsets(partition(&response, 0)), [0, 1, 2]);
    assert_eq!(partition(&response, 0).high_watermark, 3);
    assert_eq!(begun.elapsed(), Duration::from_millis(20));
    assert_eq!(log.reads(), 3);
}

#[tokio::test(start_paused = true)]
async fn error_of_one_partition_ends_the_wait() {
    let begun = Instant::now();
    fetched(&log(), 12, &fetch(vec![at(1, 0), at(9, 0)])).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn new_epoch_ends_the_wait_of_a_client_that_names_the_old() {
    let log = log();
    let begun = Instant::now();
    let promote = async {
        later(50).await;
        log.promote("events", 1, 1);
    };
    let request = fetch(vec![at(1, 0).with_current_leader_epoch(0)]);
    let (response, ()) = tokio::join!(fetched(&log, 9, &request), promote);
    assert_eq!(partition(&response, 0).error_code, 74);
    assert_eq!(begun.elapsed(), Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn nothing_asked_is_answered_at_once() {
    let begun = Instant::now();
    fetched(&log(), 12, &fetch(Vec::new())).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_the_wait() {
    let (broker, close) = broker(&log(), Limits::default());
    let begun = Instant::now();
    let request = fetch(vec![at(1, 0)]);
    let stop = async { close.send_replace(true) };
    let (response, _) = tokio::join!(ask(&broker, 12, &request), stop);
    assert_eq!(partition(&response, 0).error_code, 0);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn used_up_budget_makes_the_next_answer_wait_for_its_release() {
    let limits = Limits { replies_buffered_bytes_max: 12_000, ..Limits::default() };
    let (broker, _close) = broker(&log(), limits);
    let first = outcome(&broker, 12, &fetch(vec![at(3, 0)])).await;
    assert!(broker.replies.free_bytes() < 2_000, "the first answer holds it");
    let begun = Instant::now();
    let release = async {
        later(300).await;
        drop(first);
    };
    let request = fetch(vec![at(2, 0)]);
    let limited = request.with_max_bytes(11_000);
    let (second, ()) = tokio::join!(ask(&broker, 12, &limited), release);
    assert_eq!(offsets(partition(&second, 0)), [0]);
    assert_eq!(begun.elapsed(), Duration::from_millis(300));
}
