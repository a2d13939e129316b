//! Append and group commit: nothing is durable before an fdatasync that started after its write had completed.

use super::rig::{BLOCK_BYTES, Rig, SEGMENT_BYTES, WINDOW_BYTES, config};
use crate::append::{Command, PageKind, Room, Waiting};
use crate::durable::CONFIRM_AFTER_NS;
use headworks_format::segment::{DATA_FROM, PAGE_BYTES, read_records};

/// A node with an open segment that is durable, and its positions: submitted, written, durable.
fn ready() -> Rig {
    let mut rig = Rig::new();
    rig.fill(1);
    check(&rig, [2, 2, 2]);
    rig
}

fn check(rig: &Rig, wanted: [u64; 3]) {
    let positions = &rig.log.view().positions;
    let found = [positions.submitted.load(), positions.written.load(), positions.durable.load()];
    assert_eq!(found, wanted, "submitted, written, durable");
    assert_eq!(positions.committed.load(), found[2], "on one node committed is durable");
}

fn take(rig: &mut Rig, wanted: impl Fn(&Command) -> bool) -> Command {
    rig.take_orders();
    let place = rig.orders.iter().position(wanted).expect("the order is there");
    rig.orders.remove(place)
}

fn writes_block(sequence: u64) -> impl Fn(&Command) -> bool {
    move |order| matches!(order, Command::WriteBlock { sequence: found, .. } if *found == sequence)
}

fn is_records_page(order: &Command) -> bool {
    matches!(order, Command::WritePage { kind: PageKind::Records, .. })
}

fn is_sync(order: &Command) -> bool {
    matches!(order, Command::Sync { .. })
}

#[test]
fn a_block_is_durable_only_after_its_page_and_a_sync_behind_it() {
    let mut rig = ready();
    rig.append(0, 3);
    check(&rig, [3, 2, 2]);
    let write = take(&mut rig, writes_block(2));
    rig.log.tick(0);
    assert!(rig.log.command().is_none(), "no group begins before anything is written");
    rig.carry_out(write);
    check(&rig, [3, 3, 2]);
    rig.log.tick(0);
    let page = take(&mut rig, is_records_page);
    assert!(!rig.orders.iter().any(is_sync), "the page comes before the sync");
    rig.carry_out(page);
    check(&rig, [3, 3, 2]);
    let sync = take(&mut rig, is_sync);
    rig.carry_out(sync);
    check(&rig, [3, 3, 3]);
    assert_eq!(rig.log.view().partitions[0].high_watermark(), 4, "1 record and 3");
}

#[test]
fn a_write_that_ends_during_a_sync_waits_for_the_next() {
    let mut rig = ready();
    rig.append(0, 1);
    rig.append(0, 1);
    let first = take(&mut rig, writes_block(2));
    rig.carry_out(first);
    rig.log.tick(0);
    let page = take(&mut rig, is_records_page);
    rig.carry_out(page);
    let second = take(&mut rig, writes_block(3));
    rig.carry_out(second);
    rig.log.tick(0);
    let sync = take(&mut rig, is_sync);
    rig.carry_out(sync);
    check(&rig, [4, 4, 3]);
    rig.settle();
    check(&rig, [4, 4, 4]);
}

#[test]
fn blocks_written_out_of_order_are_durable_in_order() {
    let mut rig = ready();
    for _ in 0..3 {
        rig.append(0, 1);
    }
    for sequence in [4, 3] {
        let write = take(&mut rig, writes_block(sequence));
        rig.carry_out(write);
        check(&rig, [5, 2, 2]);
    }
    let write = take(&mut rig, writes_block(2));
    rig.carry_out(write);
    check(&rig, [5, 5, 2]);
    rig.settle();
    check(&rig, [5, 5, 5]);
}

#[test]
fn a_short_write_is_a_fault() {
    let mut rig = ready();
    rig.append(0, 1);
    let fault = rig.log.on_block_written(2, Ok(4096)).expect_err("4096 of 8192");
    assert_eq!(fault.error, "wrote 4096 of 8192 bytes");
}

#[test]
fn a_refused_write_page_and_sync_are_faults() {
    let mut rig = ready();
    rig.append(0, 1);
    let write = take(&mut rig, writes_block(2));
    rig.carry_out(write);
    rig.log.tick(0);
    let page = take(&mut rig, is_records_page);
    assert!(rig.log.on_page_written(PageKind::Records, Err("refused".into())).is_err());
    rig.carry_out(page);
    let fault = rig.log.on_synced(Err("refused".into()), |_, _| {}).expect_err("refused");
    assert_eq!(fault.job, "fdatasync");
    check(&rig, [3, 3, 2]);
}

#[test]
fn blocks_of_a_new_segment_count_only_with_its_header() {
    let mut rig = Rig::new();
    rig.append(0, 1);
    for sequence in [0, 1] {
        let write = take(&mut rig, writes_block(sequence));
        rig.carry_out(write);
    }
    check(&rig, [2, 0, 0]);
    let header = take(&mut rig, |order| matches!(order, Command::WritePage { kind: PageKind::Header, .. }));
    rig.carry_out(header);
    check(&rig, [2, 2, 0]);
}

