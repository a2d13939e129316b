//! What a bad disk does to one node of a pair is healed from the other, and no consumer sees it.

use crate::harness::alone;
use crate::harness::wait;
use crate::rig::Pair;

#[test]
fn blocks_that_rot_under_a_running_primary_are_healed_before_a_consumer_sees_it() {
    let _alone = alone();
    let mut pair = Pair::start();
    let load = pair.load();
    pair.more_at(0);
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
fn holes_that_a_standby_finds_when_it_starts_are_healed_before_it_follows() {
    let _alone = alone();
    let mut pair = Pair::start();
    let load = pair.load();
    pair.more_at(0);
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
