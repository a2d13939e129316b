//! Recovery by scenario: what is torn is cut, what is rotten is a hole, and what is cut never comes back.

use super::rig::{BLOCK_BYTES, MemoryDisk, Rig, SEGMENT_BYTES, WINDOW_BYTES, Watched, config, rules};
use crate::append::Command;
use crate::disk::FileNumber;
use crate::recover::{Recovered, recover};
use crate::verify::verify;
use headworks_format::LaneId;
use headworks_format::block::HEAD_BYTES;
use headworks_format::segment::{DATA_FROM, PAGE_BYTES};

const FIRST: FileNumber = FileNumber(0);

/// Byte of the block with that number in the first segment.
fn at(number: u64) -> u64 {
    DATA_FROM as u64 + number * u64::from(BLOCK_BYTES)
}

fn bases(recovered: &Recovered) -> Vec<(u64, u64)> {
    recovered.segments.iter().map(|segment| (segment.sealed.base_sequence, segment.sealed.end_sequence)).collect()
}

fn check(disk: &mut MemoryDisk, wanted: &[(u64, u64)], holes: &[(u64, u64)]) -> Recovered {
    let recovered = recover(disk, &rules()).expect("a directory in memory is always read");
    let found: Vec<(u64, u64)> = recovered.holes().map(|hole| (hole.sequence.0, hole.blocks)).collect();
    assert_eq!((bases(&recovered).as_slice(), found.as_slice()), (wanted, holes), "{:?}", recovered.notes);
    let again = recover(disk, &rules()).expect("as above");
    assert_eq!((bases(&again), again.next, &again.partitions), (bases(&recovered), recovered.next, &recovered.partitions));
    if holes.is_empty() {
        let report = verify(disk, LaneId(0), SEGMENT_BYTES, WINDOW_BYTES).expect("as above");
        assert!(report.damage.is_empty() && !report.torn_tail, "{report:?}");
    }
    recovered
}

/// A segment with a checkpoint and that many blocks; all durable, the last group not confirmed.
fn filled(blocks: u64) -> Rig {
    let mut rig = Rig::new();
    rig.fill(blocks);
    rig
}

#[test]
fn an_empty_directory_is_an_empty_log() {
    let recovered = check(&mut MemoryDisk::default(), &[], &[]);
    assert_eq!((recovered.next, recovered.notes), (0, Vec::new()));
}

#[test]
fn what_was_durable_is_there() {
    let recovered = check(&mut filled(5).disk, &[(0, 6)], &[]);
    assert_eq!((recovered.partitions[0].next_offset, recovered.counters[0]), (5, 5));
}

#[test]
fn a_file_that_was_walked_is_synced_before_recovery_returns() {
    let mut disk = filled(5).disk;
    disk.synced.clear();
    check(&mut disk, &[(0, 6)], &[]);
    assert_eq!(disk.synced.first(), Some(&FIRST));
}

/// Of a segment that was left whole nothing behind its first block is read, or the head page of each block where the sidecar is gone.
#[test]
fn only_what_was_not_proved_durable_is_read_whole() {
    let mut rig = filled(200);
    rig.confirm();
    let behind_first_block = |disk: &MemoryDisk| {
        let mut disk = Watched::new(disk.clone());
        let recovered = recover(&mut disk, &rules()).expect("a directory in memory is always read");
        assert_eq!((recovered.next, recovered.holes().count()), (rig.log.durable(), 0), "{:?}", recovered.notes);
        let (last, left) = recovered.segments.split_last().expect("200 blocks");
        let is_left = |file: &FileNumber| left.iter().any(|segment| segment.sealed.file == *file);
        let reads = disk.reads().into_iter().filter(|read| read.position >= at(1));
        let (whole, others): (Vec<_>, Vec<_>) = reads.partition(|read| read.file == last.sealed.file);
        assert!(!whole.is_empty() && others.iter().all(|read| is_left(&read.file)), "a spare has no blocks: {others:?}");
        // The blocks behind the first, and where the next one would stand.
        (others, left.iter().map(|segment| segment.sealed.end_sequence - segment.sealed.base_sequence).sum::<u64>())
    };
    assert_eq!(behind_first_block(&rig.disk).0, []);
    rig.disk.sidecars.clear();
    let (heads, places) = behind_first_block(&rig.disk);
    assert_eq!(heads.iter().find(|read| read.bytes != HEAD_BYTES), None);
    assert!((1..=places).contains(&(heads.len() as u64)), "{} pages read of {places}", heads.len());
}

