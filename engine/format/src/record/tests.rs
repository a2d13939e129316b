use super::*;
use crate::tests::{Sample, any_sample, framed};
use proptest::prelude::*;

/// Writes and reads a varint; no byte fewer would do, and no prefix is one.
fn check(value: i64) {
    let mut bytes = [0xee; VARINT_BYTES_MAX];
    let written = write_varint(&mut bytes, value);
    assert_eq!(written, varint_bytes(value), "{value} took {written} bytes, {} foretold", varint_bytes(value));
    assert_eq!(read_varint(&bytes), Some((value, written)), "{value} as {:02x?}", &bytes[..written]);
    assert!(written == 1 || bytes[written - 1] != 0, "{value} is not minimal: {:02x?}", &bytes[..written]);
    for cut in 0..written {
        assert_eq!(read_varint(&bytes[..cut]), None, "{value} cut to {cut} of {written} bytes");
    }
}

/// A record must be refused, whatever stands behind it.
fn refused(bytes: &[u8]) {
    assert_eq!(read_record(bytes), None, "{bytes:02x?}");
    let mut longer = bytes.to_vec();
    longer.extend([0; 32]);
    // With more bytes behind it a truncated record may become another one; a malformed one must not.
    if read_varint(bytes).is_some_and(|(length, prefix)| usize::try_from(length) == Ok(bytes.len() - prefix)) {
        assert_eq!(read_record(&longer), None, "{bytes:02x?} with zeros behind");
    }
}

/// A record's bytes from its body.
fn of_body(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; VARINT_BYTES_MAX];
    let prefix = write_varint(&mut bytes, i64::try_from(body.len()).unwrap());
    bytes.truncate(prefix);
    bytes.extend(body);
    bytes
}

#[test]
fn varints_are_known_bytes() {
    let known: [(i64, &[u8]); 8] = [
        (0, &[0]),
        (-1, &[1]),
        (1, &[2]),
        (63, &[0x7e]),
        (-64, &[0x7f]),
        (64, &[0x80, 1]),
        (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ];
    for (value, bytes) in known {
        check(value);
        assert_eq!(read_varint(bytes), Some((value, bytes.len())), "{value}");
    }
}

#[test]
fn varints_round_trip_at_every_width() {
    for bit in 0..63 {
        let edge = 1i64 << bit;
        [edge - 1, edge, edge + 1, -edge, -edge - 1, 1 - edge].into_iter().for_each(check);
    }
}

#[test]
fn varints_beyond_64_bits_are_none() {
    assert_eq!(read_varint(&[0x80; 11]), None, "eleven bytes and no end");
    let mut tenth = [0xff; 10];
    for last in 2..0x80 {
        tenth[9] = last;
        assert_eq!(read_varint(&tenth), None, "bits above the 64th: {last:#x}");
    }
    assert_eq!(read_varint(&[]), None);
}

#[test]
fn every_truncation_of_a_record_is_none() {
    let sample = Sample { key: Some(b"key".to_vec()), headers: vec![(b"t".to_vec(), Some(vec![1; 8]))], ..Sample::of(b"value") };
    let bytes = framed(3, &sample);
    (0..bytes.len()).for_each(|cut| refused(&bytes[..cut]));
}

#[test]
fn lengths_that_clients_refuse_are_none() {
    // attributes, timestamp delta, offset delta, key, value, headers
    assert!(read_record(&of_body(&[0, 0, 0, 1, 1, 0])).is_some(), "null key, null value, no header");
    refused(&of_body(&[0, 0, 0, 3, 1, 0])); // key of length −2
    refused(&of_body(&[0, 0, 0, 1, 3, 0])); // value of length −2
    refused(&of_body(&[0, 0, 0, 1, 8, 0])); // value longer than the record
    refused(&of_body(&[0, 0, 0, 1, 1, 1])); // −1 headers
    refused(&of_body(&[0, 0, 0, 1, 1, 0, 0])); // a byte behind the last header
    refused(&of_body(&[0, 0, 0, 1, 1, 4, 0, 1])); // two headers counted, one there
    refused(&of_body(&[0, 0, 0, 1, 1, 2, 1, 1])); // a header whose key is null
    refused(&of_body(&[0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 1, 0])); // an offset delta in six bytes
    refused(&of_body(&[0, 0, 0xfe, 0xff, 0xff, 0xff, 0x7f, 1, 1, 0])); // an offset delta of 35 bits
    refused(&of_body(&[0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f])); // 2³¹ − 1 headers, none there
    refused(&[0xfe, 0xff, 0xff, 0xff, 0x0f]); // a length of 2³¹ − 1
    refused(&[1, 0, 0, 0, 1, 1, 0]); // a length of −1
}

proptest! {
    #[test]
    fn varints_round_trip(value in any::<i64>()) {
        check(value);
    }

    #[test]
    fn records_round_trip(sample in any_sample(), offset_delta in 0..i64::from(i32::MAX), behind in prop::collection::vec(any::<u8>(), 0..9)) {
        let mut bytes = framed(offset_delta, &sample);
        let framed_bytes = bytes.len();
        bytes.extend(behind);
        let (record, taken) = read_record(&bytes).expect("what was framed");
        prop_assert_eq!(taken, framed_bytes);
        prop_assert_eq!(record.timestamp_delta_ms, sample.timestamp_delta_ms);
        prop_assert_eq!(record.offset_delta, offset_delta);
        prop_assert_eq!(record.key, sample.key.as_deref());
        prop_assert_eq!(record.value, sample.value.as_deref());
        prop_assert_eq!(record.headers, i64::try_from(sample.headers.len()).unwrap());
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some((_, taken)) = read_record(&bytes) {
            prop_assert!(taken <= bytes.len(), "{taken} of {} bytes taken", bytes.len());
        }
        if let Some((_, taken)) = read_varint(&bytes) {
            prop_assert!(taken <= bytes.len().min(VARINT_BYTES_MAX), "{taken} of {} bytes taken", bytes.len());
        }
    }

    #[test]
    fn a_damaged_record_never_panics(sample in any_sample(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = framed(0, &sample);
        for (place, value) in damage {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        if let Some((_, taken)) = read_record(&bytes) {
            prop_assert!(taken <= bytes.len(), "{taken} of {} bytes taken", bytes.len());
        }
    }
}
