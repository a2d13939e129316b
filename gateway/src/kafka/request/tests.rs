//! The reader against the public codec as oracle, and against everything else as an enemy.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages as wire;
use kafka_protocol::messages::{BrokerId, RequestHeader, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes, encode_request_header_into_buffer};
use proptest::prelude::*;

use super::reader::{ELEMENTS_MAX, RESERVED_FACTOR_MAX, Reader};
use super::*;
use crate::kafka::versions::TABLE;

const ID: [u8; 16] = [7; 16];

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A frame of the oracle's, header and body.
fn frame(key: i16, version: i16, body: &impl Encodable) -> Bytes {
    let mut bytes = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_correlation_id(77)
        .with_client_id(Some(text("oracle")));
    encode_request_header_into_buffer(&mut bytes, &header).expect("a header that encodes");
    body.encode(&mut bytes, version).unwrap_or_else(|error| panic!("key {key} version {version}: {error}"));
    bytes.freeze()
}

/// Reads a frame of the oracle's to the last byte and compares it with what was put in; then every
/// shorter frame must be refused, and a longer one read.
fn check(key: i16, version: i16, body: &impl Encodable, expected: &Request<'_>) {
    let frame = frame(key, version, body);
    let api = Api::find(key).expect("a key of the table");
    let mut reader = Reader::new(&frame);
    let prefix = Prefix::read(&mut reader).expect("a prefix");
    assert_eq!((prefix.key, prefix.version), (key, version));
    assert_eq!(prefix.correlation, 77);
    let client_id = read_header(&mut reader, api, version).expect("a header");
    assert_eq!(client_id, Some("oracle"), "{} version {version}", api.name);
    let read = read_body(&mut reader, api, version).unwrap_or_else(|rejected| panic!("{} version {version}: {rejected}", api.name));
    assert_eq!(&read, expected, "{} version {version}", api.name);
    assert_eq!(reader.left_bytes(), 0, "{} version {version}", api.name);
    for length in 0..frame.len() {
        let cut = read_frame(&frame[..length]);
        assert!(cut.is_err(), "{} version {version} cut to {length}", api.name);
    }
    let mut longer = BytesMut::from(&frame[..]);
    longer.put_u8(0);
    assert_eq!(read_frame(&longer), read_frame(&frame), "{} version {version}", api.name);
}

fn fetch_body(version: i16) -> wire::FetchRequest {
    use wire::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
    let partition = |number: i32| {
        let partition = FetchPartition::default()
            .with_partition(number)
            .with_fetch_offset(1_000_000_000_000 + i64::from(number))
            .with_log_start_offset(if version >= 5 { 3 } else { -1 })
            .with_partition_max_bytes(4096 + number);
        if version >= 9 { partition.with_current_leader_epoch(5) } else { partition }
    };
    let topic = |topic, partitions: &[i32]| {
        FetchTopic::default().with_topic(name(topic)).with_partitions(partitions.iter().copied().map(partition).collect())
    };
    let body = wire::FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(50 << 20)
        .with_isolation_level(1)
        .with_topics(vec![topic("events", &[0, 1, 300]), topic("ähre", &[])]);
    let body = if version >= 7 {
        let forgotten = ForgottenTopic::default().with_topic(name("gone")).with_partitions(vec![1, 2]);
        body.with_session_id(9).with_session_epoch(4).with_forgotten_topics_data(vec![forgotten])
    } else {
        body
    };
    if version >= 11 { body.with_rack_id(text("rack")) } else { body }
}

#[test]
fn fetch_reads_as_the_oracle_wrote_it() {
    for version in 4..=12 {
        let partition = |number: i32| fetch::FetchPartition {
            partition: number,
            current_leader_epoch: if version >= 9 { 5 } else { -1 },
            offset: 1_000_000_000_000 + i64::from(number),
            bytes_max: 4096 + number,
        };
        let expected = fetch::Fetch {
            wait_ms_max: 500,
            bytes_min: 1,
            bytes_max: 50 << 20,
            session_id: if version >= 7 { 9 } else { 0 },
            session_epoch: if version >= 7 { 4 } else { -1 },
            topics: vec![
                fetch::FetchTopic { name: "events", partitions: [0, 1, 300].map(partition).to_vec() },
                fetch::FetchTopic { name: "ähre", partitions: Vec::new() },
            ],
        };
        check(1, version, &fetch_body(version), &Request::Fetch(expected));
    }
}