#[test]
fn torn_tail_is_truncated() {
    let mut rig = filled(3);
    let torn = rig.append(0, 1);
    rig.take_orders();
    let write = rig.orders.remove(0);
    let (file, position) = rig.place_of(&write);
    rig.disk.put(file, position, &rig.blocks[&torn][..HEAD_BYTES]);
    let recovered = check(&mut rig.disk, &[(0, 4)], &[]);
    assert_eq!((recovered.perhaps_acked_records, recovered.cut_blocks), (0, 1));
    let kept = rig.disk.quarantined.values().next().expect("a copy");
    assert_eq!(kept[..HEAD_BYTES], rig.blocks[&torn][..HEAD_BYTES]);
}

#[test]
fn a_block_behind_a_torn_one_is_cut_with_it_and_kept_in_quarantine() {
    let mut rig = filled(3);
    rig.append(0, 1);
    let behind = rig.append(0, 1);
    rig.disk.put(FIRST, at(behind), &rig.blocks[&behind]);
    check(&mut rig.disk, &[(0, 4)], &[]);
    let found =
        rig.disk.quarantined.values().any(|kept| kept.windows(HEAD_BYTES).step_by(4096).any(|page| rig.blocks[&behind].starts_with(page)));
    assert!(found, "block {behind} survived and is nowhere");
}

#[test]
fn a_bad_sector_in_a_torn_tail_does_not_keep_the_node_from_starting() {
    let mut rig = filled(3);
    rig.append(0, 1);
    let behind = rig.append(0, 1);
    rig.disk.put(FIRST, at(behind), &rig.blocks[&behind]);
    rig.disk.unreadable.insert((FIRST, at(4)));
    check(&mut rig.disk, &[(0, 4)], &[]);
}

#[test]
fn an_unsynced_block_that_is_whole_is_taken() {
    let mut rig = filled(3);
    let last = rig.append(0, 1);
    rig.disk.put(FIRST, at(last), &rig.blocks[&last]);
    check(&mut rig.disk, &[(0, 5)], &[]);
}

#[test]
fn rot_below_synced_is_a_hole() {
    for byte in [100, 2_000, 4_200] {
        let mut rig = filled(5);
        rig.disk.rot(FIRST, at(3) + byte);
        let recovered = check(&mut rig.disk, &[(0, 6)], &[(3, 1)]);
        assert_eq!(recovered.partitions[0].next_offset, 5, "byte {byte}");
    }
}

#[test]
fn an_unreadable_sector_below_synced_is_a_hole() {
    let mut rig = filled(5);
    rig.disk.unreadable.insert((FIRST, at(3)));
    check(&mut rig.disk, &[(0, 6)], &[(3, 1)]);
}

#[test]
fn two_harmed_blocks_leave_what_stands_between() {
    let mut rig = filled(8);
    rig.disk.rot(FIRST, at(3) + 8);
    rig.disk.rot(FIRST, at(5) + 8);
    check(&mut rig.disk, &[(0, 9)], &[(3, 1), (5, 1)]);
}

#[test]
fn a_block_that_went_astray_hides_only_what_it_fell_on() {
    let mut rig = filled(12);
    let astray = rig.blocks[&9].clone();
    rig.disk.put(FIRST, at(4), &astray);
    rig.disk.zero(FIRST, at(9), BLOCK_BYTES as usize);
    check(&mut rig.disk, &[(0, 13)], &[(4, 1), (9, 1)]);
}

