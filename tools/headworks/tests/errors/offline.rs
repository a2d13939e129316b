//! `verify` and `cat` where they have nothing to look at, or may not.

use crate::harness::node::Node;
use crate::harness::packets::{self, named};
use crate::harness::program::{call, check_end, text_of};
use crate::used;
use headworks_format::superblock::{COPY_BYTES, FILE_NAME};
use std::os::unix::fs::FileExt as _;

#[test]
fn verify_of_a_live_directory_ends_with_75_and_names_the_node() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let mut node = Node::start(&data, &["node.lanes=1"]);
    let pid = format!("process {}", node.pid());
    check_end(&call(["verify", &text_of(&data)]), 75, &["directory in use", &pid]);
    node.assert_alive();
    node.stop();
    check_end(&call(["verify", &text_of(&data)]), 0, &["clean"]);
}

#[test]
fn mistyped_directory_ends_with_78_and_is_not_made() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let absent = folder.path().join("absent");
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).expect("a fresh folder");
    for path in [&absent, &empty] {
        for arguments in [vec!["verify"], vec!["cat", "--stream", "events"]] {
            let output = call(arguments.into_iter().map(str::to_owned).chain([text_of(path)]));
            check_end(&output, 78, &["is no data directory"]);
        }
    }
    assert!(!absent.exists(), "{} was made by a look", absent.display());
    assert_eq!(std::fs::read_dir(&empty).expect("it lists").count(), 0, "files were made by a look");
}

#[test]
fn verify_says_which_copy_of_the_superblock_is_damaged() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = used(folder.path());
    let file = std::fs::File::options().write(true).open(data.join(FILE_NAME)).expect("it opens");
    file.write_all_at(b"rot", (2 * COPY_BYTES + 300) as u64).expect("it can be written");
    check_end(&call(["verify", &text_of(&data)]), 1, &["copy 2 of the superblock", "damage found"]);
    check_end(&call(["verify", &text_of(&data), "-o", "json"]), 1, &["\"clean\":false"]);
    Node::start(&data, &["node.lanes=1"]).stop();
    check_end(&call(["verify", &text_of(&data)]), 0, &["clean"]);
}

#[test]
fn verify_names_the_damaged_place() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let node = Node::start(&data, &["node.lanes=1"]);
    let sent: Vec<_> = (0..1000).map(|number| named(0, number, 200)).collect();
    packets::send(&packets::source(node.udp()), &sent);
    node.settled(1000);
    node.stop();
    let segment = data.join("lane-00").join("000000.seg");
    let file = std::fs::File::options().write(true).open(&segment).expect("the first segment is there");
    // In the first block behind the checkpoint: header page, record area, a checkpoint of two pages, a head page.
    file.write_all_at(b"rot", (68 << 10) + 8192 + 4096 + 500).expect("it can be written");
    check_end(&call(["verify", &text_of(&data)]), 1, &["DAMAGE", "lane 0", "000000", "damage found"]);
}
