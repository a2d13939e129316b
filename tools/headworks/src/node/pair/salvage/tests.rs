use super::{Packets, error_of, packets, request};
use headworks_format::batch::{self, BATCH_HEADER_BYTES, Closing};
use headworks_format::block::{self, HEAD_BYTES, Seal, Stamp};
use headworks_format::{Chain, Epoch, LaneId, Nonce, PairId, PartitionId, Sequence, checksum, record};

/// A stamped block of one batch with one record, for that partition; `producer`: as an idempotent producer's.
fn block_of(partition: u32, producer: Option<i64>) -> Vec<u8> {
    let mut block = vec![0; block::BLOCK_BYTES_MIN];
    let body = &mut block[HEAD_BYTES..];
    let mut at = BATCH_HEADER_BYTES;
    at += record::write_varint(&mut body[at..], 7);
    at += 1;
    for number in [0, 0, -1, 1] {
        at += record::write_varint(&mut body[at..], number);
    }
    body[at] = b'x';
    at += 1;
    at += record::write_varint(&mut body[at..], 0);
    let closing =
        Closing { records: 1, records_crc: checksum::crc32c(&body[BATCH_HEADER_BYTES..at]), base_timestamp_ms: 1, max_timestamp_ms: 1 };
    let mut crc = batch::close(&mut body[..at], &closing);
    if let Some(producer) = producer {
        // Fields of the batch header behind its CRC: producer at 43, its epoch at 51, first sequence at 53.
        body[43..51].copy_from_slice(&producer.to_be_bytes());
        body[51..57].copy_from_slice(&[0; 6]);
        crc = checksum::crc32c(&body[21..at]);
        body[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    block::directory_entry(&mut block, 0, PartitionId(partition), HEAD_BYTES, at, 1, crc, Some(0));
    block::seal(&mut block, &Seal { payload_bytes: at, batches: 1, records: 1, flags: 0, wall_ns: 1_000, counters: [0; block::COUNTERS] });
    let stamp = Stamp {
        pair: PairId(1),
        lane: LaneId(0),
        epoch: Epoch(1),
        nonce: Nonce(9),
        sequence: Sequence(4),
        chain: Chain::START,
        committed: 0,
    };
    block::stamp(&mut block, &stamp, |_, _| 17, |_| {});
    block
}

fn found(copy: &[u8]) -> Vec<(String, i32, u32)> {
    let named = |lane, partition: PartitionId| (lane == 0 && partition.0 == 5).then(|| ("events".to_owned(), 3));
    packets(copy, named).into_iter().map(|packets| (packets.stream, packets.partition, packets.records)).collect()
}

#[test]
fn packets_of_listened_streams_are_found_and_nothing_else() {
    let copy = [block_of(5, None), block_of(6, None), block_of(5, Some(77)), block_of(5, None)].concat();
    let packets = ("events".to_owned(), 3, 1);
    assert_eq!(found(&copy), [packets.clone(), packets], "not another topic's, and not an idempotent producer's");
}

#[test]
fn what_does_not_prove_itself_is_passed_over() {
    let mut harmed = block_of(5, None);
    harmed[HEAD_BYTES + 70] ^= 1;
    let copy = [vec![0xff; HEAD_BYTES], harmed, block_of(5, None), vec![7; 100]].concat();
    assert_eq!(found(&copy).len(), 1);
}

#[test]
fn a_request_is_one_that_the_gateway_reads() {
    use kafka_protocol::messages::ProduceRequest;
    use kafka_protocol::protocol::Decodable as _;
    let bytes = request(&Packets { stream: "events".into(), partition: 3, records: 1, batch: b"batch" });
    assert_eq!(u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len() - 4);
    let header_bytes = 4 + 2 + 2 + 4 + 2 + "headworks-salvage".len();
    let request = ProduceRequest::decode(&mut bytes::Bytes::from(bytes[header_bytes..].to_vec()), 3).expect("a request");
    let topic = &request.topic_data[0];
    assert_eq!((request.acks, topic.name.as_str(), topic.partition_data[0].index), (-1, "events", 3));
    assert_eq!(topic.partition_data[0].records.as_deref(), Some(&b"batch"[..]));
}

#[test]
fn an_answer_that_is_cut_short_is_no_answer() {
    let mut answer = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 6];
    answer.extend(b"events");
    answer.extend([0, 0, 0, 1, 0, 0, 0, 3, 0, 6]);
    assert_eq!(error_of(&answer), Some(6));
    for end in 0..answer.len() {
        assert_eq!(error_of(&answer[..end]), None, "of {end} bytes");
    }
}
