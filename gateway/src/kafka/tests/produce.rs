//! Produce, InitProducerId and topics made on first use.

use crate::kafka::answer::produce::PRODUCED_BYTES_MAX;
use headworks_format::batch::{self, BATCH_RECORDS_MAX, BatchHeader, Closing};
use headworks_format::checksum;
use kafka_protocol::messages as wire;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use zerocopy::FromBytes as _;

use super::*;
use crate::kafka::errors::ErrorCode;
use crate::store::Store;

/// A batch of records with null keys and values.
pub fn batch_of(records: u32) -> Vec<u8> {
    let framed: Vec<u8> = (0..u8::try_from(records).expect("few")).flat_map(|delta| [12, 0, 0, delta * 2, 1, 1, 0]).collect();
    let mut bytes = vec![0; batch::BATCH_HEADER_BYTES];
    bytes.extend(&framed);
    let closing = Closing { records, records_crc: checksum::crc32c(&framed), base_timestamp_ms: 1, max_timestamp_ms: 1 };
    batch::close(&mut bytes, &closing);
    bytes
}

/// A batch with a change within what its sum covers, summed again.
fn changed(change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let mut bytes = batch_of(3);
    change(BatchHeader::mut_from_prefix(&mut bytes).expect("a header").0);
    let crc = checksum::crc32c(&bytes[batch::CRC_FROM..]);
    BatchHeader::mut_from_prefix(&mut bytes).expect("a header").0.crc = crc.into();
    bytes
}

pub fn request(acks: i16, topic: &str, partition: i32, records: Option<Vec<u8>>) -> wire::ProduceRequest {
    use wire::produce_request::{PartitionProduceData, TopicProduceData};
    let partition = PartitionProduceData::default().with_index(partition).with_records(records.map(Bytes::from));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![partition]);
    wire::ProduceRequest::default().with_acks(acks).with_timeout_ms(10_000).with_topic_data(vec![topic])
}

fn log() -> MemoryLog {
    MemoryLog::default().with_topic("events", 2)
}

async fn answered(log: &MemoryLog, version: i16, request: &wire::ProduceRequest) -> PartitionProduceResponse {
    let (broker, _close) = broker(log, Limits::default());
    let response = ask(&broker, version, request).await;
    response.responses[0].partition_responses[0].clone()
}

/// What one batch for `events`, partition 1, is answered with.
async fn check(version: i16, records: Option<Vec<u8>>, wanted: ErrorCode) {
    let log = log();
    let answer = answered(&log, version, &request(-1, "events", 1, records)).await;
    assert_eq!(answer.error_code, wanted.number(), "version {version}: {:?}", answer.error_message);
    let stored = log.state("events", 1).expect("the partition").high_watermark;
    assert_eq!(stored > 0, wanted == ErrorCode::None, "{stored} records stored after {wanted:?}");
    assert_eq!(answer.error_message.is_some(), version >= 8 && wanted != ErrorCode::None, "a reason where the version carries one");
}

#[tokio::test]
async fn a_batch_is_stored_and_answered_with_its_offset_in_every_version() {
    let log = log();
    for version in 3..=9i16 {
        let answer = answered(&log, version, &request(if version % 2 == 0 { 1 } else { -1 }, "events", 1, Some(batch_of(3)))).await;
        assert_eq!((answer.index, answer.error_code), (1, 0), "version {version}");
        assert_eq!(answer.base_offset, i64::from(version - 3) * 3);
    }
    assert_eq!(log.state("events", 0).expect("the partition").high_watermark, 0, "the other partition");
}

#[tokio::test]
async fn what_is_no_single_whole_batch_is_refused_and_leaves_nothing() {
    check(9, None, ErrorCode::InvalidRecord).await;
    check(9, Some(Vec::new()), ErrorCode::InvalidRecord).await;
    check(9, Some(vec![0; 60]), ErrorCode::CorruptMessage).await;
    check(9, Some([batch_of(1), batch_of(1)].concat()), ErrorCode::CorruptMessage).await;
    check(7, Some(batch_of(2)[..70].to_vec()), ErrorCode::CorruptMessage).await;
    let mut rotten = batch_of(3);
    rotten[65] ^= 1;
    check(9, Some(rotten), ErrorCode::CorruptMessage).await;
    let mut old = batch_of(3);
    old[16] = 1;
    check(9, Some(old), ErrorCode::InvalidRecord).await;
    check(9, Some(vec![0; PRODUCED_BYTES_MAX + 1]), ErrorCode::MessageTooLarge).await;
}

