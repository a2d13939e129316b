//! Which file is which: headers lost, rotten or astray, and files that must not be taken for what they were.

use super::rig::{MemoryDisk, Rig, config, rules};
use crate::disk::FileNumber;
use crate::recover::{blank, recover};
use headworks_format::segment::{DATA_FROM, HeaderPage, PAGE_BYTES};

fn check(disk: &mut MemoryDisk, wanted: &[(u64, u64)]) {
    let recovered = recover(disk, &rules()).expect("a directory in memory is always read");
    let found: Vec<(u64, u64)> =
        recovered.segments.iter().map(|segment| (segment.sealed.base_sequence, segment.sealed.end_sequence)).collect();
    assert_eq!(found, wanted, "{:?}", recovered.notes);
    assert_eq!(recovered.holes().count(), 0, "{:?}", recovered.notes);
}

const THREE: [(u64, u64); 3] = [(0, 23), (23, 46), (46, 53)];

fn three_segments() -> (MemoryDisk, [FileNumber; 3]) {
    let mut rig = Rig::new();
    rig.fill(50);
    let mut files: Vec<FileNumber> = rig.log.view().sealed().iter().map(|segment| segment.file).collect();
    files.extend(rig.log.view().open_indexes()[0].read(|file, _, _| file));
    let files = files.try_into().expect("three segments");
    (rig.disk, files)
}

#[test]
fn header_page_rot_of_each_segment_is_healed() {
    for place in 0..3 {
        let (mut disk, files) = three_segments();
        let before = disk.files[&files[place]][..PAGE_BYTES].to_vec();
        disk.rot(files[place], 40);
        check(&mut disk, &THREE);
        let page = disk.files[&files[place]].first_chunk().expect("a page");
        let (HeaderPage::Present(healed), HeaderPage::Present(known)) =
            (HeaderPage::parse(page), HeaderPage::parse(before[..].first_chunk().expect("a page")))
        else {
            panic!("segment {place} has no header");
        };
        assert_eq!((healed.nonce, healed.base_sequence, healed.base_chain), (known.nonce, known.base_sequence, known.base_chain));
    }
}

#[test]
fn a_header_that_never_reached_the_disk_is_no_spare() {
    for place in 0..3 {
        let (mut disk, files) = three_segments();
        disk.zero(files[place], 0, PAGE_BYTES);
        check(&mut disk, &THREE);
    }
}

#[test]
fn a_bad_sector_in_the_header_hides_nothing() {
    for place in 0..3 {
        let (mut disk, files) = three_segments();
        disk.unreadable.insert((files[place], 0));
        check(&mut disk, &THREE);
    }
}

#[test]
fn a_bad_sector_in_the_record_area_hides_nothing() {
    let (mut disk, files) = three_segments();
    disk.unreadable.insert((files[2], 2 * PAGE_BYTES as u64));
    check(&mut disk, &THREE);
}

#[test]
fn a_header_that_went_astray_hides_no_segment() {
    for (from, to) in [(2, 0), (2, 1), (1, 0), (0, 2)] {
        let (mut disk, files) = three_segments();
        let astray = disk.files[&files[from]][..PAGE_BYTES].to_vec();
        disk.put(files[to], 0, &astray);
        disk.zero(files[from], 0, PAGE_BYTES);
        check(&mut disk, &THREE);
    }
}

#[test]
fn header_and_first_block_gone_are_told_by_the_persist_record() {
    let mut rig = Rig::new();
    rig.fill(5);
    rig.disk.zero(FileNumber(0), 0, PAGE_BYTES);
    rig.disk.rot(FileNumber(0), DATA_FROM as u64 + 8);
    let recovered = recover(&mut rig.disk, &rules()).expect("in memory");
    let holes: Vec<(u64, u64)> = recovered.holes().map(|hole| (hole.sequence.0, hole.blocks)).collect();
    assert_eq!((recovered.next, holes), (6, vec![(0, 1)]), "{:?}", recovered.notes);
    let partition = recovered.partitions.iter().find(|partition| partition.id.0 == 0).expect("it has records");
    assert_eq!((partition.stream.as_str(), partition.next_offset), ("unnamed-0", 5), "no offset is given out again");
}

#[test]
fn a_file_that_cannot_be_told_is_left_alone() {
    let mut rig = Rig::new();
    rig.fill(25);
    let before = rig.disk.files[&FileNumber(0)].clone();
    for position in [8, DATA_FROM as u64 + 8] {
        rig.disk.rot(FileNumber(0), position);
    }
    rig.disk.zero(FileNumber(0), PAGE_BYTES as u64, DATA_FROM - PAGE_BYTES);
    let recovered = recover(&mut rig.disk, &rules()).expect("in memory");
    assert!(!recovered.spares.contains(&FileNumber(0)) && recovered.notes[0].contains("left alone"), "{:?}", recovered.notes);
    assert_eq!(rig.disk.files[&FileNumber(0)][DATA_FROM + PAGE_BYTES..], before[DATA_FROM + PAGE_BYTES..]);
}

#[test]
fn a_blank_file_is_a_spare() {
    let (mut disk, files) = three_segments();
    blank(&mut disk, files[2]).expect("in memory");
    let recovered = recover(&mut disk, &rules()).expect("in memory");
    assert!(recovered.spares.contains(&files[2]), "{:?}", recovered.spares);
    assert_eq!(recovered.next, 46);
}

#[test]
fn every_spare_of_recovery_is_blank() {
    let mut rig = Rig::new();
    rig.fill(3);
    rig.append(0, 1);
    rig.roll();
    let last = rig.append(0, 1);
    rig.take_orders();
    for order in std::mem::take(&mut rig.orders) {
        if !matches!(order, crate::Command::WriteBlock { sequence, .. } if sequence == 4) {
            rig.carry_out(order);
        }
    }
    assert!(last > 4);
    let recovered = recover(&mut rig.disk, &rules()).expect("in memory");
    assert_eq!(recovered.next, 4);
    for file in &recovered.spares {
        let bytes = &rig.disk.files[file];
        assert!(bytes[..DATA_FROM + 4096].iter().all(|byte| *byte == 0), "{file}");
    }
}

#[test]
fn retired_blocks_do_not_come_back_when_a_new_header_is_lost() {
    let limits = crate::retain::Limits { size_bytes: 1, age_ns: None };
    let mut rig = Rig::start_with(MemoryDisk::default(), crate::Config { limits, ..config(1) }).0;
    rig.fill(100);
    let start = rig.log.view().start();
    assert!(start > 0, "segments were retired");
    rig.roll();
    // Only the checkpoint of the new segment reaches the disk, not its header.
    rig.take_orders();
    for order in std::mem::take(&mut rig.orders) {
        if matches!(order, crate::Command::WriteBlock { .. }) {
            rig.carry_out(order);
        }
    }
    let recovered = recover(&mut rig.disk, &rules()).expect("in memory");
    let first = recovered.segments[0].sealed.base_sequence;
    assert_eq!((first, recovered.holes().count()), (start, 0), "{:?}", recovered.notes);
}
