use super::{LaneView, OpenIndex, SealedSegment, Slot};
use crate::FileNumber;
use crate::rig::{IDS, partitions};
use headworks_format::block::Placed;
use headworks_format::checkpoint::Partition;
use headworks_format::sidecar::{Entry, TIMESTAMP_UNKNOWN};
use headworks_format::{Epoch, LaneId, Nonce, PartitionId};
use std::collections::VecDeque;

/// A lane whose partitions begin at 10, 20 and 30, with room for so many batches a segment.
fn known() -> Vec<Partition> {
    partitions().into_iter().zip([10, 20, 30]).map(|(known, next_offset)| Partition { next_offset, ..known }).collect()
}

fn view(entries_max: usize) -> LaneView {
    LaneView::new(LaneId(3), Epoch(5), &known(), VecDeque::new(), 7, 40, entries_max)
}

fn open(view: &LaneView, index: usize, nonce: u64, base_sequence: u64) {
    view.open_index(index, FileNumber(8), Nonce(nonce), Epoch(5), base_sequence, &known());
}

fn placed(place: usize, base_offset: u64) -> Placed {
    let partition = PartitionId(IDS[place]);
    Placed { partition, offset: 4_096, length: 70, records: 2, base_offset, crc: 0xffff_fffe, max_timestamp_ms: Some(-1) }
}

fn check(index: &OpenIndex, partition: usize, offset: u64, from: usize, wanted: &[u64]) {
    let found: Vec<u64> = index.batches(PartitionId(IDS[partition]), offset, from).map(|found| found.entry.base_offset).collect();
    assert_eq!(found, wanted, "partition at {partition} behind {offset} from place {from}");
}

#[test]
fn an_index_that_is_reused_during_a_read_gives_none() {
    let view = view(4);
    let index = view.fresh_index(0);
    open(&view, 0, 1, 40);
    let seen = index.read(|file, nonce, epoch| (file, nonce, epoch));
    assert_eq!(seen, Some((FileNumber(8), Nonce(1), Epoch(5))));
    let reused = index.read(|_, _, _| {
        view.close_index(0);
        open(&view, 0, 2, 50);
    });
    assert_eq!((reused, index.read(|_, nonce, _| nonce)), (None, Some(Nonce(2))));
    assert_eq!(index.read(|_, _, _| view.close_index(0)), None, "closed during the read");
    assert_eq!(index.read(|_, nonce, _| nonce), None, "closed before the read");
}

#[test]
fn an_index_that_grows_during_a_read_is_still_read() {
    let view = view(4);
    open(&view, 0, 1, 40);
    let index = view.fresh_index(0);
    let seen = index.read(|_, _, _| {
        index.push(&placed(0, 10), 4_096, Slot(1));
        index.len()
    });
    assert_eq!(seen, Some(1));
}

#[test]
fn an_index_that_is_opened_anew_has_nothing_of_the_segment_before() {
    let view = view(2);
    open(&view, 0, 1, 40);
    let index = view.fresh_index(0);
    [10, 12].into_iter().for_each(|offset| index.push(&placed(0, offset), 4_096, Slot(1)));
    assert_eq!((index.len(), index.room()), (2, 0));
    view.close_index(0);
    open(&view, 0, 2, 50);
    assert_eq!((index.len(), index.room(), index.base_sequence(), index.starts(IDS.len())), (0, 2, 50, vec![10, 20, 30]));
    check(index, 0, 0, 0, &[]);
}

#[test]
fn an_entry_comes_back_as_it_was_pushed_at_the_ends_of_its_fields() {
    let view = view(2);
    open(&view, 0, 1, 40);
    let extreme = Placed {
        partition: PartitionId(u32::MAX - 1),
        offset: u32::MAX,
        length: u32::MAX,
        records: u32::MAX,
        base_offset: u64::MAX >> 1,
        crc: u32::MAX,
        max_timestamp_ms: None,
    };
    let index = view.fresh_index(0);
    index.push(&placed(1, 20), 1 << 20, Slot(9));
    index.push(&extreme, 1 << 30, Slot::NONE);
    assert_eq!(index.entry(0), (Entry::of(&placed(1, 20), 1 << 20), Slot(9), 1 << 20));
    assert_eq!(index.entry(1), (Entry::of(&extreme, 1 << 30), Slot::NONE, 1 << 30));
    assert_eq!(index.entry(1).0.max_timestamp_ms, TIMESTAMP_UNKNOWN);
}

