//! What the appliance says about itself, as plain numbers.
//!
//! The shapes of `/api/v1/ledger` and `/api/v1/status` are these structs as JSON; outside checks
//! read them, so a field may be added but none renamed. [`MetricsReport`] is the same idea for the
//! scrape: the binary fills in numbers, this crate knows the names and the format.
//!
//! Times are milliseconds since 1970 (UTC), counts are since the start of the appliance's books.

use std::collections::BTreeMap;

use serde::Serialize;

/// Counts by cause or reason, in a stable order.
pub type Counts = BTreeMap<String, u64>;

/// Body of `/api/v1/ledger`: where every packet went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LedgerReport {
    /// The run these books belong to.
    pub run: Run,
    /// One entry a listener and lane; Produce is the listener `kafka`.
    pub listeners: Vec<ListenerLedger>,
    /// One entry a lane.
    pub lanes: Vec<LaneLedger>,
    /// What the host's own counters say, for comparison; no part of the equations.
    pub host: Counts,
    /// Spans of time in which nobody counted (from the last durable block to ready, after a crash).
    pub unobserved: Vec<Span>,
    /// Sum of what the equations leave over; must be 0.
    pub imbalance: i64,
}

/// Which run of the appliance, and since when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Epoch of this run.
    pub epoch: u64,
    /// Start of the run, milliseconds since 1970.
    pub since: u64,
}

/// The books of one listener in one lane:
/// `arrived = sum(dropped) + received + pending`, `received = admitted + sum(shed) + dead_lettered`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ListenerLedger {
    /// Name from the config.
    pub name: String,
    /// Lane number.
    pub lane: u32,
    /// Whether `arrived` was counted independently of what was received.
    pub exact: bool,
    /// Packets that reached the socket, before the receive-buffer check.
    pub arrived: u64,
    /// Packets the kernel dropped, by cause.
    pub dropped: Counts,
    /// Packets that reached the appliance.
    pub received: u64,
    /// Records taken into the log.
    pub admitted: u64,
    /// Records refused, by reason.
    pub shed: Counts,
    /// Records put aside in a dead-letter stream.
    pub dead_lettered: u64,
    /// Arrived, and neither received nor known to be dropped yet.
    pub pending: u64,
}

/// The books of one lane's log: `admitted = durable + in_flight`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LaneLedger {
    /// Lane number.
    pub lane: u32,
    /// Records taken in.
    pub admitted: u64,
    /// Records covered by a completed fdatasync here.
    pub durable: u64,
    /// Records durable on every member of the in-sync set.
    pub committed: u64,
    /// Records admitted and not yet durable.
    pub in_flight: u64,
}

/// A span of time, milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Span {
    /// First moment.
    pub from: u64,
    /// Last moment.
    pub to: u64,
}

/// Body of `/api/v1/status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StatusReport {
    /// Name of the node.
    pub node: String,
    /// Version of the program.
    pub version: String,
    /// `single`, `primary`, `standby` and so on.
    pub role: String,
    /// Leader epoch.
    pub epoch: u64,
    /// Whether the appliance takes and serves packets.
    pub ready: bool,
    /// Seconds since the process started.
    pub uptime_seconds: u64,
    /// What is open, one entry a listener.
    pub listeners: Vec<ListenerStatus>,
    /// One entry a lane.
    pub lanes: Vec<LaneStatus>,
    /// One entry a stream (a topic, to a Kafka client).
    pub streams: Vec<StreamStatus>,
    /// One entry a volume.
    pub volumes: Vec<VolumeStatus>,
    /// One entry a peer; empty on a single node.
    pub peers: Vec<PeerStatus>,
    /// How the pair stands; `null` on a single node.
    pub pair: Option<PairStatus>,
    /// What was cut from logs and is kept.
    pub quarantine: QuarantineStatus,
    /// Blocks that cannot be read, as the last recovery found them.
    pub holes: HolesStatus,
    /// Consumer groups that have members or committed offsets.
    pub groups: Vec<GroupStatus>,
    /// What an operator should know, in whole sentences.
    pub warnings: Vec<String>,
}

/// One consumer group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// `Empty`, `PreparingRebalance`, `CompletingRebalance` or `Stable`.
    pub state: String,
    /// Its generation; 0 without members since the start.
    pub generation: i32,
    /// Its members.
    pub members: usize,
    /// Partitions for which it has committed an offset.
    pub committed: usize,
}

/// One open listener.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ListenerStatus {
    /// Name from the config.
    pub name: String,
    /// `udp`, `tcp`, `kafka`, `http`.
    pub kind: String,
    /// Address as bound.
    pub address: String,
    /// Stream it fills, where it fills one.
    pub stream: Option<String>,
}

