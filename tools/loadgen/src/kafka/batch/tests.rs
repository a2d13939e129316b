use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{Compression, Record as Oracle, RecordBatchEncoder, RecordEncodeOptions, TimestampType};

use super::*;

/// What a test puts into a record: value, timestamp ms, receive time ns.
pub type Written<'a> = (&'a [u8], i64, Option<i64>);

/// A batch of these records from the offset on, made by the public codec.
pub fn encoded(base_offset: i64, records: &[Written<'_>]) -> Vec<u8> {
    let records: Vec<Oracle> = (base_offset..)
        .zip(0..)
        .zip(records)
        .map(|((offset, sequence), (value, timestamp, receive_time))| Oracle {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: 3,
            producer_id: -1,
            producer_epoch: -1,
            timestamp_type: TimestampType::Creation,
            offset,
            // The codec begins another batch where offset and sequence do not grow together.
            sequence,
            timestamp: *timestamp,
            key: None,
            value: Some(Bytes::copy_from_slice(value)),
            headers: receive_time
                .iter()
                .map(|at| {
                    let value = Bytes::copy_from_slice(&at.to_be_bytes());
                    (StrBytes::from_static_str("t"), Some(value))
                })
                .collect(),
        })
        .collect();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    bytes.to_vec()
}

/// Makes the CRC right again after a change.
fn resealed(mut batch: Vec<u8>) -> Vec<u8> {
    let checksum = crc32_iscsi(&batch[COVERED_FROM..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    batch
}

fn sample() -> Vec<u8> {
    encoded(40, &[(b"first", 1000, None), (b"", 1007, Some(-5)), (&[7; 300], 990, None)])
}

/// The bytes, as one batch and its records, are refused for this reason.
#[track_caller]
fn check(bytes: &[u8], expected: BatchError) {
    let refused = match split(bytes) {
        Err(error) => error,
        Ok((batch, _)) => batch.records().find_map(Result::err).unwrap_or_else(|| panic!("taken as {batch:?}")),
    };
    assert_eq!(refused, expected);
}

#[test]
fn what_the_public_codec_wrote_is_read() {
    let bytes = sample();
    let (batch, rest) = split(&bytes).unwrap();
    assert!(rest.is_empty() && batch.is_plain());
    assert_eq!((batch.base_offset, batch.count, batch.next_offset()), (40, 3, 43));
    let records: Vec<_> = batch.records().map(Result::unwrap).collect();
    let expected = [(40, 1000, None, 5), (41, 1007, Some(-5), 0), (42, 990, None, 300)];
    for (record, (offset, timestamp_ms, receive_time_ns, length)) in records.iter().zip(expected) {
        let found = (record.offset, record.timestamp_ms, record.receive_time_ns);
        assert_eq!(found, (offset, timestamp_ms, receive_time_ns));
        assert_eq!(record.value.len(), length);
    }
    assert_eq!(records[0].value, b"first");
}

#[test]
fn batches_one_after_the_other_are_taken_in_turn() {
    let bytes = [sample(), encoded(43, &[(b"x", 1, None)])].concat();
    let (first, rest) = split(&bytes).unwrap();
    let (second, rest) = split(rest).unwrap();
    assert_eq!((first.next_offset(), second.base_offset, rest.len()), (43, 43, 0));
}

#[test]
fn every_flipped_bit_under_the_crc_is_refused() {
    let bytes = sample();
    for bit in (16 * 8)..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(split(&changed).is_err(), "bit {bit} flipped was taken");
    }
}

#[test]
fn every_truncation_is_cut_off() {
    let bytes = sample();
    for length in 0..bytes.len() {
        check(&bytes[..length], BatchError::Cut);
    }
}

#[test]
fn a_length_below_the_header_is_refused() {
    let mut bytes = sample();
    for length in [0_i32, -1, i32::MIN, 48] {
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        check(&bytes, BatchError::Length);
    }
}

#[test]
fn another_magic_is_refused() {
    let mut bytes = sample();
    bytes[16] = 1;
    check(&bytes, BatchError::Magic(1));
}

#[test]
fn counts_that_contradict_are_refused() {
    let with = |at: usize, value: i32| {
        let mut bytes = sample();
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        resealed(bytes)
    };
    check(&with(57, 2), BatchError::Count);
    check(&with(57, 4), BatchError::Record);
    check(&with(57, -1), BatchError::Count);
    check(&with(23, -1), BatchError::Count);
    check(&with(23, 1), BatchError::Count);
    let mut bytes = sample();
    bytes[0..8].copy_from_slice(&i64::MAX.to_be_bytes());
    check(&bytes, BatchError::Count);
}

#[test]
fn a_record_that_overruns_is_refused() {
    let mut bytes = sample();
    bytes[HEADER_BYTES] = 0xFE;
    check(&resealed(bytes), BatchError::Record);
    let mut bytes = sample();
    let end = bytes.len();
    bytes[HEADER_BYTES..end.min(HEADER_BYTES + 12)].fill(0xFF);
    check(&resealed(bytes), BatchError::Record);
}

#[test]
fn compressed_and_control_batches_are_not_plain() {
    for attributes in [1_u8, 4, 0x20] {
        let mut bytes = sample();
        bytes[22] = attributes;
        let bytes = resealed(bytes);
        assert!(!split(&bytes).unwrap().0.is_plain(), "attributes {attributes:#x}");
    }
}

#[test]
fn log_append_time_is_the_batchs_last() {
    let mut bytes = sample();
    bytes[22] = 0x08;
    let bytes = resealed(bytes);
    let times: Vec<_> = split(&bytes).unwrap().0.records().map(|r| r.unwrap().timestamp_ms).collect();
    assert_eq!(times, [1007; 3]);
}

#[test]
fn varints_are_read_at_their_full_width() {
    let cases: [(&[u8], i64); 5] = [
        (&[0], 0),
        (&[1], -1),
        (&[0xAC, 0x02], 150),
        (&[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], i64::MAX),
        (&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], i64::MIN),
    ];
    for (bytes, value) in cases {
        assert_eq!(varlong(&mut &*bytes), Ok(value), "{bytes:02x?}");
    }
    assert_eq!(varlong(&mut &[0xFF; 11][..]), Err(BatchError::Record));
    assert_eq!(varlong(&mut &[0x80][..]), Err(BatchError::Record));
}
