//! Every changed byte of a head page, and random bits anywhere in blocks: `verify` finds each of them.
//!
//! In process, over an image of a directory that a real node has written: one run stopped, whose segments have sidecars, and one killed,
//! whose last segment has none.

use crate::Column;
use crate::harness::node::Node;
use crate::harness::packets::{self, named};
use crate::harness::random::Random;
use crate::image::{Block, Image};
use crate::rot;
use headworks_format::LaneId;
use headworks_log::verify::{Report, verify};

/// More than any image holds: what lies beyond it decides nothing here.
const WINDOW_BYTES: u64 = 64 << 20;

fn look(image: &Image) -> Report {
    verify(image, LaneId(0), image.segment_bytes(), WINDOW_BYTES).expect("an image lists")
}

/// A small lane of two runs, and its blocks of records.
fn written() -> (Image, Vec<Block>) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let settings = ["node.lanes=1", "log.ring=4MiB"];
    let mut sent = 0;
    for run in 0..2 {
        let node = Node::start(&data, &settings);
        for burst in 0..6 {
            let train: Vec<_> = (0..200).map(|number| named(run, burst * 200 + number, 500)).collect();
            packets::send(&packets::source(node.udp()), &train);
            sent += train.len();
            node.settled(sent as u64);
        }
        rot::all_confirmed(&data, sent);
        if run == 0 { node.stop() } else { node.kill() }
    }
    let image = Image::of(&data);
    let report = look(&image);
    assert_eq!((report.damage.len(), report.records), (0, sent as u64), "before any flip: {report:?}");
    let blocks: Vec<Block> = image.blocks().into_iter().filter(|block| !block.offsets.is_empty()).collect();
    let records: u64 = blocks.iter().flat_map(|block| &block.offsets).map(|(_, count)| count).sum();
    assert_eq!(records, sent as u64, "records in blocks, read by the format alone");
    (image, blocks)
}

fn check_found(image: &mut Image, block: &Block, at: usize, mask: u8) {
    image.flip(block.file, block.position + at, mask);
    let report = look(image);
    let place = format!("byte {at} ^ {mask:#04x} of the block of {} bytes at {} of {}", block.bytes, block.position, block.file);
    assert!(!report.damage.is_empty(), "not found: {place}\n{report:?}");
    let near = report.damage.iter().any(|damage| damage.file == block.file && damage.position == block.position as u64);
    assert!(near, "found elsewhere only: {place}\n{report:?}");
    image.flip(block.file, block.position + at, mask);
}

#[test]
fn every_byte_of_a_head_page_is_proved() {
    let (mut image, blocks) = written();
    let mut random = Random::announced("every_byte_of_a_head_page");
    // One block under a sidecar, and the last of all, which nothing follows.
    let chosen = [blocks[1].clone(), blocks.last().expect("a dozen blocks").clone()];
    for (turn, at) in (0..4096).step_by(Column::chosen().head_bytes_step).enumerate() {
        let mask = u8::try_from(1 + random.below(255)).expect("a byte");
        check_found(&mut image, &chosen[turn % 2], at, mask);
    }
    assert_eq!(look(&image).damage, [], "after the last flip was taken back");
}

#[test]
fn random_bits_of_blocks_are_proved() {
    let (mut image, blocks) = written();
    let mut random = Random::announced("random_bits_of_blocks");
    for _ in 0..Column::chosen().flips {
        let block = &blocks[usize::try_from(random.below(blocks.len() as u64)).expect("few blocks")];
        let at = usize::try_from(random.below(block.bytes as u64)).expect("a block is small");
        check_found(&mut image, block, at, 1 << random.below(8));
    }
    assert_eq!(look(&image).damage, [], "after the last flip was taken back");
}