/// Positions of one lane: block sequences, `sealed ≥ submitted ≥ written ≥ durable ≥ committed`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LaneStatus {
    /// Lane number.
    pub lane: u32,
    /// Closed by the ingest loop.
    pub sealed: u64,
    /// Handed to the kernel.
    pub submitted: u64,
    /// Contiguously written.
    pub written: u64,
    /// Covered by a completed fdatasync.
    pub durable: u64,
    /// Durable on the whole in-sync set.
    pub committed: u64,
    /// Share of the ring's slots in use, 0 to 1.
    pub ring_occupancy: f64,
}

/// One stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StreamStatus {
    /// Name, also the topic's.
    pub name: String,
    /// One entry a partition.
    pub partitions: Vec<PartitionStatus>,
}

/// Offsets of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PartitionStatus {
    /// Partition number.
    pub partition: i32,
    /// Offset of the oldest record held.
    pub log_start: i64,
    /// One past the newest committed record.
    pub high_watermark: i64,
}

/// One volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VolumeStatus {
    /// Data directory.
    pub path: String,
    /// Bytes free in its file system.
    pub free_bytes: u64,
    /// Size of its file system in bytes.
    pub total_bytes: u64,
    /// Bytes our segments take.
    pub segment_bytes: u64,
}

/// One peer.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PeerStatus {
    /// Name of the peer.
    pub name: String,
    /// Where its Kafka clients reach it.
    pub address: String,
    /// Whether every lane has its connection.
    pub connected: bool,
    /// Whether the in-sync set holds it.
    pub in_sync: bool,
    /// Bytes it is behind, as far as this node knows: a standby does not know of its primary, and says 0.
    pub lag_bytes: u64,
    /// Seconds it is behind.
    pub lag_seconds: f64,
}

/// How the pair stands, as this node sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PairStatus {
    /// The register as last seen; `null` before the first look.
    pub register: Option<RegisterStatus>,
    /// Who keeps it.
    pub arbiter: ArbiterStatus,
    /// On a primary the level that records reach before they are committed: `peer-disk`, `disk` while it is alone, or `none` while it
    /// waits for the other node.
    pub level: Option<String>,
    /// Records that were committed while this node was alone, since the process started.
    pub solo_records: u64,
    /// Bytes that are durable here and not committed.
    pub uncommitted_bytes: u64,
    /// How long the other node was silent.
    pub silence: SilenceStatus,
    /// Connections, messages and blocks of the other node, or of strangers, that were refused.
    pub links_rejected: u64,
    /// How often this node has begun to lead, by cause.
    pub failovers: Counts,
    /// Whether this node's disk has failed: it does not lead until it is repaired.
    pub needs_repair: bool,
    /// Whether the other node is not there, and an operator has to say whether this one goes on without it.
    pub awaits_operator: bool,
}

/// The pair's register.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RegisterStatus {
    /// Counts its changes.
    pub version: u64,
    /// Epoch of its primary.
    pub epoch: u64,
    /// Name of its primary.
    pub primary: String,
    /// Names of who is in sync, the primary first.
    pub in_sync: Vec<String>,
    /// `auto`, `manual`, `vouched` (by hand, and the primary is left alone) or `frozen`.
    pub mode: String,
}

/// Who keeps the register.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ArbiterStatus {
    /// `witness` or `manual`.
    pub kind: String,
    /// Whether it answered when it was asked last.
    pub reachable: bool,
    /// Why it is not trusted, in a sentence; `null` if it is.
    pub frozen: Option<String>,
}

/// Silences of the other node while it was connected.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SilenceStatus {
    /// The longest, since the process started.
    pub max_seconds: f64,
    /// From which on it counts as gone.
    pub limit_seconds: f64,
}

/// The folder `quarantine` of the data directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QuarantineStatus {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Blocks that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct HolesStatus {
    /// Of which the other node may have copies.
    pub pending: u64,
    /// Of which nobody has one.
    pub lost: u64,
    /// Healed from the other node since this node started.
    pub healed: u64,
}