#[test]
fn list_offsets_reads_as_the_oracle_wrote_it() {
    use wire::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
    for version in 1..=7 {
        let epoch = if version >= 4 { 3 } else { -1 };
        let partition = ListOffsetsPartition::default().with_partition_index(2).with_current_leader_epoch(epoch).with_timestamp(-2);
        let topic = ListOffsetsTopic::default().with_name(name("events")).with_partitions(vec![partition]);
        let body = wire::ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(version >= 2))
            .with_topics(vec![topic]);
        let expected = list_offsets::ListOffsets {
            topics: vec![list_offsets::ListOffsetsTopic {
                name: "events",
                partitions: vec![list_offsets::ListOffsetsPartition { partition: 2, current_leader_epoch: epoch, timestamp_ms: -2 }],
            }],
        };
        check(2, version, &body, &Request::ListOffsets(expected));
    }
}

#[test]
fn metadata_reads_as_the_oracle_wrote_it() {
    use wire::metadata_request::MetadataRequestTopic;
    for version in 0..=12 {
        let id = if version >= 10 { ID } else { [0; 16] };
        let topic = MetadataRequestTopic::default().with_name(Some(name("events"))).with_topic_id(uuid::Uuid::from_bytes(id));
        let body = wire::MetadataRequest::default().with_allow_auto_topic_creation(true);
        let asked = metadata::TopicAsked { id, name: Some("events") };
        let one = metadata::Metadata { topics: Some(vec![asked]), may_create: true };
        let named = body.clone().with_topics(Some(vec![topic]));
        check(3, version, &named, &Request::Metadata(one));

        let none = body.clone().with_topics(Some(Vec::new()));
        let topics = (version >= 1).then(Vec::new);
        check(3, version, &none, &Request::Metadata(metadata::Metadata { topics, may_create: true }));
        if version >= 1 {
            let all = metadata::Metadata { topics: None, may_create: true };
            check(3, version, &body.with_topics(None), &Request::Metadata(all));
        }
    }
}

/// As librdkafka 2.12 writes it: null is four bytes long, so the flags that are read are of them, and its own three bytes stand behind.
#[test]
fn metadata_of_all_topics_with_three_bytes_too_many_is_read() {
    for version in [9, 10, 11, 12] {
        let all = wire::MetadataRequest::default().with_topics(None).with_allow_auto_topic_creation(false);
        let mut bytes = BytesMut::from(&frame(3, version, &all)[..]);
        bytes.put_slice(&[0; 3]);
        let mut reader = Reader::new(&bytes);
        let prefix = Prefix::read(&mut reader).expect("a prefix");
        let api = Api::find(prefix.key).expect("a key of the table");
        read_header(&mut reader, api, version).expect("a header");
        let read = read_body(&mut reader, api, version).unwrap_or_else(|rejected| panic!("version {version}: {rejected}"));
        assert_eq!(read, Request::Metadata(metadata::Metadata { topics: None, may_create: false }), "version {version}");
        assert_eq!(reader.left_bytes(), 3, "version {version}");
    }
}

#[test]
fn metadata_by_id_alone_has_no_name() {
    use wire::metadata_request::MetadataRequestTopic;
    for version in [10, 11, 12] {
        let topic = MetadataRequestTopic::default().with_name(None).with_topic_id(uuid::Uuid::from_bytes(ID));
        let body = wire::MetadataRequest::default().with_topics(Some(vec![topic]));
        let asked = metadata::TopicAsked { id: ID, name: None };
        let expected = metadata::Metadata { topics: Some(vec![asked]), may_create: true };
        check(3, version, &body, &Request::Metadata(expected));
    }
}

#[test]
fn offset_for_leader_epoch_reads_as_the_oracle_wrote_it() {
    use wire::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
    for version in 2..=4 {
        let partition = OffsetForLeaderPartition::default().with_partition(1).with_current_leader_epoch(9).with_leader_epoch(8);
        let topic = OffsetForLeaderTopic::default().with_topic(name("events")).with_partitions(vec![partition]);
        let body = wire::OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
        let expected = offset_for_leader_epoch::OffsetForLeaderEpoch {
            topics: vec![offset_for_leader_epoch::EpochTopic {
                name: "events",
                partitions: vec![offset_for_leader_epoch::EpochPartition { partition: 1, current_leader_epoch: 9, epoch: 8 }],
            }],
        };
        check(23, version, &body, &Request::OffsetForLeaderEpoch(expected));
    }
}

