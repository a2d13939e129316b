//! From a configuration to parts that can run: lock, superblock, recovery, epoch, lanes.
//!
//! The order is the argument. The lock first, so that a second instance says so whatever else it would meet. The epoch,
//! durable, before anything can be appended.

use super::directory::{self, Directory, Founding, Wanted};
use super::door;
use super::failure::Failure;
use super::intake::{LaneIntake, LogLine};
use super::observe::{Watched, WatchedLane};
use super::pair::standing::Standing;
use super::preflight::{self, Warning};
use super::sockets::{self, Servers};
use super::token;
use crate::config::{Config, Lanes};
use headworks_format::checkpoint::{Partition, Producer};
use headworks_format::sidecar::HoleState;
use headworks_format::{Epoch, LaneId};
use headworks_gateway::cluster::Cluster;
use headworks_gateway::http::administration::Token;
use headworks_gateway::http::report::HolesStatus;
use headworks_gateway::lanes::{Harmed, Healer, Lane, LaneStore, Reads};
use headworks_io::fatal::Reason;
use headworks_io::{Clock, Volume, Wake, cpus};
use headworks_lane::{
    LaneDisk, LaneEnds, LaneParts, LaneSetup, LoopParts, Mender, Mends, OpenedLane, Part, Told, lane_folder, mending, open_lane,
};
use headworks_log::catalog::{self, Stream};
use headworks_log::retain::Limits;
use headworks_ring::{Filler, message_ring};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, mpsc};

/// Partitions that may be asked for at once.
const GROWING_MAX: usize = 4096;
/// Lanes that `auto` chooses at most.
const AUTO_LANES_MAX: usize = 8;

/// A data directory that is ours, with its superblock.
pub struct Ground {
    /// Keeps the directory's lock.
    pub volume: Arc<Volume>,
    /// The superblock.
    pub directory: Directory,
    /// What the host lacks.
    pub warnings: Vec<Warning>,
    /// Opens the node's administration.
    pub token: Token,
}

impl Ground {
    /// Takes the directory, formatting it if it is new.
    ///
    /// # Errors
    /// Anything that keeps the node from running, with its exit code.
    pub fn take(config: &Config, volume: Arc<Volume>, warnings: Vec<Warning>) -> Result<Ground, Failure> {
        Ground::take_of(config, volume, warnings, None)
    }

    /// As [`Ground::take`]; a new directory becomes one of the pair that was founded.
    ///
    /// # Errors
    /// As [`Ground::take`].
    pub fn take_of(
        config: &Config,
        volume: Arc<Volume>,
        mut warnings: Vec<Warning>,
        founding: Option<Founding>,
    ) -> Result<Ground, Failure> {
        let directory = directory::open(&volume, &wanted(config, founding))?;
        directory.notes.iter().for_each(|note| tracing::info!("{note}"));
        check_volume(&volume, &mut warnings)?;
        let token = token::open(&volume)?;
        Ok(Ground { volume, directory, warnings, token })
    }

    /// What the lanes are opened with.
    pub fn setup(&self, config: &Config, part: Part) -> LaneSetup {
        let state = &self.directory.state;
        let limits = Limits { size_bytes: config.log.retention.size_bytes / u64::from(state.lanes), age_ns: config.log.retention.age_ns };
        LaneSetup { pair: state.pair, slots: slots(config), depth: config.log.depth, segment_bytes: state.segment_bytes, limits, part }
    }

    /// Recovers every lane.
    ///
    /// # Errors
    /// A lane's folder or files cannot be used.
    pub fn recover(&self, config: &Config, part: Part) -> Result<Vec<LaneParts>, Failure> {
        let setup = self.setup(config, part);
        let opened = (0..self.directory.state.lanes).map(|lane| open_lane(&self.volume, LaneId(lane), &setup));
        let opened = opened.collect::<Result<Vec<LaneParts>, _>>()?;
        report_recovery(&opened);
        Ok(opened)
    }
}

/// Lanes that `auto` would choose here.
pub fn lanes_wanted(config: &Config) -> u32 {
    wanted(config, None).lanes
}

/// Slots of each lane's ring.
fn slots(config: &Config) -> usize {
    usize::try_from(config.log.ring_bytes >> 20).expect("a ring is below 2^64 MiB").next_power_of_two()
}

/// The highest epoch that any lane's segments were written in.
#[must_use]
pub fn epoch_seen(lanes: &[LaneParts]) -> Epoch {
    lanes.iter().map(|lane| lane.recovered.epoch).max().unwrap_or_default()
}

