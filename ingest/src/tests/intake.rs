use crate::batches;
use crate::intake::{BATCH_BYTES_TARGET, Intake, PACKET_BYTES_MAX, Route, Taken, Train};
use bytes::Bytes;
use headworks_format::batch::Batch;
use headworks_format::block::{self, BLOCK_BYTES_MAX, Expected, Stamp};
use headworks_format::{Chain, Epoch, LaneId, Nonce, PairId, PartitionId, Sequence};
use proptest::prelude::*;

const NOW_NS: u64 = 1_800_000_000_123_456_789;

fn route(partition: u32) -> Route<'static> {
    Route { partition: PartitionId(partition), key: None, receive_time: false, received_ns: NOW_NS }
}

/// Offers packets one by one, each a train of its own.
fn offer<'p>(intake: &mut Intake, slot: &mut [u8], route: &Route<'_>, packets: impl Iterator<Item = &'p [u8]>) -> Taken {
    let mut sum = Taken::default();
    for packet in packets {
        let taken = intake.take(slot, route, Train::new(packet, None));
        (sum.packets, sum.bytes, sum.full) = (sum.packets + taken.packets, sum.bytes + taken.bytes, taken.full);
        if taken.full {
            break;
        }
    }
    sum
}

/// Packets of one train.
fn train() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20)
}

/// Seals, stamps and inspects the block, and returns each batch's partition and values.
fn read_back(intake: &mut Intake, slot: &mut [u8]) -> Vec<(u32, Vec<Vec<u8>>)> {
    let bytes = intake.seal(slot, [7; block::COUNTERS]);
    let stamp = Stamp {
        pair: PairId(1),
        lane: LaneId(0),
        epoch: Epoch(3),
        nonce: Nonce(9),
        sequence: Sequence(5),
        chain: Chain::START,
        committed: 0,
    };
    let mut next = [0u64; 4];
    block::stamp(
        &mut slot[..bytes],
        &stamp,
        |partition, records| {
            let place = partition.0 as usize;
            next[place] += u64::from(records);
            next[place] - u64::from(records)
        },
        |_| {},
    );
    let expected = Expected { lane: LaneId(0), nonce: Nonce(9), sequence: Sequence(5), chain: Some(Chain::START) };
    let (validity, head) = block::inspect(&slot[..bytes], &expected);
    assert!(validity.is_valid(), "{:?}", validity.first_fault());
    let head = head.expect("a valid block has a head");
    let values = |placed: block::Placed| {
        let batch = Batch::parse(&slot[placed.offset as usize..][..placed.length as usize]).expect("a valid block's batch");
        let records = batch.records().map(|record| record.expect("framed records parse").value.unwrap_or_default().to_vec());
        (placed.partition.0, records.collect())
    };
    head.placed().map(values).collect()
}

proptest! {
    #[test]
    fn what_was_framed_is_read_back_in_order(trains in prop::collection::vec((0u32..3, train()), 1..30)) {
        let mut slot = vec![0xee; BLOCK_BYTES_MAX];
        let mut intake = Intake::default();
        let mut sent: Vec<(u32, Vec<u8>)> = Vec::new();
        for (partition, packets) in &trains {
            let taken = offer(&mut intake, &mut slot, &route(*partition), packets.iter().map(Vec::as_slice));
            prop_assert_eq!((taken.packets, taken.full), (packets.len() as u64, false));
            prop_assert_eq!(taken.bytes, packets.iter().map(|packet| packet.len() as u64).sum::<u64>());
            sent.extend(packets.iter().map(|packet| (*partition, packet.clone())));
        }
        let read = read_back(&mut intake, &mut slot);
        let flat: Vec<(u32, Vec<u8>)> = read.into_iter().flat_map(|(partition, values)| values.into_iter().map(move |value| (partition, value))).collect();
        prop_assert_eq!(flat, sent);
    }
}

#[test]
fn a_full_block_says_how_many_it_took_and_the_next_goes_on() {
    let mut slot = vec![0; BLOCK_BYTES_MAX];
    let packets = vec![vec![5; 1400]; 2000];
    let mut intake = Intake::default();
    let first = offer(&mut intake, &mut slot, &route(0), packets.iter().map(Vec::as_slice));
    assert!(first.full && first.packets > 700 && first.packets < 760, "{first:?}");
    let read: usize = read_back(&mut intake, &mut slot).iter().map(|(_, values)| values.len()).sum();
    assert_eq!(read as u64, first.packets);
    let rest = offer(&mut intake, &mut slot, &route(0), packets.iter().skip(read).map(Vec::as_slice));
    assert!(rest.packets > 700, "{rest:?}");
}

#[test]
fn batches_are_closed_at_their_target_and_by_another_partition() {
    let mut slot = vec![0; BLOCK_BYTES_MAX];
    let mut intake = Intake::default();
    let packets = vec![vec![1; 1000]; BATCH_BYTES_TARGET / 1000 + 10];
    offer(&mut intake, &mut slot, &route(0), packets.iter().map(Vec::as_slice));
    offer(&mut intake, &mut slot, &route(1), [&b"other"[..]].into_iter());
    offer(&mut intake, &mut slot, &route(0), [&b"back"[..]].into_iter());
    let partitions: Vec<u32> = read_back(&mut intake, &mut slot).iter().map(|(partition, _)| *partition).collect();
    assert_eq!(partitions, [0, 0, 1, 0]);
}

#[test]
fn the_largest_packet_fits_an_empty_block_with_all_its_dress() {
    let mut slot = vec![0; BLOCK_BYTES_MAX];
    let mut intake = Intake::default();
    let key = [9; 18];
    let dressed = Route { key: Some(&key), receive_time: true, ..route(0) };
    let packet = vec![3; PACKET_BYTES_MAX];
    assert_eq!(offer(&mut intake, &mut slot, &dressed, [packet.as_slice()].into_iter()).packets, 1);
    assert_eq!(read_back(&mut intake, &mut slot)[0].1[0], packet);
}

