use super::CONFIRM_AFTER_NS;
use crate::append::{Command, Room};
use crate::retain::Limits;
use crate::rig::{
    BLOCK_BYTES, End, Rig, WALL_NS, config, is_any_block, is_blank, is_block, is_checkpoint, is_header, is_records, is_seal, is_sync,
};
use crate::{Config, FileNumber};
use headworks_format::block::HEADER_BYTES;
use headworks_format::segment::{DATA_FROM, GROUP_BLOCKS_MAX, PAGE_BYTES, Persisted, RECORD_PAGES};
use headworks_format::{Chain, Nonce, Sequence};

fn check(rig: &Rig, wanted: [u64; 3]) {
    assert_eq!(rig.positions()[..3], wanted, "submitted, written, durable");
}

/// What the page must say of a block in the first segment.
fn persisted(rig: &Rig, sequence: u64, durable_through: u64) -> Persisted {
    let header = rig.head(sequence).header();
    Persisted {
        nonce: Nonce(1),
        epoch: config(1).epoch,
        sequence: Sequence(sequence),
        position: DATA_FROM as u64 + sequence * BLOCK_BYTES,
        length: header.block_bytes.get(),
        records: header.records.get(),
        chain: Chain::of(rig.blocks[&sequence][..HEADER_BYTES].try_into().expect("a header")),
        durable_through,
    }
}

#[test]
fn a_group_is_written_then_recorded_then_synced_and_only_then_durable() {
    let mut rig = Rig::ready(config(100));
    let (first, second) = (rig.append_batches(&[(0, 3)]), rig.append_batches(&[(1, 2), (2, 1)]));
    rig.tick();
    assert!(!rig.held.iter().any(is_records), "nothing is written: {:?}", rig.held);
    rig.end_all(is_any_block);
    check(&rig, [3, 3, 1]);
    rig.tick();
    assert!(!rig.held.iter().any(is_sync), "the page is not written: {:?}", rig.held);
    let (file, _, records) = rig.newest_records();
    assert_eq!((file, records), (FileNumber(0), vec![persisted(&rig, first, 1), persisted(&rig, second, 1)]));
    rig.end_only(is_records);
    check(&rig, [3, 3, 1]);
    rig.end_only(is_sync);
    check(&rig, [3, 3, 3]);
}

#[test]
fn a_write_that_ends_during_the_sync_waits_for_the_next_one() {
    let mut rig = Rig::ready(config(100));
    let (early, late) = (rig.append(), rig.append());
    rig.end_only(is_block(early));
    rig.tick();
    rig.end_only(is_records);
    rig.end_only(is_block(late));
    rig.tick();
    rig.end_only(is_sync);
    check(&rig, [3, 3, 2]);
    rig.tick();
    assert_eq!(rig.newest_records().2, [persisted(&rig, late, 2)]);
    rig.end_only(is_records);
    rig.end_only(is_sync);
    check(&rig, [3, 3, 3]);
}

#[test]
fn a_write_that_ends_while_the_page_is_written_is_in_neither() {
    let mut rig = Rig::ready(config(100));
    let (early, late) = (rig.append(), rig.append());
    rig.end_only(is_block(early));
    rig.tick();
    rig.end_only(is_block(late));
    rig.end_only(is_records);
    rig.end_only(is_sync);
    check(&rig, [3, 3, 2]);
    assert_eq!(rig.newest_records().2, [persisted(&rig, early, 1)], "block {late} is not named");
}

#[test]
fn every_order_of_four_writes_counts_as_far_as_it_has_no_gap() {
    for order in 0..256u64 {
        let order = [0, 2, 4, 6].map(|shift| 1 + (order >> shift & 3));
        if (1..=4).any(|block| !order.contains(&block)) {
            continue;
        }
        let mut rig = Rig::ready(config(100));
        (0..4).for_each(|_| assert!(rig.append() > 0));
        for ended in 1..=4 {
            rig.end_only(is_block(order[ended - 1]));
            let gapless = (1..=4).take_while(|block| order[..ended].contains(block)).count() as u64;
            check(&rig, [5, 1 + gapless, 1]);
        }
    }
}