/// Number of each lane's next block.
#[must_use]
pub fn ends(lanes: &[LaneParts]) -> Vec<u64> {
    lanes.iter().map(|lane| lane.recovered.next).collect()
}

/// Wall time of the newest block of any lane, in ns since 1970; 0 without one.
#[must_use]
pub fn newest_ns(lanes: &[LaneParts]) -> u64 {
    lanes.iter().map(|lane| lane.recovered.newest_ns).max().unwrap_or(0)
}

/// Everything that will run but the intake.
pub struct Assembly {
    /// For the log loop.
    pub log: LoopParts,
    /// The way to it.
    pub line: LogLine,
    /// What the log loop has to say.
    pub told: mpsc::Receiver<Told>,
    /// What waits for the node to lead.
    pub intakes: Vec<LaneIntake>,
    /// The producing end of each lane's ring, and the counters that its log ends with.
    pub fillers: Vec<(Filler, [u64; headworks_format::block::COUNTERS])>,
    /// For the gateway, made on its own thread.
    pub lanes: Vec<Lane<LaneDisk>>,
    /// Rung after each group commit.
    pub commits: Wake,
    /// Bound.
    pub servers: Servers,
    /// What is watched.
    pub watched: Arc<Watched>,
    /// The directory with its superblock.
    pub ground: Ground,
    /// Slots of a ring.
    pub slots: usize,
    /// Who writes what is healed, and what is to be; in a pair.
    pub healing: Option<ToHeal>,
    /// Whom the gateway tells of it.
    pub healer: Option<Healer>,
}

/// Who writes what is healed, and the places that are to be.
pub type ToHeal = (Mender, mpsc::Receiver<Harmed>);

/// What the lanes are joined for.
pub struct Joining {
    /// What they are opened for.
    pub part: Part,
    /// The epoch in which this node appends, or the last that it has seen.
    pub epoch: Epoch,
    /// When intake began, or the node: in ns since 1970.
    pub since_ns: u64,
    /// Wakes whoever ships blocks to the peer.
    pub shipper: Option<Wake>,
    /// The brokers, as clients are told.
    pub cluster: Cluster,
    /// How the pair stands, where there is one.
    pub standing: Option<Arc<Standing>>,
    /// Blocks healed from the other node.
    pub healed: Arc<AtomicU64>,
}

/// Builds everything up to, but not including, threads.
///
/// # Errors
/// Anything that keeps the node from running, with its exit code.
pub fn assemble(config: &Config, ground: Ground, servers: Servers, opened: Vec<LaneParts>, joining: Joining) -> Result<Assembly, Failure> {
    let mut partitions: Vec<Vec<Partition>> = opened.iter().map(|lane| lane.recovered.partitions.clone()).collect();
    if joining.part != Part::Follower {
        // What a follower has comes from the primary's checkpoints.
        let streams: Vec<Stream> = config.streams.iter().map(|stream| Stream { name: stream.name.clone() }).collect();
        catalog::complete(&mut partitions);
        catalog::extend(&mut partitions, &streams);
    }
    let ended = opened.iter().map(|lane| (lane.recovered.counters, lane.recovered.producers.clone())).collect();
    let holes = holes(&opened);
    let setup = ground.setup(config, joining.part);
    let mut joined = Vec::new();
    for (lane, partitions) in opened.into_iter().zip(partitions) {
        joined.push(lane.join(&ground.volume, &setup, joining.epoch, partitions)?);
    }
    wire(config, Parts { ground, servers, joined, ended, holes, joining, slots: setup.slots })
}

/// Blocks that cannot be read.
fn holes(opened: &[LaneParts]) -> HolesStatus {
    let mut holes = HolesStatus::default();
    for hole in opened.iter().flat_map(|lane| lane.recovered.holes()) {
        match hole.state {
            HoleState::Pending => holes.pending += hole.blocks,
            HoleState::Lost => holes.lost += hole.blocks,
        }
    }
    holes
}

