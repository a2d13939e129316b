//! What the log writes is found whole, and as what it was written.

use super::*;
use crate::tests::{FIRST_OFFSET, STAMP, Sample, WALL_NS, any_sample, block_of, control_block_of, counters};
use crate::{Chain, LaneId, Nonce, PartitionId, Sequence};
use proptest::prelude::*;

mod directory;
mod flips;

/// What a reader that follows the log expects where the block of [`STAMP`] stands.
const EXPECTED: Expected = Expected { lane: STAMP.lane, nonce: STAMP.nonce, sequence: STAMP.sequence, chain: Some(STAMP.chain) };

const ALL: Validity = Validity {
    head: true,
    nonce: true,
    lane: true,
    sequence: true,
    chain: true,
    directory: true,
    batches: true,
    padding: true,
    tail: true,
};

/// Three batches of two partitions.
fn whole() -> Vec<u8> {
    let contents = [
        (PartitionId(5), vec![Sample::of(b"one"), Sample::of(b"two")]),
        (PartitionId(8), vec![Sample::of(b"three")]),
        (PartitionId(5), vec![Sample::of(b"four"), Sample::of(b"five"), Sample::of(b"six")]),
    ];
    block_of(&contents, &STAMP).0
}

/// The first part of the block that does not hold must be that one; a block that is whole has none.
fn check(block: &[u8], fault: Option<&str>) {
    let (validity, head) = inspect(block, &EXPECTED);
    assert_eq!(validity.first_fault(), fault, "{validity:?}");
    assert_eq!(validity.is_valid(), fault.is_none(), "{validity:?}");
    assert_eq!(head.is_some(), validity.head && validity.directory, "a head that holds is returned: {validity:?}");
}

#[test]
fn a_block_says_what_the_log_stamped() {
    let block = whole();
    let (validity, head) = inspect(&block, &EXPECTED);
    let head = head.expect("a head");
    assert_eq!(validity, ALL);
    assert_eq!((head.sequence(), head.epoch(), head.nonce()), (STAMP.sequence, STAMP.epoch, STAMP.nonce));
    assert_eq!((head.block_bytes(), head.is_control()), (block.len(), false));
    let header = head.header();
    assert_eq!((header.pair_id.get(), header.lane.get()), (STAMP.pair.0, STAMP.lane.0));
    assert_eq!((header.chain, header.committed.get()), (STAMP.chain.0, STAMP.committed));
    assert_eq!((header.records.get(), header.wall_ns.get()), (6, WALL_NS));
    assert_eq!(header.counters.map(|counter| counter.get()), counters());
    let offsets: Vec<_> = head.placed().map(|placed| (placed.partition.0, placed.base_offset, placed.records)).collect();
    assert_eq!(offsets, [(5, FIRST_OFFSET, 2), (8, FIRST_OFFSET, 1), (5, FIRST_OFFSET + 2, 3)]);
    let times: Vec<_> = head.placed().map(|placed| placed.max_timestamp_ms).collect();
    assert_eq!(times, [-5, -4, -3].map(|delta| Some(1_700_000_000_123 + delta)));
}

#[test]
fn the_next_block_carries_the_hash_of_this_header() {
    let block = whole();
    let header: &[u8; HEADER_BYTES] = block.first_chunk().unwrap();
    let (_, head) = inspect(&block, &EXPECTED);
    assert_eq!(head.unwrap().chain(), Chain::of(header));
    let mut other = *header;
    other[HEADER_BYTES - 1] ^= 1;
    assert_ne!(Chain::of(&other), Chain::of(header));
    // SHA-256 of 256 zero bytes begins so.
    let zeros = [0x53, 0x41, 0xe6, 0xb2, 0x64, 0x69, 0x79, 0xa7, 0x0e, 0x57, 0x65, 0x30, 0x07, 0xa1, 0xf3, 0x10];
    assert_eq!(Chain::of(&[0; HEADER_BYTES]).0, zeros);
}

#[test]
fn a_control_block_is_covered_by_its_entrys_sum() {
    let content = crate::checkpoint::tests::encoded(&crate::checkpoint::tests::sample());
    let block = control_block_of(&content, &STAMP);
    check(&block, None);
    let (_, head) = inspect(&block, &EXPECTED);
    let head = head.unwrap();
    assert!(head.is_control() && head.header().records.get() == 0);
    assert_eq!(&block[HEAD_BYTES..][..head.header().payload_bytes.get() as usize], content);
    for at in HEAD_BYTES..HEAD_BYTES + content.len() {
        let mut damaged = block.clone();
        damaged[at] ^= 0x10;
        check(&damaged, Some("batch"));
    }
}

#[test]
fn a_block_of_elsewhere_is_reported_as_exactly_that() {
    let block = whole();
    let of = |change: fn(&mut Expected)| {
        let mut expected = EXPECTED;
        change(&mut expected);
        inspect(&block, &expected).0
    };
    assert_eq!(of(|expected| expected.nonce = Nonce(STAMP.nonce.0 ^ 1 << 63)), Validity { nonce: false, ..ALL });
    assert_eq!(of(|expected| expected.lane = LaneId(4)), Validity { lane: false, ..ALL });
    assert_eq!(of(|expected| expected.sequence = Sequence(42)), Validity { sequence: false, ..ALL });
    assert_eq!(of(|expected| expected.chain = Some(Chain::START)), Validity { chain: false, ..ALL });
    assert_eq!(of(|expected| expected.chain = None), ALL, "behind a hole the hash is not known");
    let names = [("nonce", Validity { nonce: false, ..ALL }), ("lane", Validity { lane: false, ..ALL })];
    names.iter().for_each(|(name, validity)| assert_eq!(validity.first_fault(), Some(*name)));
}