#[test]
fn find_coordinator_reads_as_the_oracle_wrote_it() {
    for version in 0..=4 {
        let body = wire::FindCoordinatorRequest::default();
        let (body, keys) = if version >= 4 {
            let keys = vec![text("one"), text("two")];
            (body.with_coordinator_keys(keys), vec!["one", "two"])
        } else {
            (body.with_key(text("one")), vec!["one"])
        };
        let body = if version >= 1 { body.with_key_type(1) } else { body };
        let expected = find_coordinator::FindCoordinator { kind: i8::from(version >= 1), keys };
        check(10, version, &body, &Request::FindCoordinator(expected));
    }
}

#[test]
fn produce_reads_as_the_oracle_wrote_it() {
    use wire::produce_request::{PartitionProduceData, TopicProduceData};
    for version in 3..=9 {
        let partition = |number, records| PartitionProduceData::default().with_index(number).with_records(records);
        let records = Some(Bytes::from_static(&[1; 300]));
        let topic =
            TopicProduceData::default().with_name(name("events")).with_partition_data(vec![partition(3, records), partition(4, None)]);
        let body = wire::ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(vec![topic]);
        let read = |partition, records| produce::ProducePartition { partition, records };
        let partitions = vec![read(3, Some(&[1; 300][..])), read(4, None)];
        let topics = vec![produce::ProduceTopic { name: "events", partitions }];
        let expected = produce::Produce { transactional_id: None, acks: -1, timeout_ms: 30_000, topics };
        check(0, version, &body, &Request::Produce(expected));
    }
}

#[test]
fn init_producer_id_reads_as_the_oracle_wrote_it() {
    for version in 0..=4 {
        for id in [None, Some("ledger")] {
            let body = wire::InitProducerIdRequest::default()
                .with_transactional_id(id.map(|id| wire::TransactionalId(text(id))))
                .with_transaction_timeout_ms(60_000);
            let expected = init_producer_id::InitProducerId { transactional_id: id };
            check(22, version, &body, &Request::InitProducerId(expected));
        }
    }
}

#[test]
fn create_topics_reads_as_the_oracle_wrote_it() {
    use wire::create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
    for version in 2..=7 {
        let assignment = CreatableReplicaAssignment::default().with_partition_index(0).with_broker_ids(vec![BrokerId(1), BrokerId(2)]);
        let setting = |key, value: Option<&str>| CreatableTopicConfig::default().with_name(text(key)).with_value(value.map(text));
        let topic = CreatableTopic::default()
            .with_name(name("made"))
            .with_num_partitions(-1)
            .with_replication_factor(1)
            .with_assignments(vec![assignment])
            .with_configs(vec![setting("cleanup.policy", Some("delete")), setting("retention.ms", None)]);
        let body = wire::CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(5_000).with_validate_only(true);
        let wanted = create_topics::TopicWanted {
            name: "made",
            partitions: -1,
            replicas: 1,
            assigned: 1,
            settings: vec!["cleanup.policy", "retention.ms"],
        };
        check(19, version, &body, &Request::CreateTopics(create_topics::CreateTopics { topics: vec![wanted], validate_only: true }));
    }
}

#[test]
fn api_versions_reads_as_the_oracle_wrote_it() {
    for version in 3..=4 {
        let body = wire::ApiVersionsRequest::default().with_client_software_name(text("oracle")).with_client_software_version(text("1.0"));
        let expected = api_versions::ApiVersions { software_name: Some("oracle"), software_version: Some("1.0") };
        check(18, version, &body, &Request::ApiVersions(expected));
    }
    for version in 0..=2 {
        let expected = api_versions::ApiVersions { software_name: None, software_version: None };
        let body = wire::ApiVersionsRequest::default();
        check(18, version, &body, &Request::ApiVersions(expected));
    }
}

