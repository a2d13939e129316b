//! A directory that is in use, somebody else's, or made otherwise than the settings say.

use crate::harness::node::Node;
use crate::harness::program::{call, check_end, text_of};
use crate::{check_refused, used};

#[test]
fn second_instance_ends_with_75_and_names_the_first() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let mut first = Node::start(&data, &["node.lanes=1"]);
    let pid = format!("process {}", first.pid());
    // The first one's lines stand in the same file; its own end is not among them.
    check_refused(&data, &["node.lanes=1"], 75, &["directory in use", &pid]);
    first.assert_alive();
    assert_eq!(first.ask("/readyz").code, 200, "the first node is still ready");
    first.stop();
}

#[test]
fn second_instance_says_so_whatever_else_is_wrong() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let first = Node::start(&data, &["node.lanes=1"]);
    let address = format!("kafka.address={}", first.address("kafka"));
    check_refused(&data, &["node.lanes=2", "node.name=other", &address], 75, &["directory in use"]);
    first.stop();
}

#[test]
fn killed_node_can_be_started_again_at_once() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    // The kernel keeps the lock until the last writes have ended: that is waited for, not refused.
    for _ in 0..5 {
        Node::start(&data, &["node.lanes=1"]).kill();
    }
    let node = Node::start(&data, &["node.lanes=1"]);
    assert_eq!(node.ledger().epoch(), 6, "epoch of the sixth start");
    node.kill();
    check_end(&call(["verify", &text_of(&data)]), 0, &["clean"]);
}

#[test]
fn directory_of_another_node_ends_with_78() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = used(folder.path());
    check_refused(&data, &["node.name=other", "node.lanes=1"], 78, &["belongs to node \"test\"", "this is node \"other\"", "node.name"]);
    Node::start(&data, &["node.lanes=1"]).stop();
}

#[test]
fn other_number_of_lanes_ends_with_78() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = used(folder.path());
    check_refused(&data, &["node.lanes=2"], 78, &["made with 1 lanes", "says 2", "node.lanes = 1"]);
    Node::start(&data, &[]).stop();
}

#[test]
fn other_segment_size_is_said_and_not_used() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = used(folder.path());
    let node = Node::start(&data, &["log.segment=16MiB"]);
    assert!(node.log().contains("have 8388608 bytes, fixed at first start"), "{}", node.log());
    node.stop();
}

#[test]
fn unknown_key_ends_with_78_and_the_nearest_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    check_refused(&data, &["log.segmnt=8MiB"], 78, &["log.segmnt", "nearest valid key is `log.segment`"]);
    assert!(!data.exists(), "{} was made by a node that was refused", data.display());
}

#[test]
fn file_in_the_place_of_the_directory_ends_with_78() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    std::fs::write(&data, b"a file").expect("a fresh file");
    check_refused(&data, &["node.lanes=1"], 78, &["is not a directory"]);
    assert_eq!(std::fs::read(&data).expect("it reads"), b"a file");
}
