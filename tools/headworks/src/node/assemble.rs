//! From a configuration to parts that can run: lock, sockets, superblock, recovery, epoch, lanes.
//!
//! The order is the argument. The lock first, so that a second instance says so whatever else it would meet. Sockets
//! before recovery, so that what is sent meanwhile waits in them. The epoch, durable, before anything can be appended.

use super::directory::{self, Directory, Wanted};
use super::door;
use super::failure::Failure;
use super::observe::{ListenerBook, Watched, WatchedLane};
use super::preflight::{self, Warning};
use super::sockets::Sockets;
use crate::config::{Config, Lanes};
use headworks_format::LaneId;
use headworks_format::block::BLOCK_BYTES_MAX;
use headworks_format::checkpoint::Producer;
use headworks_gateway::lanes::{Lane, LaneStore, Reads};
use headworks_ingest::turn::{IngestParts, Progress, Stop};
use headworks_io::fatal::Reason;
use headworks_io::{Clock, Volume, Wake, cpus};
use headworks_lane::{Control, LaneDisk, LaneEnds, LaneParts, LaneSetup, LoopParts, OpenedLane, Part, lane_folder, open_lane};
use headworks_ledger::Counts;
use headworks_log::catalog::{self, Stream};
use headworks_log::retain::Limits;
use headworks_log::{LaneView, Recovered};
use headworks_ring::{Sender, message_ring};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Name of the listener that takes batches from clients, in the books.
const KAFKA: &str = "kafka";
/// What stands in its books for the stream: it writes to any topic.
const TOPICS: &str = "topics";
/// Partitions that may be asked for at once.
const GROWING_MAX: usize = 256;
/// Lanes that `auto` chooses at most.
const AUTO_LANES_MAX: usize = 8;

/// Everything that will run.
pub struct Assembly {
    /// For the log loop.
    pub log: LoopParts,
    /// For each ingest loop.
    pub ingest: Vec<IngestParts>,
    /// Ends each ingest loop.
    pub stops: Vec<Sender<Stop>>,
    /// Tells the log loop to close a lane.
    pub control: Sender<Control>,
    /// Wakes the log loop.
    pub log_wake: Wake,
    /// For the gateway, made on its own thread.
    pub lanes: Vec<Lane<LaneDisk>>,
    /// Rung after each group commit.
    pub commits: Wake,
    /// Bound.
    pub kafka: TcpListener,
    /// Bound.
    pub http: TcpListener,
    /// What is watched.
    pub watched: Arc<Watched>,
    /// The superblock.
    pub directory: Directory,
    /// What the host lacks.
    pub warnings: Vec<Warning>,
    /// Slots of a ring.
    pub slots: usize,
}

/// Builds everything up to, but not including, threads.
///
/// # Errors
/// Anything that keeps the node from running, with its exit code.
pub fn assemble(config: &Config, mut warnings: Vec<Warning>) -> Result<Assembly, Failure> {
    let data = &config.node.data[0];
    let volume = Arc::new(Volume::lock(data)?);
    let wanted = wanted(config);
    let lanes_there = directory::read(&volume).map_or(wanted.lanes, |state| state.lanes);
    let sockets = Sockets::bind(config, lanes_there, &mut warnings)?;
    let mut directory = directory::open(&volume, &wanted)?;
    directory.notes.iter().for_each(|note| tracing::info!("{note}"));
    check_volume(&volume, &mut warnings)?;

    let slots = usize::try_from(config.log.ring_bytes >> 20).expect("a ring is below 2^64 MiB").next_power_of_two();
    let lanes = directory.state.lanes;
    let limits = Limits { size_bytes: config.log.retention.size_bytes / u64::from(lanes), age_ns: config.log.retention.age_ns };
    let setup = LaneSetup {
        pair: directory.state.pair,
        slots,
        depth: config.log.depth,
        segment_bytes: directory.state.segment_bytes,
        limits,
        part: Part::Alone,
    };
    let mut opened = Vec::new();
    for lane in 0..lanes {
        opened.push(open_lane(&volume, LaneId(lane), &setup)?);
    }
    report_recovery(&opened);
    let seen = opened.iter().map(|lane| lane.recovered.epoch).max().unwrap_or_default();
    let epoch = directory.take_epoch(seen, opened.iter().map(|lane| lane.recovered.next).collect())?;
    note_unobserved(&mut directory, &opened, sockets.bound_ns);

    let mut partitions: Vec<_> = opened.iter().map(|lane| lane.recovered.partitions.clone()).collect();
    let streams: Vec<Stream> = config.streams.iter().map(|stream| Stream { name: stream.name.clone() }).collect();
    catalog::complete(&mut partitions);
    catalog::extend(&mut partitions, &streams);
    let carried: Vec<Counts> = opened.iter().map(|lane| carried(&lane.recovered)).collect();
    let producers = opened.iter().map(|lane| lane.recovered.producers.clone()).collect();
    let mut joined = Vec::new();
    for (lane, partitions) in opened.into_iter().zip(partitions) {
        joined.push(lane.join(&volume, &setup, epoch, partitions)?);
    }
    wire(config, Parts { volume, sockets, directory, joined, carried, producers, warnings, slots })
}

