use super::*;
use crate::segment::SEGMENT_BYTES_MIN;
use crate::tests::{Bits, STAMP, counters};
use proptest::prelude::*;

const END: u64 = SEGMENT_BYTES_MIN as u64;

/// Two partitions' batches and two holes.
pub(crate) fn sample() -> Sidecar {
    let entry = |partition, base_offset, position| Entry {
        partition: PartitionId(partition),
        base_offset,
        records: 10,
        position,
        length: 500,
        crc: 0xfeed_f00d,
        max_timestamp_ms: 1_700_000_000_000,
    };
    let hole = |sequence, state| Hole {
        sequence: Sequence(sequence),
        blocks: 2,
        position: 200_000 + sequence * 8192,
        bytes: 16_384,
        chain: (sequence == 45).then_some(Chain([9; 16])),
        reason: 7,
        state,
    };
    Sidecar {
        lane: STAMP.lane,
        epoch: STAMP.epoch,
        nonce: STAMP.nonce,
        base_sequence: Sequence(41),
        end_sequence: Sequence(60),
        end_position: END,
        end_chain: Chain([5; 16]),
        counters: counters(),
        entries: vec![entry(2, 100, 73_728), entry(2, 110, 90_000), entry(3, 0, 80_000), entry(3, 500, END - 500)],
        holes: vec![hole(45, HoleState::Pending), hole(50, HoleState::Lost)],
    }
}

/// A sidecar with a right sum that must be refused all the same.
fn refused(what: &str, change: impl Fn(&mut Sidecar)) {
    let mut sidecar = sample();
    change(&mut sidecar);
    assert_eq!(Sidecar::parse(&sidecar.encode()), None, "{what}");
}

/// The sample's bytes changed and summed again.
fn resummed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = sample().encode();
    change(&mut bytes);
    let crc = file_crc(&bytes);
    bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Any sidecar that a segment can have.
fn any_sidecar() -> impl Strategy<Value = Sidecar> {
    let batch = (0..5u32, 0..1_000_000u64, 0..5_000u32, 0..2_000_000u64, 0..1_000_000u32, any::<(u32, i64)>());
    let hole = (0..4u64, 1..4u64, any::<(Option<[u8; 16]>, u32, bool)>());
    (prop::collection::vec(batch, 0..60), prop::collection::vec(hole, 0..5), any::<(u32, u32, u64)>()).prop_map(
        |(batches, holes, (lane, epoch, nonce))| {
            let mut next = [0u64; 5];
            let entries = batches.into_iter().map(|(partition, skip, records, at, length, (crc, max_timestamp_ms))| {
                let base_offset = next[partition as usize] + skip;
                next[partition as usize] = base_offset + u64::from(records);
                let position = DATA_FROM as u64 + at;
                Entry { partition: PartitionId(partition), base_offset, records, position, length, crc, max_timestamp_ms }
            });
            let mut entries: Vec<_> = entries.collect();
            entries.sort_unstable();
            let mut sequence = 1_000;
            let holes = holes.into_iter().map(|(skip, blocks, (chain, reason, lost))| {
                let first = Sequence(sequence + skip);
                sequence = first.0 + blocks;
                let state = if lost { HoleState::Lost } else { HoleState::Pending };
                let chain = chain.map(Chain).filter(|chain| *chain != Chain::START);
                Hole { sequence: first, blocks, position: DATA_FROM as u64, bytes: 8192, chain, reason, state }
            });
            let holes: Vec<_> = holes.collect();
            Sidecar {
                lane: LaneId(lane),
                epoch: Epoch(epoch),
                nonce: Nonce(nonce),
                base_sequence: Sequence(1_000),
                end_sequence: Sequence(sequence),
                entries,
                holes,
                ..sample()
            }
        },
    )
}

#[test]
fn the_sample_round_trips_and_is_sorted_on_the_way() {
    let mut shuffled = sample();
    shuffled.entries.reverse();
    assert_eq!(Sidecar::parse(&shuffled.encode()), Some(sample()));
}

#[test]
fn the_index_of_a_full_segment_round_trips() {
    let one = sample().entries[0];
    let entries: Vec<_> = (0..ENTRIES_MAX as u64).map(|place| Entry { base_offset: 100 + 10 * place, ..one }).collect();
    let full = Sidecar { entries, ..sample() };
    assert_eq!(full.encode().len(), HEADER_BYTES + ENTRIES_MAX * ENTRY_BYTES + 2 * HOLE_BYTES);
    assert_eq!(Sidecar::parse(&full.encode()), Some(full));
}

