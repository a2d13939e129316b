//! Retention: what may go, and what must be left behind it.

use super::rig::{MemoryDisk, Rig, config};
use crate::append::Command;
use crate::retain::{Limits, Rolled, expired};

/// Sealed segments of 10 bytes each that end at these numbers, written at ten times them.
fn segments(ends: &[u64]) -> Vec<Rolled> {
    ends.iter().map(|end| Rolled { bytes: 10, end_sequence: *end, newest_ns: end * 10, sealed: true }).collect()
}

fn check(rolled: &[Rolled], committed: u64, limits: Limits, wanted: usize) {
    let newest_ns = rolled.last().map_or(0, |segment| segment.newest_ns);
    let found = expired(rolled.iter().copied(), 10, committed, newest_ns, &limits);
    assert_eq!(found, wanted, "{limits:?}, committed {committed}");
}

const ALL: Limits = Limits { size_bytes: 0, age_ns: None };

#[test]
fn size_takes_the_oldest_until_the_rest_fits() {
    let rolled = segments(&[5, 9, 14, 20]);
    for (size_bytes, wanted) in [(50, 0), (49, 1), (40, 1), (30, 2), (29, 3)] {
        check(&rolled, 99, Limits { size_bytes, age_ns: None }, wanted);
    }
}

#[test]
fn age_is_compared_with_the_newest_record() {
    let rolled = segments(&[5, 9, 14, 20]);
    for (age, wanted) in [(150, 0), (149, 1), (110, 1), (109, 2), (0, 3)] {
        check(&rolled, 99, Limits { size_bytes: u64::MAX, age_ns: Some(age) }, wanted);
    }
}

#[test]
fn a_sealed_segment_always_stays() {
    check(&segments(&[]), 99, ALL, 0);
    check(&segments(&[5]), 99, ALL, 0);
    check(&segments(&[5, 9]), 99, ALL, 1);
    let mut rolled = segments(&[5, 9, 14]);
    rolled[2].sealed = false;
    check(&rolled, 99, ALL, 1);
}

#[test]
fn nothing_goes_that_is_not_sealed_or_not_committed_with_the_block_behind_it() {
    let mut rolled = segments(&[5, 9, 14]);
    check(&rolled, 5, ALL, 0);
    check(&rolled, 6, ALL, 1);
    rolled[0].sealed = false;
    check(&rolled, 99, ALL, 0);
}

#[test]
fn a_retired_file_is_a_spare_only_when_it_is_blank() {
    let limits = Limits { size_bytes: 1, age_ns: None };
    let mut rig = Rig::start_with(MemoryDisk::default(), crate::Config { limits, ..config(1) }).0;
    let mut blanked = Vec::new();
    for _ in 0..120 {
        rig.append(0, 1);
        while {
            rig.log.tick(rig.now_ns);
            rig.take_orders();
            !rig.orders.is_empty()
        } {
            let order = rig.orders.remove(0);
            if let Command::Blank { file } = order {
                assert!(!rig.log.view().sealed().iter().any(|segment| segment.file == file), "{file} is still read");
                blanked.push(file);
            }
            rig.carry_out(order);
        }
    }
    assert!(blanked.len() >= 2, "{blanked:?}");
    assert!(rig.disk.files.len() <= 8, "{} files: retired ones are used again", rig.disk.files.len());
}
