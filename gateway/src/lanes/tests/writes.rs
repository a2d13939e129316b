use super::rig::{Desk, Memory, Rig};
use super::run;
use crate::lanes::LaneStore;
use crate::lanes::writes::{HELD_BYTES_MAX, most_partitions};
use crate::store::{AppendError, Appended, CreateError, Level, Store};
use bytes::Bytes;
use headworks_format::batch::{self, BatchHeader, Closing};
use headworks_format::checksum;
use zerocopy::FromBytes as _;

/// A batch of so many records, by a producer if one is named (id, epoch, first sequence).
fn batch_of(records: u32, producer: Option<(i64, i16, i32)>) -> Bytes {
    // Length 6: no attributes, deltas of 0 and the number, null key, null value, no headers.
    let record = |delta: u8| [12, 0, 0, delta * 2, 1, 1, 0];
    let framed: Vec<u8> = (0..u8::try_from(records).expect("few")).flat_map(record).collect();
    let mut bytes = vec![0; batch::BATCH_HEADER_BYTES];
    bytes.extend(&framed);
    let closing = Closing { records, records_crc: checksum::crc32c(&framed), base_timestamp_ms: 1, max_timestamp_ms: 1 };
    batch::close(&mut bytes, &closing);
    if let Some((id, epoch, first)) = producer {
        let (header, _) = BatchHeader::mut_from_prefix(&mut bytes).expect("a header");
        (header.producer_id, header.producer_epoch, header.base_sequence) = (id.into(), epoch.into(), first.into());
        let crc = checksum::crc32c(&bytes[batch::CRC_FROM..]);
        BatchHeader::mut_from_prefix(&mut bytes).expect("a header").0.crc = crc.into();
    }
    Bytes::from(bytes)
}

/// A batch of one record and of so many bytes.
fn large_batch(bytes: usize) -> Bytes {
    let mut batch = vec![0; bytes];
    let records_crc = checksum::crc32c(&batch[batch::BATCH_HEADER_BYTES..]);
    batch::close(&mut batch, &Closing { records: 1, records_crc, base_timestamp_ms: 1, max_timestamp_ms: 1 });
    Bytes::from(batch)
}

/// Whether it completes without waiting.
async fn is_there(future: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        () = future => true,
        () = std::future::ready(()) => false,
    }
}

/// Appends to partition 0 of `events` while the lane takes what comes.
async fn append(rig: &mut Rig, store: &LaneStore<Memory>, desk: &mut Desk, bytes: Bytes, level: Level) -> Result<Appended, AppendError> {
    let appended = store.append("events", 0, bytes, level);
    rig.take(desk);
    appended.await
}

#[test]
fn what_is_appended_is_told_its_offset_and_is_read_back() {
    run(async {
        let mut rig = Rig::new(4);
        let (store, mut desk) = rig.writable(8);
        rig.append(5, 10);
        let first = append(&mut rig, &store, &mut desk, batch_of(3, None), Level::Committed).await;
        assert_eq!(first, Ok(Appended { base_offset: 5, log_start: 0 }));
        let second = append(&mut rig, &store, &mut desk, batch_of(2, None), Level::Disk).await;
        assert_eq!(second, Ok(Appended { base_offset: 8, log_start: 0 }));
        let read = store.read("events", 0, 8, 1 << 20).await.expect("within bounds");
        assert_eq!(&read[0][batch::CRC_FROM..], &batch_of(2, None)[batch::CRC_FROM..], "but for what the log sets, as it came");
    });
}

#[test]
fn nothing_is_waited_for_where_no_level_is_asked() {
    run(async {
        let mut rig = Rig::new(4);
        let (store, mut desk) = rig.writable(8);
        let appended = store.append("events", 0, batch_of(3, None), Level::Received).await;
        assert_eq!(appended, Ok(Appended { base_offset: -1, log_start: 0 }));
        assert_eq!(rig.take(&mut desk), 1);
        assert_eq!(store.state("events", 0).map(|state| state.high_watermark), Some(3));
    });
}