fn wanted(config: &Config, founding: Option<Founding>) -> Wanted {
    let configured = if let Lanes::Fixed(lanes) = config.node.lanes { Some(lanes) } else { None };
    let lanes_asked = founding.map(|founding| founding.lanes).or(configured);
    let auto = cpus::allowed().len().saturating_sub(1).clamp(1, AUTO_LANES_MAX);
    Wanted {
        name: config.node.name.clone(),
        lanes: lanes_asked.unwrap_or_else(|| u32::try_from(auto).expect("at most 8")),
        lanes_asked,
        segment_bytes: config.log.segment_bytes,
        now_ns: Clock.realtime_ns(),
        founding,
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

struct Parts {
    ground: Ground,
    servers: Servers,
    joined: Vec<(OpenedLane, LaneEnds)>,
    ended: Vec<([u64; headworks_format::block::COUNTERS], Vec<Producer>)>,
    holes: HolesStatus,
    joining: Joining,
    slots: usize,
}

fn wire(config: &Config, parts: Parts) -> Result<Assembly, Failure> {
    let Parts { ground, servers, joined, ended, holes, joining, slots } = parts;
    let new_wake = || Wake::new().map_err(|error| Failure::new(Reason::Kernel, format!("no eventfd is to be had: {error}")));
    let (log_wake, commits) = (new_wake()?, new_wake()?);
    let (control, control_receiver) = message_ring(4 * joined.len());
    let (grow, grow_receiver) = message_ring(GROWING_MAX);
    let line = LogLine { wake: log_wake.clone(), control: Arc::new(Mutex::new(control)), grow: Arc::new(Mutex::new(grow)) };
    let (mut intakes, mut fillers, mut watched_lanes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut gateway_lanes, mut log_lanes) = (Vec::new(), Vec::new());
    for (place, ((lane, ends), (counters, producers))) in joined.into_iter().zip(ended).enumerate() {
        let view = Arc::clone(lane.log.view());
        let (producing, batches, book) = door::produce(lane.producer.clone());
        intakes.push(LaneIntake { view: Arc::clone(&view), wake: lane.producer.clone(), batches, book });
        fillers.push((ends.filler, counters));
        let folder = ground.volume.folder(&lane_folder(view.lane))?;
        let door = producing.door(door::Log { receipts: ends.receipts, lane: place, line: line.clone(), producers });
        gateway_lanes.push(Lane { view: Arc::clone(&view), readers: ends.readers, disk: Arc::new(LaneDisk::new(folder, None)), door });
        watched_lanes.push(WatchedLane { view, gauges: lane.gauges.clone(), slots: slots as u64, carried: OnceLock::new() });
        log_lanes.push(lane);
    }
    let seed = u64::try_from(directory::random_u128()? & u128::from(u64::MAX)).expect("64 bits");
    let (mends, healing, healer) = mended(joining.standing.is_some());
    let watched = Watched { holes, ..watched(config, &ground, &servers, &joining, watched_lanes)? };
    let (told, told_receiver) = mpsc::channel();
    Ok(Assembly {
        log: LoopParts {
            lanes: log_lanes,
            wake: log_wake,
            readers: commits.clone(),
            shipper: joining.shipper,
            told,
            volume: Arc::clone(&ground.volume),
            seed,
            control: control_receiver,
            grow: grow_receiver,
            mends,
        },
        line,
        told: told_receiver,
        intakes,
        fillers,
        lanes: gateway_lanes,
        commits,
        servers,
        watched: Arc::new(watched),
        ground,
        slots,
        healing,
        healer,
    })
}

/// The way from a reader that stumbles to the thread that writes; on a single node nobody has a copy.
fn mended(is_pair: bool) -> (Option<Mends>, Option<ToHeal>, Option<Healer>) {
    if !is_pair {
        return (None, None, None);
    }
    let ((mender, mends), (healer, harmed)) = (mending(), headworks_gateway::lanes::healing());
    (Some(mends), Some((mender, harmed)), Some(healer))
}

/// What is shown of the node.
fn watched(config: &Config, ground: &Ground, servers: &Servers, joining: &Joining, lanes: Vec<WatchedLane>) -> Result<Watched, Failure> {
    let state = &ground.directory.state;
    Ok(Watched {
        node: config.node.name.clone(),
        since_ns: AtomicU64::new(joining.since_ns),
        books: OnceLock::new(),
        lanes,
        listeners: sockets::status(config, servers)?,
        volume: Arc::clone(&ground.volume),
        segment_bytes: state.segment_bytes,
        reads: Reads::default(),
        unobserved: Mutex::new(state.unobserved.clone()),
        warnings: Mutex::new(Vec::new()),
        ready_ns: AtomicU64::new(0),
        cluster: joining.cluster.clone(),
        holes: HolesStatus::default(),
        healed: Arc::clone(&joining.healed),
        standing: joining.standing.clone(),
    })
}

/// The store that the gateway serves, made on the gateway's thread.
pub fn store(lanes: Vec<Lane<LaneDisk>>, commits: Wake, healer: Option<Healer>, watched: &Watched) -> LaneStore<LaneDisk> {
    LaneStore::new(lanes, commits, watched.reads.clone(), watched.cluster.clone()).with_healer(healer)
}
