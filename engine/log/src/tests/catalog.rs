//! Ids of partitions are given once.

use crate::catalog::{Stream, extend};
use headworks_format::PartitionId;
use headworks_format::checkpoint::Partition;

fn check(lanes: &mut [Vec<Partition>], names: &[&str], wanted: &[&[(u32, &str, u32)]]) {
    let streams: Vec<Stream> = names.iter().map(|name| Stream { name: (*name).into() }).collect();
    extend(lanes, &streams);
    for (lane, wanted) in lanes.iter().zip(wanted) {
        let found: Vec<_> = lane.iter().map(|partition| (partition.id.0, partition.stream.as_str(), partition.number)).collect();
        assert_eq!(&found, wanted);
    }
}

#[test]
fn every_lane_gets_a_partition_of_every_stream() {
    let mut lanes = [Vec::new(), Vec::new()];
    check(&mut lanes, &["a", "b"], &[&[(0, "a", 0), (2, "b", 0)], &[(1, "a", 1), (3, "b", 1)]]);
    check(&mut lanes, &["a", "b"], &[&[(0, "a", 0), (2, "b", 0)], &[(1, "a", 1), (3, "b", 1)]]);
}

#[test]
fn a_new_id_lies_above_every_known_one() {
    let known = Partition { id: PartitionId(7), stream: "old".into(), number: 0, next_offset: 5, log_start: 0 };
    check(&mut [vec![known], Vec::new()], &["new"], &[&[(7, "old", 0), (8, "new", 0)], &[(9, "new", 1)]]);
}
