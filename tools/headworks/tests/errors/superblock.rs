//! The superblock: what is healed, what is refused, and that nothing else is touched then.

use crate::harness::node::{Node, log_beside};
use crate::harness::packets::{self, named};
use crate::{check_refused, used};
use headworks_format::superblock::{COPIES, COPY_BYTES, FILE_NAME};
use std::path::{Path, PathBuf};

/// Where a copy's sum stands.
const CRC: std::ops::Range<usize> = 12..16;
/// Where its version stands.
const VERSION: std::ops::Range<usize> = 8..10;

fn edit(data: &Path, change: impl Fn(usize, &mut [u8])) {
    let path = data.join(FILE_NAME);
    let mut bytes = std::fs::read(&path).expect("a superblock is there");
    assert_eq!(bytes.len(), COPIES * COPY_BYTES, "bytes of the superblock");
    bytes.chunks_mut(COPY_BYTES).enumerate().for_each(|(place, copy)| change(place, copy));
    std::fs::write(&path, bytes).expect("it can be written");
}

/// Another version, with a sum that holds: only the version is wrong.
fn set_version(copy: &mut [u8], version: u16) {
    copy[VERSION].copy_from_slice(&version.to_le_bytes());
    let sum = headworks_format::checksum::crc32c_of(&[&copy[..CRC.start], &copy[CRC.end..]]);
    copy[CRC].copy_from_slice(&sum.to_le_bytes());
}

/// Names and contents of every file but those that a refused start may write: the lock.
fn contents(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(data).expect("a folder lists") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if path.file_name().is_some_and(|name| name != "headworks.lock") {
            let bytes = std::fs::read(&path).expect("a file reads");
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

fn check_refused_untouched(data: &Path, code: i32, parts: &[&str]) {
    let before = contents(data);
    check_refused(data, &["node.lanes=1"], code, parts);
    let after = contents(data);
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "files of a directory that was refused");
    assert!(before == after, "a refused start changed {} files", before.iter().zip(&after).filter(|(a, b)| a != b).count());
}

#[test]
fn other_version_ends_with_78_and_names_both() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = used(folder.path());
    edit(&data, |_, copy| set_version(copy, 7));
    check_refused_untouched(&data, 78, &["format version 7", "reads version 1"]);
}

#[test]
fn any_two_damaged_copies_are_healed() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let mut node = Node::start(&data, &["node.lanes=1"]);
    packets::send(&packets::source(node.udp()), &[named(0, 0, 64)]);
    node.settled(1);
    node.terminate();
    node.stopped();
    for (first, second) in [(0, 1), (2, 3), (0, 2), (1, 3)] {
        let _absent = std::fs::remove_file(log_beside(&data)).is_err();
        edit(&data, |place, copy| {
            if place == first || place == second {
                copy[100] ^= 0x10;
            }
        });
        let node = Node::start(&data, &["node.lanes=1"]);
        for place in [first, second] {
            let note = format!("copy {place} of the superblock did not hold and was written anew");
            assert!(node.log().contains(&note), "no `{note}` in\n{}", node.log());
        }
        assert_eq!(node.kafka().read_all("events", 0).len(), 1);
        node.stop();
        let copies: Vec<_> = std::fs::read(data.join(FILE_NAME)).expect("it reads").chunks(COPY_BYTES).map(<[u8]>::to_vec).collect();
        assert!(copies.iter().all(|copy| *copy == copies[0]), "the copies differ after a clean stop");
    }
}

#[test]
fn three_damaged_copies_end_with_74_and_change_nothing() {
    for spared in 0..COPIES {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let data = used(folder.path());
        edit(&data, |place, copy| copy[100] ^= u8::from(place != spared));
        check_refused_untouched(&data, 74, &["no two of its four copies agree", "1 are whole", "dmesg"]);
    }
}

#[test]
fn blank_file_ends_with_74_and_says_what_happened() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = used(folder.path());
    edit(&data, |_, copy| copy.fill(0));
    check_refused_untouched(&data, 74, &["is blank"]);
}

#[test]
fn short_file_ends_with_74() {
    for bytes in [0, 1, COPY_BYTES, COPY_BYTES + 1] {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let data = used(folder.path());
        let path = data.join(FILE_NAME);
        let whole = std::fs::read(&path).expect("it reads");
        std::fs::write(&path, &whole[..bytes]).expect("it can be written");
        check_refused_untouched(&data, 74, &["storage", "superblock"]);
    }
}

#[test]
fn missing_beside_lanes_ends_with_74_and_makes_none() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = used(folder.path());
    std::fs::remove_file(data.join(FILE_NAME)).expect("it can be removed");
    check_refused_untouched(&data, 74, &["holds lanes but no file `superblock`", "nothing was changed"]);
}
