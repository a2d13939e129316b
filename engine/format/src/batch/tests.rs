use super::*;
use crate::tests::{Sample, any_sample, batch_of};
use proptest::prelude::*;

/// Three records as another producer of the format wrote them (kafka-python 2, its pure Python encoder): a null key and
/// header value, an empty key and header value, a null value, timestamps that go backwards.
const FOREIGN: &str = "00000000000000000000005d0000000002df34280b0000000000020000018bcfe568000000018bcfe56807\
    ffffffffffffffffffffffffffff0000000316000000010a66697273740024000e02026b0c7365636f6e6402027404010218000604000104026101026200";

/// Reads the records; they must be those, in order, and nothing else.
fn check(bytes: &[u8], samples: &[Sample]) {
    let batch = Batch::parse(bytes).expect("a whole batch");
    let records: Vec<_> = batch.records().map(|record| record.expect("a whole record")).collect();
    assert_eq!(records.len(), samples.len(), "{} records of {}", records.len(), samples.len());
    for (place, (record, sample)) in records.iter().zip(samples).enumerate() {
        assert_eq!(record.offset_delta, i64::try_from(place).unwrap(), "offsets are dense");
        assert_eq!(record.timestamp_delta_ms, sample.timestamp_delta_ms, "record {place}");
        assert_eq!((record.key, record.value), (sample.key.as_deref(), sample.value.as_deref()), "record {place}");
        assert_eq!(record.headers, i64::try_from(sample.headers.len()).unwrap(), "record {place}");
    }
}

/// The batch with a header field changed and its CRC made right again.
fn with(change: impl Fn(&mut BatchHeader)) -> Vec<u8> {
    let mut bytes = batch_of(&[Sample::of(b"one"), Sample::of(b"two")]);
    let (header, _) = BatchHeader::mut_from_prefix(&mut bytes[..]).unwrap();
    change(header);
    let crc = checksum::crc32c(&bytes[CRC_FROM..]);
    let (header, _) = BatchHeader::mut_from_prefix(&mut bytes[..]).unwrap();
    header.crc = crc.into();
    bytes
}

fn fault(bytes: &[u8]) -> Option<BatchFault> {
    Batch::parse(bytes).err()
}

#[test]
fn a_foreign_producers_bytes_are_read_and_made_alike() {
    let bytes: Vec<u8> = (0..FOREIGN.len()).step_by(2).map(|at| u8::from_str_radix(&FOREIGN[at..at + 2], 16).unwrap()).collect();
    let samples = [
        Sample::of(b"first"),
        Sample {
            timestamp_delta_ms: 7,
            key: Some(b"k".to_vec()),
            headers: vec![(b"t".to_vec(), Some(vec![1, 2]))],
            ..Sample::of(b"second")
        },
        Sample {
            timestamp_delta_ms: 3,
            key: Some(Vec::new()),
            value: None,
            headers: vec![(b"a".to_vec(), None), (b"b".to_vec(), Some(Vec::new()))],
        },
    ];
    check(&bytes, &samples);
    let mut ours = batch_of(&samples);
    let closing = Closing {
        records: 3,
        records_crc: checksum::crc32c(&ours[BATCH_HEADER_BYTES..]),
        base_timestamp_ms: 1_700_000_000_000,
        max_timestamp_ms: 1_700_000_000_007,
    };
    close(&mut ours, &closing);
    assert_eq!(ours, bytes, "the same records give the same bytes");
}

#[test]
fn offset_and_epoch_are_set_without_touching_the_crc() {
    let mut bytes = batch_of(&[Sample::of(b"packet")]);
    let before = Batch::parse(&bytes).unwrap().header().crc;
    stamp(&mut bytes, crate::units::OFFSET_MAX, crate::units::EPOCH_MAX);
    let header = Batch::parse(&bytes).expect("still whole").header();
    assert_eq!((header.base_offset.get(), header.leader_epoch.get()), (i64::MAX, i32::MAX));
    assert_eq!(header.crc, before);
}

#[test]
fn every_byte_flipped_is_found_but_for_offset_and_epoch() {
    let bytes = batch_of(&[Sample::of(b"one"), Sample::of(b"two")]);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            // A block's directory repeats both, under the head CRC.
            let unseen = (0..8).contains(&at) || (12..16).contains(&at);
            let found = fault(&damaged);
            assert_eq!(found.is_none(), unseen, "bit {bit} of byte {at}: {found:?}");
        }
    }
}

