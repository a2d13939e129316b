//! Runs of batches, whole and damaged.

use bytes::BufMut;
use proptest::prelude::*;

use super::*;

/// A batch header with `records_bytes` of something behind it.
fn batch(base_offset: i64, last_offset_delta: i32, records_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_i64(base_offset);
    let length = HEADER_BYTES - UNCOUNTED_BYTES + records_bytes;
    bytes.put_i32(i32::try_from(length).expect("a small batch"));
    bytes.put_i32(0);
    bytes.put_u8(MAGIC);
    bytes.put_slice(&[0; 6]); // crc, attributes
    bytes.put_i32(last_offset_delta);
    bytes.resize(HEADER_BYTES + records_bytes, 0);
    bytes
}

fn check(run: Vec<u8>, offset: i64, expected: Option<i64>) {
    assert_eq!(offset_after(&Bytes::from(run), offset), expected);
}

#[test]
fn run_of_batches_ends_after_its_last_record() {
    let run = [batch(10, 4, 100), batch(15, 0, 0), batch(20, 9, 7)].concat();
    check(run, 12, Some(30));
}

#[test]
fn empty_run_ends_where_it_begins() {
    check(Vec::new(), 12, Some(12));
}

#[test]
fn batch_cut_anywhere_is_refused() {
    let whole = batch(10, 4, 20);
    for length in 1..whole.len() {
        check(whole[..length].to_vec(), 10, None);
    }
}

#[test]
fn batch_before_the_offset_is_refused() {
    check(batch(10, 4, 0), 15, None);
    check(batch(10, 4, 0), 14, Some(15));
}

#[test]
fn other_magic_is_refused() {
    let mut old = batch(10, 4, 0);
    old[MAGIC_AT] = 1;
    check(old, 10, None);
}

#[test]
fn counts_that_overflow_are_refused() {
    check(batch(10, -1, 0), 0, None);
    check(batch(i64::MAX, 0, 0), 0, None);
    let mut long = batch(10, 4, 0);
    long[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&i32::MAX.to_be_bytes());
    check(long, 10, None);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..512),
        offset in any::<i64>(),
    ) {
        if let Some(after) = offset_after(&Bytes::from(bytes), offset) {
            prop_assert!(after >= offset);
        }
    }
}