#[test]
fn a_batch_sent_twice_is_stored_once_and_answered_twice() {
    run(async {
        let mut rig = Rig::new(4);
        let (store, mut desk) = rig.writable(8);
        let batch = batch_of(3, Some((1 << 32, 0, 0)));
        // The second comes while the first is on its way.
        let first = store.append("events", 0, batch.clone(), Level::Committed);
        let second = store.append("events", 0, batch.clone(), Level::Committed);
        assert_eq!(rig.take(&mut desk), 1);
        assert_eq!(
            (first.await, second.await),
            (Ok(Appended { base_offset: 0, log_start: 0 }), Ok(Appended { base_offset: 0, log_start: 0 }))
        );
        let third = append(&mut rig, &store, &mut desk, batch, Level::Committed).await;
        assert_eq!(third.map(|appended| appended.base_offset), Ok(0));
        let next = append(&mut rig, &store, &mut desk, batch_of(1, Some((1 << 32, 0, 3))), Level::Committed).await;
        assert_eq!(next.map(|appended| appended.base_offset), Ok(3));
    });
}

#[test]
fn gaps_and_earlier_incarnations_are_refused_and_leave_nothing() {
    run(async {
        let mut rig = Rig::new(4);
        let (store, mut desk) = rig.writable(8);
        append(&mut rig, &store, &mut desk, batch_of(3, Some((7, 2, 0))), Level::Committed).await.expect("the first");
        let gap = append(&mut rig, &store, &mut desk, batch_of(1, Some((7, 2, 5))), Level::Committed).await;
        assert_eq!(gap, Err(AppendError::OutOfOrder { found: 5, expected: 3 }));
        let fenced = append(&mut rig, &store, &mut desk, batch_of(1, Some((7, 1, 3))), Level::Committed).await;
        assert_eq!(fenced, Err(AppendError::ProducerFenced));
        assert_eq!(store.state("events", 0).map(|state| state.high_watermark), Some(3));
    });
}

#[test]
fn what_the_lane_does_not_take_at_once_stands_in_line_in_the_order_of_the_calls() {
    run(async {
        let mut rig = Rig::new(4);
        let (store, mut desk) = rig.writable(2);
        let appends: Vec<_> = (0..6).map(|_| store.append("events", 0, batch_of(2, None), Level::Committed)).collect();
        assert_eq!(rig.take(&mut desk), 2);
        let mut offsets = Vec::new();
        for append in appends {
            let mut append = std::pin::pin!(append);
            loop {
                tokio::select! {
                    biased;
                    appended = &mut append => break offsets.push(appended.expect("appended").base_offset),
                    () = tokio::task::yield_now() => { rig.take(&mut desk); }
                }
            }
        }
        assert_eq!(offsets, [0, 2, 4, 6, 8, 10]);
    });
}

#[test]
fn who_asks_for_no_answer_waits_for_room_once_the_doors_hold_too_much() {
    run(async {
        let mut rig = Rig::new(4);
        let (store, mut desk) = rig.writable(2);
        let bytes = HELD_BYTES_MAX / 256;
        for held in 0..256 {
            assert!(is_there(store.room()).await, "room beside {held} batches");
            let appended = store.append("events", 0, large_batch(bytes), Level::Received).await;
            appended.expect("an append never refuses for want of room");
        }
        let mut room = std::pin::pin!(store.room());
        assert!(!is_there(&mut room).await, "{HELD_BYTES_MAX} bytes are held");
        assert_eq!(rig.take(&mut desk), 2);
        room.await;
    });
}

