//! Two nodes in memory: one stamps, the other follows. Whatever happens to the second, its log is a prefix of the first's, byte
//! for byte and segment for segment.

use super::rig::{BLOCK_BYTES, MemoryDisk, Rig, SEGMENT_BYTES, Watched, config, partitions, rules};
use crate::append::{Config, Room};
use crate::blocks::{Blocks, Missing, bytes_from, epochs};
use crate::recover::{Recovered, recover, reopen, truncate};
use crate::retain::Limits;
use crate::view::PartitionView;
use crate::view::gate::OPEN;
use crate::{Command, Log};
use headworks_format::batch::Produced;
use headworks_format::block::{HEAD_BYTES, Head};
use headworks_format::checkpoint::Producer;
use headworks_format::{Epoch, PartitionId, Sequence, checkpoint};
use std::sync::Arc;

/// A follower over a directory, as a start makes it: nothing beyond `committed` is taken for committed, and it goes on in its
/// last segment.
fn follower(mut disk: MemoryDisk, committed: u64) -> Rig {
    let mut recovered = recover(&mut disk, &rules()).expect("a directory in memory is always read");
    recovered.take_back(&disk, committed).expect("as above");
    recovered.reopened = reopen(&mut disk, &mut recovered).expect("as above");
    let known = recovered.partitions.clone();
    let log = Log::start(config(recovered.epoch.0), &recovered, known);
    hold(&log, committed);
    let mut rig = Rig::new();
    (rig.disk, rig.log) = (disk, log);
    rig
}

/// Nothing at or above is committed, nor in anybody else's memory.
fn hold(log: &Log, committed: u64) {
    log.view().gate.set_durable(committed);
    log.view().gate.set_received(committed);
}

fn head(block: &[u8]) -> Head<'_> {
    Head::parse(block.first_chunk::<HEAD_BYTES>().expect("a block")).expect("a stamped block")
}

/// Hands the follower one block as the link does; what it says of it.
fn follow(rig: &mut Rig, block: &[u8]) -> Result<(), String> {
    rig.settle();
    if head(block).is_control() {
        let payload = &block[HEAD_BYTES..HEAD_BYTES + head(block).header().payload_bytes.get() as usize];
        for partition in checkpoint::read(payload).expect("a checkpoint").partitions {
            if !rig.log.knows(partition.id) {
                let view = PartitionView::of(&partition);
                rig.log.add_partition(partition, view).expect("room");
            }
        }
    }
    if rig.log.room_to_follow(&head(block)) == Room::Roll {
        rig.log.follow_roll(&head(block));
    }
    assert_eq!(rig.log.room_to_follow(&head(block)), Room::Append);
    let sequence = head(block).sequence().0;
    rig.log.follow(block, sequence).map_err(|unfit| unfit.reason)?;
    rig.blocks.insert(sequence, block.to_vec());
    rig.take_orders();
    Ok(())
}

/// Ships everything from `from` on, each block durable and committed before the next.
fn ship(primary: &Rig, follower: &mut Rig, from: u64) {
    for (_, block) in primary.blocks.range(from..) {
        follow(follower, block).expect("the next block");
    }
    follower.log.view().gate.set_durable(OPEN);
    follower.settle();
}

/// The bytes of every block of the log, by number, and where each segment begins.
fn contents(rig: &Rig) -> (Vec<Vec<u8>>, Vec<(u64, u64)>) {
    let disk = Arc::new(rig.disk.clone());
    let mut blocks = Blocks::new(Arc::clone(rig.log.view()), disk);
    let bytes = (crate::blocks::first(rig.log.view()).unwrap_or(0)..rig.log.durable()).map(|at| blocks.read(at).expect("durable").to_vec());
    let bytes: Vec<Vec<u8>> = bytes.collect();
    let segments = bytes.iter().map(|block| (head(block).nonce().0, head(block).sequence().0)).collect();
    (bytes, segments)
}

