//! What a pair lives through whose arbiter is its operator.

use crate::harness::node::{Guarded, lasting_address, log_beside};
use crate::harness::program::{check_end, command, run_arguments};
use crate::harness::{alone, wait};
use crate::rig::{Pair, Stand, settings};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

fn awaits_operator(status: &Value) -> bool {
    status["pair"]["awaits_operator"] == true
}

fn warns(status: &Value, text: &str) -> bool {
    status["warnings"].as_array().expect("a list").iter().any(|line| line.as_str().is_some_and(|line| line.contains(text)))
}

/// The operator says at the second node that the first is fenced: it leads in a later epoch than that.
fn promote_b(pair: &Pair, epoch: u32) {
    check_end(&pair.order(1, &["promote", "--confirm-fenced", "a"]), 0, &["this node is to lead alone"]);
    let now = pair.await_stand("b leads, as it was told", 1, |stand| matches!(stand, Stand::Leads(_, false)));
    assert!(now > epoch, "epoch {now} follows epoch {epoch}");
}

#[test]
fn the_standby_leads_when_it_is_told_and_not_before_and_nothing_acknowledged_is_lost() {
    let _alone = alone();
    let mut pair = Pair::start_by_hand();
    let ((_, epoch), load) = pair.under_load();
    check_end(&pair.order(1, &["promote", "--confirm-fenced", "a"]), 1, &["refused: a is not fenced: it is connected"]);
    pair.kill(0);
    let status = pair.until(1, "b says that it waits for a word", awaits_operator);
    assert_eq!((&status["role"], &status["ready"]), (&"standby".into(), &false.into()), "{status}");
    assert!(warns(&status, "headworks pair promote --confirm-fenced a"), "{status}");
    pair.until(1, "and in its log", |_| pair.said(1).contains("this node does not lead by itself"));
    assert_eq!(pair.metric(1, "headworks_awaits_operator"), "1");
    check_end(&pair.order(1, &["promote", "--confirm-fenced", "c"]), 1, &["refused: the other node is a, not c"]);
    assert_eq!(pair.stand(1), Stand::Follows);

    promote_b(&pair, epoch);
    pair.more_at(1);
    assert_eq!(pair.metric(1, "headworks_failovers_total{cause=\"operator\"}"), "1");
    check_end(&pair.order(1, &["status"]), 1, &["role primary", "in sync b  mode vouched", "level disk"]);
    pair.begin(0);
    assert_eq!(pair.in_sync().0, 1, "who comes back follows");
    let status = pair.until(1, "b has a in its register", |status| status["peers"][0]["in_sync"] == true);
    assert_eq!(status["pair"]["register"]["mode"], "manual", "the word has served its purpose: {status}");
    pair.judge(load);
}

#[test]
fn the_primary_waits_for_its_standby_and_a_word_is_good_for_one_loss() {
    let _alone = alone();
    let mut pair = Pair::start_by_hand();
    let (before, load) = pair.under_load();
    for _ in 0..2 {
        pair.kill(1);
        let status = pair.until(0, "a waits", awaits_operator);
        assert_eq!((&status["pair"]["level"], &status["ready"]), (&"none".into(), &false.into()), "{status}");
        check_end(&pair.order(0, &["promote", "--confirm-fenced", "b"]), 0, &["this node goes on without b"]);
        pair.until(0, "a commits alone", |status| status["pair"]["level"] == "disk" && status["ready"] == true);
        pair.more_at(0);
        pair.begin(1);
        pair.until(0, "b is in sync again", |status| status["pair"]["level"] == "peer-disk" && status["peers"][0]["in_sync"] == true);
        assert_eq!(pair.in_sync(), before, "nothing but the standby was away");
    }
    pair.judge(load);
}

#[test]
fn a_standby_that_stood_still_is_in_sync_again_without_a_word() {
    let _alone = alone();
    let mut pair = Pair::start_by_hand();
    let (before, load) = pair.under_load();
    pair.node(1).signal(Signal::SIGSTOP);
    pair.until(0, "a misses b", awaits_operator);
    pair.node(1).signal(Signal::SIGCONT);
    pair.until(0, "b is there again", |status| status["pair"]["level"] == "peer-disk" && status["ready"] == true);
    assert_eq!(pair.in_sync(), before);
    pair.judge(load);
}

#[test]
fn a_primary_that_was_not_fenced_after_all_commits_nothing_and_yields() {
    let _alone = alone();
    let mut pair = Pair::start_by_hand();
    let ((_, epoch), load) = pair.under_load();
    pair.node(0).signal(Signal::SIGSTOP);
    pair.until(1, "b misses a", awaits_operator);
    promote_b(&pair, epoch);
    pair.more_at(1);
    pair.node(0).signal(Signal::SIGCONT);
    pair.await_stand("a follows", 0, |stand| stand == Stand::Follows);
    assert_eq!(pair.in_sync().0, 1);
    pair.judge(load);
}