#[test]
fn what_would_wait_for_a_node_that_is_not_there_is_refused_before_it_is_stored() {
    run(async {
        let mut rig = Rig::new(4);
        let (store, mut desk) = rig.writable(8);
        rig.cluster.set_waiting(true);
        let batch = batch_of(3, Some((7, 0, 0)));
        let refused = append(&mut rig, &store, &mut desk, batch.clone(), Level::Committed).await;
        assert_eq!(refused, Err(AppendError::TooFewInSync));
        let mine = append(&mut rig, &store, &mut desk, batch_of(2, None), Level::Disk).await;
        assert_eq!(mine.map(|appended| appended.base_offset), Ok(0), "who does not ask for the other node does not wait for it");
        rig.cluster.set_waiting(false);
        let again = append(&mut rig, &store, &mut desk, batch, Level::Committed).await;
        assert_eq!(again.map(|appended| appended.base_offset), Ok(2), "the same batch, for the first time");
    });
}

#[test]
fn unknown_partitions_and_oversize_batches_are_refused() {
    run(async {
        let rig = Rig::new(4);
        let (store, _desk) = rig.writable(2);
        let bytes_max = batch::BATCH_BYTES_MAX;
        let append = |topic: &'static str, partition, bytes| store.append(topic, partition, bytes, Level::Committed);
        assert_eq!(append("others", 0, batch_of(1, None)).await, Err(AppendError::UnknownPartition));
        assert_eq!(append("events", 1, batch_of(1, None)).await, Err(AppendError::UnknownPartition));
        assert_eq!(append("events", 0, Bytes::from(vec![0; bytes_max + 1])).await, Err(AppendError::TooLarge { bytes_max }));
    });
}

#[test]
fn a_topic_is_there_once_it_is_durable_and_can_be_written_to() {
    run(async {
        let mut rig = Rig::new(4);
        let (store, mut desk) = rig.writable(8);
        let mut making = std::pin::pin!(store.create_topic("made", 3));
        for _ in 0..20 {
            tokio::select! {
                biased;
                made = &mut making => { assert_eq!(made, Ok(())); break; }
                () = tokio::task::yield_now() => {
                    assert_eq!(store.state("made", 0), None, "not before it is made");
                    rig.grow(&mut desk);
                }
            }
        }
        let appended = store.append("made", 2, batch_of(4, None), Level::Committed);
        rig.take(&mut desk);
        assert_eq!(appended.await, Ok(Appended { base_offset: 0, log_start: 0 }));
        assert_eq!(store.state("made", 2).map(|state| state.high_watermark), Some(4));
        assert_eq!(
            store.topics().iter().map(|topic| (topic.name.as_str(), topic.partitions)).collect::<Vec<_>>(),
            [("events", 1), ("made", 3)]
        );
        assert_eq!(store.create_topic("made", 1).await, Err(CreateError::Exists));
    });
}

#[test]
fn names_and_counts_that_are_none_are_refused() {
    run(async {
        let rig = Rig::new(4);
        let (store, _desk) = rig.writable(2);
        for name in ["", ".", "..", "a b", "ä", &"n".repeat(250)] {
            assert_eq!(store.create_topic(name, 1).await, Err(CreateError::Name), "{name}");
        }
        for partitions in [-1, 0, 2048] {
            assert_eq!(store.create_topic("fine", partitions).await, Err(CreateError::Partitions { partitions, max: 2047 }));
        }
    });
}

#[test]
fn a_topic_has_as_many_partitions_as_every_lane_has_room_for_its_share() {
    for (rooms, most) in [(&[5][..], 5), (&[1, 9], 2), (&[9, 1], 3), (&[1, 0], 1), (&[0, 9], 0), (&[2, 2, 2], 6), (&[2, 1, 9], 4)] {
        assert_eq!(most_partitions(rooms), most, "{rooms:?}");
        let share = |lane: usize, count: usize| (0..count).filter(|number| number % rooms.len() == lane).count();
        let fits = |count| rooms.iter().enumerate().all(|(lane, room)| share(lane, count) <= *room);
        assert!(fits(most) && !fits(most + 1), "{rooms:?}: {most} fit, and no more");
    }
}

#[test]
fn producer_ids_carry_the_epoch_and_are_never_the_same() {
    let rig = Rig::new(4);
    let (store, _desk) = rig.writable(2);
    assert_eq!((store.producer_id(), store.producer_id()), (5 << 32, (5 << 32) + 1));
}
