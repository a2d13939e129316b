use super::{Hint, Place, after_sealed, end_of_epoch, find, holds, holds_in, run_of};
use crate::rig::{IDS, Rig, config, is_any_block, is_seal};
use crate::view::{LaneView, SealedSegment};
use crate::{Config, FileNumber};
use headworks_format::block::HEAD_BYTES;
use headworks_format::sidecar::Entry;
use headworks_format::{Epoch, LaneId, Nonce, PartitionId};
use std::collections::VecDeque;
use std::sync::Arc;

/// Where a look-up went: the nonce and base offsets found fresh, the first blocks of sealed segments, or nowhere.
#[derive(Debug, PartialEq, Eq)]
enum Went {
    Fresh(u64, Vec<u64>),
    Sealed(Vec<u64>),
    Beyond,
}

fn check(rig: &Rig, place: usize, offset: u64, bytes_max: usize, hint: Option<Hint>, wanted: &Went) {
    let went = match find(rig.log.view(), place, offset, bytes_max, hint) {
        Place::Fresh { nonce, batches, .. } => Went::Fresh(nonce.0, batches.iter().map(|found| found.entry.base_offset).collect()),
        Place::Sealed(segments) => Went::Sealed(segments.iter().map(|segment| segment.base_sequence).collect()),
        Place::Beyond => Went::Beyond,
    };
    assert_eq!(went, *wanted, "offset {offset} of the partition at {place}, {bytes_max} B, {hint:?}");
}

/// One segment: the first partition has batches at 0, 2 and 5 to 9, the second at 0 to 3, in alternation.
fn alternating() -> Rig {
    let mut rig = Rig::ready(config(100));
    for batches in [[(0, 2), (1, 1)], [(0, 3), (1, 1)], [(0, 4), (1, 1)]] {
        rig.append_batches(&batches);
    }
    rig.settle();
    rig
}

#[test]
fn find_begins_with_the_batch_that_contains_the_offset() {
    let rig = alternating();
    for (offset, found) in [(0, vec![0, 2, 5]), (1, vec![0, 2, 5]), (2, vec![2, 5]), (4, vec![2, 5]), (5, vec![5]), (8, vec![5])] {
        check(&rig, 0, offset, usize::MAX, None, &Went::Fresh(1, found));
    }
    check(&rig, 1, 1, usize::MAX, None, &Went::Fresh(1, vec![1, 2]));
    check(&rig, 2, 0, usize::MAX, None, &Went::Beyond);
}

#[test]
fn find_takes_what_fits_and_at_least_one_batch() {
    let rig = alternating();
    let index = rig.log.view().open_indexes()[0];
    let bytes: Vec<usize> = index.batches(PartitionId(IDS[0]), 0, 0).map(|found| found.entry.length as usize).collect();
    let two = bytes[0] + bytes[1];
    for (bytes_max, found) in [(0, vec![0]), (two - 1, vec![0]), (two, vec![0, 2]), (two + bytes[2], vec![0, 2, 5])] {
        check(&rig, 0, 0, bytes_max, None, &Went::Fresh(1, found));
    }
}

#[test]
fn find_ends_at_the_high_watermark() {
    let mut rig = alternating();
    rig.append_batches(&[(0, 6)]);
    rig.settle_but(is_any_block);
    check(&rig, 0, 5, usize::MAX, None, &Went::Fresh(1, vec![5]));
    check(&rig, 0, 9, usize::MAX, None, &Went::Beyond);
    rig.settle();
    check(&rig, 0, 5, usize::MAX, None, &Went::Fresh(1, vec![5, 9]));
    check(&rig, 0, 15, usize::MAX, None, &Went::Beyond);
}