#[test]
fn rot_in_the_last_group_is_cut_and_counted() {
    let mut rig = filled(5);
    rig.disk.rot(FIRST, at(5) + 4_200);
    let recovered = check(&mut rig.disk, &[(0, 5)], &[]);
    assert_eq!(recovered.perhaps_acked_records, 1);
    assert_eq!(rig.disk.quarantined.len(), 1);
}

#[test]
fn rot_in_the_last_group_is_a_hole_once_it_is_confirmed() {
    let mut rig = filled(5);
    rig.confirm();
    rig.disk.rot(FIRST, at(5) + 4_200);
    let recovered = check(&mut rig.disk, &[(0, 6)], &[(5, 1)]);
    assert_eq!(recovered.partitions[0].next_offset, 5, "the directory says what the block held");
}

#[test]
fn offsets_of_a_lost_head_stay_reserved_by_its_persist_record() {
    let mut rig = filled(4);
    rig.append(1, 7);
    rig.settle();
    rig.confirm();
    rig.disk.rot(FIRST, at(5) + 8);
    let recovered = check(&mut rig.disk, &[(0, 6)], &[(5, 1)]);
    let next: Vec<u64> = recovered.partitions.iter().map(|partition| partition.next_offset).collect();
    assert_eq!(next, [4 + 7, 7], "7 records of either partition");
}

#[test]
fn offsets_of_a_lost_head_without_a_record_are_never_given_again() {
    let mut rig = filled(1);
    rig.append(1, 7);
    rig.settle();
    // Sixteen groups later the page that named it is written over.
    rig.fill(18);
    rig.disk.rot(FIRST, at(2) + 8);
    let recovered = check(&mut rig.disk, &[(0, 21)], &[(2, 1)]);
    assert!(recovered.partitions[1].next_offset >= 7, "{:?}", recovered.partitions[1]);
    assert_eq!(recovered.partitions[0].next_offset, 19, "later batches say it exactly");
}

#[test]
fn a_valid_block_beyond_the_window_makes_it_a_hole() {
    // No persist record at all: only the distance shows that it was durable.
    let mut rig = filled(20);
    rig.disk.zero(FIRST, PAGE_BYTES as u64, DATA_FROM - PAGE_BYTES);
    rig.disk.rot(FIRST, at(3) + 8);
    check(&mut rig.disk, &[(0, 21)], &[(3, 1)]);
}

#[test]
fn a_lost_sidecar_is_made_again() {
    let mut rig = filled(50);
    let before = rig.disk.sidecars.clone();
    assert_eq!(before.len(), 2);
    rig.disk.sidecars.clear();
    check(&mut rig.disk, &[(0, 23), (23, 46), (46, 53)], &[]);
    for (file, bytes) in before {
        assert_eq!(rig.disk.sidecars[&file], bytes, "{file}");
    }
}

#[test]
fn a_rotten_sidecar_is_made_again() {
    let mut rig = filled(30);
    let before = rig.disk.sidecars[&FIRST].clone();
    rig.disk.sidecars.get_mut(&FIRST).expect("sealed")[300] ^= 1;
    check(&mut rig.disk, &[(0, 23), (23, 32)], &[]);
    assert_eq!(rig.disk.sidecars[&FIRST], before);
}

#[test]
fn roll_with_torn_old_tail_drops_the_new_segment() {
    let mut rig = filled(3);
    let torn = rig.append(0, 1);
    rig.roll();
    rig.append(0, 1);
    rig.take_orders();
    let orders = std::mem::take(&mut rig.orders);
    let others = orders.into_iter().filter(|order| !matches!(order, Command::WriteBlock { sequence, .. } if *sequence == torn));
    others.for_each(|order| rig.carry_out(order));
    let recovered = check(&mut rig.disk, &[(0, 4)], &[]);
    assert_eq!(recovered.perhaps_acked_records, 0);
    let kept: usize = rig.disk.quarantined.values().map(Vec::len).sum();
    assert_eq!(kept, 2 * BLOCK_BYTES as usize, "the new segment's checkpoint and block");
}

