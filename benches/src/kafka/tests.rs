use super::*;

/// A batch of `records` from `base` with `payload` bytes behind its counts.
fn batch(base: i64, records: i32, payload: usize) -> Vec<u8> {
    let mut bytes = vec![0; LAST_DELTA_AT + 4 + payload];
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    let length = i32::try_from(bytes.len() - BATCH_PREFIX_BYTES).unwrap();
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[LAST_DELTA_AT..LAST_DELTA_AT + 4].copy_from_slice(&(records - 1).to_be_bytes());
    bytes
}

#[track_caller]
fn check(batches: &[u8], offset: i64, next_offset: i64, bytes: u64) {
    assert_eq!(walk(batches, offset), Fetched { next_offset, bytes });
}

#[test]
fn whole_batches_are_stepped_over_and_a_cut_one_is_not_counted() {
    let (one, two) = (batch(10, 5, 40), batch(15, 2, 8));
    check(&[], 10, 10, 0);
    check(&one, 10, 15, one.len() as u64);
    let both = [one.clone(), two.clone()].concat();
    check(&both, 10, 17, both.len() as u64);
    check(&both[..both.len() - 1], 10, 15, one.len() as u64);
}

#[test]
fn a_length_that_makes_no_sense_ends_the_walk() {
    let mut bytes = batch(10, 5, 40);
    bytes[8..12].copy_from_slice(&(-1i32).to_be_bytes());
    check(&bytes, 10, 10, 0);
}

#[test]
fn answers_are_read_as_the_protocol_lays_them_out() {
    let mut answer = Vec::new();
    answer.extend(1i32.to_be_bytes());
    string(&mut answer, "events");
    answer.extend(1i32.to_be_bytes());
    answer.extend(0i32.to_be_bytes());
    answer.extend(0i16.to_be_bytes());
    answer.extend((-1i64).to_be_bytes());
    answer.extend(42i64.to_be_bytes());
    assert_eq!(read_offset(&mut Cursor { bytes: &answer }), Some(Ok(42)));
    assert_eq!(read_offset(&mut Cursor { bytes: &answer[..answer.len() - 1] }), None);
}