#[test]
fn a_hint_is_followed_forward_and_never_for_an_earlier_offset_or_another_segment() {
    let rig = alternating();
    // Beyond every batch but the last: a look-up that follows it finds that one alone.
    let hint = Hint { nonce: Nonce(1), at: 4, offset: 2 };
    check(&rig, 0, 2, usize::MAX, Some(hint), &Went::Fresh(1, vec![5]));
    check(&rig, 0, 1, usize::MAX, Some(hint), &Went::Fresh(1, vec![0, 2, 5]));
    check(&rig, 0, 2, usize::MAX, Some(Hint { nonce: Nonce(2), ..hint }), &Went::Fresh(1, vec![2, 5]));
    check(&rig, 0, 5, usize::MAX, Some(Hint { at: 4, offset: 5, ..hint }), &Went::Fresh(1, vec![5]));
}

#[test]
fn find_goes_from_fresh_to_sealed_when_the_sidecar_is_written() {
    // Blocks 0 to 2, 3 to 5, 6 and 7: two segments that can be sealed, offsets 0 and 1, 2 and 3, 4.
    let mut rig = Rig::ready(config(3));
    rig.append_batches(&[(0, 1)]);
    rig.append_batches(&[(0, 1), (1, 1)]);
    for _ in 0..2 {
        rig.roll();
        rig.append();
        rig.append();
    }
    rig.settle_but(is_seal);
    for (offset, nonce) in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (5, 3)] {
        let found = if offset % 2 == 0 { vec![offset, offset + 1] } else { vec![offset] };
        check(&rig, 0, offset, usize::MAX, None, &Went::Fresh(nonce, found));
    }
    rig.settle();
    for (offset, segments) in [(0, vec![0, 3]), (1, vec![0, 3]), (2, vec![3]), (3, vec![3])] {
        check(&rig, 0, offset, usize::MAX, None, &Went::Sealed(segments));
    }
    check(&rig, 0, 4, usize::MAX, None, &Went::Fresh(3, vec![4, 5]));
    // What the open segment does not have begins in the newest segment that starts at or below it.
    check(&rig, 1, 0, usize::MAX, None, &Went::Sealed(vec![0, 3]));
}

fn entry(partition: u32, base_offset: u64, records: u32, length: u32) -> Entry {
    Entry { partition: PartitionId(partition), base_offset, records, position: 0, length, crc: 0, max_timestamp_ms: 0 }
}

#[test]
fn a_run_ends_with_its_partition_or_where_no_more_fits_and_has_one_batch_at_least() {
    let entries = [entry(1, 0, 5, 10), entry(2, 0, 5, 10), entry(2, 5, 5, 10), entry(2, 20, 5, 10), entry(3, 0, 5, 10)];
    for (partition, offset, bytes_max, run) in [
        (2, 0, 100, 1..4),
        (2, 4, 100, 1..4),
        (2, 5, 100, 2..4),
        // Nothing stands at 10 to 19: the first behind it.
        (2, 10, 100, 3..4),
        (2, 24, 100, 3..4),
        (2, 25, 100, 4..4),
        (2, 0, 0, 1..2),
        (2, 0, 19, 1..2),
        (2, 0, 20, 1..3),
        (2, 0, 29, 1..3),
        (2, 0, 30, 1..4),
        (0, 0, 100, 0..0),
        (3, 0, 100, 4..5),
        (4, 0, 100, 5..5),
    ] {
        let found = run_of(&entries, PartitionId(partition), offset, u64::MAX, bytes_max);
        assert_eq!(found, &entries[run], "partition {partition} from {offset}, {bytes_max} B");
    }
}

/// A batch of three records at offset 2, as it stands on disk, and its entry.
fn stamped() -> (Entry, Vec<u8>) {
    let mut rig = Rig::ready(config(100));
    rig.append_batches(&[(0, 2)]);
    let block = rig.append_batches(&[(0, 3)]);
    let found = rig.log.view().open_indexes()[0].entry(1).0;
    let length = found.length as usize;
    (found, rig.blocks[&block][HEAD_BYTES..HEAD_BYTES + length].to_vec())
}

