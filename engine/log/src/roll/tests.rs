use crate::append::{Command, Room, SealOrder, Waiting};
use crate::retain::Limits;
use crate::rig::{BLOCK_BYTES, End, IDS, Random, Rig, config, is_blank, is_block, is_checkpoint, is_seal, is_sync, partitions};
use crate::roll::SPARES_TARGET;
use crate::{Config, FileNumber};
use headworks_format::block::{COUNTERS, HEADER_BYTES};
use headworks_format::checkpoint::Partition;
use headworks_format::committed::STREAM;
use headworks_format::segment::{DATA_FROM, HeaderPage, SegmentId};
use headworks_format::{Chain, Nonce, Sequence};

/// A lane that keeps so many segments of three blocks.
fn keeps(segments: u64) -> Config {
    let config = config(3);
    Config { limits: Limits { size_bytes: segments * config.segment_bytes, age_ns: None }, ..config }
}

/// What the checkpoint with that number says: next offsets in the lane's order.
fn check(rig: &Rig, sequence: u64, next: [u64; IDS.len()], arrived: u64) {
    let wanted: Vec<_> = partitions().into_iter().zip(next).map(|(known, next)| (known.id.0, known.stream, next)).collect();
    assert_eq!(rig.checkpoint(sequence), wanted, "block {sequence}");
    assert_eq!(rig.head(sequence).header().counters[0].get(), arrived, "counters of block {sequence}");
}

fn chain_of(rig: &Rig, sequence: u64) -> Chain {
    Chain::of(rig.blocks[&sequence][..HEADER_BYTES].try_into().expect("a header"))
}

#[test]
fn every_roll_begins_with_a_checkpoint_of_the_offsets_that_come_next() {
    let mut rig = Rig::ready(config(3));
    check(&rig, 0, [0, 0, 0], 0);
    rig.append_batches(&[(0, 3), (2, 1)]);
    // What is not durable yet counts too: offsets are given when a block is stamped.
    let second = rig.roll();
    check(&rig, second, [3, 0, 1], 4);
    rig.append_batches(&[(1, 2), (0, 1)]);
    rig.settle();
    let third = rig.roll();
    check(&rig, third, [4, 2, 1], 7);
    for (file, checkpoint) in [(0u32, 0), (1, second), (2, third)] {
        let header = rig.head(checkpoint).header();
        assert_eq!((header.nonce.get(), header.records.get()), (u64::from(file) + 1, 0), "block {checkpoint}");
    }
    let place = rig.only(is_checkpoint);
    assert!(matches!(place, Command::WriteBlock { file: FileNumber(2), position, .. } if position == DATA_FROM as u64), "{place:?}");
}

#[test]
fn a_header_says_which_segment_it_is_and_what_it_follows() {
    let mut rig = Rig::ready(config(3));
    let last = rig.append();
    rig.now_ns = 77;
    let base = rig.roll();
    let page = rig.pages.iter().rfind(|page| page.position == 0).expect("a header is ordered");
    let config = config(3);
    let wanted = SegmentId {
        pair: config.pair,
        lane: config.lane,
        epoch: config.epoch,
        nonce: Nonce(2),
        base_sequence: Sequence(base),
        base_chain: chain_of(&rig, last),
        created_ns: 77,
        window_bytes: config.window_bytes,
        segment_bytes: config.segment_bytes,
    };
    assert_eq!((page.file, HeaderPage::parse(&page.bytes)), (FileNumber(1), HeaderPage::Present(wanted)));
}

#[test]
fn a_clean_stop_ends_with_a_checkpoint_that_carries_the_final_counters() {
    let mut rig = Rig::ready(config(100));
    rig.append_batches(&[(0, 3), (1, 1)]);
    let mut counters: [u64; COUNTERS] = std::array::from_fn(|counter| 10 + counter as u64);
    counters[0] = 4_000;
    let last = rig.close(counters);
    check(&rig, last, [3, 1, 0], 4_000);
    assert_eq!(rig.head(last).header().counters.map(|counter| counter.get()), counters);
    assert!(rig.log.is_checkpoint(last) && !rig.log.is_checkpoint(last - 1), "blocks {last} and before");
    assert_eq!(rig.only(is_checkpoint), rig.only(is_block(last)));
    rig.settle();
    assert!(rig.log.is_idle(), "{:?}", rig.held);
}

