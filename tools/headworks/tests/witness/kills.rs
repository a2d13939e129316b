//! kill -9 in the middle of swaps.

use crate::harness::alone;
use crate::harness::random::Random;
use crate::{Client, register, start, start_on, witness_command};
use headworks_replicator::link::arbiter::WitnessSettings;
use headworks_replicator::register::{Register, Swap, version_of};
use headworks_replicator::witness::Outcome;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

const KILLS: u64 = 50;

/// What one client was told.
#[derive(Default)]
struct Told {
    /// Registers that it swapped in, by version, as answered.
    won: BTreeMap<u64, Register>,
    /// Every register that it was shown.
    seen: BTreeMap<u64, Register>,
    unknown: u64,
    lost: u64,
}

/// Swaps on and on until it is told to stop; every register that it makes has an epoch of its own.
fn competitor(address: SocketAddr, number: u128, stop: Arc<AtomicBool>, answered: Arc<AtomicU64>) -> JoinHandle<Told> {
    thread::spawn(move || {
        let settings = WitnessSettings { request_ns: 2_000_000_000, ..WitnessSettings::at(address) };
        let mut client = Client::of(settings);
        let mut told = Told::default();
        let mut current = None;
        for epoch in 1.. {
            if stop.load(Ordering::Acquire) {
                break;
            }
            let swap = Swap::from(current.as_ref(), register(number, epoch));
            let found = match client.swap(swap) {
                Outcome::Swapped => {
                    answered.fetch_add(1, Ordering::AcqRel);
                    assert!(told.won.insert(swap.register.version, swap.register).is_none(), "version {} won twice", swap.register.version);
                    Some(swap.register)
                }
                Outcome::Refused(found) => {
                    told.lost += 1;
                    found
                }
                Outcome::Unknown => {
                    told.unknown += 1;
                    client.read()
                }
                Outcome::Unreachable(_) => client.read(),
                Outcome::Read(_) => panic!("a swap was answered like a read"),
            };
            let (before, after) = (version_of(current.as_ref()), version_of(found.as_ref()));
            assert!(after >= before, "version {after} after {before}: an answer was forgotten");
            if let Some(found) = found {
                let same = *told.seen.entry(after).or_insert(found);
                assert_eq!(same, found, "version {after} was two registers");
            }
            current = found;
        }
        told
    })
}

#[test]
fn in_the_middle_of_swaps_of_two_clients_forget_no_answer_and_give_no_version_twice() {
    let _alone = alone();
    let mut random = Random::announced("witness kills");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let mut witness = start(&data);
    let address = witness.address("witness");
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients = [1, 2].map(|number| competitor(address, number, Arc::clone(&stop), Arc::clone(&answered)));
    for kill in 0..KILLS {
        let enough = answered.load(Ordering::Acquire) + random.below(20);
        crate::wait::until_true("swaps go on", || {
            let seen = answered.load(Ordering::Acquire);
            (seen >= enough, format!("{seen} swaps of {enough}, kill {kill}"))
        });
        witness.kill();
        witness = start_on(&data, &address.to_string());
    }
    let enough = answered.load(Ordering::Acquire) + 10;
    crate::wait::until_true("swaps go on", || (answered.load(Ordering::Acquire) >= enough, String::new()));
    stop.store(true, Ordering::Release);
    let told = clients.map(|client| client.join().expect("no client was told a lie"));
    let last = Client::to(address).read().expect("somebody won");
    check(&told, &last);
    witness.stop();
}

/// Every version has one winner; every answered one is the register that others were shown; none is left out.
fn check(told: &[Told; 2], last: &Register) {
    let [one, other] = told;
    let both: Vec<_> = one.won.keys().filter(|version| other.won.contains_key(version)).collect();
    assert!(both.is_empty(), "versions with two winners: {both:?}");
    for (version, register) in one.won.iter().chain(&other.won) {
        for seen in [&one.seen, &other.seen] {
            assert!(seen.get(version).is_none_or(|seen| seen == register), "version {version} is {register:?} and was shown as another");
        }
    }
    let answered = (one.won.len() + other.won.len()) as u64;
    let unknown = one.unknown + other.unknown;
    eprintln!("version {}: {answered} answered, {unknown} unknown, {} lost", last.version, one.lost + other.lost);
    // Dense: each version is a swap that was answered, or one of which nobody knows.
    assert!(last.version >= answered, "version {} after {answered} answered swaps", last.version);
    assert!(last.version <= answered + unknown, "version {}, {answered} answered and {unknown} unknown swaps", last.version);
    assert!(one.lost + other.lost > 0, "the two never competed");
}

#[test]
fn a_killed_witness_has_the_same_identity_and_register_at_once_again() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let witness = start(&data);
    let mut client = Client::to(witness.address("witness"));
    let wanted = (client.advance(1, 5), client.arbiter);
    witness.kill();
    let witness = start(&data);
    let mut client = Client::to(witness.address("witness"));
    assert_eq!((client.read().expect("there"), client.arbiter), wanted);
    witness.stop();
}

#[test]
fn second_instance_ends_with_75_and_leaves_the_first_alone() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let witness = start(&data);
    let output = witness_command(&data, "127.0.0.1:0").output().expect("the binary starts");
    crate::harness::program::check_end(&output, 75, &["directory in use", &format!("process {}", witness.pid())]);
    Client::to(witness.address("witness")).advance(1, 5);
    witness.stop();
}

#[test]
fn a_taken_port_ends_with_69_and_says_what_to_write() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let witness = start(&folder.path().join("data"));
    let address = witness.address("witness").to_string();
    let output = witness_command(&folder.path().join("other"), &address).output().expect("the binary starts");
    crate::harness::program::check_end(&output, 69, &["witness address", &address, "--listen HOST:PORT"]);
    witness.stop();
}
