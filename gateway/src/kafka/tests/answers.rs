//! Every answer but Fetch's, in every version.

use kafka_protocol::messages as wire;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_offsets_response::ListOffsetsPartitionResponse;

use super::*;
use crate::kafka::versions::TABLE;

/// Two partitions; the first holds timestamps 100, 300, 200 and 250 in two batches, epoch 4 began at 2.
fn log() -> MemoryLog {
    let log = MemoryLog::default().with_topic("events", 2);
    log.write("events", 0, &[(100, b"a"), (300, b"b")]);
    log.promote("events", 0, 4);
    log.write("events", 0, &[(200, b"c"), (250, b"d")]);
    log
}

async fn listed(version: i16, epoch: i32, timestamp: i64) -> ListOffsetsPartitionResponse {
    listed_of(&log(), version, epoch, timestamp).await
}

async fn listed_of(log: &MemoryLog, version: i16, epoch: i32, timestamp: i64) -> ListOffsetsPartitionResponse {
    let (broker, _close) = broker(log, Limits::default());
    let partition = ListOffsetsPartition::default().with_partition_index(0).with_current_leader_epoch(epoch).with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(name("events")).with_partitions(vec![partition]);
    let request = wire::ListOffsetsRequest::default().with_topics(vec![topic]);
    let response = ask(&broker, version, &request).await;
    response.topics[0].partitions[0].clone()
}

#[tokio::test]
async fn api_versions_lists_the_table_in_every_version() {
    let (broker, _close) = broker(&log(), Limits::default());
    for version in 0..=4 {
        let request = wire::ApiVersionsRequest::default();
        let response = ask(&broker, version, &request).await;
        assert_eq!(response.error_code, 0);
        let listed: Vec<_> = response.api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
        let table: Vec<_> = TABLE.iter().map(|api| (api.number, api.advertised_min, *api.versions.end())).collect();
        assert_eq!(listed, table, "version {version}");
    }
}

#[tokio::test]
async fn metadata_describes_broker_and_topics_in_every_version() {
    let (broker, _close) = broker(&log(), Limits::default());
    for version in 0..=12 {
        let all = (version == 0).then(Vec::new);
        let request = wire::MetadataRequest::default().with_topics(all);
        let response = ask(&broker, version, &request).await;
        let node = &response.brokers[0];
        assert_eq!(node.node_id.0, 7);
        assert_eq!((&*node.host, node.port), ("broker.example", 9092));
        if version >= 2 {
            assert_eq!(response.cluster_id, Some(text("cluster")));
        }
        assert_eq!(response.topics.len(), 1, "version {version}");
        let partitions = &response.topics[0].partitions;
        assert_eq!(partitions.len(), 2);
        assert_eq!(partitions[0].leader_id.0, 7);
        let epoch = if version >= 7 { 4 } else { -1 };
        assert_eq!(partitions[0].leader_epoch, epoch, "version {version}");
    }
}

#[tokio::test]
async fn metadata_of_an_unknown_topic_is_an_error_and_makes_no_topic() {
    use wire::metadata_request::MetadataRequestTopic;
    let log = log();
    let (broker, _close) = broker(&log, Limits::default());
    // Before version 4 a client has no say, and topics are made.
    for version in 4..=12 {
        let topic = |topic| MetadataRequestTopic::default().with_name(Some(name(topic)));
        let topics = vec![topic("none"), topic("events"), topic("none")];
        let request = wire::MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(false);
        let response = ask(&broker, version, &request).await;
        let codes: Vec<_> = response.topics.iter().map(|t| t.error_code).collect();
        assert_eq!(codes, [3, 0], "each name once, version {version}");
    }
    assert_eq!(crate::store::Store::topics(&log).len(), 1);
}

#[tokio::test]
async fn metadata_of_an_unknown_id_is_an_error() {
    use wire::metadata_request::MetadataRequestTopic;
    let (broker, _close) = broker(&log(), Limits::default());
    let id = uuid::Uuid::from_bytes([9; 16]);
    for version in 10..=12 {
        let topic = MetadataRequestTopic::default().with_topic_id(id).with_name(None);
        let request = wire::MetadataRequest::default().with_topics(Some(vec![topic]));
        let response = ask(&broker, version, &request).await;
        assert_eq!(response.topics[0].error_code, 100);
        assert_eq!(response.topics[0].topic_id, id);
    }
}

