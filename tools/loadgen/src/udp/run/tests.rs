use std::collections::BTreeMap;
use std::num::NonZeroU64;

use crate::ledger::{Ledger, State};
use crate::load::Load;
use crate::pace::Rate;
use crate::packet::{Reading, Template};
use crate::stop::Stop;
use crate::udp::{Plan, send};

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

fn plan(target: &UdpSocket, folder: &Path) -> Plan {
    Plan {
        target: target.local_addr().unwrap(),
        load: Load {
            rate: Rate::PerSecond(NonZeroU64::new(50_000).unwrap()),
            size: 64,
            duration: None,
            count: Some(200),
            sources: 1,
            seed: 5,
            ledger: folder.join("run.json"),
            http: None,
        },
        gso: false,
    }
}

/// Sends by the plan to a socket that nobody reads meanwhile, then reads all that was sent: every
/// packet once, dense in each source, from one port a source, due in order.
#[track_caller]
fn check(change: impl FnOnce(&mut Plan)) -> Ledger {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Room for a few hundred small datagrams is there by default; none may be dropped.
    target.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(&target, folder.path());
    change(&mut plan);
    let ledger = send(&plan, &Stop::default()).unwrap().ledger;
    assert_eq!(Ledger::read(&plan.load.ledger).unwrap(), ledger, "the file against what was returned");
    assert_eq!(ledger.state, State::Complete);
    assert_eq!(ledger.achieved.packets, ledger.sent());

    let template = Template::new(ledger.run_id, plan.load.seed, plan.load.size);
    let mut next: BTreeMap<u32, (u64, u64, u16)> = BTreeMap::new();
    let mut datagram = [0; 65_536];
    for _ in 0..ledger.sent() {
        let (length, from) = target.recv_from(&mut datagram).unwrap();
        let Reading::Intact(stamp) = template.read(&datagram[..length]) else {
            panic!("a datagram of {length} bytes is not intact");
        };
        let (sequence, due, port) = next.entry(stamp.source).or_insert((0, 0, from.port()));
        assert_eq!(stamp.sequence, *sequence, "source {}", stamp.source);
        assert!(stamp.intended_ns >= *due, "due {} after {due}", stamp.intended_ns);
        assert_eq!(from.port(), *port, "source {}", stamp.source);
        (*sequence, *due) = (stamp.sequence + 1, stamp.intended_ns);
    }
    for source in &ledger.sources {
        let (sequence, _, _) = next.get(&source.source).copied().unwrap_or_default();
        assert_eq!(sequence, source.sent, "source {}", source.source);
    }
    target.set_nonblocking(true).unwrap();
    assert!(target.recv(&mut datagram).is_err(), "more arrived than was sent");
    ledger
}

#[test]
fn single_packets_arrive_exactly_as_counted() {
    let ledger = check(|_| {});
    assert_eq!(ledger.sent(), 200);
    assert_eq!(ledger.offered.packets, 200);
    assert!(ledger.lateness.is_some());
}

#[test]
fn trains_arrive_exactly_as_counted() {
    let ledger = check(|plan| (plan.gso, plan.load.rate) = (true, Rate::Max));
    assert_eq!(ledger.sent(), 200, "64 + 64 + 64 + 8");
    assert!(ledger.lateness.is_none());
}

#[test]
fn trains_on_a_schedule_arrive_exactly_as_counted() {
    let ledger = check(|plan| plan.gso = true);
    assert_eq!(ledger.sent(), 200);
}

#[test]
fn sources_take_turns_and_keep_their_own_sequences() {
    let ledger = check(|plan| (plan.load.sources, plan.load.count) = (3, Some(100)));
    let sent: Vec<u64> = ledger.sources.iter().map(|source| source.sent).collect();
    assert_eq!(sent, [34, 33, 33]);
}

#[test]
fn intended_times_are_the_schedules() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(&target, folder.path());
    plan.load.count = Some(5);
    let ledger = send(&plan, &Stop::default()).unwrap().ledger;
    let template = Template::new(ledger.run_id, plan.load.seed, plan.load.size);
    let mut datagram = [0; 64];
    for slot in 0..5 {
        target.recv(&mut datagram).unwrap();
        let Reading::Intact(stamp) = template.read(&datagram) else { panic!("not intact") };
        assert_eq!(stamp.intended_ns, ledger.started_ns + slot * 20_000);
    }
}

#[test]
fn a_refused_packet_is_counted_by_name_and_not_as_sent() {
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&closed, folder.path());
    drop(closed);
    let ledger = send(&plan, &Stop::default()).unwrap().ledger;
    let refused = ledger.errors["ECONNREFUSED"];
    assert!(refused > 0);
    assert_eq!(ledger.sent() + refused, 200, "each slot is sent or refused");
}

#[test]
fn a_raised_stop_leaves_an_exact_ledger() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(&target, folder.path());
    let stop = Stop::default();
    stop.raise();
    let ledger = send(&plan, &stop).unwrap().ledger;
    assert_eq!((ledger.state, ledger.sent()), (State::Interrupted, 0));
    assert_eq!(Ledger::read(&plan.load.ledger).unwrap(), ledger);
}

#[test]
fn a_ledger_that_cannot_be_written_stops_the_run_before_its_first_packet() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(&target, folder.path());
    plan.load.ledger = folder.path().join("no/such/folder/run.json");
    assert!(send(&plan, &Stop::default()).unwrap_err().contains("cannot write the ledger"));
    target.set_nonblocking(true).unwrap();
    assert!(target.recv(&mut [0; 64]).is_err(), "a packet left without a ledger");
}
