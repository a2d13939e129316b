use super::*;
use proptest::prelude::*;

pub(crate) fn sample() -> Vec<Partition> {
    let partition = |id, stream: &str, next_offset| Partition {
        id: PartitionId(id),
        stream: stream.to_owned(),
        number: id % 2,
        next_offset,
        log_start: next_offset / 2,
    };
    vec![partition(0, "market-data", 0), partition(3, "syslog", 77), partition(9, &"n".repeat(NAME_BYTES_MAX), OFFSET_MAX)]
}

pub(crate) fn encoded(partitions: &[Partition]) -> Vec<u8> {
    let mut bytes = vec![0xee; crate::block::PAYLOAD_BYTES_MAX];
    let written = write(&mut bytes, partitions, producers().iter());
    assert_eq!(written, super::bytes(partitions, producers().len()));
    bytes.truncate(written);
    bytes
}

fn producers() -> Vec<Producer> {
    let produced = |id, first, last| Produced { id, epoch: 3, first, last };
    let mut long = Producer::begin(PartitionId(9), &produced(1 << 40, 0, 9), 100);
    for batch in 1..8 {
        long.add(&produced(1 << 40, batch * 10, batch * 10 + 9), 100 + u64::try_from(batch).unwrap() * 10);
    }
    vec![Producer::begin(PartitionId(0), &produced(0, i32::MAX, 3), 7), long]
}

fn checkpoint(partitions: Vec<Partition>) -> Checkpoint {
    Checkpoint { partitions, producers: producers() }
}

/// The sample's bytes with a change must be refused.
fn refused(what: &str, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = encoded(&sample());
    change(&mut bytes);
    assert_eq!(read(&bytes), None, "{what}");
}

fn any_partition() -> impl Strategy<Value = Partition> {
    (0..u32::MAX, "[a-zä-ü]{1,80}", any::<u32>(), 0..=OFFSET_MAX, any::<prop::sample::Index>()).prop_map(
        |(id, stream, number, next_offset, start)| Partition {
            id: PartitionId(id),
            stream,
            number,
            next_offset,
            log_start: start.index(usize::try_from(next_offset).unwrap().saturating_add(1)) as u64,
        },
    )
}

#[test]
fn samples_round_trip() {
    assert_eq!(read(&encoded(&sample())), Some(checkpoint(sample())));
    assert_eq!(read(&encoded(&[])), Some(checkpoint(Vec::new())), "a lane without streams");
}

#[test]
fn the_largest_checkpoint_fits_in_a_block() {
    let name = "n".repeat(NAME_BYTES_MAX);
    let most: Vec<_> = (0..u32::try_from(PARTITIONS_MAX).unwrap())
        .map(|id| Partition { id: PartitionId(id), stream: name.clone(), number: 0, next_offset: 0, log_start: 0 })
        .collect();
    let bytes = encoded(&most);
    assert_eq!(read(&bytes).map(|checkpoint| checkpoint.partitions.len()), Some(PARTITIONS_MAX));
    let block_bytes = crate::block::block_bytes_for(bytes.len());
    assert!(block_bytes <= crate::block::BLOCK_BYTES_MAX, "{block_bytes} of {}", crate::block::BLOCK_BYTES_MAX);
}

#[test]
fn every_truncation_is_refused() {
    let bytes = encoded(&sample());
    for cut in 0..bytes.len() {
        assert_eq!(read(&bytes[..cut]), None, "cut to {cut} of {} bytes", bytes.len());
    }
}

#[test]
fn what_does_not_hold_together_is_refused() {
    let first = HEADER_BYTES;
    refused("another magic", |bytes| bytes[0] ^= 1);
    refused("another version", |bytes| bytes[4] = 2);
    refused("a partition more", |bytes| bytes[8] += 1);
    refused("a partition fewer: bytes are left", |bytes| bytes[8] -= 1);
    refused("more partitions than a lane has", |bytes| bytes[8..12].copy_from_slice(&2049u32.to_le_bytes()));
    refused("2³² − 1 partitions", |bytes| bytes[8..12].fill(0xff));
    refused("a producer more", |bytes| bytes[12] += 1);
    refused("a producer fewer: bytes are left", |bytes| bytes[12] -= 1);
    refused("2³² − 1 producers", |bytes| bytes[12..16].fill(0xff));
    refused("a producer without batches", |bytes| {
        let at = bytes.len() - PRODUCER_BYTES + 14;
        bytes[at] = 0;
    });
    refused("a producer of six batches", |bytes| {
        let at = bytes.len() - PRODUCER_BYTES + 14;
        bytes[at] = 6;
    });
    refused("a byte behind", |bytes| bytes.push(0));
    refused("a partition with the id of control content", |bytes| bytes[first..first + 4].fill(0xff));
    refused("an offset of 2⁶³", |bytes| bytes[first + 15] = 0x80);
    refused("a start above the next offset", |bytes| bytes[first + 16] = 1);
    refused("a name of 65,535 bytes", |bytes| bytes[first + 24..first + 26].fill(0xff));
    refused("a name that is not UTF-8", |bytes| bytes[first + PARTITION_BYTES] = 0xff);
}

#[test]
fn names_of_no_or_too_many_bytes_are_refused() {
    for bytes in [0, NAME_BYTES_MAX + 1] {
        let name = "n".repeat(bytes);
        let mut whole = encoded(&[Partition { stream: "n".into(), ..sample()[0].clone() }]);
        whole.truncate(HEADER_BYTES + PARTITION_BYTES);
        whole[HEADER_BYTES + 24..HEADER_BYTES + 26].copy_from_slice(&u16::try_from(bytes).unwrap().to_le_bytes());
        whole.extend(name.as_bytes());
        assert_eq!(read(&whole), None, "a name of {bytes} bytes");
    }
}

proptest! {
    #[test]
    fn partitions_round_trip(partitions in prop::collection::vec(any_partition(), 0..20)) {
        prop_assert_eq!(read(&encoded(&partitions)), Some(checkpoint(partitions)));
    }

    #[test]
    fn hostile_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        prop_assert_eq!(read(&bytes), None);
        let mut damaged = encoded(&sample());
        for (place, value) in damage {
            let at = place.index(damaged.len());
            damaged[at] = value;
        }
        // Damage may hit a number or a letter only: then it is another checkpoint, and the block's CRC tells.
        if let Some(checkpoint) = read(&damaged) {
            prop_assert!(checkpoint.partitions.len() <= PARTITIONS_MAX && checkpoint.producers.len() <= PRODUCERS_MAX);
        }
        let mut counted = encoded(&[]);
        counted[8..12].copy_from_slice(&2u32.to_le_bytes());
        counted.extend(bytes);
        let _ = read(&counted);
    }
}

#[test]
fn a_producer_keeps_its_last_five_batches_and_none_of_an_earlier_incarnation() {
    let mut producer = producers().remove(1);
    assert_eq!(producer.batches().first(), Some(&(30, 39, 130)));
    assert_eq!(producer.batches().last(), Some(&(70, 79, 170)));
    assert_eq!(producer.batches().len(), PRODUCER_BATCHES);
    producer.add(&Produced { id: producer.id, epoch: 4, first: 0, last: 0 }, 180);
    assert_eq!((producer.epoch, producer.batches()), (4, &[(0, 0, 180)][..]));
}

#[test]
fn the_most_of_everything_fits_in_a_block() {
    let most = crate::block::block_bytes_for(BYTES_MAX);
    assert!(most <= crate::block::BLOCK_BYTES_MAX, "{most} of {}", crate::block::BLOCK_BYTES_MAX);
}
