//! Peers that are no nodes, too many, or of another pair.

use crate::harness::wait;
use crate::{Client, register, start};
use headworks_format::PairId;
use headworks_replicator::link::arbiter::WitnessSettings;
use headworks_replicator::link::server::CONNECTIONS_MAX;
use headworks_replicator::register::{Register, Swap};
use headworks_replicator::witness::{Denied, Outcome, Unreachable};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// Sends this and waits until the witness has closed.
fn closed_after(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(wait::PATIENCE)).expect("a timeout");
    stream.write_all(bytes).expect("the witness takes bytes");
    let mut rest = Vec::new();
    // Closed with bytes unread, the connection is reset; either way it has ended, and nothing was answered.
    match stream.read_to_end(&mut rest) {
        Ok(_) => assert!(rest.is_empty(), "{} bytes were answered", rest.len()),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
}

#[test]
fn garbage_is_counted_and_closed_and_harms_nobody() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let witness = start(&folder.path().join("data"));
    let address = witness.address("witness");
    let mut client = Client::to(address);
    client.advance(1, 1);
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 64], &[0xff; 64], &[10, 0, 0, 0, 33, 1, 2, 3, 4, 5, 6, 7, 8, 9]] {
        closed_after(address, garbage);
    }
    assert_eq!(client.read().map(|register| register.version), Some(1));
    assert!(witness.log().contains("closed=4"), "{}", witness.log());
    witness.stop();
}

#[test]
fn one_connection_too_many_is_closed_and_room_comes_back() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let witness = start(&folder.path().join("data"));
    let address = witness.address("witness");
    let crowd: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    closed_after(address, b"");
    assert!(witness.log().contains("TooMany"), "{}", witness.log());
    drop(crowd);
    assert_eq!(Client::to(address).read(), None);
    witness.stop();
}

#[test]
fn pairs_have_their_places_and_another_pair_is_denied() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let witness = start(&folder.path().join("data"));
    let settings = WitnessSettings::at(witness.address("witness"));
    let mut places: Vec<Client> = [0, 1, 63].map(|place| Client::of(WitnessSettings { place, ..settings })).into();
    for (pair, client) in places.iter_mut().enumerate() {
        let swap = Swap::from(None, Register { pair: PairId(100 + pair as u128), ..register(1, 5) });
        assert_eq!(client.swap(swap), Outcome::Swapped);
    }
    for (pair, client) in places.iter_mut().enumerate() {
        assert_eq!(client.read().expect("there").pair, PairId(100 + pair as u128));
    }
    let strange = Swap::from(places[0].read().as_ref(), register(1, 6));
    assert_eq!(places[0].swap(strange), Outcome::Unreachable(Unreachable::Denied(Denied::OtherPair)));
    let mut beyond = Client::of(WitnessSettings { place: 64, ..settings });
    assert_eq!(beyond.get(), Outcome::Unreachable(Unreachable::Denied(Denied::Place)));
    witness.stop();
}
