//! Healing: what was harmed is told exactly, and only the very block that was there is written in its place.

use super::rig::{BLOCK_BYTES, MemoryDisk, Rig, rules};
use crate::blocks::{Extent, extents};
use crate::disk::{Disk as _, FileNumber};
use crate::heal::{Harm, Unhealed, harm_at, heal};
use crate::recover::recover;
use headworks_format::block::HEAD_BYTES;
use headworks_format::segment::DATA_FROM;

const FIRST: FileNumber = FileNumber(0);
const BLOCKS: u64 = 6;

/// Where a block of the first segment begins; its checkpoint, block 0, is as large as the others.
fn at(number: u64) -> u64 {
    DATA_FROM as u64 + number * u64::from(BLOCK_BYTES)
}

fn filled() -> Rig {
    let mut rig = Rig::new();
    rig.fill(BLOCKS - 1);
    rig.confirm();
    rig
}

fn extent(rig: &Rig) -> Extent {
    extents(rig.log.view())[0]
}

fn harm_of(rig: &Rig, position: u64) -> Option<Harm> {
    harm_at(&rig.disk, &extent(rig), rig.log.next(), position)
}

/// Heals what lies at `position` with the blocks that were written.
fn healed(rig: &mut Rig, position: u64) -> Result<u64, Unhealed> {
    let harm = harm_of(rig, position).expect("a block of the segment");
    let (disk, blocks) = (&mut rig.disk, &rig.blocks);
    let written = |at: u64, bytes: &[u8]| {
        disk.unreadable.clear();
        disk.put(FIRST, at, bytes);
        Ok(())
    };
    heal(&harm, |sequence| Ok(blocks[&sequence].clone()), written)
}

fn zero(disk: &mut MemoryDisk, from: u64, blocks: u64) {
    disk.zero(FIRST, at(from), usize::try_from(blocks * u64::from(BLOCK_BYTES)).expect("small"));
}

#[test]
fn every_kind_of_harm_to_every_block_is_told_and_healed() {
    type Harming = fn(&mut MemoryDisk, u64);
    let kinds: [(&str, Harming, u64); 5] = [
        ("a byte of the head page", |disk, block| disk.rot(FIRST, at(block) + 9), 1),
        ("a byte of the body", |disk, block| disk.rot(FIRST, at(block) + HEAD_BYTES as u64 + 77), 1),
        ("the whole block", |disk, block| zero(disk, block, 1), 1),
        ("two blocks", |disk, block| zero(disk, block, 2), 2),
        ("a page that cannot be read", |disk, block| disk.unreadable.extend([(FIRST, at(block))]), 1),
    ];
    let whole = filled().disk.files[&FIRST].clone();
    for (kind, harms, blocks) in kinds {
        for block in 0..=BLOCKS - blocks {
            let mut rig = filled();
            harms(&mut rig.disk, block);
            for byte in [0, 1, u64::from(BLOCK_BYTES) * blocks - 1] {
                let harm = harm_of(&rig, at(block) + byte).expect("a block of the segment");
                assert_eq!((harm.first, harm.end, harm.position), (block, block + blocks, at(block)), "{kind} of {block}, byte {byte}");
            }
            healed(&mut rig, at(block)).unwrap_or_else(|why| panic!("{kind} of {block}: {why}"));
            assert!(rig.disk.files[&FIRST] == whole, "{kind} of {block}: the file is not as it was");
        }
    }
}

#[test]
fn what_recovery_took_for_a_hole_is_whole_at_the_next_start() {
    for block in 1..BLOCKS - 1 {
        let mut rig = filled();
        zero(&mut rig.disk, block, 1);
        let found = recover(&mut rig.disk, &rules()).expect("a directory in memory is always read");
        let holes: Vec<(u64, u64)> = found.holes().map(|hole| (hole.sequence.0, hole.position)).collect();
        assert_eq!(holes, [(block, at(block))]);
        healed(&mut rig, at(block)).expect("its copy is there");
        let again = recover(&mut rig.disk, &rules()).expect("as above");
        assert_eq!((again.holes().count(), again.next, again.partitions[0].next_offset), (0, BLOCKS, BLOCKS - 1));
    }
}

#[test]
fn a_place_where_no_block_stands_is_no_harm() {
    let rig = filled();
    assert_eq!(harm_of(&rig, at(BLOCKS)), None);
    assert_eq!(harm_at(&rig.disk, &extent(&rig), 2, at(4)), None, "what is not durable yet is not looked at");
}

#[test]
fn a_file_that_was_given_back_is_let_alone() {
    let mut rig = filled();
    rig.disk.zero(FIRST, 0, HEAD_BYTES);
    assert_eq!(harm_of(&rig, at(2)), None);
}

#[test]
fn a_copy_that_is_another_block_is_not_written() {
    let mut rig = filled();
    zero(&mut rig.disk, 3, 1);
    let harm = harm_of(&rig, at(3)).expect("block 3");
    let other = |harms: fn(&mut Vec<u8>), from: u64| {
        let mut block = rig.blocks[&from].clone();
        harms(&mut block);
        block
    };
    let copies: [(&str, Vec<u8>); 5] = [
        ("the block before", other(|_| (), 2)),
        ("rotten", other(|block| block[HEAD_BYTES + 40] ^= 1, 3)),
        ("cut short", other(|block| block.truncate(HEAD_BYTES), 3)),
        ("with more behind it", other(|block| block.resize(block.len() + HEAD_BYTES, 0), 3)),
        ("empty", Vec::new()),
    ];
    for (kind, copy) in copies {
        let refused = heal(&harm, |_| Ok(copy.clone()), |_, _| panic!("{kind}: it was written"));
        assert!(matches!(refused, Err(Unhealed::Unproved { sequence: 3, .. })), "{kind}: {refused:?}");
    }
    let gone = heal(&harm, |_| Err("nobody has it".to_owned()), |_, _| panic!("nothing to write"));
    assert_eq!(gone, Err(Unhealed::Failed("nobody has it".to_owned())));
}

#[test]
fn a_block_of_another_log_with_the_same_number_is_refused_by_the_chain() {
    let mut rig = filled();
    let mut other = Rig::new();
    other.append(0, 2);
    other.settle();
    other.fill(BLOCKS - 2);
    zero(&mut rig.disk, 3, 1);
    let harm = harm_of(&rig, at(3)).expect("block 3");
    let refused = heal(&harm, |sequence| Ok(other.blocks[&sequence].clone()), |_, _| panic!("it was written"));
    assert_eq!(refused, Err(Unhealed::Unproved { sequence: 3, what: "chain" }));
}

#[test]
fn blocks_at_the_end_that_nothing_follows_are_healed_as_far_as_the_log_reaches() {
    let mut rig = filled();
    zero(&mut rig.disk, BLOCKS - 2, 2);
    let harm = harm_of(&rig, at(BLOCKS - 1)).expect("the last two");
    assert_eq!((harm.first, harm.end, harm.end_position, harm.after), (BLOCKS - 2, BLOCKS, None, None));
    assert_eq!(healed(&mut rig, at(BLOCKS - 1)), Ok(2 * u64::from(BLOCK_BYTES)));
    let mut page = rig.disk.buffer(HEAD_BYTES);
    assert_eq!(rig.disk.read(FIRST, at(BLOCKS - 1), HEAD_BYTES, &mut page), Ok(HEAD_BYTES));
    assert_eq!(page, rig.blocks[&(BLOCKS - 1)][..HEAD_BYTES]);
}
