use super::{Command, Room, SEGMENTS_BEGUN, Waiting, segments_max};
use crate::Config;
use crate::retain::Limits;
use crate::rig::{
    BLOCK_BYTES, End, IDS, Random, Rig, config, is_any_block, is_block, is_checkpoint, is_header, is_records, is_seal, is_sync,
};
use headworks_format::block::{Expected, HEADER_BYTES, inspect};
use headworks_format::{Chain, Nonce, PartitionId, Sequence};
use std::collections::BTreeMap;

/// Appends so many blocks, each with room, and then finds this.
fn check(rig: &mut Rig, blocks: usize, wanted: Room) {
    for block in 0..blocks {
        assert_eq!(rig.room(), Room::Append, "block {block} of {blocks}");
        rig.append();
    }
    assert_eq!(rig.room(), wanted, "after {blocks} blocks");
}

#[test]
fn depth_is_given_back_by_a_write_that_ends_not_by_a_sync() {
    let mut rig = Rig::ready(Config { depth: 3, ..config(100) });
    check(&mut rig, 3, Room::Wait(Waiting::Depth));
    rig.end_only(is_block(2));
    check(&mut rig, 1, Room::Wait(Waiting::Depth));
    assert_eq!((rig.log.writing(), rig.log.durable()), (3, 1), "writes under way, durable");
}

#[test]
fn blocks_that_are_written_and_not_durable_are_limited_too() {
    let mut rig = Rig::ready(Config { blocks_max: 4, ..config(100) });
    check(&mut rig, 4, Room::Wait(Waiting::Depth));
    rig.end_all(is_any_block);
    assert_eq!((rig.log.writing(), rig.room()), (0, Room::Wait(Waiting::Depth)));
    rig.settle();
    check(&mut rig, 4, Room::Wait(Waiting::Depth));
}

#[test]
fn the_window_leaves_room_for_one_checkpoint_and_counts_over_a_roll() {
    // Six blocks may be in flight: with three in the full segment and the checkpoint of the next, one more and one to spare.
    let mut rig = Rig::ready(Config { window_bytes: 6 * BLOCK_BYTES, ..config(4) });
    check(&mut rig, 3, Room::Roll);
    rig.roll();
    check(&mut rig, 1, Room::Wait(Waiting::Window));
    rig.end_all(is_any_block);
    rig.end_all(is_header);
    assert_eq!(rig.room(), Room::Wait(Waiting::Window), "written is not durable");
    rig.settle();
    check(&mut rig, 2, Room::Roll);
}

#[test]
fn the_window_waits_with_one_segment_as_over_two() {
    let mut rig = Rig::ready(Config { window_bytes: 6 * BLOCK_BYTES, ..config(100) });
    check(&mut rig, 5, Room::Wait(Waiting::Window));
}

#[test]
fn a_block_that_ends_with_the_segment_fits_and_one_page_more_rolls() {
    let mut rig = Rig::ready(config(4));
    check(&mut rig, 2, Room::Append);
    let left = usize::try_from(BLOCK_BYTES).expect("small");
    assert_eq!([left, left + 4096].map(|bytes| rig.log.room(bytes, 1)), [Room::Append, Room::Roll]);
}

#[test]
fn an_index_without_room_for_every_batch_rolls() {
    let mut rig = Rig::ready(Config { entries_max: 5, ..config(100) });
    rig.append_batches(&[(0, 1), (1, 1), (0, 1)]);
    let asks = [1, 2, 3].map(|batches| rig.log.room(8192, batches));
    assert_eq!(asks, [Room::Append, Room::Append, Room::Roll]);
    rig.roll();
    assert_eq!(rig.log.room(8192, 5), Room::Append, "a new index is empty");
}

#[test]
fn a_log_without_a_spare_waits_for_a_segment() {
    let mut rig = Rig::new(config(4));
    assert_eq!(rig.room(), Room::Wait(Waiting::Segment));
    let order = rig.held[0];
    assert_eq!(order, Command::MakeSegment);
    rig.end(order, End::Whole).expect("made");
    assert_eq!(rig.room(), Room::Roll);
}

#[test]
fn a_roll_waits_for_header_and_checkpoint_of_the_one_before() {
    for held in [is_header, is_checkpoint] {
        let mut rig = Rig::ready(config(2));
        check(&mut rig, 1, Room::Roll);
        rig.roll();
        rig.append();
        rig.settle_but(held);
        assert_eq!(rig.room(), Room::Wait(Waiting::Roll));
        rig.end_all(held);
        assert_eq!(rig.room(), Room::Roll);
    }
}

#[test]
fn a_roll_waits_for_a_free_index_and_gets_the_one_that_is_sealed() {
    let mut rig = Rig::ready(config(2));
    for _ in 0..2 {
        check(&mut rig, 1, Room::Roll);
        rig.roll();
        rig.settle_but(is_seal);
    }
    check(&mut rig, 1, Room::Wait(Waiting::Roll));
    rig.settle_but(is_seal);
    assert_eq!(rig.room(), Room::Wait(Waiting::Roll), "two sidecars are held back");
    let oldest = rig.held[0];
    rig.end(oldest, End::Whole).expect("sealed");
    assert_eq!(rig.room(), Room::Roll);
}

#[test]
fn a_roll_waits_while_the_lane_has_all_its_segments() {
    let mut rig = Rig::ready(Config { segments_max: 2, ..config(2) });
    rig.fill(3);
    assert_eq!(rig.room(), Room::Wait(Waiting::Roll));
}

