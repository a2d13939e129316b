mod rig;
mod writes;

use super::store::At;
use super::{Harmed, Healer, Healing, LaneStore, healing};
use crate::store::{EpochEnd, ReadError, Store, TimedOffset};
use headworks_format::batch::{Batch, BatchHeader};
use headworks_format::sidecar::Sidecar;
use headworks_log::Disk as _;
use rig::{BASE_MS, Memory, Rig, value_of};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use zerocopy::FromBytes as _;

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

/// Reads from `from` to the end and checks every record's offset and value; returns the offsets seen.
async fn read_all(store: &LaneStore<Memory>, from: i64, bytes_max: usize) -> Vec<i64> {
    let mut seen = Vec::new();
    let mut next = from;
    for _ in 0..10_000 {
        let runs = store.read("events", 0, next, bytes_max).await.expect("a read within bounds");
        let Some(end) = runs.last().map(|run| end_of(run)) else { return seen };
        runs.iter().for_each(|run| seen.extend(check_run(run)));
        next = end;
    }
    panic!("no end after 10,000 reads");
}

/// The offset after the last batch of a run, as a consumer computes it.
fn end_of(run: &[u8]) -> i64 {
    let (mut rest, mut end) = (run, 0);
    while !rest.is_empty() {
        let header = BatchHeader::ref_from_prefix(rest).expect("a header").0;
        end = header.base_offset.get() + i64::from(header.last_offset_delta.get()) + 1;
        rest = &rest[usize::try_from(header.batch_length.get()).expect("a length") + 12..];
    }
    end
}

/// The offsets in a run of whole batches, each record's value checked against its offset.
fn check_run(run: &[u8]) -> Vec<i64> {
    let mut offsets = Vec::new();
    let mut rest = run;
    while !rest.is_empty() {
        let bytes = usize::try_from(i32::from_be_bytes(rest[8..12].try_into().expect("four bytes"))).expect("a length") + 12;
        if i32::from_be_bytes(rest[57..61].try_into().expect("four bytes")) == 0 {
            // It stands for what cannot be read.
            rest = &rest[bytes..];
            continue;
        }
        let batch = Batch::parse(&rest[..bytes]).expect("a whole batch");
        for record in batch.records() {
            let record = record.expect("a record");
            let offset = batch.header().base_offset.get() + record.offset_delta;
            let value = record.value.expect("a value");
            let expected = value_of(offset.unsigned_abs());
            assert!(value.iter().zip(expected.iter().cycle()).all(|(is, was)| is == was), "offset {offset} has another record's value");
            offsets.push(offset);
        }
        rest = &rest[bytes..];
    }
    offsets
}

fn all(from: i64, to: i64) -> Vec<i64> {
    (from..to).collect()
}

#[test]
fn tail_and_file_and_sealed_segments_give_the_same_records() {
    let mut rig = Rig::new(100);
    // Three segments' worth: the first two end sealed, of the third most blocks have left the ring.
    (0..24).for_each(|_| rig.append(5, 180_000));
    assert!(rig.log.view().sealed().len() >= 2, "{} sealed", rig.log.view().sealed().len());
    let store = rig.store();
    run(async {
        for bytes_max in [1, 300_000, 64 << 20] {
            let seen = read_all(&store, 0, bytes_max).await;
            // A read may begin before the offset asked: whole batches. Each read here goes on where the last ended.
            assert_eq!(seen, all(0, 120), "in reads of {bytes_max}");
        }
    });
}

#[test]
fn a_read_begins_with_the_batch_that_contains_the_offset() {
    let mut rig = Rig::new(100);
    (0..3).for_each(|_| rig.append(10, 100));
    run(async {
        for from in 10..20 {
            let runs = rig.store().read("events", 0, from, 1).await.expect("within bounds");
            assert_eq!(check_run(&runs[0]), all(10, 20), "from {from}");
        }
    });
}

#[test]
fn bounds_are_told_and_the_end_is_empty() {
    let mut rig = Rig::new(100);
    rig.append(3, 10);
    let store = rig.store();
    run(async {
        assert_eq!(store.read("events", 0, 3, 1000).await, Ok(Vec::new()));
        let state = store.state("events", 0).expect("the partition");
        assert_eq!((state.log_start, state.high_watermark, state.leader_epoch), (0, 3, 5));
        assert_eq!(store.read("events", 0, 4, 1000).await, Err(ReadError::OutOfRange(state)));
        assert_eq!(store.read("events", 0, -1, 1000).await, Err(ReadError::OutOfRange(state)));
        assert_eq!(store.read("events", 1, 0, 1000).await, Err(ReadError::UnknownPartition));
        assert_eq!(store.read("other", 0, 0, 1000).await, Err(ReadError::UnknownPartition));
    });
}