#[test]
fn what_stands_behind_a_gap_is_neither_recorded_nor_durable() {
    let mut rig = Rig::ready(config(100));
    let blocks = [rig.append(), rig.append(), rig.append()];
    rig.end_only(is_block(blocks[0]));
    rig.end_only(is_block(blocks[2]));
    rig.settle_but(is_block(blocks[1]));
    check(&rig, [4, 2, 2]);
    assert!(rig.pages.iter().all(|page| page.bytes[64..].iter().all(|byte| *byte == 0)), "one record a page");
    rig.settle();
}

#[test]
fn a_group_takes_at_most_the_blocks_that_a_page_can_name() {
    let mut rig = Rig::ready(config(200));
    (0..150).for_each(|_| assert!(rig.append() > 0));
    rig.end_all(is_any_block);
    for (group, blocks) in [GROUP_BLOCKS_MAX, GROUP_BLOCKS_MAX, 150 - 2 * GROUP_BLOCKS_MAX].into_iter().enumerate() {
        let first = 1 + (group * GROUP_BLOCKS_MAX) as u64;
        rig.tick();
        let named: Vec<u64> = rig.newest_records().2.iter().map(|record| record.sequence.0).collect();
        assert_eq!(named, (first..first + blocks as u64).collect::<Vec<_>>());
        rig.end_only(is_records);
        rig.end_only(is_sync);
        check(&rig, [151, 151, first + blocks as u64]);
    }
}

#[test]
fn a_group_ends_with_its_segment() {
    let mut rig = Rig::ready(config(3));
    let old = [rig.append(), rig.append()];
    let new = [rig.roll(), rig.append()];
    rig.end_all(|order| is_any_block(order) || is_header(order));
    check(&rig, [5, 5, 1]);
    for (file, blocks, durable) in [(0, old, 3), (1, new, 5)] {
        rig.tick();
        let (recorded, _, records) = rig.newest_records();
        assert_eq!((recorded, records.iter().map(|record| record.sequence.0).collect::<Vec<_>>()), (FileNumber(file), blocks.to_vec()));
        rig.end_only(is_records);
        assert_eq!(rig.only(is_sync), Command::Sync { file: FileNumber(file) });
        rig.end_only(is_sync);
        check(&rig, [5, 5, durable]);
    }
}

#[test]
fn blocks_of_a_new_segment_do_not_count_before_its_header_is_written() {
    let mut rig = Rig::ready(config(3));
    rig.append();
    rig.roll();
    rig.append();
    rig.end_all(is_any_block);
    check(&rig, [4, 2, 1]);
    rig.settle_but(is_header);
    check(&rig, [4, 2, 2]);
    rig.end_only(is_header);
    check(&rig, [4, 4, 2]);
    rig.settle();
}

#[test]
fn record_pages_go_round_and_begin_anew_with_each_segment() {
    let mut rig = Rig::ready(config(40));
    rig.fill(2 * RECORD_PAGES as u64);
    let page = |turn: usize| ((1 + turn % RECORD_PAGES) * PAGE_BYTES) as u64;
    // The checkpoint's group took the first.
    let found: Vec<u64> = rig.pages.iter().map(|page| page.position).collect();
    assert_eq!(found, (1..=2 * RECORD_PAGES).map(page).collect::<Vec<_>>());
    rig.roll();
    rig.settle();
    assert_eq!(rig.newest_records().1, PAGE_BYTES as u64);
}

#[test]
fn records_of_durable_blocks_are_reported_with_their_wall_times_and_checkpoints_are_not() {
    let mut rig = Rig::ready(config(3));
    rig.append_batches(&[(0, 3), (1, 4)]);
    rig.roll();
    rig.append_batches(&[(2, 5)]);
    rig.settle();
    assert_eq!(rig.reported, [(WALL_NS + 1, 7), (WALL_NS + 3, 5)]);
}