#[test]
fn a_second_roll_without_the_first_is_no_log() {
    // Two rolls under way: of the middle segment nothing reached the disk, of the last all.
    let mut rig = filled(22);
    rig.roll();
    let middle = rig.orders.clone();
    rig.orders.retain(|order| !matches!(order, Command::MakeSegment));
    let middle_file = rig.place_of(middle.iter().find(|order| matches!(order, Command::WriteBlock { .. })).expect("a checkpoint")).0;
    for order in std::mem::take(&mut rig.orders) {
        rig.carry_out(order);
    }
    let file = rig.disk.make();
    rig.log.on_segment(file);
    rig.roll();
    for order in std::mem::take(&mut rig.orders) {
        rig.carry_out(order);
    }
    rig.disk.zero(middle_file, 0, DATA_FROM + BLOCK_BYTES as usize);
    check(&mut rig.disk, &[(0, 23)], &[]);
}

#[test]
fn a_cut_is_superseded_by_the_next_epoch_and_never_comes_back() {
    let mut rig = filled(3);
    rig.append(0, 1);
    let behind = rig.append(0, 1);
    rig.disk.put(FIRST, at(behind), &rig.blocks[&behind]);
    let mut rig = Rig::start(rig.disk, 2);
    rig.fill(30);
    assert_eq!(rig.log.view().partitions[0].high_watermark(), 33);
    let disk = rig.disk;
    let (rig, recovered) = Rig::start_with(disk, config(3));
    assert_eq!((recovered.next, recovered.partitions[0].next_offset), (36, 33));
    let report = verify(&rig.disk, LaneId(0), super::rig::SEGMENT_BYTES, WINDOW_BYTES).expect("in memory");
    assert!(report.damage.is_empty(), "{report:?}");
}

#[test]
fn what_recovery_reserved_is_reserved_again_after_a_crash() {
    let mut rig = filled(5);
    rig.confirm();
    rig.disk.rot(FIRST, at(5) + 4_200);
    for _ in 0..3 {
        let recovered = check(&mut rig.disk, &[(0, 6)], &[(5, 1)]);
        assert_eq!(recovered.partitions[0].next_offset, 5);
    }
}

#[test]
fn the_books_survive_a_segment_of_holes() {
    let mut rig = filled(22);
    rig.fill(1);
    rig.confirm();
    let second = rig.disk.sidecars.len();
    assert_eq!(second, 1);
    let file = rig.log.view().open_indexes()[0].read(|file, _, _| file).expect("open");
    rig.disk.rot(file, at(0) + 8);
    rig.disk.rot(file, at(1) + 8);
    let recovered = check(&mut rig.disk, &[(0, 23), (23, 25)], &[(23, 2)]);
    assert_eq!(recovered.counters[0], 22);
}

#[test]
fn a_pending_hole_is_left_to_the_others_of_the_set() {
    let mut rig = filled(5);
    rig.disk.rot(FIRST, at(3) + 8);
    let recovered = recover(&mut rig.disk, &crate::recover::Rules { alone: false, ..rules() }).expect("in memory");
    let states: Vec<_> = recovered.holes().map(|hole| hole.state).collect();
    assert_eq!(states, [headworks_format::sidecar::HoleState::Pending]);
}

#[test]
fn a_header_that_a_crash_did_not_keep_is_damage_only_where_a_later_page_proves_it() {
    let checked = |bytes: usize| {
        let mut rig = filled(5);
        rig.confirm();
        rig.disk.zero(FIRST, 0, bytes);
        let report = verify(&rig.disk, LaneId(0), super::rig::SEGMENT_BYTES, WINDOW_BYTES).expect("in memory");
        report.damage.into_iter().map(|damage| damage.what).collect::<Vec<_>>()
    };
    assert_eq!(checked(4096), ["header page is unreadable"], "records behind it say that it was durable");
    assert_eq!(checked(DATA_FROM), [""; 0], "nothing says so");
}