fn check(primary: &Rig, follower: &Rig) {
    assert_eq!(follower.log.durable(), primary.log.durable(), "blocks");
    assert_eq!(contents(follower), contents(primary));
    let offsets = |rig: &Rig| rig.log.view().partitions.iter().map(PartitionView::high_watermark).collect::<Vec<_>>();
    assert_eq!(offsets(follower), offsets(primary), "high watermarks");
}

#[test]
fn a_follower_has_the_same_blocks_in_the_same_segments() {
    let mut primary = Rig::new();
    primary.fill(70);
    let mut second = follower(MemoryDisk::default(), 0);
    ship(&primary, &mut second, 0);
    check(&primary, &second);
    assert!(second.disk.sidecars.len() >= 2, "{} sidecars: it rolled where the primary did", second.disk.sidecars.len());
}

#[test]
fn what_a_peer_lacks_is_told_in_bytes() {
    let mut primary = Rig::new();
    primary.fill(70);
    for from in 0..=primary.log.durable() {
        let lacks: usize = primary.blocks.range(from..).map(|(_, block)| block.len()).sum();
        assert_eq!(bytes_from(primary.log.view(), from), lacks as u64, "from block {from} on");
    }
}

#[test]
fn a_follower_that_starts_again_anywhere_goes_on_in_the_same_segment() {
    let mut primary = Rig::new();
    primary.fill(40);
    for stop in 0..primary.log.durable() {
        let mut second = follower(MemoryDisk::default(), 0);
        for (_, block) in primary.blocks.range(..stop) {
            follow(&mut second, block).expect("the next block");
        }
        second.settle();
        let mut second = follower(second.disk, stop);
        assert_eq!(second.log.durable(), stop, "nothing that was durable is missing");
        ship(&primary, &mut second, stop);
        check(&primary, &second);
        let mut disk = second.disk;
        assert_eq!(recover(&mut disk, &rules()).expect("read").next, primary.log.durable());
    }
}

#[test]
fn the_reopened_segment_is_among_the_files_that_are_written() {
    let mut primary = Rig::new();
    primary.fill(6);
    let mut second = follower(MemoryDisk::default(), 0);
    for (_, block) in primary.blocks.range(..5) {
        follow(&mut second, block).expect("the next block");
    }
    second.settle();
    let mut second = follower(second.disk, 5);
    let known: Vec<_> = second.log.files().collect();
    follow(&mut second, &primary.blocks[&5]).expect("the next block");
    let written = second.orders.iter().find_map(|order| if let Command::WriteBlock { file, .. } = order { Some(*file) } else { None });
    let written = written.expect("a block that follows is written");
    assert!(known.contains(&written), "{written:?} is written and not among {known:?}");
}

#[test]
fn a_follower_that_dies_in_the_reopened_segment_loses_nothing_durable() {
    let mut primary = Rig::new();
    primary.fill(20);
    let mut second = follower(MemoryDisk::default(), 0);
    for (_, block) in primary.blocks.range(..10) {
        follow(&mut second, block).expect("the next block");
    }
    second.settle();
    let mut second = follower(second.disk, 10);
    for (_, block) in primary.blocks.range(10..15) {
        follow(&mut second, block).expect("the next block");
    }
    second.settle();
    // Written, and no group names it: the power goes.
    follow(&mut second, &primary.blocks[&15]).expect("the next block");
    let write = second.orders.iter().copied().find(|order| matches!(order, Command::WriteBlock { .. })).expect("ordered");
    second.carry_out(write);
    let recovered = recover(&mut second.disk, &rules()).expect("read");
    assert_eq!((recovered.next, recovered.holes().count()), (16, 0), "{:?}", recovered.notes);
}

