//! kill -9 under load: whatever a consumer saw, and whatever the node called durable, is there after the next start.

use crate::harness::alone;
use crate::harness::kafka::{self, EARLIEST, LATEST};
use crate::harness::loadgen::{self, Load};
use crate::harness::node::Node;
use crate::harness::random::Random;
use crate::{Column, assert_clean};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;

const SETTINGS: [&str; 1] = ["node.lanes=2"];
const PARTITIONS: [i32; 2] = [0, 1];
/// Intervals that the superblock keeps.
const UNOBSERVED_MAX: usize = 16;

/// What was promised before the kill.
#[derive(Debug, Default)]
struct Promised {
    /// Batches that a consumer was given, by partition and base offset.
    batches: BTreeMap<(i32, i64), Bytes>,
    /// Ends that `status` called durable, by partition.
    ends: BTreeMap<i32, i64>,
}

#[test]
fn under_load_loses_nothing_that_was_seen_or_called_durable() {
    let _alone = alone();
    let mut random = Random::announced("kills");
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let mut unobserved = None;
    let kills = Column::chosen().kills;
    for round in 0..kills {
        let node = Node::start(&data, &SETTINGS);
        let spans = node.ledger().unobserved();
        if let Some(before) = unobserved {
            assert_eq!(spans, UNOBSERVED_MAX.min(before + 1), "round {round}: spans in which nobody listened");
        }
        unobserved = Some(spans);
        let promised = run_and_kill(node, &mut random, &folder.path().join(format!("run-{round}.json")));
        let what = format!("round {round}");
        assert_clean(&data, &what);
        check_promises(&data, &promised, round + 1 == kills, &what);
        // The look was a run of its own.
        unobserved = unobserved.map(|spans| UNOBSERVED_MAX.min(spans + 1));
        assert_clean(&data, &what);
    }
}

/// Loads the node, consumes beside it, and kills it once a random number of records was seen.
fn run_and_kill(node: Node, random: &mut Random, ledger: &Path) -> Promised {
    let rate = ["20k", "60k", "200k"][usize::try_from(random.below(3)).expect("small")];
    let size = [64, 300, 1400][usize::try_from(random.below(3)).expect("small")];
    let load = Load { rate, size, sources: 16, gso: random.below(2) == 1, until: ["--duration", "60s"] };
    let enough = 1_000 + random.below(30_000);
    eprintln!("{load:?}, killed after {enough} records were seen");
    let mut client = node.kafka();
    let mut next = PARTITIONS.map(|partition| client.offset_at("events", partition, LATEST).0);
    let mut generator = loadgen::begin(&node, &load, ledger);
    generator.under_way();
    let mut promised = Promised::default();
    let mut seen = 0;
    while seen < enough {
        for (partition, next) in PARTITIONS.into_iter().zip(&mut next) {
            let fetched = client.fetch("events", partition, *next, 5);
            assert_eq!(fetched.error, 0, "error {} of 0 at offset {next} of partition {partition}", fetched.error);
            for (base, behind, batch) in kafka::split(fetched.batches) {
                seen += behind.abs_diff(base);
                *next = behind;
                promised.batches.insert((partition, base), batch);
            }
        }
    }
    promised.ends = node.status().offsets("events").into_iter().map(|(partition, _, end)| (partition, end)).collect();
    node.kill();
    generator.interrupt();
    promised
}

/// Starts again and looks for everything that was promised in this round, or for the whole topic.
fn check_promises(data: &Path, promised: &Promised, whole: bool, what: &str) {
    let node = Node::start(data, &SETTINGS);
    let ledger = node.ledger();
    ledger.assert_balanced();
    let mut client = node.kafka();
    let mut records = 0;
    let mut found = BTreeMap::new();
    for partition in PARTITIONS {
        let (start, end) = (client.offset_at("events", partition, EARLIEST).0, client.offset_at("events", partition, LATEST).0);
        let durable = promised.ends[&partition];
        assert!(end >= durable, "{what}: partition {partition} ends at {end}, {durable} was called durable\n{}", node.log());
        records += end.abs_diff(start);
        // What came before this round was looked at after its own kill.
        let own = promised.batches.range((partition, 0)..(partition + 1, 0)).next().map_or(start, |((_, base), _)| *base);
        let from = if whole { start } else { own.min(end) };
        let mut dense = from;
        client.read_batches("events", partition, from, end, |base, batch| {
            assert_eq!(base, dense, "{what}: partition {partition} has a batch at {base} where {dense} follows");
            // Decoding checks the sum.
            dense += i64::try_from(kafka::decoded(batch.clone()).len()).expect("few records");
            found.insert((partition, base), batch);
        });
    }
    for ((partition, base), batch) in &promised.batches {
        let now = found.get(&(*partition, *base));
        assert!(
            now == Some(batch),
            "{what}: partition {partition}, batch {base}: {} bytes now, {} seen",
            now.map_or(0, Bytes::len),
            batch.len()
        );
    }
    let (admitted, durable, listeners) = (ledger.lanes_admitted(), ledger.durable(), ledger.admitted());
    assert_eq!((admitted, durable), (records, records), "{what}: admitted and durable against the topic: {}", ledger.0);
    assert_eq!(listeners, records, "{what}: the listeners' books against the topic: {}", ledger.0);
    node.kill();
}