#[test]
fn a_quiet_log_writes_down_once_that_its_last_group_is_durable() {
    let mut rig = Rig::ready(config(100));
    rig.now_ns = 5 * CONFIRM_AFTER_NS;
    rig.append();
    rig.settle();
    rig.pages.clear();
    rig.now_ns += CONFIRM_AFTER_NS - 1;
    rig.settle();
    assert!(rig.pages.is_empty() && rig.log.wants_confirmation(), "not quiet for long enough");
    rig.now_ns += 1;
    rig.tick();
    assert_eq!(rig.newest_records().2, [Persisted::confirmation(Nonce(1), config(1).epoch, 2)]);
    rig.end_only(is_records);
    assert!(rig.held.is_empty() && rig.log.is_idle(), "no sync behind it: {:?}", rig.held);
    rig.now_ns += 10 * CONFIRM_AFTER_NS;
    rig.settle();
    assert_eq!((rig.pages.len(), rig.log.wants_confirmation()), (1, false), "once");
}

#[test]
fn a_log_with_a_write_under_way_is_not_quiet() {
    let mut rig = Rig::ready(config(100));
    let block = rig.append();
    rig.pages.clear();
    rig.now_ns = 100 * CONFIRM_AFTER_NS;
    rig.settle_but(is_block(block));
    assert!(rig.pages.is_empty(), "{:?}", rig.pages);
    rig.settle();
    assert_eq!(rig.newest_records().2, [persisted(&rig, block, 1)], "the group's page says it too");
}

/// Brings a log to where such an order is held.
fn held(fits: fn(&Command) -> bool) -> (Rig, Command) {
    let limits = Limits { size_bytes: 1, age_ns: None };
    let mut rig = Rig::ready(Config { limits, ..config(3) });
    for _ in 0..30 {
        if rig.room() == Room::Roll {
            rig.roll();
        } else {
            rig.append();
        }
        rig.settle_but(fits);
        if let Some(order) = rig.held.iter().copied().find(&fits) {
            return (rig, order);
        }
    }
    panic!("no such order in 30 steps");
}

fn is_slot(order: &Command) -> bool {
    is_any_block(order) && !is_checkpoint(order)
}

#[test]
fn every_failed_order_is_a_fault_that_names_job_and_file_and_acknowledges_nothing() {
    type Case = (fn(&Command) -> bool, &'static str, &'static [End]);
    let cases: [Case; 7] = [
        (is_slot, "block write", &[End::Short, End::Refused]),
        (is_checkpoint, "block write", &[End::Short, End::Refused]),
        (is_header, "segment header write", &[End::Short, End::Refused]),
        (is_records, "persist records write", &[End::Short, End::Refused]),
        (is_sync, "fdatasync", &[End::Refused]),
        (is_seal, "sidecar write", &[End::Refused]),
        (is_blank, "blanking a retired segment", &[End::Refused]),
    ];
    for (fits, job, ends) in cases {
        for end in ends {
            let (mut rig, order) = held(fits);
            let (before, spares) = (rig.positions(), rig.log.spares.len());
            let fault = rig.end(order, *end).expect_err(job);
            assert_eq!((fault.job, fault.file), (job, file_of(&order)), "{end:?}: {order:?}");
            assert_eq!(fault.error.starts_with("wrote "), *end == End::Short, "{}", fault.error);
            assert_eq!(rig.positions(), before, "{job}: a failed order moves nothing");
            assert_eq!(rig.log.spares.len(), spares, "{job}: a failed order gives no file back");
            assert_eq!(rig.log.command(), None, "{job}: a failed order brings no other");
        }
    }
}

fn file_of(order: &Command) -> FileNumber {
    match order {
        Command::WriteBlock { file, .. } | Command::WritePage { file, .. } | Command::Sync { file } | Command::Blank { file } => *file,
        Command::Seal(order) => order.file,
        Command::MakeSegment => panic!("names no file"),
    }
}
