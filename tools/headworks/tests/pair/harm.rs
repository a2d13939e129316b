//! What a bad disk does to one node of a pair is healed from the other, and no consumer sees it.

use crate::harness::alone;
use crate::harness::wait;
use crate::rig::{Pair, Stand};

#[test]
fn blocks_that_rot_under_a_running_primary_are_healed_before_a_consumer_sees_it() {
    let _alone = alone();
    let mut pair = Pair::start();
    let (_, load) = pair.under_load();
    pair.more_at(0);
    let ledger = pair.end(load);
    // Started anew, it has nothing of this in memory.
    pair.stop();
    pair.begin(0);
    pair.begin(1);
    let (leader, _) = pair.in_sync();
    pair.rot(leader);
    pair.account(leader, &ledger);
    let healed = pair.node(leader).status().0["holes"]["healed"].as_u64();
    assert!(healed > Some(0), "{healed:?} blocks were healed: {}", pair.said(leader));
    pair.stop();
}

#[test]
fn a_standby_with_a_new_disk_gets_in_sync_behind_what_its_primary_cannot_read_any_more() {
    let _alone = alone();
    let mut pair = Pair::start();
    let (_, load) = pair.under_load();
    pair.more_at(0);
    pair.end(load);
    pair.kill(1);
    pair.kill(0);
    pair.rot(0);
    pair.wipe(1);
    pair.begin(0);
    pair.await_stand("who led leads again", 0, |stand| matches!(stand, Stand::Leads(..)));
    pair.begin(1);
    assert_eq!(pair.in_sync().0, 0, "nothing but the standby's disk is new");
    let load = pair.load();
    pair.more_at(0);
    let (ledger, said) = (pair.end(load), pair.said(0));
    assert!(said.contains("is lost: block ") && said.contains("begins anew at block "), "{said}");
    pair.account(1, &ledger);
}

#[test]
fn holes_that_a_standby_finds_when_it_starts_are_healed_before_it_follows() {
    let _alone = alone();
    let mut pair = Pair::start();
    let (_, load) = pair.under_load();
    pair.more_at(0);
    pair.kill(1);
    pair.rot(1);
    pair.begin(1);
    pair.in_sync();
    let holes = wait::until("it serves its status", || {
        let holes = pair.node(1).status().0["holes"].clone();
        if holes.is_null() { Err(format!("{holes}")) } else { Ok(holes) }
    });
    assert!(holes["healed"].as_u64() > Some(0) && holes["pending"] == 0 && holes["lost"] == 0, "{holes}: {}", pair.said(1));
    pair.judge(load);
}
