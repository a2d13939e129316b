//! Group requests in every version, and committed offsets through the stream. Time is paused.

use kafka_protocol::messages as wire;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use tokio::time::Instant;

use super::*;
use crate::groups::coordinator::State;
use crate::kafka::ErrorCode;
use crate::store::Store;
use headworks_format::committed::{METADATA_BYTES_MAX, STREAM};

const MEMBER_ID_REQUIRED: i16 = 79;

fn group() -> wire::GroupId {
    wire::GroupId(text("readers"))
}

fn log() -> MemoryLog {
    MemoryLog::default().with_topic("events", 2)
}

/// A broker that has read what is committed.
async fn ready(log: &MemoryLog) -> (Broker<MemoryLog>, watch::Sender<bool>) {
    let (broker, close) = broker(log, Limits::default());
    broker.committed.follow(&broker.store).await.expect("the stream is read");
    (broker, close)
}

/// The answer to a request while the coordinator keeps time.
async fn timed<R: Request>(broker: &Broker<MemoryLog>, version: i16, body: &R) -> R::Response {
    tokio::select! {
        answer = ask(broker, version, body) => answer,
        () = broker.desk.run() => unreachable!("the desk never ends"),
    }
}

fn join(version: i16, member: &str) -> wire::JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::from_static(b"all"));
    wire::JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(if version >= 1 { 30_000 } else { -1 })
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

/// Joins, by two requests where that version wants them: id and generation.
async fn joined(broker: &Broker<MemoryLog>, version: i16) -> (String, i32) {
    let mut response = timed(broker, version, &join(version, "")).await;
    if version >= 4 {
        assert_eq!(response.error_code, MEMBER_ID_REQUIRED, "version {version}");
        response = timed(broker, version, &join(version, &response.member_id)).await;
    }
    assert_eq!((response.error_code, response.protocol_name.as_deref()), (0, Some("range")), "version {version}");
    assert_eq!((&response.leader, response.members.len()), (&response.member_id, 1), "version {version}");
    assert_eq!(response.members[0].metadata, "all");
    assert_eq!(response.protocol_type.as_deref(), (version >= 7).then_some("consumer"));
    (response.member_id.to_string(), response.generation_id)
}

fn commit(member: &str, generation: i32, partitions: &[(i32, i64, &str)]) -> wire::OffsetCommitRequest {
    let partition = |(number, offset, metadata): &(i32, i64, &str)| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(*number)
            .with_committed_offset(*offset)
            .with_committed_metadata(Some(text(metadata)))
    };
    let topic = OffsetCommitRequestTopic::default().with_name(name("events")).with_partitions(partitions.iter().map(partition).collect());
    wire::OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(member))
        .with_topics(vec![topic])
}

fn codes(response: &wire::OffsetCommitResponse) -> Vec<i16> {
    response.topics.iter().flat_map(|topic| topic.partitions.iter().map(|partition| partition.error_code)).collect()
}

/// Group error, then partition, offset, epoch, text and error of each partition; all partitions where none are named.
type Fetched = (i16, Vec<(i32, i64, i32, String, i16)>);

async fn fetched(broker: &Broker<MemoryLog>, version: i16, partitions: Option<Vec<i32>>) -> Fetched {
    if version >= 8 {
        let topics = partitions
            .map(|partitions| vec![OffsetFetchRequestTopics::default().with_name(name("events")).with_partition_indexes(partitions)]);
        let asked = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(topics);
        let response = ask(broker, version, &wire::OffsetFetchRequest::default().with_groups(vec![asked])).await;
        let group = &response.groups[0];
        let partitions = group.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| {
            let metadata = partition.metadata.as_deref().unwrap_or_default().to_owned();
            (partition.partition_index, partition.committed_offset, partition.committed_leader_epoch, metadata, partition.error_code)
        });
        return (group.error_code, partitions.collect());
    }
    let topics =
        partitions.map(|partitions| vec![OffsetFetchRequestTopic::default().with_name(name("events")).with_partition_indexes(partitions)]);
    let response = ask(broker, version, &wire::OffsetFetchRequest::default().with_group_id(group()).with_topics(topics)).await;
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| {
        let metadata = partition.metadata.as_deref().unwrap_or_default().to_owned();
        (partition.partition_index, partition.committed_offset, partition.committed_leader_epoch, metadata, partition.error_code)
    });
    (response.error_code, partitions.collect())
}