#[test]
fn retention_moves_the_log_start_and_what_is_left_is_read() {
    let mut rig = Rig::new(3);
    (0..60).for_each(|_| rig.append(1, 900_000));
    let store = rig.store();
    let state = store.state("events", 0).expect("the partition");
    assert!(state.log_start > 20 && state.log_start < 60, "log start {}", state.log_start);
    run(async {
        assert_eq!(read_all(&store, state.log_start, 4 << 20).await, all(state.log_start, 60));
        assert_eq!(store.read("events", 0, state.log_start - 1, 1000).await, Err(ReadError::OutOfRange(state)));
        // As if retention had come between the look at the bounds and the read.
        let late = store.read_at(At { lane: 0, place: 0 }, state.log_start.unsigned_abs() - 1, 1000).await;
        assert_eq!(late, Err(ReadError::OutOfRange(state)));
    });
}

#[test]
fn history_longer_than_the_chunks_that_are_kept_is_read_whole_as_often_as_one_likes() {
    let mut rig = Rig::new(100);
    (0..40).for_each(|_| rig.append(1, 900_000));
    let store = rig.store_without_ring();
    run(async {
        for bytes_max in [1, 700_000, 4 << 20] {
            assert_eq!(read_all(&store, 0, bytes_max).await, all(0, 40), "{bytes_max} bytes a read");
        }
    });
}

#[test]
fn a_rotten_batch_is_counted_and_passed_over_and_nothing_false_is_served() {
    let mut rig = Rig::new(100);
    (0..24).for_each(|_| rig.append(5, 180_000));
    let (sealed, fresh) = (rig.log.view().sealed(), rig.log.view().open_indexes()[0].entries());
    // One bit in the second data block of a sealed segment, one in a fresh segment's file behind the ring.
    rig.disk.rot(sealed[0].file, sealed[0].end_position / 3);
    let file = rig.log.view().open_indexes()[0].read(|file, _, _| file).expect("open");
    rig.disk.rot(file, fresh[0].position + 1000);
    let store = rig.store();
    run(async {
        let seen = read_all(&store, 0, 1 << 20).await;
        assert_eq!(seen.len(), 110, "two batches of five are missing: {seen:?}");
        assert!(seen.is_sorted());
        assert_eq!(rig.reads.unreadable(), 2);
    });
}

/// Answers every place with what `heal` makes of it, until nobody reads any more.
fn healer(heal: impl Fn(&Harmed) -> Healing + Send + 'static) -> (Healer, JoinHandle<usize>) {
    let (healer, harmed) = healing();
    let answers = thread::spawn(move || {
        let answer = |harmed: Harmed| {
            let healing = heal(&harmed);
            harmed.told.send(healing).expect("the reader waits");
        };
        harmed.into_iter().map(answer).count()
    });
    (healer, answers)
}

#[test]
fn a_rotten_batch_that_is_healed_is_served_and_nobody_sees_that_it_was_harmed() {
    let mut rig = Rig::new(100);
    (0..24).for_each(|_| rig.append(5, 180_000));
    let sealed = rig.log.view().sealed()[0].clone();
    let at = sealed.end_position / 3;
    rig.disk.rot(sealed.file, at);
    let disk = rig.disk.clone();
    let (healer, answers) = healer(move |harmed| {
        assert_eq!((harmed.lane, harmed.file, harmed.nonce), (0, sealed.file, sealed.nonce));
        disk.rot(sealed.file, at);
        Healing::Healed
    });
    let store = rig.store().with_healer(Some(healer));
    run(async { assert_eq!(read_all(&store, 0, 1 << 20).await, all(0, 120)) });
    drop(store);
    assert_eq!((answers.join().expect("no answer fails"), rig.reads.unreadable()), (1, 0));
}

#[test]
fn a_rotten_batch_of_which_the_other_node_does_not_speak_is_asked_for_again_and_one_that_nobody_has_is_passed_over() {
    let mut rig = Rig::new(100);
    (0..24).for_each(|_| rig.append(5, 180_000));
    let sealed = rig.log.view().sealed()[0].clone();
    let entry = Sidecar::parse(&rig.disk.read_sidecar(sealed.file).expect("in memory").expect("sealed")).expect("whole").entries[1];
    rig.disk.rot(sealed.file, entry.position + 1000);
    let asked = AtomicUsize::new(0);
    let (healer, answers) = healer(move |_| if asked.fetch_add(1, Ordering::Relaxed) < 3 { Healing::Pending } else { Healing::Lost });
    let store = rig.store().with_healer(Some(healer));
    let harmed = i64::try_from(entry.base_offset).expect("small");
    run(async {
        for _ in 0..3 {
            assert_eq!(store.read("events", 0, harmed, 1 << 20).await, Err(ReadError::Storage));
        }
        assert_eq!(rig.reads.unreadable(), 0, "what may be healed yet is not counted as lost");
        let seen = read_all(&store, harmed, 1 << 20).await;
        assert_eq!(seen, all(harmed + 5, 120));
        assert_eq!(rig.reads.unreadable(), 1);
    });
    drop(store);
    assert_eq!(answers.join().expect("no answer fails"), 4);
}