#[tokio::test]
async fn list_offsets_knows_both_ends_in_every_version() {
    for version in 1..=7 {
        let latest = listed(version, -1, -1).await;
        assert_eq!((latest.offset, latest.timestamp), (4, -1));
        assert_eq!(latest.leader_epoch, if version >= 4 { 4 } else { -1 });
        let earliest = listed(version, -1, -2).await;
        assert_eq!((earliest.offset, earliest.timestamp), (0, -1));
    }
}

#[tokio::test]
async fn list_offsets_tells_no_end_before_what_was_taken_over_is_committed() {
    let log = log();
    log.set_unsettled(true);
    for version in 1..=7 {
        let error = if version >= 5 { 78 } else { 5 };
        assert_eq!(listed_of(&log, version, -1, -1).await.error_code, error, "version {version}");
        assert_eq!(listed_of(&log, version, -1, -2).await.error_code, 0, "the start is known, version {version}");
    }
    log.set_unsettled(false);
    assert_eq!(listed_of(&log, 7, -1, -1).await.offset, 4);
}

#[tokio::test]
async fn list_offsets_by_time_is_exact_to_the_record() {
    for (time, offset, timestamp) in [(0, 0, 100), (100, 0, 100), (101, 1, 300), (260, 1, 300), (301, -1, -1)] {
        let found = listed(1, -1, time).await;
        assert_eq!((found.error_code, found.offset, found.timestamp), (0, offset, timestamp), "time {time}");
    }
}

#[tokio::test]
async fn list_offsets_largest_timestamp_is_for_version_7_only() {
    let found = listed(7, -1, -3).await;
    assert_eq!((found.error_code, found.offset, found.timestamp), (0, 1, 300));
    assert_eq!(listed(6, -1, -3).await.error_code, 35);
    assert_eq!(listed(7, -1, -4).await.error_code, 35);
}

#[tokio::test]
async fn list_offsets_checks_the_epoch() {
    assert_eq!(listed(4, 3, -1).await.error_code, 74);
    assert_eq!(listed(4, 5, -1).await.error_code, 75);
    assert_eq!(listed(4, 4, -1).await.error_code, 0);
}

#[tokio::test]
async fn end_of_epoch_is_always_an_offset_that_exists() {
    use wire::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
    let (broker, _close) = broker(&log(), Limits::default());
    // (current epoch believed, epoch asked) -> (error, epoch, end)
    for ((current, asked), expected) in [
        ((-1, 4), (0, 4, 4)),
        ((-1, 3), (0, 0, 2)),
        ((-1, 0), (0, 0, 2)),
        ((4, 9), (0, -1, -1)),
        ((3, 3), (74, -1, -1)),
        ((5, 3), (75, -1, -1)),
    ] {
        for version in 2..=4 {
            let partition =
                OffsetForLeaderPartition::default().with_partition(0).with_current_leader_epoch(current).with_leader_epoch(asked);
            let topic = OffsetForLeaderTopic::default().with_topic(name("events")).with_partitions(vec![partition]);
            let request = wire::OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
            let response = ask(&broker, version, &request).await;
            let end = &response.topics[0].partitions[0];
            assert_eq!((end.error_code, end.leader_epoch, end.end_offset), expected);
        }
    }
}

#[tokio::test]
async fn find_coordinator_finds_this_node_for_groups_and_nobody_for_transactions() {
    let (broker, _close) = broker(&log(), Limits::default());
    let found = [(0, 7, "broker.example", 9092); 2];
    let nobody = [(15, -1, "", -1); 2];
    for version in 0..=4 {
        for kind in if version >= 1 { vec![0, 1] } else { vec![0] } {
            let expected = if kind == 0 { found } else { nobody };
            let request = wire::FindCoordinatorRequest::default().with_key_type(kind);
            if version >= 4 {
                let request = request.with_coordinator_keys(vec![text("g"), text("h")]);
                let response = ask(&broker, version, &request).await;
                let each: Vec<_> = response.coordinators.iter().map(|c| (c.error_code, c.node_id.0, &*c.host, c.port)).collect();
                assert_eq!(each, expected, "version {version}, kind {kind}");
            } else {
                let response = ask(&broker, version, &request.with_key(text("g"))).await;
                let one = (response.error_code, response.node_id.0, &*response.host, response.port);
                assert_eq!(one, expected[0], "version {version}, kind {kind}");
            }
        }
    }
}