#[tokio::test(start_paused = true)]
async fn a_member_joins_syncs_lives_and_leaves_in_every_version() {
    let (broker, _close) = ready(&log()).await;
    for version in 0..=9 {
        let (member, generation) = joined(&broker, version).await;
        let sync = version.min(5);
        let assignment = SyncGroupRequestAssignment::default().with_member_id(text(&member)).with_assignment(Bytes::from_static(b"mine"));
        let request = wire::SyncGroupRequest::default()
            .with_group_id(group())
            .with_generation_id(generation)
            .with_member_id(text(&member))
            .with_protocol_type((sync >= 5).then(|| text("consumer")))
            .with_protocol_name((sync >= 5).then(|| text("range")))
            .with_assignments(vec![assignment]);
        let response = timed(&broker, sync, &request).await;
        assert_eq!((response.error_code, &response.assignment[..]), (0, &b"mine"[..]), "version {sync}");
        let heartbeat = wire::HeartbeatRequest::default().with_group_id(group()).with_member_id(text(&member));
        let alive = ask(&broker, version.min(4), &heartbeat.clone().with_generation_id(generation)).await;
        assert_eq!(alive.error_code, 0);
        let over = ask(&broker, version.min(4), &heartbeat.with_generation_id(generation + 1)).await;
        assert_eq!(over.error_code, ErrorCode::IllegalGeneration.number());
        let leave = version.min(5);
        let request = wire::LeaveGroupRequest::default().with_group_id(group());
        let request = if leave >= 3 {
            let leaver = |id: &str| MemberIdentity::default().with_member_id(text(id));
            request.with_members(vec![leaver(&member), leaver("nobody")])
        } else {
            request.with_member_id(text(&member))
        };
        let response = timed(&broker, leave, &request).await;
        assert_eq!(response.error_code, 0);
        let each: Vec<_> = response.members.iter().map(|member| member.error_code).collect();
        assert_eq!(each, if leave >= 3 { vec![0, 25] } else { Vec::new() }, "version {leave}");
        assert_eq!(broker.desk.coordinator().state("readers"), State::Empty);
    }
}