#[test]
fn what_is_not_the_next_block_is_refused_and_changes_nothing() {
    let mut primary = Rig::new();
    primary.fill(6);
    let mut stranger = Rig::new();
    stranger.append(1, 3);
    stranger.settle();
    stranger.fill(5);
    let mut second = follower(MemoryDisk::default(), 0);
    for (_, block) in primary.blocks.range(..4) {
        follow(&mut second, block).expect("the next block");
    }
    second.settle();
    let before = contents(&second);
    for (block, what) in [(&primary.blocks[&5], "its number"), (&primary.blocks[&3], "its number"), (&stranger.blocks[&4], "hashes to")] {
        let refused = second.log.follow(block, 9).expect_err("not the next block").reason;
        assert!(refused.contains(what), "{refused}");
    }
    second.settle();
    assert_eq!(contents(&second), before);
    follow(&mut second, &primary.blocks[&4]).expect("the next block still fits");
}

#[test]
fn nothing_is_committed_before_the_gate_lets_it_through() {
    let mut primary = Rig::new();
    hold(&primary.log, 0);
    primary.fill(4);
    let view = Arc::clone(primary.log.view());
    assert_eq!((view.positions.durable.load(), view.positions.committed.load(), view.partitions[0].high_watermark()), (5, 0, 0));
    for (gate, watermark) in [(2, 1), (4, 3), (3, 3), (9, 4)] {
        view.gate.set_durable(gate);
        primary.log.tick(primary.now_ns);
        assert_eq!(view.partitions[0].high_watermark(), watermark, "gate at {gate}");
    }
    assert_eq!((view.positions.committed.load(), view.positions.uncommitted_bytes.load()), (5, 0));
}

#[test]
fn slots_are_shared_when_the_peer_has_them_in_memory_and_committed_when_it_has_them_on_disk() {
    let mut primary = Rig::new();
    let positions = |rig: &Rig| {
        let positions = &rig.log.view().positions;
        (positions.shared_slots.load(), positions.committed_slots.load())
    };
    hold(&primary.log, 0);
    primary.fill(3);
    assert_eq!(positions(&primary), (0, 0));
    primary.append(0, 1);
    primary.log.view().gate.set_received(5);
    primary.log.view().gate.set_durable(2);
    primary.log.tick(primary.now_ns);
    // Slots of the rig are numbered from 1: block 4, under way, stands in slot 4, block 1 in slot 1.
    assert_eq!(positions(&primary), (5, 2));
}

#[test]
fn a_start_hides_what_is_not_known_to_be_committed_until_it_is() {
    let mut primary = Rig::new();
    primary.fill(9);
    let second = follower(primary.disk.clone(), 6);
    assert_eq!((second.log.durable(), second.log.view().partitions[0].high_watermark()), (10, 5));
    let mut second = second;
    second.log.view().gate.set_durable(OPEN);
    second.settle();
    assert_eq!((second.log.view().positions.committed.load(), second.log.view().partitions[0].high_watermark()), (10, 9));
}

#[test]
fn a_divergent_tail_is_kept_in_quarantine_and_cut_at_every_place() {
    let mut primary = Rig::new();
    primary.fill(70);
    for to in [1, 2, 30, 31, 32, 33, 60, 70] {
        let mut disk = primary.disk.clone();
        recover(&mut disk, &rules()).expect("read");
        let cut = truncate(&mut disk, &rules(), Sequence(to), Sequence(0)).expect("cut");
        let end = primary.log.durable();
        assert_eq!(cut.blocks, end - to, "cut at {to}");
        let kept: usize = cut.copies.iter().map(|name| disk.quarantined[name].len()).sum();
        assert_eq!(kept as u64, (end - to) * u64::from(BLOCK_BYTES), "bytes in quarantine for a cut at {to}");
        let recovered = recover(&mut disk, &rules()).expect("read");
        assert_eq!((recovered.next, recovered.holes().count()), (to, 0), "cut at {to}: {:?}", recovered.notes);
        let second = follower(disk, to);
        assert_eq!(second.log.durable(), to, "and again behind a reopened segment");
        let mut disk = second.disk;
        assert_eq!(recover(&mut disk, &rules()).expect("read").next, to, "whose sidecar is gone");
    }
}