#[test]
fn times_find_the_record_and_the_latest_is_the_last() {
    let mut rig = Rig::new(100);
    (0..24).for_each(|_| rig.append(5, 180_000));
    let store = rig.store();
    run(async {
        for offset in [0i64, 1, 4, 5, 57, 119] {
            let found = store.offset_at_time("events", 0, BASE_MS + offset).await;
            assert_eq!(found, Ok(Some(TimedOffset { offset, timestamp_ms: BASE_MS + offset })));
        }
        assert_eq!(store.offset_at_time("events", 0, 0).await.map(|found| found.map(|found| found.offset)), Ok(Some(0)));
        assert_eq!(store.offset_at_time("events", 0, BASE_MS + 120).await, Ok(None));
        assert_eq!(store.latest_timestamp("events", 0).await, Ok(Some(TimedOffset { offset: 119, timestamp_ms: BASE_MS + 119 })));
    });
}

#[test]
fn epochs_end_where_the_log_says() {
    let mut rig = Rig::new(100);
    rig.append(7, 10);
    let store = rig.store();
    assert_eq!(store.end_of_epoch("events", 0, 5), Some(EpochEnd { epoch: 5, end_offset: 7 }));
    assert_eq!(store.end_of_epoch("events", 0, 9), Some(EpochEnd { epoch: 5, end_offset: 7 }));
    assert_eq!(store.end_of_epoch("events", 0, 4), None);
}

#[test]
fn a_commit_between_the_look_and_the_wait_wakes() {
    let mut rig = Rig::new(100);
    rig.append(1, 10);
    let store = rig.store();
    run(async {
        for round in 1..20i64 {
            let commits = store.commits();
            assert_eq!(store.state("events", 0).map(|state| state.high_watermark), Some(round));
            rig.append(1, 10);
            tokio::time::timeout(std::time::Duration::from_secs(10), commits).await.expect("the commit wakes");
        }
    });
}

/// A consumer must come to the end though the last batches are lost: an empty batch stands for them.
#[test]
fn lost_batches_at_the_end_are_an_empty_batch_that_ends_at_the_watermark() {
    for fresh in [false, true] {
        let mut rig = Rig::new(100);
        (0..24).for_each(|_| rig.append(5, 180_000));
        let (file, entries) = if fresh {
            let index = rig.log.view().open_indexes().into_iter().next_back().expect("an open segment");
            (index.read(|file, _, _| file).expect("open"), index.entries())
        } else {
            // A new rig whose ring holds nothing: what was appended is read from files alone.
            (rig.log.view().sealed()[0].file, Vec::new())
        };
        if !fresh {
            // Every batch of the first sealed segment is lost: the next segment's follow, behind what is passed over.
            for position in (68 << 10..7 << 20).step_by(64 << 10) {
                rig.disk.rot(file, position);
            }
            let seen = run(async { read_all(&rig.store(), 0, 1 << 20).await });
            assert!(seen.len() < 120 && seen.last() == Some(&119), "{} records, the last {:?}", seen.len(), seen.last());
            continue;
        }
        // Rot in the file of the fresh segment; a store whose ring has moved on reads it there.
        entries.iter().for_each(|entry| rig.disk.rot(file, entry.position + 500));
        let store = rig.store_without_ring();
        run(async {
            let first = i64::try_from(entries[0].base_offset).expect("small");
            let runs = store.read("events", 0, first, 1 << 20).await.expect("an answer");
            assert_eq!(runs.len(), 1);
            let header = BatchHeader::ref_from_prefix(&runs[0]).expect("a header").0;
            assert_eq!((header.base_offset.get(), header.record_count.get(), header.leader_epoch.get()), (first, 0, 5));
            assert_eq!(header.base_offset.get() + i64::from(header.last_offset_delta.get()) + 1, 120);
            assert_eq!(header.crc.get(), headworks_format::checksum::crc32c(&runs[0][21..]));
        });
    }
}