#[test]
fn every_bit_flipped_is_refused() {
    let mut bytes = sample().encode();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            assert_eq!(Sidecar::parse(&bytes), None, "bit {bit} of byte {at}");
            bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn every_other_length_is_refused() {
    let bytes = sample().encode();
    for cut in 0..bytes.len() {
        assert_eq!(Sidecar::parse(&bytes[..cut]), None, "cut to {cut} of {} bytes", bytes.len());
    }
    assert_eq!(Sidecar::parse(&[&bytes[..], &[0]].concat()), None, "a byte more");
}

#[test]
fn hostile_counts_reserve_nothing() {
    let at = |field: &str| SidecarHeader::FIELDS.iter().find(|known| known.name == field).unwrap().offset;
    for (entries, holes) in [(u32::MAX, 2), (4, u32::MAX), (u32::MAX, u32::MAX), (5, 2), (3, 2), (4, 3), (4, 1), (0, 0)] {
        let bytes = resummed(|bytes| {
            bytes[at("entries")..][..4].copy_from_slice(&entries.to_le_bytes());
            bytes[at("holes")..][..4].copy_from_slice(&holes.to_le_bytes());
        });
        assert_eq!(Sidecar::parse(&bytes), None, "{entries} entries and {holes} holes in the bytes of 4 and 2");
    }
}

#[test]
fn numbers_that_no_segment_has_are_refused() {
    refused("it ends before it begins", |sidecar| sidecar.end_sequence = Sequence(40));
    refused("it ends beyond the largest segment", |sidecar| sidecar.end_position = SEGMENT_BYTES_MAX as u64 + 1);
    refused("a batch before the first block", |sidecar| sidecar.entries[0].position = DATA_FROM as u64 - 1);
    refused("a batch beyond the end", |sidecar| sidecar.entries[3].position = END - 499);
    refused("a batch at the end of all numbers", |sidecar| sidecar.entries[3].position = u64::MAX);
    refused("a batch of 4 GiB", |sidecar| sidecar.entries[0].length = u32::MAX);
    refused("a batch above the limit", |sidecar| sidecar.entries[0].length = u32::try_from(BATCH_BYTES_MAX).unwrap() + 1);
    refused("offsets beyond 2⁶³", |sidecar| sidecar.entries[3].base_offset = OFFSET_MAX - 9);
    refused("offsets beyond 2⁶⁴", |sidecar| sidecar.entries[3].base_offset = u64::MAX);
    refused("batches that overlap", |sidecar| sidecar.entries[1].base_offset = 109);
    refused("a hole without blocks", |sidecar| sidecar.holes[0].blocks = 0);
    refused("a hole of all blocks", |sidecar| sidecar.holes[0].blocks = u64::MAX);
    refused("a hole before the first block", |sidecar| sidecar.holes[0].sequence = Sequence(40));
    refused("a hole beyond the last block", |sidecar| sidecar.holes[1].sequence = Sequence(59));
    refused("holes that overlap", |sidecar| sidecar.holes[1].sequence = Sequence(46));
    refused("a hole beyond the end", |sidecar| sidecar.holes[1].bytes = END);
}

#[test]
fn entries_out_of_order_are_refused() {
    let bytes = resummed(|bytes| {
        let (first, second) = (HEADER_BYTES, HEADER_BYTES + ENTRY_BYTES);
        let kept = bytes[first..second].to_vec();
        bytes.copy_within(second..second + ENTRY_BYTES, first);
        bytes[second..second + ENTRY_BYTES].copy_from_slice(&kept);
    });
    assert_eq!(Sidecar::parse(&bytes), None);
}

#[test]
fn what_is_lost_is_declared_and_never_guessed() {
    let state_at = sample().encode().len() - 4;
    for (state, known) in [(0, true), (1, true), (2, false), (255, false)] {
        let bytes = resummed(|bytes| bytes[state_at] = state);
        assert_eq!(Sidecar::parse(&bytes).is_some(), known, "a hole in state {state}");
    }
}

#[test]
fn another_version_is_refused() {
    assert_eq!(Sidecar::parse(&resummed(|bytes| bytes[8] = 2)), None);
    assert_eq!(Sidecar::parse(&resummed(|bytes| bytes[0] ^= 1)), None);
}

#[test]
fn an_entry_knows_where_its_batch_stands() {
    let placed =
        Placed { partition: PartitionId(4), offset: 5_000, length: 99, records: 3, base_offset: 17, crc: 8, max_timestamp_ms: None };
    let entry = Entry::of(&placed, 1 << 20);
    assert_eq!((entry.position, entry.end_offset(), entry.max_timestamp_ms), ((1 << 20) + 5_000, 20, TIMESTAMP_UNKNOWN));
}

proptest! {
    #[test]
    fn sidecars_round_trip(sidecar in any_sidecar()) {
        prop_assert_eq!(Sidecar::parse(&sidecar.encode()), Some(sidecar));
    }

    #[test]
    fn hostile_bytes_never_panic(seed in 1..=u64::MAX, bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(Sidecar::parse(&bytes), None);
        let mut bits = Bits(seed);
        // Right sums over wrong numbers.
        let _ = Sidecar::parse(&resummed(|whole| {
            (0..4).for_each(|_| {
                let at = 16 + bits.below(whole.len() - 16);
                whole[at] = u8::try_from(bits.below(256)).unwrap();
            });
        }));
    }
}
