//! Keys and values come back as they were written, and nothing else is taken for one.

use super::*;
use proptest::prelude::*;

fn key_bytes(key: &Key<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.write(&mut bytes);
    bytes
}

fn value_bytes(value: &Value<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    bytes
}

#[test]
fn bytes_are_those_of_the_format() {
    let key = Key { group: "g", topic: "tt", partition: 5 };
    assert_eq!(key_bytes(&key), [0, 1, 0, 1, b'g', 0, 2, b't', b't', 0, 0, 0, 5]);
    let value = Value { offset: 258, leader_epoch: -1, metadata: "m", committed_ms: 3 };
    let expected = [0, 3, 0, 0, 0, 0, 0, 0, 1, 2, 255, 255, 255, 255, 0, 1, b'm', 0, 0, 0, 0, 0, 0, 0, 3];
    assert_eq!(value_bytes(&value), expected);
}

#[test]
fn tables_of_the_format_add_up_to_what_is_written() {
    let sum = |fields: &[(&str, &str, &str)]| -> usize {
        fields.iter().map(|(bytes, _, _)| bytes.trim_end_matches(" + n").parse::<usize>().expect("a number")).sum()
    };
    assert_eq!(key_bytes(&Key { group: "", topic: "", partition: 0 }).len(), sum(&KEY_FIELDS));
    assert_eq!(value_bytes(&Value { offset: 0, leader_epoch: 0, metadata: "", committed_ms: 0 }).len(), sum(&VALUE_FIELDS));
}

#[test]
fn other_versions_cuts_and_extras_are_refused() {
    let key = key_bytes(&Key { group: "group", topic: "topic", partition: 1 });
    let value = value_bytes(&Value { offset: 1, leader_epoch: 2, metadata: "text", committed_ms: 4 });
    for length in 0..key.len() {
        assert_eq!(Key::read(&key[..length]), None);
    }
    for length in 0..value.len() {
        assert_eq!(Value::read(&value[..length]), None);
    }
    assert_eq!(Key::read(&[&key[..], &[0]].concat()), None);
    assert_eq!(Value::read(&[&value[..], &[0]].concat()), None);
    let (mut other_key, mut other_value) = (key, value);
    (other_key[1], other_value[1]) = (2, 4);
    assert_eq!(Key::read(&other_key), None);
    assert_eq!(Value::read(&other_value), None);
}

#[test]
fn strings_beyond_their_limit_are_refused() {
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    assert_eq!(Key::read(&key_bytes(&Key { group: &long, topic: "t", partition: 0 })), None);
    let long = "x".repeat(METADATA_BYTES_MAX + 1);
    assert_eq!(Value::read(&value_bytes(&Value { offset: 0, leader_epoch: 0, metadata: &long, committed_ms: 0 })), None);
}

#[test]
fn batch_is_read_back_with_its_removals() {
    let value = Value { offset: 7, leader_epoch: 1, metadata: "note", committed_ms: 99 };
    let key = |partition| Key { group: "group", topic: "topic", partition };
    let entries: Vec<_> = (0..300).map(|partition| (key(partition), (partition % 3 != 0).then_some(value))).collect();
    let bytes = batch_of(&entries, 1_234).expect("it fits");
    let batch = batch::Batch::parse(&bytes).expect("a batch that holds");
    assert_eq!((batch.header().base_timestamp.get(), batch.header().record_count.get()), (1_234, 300));
    for (record, (place, (key, value))) in batch.records().zip((0..).zip(&entries)) {
        let record = record.expect("a record that holds");
        assert_eq!(record.offset_delta, place);
        assert_eq!(Key::read(record.key.expect("a key")), Some(*key));
        assert_eq!(record.value.map(|value| Value::read(value).expect("a value")), *value);
    }
}

#[test]
fn batch_that_would_be_too_large_is_none() {
    let metadata = "x".repeat(METADATA_BYTES_MAX);
    let value = Value { offset: 7, leader_epoch: 1, metadata: &metadata, committed_ms: 99 };
    let entries: Vec<_> = (0..300).map(|partition| (Key { group: "g", topic: "t", partition }, Some(value))).collect();
    assert_eq!(batch_of(&entries, 0), None);
    assert!(batch_of(&entries[..250], 0).is_some());
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        (group, topic, metadata) in (".{0,60}", "[a-z._-]{0,249}", ".{0,200}"),
        partition: i32,
        offset: i64,
        leader_epoch: i32,
        committed_ms: i64,
    ) {
        let key = Key { group: &group, topic: &topic, partition };
        let bytes = key_bytes(&key);
        prop_assert_eq!(Key::read(&bytes), Some(key));
        let value = Value { offset, leader_epoch, metadata: &metadata, committed_ms };
        let bytes = value_bytes(&value);
        prop_assert_eq!(Value::read(&bytes), Some(value));
    }

    #[test]
    fn arbitrary_bytes_are_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Key::read(&bytes), Value::read(&bytes));
    }
}