#[tokio::test(start_paused = true)]
async fn offsets_are_committed_and_fetched_in_every_version() {
    let log = log();
    let (broker, _close) = ready(&log).await;
    for version in 2..=9 {
        let offset = i64::from(version) * 10;
        let response = ask(&broker, version, &commit("", -1, &[(0, offset, "note"), (1, offset + 1, ""), (9, 1, "")])).await;
        assert_eq!(codes(&response), [0, 0, 3], "version {version}");
        for fetch in 1..=9 {
            let (error, found) = fetched(&broker, fetch, Some(vec![0, 1, 7])).await;
            let expected = [(0, offset, "note"), (1, offset + 1, ""), (7, -1, "")];
            let expected = expected.map(|(partition, offset, metadata)| (partition, offset, -1, metadata.to_owned(), 0));
            assert_eq!((error, found), (0, expected.to_vec()), "commit {version}, fetch {fetch}");
            if fetch >= 2 {
                assert_eq!(fetched(&broker, fetch, None).await, (0, expected[..2].to_vec()), "all, fetch {fetch}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn committed_offsets_are_what_the_stream_says() {
    let log = log();
    let (first, _close) = ready(&log).await;
    for offset in 0..50 {
        let response = ask(&first, 8, &commit("", -1, &[(offset % 2, i64::from(offset), "x")])).await;
        assert_eq!(codes(&response), [0]);
    }
    let expected = (0, vec![(0, 48, -1, "x".to_owned(), 0), (1, 49, -1, "x".to_owned(), 0)]);
    assert_eq!(fetched(&first, 7, None).await, expected);
    // Another broker over the same log, as after a restart; and the first one goes on where somebody else appended.
    let (second, _close) = ready(&log).await;
    assert_eq!(fetched(&second, 7, None).await, expected);
    ask(&second, 8, &commit("", -1, &[(0, 7, "back")])).await;
    first.committed.follow(&first.store).await.expect("read");
    assert_eq!(fetched(&first, 7, Some(vec![0])).await, (0, vec![(0, 7, -1, "back".to_owned(), 0)]));
}

#[tokio::test]
async fn what_is_asked_for_twice_is_answered_once() {
    let log = log();
    let (broker, _close) = ready(&log).await;
    ask(&broker, 8, &commit("", -1, &[(0, 1, "here"), (1, 2, "there")])).await;
    let expected = vec![(1, 2, -1, "there".to_owned(), 0), (0, 1, -1, "here".to_owned(), 0)];
    for version in [7, 9] {
        assert_eq!(fetched(&broker, version, Some(vec![1, 0, 1, 1])).await, (0, expected.clone()), "version {version}");
    }
    let all = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None);
    let response = ask(&broker, 9, &wire::OffsetFetchRequest::default().with_groups(vec![all; 20])).await;
    assert_eq!(response.groups.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_member_names_few_ways_of_assigning() {
    let (broker, _close) = ready(&log()).await;
    let named = |count: usize| {
        let protocol = |number| JoinGroupRequestProtocol::default().with_name(text(&format!("way-{number}")));
        join(3, "").with_protocols((0..count).map(protocol).collect())
    };
    assert_eq!(timed(&broker, 3, &named(33)).await.error_code, ErrorCode::InvalidRequest.number());
    assert_eq!(timed(&broker, 3, &named(32)).await.error_code, 0);
}

/// Static members alone are waited for again and again; a member that asks for no time at all is given some, and others their turn.
#[tokio::test(start_paused = true)]
async fn a_member_that_leaves_others_no_time_costs_nobody_else_any() {
    let (broker, _close) = ready(&log()).await;
    let long = |member: &str| join(5, member).with_session_timeout_ms(1_800_000).with_group_instance_id(Some(text("a")));
    let first = timed(&broker, 5, &long("")).await;
    let sync = wire::SyncGroupRequest::default().with_group_id(group()).with_generation_id(first.generation_id);
    timed(&broker, 3, &sync.with_member_id(first.member_id.clone()).with_group_instance_id(Some(text("a")))).await;
    timed(&broker, 5, &long("").with_rebalance_timeout_ms(0)).await;
    timed(&broker, 3, &join(3, "").with_rebalance_timeout_ms(0)).await;
    // The second one never asks for its assignment; ten minutes later somebody else is served still.
    tokio::select! {
        () = tokio::time::sleep(std::time::Duration::from_secs(600)) => {}
        () = broker.desk.run() => unreachable!("the desk never ends"),
    }
    assert_eq!(timed(&broker, 3, &join(3, "").with_group_id(wire::GroupId(text("others")))).await.error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_answered_when_it_is_committed_and_not_before() {
    let log = log();
    let (broker, _close) = ready(&log).await;
    ask(&broker, 8, &commit("", -1, &[(0, 1, "")])).await;
    log.hold();
    let begun = Instant::now();
    let request = commit("", -1, &[(0, 2, "")]);
    let later = async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        assert_eq!(fetched(&broker, 7, Some(vec![0])).await.1[0].1, 1, "nobody sees what is not committed");
        log.commit(STREAM, 0);
    };
    let (response, ()) = tokio::join!(ask(&broker, 8, &request), later);
    assert_eq!((codes(&response), begun.elapsed().as_secs()), (vec![0], 2));
    assert_eq!(fetched(&broker, 7, Some(vec![0])).await.1[0].1, 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_answered_before_what_is_committed_is_known() {
    let log = log();
    let (before, _close) = ready(&log).await;
    ask(&before, 8, &commit("", -1, &[(0, 5, "")])).await;
    let (broker, _close) = broker(&log, Limits::default());
    let loading = ErrorCode::CoordinatorLoadInProgress.number();
    for version in 0..=9 {
        assert_eq!(timed(&broker, version, &join(version, "")).await.error_code, loading);
    }
    let request = wire::SyncGroupRequest::default().with_group_id(group()).with_member_id(text("m"));
    assert_eq!(
        timed(&broker, 5, &request.with_protocol_type(Some(text("c"))).with_protocol_name(Some(text("r")))).await.error_code,
        loading
    );
    let request = wire::HeartbeatRequest::default().with_group_id(group()).with_member_id(text("m"));
    assert_eq!(ask(&broker, 4, &request).await.error_code, loading);
    let request = wire::LeaveGroupRequest::default().with_group_id(group());
    assert_eq!(ask(&broker, 4, &request).await.error_code, loading);
    assert_eq!(codes(&ask(&broker, 8, &commit("", -1, &[(0, 6, "")])).await), [loading]);
    for version in 1..=9 {
        let (error, found) = fetched(&broker, version, Some(vec![0])).await;
        let expected = if version >= 2 { (loading, Vec::new()) } else { (0, vec![(0, -1, -1, String::new(), loading)]) };
        assert_eq!((error, found), expected, "version {version}");
    }
    broker.committed.follow(&broker.store).await.expect("read");
    assert_eq!(fetched(&broker, 7, Some(vec![0])).await.1[0].1, 5);
}

#[tokio::test(start_paused = true)]
async fn a_commit_is_for_members_and_for_nobody_where_there_are_none() {
    let (broker, _close) = ready(&log()).await;
    let (member, generation) = joined(&broker, 5).await;
    let sync = wire::SyncGroupRequest::default().with_group_id(group()).with_generation_id(generation).with_member_id(text(&member));
    assert_eq!(codes(&ask(&broker, 7, &commit(&member, generation, &[(0, 1, "")])).await), [27], "before it is assigned anything");
    timed(&broker, 3, &sync).await;
    for (member, generation, code) in
        [(member.as_str(), generation, 0), (&member, generation + 1, 22), ("nobody", generation, 25), ("", -1, 25)]
    {
        assert_eq!(codes(&ask(&broker, 7, &commit(member, generation, &[(0, 1, "")])).await), [code], "{member} {generation}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_beyond_a_limit_is_refused_by_its_name() {
    let log = log();
    let limits = Limits { committed_offsets_max: 2, ..Limits::default() };
    let (broker, _close) = broker(&log, limits);
    broker.committed.follow(&broker.store).await.expect("read");
    let long = "x".repeat(METADATA_BYTES_MAX + 1);
    let response = ask(&broker, 8, &commit("", -1, &[(0, 1, &long), (1, 1, &long[1..])])).await;
    assert_eq!(codes(&response), [ErrorCode::OffsetMetadataTooLarge.number(), 0]);
    assert_eq!(codes(&ask(&broker, 8, &commit("", -1, &[(0, 1, "")])).await), [0]);
    let other = commit("", -1, &[(0, 1, "")]).with_group_id(wire::GroupId(text("others")));
    assert_eq!(codes(&ask(&broker, 8, &other).await), [ErrorCode::InvalidCommitOffsetSize.number()]);
    assert_eq!(codes(&ask(&broker, 8, &commit("", -1, &[(0, 2, "")])).await), [0], "what is there may change");
    for bad in ["", &"g".repeat(250)] {
        let request = commit("", -1, &[(0, 1, "")]).with_group_id(wire::GroupId(text(bad)));
        assert_eq!(codes(&ask(&broker, 8, &request).await), [ErrorCode::InvalidGroupId.number()]);
        assert_eq!(timed(&broker, 3, &join(3, "").with_group_id(wire::GroupId(text(bad)))).await.error_code, 24);
    }
    let nameless = join(9, "").with_group_instance_id(Some(text("")));
    assert_eq!(timed(&broker, 9, &nameless).await.error_code, ErrorCode::InvalidRequest.number());
}

#[tokio::test(start_paused = true)]
async fn a_static_member_keeps_its_place_over_a_restart() {
    let (broker, _close) = ready(&log()).await;
    let named = |member: &str| join(5, member).with_group_instance_id(Some(text("one")));
    let first = timed(&broker, 5, &named("")).await;
    assert_eq!((first.error_code, first.members[0].group_instance_id.as_deref()), (0, Some("one")));
    let sync = wire::SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(first.generation_id)
        .with_member_id(first.member_id.clone())
        .with_group_instance_id(Some(text("one")));
    assert_eq!(timed(&broker, 3, &sync).await.error_code, 0);
    let second = timed(&broker, 5, &named("")).await;
    assert_eq!((second.error_code, second.generation_id), (0, first.generation_id));
    let heartbeat = wire::HeartbeatRequest::default()
        .with_group_id(group())
        .with_generation_id(first.generation_id)
        .with_group_instance_id(Some(text("one")));
    let old = ask(&broker, 3, &heartbeat.clone().with_member_id(first.member_id)).await;
    assert_eq!(old.error_code, ErrorCode::FencedInstanceId.number());
    assert_eq!(ask(&broker, 3, &heartbeat.with_member_id(second.member_id)).await.error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn the_stream_is_made_by_the_first_commit_and_is_no_clients_to_write() {
    use wire::metadata_request::MetadataRequestTopic;
    let log = log();
    let (broker, _close) = ready(&log).await;
    let create =
        wire::create_topics_request::CreatableTopic::default().with_name(name(STREAM)).with_num_partitions(1).with_replication_factor(1);
    let made = ask(&broker, 5, &wire::CreateTopicsRequest::default().with_topics(vec![create])).await;
    assert_eq!(made.topics[0].error_code, ErrorCode::InvalidTopic.number());
    let asked = MetadataRequestTopic::default().with_name(Some(name(STREAM)));
    let by_name = wire::MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(true);
    assert_eq!(ask(&broker, 8, &by_name).await.topics[0].error_code, 3);
    assert!(log.state(STREAM, 0).is_none(), "asking makes no stream");
    ask(&broker, 8, &commit("", -1, &[(0, 1, "")])).await;
    for version in 0..=12 {
        let response = ask(&broker, version, &wire::MetadataRequest::default().with_topics((version == 0).then(Vec::new))).await;
        let internal: Vec<_> =
            response.topics.iter().map(|topic| (topic.name.as_ref().map(|name| name.to_string()), topic.is_internal)).collect();
        let expected = [(Some(STREAM.to_owned()), version >= 1), (Some("events".to_owned()), false)];
        assert_eq!(internal, expected, "version {version}");
    }
    let produced = ask(&broker, 8, &produce::request(-1, STREAM, 0, Some(produce::batch_of(1)))).await;
    assert_eq!(produced.responses[0].partition_responses[0].error_code, ErrorCode::InvalidTopic.number());
    assert_eq!(log.appended(STREAM, 0), 1);
}
