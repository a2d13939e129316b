//! What a pair must live through.

use crate::harness::alone;
use crate::harness::http::Status;
use crate::harness::loadgen::{self, Load};
use crate::rig::{Pair, Stand};
use nix::sys::signal::Signal;

/// The first node has led in the first epochs; the second leads in a later one.
fn taken_over(pair: &Pair, epoch: u32) {
    let now = pair.await_stand("the standby takes over", 1, |stand| matches!(stand, Stand::Leads(..)));
    assert!(now > epoch, "epoch {now} follows epoch {epoch}");
}

#[test]
fn a_new_pair_is_in_sync_and_both_hold_what_is_written() {
    let _alone = alone();
    let pair = Pair::start();
    let load = pair.load();
    pair.judge(load);
}

#[test]
fn the_primary_is_killed_and_nothing_acknowledged_is_lost() {
    let _alone = alone();
    let mut pair = Pair::start();
    let ((_, epoch), load) = pair.under_load();
    pair.kill(0);
    taken_over(&pair, epoch);
    pair.more_at(1);
    pair.begin(0);
    assert_eq!(pair.in_sync().0, 1, "who comes back follows");
    pair.judge(load);
}

#[test]
fn the_standby_is_killed_and_the_primary_goes_on_in_its_epoch() {
    let _alone = alone();
    let mut pair = Pair::start();
    let (before, load) = pair.under_load();
    pair.kill(1);
    pair.await_stand("the primary is alone", 0, |stand| stand == Stand::Leads(before.1, false));
    pair.more_at(0);
    pair.begin(1);
    assert_eq!(pair.in_sync(), before, "nothing but the standby was away");
    pair.judge(load);
}

#[test]
fn a_primary_that_stood_still_wakes_up_deposed_and_follows() {
    let _alone = alone();
    let mut pair = Pair::start();
    let ((_, epoch), load) = pair.under_load();
    pair.node(0).signal(Signal::SIGSTOP);
    taken_over(&pair, epoch);
    pair.more_at(1);
    pair.node(0).signal(Signal::SIGCONT);
    pair.await_stand("the deposed node follows", 0, |stand| stand == Stand::Follows);
    assert_eq!(pair.in_sync().0, 1, "who woke up follows");
    pair.judge(load);
}

#[test]
fn a_standby_with_a_new_disk_is_in_sync_again() {
    let _alone = alone();
    let mut pair = Pair::start();
    let (before, load) = pair.under_load();
    pair.kill(1);
    pair.await_stand("the primary is alone", 0, |stand| stand == Stand::Leads(before.1, false));
    pair.wipe(1);
    pair.begin(1);
    assert_eq!(pair.in_sync(), before, "nothing but the standby's disk is new");
    pair.judge(load);
}

#[test]
fn who_was_left_behind_begins_anew_and_nothing_is_stored_twice() {
    const BEFORE: u64 = 5_000;
    const BEHIND: u64 = 50_000;
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary directory");
    let send = |pair: &mut Pair, packets: u64| {
        let load = Load { rate: "20k", size: 1400, sources: 1, gso: false, until: ["--count", &packets.to_string()] };
        loadgen::send(pair.node(0), &load, &folder.path().join(format!("{packets}.json")));
    };
    let mut pair = Pair::start_with(&["log.retention.size=32MiB"]);
    let before = pair.in_sync();
    send(&mut pair, BEFORE);
    pair.kill(1);
    pair.await_stand("the primary is alone", 0, |stand| stand == Stand::Leads(before.1, false));
    send(&mut pair, BEHIND);
    pair.until(0, "what the standby lacks is given back", |status| {
        let offsets = Status(status.clone()).offsets("events");
        offsets.iter().map(|(_, start, _)| *start).sum::<i64>() > BEFORE.cast_signed()
    });
    let stored = pair.node(0).settled(BEFORE + BEHIND).durable();
    pair.begin(1);
    assert_eq!(pair.in_sync(), before, "nothing but the standby was away");
    assert!(pair.said(1).contains("begins anew where the primary's log begins"), "{}", pair.said(1));
    // What is kept there is offered to whoever leads, as packets that are nowhere.
    assert_eq!(pair.quarantined(1), [""; 0], "what it held was committed, and given back by the primary");
    let ends = pair.node(0).status().offsets("events").iter().map(|(_, _, end)| end.cast_unsigned()).sum::<u64>();
    assert_eq!(ends, stored);
}