#[test]
fn each_refusal_has_its_reason() {
    let whole = batch_of(&[Sample::of(b"one"), Sample::of(b"two")]);
    assert_eq!(fault(&[]), Some(BatchFault::Length));
    assert_eq!(fault(&whole[..BATCH_HEADER_BYTES - 1]), Some(BatchFault::Length));
    assert_eq!(fault(&whole[..whole.len() - 1]), Some(BatchFault::Length), "a byte short");
    assert_eq!(fault(&[&whole[..], &[0]].concat()), Some(BatchFault::Length), "a byte more");
    for length in [i32::MIN, -1, 0, 48, i32::MAX] {
        assert_eq!(fault(&with(|header| header.batch_length = length.into())), Some(BatchFault::Length), "length {length}");
    }
    for magic in [i8::MIN, 0, 1, 3] {
        assert_eq!(fault(&with(|header| header.magic = magic)), Some(BatchFault::Magic), "magic {magic}");
    }
    for count in [i32::MIN, -1, 0, 1, 3, i32::MAX] {
        assert_eq!(fault(&with(|header| header.record_count = count.into())), Some(BatchFault::Count), "{count} records");
    }
    assert_eq!(fault(&with(|header| header.last_offset_delta = i32::MAX.into())), Some(BatchFault::Count));
    assert_eq!(fault(&with(|_| ())), None);
}

#[test]
fn records_that_do_not_fill_the_batch_end_in_one_fault() {
    for count in [1, 3] {
        let bytes = with(|header| {
            header.record_count = count.into();
            header.last_offset_delta = (count - 1).into();
        });
        let records: Vec<_> = Batch::parse(&bytes).expect("a right sum").records().take(10).collect();
        let (last, whole) = records.split_last().expect("at least the fault");
        assert_eq!(*last, Err(BatchFault::Records), "{count} records counted, two there");
        assert!(whole.iter().all(Result::is_ok) && whole.len() <= 2, "{} records before the fault", whole.len());
    }
}

#[test]
fn compression_is_seen() {
    for codec in 0..8i16 {
        let bytes = with(|header| header.attributes = codec.into());
        assert_eq!(Batch::parse(&bytes).unwrap().is_compressed(), codec != 0, "codec {codec}");
    }
}

#[test]
#[should_panic(expected = "0 records in 61 bytes")]
fn an_empty_batch_is_the_callers_bug() {
    let closing = Closing { records: 0, records_crc: 0, base_timestamp_ms: 0, max_timestamp_ms: 0 };
    close(&mut [0; BATCH_HEADER_BYTES], &closing);
}

#[test]
#[should_panic(expected = "1 records in 60 bytes, 61 to 1052672")]
fn a_batch_without_room_for_its_header_is_the_callers_bug() {
    let closing = Closing { records: 1, records_crc: 0, base_timestamp_ms: 0, max_timestamp_ms: 0 };
    close(&mut [0; BATCH_HEADER_BYTES - 1], &closing);
}

proptest! {
    #[test]
    fn closing_joins_the_sums(samples in prop::collection::vec(any_sample(), 1..20)) {
        let bytes = batch_of(&samples);
        let header = *Batch::parse(&bytes).expect("what was closed").header();
        prop_assert_eq!(header.crc.get(), checksum::crc32c(&bytes[CRC_FROM..]), "joined and direct sum");
        prop_assert_eq!(header.bytes(), Some(bytes.len()));
        prop_assert_eq!(header.record_count.get(), i32::try_from(samples.len()).unwrap());
        prop_assert_eq!((header.producer_id.get(), header.producer_epoch.get(), header.base_sequence.get()), (-1, -1, -1));
        check(&bytes, &samples);
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Batch::parse(&bytes).is_err());
        let mut framed = batch_of(&[Sample::of(&bytes)]);
        let (header, records) = framed.split_at_mut(BATCH_HEADER_BYTES);
        let taken = records.len().min(bytes.len());
        records[..taken].copy_from_slice(&bytes[..taken]);
        let whole = [header, records].concat();
        let batch = Batch::parse_unsummed(&whole).expect("the header was left alone");
        prop_assert!(batch.records().take(10).count() <= 2);
    }
}

#[test]
fn sequences_go_round_after_the_largest() {
    assert_eq!(sequence_after(0, 0), Some(0));
    assert_eq!(sequence_after(i32::MAX, 0), Some(i32::MAX));
    assert_eq!(sequence_after(i32::MAX, 1), Some(0));
    assert_eq!(sequence_after(i32::MAX - 2, 5), Some(2));
    assert_eq!((sequence_after(-1, 1), sequence_after(1, -1)), (None, None), "no numbers of a producer");
}