fn group() -> wire::GroupId {
    wire::GroupId(text("readers"))
}

fn member(named: bool) -> heartbeat::Member<'static> {
    heartbeat::Member { group: "readers", generation: 7, id: "me-1", instance: named.then_some("me") }
}

#[test]
fn join_group_reads_as_the_oracle_wrote_it() {
    use wire::join_group_request::JoinGroupRequestProtocol;
    for version in 0..=9 {
        let protocol =
            |name, bytes: &'static [u8]| JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(Bytes::from_static(bytes));
        let body = wire::JoinGroupRequest::default()
            .with_group_id(group())
            .with_session_timeout_ms(45_000)
            .with_rebalance_timeout_ms(if version >= 1 { 300_000 } else { -1 })
            .with_member_id(text("me-1"))
            .with_group_instance_id((version >= 5).then(|| text("me")))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol("range", b"\0\x01"), protocol("sticky", b"")])
            .with_reason((version >= 8).then(|| text("because")));
        let read = |name, metadata| join_group::JoinProtocol { name, metadata };
        let expected = join_group::JoinGroup {
            group: "readers",
            session_ms: 45_000,
            rebalance_ms: if version >= 1 { 300_000 } else { 45_000 },
            member: "me-1",
            instance: (version >= 5).then_some("me"),
            protocol_type: "consumer",
            protocols: vec![read("range", b"\0\x01"), read("sticky", b"")],
        };
        check(11, version, &body, &Request::JoinGroup(expected));
    }
}

#[test]
fn sync_group_reads_as_the_oracle_wrote_it() {
    use wire::sync_group_request::SyncGroupRequestAssignment;
    for version in 0..=5 {
        let assignment = SyncGroupRequestAssignment::default().with_member_id(text("you-2")).with_assignment(Bytes::from_static(b"all"));
        let body = wire::SyncGroupRequest::default()
            .with_group_id(group())
            .with_generation_id(7)
            .with_member_id(text("me-1"))
            .with_group_instance_id((version >= 3).then(|| text("me")))
            .with_protocol_type((version >= 5).then(|| text("consumer")))
            .with_protocol_name((version >= 5).then(|| text("range")))
            .with_assignments(vec![assignment]);
        let expected = sync_group::SyncGroup {
            member: member(version >= 3),
            protocol_type: (version >= 5).then_some("consumer"),
            protocol: (version >= 5).then_some("range"),
            assignments: vec![sync_group::Assignment { member: "you-2", assignment: b"all" }],
        };
        check(14, version, &body, &Request::SyncGroup(expected));
    }
}

#[test]
fn heartbeat_reads_as_the_oracle_wrote_it() {
    for version in 0..=4 {
        let body = wire::HeartbeatRequest::default()
            .with_group_id(group())
            .with_generation_id(7)
            .with_member_id(text("me-1"))
            .with_group_instance_id((version >= 3).then(|| text("me")));
        check(12, version, &body, &Request::Heartbeat(member(version >= 3)));
    }
}

#[test]
fn leave_group_reads_as_the_oracle_wrote_it() {
    use wire::leave_group_request::MemberIdentity;
    for version in 0..=5 {
        let body = wire::LeaveGroupRequest::default().with_group_id(group());
        let (body, leavers) = if version >= 3 {
            let identity = |id, name: Option<&str>| {
                let reason = (version >= 5).then(|| text("enough"));
                MemberIdentity::default().with_member_id(text(id)).with_group_instance_id(name.map(text)).with_reason(reason)
            };
            let leaver = |member, instance| leave_group::Leaver { member, instance };
            (
                body.with_members(vec![identity("me-1", None), identity("", Some("you"))]),
                vec![leaver("me-1", None), leaver("", Some("you"))],
            )
        } else {
            (body.with_member_id(text("me-1")), vec![leave_group::Leaver { member: "me-1", instance: None }])
        };
        check(13, version, &body, &Request::LeaveGroup(leave_group::LeaveGroup { group: "readers", leavers }));
    }
}

