//! kill -9 while the node starts: recovery begins again from the same bytes, as often as it takes.

use crate::harness::alone;
use crate::harness::node::{Guarded, Node, log_beside};
use crate::harness::packets::{self, named};
use crate::harness::program::{command, run_arguments};
use crate::harness::random::Random;
use crate::{Column, assert_clean};
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

const SETTINGS: [&str; 2] = ["node.lanes=1", "log.ring=4MiB"];

#[test]
fn killed_at_random_moments_starts_in_the_end_with_everything() {
    let _alone = alone();
    let mut random = Random::announced("startup");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    // Twelve MiB in two segments, killed, so that there is something to recover.
    let node = Node::start(&data, &SETTINGS);
    let sent: Vec<_> = (0..10_000).map(|number| named(0, number, 1200)).collect();
    packets::send(&packets::source(node.udp()), &sent);
    node.settled(10_000);
    let took = kill_and_time_a_start(node, &data);
    for kill in 0..Column::chosen().startup_kills {
        let within = Duration::from_nanos(random.below(u64::try_from(took.as_nanos()).expect("seconds")));
        start_and_kill(&data, within);
        if kill % 5 == 0 {
            assert_clean(&data, &format!("kill {kill}, {within:?} after the start"));
        }
    }
    let node = Node::start(&data, &SETTINGS);
    let records = node.kafka().read_all("events", 0);
    let values: Vec<_> = records.iter().map(|record| record.value.as_deref().unwrap_or_default().to_vec()).collect();
    assert!(values == sent, "{} records of {}, or other ones\n{}", values.len(), sent.len(), node.log());
    let ledger = node.ledger();
    ledger.assert_balanced();
    assert_eq!((ledger.lanes_admitted(), ledger.durable()), (10_000, 10_000), "{}", ledger.0);
    node.stop();
    assert_clean(&data, "after all of them");
}

#[test]
fn killed_at_random_moments_of_the_first_start_never_blocks_the_next() {
    let _alone = alone();
    let mut random = Random::announced("first start");
    let folder = tempfile::tempdir().expect("a temporary directory");
    for kill in 0..Column::chosen().startup_kills {
        let data = folder.path().join(format!("data-{kill}"));
        let within = Duration::from_micros(random.below(60_000));
        start_and_kill(&data, within);
        let node = Node::start(&data, &SETTINGS);
        packets::send(&packets::source(node.udp()), &[named(0, 0, 64)]);
        node.settled(1);
        node.stop();
        assert_clean(&data, &format!("kill {kill}, {within:?} after the first start"));
    }
}

/// How long a start takes here.
fn kill_and_time_a_start(node: Node, data: &Path) -> Duration {
    node.kill();
    let began = Instant::now();
    let node = Node::start(data, &SETTINGS);
    let took = began.elapsed();
    node.kill();
    took
}

fn start_and_kill(data: &Path, within: Duration) {
    let mut command = command(run_arguments(data, &SETTINGS));
    let stderr = File::options().create(true).append(true).open(log_beside(data)).expect("the log file opens");
    let mut process = Guarded::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr));
    // The moment itself is the fault: nothing is waited for.
    thread::park_timeout(within);
    assert!(process.ended().is_none(), "a start ended by itself:\n{}", std::fs::read_to_string(log_beside(data)).unwrap_or_default());
    drop(process);
}
