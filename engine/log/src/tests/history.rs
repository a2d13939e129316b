//! Finding batches in fresh and sealed segments, and what is taken for a batch.

use super::rig::{Rig, config};
use crate::history::{Hint, Place, after_sealed, end_of_epoch, find, holds, holds_in, run_of};
use crate::view::LaneView;
use headworks_format::block::HEAD_BYTES;
use headworks_format::sidecar::Entry;
use headworks_format::{Epoch, PartitionId};

fn entry(partition: u32, base_offset: u64, records: u32, length: u32) -> Entry {
    Entry { partition: PartitionId(partition), base_offset, records, position: base_offset, length, crc: 0, max_timestamp_ms: 0 }
}

/// The offsets of the batches that are found in a fresh segment, or how many sealed ones are to be looked into.
fn check(view: &LaneView, offset: u64, bytes_max: usize, wanted: Result<&[u64], usize>) {
    let found = match find(view, 0, offset, bytes_max, None) {
        Place::Fresh { batches, .. } => Ok(batches.iter().map(|found| found.entry.base_offset).collect::<Vec<_>>()),
        Place::Sealed(segments) => Err(segments.len()),
        Place::Beyond => Ok(Vec::new()),
    };
    assert_eq!(found, wanted.map(<[u64]>::to_vec), "offset {offset}");
}

#[test]
fn find_ends_at_the_high_watermark() {
    let mut rig = Rig::new();
    rig.fill(3);
    rig.append(0, 1);
    check(rig.log.view(), 1, usize::MAX, Ok(&[1, 2]));
    check(rig.log.view(), 3, usize::MAX, Ok(&[]));
    rig.settle();
    check(rig.log.view(), 3, usize::MAX, Ok(&[3]));
}

#[test]
fn find_gives_at_least_one_batch_and_no_more_than_fit() {
    let mut rig = Rig::new();
    rig.fill(4);
    check(rig.log.view(), 0, 0, Ok(&[0]));
    check(rig.log.view(), 0, 200, Ok(&[0, 1]));
}

#[test]
fn find_begins_with_the_batch_that_contains_the_offset() {
    let mut rig = Rig::new();
    rig.append(0, 10);
    rig.append(0, 10);
    rig.settle();
    check(rig.log.view(), 9, 1, Ok(&[0]));
    check(rig.log.view(), 10, 1, Ok(&[10]));
}

#[test]
fn find_looks_in_sealed_segments_below_the_fresh_ones() {
    let mut rig = Rig::new();
    rig.fill(50);
    check(rig.log.view(), 0, usize::MAX, Err(2));
    check(rig.log.view(), 22, usize::MAX, Err(1));
    check(rig.log.view(), 44, usize::MAX, Ok(&[44, 45, 46, 47, 48, 49]));
}

#[test]
fn a_hint_goes_on_where_the_last_look_ended() {
    let mut rig = Rig::new();
    rig.fill(6);
    let Place::Fresh { nonce, batches, .. } = find(rig.log.view(), 0, 0, 0, None) else { panic!("offset 0 is fresh") };
    let last = batches[0];
    let hint = Hint { nonce, at: last.at, offset: last.entry.base_offset };
    let Place::Fresh { batches, .. } = find(rig.log.view(), 0, 3, 0, Some(hint)) else { panic!("offset 3 is fresh") };
    assert_eq!(batches[0].entry.base_offset, 3);
}

#[test]
fn sidecars_that_end_out_of_order_are_listed_in_order() {
    let mut rig = Rig::new();
    rig.fill(50);
    let view = rig.log.view();
    let mut sealed = view.sealed();
    let fresh = LaneView::new(view.lane, view.epoch, &super::rig::partitions(), [].into(), 0, 0, 10);
    sealed.reverse();
    sealed.iter().for_each(|segment| fresh.add_sealed(segment.as_ref().clone()));
    let bases: Vec<u64> = fresh.sealed().iter().map(|segment| segment.base_sequence).collect();
    assert_eq!(bases, [0, 23]);
}

#[test]
fn a_run_begins_with_the_entry_that_contains_the_offset_or_the_next() {
    let entries = [entry(0, 0, 5, 100), entry(0, 5, 5, 100), entry(0, 20, 5, 100), entry(1, 0, 5, 100)];
    for (offset, bytes_max, wanted) in [(0, 1, vec![0]), (4, 250, vec![0, 5]), (5, 1, vec![5]), (12, 900, vec![20]), (25, 900, vec![])] {
        let found: Vec<u64> = run_of(&entries, PartitionId(0), offset, bytes_max).iter().map(|entry| entry.base_offset).collect();
        assert_eq!(found, wanted, "offset {offset}");
    }
}

#[test]
fn a_batch_holds_only_as_its_entry_describes_it() {
    let mut rig = Rig::new();
    let sequence = rig.append(0, 3);
    rig.settle();
    let Place::Fresh { batches, .. } = find(rig.log.view(), 0, 0, 0, None) else { panic!("offset 0 is fresh") };
    let entry = batches[0].entry;
    let bytes = &rig.blocks[&sequence][HEAD_BYTES..HEAD_BYTES + entry.length as usize];
    assert!(holds(&entry, bytes) && holds_in(&entry, Epoch(1), bytes));
    assert!(!holds_in(&entry, Epoch(2), bytes), "another epoch");
    // No byte of a batch can change unseen.
    for byte in 0..bytes.len() {
        let mut harmed = bytes.to_vec();
        harmed[byte] ^= 1;
        assert!(!holds_in(&entry, Epoch(1), &harmed), "byte {byte}");
    }
    for other in [Entry { base_offset: 1, ..entry }, Entry { records: 2, ..entry }, Entry { crc: !entry.crc, ..entry }] {
        assert!(!holds(&other, bytes), "{other:?}");
    }
}

#[test]
fn an_epoch_ends_where_the_next_one_began() {
    let mut rig = Rig::new();
    rig.fill(3);
    let mut rig = Rig::start(rig.disk, 4);
    rig.fill(2);
    let view = rig.log.view();
    for (epoch, wanted) in [(0, None), (1, Some((1, 3))), (3, Some((1, 3))), (4, Some((4, 5))), (9, Some((4, 5)))] {
        assert_eq!(end_of_epoch(view, 0, epoch), wanted, "epoch {epoch}");
    }
}

#[test]
fn a_reader_goes_on_behind_a_hole_at_the_end_of_the_sealed_segments() {
    let mut rig = Rig::new();
    rig.fill(5);
    rig.confirm();
    rig.disk.rot(crate::FileNumber(0), headworks_format::segment::DATA_FROM as u64 + 5 * 8192 + 4_200);
    let (mut rig, _) = Rig::start_with(rig.disk, config(2));
    rig.fill(2);
    check(rig.log.view(), 4, usize::MAX, Err(1));
    assert_eq!(after_sealed(rig.log.view(), 0, 4), Some(5));
    check(rig.log.view(), 5, usize::MAX, Ok(&[5, 6]));
}

#[test]
fn the_log_starts_where_the_first_kept_segment_does() {
    let limits = crate::retain::Limits { size_bytes: 1, age_ns: None };
    let mut rig = Rig::start_with(super::rig::MemoryDisk::default(), crate::Config { limits, ..config(1) }).0;
    rig.fill(100);
    let (start, sealed) = (rig.log.view().log_start(0), rig.log.view().sealed());
    assert_eq!(start, sealed[0].starts[0]);
    assert!(start > 0, "segments were retired");
    let rig = Rig::start(rig.disk, 2);
    assert_eq!(rig.log.view().log_start(0), start);
}