#[test]
fn a_rolled_segment_is_sealed_when_all_of_it_is_durable_and_not_before() {
    let mut rig = Rig::ready(config(3));
    rig.append_batches(&[(0, 1), (1, 1)]);
    let last = rig.append();
    let base = rig.roll();
    rig.end_only(is_block(1));
    rig.settle_but(is_block(last));
    assert_eq!((rig.log.durable(), rig.seals.len()), (last, 0), "its last block is missing");
    rig.end_only(is_block(last));
    rig.tick();
    rig.end_all(|order| !is_sync(order));
    rig.tick();
    assert!(rig.seals.is_empty(), "its sync is under way");
    rig.end_only(is_sync);
    rig.tick();
    let [order] = rig.seals[..] else { panic!("{:?}", rig.seals) };
    let counters = rig.head(last).header().counters.map(|counter| counter.get());
    let wanted = SealOrder {
        file: FileNumber(0),
        index: order.index,
        nonce: Nonce(1),
        epoch: config(3).epoch,
        base_sequence: Sequence(0),
        end_sequence: Sequence(base),
        end_position: DATA_FROM as u64 + 3 * BLOCK_BYTES,
        end_chain: chain_of(&rig, last),
        counters,
    };
    assert_eq!(order, wanted);
    assert_eq!(rig.log.view().fresh_index(order.index).entries().len(), 3, "batches of the sealed segment");
    rig.settle();
    assert_eq!(rig.seals.len(), 1, "once");
}

#[test]
fn a_segment_is_retired_only_with_two_sealed_ones_however_little_is_to_be_kept() {
    let mut rig = Rig::ready(keeps(1));
    rig.fill(5);
    assert_eq!((rig.seals.len(), rig.log.view().start()), (2, 3), "segments sealed, first block kept");
    let mut held = Rig::ready(keeps(1));
    for _ in 0..5 {
        if held.room() == Room::Roll {
            held.roll();
        }
        held.append();
        held.settle_but(is_seal);
    }
    assert_eq!((held.seals.len(), held.log.view().start()), (2, 0), "sidecars ordered and not written");
    let newest = held.only(|order| matches!(order, Command::Seal(order) if order.file == FileNumber(1)));
    held.end(newest, End::Whole).expect("sealed");
    held.settle_but(is_seal);
    assert_eq!(held.log.view().start(), 0, "the oldest has no sidecar");
    held.settle();
    assert_eq!(held.log.view().start(), 3);
}

#[test]
fn the_log_starts_behind_a_segment_before_it_is_blanked_and_a_blank_one_is_written_again() {
    let mut rig = Rig::ready(keeps(2));
    for _ in 0..30 {
        if rig.room() == Room::Roll {
            rig.roll();
        }
        rig.append();
        rig.settle_but(is_blank);
        if rig.held.iter().any(is_blank) {
            break;
        }
    }
    let Command::Blank { file } = rig.only(is_blank) else { unreachable!("a blanking is a blanking") };
    assert_eq!((file, rig.log.view().start()), (FileNumber(0), 3), "the oldest goes first, readers have left it");
    assert!(rig.log.files().all(|known| known != file), "neither spare nor segment while it is blanked");
    let view = rig.log.view();
    assert!(view.sealed().iter().all(|segment| segment.file != file) && view.log_start(0) == 2, "{:?}", view.sealed());
    rig.end_only(is_blank);
    assert!(rig.log.spares.contains(&file), "{:?}", rig.log.spares);
    rig.pages.clear();
    rig.fill(12);
    assert!(rig.pages.iter().any(|page| page.position == 0 && page.file == file), "{file} is a segment again");
}

