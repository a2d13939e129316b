//! What the node shows of itself: ledger, status, metrics. Every answer is made of published counters; nothing waits.

use super::pair::standing::Standing;
use headworks_gateway::cluster::Cluster;
use headworks_gateway::http::Observed;
use headworks_gateway::http::administration::Act;
use headworks_gateway::http::report::{
    CauseCount, HistogramReport, HolesStatus, LaneLedger, LanePosition, LaneRatio, LaneStatus, LedgerReport, ListenerImbalance,
    ListenerLaneCount, ListenerLedger, ListenerStatus, MetricsReport, NamedCount, PairStatus, PartitionStatus, PeerLag, PeerStatus,
    QuarantineStatus, Run, Span, StatusReport, StreamStatus, VolumeStatus,
};
use headworks_gateway::lanes::Reads;
use headworks_ingest::tcp::end::{NAMES, Tally};
use headworks_io::{Clock, Volume};
use headworks_lane::{Gauges, Snapshot};
use headworks_ledger::{Book, Counts};
use headworks_log::LaneView;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The books of one listener in one lane.
pub struct ListenerBook {
    /// The listener's name.
    pub listener: String,
    /// Its stream.
    pub stream: String,
    /// The lane.
    pub lane: u32,
    /// The counters.
    pub book: Book,
    /// A TCP listener's connections.
    pub tally: Option<Arc<Tally>>,
}

/// One lane, as it is watched.
pub struct WatchedLane {
    /// Its published state.
    pub view: Arc<LaneView>,
    /// Its gauges.
    pub gauges: Gauges,
    /// Its ring's slots.
    pub slots: u64,
    /// Its counters when this node began to lead.
    pub carried: OnceLock<Counts>,
}

/// Everything that is watched; shared by the gateway and the run.
pub struct Watched {
    /// The node's name.
    pub node: String,
    /// When the node began to take in, or to follow: in ns since 1970.
    pub since_ns: AtomicU64,
    /// Books, once it leads.
    pub books: OnceLock<Vec<ListenerBook>>,
    /// Lanes.
    pub lanes: Vec<WatchedLane>,
    /// What is open.
    pub listeners: Vec<ListenerStatus>,
    /// The volume.
    pub volume: Arc<Volume>,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// What reading came to.
    pub reads: Reads,
    /// Intervals in which nobody listened, {from, to} in ns since 1970.
    pub unobserved: Mutex<Vec<(u64, u64)>>,
    /// Sentences for the operator.
    pub warnings: Mutex<Vec<String>>,
    /// 0 before the node is ready and once it drains; else when it became so, in ns since 1970.
    pub ready_ns: AtomicU64,
    /// The brokers, as clients are told.
    pub cluster: Cluster,
    /// Blocks that recovery could not read, those aside that were healed.
    pub holes: HolesStatus,
    /// Blocks healed from the other node.
    pub healed: Arc<AtomicU64>,
    /// How the pair stands, where there is one.
    pub standing: Option<Arc<Standing>>,
}

impl WatchedLane {
    fn carried(&self) -> Counts {
        self.carried.get().copied().unwrap_or_default()
    }
}

impl Watched {
    /// Books of every listener in every lane; none while the node does not lead.
    fn books(&self) -> &[ListenerBook] {
        self.books.get().map_or(&[], Vec::as_slice)
    }

    /// The epoch in which the node appends, or that it follows.
    fn epoch(&self) -> u64 {
        self.lanes.iter().map(|lane| u64::from(lane.view.epoch().0)).max().unwrap_or(0)
    }

    /// What the node is: `single`, or in a pair `starting`, `standby`, `primary`.
    fn role(&self) -> &'static str {
        self.standing.as_ref().map_or("single", |standing| standing.role())
    }

    /// Records committed in this run.
    pub fn committed(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.gauges.committed_records.load(Ordering::Acquire)).sum()
    }

    fn views(&self) -> impl Iterator<Item = &LaneView> {
        self.lanes.iter().map(|lane| &*lane.view)
    }

    fn pair(&self) -> Option<PairStatus> {
        self.standing.as_ref().map(|standing| standing.pair(self.views(), self.committed()))
    }

    fn peers(&self) -> Vec<PeerStatus> {
        self.standing.as_ref().map_or_else(Vec::new, |standing| standing.peers(self.views()))
    }

    /// What stands in quarantine. A folder that cannot be read is told in the log, and counts as empty.
    fn quarantine(&self) -> QuarantineStatus {
        let folder = self.volume.path().join("quarantine");
        let sizes = std::fs::read_dir(&folder).and_then(|entries| entries.map(|entry| Ok(entry?.metadata()?.len())).collect());
        let sizes: Vec<u64> = sizes.unwrap_or_else(|error| {
            tracing::warn!(%error, "{} cannot be looked into", folder.display());
            Vec::new()
        });
        QuarantineStatus { files: sizes.len() as u64, bytes: sizes.iter().sum() }
    }

    fn holes(&self) -> HolesStatus {
        HolesStatus { healed: self.healed.load(Ordering::Relaxed), ..self.holes }
    }

    fn since_ns(&self) -> u64 {
        self.since_ns.load(Ordering::Acquire)
    }

    fn unobserved(&self) -> Vec<Span> {
        let unobserved = self.unobserved.lock().unwrap_or_else(PoisonError::into_inner);
        unobserved.iter().map(|(from, to)| Span { from: ms(*from), to: ms(*to) }).collect()
    }
}