fn wanted(config: &Config) -> Wanted {
    let lanes_asked = if let Lanes::Fixed(lanes) = config.node.lanes { Some(lanes) } else { None };
    let auto = cpus::allowed().len().saturating_sub(1).clamp(1, AUTO_LANES_MAX);
    Wanted {
        name: config.node.name.clone(),
        lanes: lanes_asked.unwrap_or_else(|| u32::try_from(auto).expect("at most 8")),
        lanes_asked,
        segment_bytes: config.log.segment_bytes,
        now_ns: Clock.realtime_ns(),
    }
}

fn check_volume(volume: &Volume, warnings: &mut Vec<Warning>) -> Result<(), Failure> {
    let superblock = volume
        .open_direct(headworks_format::superblock::FILE_NAME)
        .map_err(|error| Failure::new(Reason::Storage, format!("cannot open the superblock: {error}")))?;
    if !superblock.direct {
        warnings.push(preflight::buffered(&volume.path().display().to_string()));
    }
    Ok(())
}

fn report_recovery(lanes: &[LaneParts]) {
    for lane in lanes {
        let recovered = &lane.recovered;
        let records: u64 = recovered.partitions.iter().map(|partition| partition.next_offset).sum();
        tracing::info!(
            lane = lane.lane.0,
            segments = recovered.segments.len(),
            blocks = recovered.next,
            next_offsets = records,
            walked_bytes = recovered.walked_bytes,
            "recovered"
        );
        recovered.notes.iter().for_each(|note| tracing::warn!(lane = lane.lane.0, "{note}"));
        if recovered.perhaps_acked_records > 0 {
            tracing::error!(
                lane = lane.lane.0,
                records = recovered.perhaps_acked_records,
                "acked_disk_lost_records: cut from the log though perhaps acknowledged"
            );
        }
    }
}

/// The books resume at the last durable block; from there until the sockets were bound nobody counted.
fn note_unobserved(directory: &mut Directory, lanes: &[LaneParts], bound_ns: u64) {
    let last_ns = lanes.iter().map(|lane| lane.recovered.newest_ns).max().unwrap_or(0);
    if last_ns > 0 {
        directory.state.add_unobserved(last_ns.min(bound_ns), bound_ns);
    }
}

fn carried(recovered: &Recovered) -> Counts {
    Counts::from_slots(&recovered.counters).carried()
}

struct Parts {
    volume: Arc<Volume>,
    sockets: Sockets,
    directory: Directory,
    joined: Vec<(OpenedLane, LaneEnds)>,
    carried: Vec<Counts>,
    producers: Vec<Vec<Producer>>,
    warnings: Vec<Warning>,
    slots: usize,
}

/// A lane's progress as its ingest loop sees it.
struct LaneProgress(Arc<LaneView>);

impl Progress for LaneProgress {
    fn writing(&self) -> u64 {
        // Written first: submitted can only have grown since.
        let written = self.0.positions.written.load();
        self.0.positions.submitted.load().saturating_sub(written)
    }

    fn disk_full(&self) -> bool {
        self.0.disk_full.load(Ordering::Relaxed)
    }

    fn shared_slots(&self) -> u64 {
        self.0.positions.shared_slots.load()
    }

    fn committed_slots(&self) -> u64 {
        self.0.positions.committed_slots.load()
    }
}

