//! The register in a node's own directory, behind the same handle as a witness.

use crate::{Client, register};
use headworks_format::witness::Identity;
use headworks_io::{Volume, Wake};
use headworks_replicator::link::arbiter::ArbiterHandle;
use headworks_replicator::link::file::{MANUAL_FILE, RegisterFile};
use headworks_replicator::register::Swap;
use headworks_replicator::witness::{Ask, Denied, Outcome, Unreachable};
use std::path::Path;

fn open(data: &Path, incarnation: u128) -> Client {
    let volume = crate::wait::until("the lock of the last one goes", || Volume::lock(data).map_err(|error| error.to_string()));
    let (file, notes) = RegisterFile::open(volume, MANUAL_FILE, Identity { incarnation, created_ns: 0 }).expect("a register's file");
    assert_eq!(notes, []);
    let handle = ArbiterHandle::manual(file, Wake::new().expect("a wake")).expect("a thread");
    Client { handle, token: 0, arbiter: 0 }
}

#[test]
fn it_is_swapped_like_a_witness_and_stands_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut client = open(folder.path(), 5);
    assert_eq!(client.read(), None);
    let first = client.advance(1, 1);
    let second = client.advance(1, 2);
    assert_eq!(client.swap(Swap::from(Some(&first), register(1, 3))), Outcome::Refused(Some(second)));
    assert_eq!(client.ask(Ask::Watch { beyond: 2, wait_ms: 60_000 }).outcome, Outcome::Read(Some(second)), "a watch waits for nobody");
    drop(client);
    let mut client = open(folder.path(), 6);
    assert_eq!((client.read(), client.arbiter), (Some(second), 5), "the file's own identity, not the one for a new file");
    client.arbiter = 6;
    assert_eq!(client.get(), Outcome::Unreachable(Unreachable::Denied(Denied::OtherWitness)));
}