/// Adds what is wrong right now to what was found at start.
fn warnings(watched: &Watched) -> Vec<String> {
    let mut warnings = watched.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for lane in watched.lanes.iter().filter(|lane| lane.view.disk_full.load(Ordering::Acquire)) {
        warnings.push(format!(
            "lane {}: the volume is full; packets are shed and counted (disk_full) until space is freed or retention is lowered",
            lane.view.lane
        ));
    }
    warnings.extend(watched.standing.iter().flat_map(|standing| standing.warnings()));
    let unreadable = watched.reads.unreadable();
    if unreadable > 0 {
        warnings.push(format!("{unreadable} batches could not be read and were passed over; stop the node and run `headworks verify`"));
    }
    warnings
}

/// The seam that the gateway asks through.
#[derive(Clone)]
pub struct Observer(pub Arc<Watched>);

impl Observed for Observer {
    fn ledger(&self) -> LedgerReport {
        let watched = &self.0;
        // Committed, then durable, then admitted: each can only be more than the one before.
        let committed: Vec<u64> = watched.lanes.iter().map(|lane| lane.gauges.committed_records.load(Ordering::Acquire)).collect();
        let durable: Vec<u64> = watched.lanes.iter().map(|lane| lane.gauges.durable_records.load(Ordering::Acquire)).collect();
        let books: Vec<Counts> = watched.books().iter().map(|book| book.book.read()).collect();
        let carried = watched.lanes.iter().filter(|lane| lane.carried() != Counts::default());
        let listeners = watched.books().iter().zip(&books).map(|(book, counts)| listener_ledger(&book.listener, book.lane, counts));
        let carried = carried.map(|lane| listener_ledger("(earlier runs)", lane.view.lane.0, &lane.carried()));
        let lanes = watched.lanes.iter().zip(durable.iter().zip(&committed)).map(|(lane, (durable, committed))| {
            let own = watched.books().iter().zip(&books).filter(|(book, _)| book.lane == lane.view.lane.0);
            let admitted = lane.carried().admitted + own.map(|(_, counts)| counts.admitted).sum::<u64>();
            let (durable, committed) = (lane.carried().admitted + durable, lane.carried().admitted + committed);
            LaneLedger { lane: lane.view.lane.0, admitted, durable, committed, in_flight: admitted.saturating_sub(durable) }
        });
        let lanes: Vec<LaneLedger> = lanes.collect();
        let overdrawn: u64 = lanes.iter().map(|lane| lane.durable.saturating_sub(lane.admitted)).sum();
        let imbalance = books.iter().map(Counts::imbalance).sum::<u64>() + overdrawn;
        LedgerReport {
            run: Run { epoch: watched.epoch(), since: ms(watched.since_ns()) },
            listeners: listeners.chain(carried).collect(),
            lanes,
            host: host_udp(),
            unobserved: watched.unobserved(),
            imbalance: i64::try_from(imbalance).unwrap_or(i64::MAX),
        }
    }

