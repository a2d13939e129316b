use super::*;
use crate::packet::{Reading, Template};
use crate::udp::train::Train;

/// Datagrams that arrive when one train of `packets` is sent this way: their sizes, in order.
#[track_caller]
fn check(bind: &str, way: Way, size: usize, packets: usize) {
    let target = UdpSocket::bind(bind).unwrap();
    target.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let template = Template::new(1, 2, size);
    let mut train = Train::new(&template, way == Way::Single);
    for sequence in 0..packets {
        train.push(0, u64::try_from(sequence).unwrap(), 0);
    }
    let socket = open(target.local_addr().unwrap(), way, size).unwrap();
    assert_eq!(socket.send(train.bytes()).unwrap(), size * packets);
    let mut datagram = [0; 65_536];
    for sequence in 0..packets {
        let length = target.recv(&mut datagram).unwrap();
        let Reading::Intact(stamp) = template.read(&datagram[..length]) else {
            panic!("datagram {sequence} of {length} bytes is not intact");
        };
        assert_eq!(usize::try_from(stamp.sequence).unwrap(), sequence);
    }
}

#[test]
fn a_train_arrives_as_its_datagrams() {
    check("127.0.0.1:0", Way::Trains, 64, 64);
    check("127.0.0.1:0", Way::Trains, 48, 1);
    check("127.0.0.1:0", Way::Trains, 1400, 46);
}

#[test]
fn a_single_packet_arrives_as_it_is() {
    check("127.0.0.1:0", Way::Single, 64, 1);
    check("127.0.0.1:0", Way::Single, 65_507, 1);
}

#[test]
fn the_newer_address_family_works_the_same() {
    check("[::1]:0", Way::Trains, 64, 64);
    check("[::1]:0", Way::Single, 64, 1);
}

#[test]
fn two_sources_have_two_ports() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ports = [0; 2].map(|_| open(target, Way::Single, 64).unwrap());
    assert_ne!(ports[0].local_addr().unwrap(), ports[1].local_addr().unwrap());
}