#[test]
fn a_log_that_begins_anew_keeps_what_may_be_divergent_and_nothing_else() {
    let mut primary = Rig::new();
    primary.fill(70);
    let end = primary.log.durable();
    for shared in [0, 1, 31, 32, 33, 60, end] {
        let mut disk = primary.disk.clone();
        recover(&mut disk, &rules()).expect("read");
        let cut = truncate(&mut disk, &rules(), Sequence(0), Sequence(shared)).expect("cut");
        assert_eq!(cut.blocks, end - shared, "shared below {shared}");
        let kept: usize = cut.copies.iter().map(|name| disk.quarantined[name].len()).sum();
        assert_eq!(kept as u64, (end - shared) * u64::from(BLOCK_BYTES), "bytes in quarantine of what is shared below {shared}");
        assert_eq!(recover(&mut disk, &rules()).expect("read").next, 0, "shared below {shared}");
    }
}

#[test]
fn a_follower_that_leads_begins_a_segment_of_its_own_epoch() {
    let mut primary = Rig::new();
    primary.fill(5);
    let mut second = follower(MemoryDisk::default(), 0);
    ship(&primary, &mut second, 0);
    second.log.lead(Epoch(7));
    assert_eq!(second.log.room(BLOCK_BYTES as usize, 1), Room::Roll);
    second.roll();
    second.append(0, 1);
    second.settle();
    assert_eq!(epochs(second.log.view()), [(Epoch(1), 0), (Epoch(7), 6)]);
    assert_eq!(second.log.view().partitions[0].high_watermark(), 6, "offsets go on");
    let block = contents(&second).0.pop().expect("a block");
    assert_eq!((head(&block).epoch(), second.log.view().epoch()), (Epoch(7), Epoch(7)));
}

#[test]
fn blocks_are_found_by_number_in_any_order_and_what_is_gone_is_said() {
    let mut primary = Rig::new();
    primary.fill(70);
    let disk = Arc::new(primary.disk.clone());
    let mut blocks = Blocks::new(Arc::clone(primary.log.view()), disk);
    for at in [0, 69, 5, 6, 7, 31, 70, 2].into_iter().chain(0..primary.log.durable()) {
        assert_eq!(blocks.read(at).expect("durable"), &primary.blocks[&at][..], "block {at}");
        assert_eq!(blocks.chain_at(at).expect("durable").0, head(&primary.blocks[&at]).header().chain, "chain before {at}");
    }
    let end = primary.log.durable();
    assert_eq!(blocks.read(end), Err(Missing::NotYet));
    assert_eq!(blocks.chain_at(end).expect("the last block is there"), head(&primary.blocks[&(end - 1)]).chain());
    assert!(SEGMENT_BYTES < 70 * u64::from(BLOCK_BYTES), "the log has more than one segment");
}

#[test]
fn of_the_newest_blocks_no_more_is_read_than_is_written() {
    let mut primary = Rig::new();
    primary.fill(5);
    let disk = Arc::new(Watched::new(primary.disk.clone()));
    let mut blocks = Blocks::new(Arc::clone(primary.log.view()), Arc::clone(&disk));
    (2..5).for_each(|at| assert_eq!(blocks.read(at).expect("durable"), &primary.blocks[&at][..]));
    let wanted: usize = (2..primary.log.durable()).map(|at| primary.blocks[&at].len()).sum();
    assert_eq!(disk.read_bytes(), wanted, "once, from where the first stands to where the last ends");
}

#[test]
fn a_cut_reads_no_segment_before_the_one_that_it_is_in() {
    let mut primary = Rig::new();
    primary.fill(200);
    let files = primary.disk.files.len() as u64;
    let mut disk = Watched::new(primary.disk.clone());
    let end = primary.log.durable();
    assert_eq!(truncate(&mut disk, &rules(), Sequence(end - 1), Sequence(0)).expect("a directory in memory").blocks, 1);
    let read = disk.read_bytes() as u64;
    let starts = files * headworks_format::segment::DATA_FROM as u64;
    assert!(files > 5 && read < starts + 2 * SEGMENT_BYTES, "{read} B: {files} files begin with {starts} B");
}

