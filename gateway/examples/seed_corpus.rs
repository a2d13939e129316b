//! Writes the fuzzer's first corpus: one frame of every request in every version, by the public
//! codec. `cargo run -p headworks-gateway --example seed_corpus`

use std::path::Path;
use std::{fs, io};

use bytes::{Bytes, BytesMut};
use headworks_gateway::kafka::versions::Api;
use kafka_protocol::messages as wire;
use kafka_protocol::messages::{RequestHeader, TopicName};
use kafka_protocol::protocol::{Request, StrBytes, encode_request_header_into_buffer};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/request");
    fs::create_dir_all(&folder)?;
    seed(&folder, |_| wire::ApiVersionsRequest::default())?;
    seed(&folder, |_| metadata())?;
    seed(&folder, |_| list_offsets())?;
    seed(&folder, |_| fetch())?;
    seed(&folder, |_| epochs())?;
    seed(&folder, find_coordinator)?;
    seed(&folder, |_| produce())?;
    seed(&folder, |_| wire::InitProducerIdRequest::default().with_transactional_id(None))?;
    seed(&folder, |_| create_topics())?;
    seed(&folder, join_group)?;
    seed(&folder, sync_group)?;
    seed(&folder, |_| wire::HeartbeatRequest::default().with_group_id(readers()).with_generation_id(1).with_member_id(text("me")))?;
    seed(&folder, leave_group)?;
    seed(&folder, |_| offset_commit())?;
    seed(&folder, offset_fetch)
}

fn seed<R: Request>(folder: &Path, body: impl Fn(i16) -> R) -> Result<(), Failure> {
    let api = Api::find(R::KEY).ok_or_else(|| io::Error::other(format!("key {} is not served", R::KEY)))?;
    for version in api.versions.clone() {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(1)
            .with_client_id(Some(text("seed")));
        let mut frame = BytesMut::new();
        encode_request_header_into_buffer(&mut frame, &header)?;
        body(version).encode(&mut frame, version)?;
        fs::write(folder.join(format!("{}-{version:02}", api.name)), &frame)?;
    }
    Ok(())
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn events() -> TopicName {
    TopicName(text("events"))
}

fn metadata() -> wire::MetadataRequest {
    let topic = wire::metadata_request::MetadataRequestTopic::default().with_name(Some(events()));
    wire::MetadataRequest::default().with_topics(Some(vec![topic.clone(), topic]))
}

fn list_offsets() -> wire::ListOffsetsRequest {
    use wire::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
    let topic = ListOffsetsTopic::default().with_name(events()).with_partitions(vec![ListOffsetsPartition::default().with_timestamp(-1)]);
    wire::ListOffsetsRequest::default().with_topics(vec![topic])
}

fn fetch() -> wire::FetchRequest {
    use wire::fetch_request::{FetchPartition, FetchTopic};
    let topic = FetchTopic::default().with_topic(events()).with_partitions(vec![FetchPartition::default(); 2]);
    wire::FetchRequest::default().with_max_wait_ms(500).with_topics(vec![topic])
}

fn epochs() -> wire::OffsetForLeaderEpochRequest {
    use wire::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
    let topic = OffsetForLeaderTopic::default().with_topic(events()).with_partitions(vec![OffsetForLeaderPartition::default()]);
    wire::OffsetForLeaderEpochRequest::default().with_topics(vec![topic])
}

fn find_coordinator(version: i16) -> wire::FindCoordinatorRequest {
    let request = wire::FindCoordinatorRequest::default();
    if version >= 4 { request.with_coordinator_keys(vec![text("group")]) } else { request.with_key(text("group")) }
}

fn produce() -> wire::ProduceRequest {
    use wire::produce_request::{PartitionProduceData, TopicProduceData};
    let records = Some(Bytes::from_static(b"records"));
    let topic =
        TopicProduceData::default().with_name(events()).with_partition_data(vec![PartitionProduceData::default().with_records(records)]);
    wire::ProduceRequest::default().with_acks(1).with_topic_data(vec![topic])
}

fn create_topics() -> wire::CreateTopicsRequest {
    use wire::create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig};
    let assignment = CreatableReplicaAssignment::default().with_broker_ids(vec![wire::BrokerId(1)]);
    let setting = CreatableTopicConfig::default().with_name(text("cleanup.policy")).with_value(Some(text("delete")));
    let topic =
        CreatableTopic::default().with_name(events()).with_num_partitions(4).with_assignments(vec![assignment]).with_configs(vec![setting]);
    wire::CreateTopicsRequest::default().with_topics(vec![topic])
}

fn readers() -> wire::GroupId {
    wire::GroupId(text("readers"))
}

fn join_group(version: i16) -> wire::JoinGroupRequest {
    use wire::join_group_request::JoinGroupRequestProtocol;
    let protocol = |name| JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(Bytes::from_static(b"metadata"));
    let request = wire::JoinGroupRequest::default()
        .with_group_id(readers())
        .with_session_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol("range"), protocol("sticky")]);
    if version >= 1 { request.with_rebalance_timeout_ms(30_000) } else { request }
}

fn sync_group(version: i16) -> wire::SyncGroupRequest {
    use wire::sync_group_request::SyncGroupRequestAssignment;
    let assignment = SyncGroupRequestAssignment::default().with_member_id(text("me")).with_assignment(Bytes::from_static(b"mine"));
    let request = wire::SyncGroupRequest::default()
        .with_group_id(readers())
        .with_generation_id(1)
        .with_member_id(text("me"))
        .with_assignments(vec![assignment]);
    if version >= 3 { request.with_group_instance_id(Some(text("name"))) } else { request }
}

fn leave_group(version: i16) -> wire::LeaveGroupRequest {
    use wire::leave_group_request::MemberIdentity;
    let request = wire::LeaveGroupRequest::default().with_group_id(readers());
    if version >= 3 {
        request.with_members(vec![MemberIdentity::default().with_member_id(text("me")); 2])
    } else {
        request.with_member_id(text("me"))
    }
}

fn offset_commit() -> wire::OffsetCommitRequest {
    use wire::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
    let partition = OffsetCommitRequestPartition::default().with_committed_offset(7).with_committed_metadata(Some(text("note")));
    let topic = OffsetCommitRequestTopic::default().with_name(events()).with_partitions(vec![partition; 2]);
    wire::OffsetCommitRequest::default().with_group_id(readers()).with_member_id(text("me")).with_topics(vec![topic])
}

fn offset_fetch(version: i16) -> wire::OffsetFetchRequest {
    use wire::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics};
    if version >= 8 {
        let topic = OffsetFetchRequestTopics::default().with_name(events()).with_partition_indexes(vec![0, 1]);
        let group = OffsetFetchRequestGroup::default().with_group_id(readers()).with_topics(Some(vec![topic]));
        return wire::OffsetFetchRequest::default().with_groups(vec![group]);
    }
    let topic = OffsetFetchRequestTopic::default().with_name(events()).with_partition_indexes(vec![0, 1]);
    wire::OffsetFetchRequest::default().with_group_id(readers()).with_topics(Some(vec![topic]))
}