/// The numbers of one scrape. What is empty is left out of the text: a metric that no part of this
/// release counts does not stand there as a zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricsReport {
    /// `headworks_tcp_connections{listener,lane}`.
    pub connections: Vec<ListenerLaneCount>,
    /// `headworks_tcp_connections_ended_total{listener,reason}`.
    pub connections_ended: Vec<CauseCount>,
    /// `headworks_tcp_accept_failures_total{listener,lane}`.
    pub accepts_failed: Vec<ListenerLaneCount>,
    /// `headworks_arrived_packets_total{listener,lane}`.
    pub arrived_packets: Vec<ListenerLaneCount>,
    /// `headworks_rx_packets_total{listener,lane}`.
    pub received_packets: Vec<ListenerLaneCount>,
    /// `headworks_rx_bytes_total{listener,lane}`.
    pub received_bytes: Vec<ListenerLaneCount>,
    /// `headworks_rx_drops_total{listener,cause}`.
    pub dropped_packets: Vec<CauseCount>,
    /// `headworks_admitted_records_total{stream}`.
    pub admitted_records: Vec<NamedCount>,
    /// `headworks_shed_records_total{stream,reason}`.
    pub shed_records: Vec<CauseCount>,
    /// `headworks_dlq_records_total{stream,reason}`.
    pub dead_lettered_records: Vec<CauseCount>,
    /// `headworks_ring_occupancy_ratio{lane}`, 0 to 1.
    pub ring_occupancy: Vec<LaneRatio>,
    /// `headworks_segment_write_bytes_total{volume}`.
    pub segment_write_bytes: Vec<NamedCount>,
    /// `headworks_volume_free_bytes{volume}`.
    pub volume_free_bytes: Vec<NamedCount>,
    /// `headworks_fdatasync_duration_seconds`.
    pub fdatasync_duration: Option<HistogramReport>,
    /// `headworks_durable_latency_seconds`.
    pub durable_latency: Option<HistogramReport>,
    /// `headworks_consumed_bytes_total`: batches handed to consumers.
    pub consumed_bytes: u64,
    /// `headworks_consumed_copied_bytes_total`: of these, bytes that were copied in memory on the way.
    pub copied_bytes: u64,
    /// `headworks_log_position{lane,position}`, block sequences.
    pub log_positions: Vec<LanePosition>,
    /// `headworks_replication_lag_bytes{peer}` and `headworks_replication_lag_seconds{peer}`.
    pub replication_lag: Vec<PeerLag>,
    /// `headworks_peer_connected{peer}` and `headworks_peer_in_sync{peer}`.
    pub peers: Vec<PeerStatus>,
    /// `headworks_register_version` and what else there is to say of a pair.
    pub pair: Option<PairStatus>,
    /// `headworks_quarantine_files` and `headworks_quarantine_bytes`.
    pub quarantine: QuarantineStatus,
    /// `headworks_hole_blocks{state}`.
    pub holes: HolesStatus,
    /// `headworks_role{role}`, 1 for the role named.
    pub role: String,
    /// `headworks_epoch`.
    pub epoch: u64,
    /// `headworks_ledger_imbalance_records{listener}`; must be 0.
    pub ledger_imbalance: Vec<ListenerImbalance>,
    /// `headworks_consumer_lag_records{group,topic,partition}`.
    pub consumer_lag: Vec<ConsumerLag>,
    /// Label `version` of `headworks_build_info`.
    pub version: String,
}

/// A count of one listener in one lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerLaneCount {
    /// Name of the listener.
    pub listener: String,
    /// Lane number.
    pub lane: u32,
    /// The count.
    pub count: u64,
}

/// A count under an owner (a listener or a stream, as the field says) and a cause or reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CauseCount {
    /// Listener or stream.
    pub owner: String,
    /// Cause or reason.
    pub cause: String,
    /// The count.
    pub count: u64,
}

/// A count under one name (a stream, a volume, a cause, as the field says).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedCount {
    /// The name.
    pub name: String,
    /// The count.
    pub count: u64,
}

/// A share of one lane.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LaneRatio {
    /// Lane number.
    pub lane: u32,
    /// 0 to 1.
    pub ratio: f64,
}

/// One position of one lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LanePosition {
    /// Lane number.
    pub lane: u32,
    /// `sealed`, `submitted`, `written`, `durable` or `committed`.
    pub position: &'static str,
    /// Block sequence.
    pub block: u64,
}

/// How far a peer is behind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PeerLag {
    /// Name of the peer.
    pub peer: String,
    /// In bytes.
    pub bytes: u64,
    /// In seconds.
    pub seconds: f64,
}

/// What the equations of one listener leave over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerImbalance {
    /// Name of the listener.
    pub listener: String,
    /// Records; must be 0.
    pub records: i64,
}

/// How far a consumer group is behind on a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsumerLag {
    /// Group id.
    pub group: String,
    /// Topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// Records between the committed offset and the high watermark.
    pub records: i64,
}

/// A histogram as it is kept: upper bounds in seconds with *cumulative* counts, ascending.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistogramReport {
    /// `(upper bound in seconds, observations at or below it)`; the last bound need not be infinite.
    pub buckets: Vec<(f64, u64)>,
    /// Sum of all observations in seconds.
    pub sum_seconds: f64,
    /// Number of all observations, those above the last bound too.
    pub count: u64,
}