    fn status(&self) -> StatusReport {
        let watched = &self.0;
        let now_ns = Clock.realtime_ns();
        let lane = |lane: &WatchedLane| {
            let positions = &lane.view.positions;
            let in_use = lane.gauges.ring_in_use.load(Ordering::Relaxed);
            let submitted = positions.submitted.load();
            LaneStatus {
                lane: lane.view.lane.0,
                sealed: submitted.max(positions.durable.load() + in_use),
                submitted,
                written: positions.written.load(),
                durable: positions.durable.load(),
                committed: positions.committed.load(),
                ring_occupancy: ratio(in_use, lane.slots),
            }
        };
        let mut streams: BTreeMap<String, Vec<PartitionStatus>> = BTreeMap::new();
        for lane in &watched.lanes {
            for (place, partition) in lane.view.partitions.iter().enumerate() {
                let status = PartitionStatus {
                    partition: partition.number.cast_signed(),
                    log_start: signed(lane.view.log_start(place)),
                    high_watermark: signed(partition.high_watermark()),
                };
                streams.entry(partition.stream.clone()).or_default().push(status);
            }
        }
        streams.values_mut().for_each(|partitions| partitions.sort_by_key(|status| status.partition));
        StatusReport {
            node: watched.node.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            role: watched.role().into(),
            epoch: watched.epoch(),
            ready: self.ready().is_ok(),
            uptime_seconds: now_ns.saturating_sub(watched.since_ns()) / 1_000_000_000,
            listeners: watched.listeners.clone(),
            lanes: watched.lanes.iter().map(lane).collect(),
            streams: streams.into_iter().map(|(name, partitions)| StreamStatus { name, partitions }).collect(),
            volumes: vec![volume(watched)],
            groups: Vec::new(),
            peers: watched.peers(),
            pair: watched.pair(),
            quarantine: watched.quarantine(),
            holes: watched.holes(),
            warnings: warnings(watched),
        }
    }

    fn ready(&self) -> Result<(), String> {
        match self.0.ready_ns.load(Ordering::Acquire) {
            0 => Err("the node is starting or draining".into()),
            _ => self.0.standing.as_ref().map_or(Ok(()), |standing| standing.ready()),
        }
    }

    fn administer(&self, act: &Act) -> Result<String, String> {
        let standing = self.0.standing.as_ref();
        standing.ok_or_else(|| "this is a single node: it has no pair ([pair] and [arbiter] make one)".to_owned())?.administer(act)
    }

    fn metrics(&self) -> MetricsReport {
        let watched = &self.0;
        let books: Vec<(&ListenerBook, Counts)> = watched.books().iter().map(|book| (book, book.book.read())).collect();
        let counts = |pick: fn(&Counts) -> u64| {
            books
                .iter()
                .map(|(book, counts)| ListenerLaneCount { listener: book.listener.clone(), lane: book.lane, count: pick(counts) })
                .collect()
        };
        let shed = books.iter().flat_map(|(book, counts)| {
            counts.shed().map(|(reason, count)| CauseCount { owner: book.stream.clone(), cause: reason.into(), count })
        });
        let dropped = books.iter().map(|(book, counts)| CauseCount {
            owner: book.listener.clone(),
            cause: "kernel_rcvbuf".into(),
            count: counts.dropped_kernel_rcvbuf,
        });
        let admitted = books.iter().map(|(book, counts)| (book.stream.clone(), counts.admitted));
        let volume = volume(watched);
        let path = volume.path.clone();
        let (peers, leads) = (watched.peers(), watched.role() == "primary");
        MetricsReport {
            connections: connections(watched.books(), Tally::open),
            accepts_failed: connections(watched.books(), Tally::accepts_failed),
            connections_ended: merged(watched.books().iter().flat_map(ended)),
            arrived_packets: counts(|counts| counts.arrived),
            received_packets: counts(|counts| counts.received),
            received_bytes: counts(|counts| counts.received_bytes),
            dropped_packets: merged(dropped),
            admitted_records: summed(admitted),
            shed_records: merged(shed),
            ring_occupancy: watched
                .lanes
                .iter()
                .map(|lane| LaneRatio { lane: lane.view.lane.0, ratio: ratio(lane.gauges.ring_in_use.load(Ordering::Relaxed), lane.slots) })
                .collect(),
            segment_write_bytes: vec![NamedCount {
                name: path.clone(),
                count: watched.lanes.iter().map(|lane| lane.gauges.written_bytes.load(Ordering::Relaxed)).sum(),
            }],
            volume_free_bytes: vec![NamedCount { name: path, count: volume.free_bytes }],
            fdatasync_duration: histogram(watched.lanes.iter().map(|lane| lane.gauges.sync_duration.snapshot())),
            durable_latency: histogram(watched.lanes.iter().map(|lane| lane.gauges.durable_latency.snapshot())),
            consumed_bytes: watched.reads.read_bytes(),
            copied_bytes: watched.reads.copied_bytes(),
            log_positions: watched.lanes.iter().flat_map(positions).collect(),
            role: watched.role().into(),
            epoch: watched.epoch(),
            replication_lag: lags(&peers, leads),
            peers,
            pair: watched.pair(),
            quarantine: watched.quarantine(),
            holes: watched.holes(),
            ledger_imbalance: books
                .iter()
                .map(|(book, counts)| ListenerImbalance { listener: book.listener.clone(), records: signed(counts.imbalance()) })
                .collect(),
            version: env!("CARGO_PKG_VERSION").into(),
            ..MetricsReport::default()
        }
    }
}