#[test]
fn retired_files_go_one_at_a_time_oldest_first() {
    let mut rig = Rig::ready(keeps(20));
    rig.fill(20);
    rig.log.config.limits = Limits { size_bytes: 0, age_ns: None };
    let mut blanked = Vec::new();
    for _ in 0..40 {
        rig.tick();
        if !rig.held.iter().any(is_blank) {
            break;
        }
        let Command::Blank { file } = rig.only(is_blank) else { unreachable!("a blanking is a blanking") };
        blanked.push(file.0);
        rig.end_only(is_blank);
    }
    assert!(blanked.len() >= 4 && blanked.is_sorted(), "{blanked:?}");
}

/// A lane whose second partition is the internal stream.
fn keeping(config: Config) -> Rig {
    let mut partitions = partitions();
    partitions[1] = Partition { stream: STREAM.to_owned(), ..partitions[1].clone() };
    Rig::over(config, partitions).begun()
}

/// Appends that many blocks of one record of the partition, rolling where there is no room, until nothing is under way.
fn fill(rig: &mut Rig, blocks: usize, partition: usize) {
    for _ in 0..blocks {
        if rig.room() == Room::Roll {
            rig.roll();
        }
        rig.append_batches(&[(partition, 1)]);
        rig.settle();
    }
}

#[test]
fn a_segment_with_records_that_are_kept_stays_until_they_are_not() {
    let mut rig = keeping(keeps(2));
    // Two blocks a segment beside the checkpoint: offsets 0 and 1 in the first, 2 in the second; then others' records.
    fill(&mut rig, 3, 1);
    fill(&mut rig, 20, 0);
    let view = std::sync::Arc::clone(rig.log.view());
    assert_eq!(view.start(), 0, "nobody has said what is needed");
    view.partitions[1].release_below(1);
    rig.tick();
    rig.settle();
    assert_eq!(view.start(), 0, "offset 1 is in the first segment");
    view.partitions[1].release_below(2);
    rig.tick();
    rig.settle();
    assert_eq!(view.start(), 3, "the first segment holds nothing that is needed, the second offset 2");
    view.partitions[1].release_below(0);
    assert_eq!(view.partitions[1].keep_from(), 2, "what was given up stays so");
    view.partitions[1].release_below(3);
    rig.tick();
    rig.settle();
    assert!(view.start() > 12, "all that retention asks for is given back: {}", view.start());
    let before = view.start();
    fill(&mut rig, 10, 0);
    assert!(view.start() > before, "without records that are kept retention goes on as ever");
}

#[test]
fn a_lane_that_must_keep_makes_room_beyond_its_size_up_to_its_bound() {
    let config = Config { segments_max: 12, ..keeps(2) };
    let mut rig = keeping(config);
    fill(&mut rig, 1, 1);
    // Whoever keeps it must be able to append: the lane goes on taking blocks.
    for _ in 0..16 {
        assert_ne!(rig.room(), Room::Wait(Waiting::Segment), "{} files", rig.files);
        fill(&mut rig, 1, 0);
    }
    assert!(rig.files > 4 + 2 && rig.files <= 12, "{} files", rig.files);
    rig.log.view().partitions[1].release_below(1);
    for _ in 0..40 {
        rig.tick();
        rig.settle();
    }
    assert_eq!(rig.log.rolled.len(), 2, "back to what is asked for");
}

/// Files are made up to what is kept and the spares, whatever is held back, and then only used again.
#[test]
fn a_lane_never_has_more_files_than_it_keeps_and_the_spares() {
    for seed in 0..8 {
        let mut random = Random::new(seed);
        let kept = 1 + random.below(5);
        let mut rig = Rig::new(keeps(kept as u64));
        for _ in 0..1_500 {
            let orders = rig.held.iter().filter(|order| **order == Command::MakeSegment).count();
            assert!(rig.log.making == orders && rig.log.spares.len() + orders <= 8 + SPARES_TARGET, "{} spares", rig.log.spares.len());
            match (rig.room(), random.below(3)) {
                (Room::Append, 0) => assert!(rig.append() > 0),
                (Room::Roll, 0) => assert!(rig.roll() < u64::MAX),
                (_, 1) => rig.tick(),
                _ if rig.held.is_empty() => {}
                _ => {
                    let order = rig.held[random.below(rig.held.len())];
                    rig.end(order, End::Whole).expect("ended well");
                }
            }
        }
        let files_max = kept + SPARES_TARGET;
        assert!(rig.files as usize <= files_max, "{} files, kept {kept}", rig.files);
        assert!(rig.blocks.len() > 4 * files_max, "{} blocks in {} files: they were used again", rig.blocks.len(), rig.files);
    }
}

