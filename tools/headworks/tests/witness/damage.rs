//! Files that are torn, rotten, gone, or of last week.

use crate::harness::program::check_end;
use crate::{Client, refused, register, start};
use headworks_format::witness::{FILE_BYTES, head_offset, slot_offset};
use headworks_replicator::register::Swap;
use headworks_replicator::witness::{Denied, Outcome, Unreachable};
use std::path::{Path, PathBuf};

/// A directory whose witness holds version 3, stopped.
fn used(folder: &Path) -> (PathBuf, u128) {
    let data = folder.join("data");
    let witness = start(&data);
    let mut client = Client::to(witness.address("witness"));
    (1..=3).for_each(|epoch| assert_eq!(client.advance(1, epoch).version, u64::from(epoch)));
    let arbiter = client.arbiter;
    witness.stop();
    (data, arbiter)
}

fn change(data: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let path = data.join("witness");
    let mut bytes = std::fs::read(&path).expect("the witness's file");
    how(&mut bytes);
    std::fs::write(&path, bytes).expect("the witness's file");
}

#[test]
fn a_torn_or_rotten_slot_costs_nothing_and_is_said() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (data, arbiter) = used(folder.path());
    for slot in 0..2 {
        change(&data, |bytes| bytes[slot_offset(0, slot) + 8..slot_offset(0, slot) + 2048].fill(0xA5));
        let witness = start(&data);
        let mut client = Client::to(witness.address("witness"));
        assert_eq!((client.read().map(|register| register.version), client.arbiter), (Some(3), arbiter), "slot {slot}");
        assert!(witness.log().contains(&format!("slot {slot} of register 0 did not hold")), "{}", witness.log());
        witness.stop();
    }
}

#[test]
fn two_damaged_slots_end_with_74_and_change_nothing() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (data, _) = used(folder.path());
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| (0..2).for_each(|slot| bytes[slot_offset(0, slot) + 20] ^= 1),
        // A blank slot beside an unreadable one is damage as well.
        |bytes| {
            bytes[slot_offset(0, 0)..slot_offset(0, 1)].fill(0);
            bytes[slot_offset(0, 1) + 20] ^= 1;
        },
        |bytes| (0..2).for_each(|head| bytes[head_offset(head)] = 0),
        |bytes| bytes.truncate(FILE_BYTES / 2),
    ];
    let whole = std::fs::read(data.join("witness")).expect("the file");
    for (number, damage) in damages.into_iter().enumerate() {
        std::fs::write(data.join("witness"), &whole).expect("the file");
        change(&data, damage);
        let before = std::fs::read(data.join("witness")).expect("the file");
        check_end(&refused(&data), 74, &["storage: ", "/witness", "nothing was changed", "docs/runbooks/witness.md"]);
        assert_eq!(std::fs::read(data.join("witness")).expect("the file"), before, "damage {number}");
    }
}

#[test]
fn another_format_version_ends_with_78() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (data, _) = used(folder.path());
    change(&data, |bytes| {
        for head in [0, 1] {
            let page = &mut bytes[head_offset(head)..head_offset(head) + 4096];
            page[8] = 2;
            let sum = headworks_format::checksum::crc32c_of(&[&page[..12], &page[16..]]);
            page[12..16].copy_from_slice(&sum.to_le_bytes());
        }
    });
    check_end(&refused(&data), 78, &["format version 2", "reads version 1"]);
}

#[test]
fn a_wiped_witness_is_another_one_and_who_pinned_the_first_is_denied() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (data, arbiter) = used(folder.path());
    std::fs::remove_file(data.join("witness")).expect("the witness's file");
    let witness = start(&data);
    let mut client = Client::to(witness.address("witness"));
    client.arbiter = arbiter;
    let denied = Outcome::Unreachable(Unreachable::Denied(Denied::OtherWitness));
    assert_eq!(client.get(), denied);
    // Not even a swap from nothing, which it would take from whoever is new to it.
    assert_eq!(client.swap(Swap::from(None, register(1, 9))), denied);
    let mut stranger = Client::to(witness.address("witness"));
    assert_eq!(stranger.read(), None);
    assert_ne!(stranger.arbiter, arbiter);
    witness.stop();
}

#[test]
fn a_file_of_before_is_visible_as_a_version_that_goes_back() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (data, arbiter) = used(folder.path());
    let old = std::fs::read(data.join("witness")).expect("the file");
    let witness = start(&data);
    let mut client = Client::to(witness.address("witness"));
    let newest = client.advance(1, 4);
    assert_eq!(newest.version, 4);
    witness.stop();
    std::fs::write(data.join("witness"), old).expect("the file");
    let witness = start(&data);
    let mut client = Client::to(witness.address("witness"));
    let found = client.read().expect("there");
    assert_eq!((found.version, client.arbiter), (3, arbiter), "the same witness, an older register: its clients freeze");
    // A swap from what the client knows is refused, and shows the older version: nothing is built on a version that was lost.
    assert_eq!(client.swap(Swap::from(Some(&newest), register(1, 5))), Outcome::Refused(Some(found)));
    witness.stop();
}