fn wire(config: &Config, mut parts: Parts) -> Result<Assembly, Failure> {
    let new_wake = || Wake::new().map_err(|error| Failure::new(Reason::Kernel, format!("no eventfd is to be had: {error}")));
    let (log_wake, commits) = (new_wake()?, new_wake()?);
    let (control, control_receiver) = message_ring(2 * parts.joined.len());
    let (grow, grow_receiver) = message_ring(GROWING_MAX);
    let grow = Arc::new(Mutex::new(grow));
    let mut books = Vec::new();
    let mut watched_lanes = Vec::new();
    let mut ingest = Vec::new();
    let mut stops = Vec::new();
    let mut gateway_lanes = Vec::new();
    let mut log_lanes = Vec::new();
    for (place, (lane, ends)) in parts.joined.into_iter().enumerate() {
        let view = Arc::clone(lane.log.view());
        let listening = parts.sockets.of_lane(config, place, &view, &mut books, &mut parts.warnings)?;
        let (producing, batches, book) = door::produce(lane.producer.clone());
        books.push(ListenerBook { listener: KAFKA.into(), stream: TOPICS.into(), lane: view.lane.0, book, tally: None });
        let (stop, stop_receiver) = message_ring(1);
        stops.push(stop);
        ingest.push(IngestParts {
            listeners: listening.udp,
            tcp: listening.tcp,
            filler: ends.filler,
            progress: Arc::new(LaneProgress(Arc::clone(&view))),
            wake: lane.producer.clone(),
            log: log_wake.clone(),
            carried: parts.carried[place],
            control: stop_receiver,
            batches,
        });
        let folder = parts.volume.folder(&lane_folder(view.lane))?;
        let door = producing.door(door::Log {
            receipts: ends.receipts,
            lane: place,
            grow: Arc::clone(&grow),
            wake: log_wake.clone(),
            producers: std::mem::take(&mut parts.producers[place]),
        });
        gateway_lanes.push(Lane { view: Arc::clone(&view), readers: ends.readers, disk: Arc::new(LaneDisk::new(folder, None)), door });
        watched_lanes.push(WatchedLane { view, gauges: lane.gauges.clone(), slots: parts.slots as u64, carried: parts.carried[place] });
        log_lanes.push(lane);
    }
    let seed = u64::try_from(directory::random_u128()? & u128::from(u64::MAX)).expect("64 bits");
    let watched = watched(config, &parts.directory, &parts.sockets, &parts.volume, books, watched_lanes)?;
    Ok(Assembly {
        log: LoopParts {
            lanes: log_lanes,
            wake: log_wake.clone(),
            readers: commits.clone(),
            volume: parts.volume,
            seed,
            control: control_receiver,
            grow: grow_receiver,
            shipper: None,
            led: std::sync::mpsc::channel().0,
        },
        ingest,
        stops,
        control,
        log_wake,
        lanes: gateway_lanes,
        commits,
        kafka: parts.sockets.kafka,
        http: parts.sockets.http,
        watched: Arc::new(watched),
        directory: parts.directory,
        warnings: parts.warnings,
        slots: parts.slots,
    })
}

/// What is shown of the node.
fn watched(
    config: &Config,
    directory: &Directory,
    sockets: &Sockets,
    volume: &Arc<Volume>,
    books: Vec<ListenerBook>,
    lanes: Vec<WatchedLane>,
) -> Result<Watched, Failure> {
    Ok(Watched {
        node: config.node.name.clone(),
        epoch: u64::from(directory.state.last_epoch.0),
        since_ns: sockets.bound_ns,
        books,
        lanes,
        listeners: sockets.status(config)?,
        volume: Arc::clone(volume),
        segment_bytes: directory.state.segment_bytes,
        reads: Reads::default(),
        unobserved: directory.state.unobserved.clone(),
        warnings: Mutex::new(Vec::new()),
        ready_ns: AtomicU64::new(0),
    })
}

/// The store that the gateway serves, made on the gateway's thread.
pub fn store(lanes: Vec<Lane<LaneDisk>>, commits: Wake, watched: &Watched) -> LaneStore<LaneDisk> {
    LaneStore::new(lanes, commits, watched.reads.clone())
}

const _: () = assert!(BLOCK_BYTES_MAX >= 1 << 20);