#[test]
fn a_group_stays_within_one_segment() {
    let mut rig = ready();
    rig.append(0, 1);
    rig.roll();
    rig.append(0, 1);
    rig.take_orders();
    for order in std::mem::take(&mut rig.orders) {
        rig.carry_out(order);
    }
    check(&rig, [5, 5, 2]);
    rig.log.tick(0);
    for wanted in [is_records_page as fn(&Command) -> bool, is_sync] {
        let order = take(&mut rig, wanted);
        rig.carry_out(order);
    }
    check(&rig, [5, 5, 3]);
    rig.settle();
    check(&rig, [5, 5, 5]);
}

#[test]
fn a_segment_is_sealed_when_all_of_it_is_durable() {
    let mut rig = ready();
    rig.append(0, 1);
    rig.roll();
    rig.log.tick(0);
    rig.take_orders();
    assert!(!rig.orders.iter().any(|order| matches!(order, Command::Seal(_))), "block 2 is not durable");
    rig.settle();
    let sealed = rig.log.view().sealed();
    assert_eq!((sealed.len(), sealed[0].base_sequence, sealed[0].end_sequence), (1, 0, 3));
}

#[test]
fn a_full_segment_rolls_and_nothing_stands_beyond_its_size() {
    let mut rig = Rig::new();
    rig.fill(60);
    let blocks = (SEGMENT_BYTES - DATA_FROM as u64) / u64::from(BLOCK_BYTES);
    let bases: Vec<u64> = rig.log.view().sealed().iter().map(|segment| segment.base_sequence).collect();
    assert_eq!(bases, [0, blocks], "{blocks} blocks a segment");
}

#[test]
fn a_full_index_rolls() {
    let mut rig = Rig::start_with(super::rig::MemoryDisk::default(), crate::Config { entries_max: 3, ..config(1) }).0;
    rig.fill(7);
    let bases: Vec<u64> = rig.log.view().sealed().iter().map(|segment| segment.base_sequence).collect();
    assert_eq!(bases, [0, 4], "a checkpoint and three blocks a segment");
}

#[test]
fn appending_waits_for_the_window_and_the_depth() {
    let mut rig = ready();
    let mut appended = 0;
    while rig.log.room(BLOCK_BYTES as usize, 1) == Room::Append {
        rig.append(0, 1);
        appended += 1;
    }
    assert_eq!(rig.log.room(BLOCK_BYTES as usize, 1), Room::Wait(Waiting::Window));
    assert_eq!(appended, WINDOW_BYTES / u64::from(BLOCK_BYTES) - 1, "a roll's checkpoint counts too");
    let mut rig = Rig::start_with(rig.disk, crate::Config { depth: 1, ..config(2) }).0;
    rig.settle();
    rig.roll();
    rig.settle();
    rig.append(0, 1);
    assert_eq!(rig.log.room(BLOCK_BYTES as usize, 1), Room::Wait(Waiting::Depth));
}

#[test]
fn a_quiet_log_confirms_its_last_group_without_a_sync() {
    let mut rig = ready();
    let file = rig.disk.files.keys().next().copied().expect("one segment");
    rig.now_ns += CONFIRM_AFTER_NS - 1;
    rig.settle();
    let through = |rig: &Rig| {
        let area = &rig.disk.files[&file][PAGE_BYTES..DATA_FROM];
        read_records(area).map(|record| record.durable_through).max()
    };
    assert_eq!(through(&rig), Some(0), "the first group was written when nothing was durable");
    rig.now_ns += 1;
    rig.log.tick(rig.now_ns);
    rig.take_orders();
    assert!(rig.orders.iter().all(is_records_page) && rig.orders.len() == 1, "{:?}", rig.orders);
    rig.settle();
    assert_eq!(through(&rig), Some(2));
}

#[test]
fn record_pages_go_round_and_never_over_the_newest() {
    let mut rig = ready();
    let mut last = None;
    for _ in 0..40 {
        rig.append(0, 1);
        for _ in 0..6 {
            rig.take_orders();
            for order in std::mem::take(&mut rig.orders) {
                if let Command::WritePage { kind: PageKind::Records, file, position } = order {
                    assert_ne!(last, Some((file, position)), "the newest page is written over");
                    last = Some((file, position));
                }
                rig.carry_out(order);
            }
            rig.log.tick(0);
        }
    }
}

#[test]
fn a_segment_that_cannot_be_made_is_asked_for_again_only_on_demand() {
    let mut rig = Rig::new();
    rig.take_orders();
    let asked = rig.orders.len();
    rig.orders.clear();
    (0..asked).for_each(|_| rig.log.on_segment_failed());
    rig.log.tick(0);
    rig.take_orders();
    assert!(rig.orders.is_empty(), "{:?}", rig.orders);
    assert_eq!(rig.log.room(BLOCK_BYTES as usize, 1), Room::Wait(Waiting::Segment));
    rig.log.retry_segments();
    rig.take_orders();
    assert_eq!(rig.orders, vec![Command::MakeSegment; asked]);
}

#[test]
fn a_clean_stop_writes_down_the_final_counters() {
    let mut rig = ready();
    let mut buffer = vec![0; headworks_format::block::BLOCK_BYTES_MIN];
    let mut counters = [0; headworks_format::block::COUNTERS];
    counters[0] = 77;
    rig.log.close(5, counters, &mut buffer);
    rig.blocks.insert(2, buffer);
    rig.settle();
    assert!(rig.log.is_idle());
    let (_, recovered) = Rig::start_with(rig.disk, config(2));
    assert_eq!((recovered.next, recovered.counters[0]), (3, 77));
}