#[test]
fn a_harmed_block_is_never_handed_out() {
    let mut primary = Rig::new();
    primary.fill(5);
    let place = primary.log.view().trail.find(3).expect("new");
    let mut disk = primary.disk.clone();
    disk.rot(place.file, place.position + 5_000);
    let mut blocks = Blocks::new(Arc::clone(primary.log.view()), Arc::new(disk));
    assert!(matches!(blocks.read(3), Err(Missing::Unreadable(_))));
    assert!(blocks.read(4).is_ok(), "its neighbour is");
}

#[test]
fn a_gate_that_was_lowered_is_heeded_once_it_is_seen() {
    let mut primary = Rig::new();
    primary.fill(2);
    let view = Arc::clone(primary.log.view());
    view.gate.lower(3, 7);
    assert_eq!(view.gate.seen(), 0, "before the loop's turn");
    primary.log.tick(primary.now_ns);
    assert_eq!((view.gate.seen(), view.positions.committed.load()), (7, 3));
    primary.fill(2);
    assert_eq!((view.positions.durable.load(), view.positions.committed.load()), (5, 3), "nothing goes by the old gate");
}

#[test]
fn a_block_that_the_power_tore_is_not_taken_for_durable_in_a_pair() {
    let mut primary = Rig::new();
    primary.fill(10);
    let mut second = follower(MemoryDisk::default(), 0);
    for (_, block) in primary.blocks.range(..5) {
        follow(&mut second, block).expect("the next block");
    }
    second.settle();
    follow(&mut second, &primary.blocks[&5]).expect("the next block");
    // The block and the page that names it are written; the fdatasync behind them never ends.
    while let Some(at) = second.orders.iter().position(|order| !matches!(order, Command::Sync { .. })) {
        let order = second.orders.remove(at);
        second.carry_out(order);
        second.log.tick(second.now_ns);
        second.take_orders();
    }
    assert_eq!(second.log.durable(), 5, "nothing acknowledged block 5");
    let place = second.log.view().trail.find(5).expect("new");
    second.disk.rot(place.file, place.position + 4_200);
    let recovered = recover(&mut second.disk, &crate::recover::Rules { alone: false, ..rules() }).expect("read");
    assert_eq!((recovered.next, recovered.holes().count()), (5, 0), "{:?}", recovered.notes);
}

#[test]
fn what_a_member_in_sync_lacks_is_kept_beyond_the_size_and_goes_once_it_has_it() {
    let limits = Limits { size_bytes: 2 * SEGMENT_BYTES, age_ns: None };
    let (mut rig, _) = Rig::start_with(MemoryDisk::default(), Config { limits, segments_max: 16, ..config(1) });
    let view = Arc::clone(rig.log.view());
    view.gate.set_durable(1);
    rig.fill(200);
    let committed = view.positions.committed.load();
    assert_eq!((view.start(), committed), (0, 1), "start of the log, and what is committed");
    view.gate.set_durable(rig.log.next());
    rig.fill(40);
    let kept = view.sealed().len();
    assert!(view.start() > 0 && kept <= 4, "the log starts at {}, {kept} segments are kept", view.start());
}

#[test]
fn a_follower_that_begins_anew_knows_who_produced_before_it_began() {
    let produced = Produced { id: 77, epoch: 3, first: 10, last: 14 };
    let known = Producer::begin(PartitionId(0), &produced, 100);
    let mut found = Recovered::default();
    found.next = 40;
    let mut second = follower(MemoryDisk::default(), 0);
    second.log = Log::start(config(1), &found, Vec::new());
    found.producers.push(known);
    let mut primary = Rig::new();
    primary.log = Log::start(config(2), &found, partitions());
    primary.fill(3);
    ship(&primary, &mut second, 40);
    assert_eq!(second.log.producers().known(PartitionId(0), 77), Some(&known), "as the checkpoint has it that its log begins with");
}
