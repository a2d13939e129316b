use super::*;
use crate::register::{Member, Mode};
use headworks_format::{Epoch, PairId};

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("a bound socket has an address");
    (listener, address)
}

/// What two blank nodes of these names come to; the second is told to stop when the first has ended.
fn check(names: [&str; 2]) -> [Met; 2] {
    let [(of_one, at_one), (of_other, at_other)] = [listener(), listener()];
    thread::scope(|scope| {
        let one = scope.spawn(move || meet(&of_one, at_other, names[0], || false));
        let other = meet(&of_other, at_one, names[1], || one.is_finished());
        [one.join().expect("it ends"), other].map(|met| met.expect("a listener"))
    })
}

#[test]
fn of_two_blank_nodes_the_first_by_name_founds_and_the_other_waits() {
    assert_eq!(check(["a", "b"]), [Met::Founds, Met::Stopped]);
}

#[test]
fn two_nodes_of_one_name_are_told_so() {
    assert_eq!(check(["a", "a"])[0], Met::SameName);
}

#[test]
fn a_node_that_meets_nobody_founds_nothing() {
    let (of_one, _) = listener();
    let (gone, at_gone) = listener();
    drop(gone);
    let mut looks = 0;
    let met = meet(&of_one, at_gone, "a", || {
        looks += 1;
        looks > 20
    });
    assert_eq!(met.expect("a listener"), Met::Stopped);
}

#[test]
fn a_blank_node_takes_the_pair_that_the_other_knows() {
    let member = Member { node: 1, incarnation: 10 };
    let (pair, epoch) = (PairId(7), Epoch(3));
    let register =
        Register { version: 4, pair, lanes: 2, segment_bytes: 1 << 28, epoch, primary: member, standby: None, mode: Mode::Manual };
    let (of_one, _) = listener();
    let (of_other, at_other) = listener();
    let met = thread::scope(|scope| {
        scope.spawn(move || {
            let (stream, _) = of_other.accept().expect("it is asked");
            let mut connection = Connection::new(stream).expect("a connection");
            let answer = Message::Claim(Claim { asks: false, name: "b", of: Some((member, register)) });
            while heard(&mut connection, &answer).expect("a claim").is_none() {}
        });
        meet(&of_one, at_other, "a", || false).expect("a listener")
    });
    assert_eq!(met, Met::Pair(register), "its name sorts first, and all the same it founds nothing");
}