#[test]
fn a_segment_that_cannot_be_made_is_asked_for_again_only_when_told_to() {
    let mut rig = Rig::new(config(3));
    assert_eq!(rig.held, [Command::MakeSegment; SPARES_TARGET]);
    rig.held.clear();
    (0..SPARES_TARGET).for_each(|_| rig.log.on_segment_failed());
    rig.tick();
    assert!(rig.held.is_empty(), "{:?}", rig.held);
    rig.log.retry_segments();
    rig.log.retry_segments();
    rig.tick();
    assert_eq!(rig.held, [Command::MakeSegment; SPARES_TARGET], "once, however often it is told");
}

#[test]
fn age_retires_by_the_newest_record_and_not_by_time_passing() {
    let aged = Config { limits: Limits { size_bytes: u64::MAX, age_ns: Some(9) }, ..config(3) };
    let mut rig = Rig::ready(aged);
    rig.fill(6);
    rig.now_ns = u64::MAX / 2;
    rig.settle();
    assert_eq!(rig.log.view().start(), 0, "the newest record is at most nine later than any");
    rig.fill(6);
    assert!(rig.log.view().start() > 0, "newer records came");
}

#[test]
fn a_segment_is_closed_when_its_first_record_is_a_quarter_of_the_age_old() {
    // Blocks of the rig are one ns apart.
    let aged = Config { limits: Limits { size_bytes: u64::MAX, age_ns: Some(12) }, ..config(100) };
    let mut rig = Rig::ready(aged);
    let mut rolled_before = Vec::new();
    for block in 0..12 {
        if rig.room() == Room::Roll {
            rolled_before.push(block);
            rig.end_all(|order| *order == Command::MakeSegment);
            rig.roll();
        }
        rig.append();
        rig.settle();
    }
    assert_eq!(rolled_before, [5, 10], "the first block that follows one more than three after the segment's first");
}

#[test]
fn a_clock_that_was_ahead_once_makes_nothing_old_for_good() {
    let aged = Config { limits: Limits { size_bytes: u64::MAX, age_ns: Some(1_000) }, ..config(100) };
    let mut rig = Rig::ready(aged);
    rig.append();
    rig.ahead_ns = 900;
    rig.append();
    rig.settle();
    assert_eq!(rig.room(), Room::Roll, "the first record seems to be old");
    rig.ahead_ns = 0;
    for block in 0..5 {
        rig.append();
        rig.settle();
        assert_eq!(rig.room(), Room::Append, "after {block} blocks by the right clock");
    }
}

#[test]
fn age_alone_waits_for_nothing() {
    let aged = Config { limits: Limits { size_bytes: u64::MAX, age_ns: Some(1) }, ..config(100) };
    let mut rig = Rig::ready(aged);
    for _ in 0..3 {
        rig.append();
    }
    rig.settle();
    assert_eq!(rig.room(), Room::Roll);
    rig.log.spares.clear();
    assert_eq!(rig.room(), Room::Append, "without a spare the open segment goes on");
}

#[test]
fn a_checkpoint_of_a_later_time_makes_no_record_old() {
    let aged = Config { limits: Limits { size_bytes: u64::MAX, age_ns: Some(1_000) }, ..config(3) };
    let mut rig = Rig::ready(aged);
    rig.fill(6);
    // What a start after a long time does: a new segment, whose checkpoint carries the clock's time.
    rig.now_ns = u64::MAX / 2;
    rig.end_all(|order| *order == Command::MakeSegment);
    rig.roll();
    rig.settle();
    assert_eq!(rig.log.view().start(), 0, "no record is older than the newest by more than a thousand");
}