#[test]
fn what_is_missing_is_not_valid() {
    let block = whole();
    for cut in (0..block.len()).step_by(61).chain([HEAD_BYTES - 1, HEAD_BYTES, block.len() - 1]) {
        let wanted = if cut < HEAD_BYTES { "head page" } else { "batch" };
        check(&block[..cut], Some(wanted));
    }
    let longer = [&block[..], &[0xff; 100]].concat();
    check(&longer, None);
}

#[test]
fn sizes_are_the_smallest_that_hold_the_payload() {
    let room = BLOCK_BYTES_MIN - HEAD_BYTES - TAIL_BYTES;
    assert_eq!(block_bytes_for(0), BLOCK_BYTES_MIN);
    assert_eq!(block_bytes_for(room), BLOCK_BYTES_MIN);
    assert_eq!(block_bytes_for(room + 1), BLOCK_BYTES_MIN + BLOCK_ALIGN);
    assert_eq!(block_bytes_for(PAYLOAD_BYTES_MAX), BLOCK_BYTES_MAX);
    assert_eq!(block_bytes_for(PAYLOAD_BYTES_MAX + 1), BLOCK_BYTES_MAX + BLOCK_ALIGN);
}

#[test]
fn the_largest_batch_and_the_fullest_directory_fit() {
    // A value of a mebibyte has a length prefix as long as one that is a little longer.
    let overhead = crate::tests::batch_of(&[Sample::of(&vec![0; 1 << 20])]).len() - (1 << 20);
    let value = vec![0x77; crate::batch::BATCH_BYTES_MAX - overhead];
    let (block, placed) = block_of(&[(PartitionId(0), vec![Sample::of(&value)])], &STAMP);
    assert_eq!(placed[0].length as usize, crate::batch::BATCH_BYTES_MAX);
    check(&block, None);
    let most: Vec<_> = (0..BATCHES_MAX).map(|index| (PartitionId(u32::try_from(index).unwrap()), vec![Sample::of(b"x")])).collect();
    let (block, placed) = block_of(&most, &STAMP);
    assert_eq!(placed.len(), BATCHES_MAX);
    check(&block, None);
}

#[test]
fn a_time_that_does_not_fit_is_looked_up_in_the_batch() {
    let mut page = vec![0; HEAD_BYTES];
    let known =
        [(Some(0), true), (Some(i64::from(i32::MAX)), true), (Some(1 << 31), false), (Some(i64::from(i32::MIN)), false), (None, false)];
    for (delta, fits) in known {
        directory_entry(&mut page, 0, PartitionId(1), HEAD_BYTES, 61, 1, 0, delta);
        let (entry, _) = <DirectoryEntry as zerocopy::FromBytes>::ref_from_prefix(&page[HEADER_BYTES..]).unwrap();
        let wanted = delta.filter(|_| fits).map(|delta| 1_700_000_000_123 + delta);
        assert_eq!(entry.max_timestamp_ms(WALL_NS), wanted, "a delta of {delta:?} ms");
    }
}

#[test]
#[should_panic(expected = "block of 1069056 B in a slot of 1064960 B")]
fn a_payload_that_does_not_fit_is_the_producers_bug() {
    let payload_bytes = PAYLOAD_BYTES_MAX + 1;
    seal(&mut vec![0; BLOCK_BYTES_MAX], &Seal { payload_bytes, batches: 1, records: 1, flags: 0, wall_ns: 0, counters: [0; COUNTERS] });
}

fn any_contents() -> impl Strategy<Value = Vec<(PartitionId, Vec<Sample>)>> {
    let batch = (0..6u32, prop::collection::vec(any_sample(), 1..5)).prop_map(|(id, samples)| (PartitionId(id), samples));
    prop::collection::vec(batch, 1..30)
}

proptest! {
    #[test]
    fn blocks_round_trip(contents in any_contents(), sequence in any::<u64>(), nonce in any::<u64>(), chain in any::<[u8; 16]>()) {
        let stamp = Stamp { sequence: Sequence(sequence), nonce: Nonce(nonce), chain: Chain(chain), ..STAMP };
        let (block, placed) = block_of(&contents, &stamp);
        let expected = Expected { lane: stamp.lane, nonce: stamp.nonce, sequence: stamp.sequence, chain: Some(stamp.chain) };
        let (validity, head) = inspect(&block, &expected);
        prop_assert_eq!(validity, ALL);
        prop_assert_eq!(head.unwrap().placed().collect::<Vec<_>>(), placed.clone(), "as the log saw them placed");
        for (place, (partition, samples)) in placed.iter().zip(&contents) {
            prop_assert_eq!(place.partition, *partition);
            let bytes = &block[place.offset as usize..][..place.length as usize];
            let batch = crate::batch::Batch::parse(bytes).expect("a whole batch");
            prop_assert_eq!(u64::try_from(batch.header().base_offset.get()).unwrap(), place.base_offset);
            let values: Vec<_> = batch.records().map(|record| record.unwrap().value.map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(values, samples.iter().map(|sample| sample.value.clone()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..HEAD_BYTES + 500)) {
        prop_assert!(!inspect(&bytes, &EXPECTED).0.is_valid());
    }

    #[test]
    fn hostile_heads_with_a_right_sum_never_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 1..4)) {
        let mut block = whole();
        for (place, value) in damage {
            // Past magic, version, flags and sum: header fields and the three entries.
            let at = 16 + place.index(HEADER_BYTES + 3 * ENTRY_BYTES - 16 - 4);
            block[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        flips::resum(&mut block);
        if let (validity, Some(head)) = inspect(&block, &EXPECTED) {
            prop_assert!(validity.head && head.placed().all(|placed| placed.base_offset.checked_add(u64::from(placed.records)).is_some()));
        }
    }
}
