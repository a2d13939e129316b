use super::{Stream, complete, extend};
use headworks_format::PartitionId;
use headworks_format::checkpoint::Partition;

/// Id, stream, number within the stream.
type Known<'a> = (u32, &'a str, u32);

/// A partition that has been written to: nothing of it may change.
fn used((id, stream, number): Known) -> Partition {
    Partition { id: PartitionId(id), stream: stream.into(), number, next_offset: 100 + u64::from(id), log_start: 7 }
}

fn check(before: &[&[Known]], names: &[&str], after: &[&[Known]]) {
    let mut lanes: Vec<Vec<Partition>> = before.iter().map(|lane| lane.iter().copied().map(used).collect()).collect();
    let streams: Vec<Stream> = names.iter().map(|name| Stream { name: (*name).into() }).collect();
    let wanted: Vec<Vec<Partition>> = before.iter().zip(after).map(|(before, after)| extended(before, after)).collect();
    extend(&mut lanes, &streams);
    assert_eq!(lanes, wanted, "{before:?} and {names:?}");
    extend(&mut lanes, &streams);
    assert_eq!(lanes, wanted, "asked for again, nothing is added");
}

/// What was there, unchanged, and the rest new.
fn extended(before: &[Known], after: &[Known]) -> Vec<Partition> {
    let new = |known: &Known| Partition { next_offset: 0, log_start: 0, ..used(*known) };
    before.iter().copied().map(used).chain(after[before.len()..].iter().map(new)).collect()
}

#[test]
fn every_lane_gets_one_partition_of_every_stream_numbered_by_lane() {
    check(&[&[], &[]], &["a", "b"], &[&[(0, "a", 0), (2, "b", 0)], &[(1, "a", 1), (3, "b", 1)]]);
}

#[test]
fn what_a_checkpoint_knows_stays_as_it_is_and_in_its_order() {
    check(&[&[(5, "b", 0), (3, "a", 0)]], &["a", "b"], &[&[(5, "b", 0), (3, "a", 0)]]);
}

#[test]
fn a_stream_that_is_asked_for_no_more_keeps_its_partition() {
    check(&[&[(0, "gone", 0)]], &["a"], &[&[(0, "gone", 0), (1, "a", 0)]]);
}

#[test]
fn a_new_id_lies_above_every_id_of_every_lane() {
    check(&[&[(1, "a", 0)], &[(9, "a", 1)]], &["a", "b"], &[&[(1, "a", 0), (10, "b", 0)], &[(9, "a", 1), (11, "b", 1)]]);
}

#[test]
fn a_lane_that_is_new_gets_what_the_others_have() {
    check(&[&[(0, "a", 0)], &[]], &["a"], &[&[(0, "a", 0)], &[(1, "a", 1)]]);
}

#[test]
fn no_stream_and_no_lane_add_nothing() {
    check(&[], &["a"], &[]);
    check(&[&[(0, "a", 0)]], &[], &[&[(0, "a", 0)]]);
}

#[test]
fn a_topic_that_a_crash_left_half_made_is_completed_below_its_highest_number() {
    let half = |lane: &[Known]| lane.iter().copied().map(used).collect::<Vec<_>>();
    let mut lanes = vec![half(&[(0, "events", 0), (4, "made", 2)]), half(&[(1, "events", 1), (5, "made", 3)])];
    complete(&mut lanes);
    let new = |id, number| Partition { next_offset: 0, log_start: 0, ..used((id, "made", number)) };
    assert_eq!(lanes[0][2..], [new(6, 0)]);
    assert_eq!(lanes[1][2..], [new(7, 1)]);
    let whole = lanes.clone();
    complete(&mut lanes);
    assert_eq!(lanes, whole, "completed once");
}