#[test]
fn who_led_before_both_were_gone_takes_packets_in_and_commits_none_without_the_other() {
    let _alone = alone();
    let mut pair = Pair::start_by_hand();
    let (_, load) = pair.under_load();
    pair.kill(1);
    pair.kill(0);
    pair.begin(0);
    let status = pair.until(0, "a leads and waits", |status| status["role"] == "primary" && awaits_operator(status));
    assert_eq!(status["pair"]["level"], "none", "{status}");
    pair.begin(1);
    assert_eq!(pair.in_sync().0, 0, "both are there again");
    pair.judge(load);
}

#[test]
fn a_standby_with_a_new_disk_is_in_sync_again_without_a_word() {
    let _alone = alone();
    let mut pair = Pair::start_by_hand();
    let (before, load) = pair.under_load();
    pair.kill(1);
    pair.until(0, "a waits", awaits_operator);
    pair.wipe(1);
    pair.begin(1);
    assert_eq!(pair.in_sync(), before, "nothing but the standby's disk is new");
    pair.judge(load);
}

#[test]
fn a_primary_with_a_new_disk_founds_nothing_and_follows_when_the_word_is_given() {
    let _alone = alone();
    let mut pair = Pair::start_by_hand();
    let ((_, epoch), load) = pair.under_load();
    pair.kill(0);
    pair.wipe(0);
    pair.begin(0);
    pair.until(0, "it stands by", |status| status["role"] == "standby");
    pair.until(1, "and so does b", awaits_operator);
    assert_eq!([0, 1].map(|at| pair.stand(at)), [Stand::Follows; 2]);
    check_end(&pair.order(0, &["promote", "--confirm-fenced", "b"]), 1, &["refused: "]);
    promote_b(&pair, epoch);
    assert_eq!(pair.in_sync().0, 1);
    pair.judge(load);
}

#[test]
fn who_led_in_vain_while_the_other_was_promoted_is_outbid_and_yields() {
    let _alone = alone();
    let mut pair = Pair::start_by_hand();
    let ((_, epoch), load) = pair.under_load();
    pair.kill(0);
    pair.until(1, "b misses a", awaits_operator);
    promote_b(&pair, epoch);
    pair.more_at(1);
    pair.node(1).signal(Signal::SIGSTOP);
    // It asks, hears nothing, and leads in an epoch above b's; it requires b, so it commits nothing.
    pair.begin(0);
    let in_vain = pair.await_stand("a leads in vain", 0, |stand| matches!(stand, Stand::Leads(..)));
    pair.node(1).signal(Signal::SIGCONT);
    pair.await_stand("a follows", 0, |stand| stand == Stand::Follows);
    let (leader, now) = pair.in_sync();
    assert_eq!((leader, now > in_vain), (1, true), "b in epoch {now}, above {in_vain}");
    pair.judge(load);
}

/// A node that need not become ready, and where it writes what it says.
struct Begun {
    process: Guarded,
    log: PathBuf,
}

impl Begun {
    fn begin(data: &Path, name: &str, addresses: (SocketAddr, SocketAddr)) -> Begun {
        let settings = settings(name, None, addresses);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let log = log_beside(data);
        let stderr = File::create(&log).expect("the log file opens");
        let mut command = command(run_arguments(data, &settings));
        Begun { process: Guarded::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr)), log }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).expect("its log")
    }

    /// Waits until it waits for the other node, and stops it.
    fn stopped_while_it_waits(mut self) {
        wait::until_true("it waits", || (self.said().contains("waiting for the other node"), self.said()));
        self.process.signal(Signal::SIGTERM);
        assert_eq!(self.process.wait("it ends").code(), Some(0), "{}", self.said());
    }
}

#[test]
fn a_new_node_that_waits_for_the_other_one_ends_when_it_is_told() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("a");
    Begun::begin(&data, "a", (lasting_address(), lasting_address())).stopped_while_it_waits();
    assert!(!data.join("superblock").exists(), "nothing was formatted");
}

#[test]
fn a_node_whose_own_register_cannot_be_written_ends_with_74() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (of_a, of_b) = (lasting_address(), lasting_address());
    let data = folder.path().join("b");
    Begun::begin(&data, "b", (of_b, of_a)).stopped_while_it_waits();
    // Its register is blank. The first one is written beside it, where something else stands now.
    std::fs::create_dir(data.join("register.partial")).expect("a directory in its place");
    let mut b = Begun::begin(&data, "b", (of_b, of_a));
    let _a = Begun::begin(&folder.path().join("a"), "a", (of_a, of_b));
    assert_eq!(b.process.wait("it ends").code(), Some(74), "{}", b.said());
    assert!(b.said().contains("cannot replace"), "{}", b.said());
}
