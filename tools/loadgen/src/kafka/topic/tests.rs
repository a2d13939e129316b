use super::*;
use crate::kafka::batch::tests::encoded;
use crate::kafka::stub::{Partition, Stub};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// A partition of batches with these many records each, from the offset on.
fn partition(log_start: i64, counts: &[usize]) -> Partition {
    let mut next = log_start;
    let batches = counts.iter().map(|count| {
        let base = next;
        next += i64::try_from(*count).unwrap();
        (base, encoded(base, &vec![(&b"x"[..], 0, None); *count]))
    });
    let batches = batches.collect();
    Partition { log_start, high_watermark: next, batches, fetch_error: 0 }
}

/// What reading comes upon, a line each.
fn found(stub: Stub) -> Result<Vec<String>, String> {
    let mut topic = Topic::open(&[stub.serve()], "events").map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    for extent in topic.extents().to_vec() {
        let note = |found: Found<'_>| {
            lines.push(match found {
                Found::Batch(batch) => {
                    format!("{} {}..{}", extent.partition, batch.base_offset, batch.next_offset())
                }
                Found::Gap { from, to } => format!("{} gap {from}..{to}", extent.partition),
                Found::Damage(error) => format!("{} {error}", extent.partition),
            });
        };
        topic.read(extent, note).map_err(|error| error.to_string())?;
    }
    Ok(lines)
}

/// Reading the stub comes upon these lines, or fails with these words.
#[track_caller]
fn check(stub: Stub, expected: Result<&[&str], &str>) {
    match (found(stub), expected) {
        (Ok(lines), Ok(expected)) => {
            assert_eq!(lines.len(), expected.len(), "{lines:?}");
            for (line, start) in lines.iter().zip(expected) {
                assert!(line.starts_with(start), "{lines:?}, expected {expected:?}");
            }
        }
        (Err(error), Err(words)) => assert!(error.contains(words), "{error} lacks {words:?}"),
        (found, expected) => panic!("{found:?}, expected {expected:?}"),
    }
}

fn of(partitions: Vec<Partition>) -> Stub {
    Stub { partitions, ..Stub::default() }
}

#[test]
fn a_leader_that_does_not_know_its_end_yet_is_asked_again() {
    let stub = Stub { unsettled: Arc::new(AtomicUsize::new(2)), ..of(vec![partition(0, &[3])]) };
    check(stub, Ok(&["0 0..3"]));
}

#[test]
fn every_partition_is_read_from_its_start_to_its_end() {
    for (highest, batches_a_fetch) in [([4, 1, 4], 0), ([12, 7, 12], 1), ([12, 7, 12], 2)] {
        let stub = of(vec![partition(0, &[3, 1, 2]), partition(5, &[]), partition(10, &[4])]);
        let stub = Stub { highest, batches_a_fetch, ..stub };
        check(stub, Ok(&["0 0..3", "0 3..4", "0 4..6", "2 10..14"]));
    }
}

#[test]
fn what_comes_after_the_high_watermark_is_not_read() {
    let mut grown = partition(0, &[2, 2, 2]);
    grown.high_watermark = 4;
    check(of(vec![grown]), Ok(&["0 0..2", "0 2..4"]));
}

#[test]
fn offsets_that_no_batch_holds_are_a_gap() {
    let mut holed = partition(0, &[2, 3, 2]);
    holed.batches.remove(1);
    check(of(vec![holed.clone()]), Ok(&["0 0..2", "0 gap 2..5", "0 5..7"]));
    check(Stub { batches_a_fetch: 2, ..of(vec![holed]) }, Ok(&["0 0..2", "0 gap", "0 5..7"]));
}

#[test]
fn reading_goes_on_behind_a_damaged_batch() {
    let mut damaged = partition(0, &[2, 3, 2]);
    *damaged.batches[1].1.last_mut().unwrap() ^= 1;
    for batches_a_fetch in [0, 1] {
        let stub = Stub { batches_a_fetch, ..of(vec![damaged.clone()]) };
        check(stub, Ok(&["0 0..2", "0 CRC-32C", "0 5..7"]));
    }
}

#[test]
fn a_damaged_batch_whose_end_cannot_be_believed_ends_the_partition() {
    let mut damaged = partition(0, &[2, 3, 2]);
    damaged.batches[1].1[23..27].copy_from_slice(&i32::MAX.to_be_bytes());
    check(of(vec![damaged, partition(0, &[1])]), Ok(&["0 0..2", "0 CRC-32C", "1 0..1"]));
}

#[test]
fn a_server_that_sends_nothing_below_its_watermark_is_given_up() {
    let mut short = partition(0, &[2]);
    short.high_watermark = 9;
    check(of(vec![short]), Err("no whole batch at offset 2 in 20 fetches"));
}

#[test]
fn errors_carry_their_names() {
    let stub = Stub { topic_error: 3, ..of(vec![partition(0, &[1])]) };
    check(stub, Err("topic events: UnknownTopicOrPartition (3)"));
    let mut broken = partition(0, &[1]);
    broken.fetch_error = 56;
    check(of(vec![broken]), Err("events partition 0 offset 0: KafkaStorageError (56)"));
}
