//! A node of a pair whose disk fails writes: it steps down, says so, and leads again only when it is whole or its operator says so.

use crate::harness::alone;
use crate::harness::program::check_end;
use crate::harness::wait;
use crate::rig::{Pair, Stand};

/// Behind a superblock, before the next block of a lane.
const SUPERBLOCK_BYTES: u64 = 16 << 10;

/// Every write of the node to a segment is refused; waits for its end.
fn fail(pair: &mut Pair, at: usize) {
    pair.node(at).refuse_writes_behind(SUPERBLOCK_BYTES);
    let code = wait::until("a node whose disk fails ends", || pair.node(at).ended().ok_or_else(|| "it still runs".to_owned()));
    assert_eq!(code, 74, "{}", pair.said(at));
    assert!(pair.said(at).contains("File too large"), "{}", pair.said(at));
    pair.gone(at);
}

fn is_repaired(pair: &Pair, at: usize) {
    pair.until(at, "its disk is good again", |_| pair.metric(at, "headworks_needs_repair") == "0");
    assert!(pair.said(at).contains("had failed; it is in sync again"), "{}", pair.said(at));
}

#[test]
fn the_disk_of_the_primary_fails_and_it_comes_back_and_is_repaired() {
    let _alone = alone();
    let mut pair = Pair::start();
    let ((_, epoch), load) = pair.under_load();
    fail(&mut pair, 0);
    let now = pair.await_stand("the standby takes over", 1, |stand| matches!(stand, Stand::Leads(..)));
    assert!(now > epoch, "epoch {now} follows epoch {epoch}");
    pair.more_at(1);
    pair.begin(0);
    assert_eq!(pair.in_sync().0, 1, "who comes back follows");
    is_repaired(&pair, 0);
    pair.kill(1);
    pair.await_stand("who was repaired may lead", 0, |stand| matches!(stand, Stand::Leads(..)));
    pair.more_at(0);
    pair.begin(1);
    pair.judge(load);
}

#[test]
fn the_disk_of_a_node_that_is_alone_fails_and_it_leads_again_by_a_word() {
    let _alone = alone();
    let mut pair = Pair::start();
    let ((_, epoch), load) = pair.under_load();
    pair.kill(1);
    pair.await_stand("the primary is alone", 0, |stand| stand == Stand::Leads(epoch, false));
    pair.more_at(0);
    fail(&mut pair, 0);
    pair.begin(0);
    let status = pair.until(0, "it says that its disk has failed", |status| status["pair"]["needs_repair"] == true);
    assert_eq!((&status["role"], &status["ready"]), (&"standby".into(), &false.into()), "nobody has what it has: {status}");
    check_end(&pair.order(0, &["promote", "--confirm-fenced", "b"]), 0, &["by your word it is good again"]);
    let now = pair.await_stand("it leads, as it was told", 0, |stand| matches!(stand, Stand::Leads(..)));
    assert!(now > epoch, "epoch {now} follows epoch {epoch}");
    pair.until(0, "and has written it down", |_| pair.metric(0, "headworks_needs_repair") == "0");
    pair.more_at(0);
    pair.begin(1);
    assert_eq!(pair.in_sync().0, 0, "who has everything leads");
    pair.judge(load);
}

#[test]
fn the_disk_of_the_standby_fails_and_it_is_repaired_by_the_primary() {
    let _alone = alone();
    let mut pair = Pair::start();
    let (before, load) = pair.under_load();
    fail(&mut pair, 1);
    pair.await_stand("the primary is alone", 0, |stand| stand == Stand::Leads(before.1, false));
    pair.more_at(0);
    pair.begin(1);
    assert_eq!(pair.in_sync(), before, "nothing but the standby was away");
    is_repaired(&pair, 1);
    pair.judge(load);
}
