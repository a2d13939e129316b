//! The table as a function of the stream's records.

use super::super::table::Table;
use headworks_format::committed::{Key, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMES: [&str; 3] = ["one", "two", "three"];

#[test]
fn newest_record_of_a_key_counts_and_one_without_value_removes_it() {
    let mut table = Table::default();
    let key = Key { group: "g", topic: "t", partition: 0 };
    let value = |offset| Value { offset, leader_epoch: -1, metadata: "", committed_ms: 21 - offset };
    table.apply(0, &key, Some(&value(1)));
    table.apply(3, &key, Some(&value(2)));
    assert_eq!((table.get("g", "t", 0).map(|entry| entry.offset), table.oldest(), table.len()), (Some(2), Some(3), 1));
    table.apply(4, &key, None);
    assert_eq!((table.get("g", "t", 0), table.oldest(), table.bytes()), (None, None, 0));
    assert_eq!(table.newest_ms(), 20, "the newest commit that was ever seen");
    assert_eq!(table.groups().count(), 0);
}

proptest! {
    /// Against the plainest model; and the part of the stream from the oldest entry on gives the same table.
    #[test]
    fn table_is_what_its_live_part_of_the_stream_says(
        records in proptest::collection::vec((0usize..3, 0usize..3, 0i32..3, prop::option::weighted(0.8, 0i64..1000)), 0..200),
    ) {
        let mut table = Table::default();
        let mut model = BTreeMap::new();
        let value = |offset| Value { offset, leader_epoch: 1, metadata: "m", committed_ms: offset };
        for (at, (group, topic, partition, offset)) in (0..).zip(&records) {
            let key = Key { group: NAMES[*group], topic: NAMES[*topic], partition: *partition };
            table.apply(at, &key, offset.map(value).as_ref());
            match offset {
                Some(offset) => { model.insert(key, (*offset, at)); }
                None => { model.remove(&key); }
            }
        }
        let found: BTreeMap<_, _> = table.entries().map(|(key, entry)| (key, entry.offset)).collect();
        let expected: BTreeMap<_, _> = model.iter().map(|(key, (offset, _))| (*key, *offset)).collect();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(table.oldest(), model.values().map(|(_, at)| *at).min());
        prop_assert_eq!(table.bytes(), model.keys().map(|key| Table::bytes_of(key, "m")).sum::<usize>());
        let middle = 100;
        let below: Vec<_> = table.below(middle).map(|(name, _)| (name.group.clone(), name.topic.clone(), name.partition)).collect();
        prop_assert_eq!(below.len(), model.values().filter(|(_, at)| *at < middle).count());

        let mut again = Table::default();
        let from = table.oldest().unwrap_or(0);
        for (at, (group, topic, partition, offset)) in (0..).zip(&records).filter(|(at, _)| *at >= from) {
            let key = Key { group: NAMES[*group], topic: NAMES[*topic], partition: *partition };
            again.apply(at, &key, offset.map(value).as_ref());
        }
        let again: BTreeMap<_, _> = again.entries().map(|(key, entry)| (key, entry.offset)).collect();
        prop_assert_eq!(again, found);
    }
}