#[test]
fn offset_commit_reads_as_the_oracle_wrote_it() {
    use wire::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    for version in 2..=9 {
        let epoch = if version >= 6 { 3 } else { -1 };
        let partition = |number, metadata: Option<&str>| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(number)
                .with_committed_offset(1_000)
                .with_committed_leader_epoch(epoch)
                .with_committed_metadata(metadata.map(text))
        };
        let topic = OffsetCommitRequestTopic::default()
            .with_name(name("events"))
            .with_partitions(vec![partition(0, Some("note")), partition(1, None)]);
        let body = wire::OffsetCommitRequest::default()
            .with_group_id(group())
            .with_generation_id_or_member_epoch(7)
            .with_member_id(text("me-1"))
            .with_group_instance_id((version >= 7).then(|| text("me")))
            .with_retention_time_ms(if version <= 4 { 86_400_000 } else { -1 })
            .with_topics(vec![topic]);
        let read = |partition, metadata| offset_commit::CommitPartition { partition, offset: 1_000, leader_epoch: epoch, metadata };
        let topic = offset_commit::CommitTopic { name: "events", partitions: vec![read(0, Some("note")), read(1, None)] };
        let expected = offset_commit::OffsetCommit { member: member(version >= 7), topics: vec![topic] };
        check(8, version, &body, &Request::OffsetCommit(expected));
    }
}

#[test]
fn offset_fetch_reads_as_the_oracle_wrote_it() {
    use wire::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics};
    let read = || vec![offset_fetch::OffsetTopic { name: "events", partitions: vec![0, 3] }];
    for version in 1..=7 {
        let topic = OffsetFetchRequestTopic::default().with_name(name("events")).with_partition_indexes(vec![0, 3]);
        let body = wire::OffsetFetchRequest::default().with_group_id(group()).with_require_stable(version >= 7);
        let one = |topics| {
            Request::OffsetFetch(offset_fetch::OffsetFetch { groups: vec![offset_fetch::FetchGroup { group: "readers", topics }] })
        };
        check(9, version, &body.clone().with_topics(Some(vec![topic])), &one(Some(read())));
        if version >= 2 {
            check(9, version, &body.with_topics(None), &one(None));
        }
    }
    for version in 8..=9 {
        let topic = OffsetFetchRequestTopics::default().with_name(name("events")).with_partition_indexes(vec![0, 3]);
        let asked = |topics| {
            let asked = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(topics);
            if version >= 9 { asked.with_member_id(Some(text("me-1"))).with_member_epoch(4) } else { asked }
        };
        let body = wire::OffsetFetchRequest::default().with_groups(vec![asked(Some(vec![topic])), asked(None)]).with_require_stable(true);
        let group = |topics| offset_fetch::FetchGroup { group: "readers", topics };
        let expected = offset_fetch::OffsetFetch { groups: vec![group(Some(read())), group(None)] };
        check(9, version, &body, &Request::OffsetFetch(expected));
    }
}

#[test]
fn unknown_tags_are_stepped_over() {
    let body = fetch_body(12).with_unknown_tagged_field(40, Bytes::from_static(b"later"));
    assert!(read_frame(&frame(1, 12, &body)).is_ok());
}

/// A flexible header, then the bytes.
fn hostile(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(1);
    frame.put_i16(-1); // no client id
    if version >= Api::find(key).expect("a key of the table").flexible_min {
        frame.put_u8(0);
    }
    frame.extend_from_slice(body);
    frame
}

#[test]
fn array_count_beyond_the_frame_reserves_nothing() {
    // Metadata 1: a count of 2^31 - 1 topics, and nothing behind it.
    let rejected = read_frame(&hostile(3, 1, &i32::MAX.to_be_bytes()));
    assert_eq!(rejected, Err(Rejected::Short { wanted_bytes: 2 * 2_147_483_647, left_bytes: 0 }));
    // Metadata 9: the largest compact count.
    let rejected = read_frame(&hostile(3, 9, &[0xff, 0xff, 0xff, 0xff, 0x0f]));
    assert!(matches!(rejected, Err(Rejected::Short { left_bytes: 0, .. })));
}

#[test]
fn tag_count_beyond_the_frame_ends_at_the_frame() {
    // ApiVersions 3: two empty strings, then 2^32 - 1 tagged fields that are not there.
    let rejected = read_frame(&hostile(18, 3, &[1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f]));
    assert!(matches!(rejected, Err(Rejected::Short { .. })));
}