#[tokio::test]
async fn batches_that_no_consumer_could_read_are_refused() {
    check(9, Some(changed(|header| header.last_offset_delta = 7.into())), ErrorCode::InvalidRecord).await;
    check(9, Some(changed(|header| header.record_count = 0.into())), ErrorCode::InvalidRecord).await;
    check(9, Some(changed(|header| (header.record_count, header.last_offset_delta) = (4.into(), 3.into()))), ErrorCode::InvalidRecord)
        .await;
    check(9, Some(changed(|header| header.attributes = 5.into())), ErrorCode::InvalidRecord).await;
    check(9, Some(changed(|header| header.attributes = 0x10.into())), ErrorCode::InvalidRecord).await;
    check(9, Some(changed(|header| header.attributes = 0x20.into())), ErrorCode::InvalidRecord).await;
}

#[tokio::test]
async fn a_number_of_records_that_no_block_could_add_up_is_refused() {
    let most = i32::try_from(BATCH_RECORDS_MAX).expect("it fits");
    for (count, wanted) in [(most, ErrorCode::None), (most + 1, ErrorCode::InvalidRecord), (i32::MAX, ErrorCode::InvalidRecord)] {
        let lying = changed(|header| {
            header.attributes = 1.into();
            (header.record_count, header.last_offset_delta) = (count.into(), (count - 1).into());
        });
        check(9, Some(lying), wanted).await;
    }
}

#[test]
fn a_request_may_hold_several_of_the_largest_batches() {
    let (frame, batch) = (Limits::default().request_bytes_max, PRODUCED_BYTES_MAX);
    assert!(frame > 4 * batch, "a frame of at most {frame} B, a batch of at most {batch} B");
}

#[tokio::test]
async fn compressed_batches_pass_through_and_zstd_from_version_7() {
    for codec in 1..=4i16 {
        check(7, Some(changed(|header| header.attributes = codec.into())), ErrorCode::None).await;
    }
    check(6, Some(changed(|header| header.attributes = 4.into())), ErrorCode::UnsupportedCompressionType).await;
    check(6, Some(changed(|header| header.attributes = 3.into())), ErrorCode::None).await;
}

#[tokio::test]
async fn unknown_partitions_acks_and_transactions_are_refused() {
    let log = log();
    let batch = || Some(batch_of(1));
    let code = async |request: wire::ProduceRequest| answered(&log, 9, &request).await.error_code;
    assert_eq!(code(request(-1, "none", 0, batch())).await, ErrorCode::UnknownTopicOrPartition.number());
    assert_eq!(code(request(-1, "events", 2, batch())).await, ErrorCode::UnknownTopicOrPartition.number());
    assert_eq!(code(request(2, "events", 0, batch())).await, ErrorCode::InvalidRequiredAcks.number());
    let transactional = request(-1, "events", 0, batch()).with_transactional_id(Some(wire::TransactionalId(text("ledger"))));
    assert_eq!(code(transactional).await, ErrorCode::TransactionalIdAuthorizationFailed.number());
    assert_eq!(log.state("events", 0).expect("the partition").high_watermark, 0);
}

