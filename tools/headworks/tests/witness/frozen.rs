//! A witness that stands still: what was sent to it is unknown, and may land when it goes on.

use crate::harness::wait;
use crate::{Client, register, start};
use headworks_replicator::register::Swap;
use headworks_replicator::witness::{Ask, Outcome, Unreachable};
use nix::sys::signal::Signal;

#[test]
fn a_swap_is_unknown_and_lands_later() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut witness = start(&folder.path().join("data"));
    let mut client = Client::to(witness.address("witness"));
    let first = client.advance(1, 1);
    witness.signal(Signal::SIGSTOP);
    let swap = Swap::from(Some(&first), register(1, 2));
    assert_eq!(client.swap(swap), Outcome::Unknown);
    // The kernel of a witness that stands still takes connections and bytes for it: only the answers do not come.
    assert_eq!(client.get(), Outcome::Unreachable(Unreachable::Silent));
    witness.signal(Signal::SIGCONT);
    let landed = wait::until("the late swap lands", || match client.read() {
        Some(register) if register == swap.register => Ok(register),
        other => Err(format!("{other:?}")),
    });
    // Known again: the same swap, sent once more, is refused with itself.
    assert_eq!(client.swap(swap), Outcome::Refused(Some(landed)));
    witness.stop();
}

#[test]
fn a_late_swap_loses_to_one_that_went_ahead() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let mut witness = start(&data);
    let mut client = Client::to(witness.address("witness"));
    let first = client.advance(1, 1);
    witness.signal(Signal::SIGSTOP);
    let late = Swap::from(Some(&first), register(1, 2));
    assert_eq!(client.swap(late), Outcome::Unknown);
    witness.kill();
    // What lay in the dead witness's sockets is gone with it: the swap may have landed or not, and another one decides it.
    let witness = start(&data);
    let mut other = Client::to(witness.address("witness"));
    let now = other.advance(2, 3);
    assert!(now.version == 2 || now.version == 3, "{now:?}");
    assert_eq!(other.swap(late), Outcome::Refused(Some(now)), "the late swap can never land any more");
    witness.stop();
}

#[test]
fn nobody_there_is_unreachable_and_nothing_is_unknown() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let witness = start(&folder.path().join("data"));
    let address = witness.address("witness");
    witness.stop();
    let mut client = Client::to(address);
    assert_eq!(client.get(), Outcome::Unreachable(Unreachable::Connect));
    assert_eq!(client.swap(Swap::from(None, register(1, 1))), Outcome::Unreachable(Unreachable::Connect));
}

#[test]
fn a_client_finds_its_witness_again_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let witness = start(&data);
    let address = witness.address("witness");
    let mut client = Client::to(address);
    let first = client.advance(1, 1);
    witness.stop();
    let witness = crate::start_on(&data, &address.to_string());
    assert_eq!(client.read(), Some(first));
    assert_eq!(client.advance(1, 2).version, 2);
    witness.stop();
}

#[test]
fn a_watch_ends_when_the_register_changes_and_other_requests_pass_it() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let witness = start(&folder.path().join("data"));
    let address = witness.address("witness");
    let (mut watcher, mut other) = (Client::to(address), Client::to(address));
    let first = other.advance(1, 1);
    watcher.order(Ask::Watch { beyond: 1, wait_ms: 60_000 });
    // On the same connection, behind the watch, answered before it.
    assert_eq!(watcher.get(), Outcome::Read(Some(first)));
    let second = other.advance(1, 2);
    assert_eq!(watcher.answered().outcome, Outcome::Read(Some(second)));
    assert_eq!(
        watcher.ask(Ask::Watch { beyond: 1, wait_ms: 60_000 }).outcome,
        Outcome::Read(Some(second)),
        "at once: it is another already"
    );
    assert_eq!(watcher.ask(Ask::Watch { beyond: 2, wait_ms: 1 }).outcome, Outcome::Read(Some(second)), "after its time");
    witness.stop();
}