#[test]
fn a_batch_holds_only_as_its_entry_describes_it() {
    let (found, bytes) = stamped();
    assert!(holds(&found, &bytes) && holds_in(&found, Epoch(5), &bytes), "{found:?}");
    for (field, changed) in [
        ("base offset", Entry { base_offset: 3, ..found }),
        ("records", Entry { records: 4, ..found }),
        ("crc", Entry { crc: found.crc ^ 1, ..found }),
    ] {
        assert!(!holds(&changed, &bytes), "another {field}");
    }
    assert!(!holds_in(&found, Epoch(6), &bytes), "another epoch");
    assert!(!holds(&found, &bytes[..bytes.len() - 1]), "a byte is missing");
    assert!(!holds(&found, &[&bytes[..], &[0]].concat()), "a byte too many");
}

#[test]
fn no_flipped_bit_of_a_batch_holds() {
    let (found, bytes) = stamped();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(!holds_in(&found, Epoch(5), &flipped), "bit {} of byte {}", bit % 8, bit / 8);
    }
}

fn segment(base_sequence: u64, epoch: u32, start: u64) -> SealedSegment {
    SealedSegment {
        file: FileNumber(0),
        nonce: Nonce(1 + base_sequence),
        epoch: Epoch(epoch),
        base_sequence,
        end_sequence: base_sequence + 10,
        end_position: 0,
        starts: vec![start],
    }
}

/// A lane with one partition whose next offset is 50, over these sealed segments: (first block, epoch, start).
fn view(segments: &[(u64, u32, u64)]) -> LaneView {
    let partition = headworks_format::checkpoint::Partition { next_offset: 50, ..crate::rig::partitions()[0].clone() };
    let sealed: VecDeque<_> = segments.iter().map(|(base, epoch, start)| Arc::new(segment(*base, *epoch, *start))).collect();
    LaneView::new(LaneId(0), Epoch(9), &[partition], sealed, 0, 100, 10)
}

#[test]
fn an_epoch_ends_where_the_next_known_one_begins_and_the_last_at_the_high_watermark() {
    let view = view(&[(0, 2, 0), (10, 2, 7), (20, 4, 12), (30, 6, 30)]);
    for (epoch, wanted) in
        [(0, None), (1, None), (2, Some((2, 12))), (3, Some((2, 12))), (4, Some((4, 30))), (5, Some((4, 30))), (6, Some((6, 50)))]
    {
        assert_eq!(end_of_epoch(&view, 0, epoch), wanted, "epoch {epoch}");
    }
    assert_eq!(end_of_epoch(&view, 0, u32::MAX), Some((6, 50)), "a later epoch than any");
}

#[test]
fn the_epoch_of_an_open_segment_counts_and_ends_the_one_before() {
    let rig = {
        let mut rig = Rig::ready(config(3));
        rig.fill(3);
        rig
    };
    assert_eq!(rig.log.view().sealed().len(), 1);
    assert_eq!([4, 5, 6].map(|epoch| end_of_epoch(rig.log.view(), 0, epoch)), [None, Some((5, 3)), Some((5, 3))]);
    let view = view(&[(0, 2, 0)]);
    view.open_index(0, FileNumber(1), Nonce(99), Epoch(9), 100, &crate::rig::partitions()[..1]);
    assert_eq!([2, 8, 9].map(|epoch| end_of_epoch(&view, 0, epoch)), [Some((2, 0)), Some((2, 0)), Some((9, 50))]);
}

#[test]
fn a_reader_that_found_nothing_sealed_goes_on_with_the_next_fresh_segment_behind() {
    let mut rig = Rig::ready(Config { entries_max: 2, ..config(100) });
    rig.append_batches(&[(0, 3), (0, 4)]);
    rig.roll();
    rig.append_batches(&[(0, 5)]);
    rig.settle_but(is_seal);
    for (offset, wanted) in [(0, Some(7)), (6, Some(7)), (7, None), (8, None)] {
        assert_eq!(after_sealed(rig.log.view(), 0, offset), wanted, "from offset {offset}");
    }
}