fn listener_ledger(name: &str, lane: u32, counts: &Counts) -> ListenerLedger {
    ListenerLedger {
        name: name.into(),
        lane,
        exact: counts.exact != 0,
        arrived: counts.arrived,
        dropped: BTreeMap::from([("kernel_rcvbuf".to_owned(), counts.dropped_kernel_rcvbuf)]),
        received: counts.received,
        admitted: counts.admitted,
        shed: counts.shed().iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
        dead_lettered: counts.dead_lettered,
        pending: counts.pending(),
    }
}

/// How far the peer is behind; only a primary knows.
fn lags(peers: &[PeerStatus], leads: bool) -> Vec<PeerLag> {
    let lag = |peer: &PeerStatus| PeerLag { peer: peer.name.clone(), bytes: peer.lag_bytes, seconds: peer.lag_seconds };
    peers.iter().filter(|_| leads).map(lag).collect()
}

/// A number of each TCP listener in each lane.
fn connections(books: &[ListenerBook], pick: fn(&Tally) -> u64) -> Vec<ListenerLaneCount> {
    let of = |book: &ListenerBook| {
        let count = pick(book.tally.as_deref()?);
        Some(ListenerLaneCount { listener: book.listener.clone(), lane: book.lane, count })
    };
    books.iter().filter_map(of).collect()
}

/// How often a TCP listener's connections ended for each reason.
fn ended(book: &ListenerBook) -> Vec<CauseCount> {
    let ended = book.tally.iter().flat_map(|tally| NAMES.into_iter().zip(tally.ended()));
    ended.map(|(reason, count)| CauseCount { owner: book.listener.clone(), cause: reason.into(), count }).collect()
}

fn positions(lane: &WatchedLane) -> Vec<LanePosition> {
    let positions = &lane.view.positions;
    let named = [
        ("submitted", &positions.submitted),
        ("written", &positions.written),
        ("durable", &positions.durable),
        ("committed", &positions.committed),
    ];
    named.iter().map(|(name, position)| LanePosition { lane: lane.view.lane.0, position: name, block: position.load() }).collect()
}

fn volume(watched: &Watched) -> VolumeStatus {
    let segments: u64 = watched.lanes.iter().map(|lane| (lane.view.sealed().len() + lane.view.open_indexes().len()) as u64).sum();
    VolumeStatus {
        path: watched.volume.path().display().to_string(),
        free_bytes: watched.volume.free_bytes().unwrap_or(0),
        total_bytes: watched.volume.total_bytes().unwrap_or(0),
        segment_bytes: segments * watched.segment_bytes,
    }
}

/// Upper bounds of the histograms in milliseconds: close together where the linger and a sync put most records.
const BOUNDS_MS: [f64; 22] =
    [0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 50.0, 100.0, 200.0, 500.0, 5000.0];

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn histogram(snapshots: impl Iterator<Item = Snapshot>) -> Option<HistogramReport> {
    let snapshots: Vec<Snapshot> = snapshots.collect();
    let at_most = |bound_ms: f64| snapshots.iter().map(|snapshot| snapshot.at_most((bound_ms * 1e6) as u64)).sum();
    Some(HistogramReport {
        buckets: BOUNDS_MS.iter().map(|bound| (bound / 1e3, at_most(*bound))).collect(),
        sum_seconds: snapshots.iter().map(|snapshot| snapshot.sum_ns as f64 / 1e9).sum(),
        count: snapshots.iter().map(Snapshot::count).sum(),
    })
}

fn merged(counts: impl Iterator<Item = CauseCount>) -> Vec<CauseCount> {
    let mut sums: BTreeMap<(String, String), u64> = BTreeMap::new();
    counts.for_each(|count| *sums.entry((count.owner, count.cause)).or_default() += count.count);
    sums.into_iter().map(|((owner, cause), count)| CauseCount { owner, cause, count }).collect()
}

fn summed(counts: impl Iterator<Item = (String, u64)>) -> Vec<NamedCount> {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    counts.for_each(|(name, count)| *sums.entry(name).or_default() += count);
    sums.into_iter().map(|(name, count)| NamedCount { name, count }).collect()
}

/// The host's own UDP counters, for comparison; empty where /proc does not say.
fn host_udp() -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string("/proc/net/snmp").unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return BTreeMap::new() };
    names.split(' ').zip(values.split(' ')).filter_map(|(name, value)| Some((format!("udp_{name}"), value.parse().ok()?))).collect()
}

#[allow(clippy::cast_precision_loss)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn ms(ns: u64) -> u64 {
    ns / 1_000_000
}