#[test]
fn offsets_are_dense_per_partition_over_batches_blocks_and_rolls() {
    let mut rig = Rig::ready(config(4));
    let mut next = [0; IDS.len()];
    for block in 0..40 {
        if rig.room() == Room::Roll {
            rig.roll();
        }
        // The same partition twice in a block, the others in turn.
        let batches = [(block % 3, 1 + u32::try_from(block).expect("small") % 4), ((block + 1) % 3, 2), (block % 3, 1)];
        let sequence = rig.append_batches(&batches);
        let placed: Vec<_> = rig.head(sequence).placed().map(|placed| (placed.partition, placed.base_offset, placed.records)).collect();
        let wanted = batches.map(|(place, records)| {
            let base = next[place];
            next[place] += u64::from(records);
            (PartitionId(IDS[place]), base, records)
        });
        assert_eq!(placed, wanted, "block {sequence}");
        rig.settle();
    }
    assert!(rig.seals.len() >= 10, "{} rolls", rig.seals.len());
}

#[test]
fn every_block_carries_the_hash_of_the_one_before_also_over_rolls() {
    let mut rig = Rig::ready(config(3));
    rig.fill(7);
    let mut chain = Chain::START;
    for (sequence, block) in &rig.blocks {
        let header = rig.head(*sequence).header();
        assert_eq!(header.chain, chain.0, "block {sequence}");
        chain = Chain::of(block[..HEADER_BYTES].try_into().expect("a header"));
    }
    assert_eq!(rig.blocks.keys().filter(|block| rig.head(**block).is_control()).count(), 4, "checkpoints");
}

#[test]
fn a_block_says_how_far_the_lane_was_durable_when_it_was_stamped() {
    let mut rig = Rig::ready(config(100));
    let early = rig.append();
    let late = rig.append();
    rig.settle();
    let next = rig.append();
    let committed = [early, late, next].map(|block| rig.head(block).header().committed.get());
    assert_eq!(committed, [1, 1, 3]);
}

#[test]
fn a_slot_is_given_back_when_its_block_is_durable() {
    let mut rig = Rig::ready(config(100));
    assert_eq!(rig.log.first_undurable_slot(), None);
    let first = rig.append();
    rig.append();
    let slot = rig.log.first_undurable_slot().expect("two blocks are in flight");
    rig.end_only(is_block(first));
    rig.tick();
    rig.end_only(is_records);
    assert_eq!(rig.log.first_undurable_slot(), Some(slot), "written, its sync under way");
    rig.end_only(is_sync);
    assert_eq!(rig.log.first_undurable_slot(), Some(slot + 1));
}

/// Any order of completions, ticks, appends and rolls. The rig compares positions, watermarks and what is durable with its own
/// books after every step.
#[test]
fn positions_stay_ordered_and_watermarks_true_in_seeded_runs() {
    for seed in 0..6 {
        let mut random = Random::new(seed);
        let limits = Limits { size_bytes: 4 * config(6).segment_bytes, age_ns: None };
        let mut rig = Rig::new(Config { depth: 6, blocks_max: 24, window_bytes: 20 * BLOCK_BYTES, limits, ..config(6) });
        let mut waits: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..3_000 {
            step(&mut rig, &mut random, &mut waits);
        }
        rig.settle();
        assert!(rig.log.durable() > 100 && rig.seals.len() > 20, "{} durable, {} seals", rig.log.durable(), rig.seals.len());
        assert!(rig.log.view().start() > 0, "nothing was retired");
        prove(&rig);
        assert!(waits.len() >= 2, "{waits:?}");
    }
}

fn step(rig: &mut Rig, random: &mut Random, waits: &mut BTreeMap<String, u32>) {
    rig.now_ns += 1_000_000;
    match random.below(10) {
        0..3 => match rig.room() {
            Room::Append => {
                rig.append_batches(&[(random.below(3), 1), (random.below(3), 3)]);
            }
            Room::Roll => {
                rig.roll();
            }
            Room::Wait(waiting) => *waits.entry(format!("{waiting:?}")).or_default() += 1,
        },
        3..6 => rig.tick(),
        _ if rig.held.is_empty() => {}
        _ => {
            let order = rig.held[random.below(rig.held.len())];
            rig.end(order, End::Whole).expect("ended well");
        }
    }
}

/// Every block of the run proves itself in its place of the chain.
fn prove(rig: &Rig) {
    let mut chain = Chain::START;
    for (sequence, block) in &rig.blocks {
        let nonce = Nonce(rig.head(*sequence).header().nonce.get());
        let expected = Expected { lane: config(6).lane, nonce, sequence: Sequence(*sequence), chain: Some(chain) };
        assert_eq!(inspect(block, &expected).0.first_fault(), None, "block {sequence}");
        chain = Chain::of(block[..HEADER_BYTES].try_into().expect("a header"));
    }
}

#[test]
fn what_a_primary_holds_fits_its_standby() {
    const KEPT: usize = 6;
    const SLACK: usize = 16;
    let standby = segments_max(KEPT, SLACK, 0, true);
    let mut primary = 0;
    // Nothing is committed, so nothing is given back, and each life of the primary fills what it may.
    for _ in 0..SLACK / SEGMENTS_BEGUN {
        primary = segments_max(KEPT, SLACK, primary, false);
        assert!(primary < standby, "{primary} segments of the primary, {standby} of the standby");
    }
    assert_eq!(segments_max(KEPT, SLACK, 100, false), 100 + SEGMENTS_BEGUN, "what is there can always be opened");
}