#[test]
fn batches_are_those_of_the_partition_behind_the_offset_from_the_place_on() {
    let view = view(8);
    open(&view, 0, 1, 40);
    let index = view.fresh_index(0);
    for (place, offset) in [(0, 10), (1, 20), (0, 12), (1, 22), (0, 14)] {
        index.push(&placed(place, offset), 4_096, Slot(0));
    }
    check(index, 0, 0, 0, &[10, 12, 14]);
    check(index, 0, 12, 0, &[12, 14]);
    check(index, 0, 13, 0, &[12, 14]);
    check(index, 0, 0, 1, &[12, 14]);
    check(index, 1, 0, 0, &[20, 22]);
    check(index, 1, 0, 99, &[]);
    check(index, 2, 0, 0, &[]);
}

#[test]
fn a_new_view_stands_where_recovery_ended() {
    let view = view(4);
    let positions = &view.positions;
    let found = [&positions.submitted, &positions.written, &positions.durable, &positions.committed].map(super::Position::load);
    assert_eq!((found, view.start()), ([40; 4], 7));
    assert_eq!(view.partitions.iter().map(super::PartitionView::high_watermark).collect::<Vec<_>>(), [10, 20, 30]);
    assert_eq!([0, 1, 2, 3, 4, 5].map(|id| view.place(PartitionId(id))), [Some(1), None, Some(2), None, Some(0), None]);
}

#[test]
fn indexes_in_use_are_listed_oldest_segment_first() {
    let view = view(4);
    for (index, base_sequence) in [(1, 60), (0, 70), (2, 50)] {
        assert_ne!(view.free_index(), None);
        open(&view, index, base_sequence, base_sequence);
    }
    let bases = || view.open_indexes().iter().map(|index| OpenIndex::base_sequence(index)).collect::<Vec<_>>();
    assert_eq!((bases(), view.free_index()), (vec![50, 60, 70], None));
    view.close_index(1);
    assert_eq!((bases(), view.free_index()), (vec![50, 70], Some(1)));
}

fn sealed(base_sequence: u64) -> SealedSegment {
    SealedSegment {
        file: FileNumber(1),
        nonce: Nonce(base_sequence + 1),
        epoch: Epoch(5),
        base_sequence,
        end_sequence: base_sequence + 10,
        end_position: 0,
        starts: vec![base_sequence, 0, 0],
    }
}

fn bases(view: &LaneView) -> Vec<u64> {
    view.sealed().iter().map(|segment| segment.base_sequence).collect()
}

#[test]
fn sealed_segments_are_in_order_whatever_order_their_sidecars_ended_in() {
    let view = view(4);
    [20, 40, 10, 30].into_iter().for_each(|base| view.add_sealed(sealed(base)));
    assert_eq!(bases(&view), [10, 20, 30, 40]);
}

#[test]
fn a_segment_below_the_start_is_gone_at_once() {
    let view = view(4);
    [10, 20, 30].into_iter().for_each(|base| view.add_sealed(sealed(base)));
    for (start, kept) in [(19, vec![10, 20, 30]), (20, vec![20, 30]), (29, vec![20, 30]), (40, vec![])] {
        view.set_start(start);
        assert_eq!(bases(&view), kept, "start {start}");
    }
    view.add_sealed(sealed(40));
    assert_eq!(bases(&view), [40]);
}

#[test]
fn the_first_offset_kept_is_the_oldest_sealed_segments_then_the_open_ones_then_the_watermark() {
    let view = view(4);
    assert_eq!([0, 1].map(|place| view.log_start(place)), [10, 20], "nothing kept: the watermark");
    let later: Vec<_> = known().into_iter().map(|known| Partition { next_offset: known.next_offset - 3, ..known }).collect();
    view.open_index(0, FileNumber(8), Nonce(1), Epoch(5), 40, &later);
    assert_eq!([0, 1].map(|place| view.log_start(place)), [7, 17], "the open segment");
    view.add_sealed(sealed(5));
    assert_eq!([0, 1].map(|place| view.log_start(place)), [5, 0], "the sealed one before it");
    view.set_start(15);
    assert_eq!([0, 1].map(|place| view.log_start(place)), [7, 17], "given back");
}