#[test]
fn endless_varint_is_refused() {
    let rejected = read_frame(&hostile(3, 9, &[0xff; 8]));
    assert_eq!(rejected, Err(Rejected::Varint));
}

#[test]
fn negative_lengths_other_than_null_are_refused() {
    let rejected = read_frame(&hostile(3, 1, &(-2i32).to_be_bytes()));
    assert_eq!(rejected, Err(Rejected::Length));
    let rejected = read_frame(&hostile(10, 0, &(-2i16).to_be_bytes()));
    assert_eq!(rejected, Err(Rejected::Length));
}

#[test]
fn null_where_none_is_allowed_is_refused() {
    let rejected = read_frame(&hostile(10, 0, &(-1i16).to_be_bytes()));
    assert_eq!(rejected, Err(Rejected::Null));
    let rejected = read_frame(&hostile(3, 0, &(-1i32).to_be_bytes()));
    assert_eq!(rejected, Err(Rejected::Null));
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let rejected = read_frame(&hostile(10, 0, &[0, 2, 0xc3, 0x28]));
    assert_eq!(rejected, Err(Rejected::NotUtf8));
}

#[test]
fn more_elements_than_the_limit_are_refused() {
    let count = ELEMENTS_MAX + 1;
    let mut body = Vec::new();
    body.put_i32(i32::try_from(count).expect("a small limit"));
    body.resize(4 + count * 2, 0); // empty names
    let rejected = read_frame(&hostile(3, 1, &body));
    assert_eq!(rejected, Err(Rejected::TooMany { elements: count }));
}

#[test]
fn reserving_most_for_the_least_input_stays_below_the_factor() {
    // As many one-byte keys, flexible topics or metadata names as fit: the dearest arrays there are.
    for (key, version, fixed) in [
        (10, 4, &[0u8][..]),
        (3, 9, &[]),
        (1, 12, &[0; 25]),
        (0, 9, &[0; 7]),
        (8, 8, &[1, 0, 0, 0, 0, 1, 0]),
        (9, 8, &[]),
        (11, 6, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]),
        (13, 4, &[1]),
        (14, 4, &[1, 0, 0, 0, 0, 1, 0]),
    ] {
        let count = 10_000u32;
        let mut body = fixed.to_vec();
        body.extend([0x91, 0x4e]); // compact count + 1
        assert_eq!(0x11 + (0x4e << 7), count + 1, "the varint above");
        body.resize(body.len() + 30_000, 0);
        let frame = hostile(key, version, &body);
        // Whatever comes of it, `read_frame` asserts the factor; null names end most of them early.
        if let Ok(reserved_bytes) = read_frame(&frame) {
            assert!(reserved_bytes <= frame.len() * RESERVED_FACTOR_MAX);
        }
    }
}

fn a_key_and_version() -> impl Strategy<Value = (i16, i16)> {
    (0..TABLE.len()).prop_flat_map(|line| {
        let api = &TABLE[line];
        api.versions.clone().prop_map(|version| (api.number, version))
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_or_reserve_too_much(
        bytes in proptest::collection::vec(any::<u8>(), 0..2048),
    ) {
        let _ = read_frame(&bytes);
    }

    #[test]
    fn arbitrary_bodies_never_panic_or_reserve_too_much(
        (key, version) in a_key_and_version(),
        body in proptest::collection::vec(any::<u8>(), 0..2048),
    ) {
        let _ = read_frame(&hostile(key, version, &body));
    }

    #[test]
    fn damaged_fetches_never_panic_or_reserve_too_much(
        version in 4i16..=12,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = frame(1, version, &fetch_body(version)).to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read_frame(&bytes);
    }
}

#[test]
fn corpus_of_the_fuzzer_is_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/request");
    let mut seeds = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus folder") {
        let path = entry.expect("an entry").path();
        let frame = std::fs::read(&path).expect("a corpus file");
        let read = read_frame(&frame);
        // Seeds are named after what they are; what a fuzzer adds may be anything.
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if TABLE.iter().any(|api| file.starts_with(api.name)) {
            seeds += 1;
            assert!(read.is_ok(), "{file}: {read:?}");
        }
    }
    let versions: usize = TABLE.iter().map(|api| api.versions.clone().count()).sum();
    assert_eq!(seeds, versions, "one seed a request and version");
}