#[tokio::test]
async fn without_acks_there_is_no_answer_and_the_batch_is_stored() {
    let log = log();
    let (broker, _close) = broker(&log, Limits::default());
    let silent = outcome(&broker, 9, &request(0, "events", 0, Some(batch_of(2)))).await;
    assert!(matches!(silent, Ok(Answer::Silent(ErrorCode::None))), "{silent:?}");
    assert_eq!(log.state("events", 0).expect("the partition").high_watermark, 2);
    let refused = outcome(&broker, 9, &request(0, "none", 0, Some(batch_of(2)))).await;
    assert!(matches!(refused, Ok(Answer::Silent(ErrorCode::UnknownTopicOrPartition))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_level_that_is_not_reached_in_time_is_said() {
    let log = log();
    log.hold();
    let answer = answered(&log, 9, &request(-1, "events", 0, Some(batch_of(2)))).await;
    assert_eq!(answer.error_code, ErrorCode::RequestTimedOut.number());
}

#[tokio::test]
async fn producers_get_numbers_of_their_own_and_no_transactions() {
    let (broker, _close) = broker(&log(), Limits::default());
    let mut seen = std::collections::BTreeSet::new();
    for version in 0..=4 {
        let answer = ask(&broker, version, &wire::InitProducerIdRequest::default().with_transactional_id(None)).await;
        assert_eq!((answer.error_code, answer.producer_epoch), (0, 0));
        assert!(seen.insert(answer.producer_id.0), "version {version}");
        let transactional = wire::InitProducerIdRequest::default().with_transactional_id(Some(wire::TransactionalId(text("ledger"))));
        let answer = ask(&broker, version, &transactional).await;
        assert_eq!((answer.error_code, answer.producer_id.0), (ErrorCode::TransactionalIdAuthorizationFailed.number(), -1));
    }
}

#[tokio::test]
async fn metadata_makes_the_topics_that_a_client_may_make() {
    use wire::metadata_request::MetadataRequestTopic;
    for version in 0..=12 {
        let log = log();
        let (broker, _close) = broker(&log, Limits::default());
        let topics = ["made", "no name"].map(|topic| MetadataRequestTopic::default().with_name(Some(name(topic))));
        let request = wire::MetadataRequest::default().with_topics(Some(topics.to_vec())).with_allow_auto_topic_creation(true);
        let answer = ask(&broker, version, &request).await;
        let answered: Vec<_> = answer.topics.iter().map(|topic| (topic.error_code, topic.partitions.len())).collect();
        assert_eq!(answered, [(0, 4), (ErrorCode::InvalidTopic.number(), 0)], "version {version}");
        assert_eq!(log.state("made", 3).map(|state| state.high_watermark), Some(0));
    }
}

#[tokio::test]
async fn topics_are_made_by_name_and_count_and_refused_with_a_reason() {
    use wire::create_topics_request::{CreatableTopic, CreatableTopicConfig};
    let topic = |topic: &str, partitions| CreatableTopic::default().with_name(name(topic)).with_num_partitions(partitions);
    for version in 2..=7 {
        let log = log();
        let (broker, _close) = broker(&log, Limits::default());
        let plain = |topic: CreatableTopic| topic.with_replication_factor(1);
        let setting = CreatableTopicConfig::default().with_name(text("retention.ms")).with_value(Some(text("1")));
        let topics = vec![
            plain(topic("three", 3)),
            plain(topic("events", 3)),
            plain(topic("too many", 99)),
            topic("copies", 1).with_replication_factor(3),
            plain(topic("settings", 1)).with_configs(vec![setting]),
        ];
        let answer = ask(&broker, version, &wire::CreateTopicsRequest::default().with_topics(topics)).await;
        let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
        let wanted = [
            ErrorCode::None,
            ErrorCode::TopicAlreadyExists,
            ErrorCode::InvalidTopic,
            ErrorCode::InvalidReplicationFactor,
            ErrorCode::InvalidConfig,
        ];
        assert_eq!(codes, wanted.map(ErrorCode::number), "version {version}");
        assert!(answer.topics.iter().all(|topic| topic.error_message.is_some() == (topic.error_code != 0)));
        assert_eq!(log.topics().iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["events", "three"]);
        let only_said = wire::CreateTopicsRequest::default().with_topics(vec![plain(topic("said", 1))]).with_validate_only(true);
        assert_eq!(ask(&broker, version, &only_said).await.topics[0].error_code, 0);
        assert_eq!(log.topics().len(), 2, "validate_only makes nothing");
    }
}