#[test]
fn more_partitions_than_a_directory_holds_fill_the_block() {
    let mut slot = vec![0; BLOCK_BYTES_MAX];
    let mut intake = Intake::default();
    let took = (0..200).take_while(|packet| !offer(&mut intake, &mut slot, &route(packet % 2), [&b"x"[..]].into_iter()).full).count();
    assert_eq!(took, block::BATCHES_MAX);
    assert_eq!(read_back(&mut intake, &mut slot).len(), block::BATCHES_MAX);
}

#[test]
fn the_block_remembers_its_first_packets_time() {
    let mut slot = vec![0; BLOCK_BYTES_MAX];
    let mut intake = Intake::default();
    assert_eq!((intake.first_ns(), intake.payload_bytes()), (None, 0));
    offer(&mut intake, &mut slot, &route(0), [&b"a"[..]].into_iter());
    offer(&mut intake, &mut slot, &Route { received_ns: NOW_NS + 5_000_000, ..route(0) }, [&b"b"[..]].into_iter());
    assert_eq!(intake.first_ns(), Some(NOW_NS));
    read_back(&mut intake, &mut slot);
    assert_eq!(block::header(&slot).expect("a slot").wall_ns.get(), NOW_NS);
    assert_eq!(intake.first_ns(), None);
}

/// A train of equal packets, with a shorter last one, taken in any pieces, is what its packets one by one are.
#[test]
fn a_train_is_its_packets() {
    for (packet_bytes, packets, last_bytes) in
        [(1, 3000, 1), (64, 1000, 64), (64, 1000, 13), (1400, 46, 1), (8000, 8, 7999), (9000, 7, 9000)]
    {
        let payload: Vec<u8> =
            (0..(packets - 1) * packet_bytes + last_bytes).map(|at: usize| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
        let train = Train::new(&payload, Some(packet_bytes));
        assert_eq!(train.packets(), packets);
        for skip in [0, 1, packets / 2, packets - 1] {
            let (mut whole, mut single) = (vec![0; BLOCK_BYTES_MAX], vec![0; BLOCK_BYTES_MAX]);
            let (mut by_train, mut by_packet) = (Intake::default(), Intake::default());
            let taken = by_train.take(&mut whole, &route(0), train.after(skip));
            assert_eq!(taken, offer(&mut by_packet, &mut single, &route(0), payload.chunks(packet_bytes).skip(skip)));
            assert_eq!(taken.packets, (packets - skip) as u64);
            assert_eq!(read_back(&mut by_train, &mut whole), read_back(&mut by_packet, &mut single), "{packet_bytes} B");
        }
    }
}

#[test]
fn an_empty_packet_is_a_record_too() {
    let mut slot = vec![0; BLOCK_BYTES_MAX];
    let mut intake = Intake::default();
    let train = Train::new(&[], Some(64));
    assert_eq!(train.packets(), 1);
    assert_eq!(intake.take(&mut slot, &route(0), train), Taken { packets: 1, bytes: 0, full: false });
    assert_eq!(read_back(&mut intake, &mut slot), [(0, vec![vec![]])]);
}

/// A whole batch of one record of so many bytes, as a client would send it.
fn client_batch(partition: u32, value_bytes: usize, ticket: u64) -> batches::Batch {
    let mut slot = vec![0; BLOCK_BYTES_MAX];
    let mut intake = Intake::default();
    let value = vec![0x61; value_bytes];
    offer(&mut intake, &mut slot, &route(0), std::iter::once(&value[..]));
    intake.seal(&mut slot, [0; block::COUNTERS]);
    let length = headworks_format::batch::LENGTH_FROM
        + usize::try_from(i32::from_be_bytes(slot[block::HEAD_BYTES + 8..][..4].try_into().unwrap())).unwrap();
    let bytes = Bytes::copy_from_slice(&slot[block::HEAD_BYTES..][..length]);
    let crc = Batch::parse(&bytes).expect("a whole batch").header().crc.get();
    batches::Batch { partition: PartitionId(partition), bytes, records: 1, crc, max_timestamp_ms: 1_800_000_000_123, ticket }
}

#[test]
fn a_clients_batch_stands_between_packets_as_it_came() {
    let (mut intake, mut slot) = (Intake::default(), vec![0; BLOCK_BYTES_MAX]);
    offer(&mut intake, &mut slot, &route(1), [&b"before"[..]].into_iter());
    assert!(!intake.is_awaited());
    assert!(intake.take_batch(&mut slot, &client_batch(2, 3, 9), NOW_NS));
    assert!(intake.is_awaited());
    offer(&mut intake, &mut slot, &route(1), [&b"after"[..]].into_iter());
    let expected = [(1, vec![b"before".to_vec()]), (2, vec![b"aaa".to_vec()]), (1, vec![b"after".to_vec()])];
    assert_eq!(read_back(&mut intake, &mut slot), expected);
    assert!(!intake.is_awaited(), "the next block is awaited by nobody");
}

#[test]
fn the_largest_batch_fits_an_empty_block_and_no_other() {
    let (mut intake, mut slot) = (Intake::default(), vec![0; BLOCK_BYTES_MAX]);
    let largest = client_batch(0, PACKET_BYTES_MAX, 0);
    assert!(intake.take_batch(&mut slot, &largest, NOW_NS));
    assert!(!intake.take_batch(&mut slot, &largest, NOW_NS), "the block is full");
    assert_eq!(read_back(&mut intake, &mut slot).len(), 1);
    assert!(intake.take_batch(&mut slot, &largest, NOW_NS), "a new block");
}
