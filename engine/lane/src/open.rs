//! Opening a lane: its folder, its recovery, its log and its ring.

use crate::disk::LaneDisk;
use crate::writer::Gauges;
use headworks_format::checkpoint::Partition;
use headworks_format::{Epoch, LaneId, PairId, block, sidecar};
use headworks_io::{Volume, VolumeError, Wake};
use headworks_log::append::{Config, RECEIPTS_MAX, segments_max};
use headworks_log::recover::{Rules, reopen};
use headworks_log::retain::Limits;
use headworks_log::{Disk, DiskError, Log, Receipt, Recovered, recover};
use headworks_ring::{Drain, Filler, Readers, Receiver, Region, Sender, message_ring, slot_ring};
use std::sync::Arc;

/// What a node's lanes are opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// To be appended to, by the only member of the in-sync set.
    Alone,
    /// To be appended to, by a member of a pair: what is durable here is committed once the other says so.
    Primary,
    /// To follow another node.
    Follower,
}

/// What is the same for every lane of a node.
#[derive(Debug, Clone, Copy)]
pub struct LaneSetup {
    /// The pair's identity.
    pub pair: PairId,
    /// Slots of the ring, a power of two.
    pub slots: usize,
    /// Most writes under way.
    pub depth: usize,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// What one lane keeps.
    pub limits: Limits,
    /// What the lanes are opened for.
    pub part: Part,
}

/// Why a lane cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Its folder.
    Volume(VolumeError),
    /// Its files.
    Disk(DiskError),
    /// Memory for its ring.
    Memory(std::io::Error),
}

impl core::fmt::Display for OpenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            OpenError::Volume(error) => error.fmt(f),
            OpenError::Disk(error) => error.fmt(f),
            OpenError::Memory(error) => write!(f, "cannot map the ring's memory: {error}; make [log] ring smaller"),
        }
    }
}

impl core::error::Error for OpenError {}

/// A lane whose recovery is done but that has no partitions beyond the recovered ones yet.
pub struct LaneParts {
    /// The lane.
    pub lane: LaneId,
    /// Its directory, for the log loop.
    pub disk: LaneDisk,
    /// What recovery found.
    pub recovered: Recovered,
}

/// A lane that is ready for the log loop and its producer.
pub struct OpenedLane {
    /// The log.
    pub log: Log,
    /// The ring's consumer.
    pub drain: Drain,
    /// Its directory.
    pub disk: LaneDisk,
    /// Its directory once more, for the files thread.
    pub disk_for_files: LaneDisk,
    /// Wakes the lane's producer.
    pub producer: Wake,
    /// What it shows.
    pub gauges: Gauges,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// Places in the table of registered files.
    pub files_max: u32,
    /// Tells producers where their batches were put.
    pub receipts: Sender<Receipt>,
    /// Whether what comes through the ring was stamped by another node.
    pub following: bool,
}

/// What others hold of a lane.
pub struct LaneEnds {
    /// The ring's producer.
    pub filler: Filler,
    /// Its readers.
    pub readers: Readers,
    /// Where batches were put that asked for it.
    pub receipts: Receiver<Receipt>,
}

/// The name of a lane's folder.
#[must_use]
pub fn lane_folder(lane: LaneId) -> String {
    format!("lane-{:02}", lane.0)
}

/// Opens a lane's folder and recovers its log.
///
/// # Errors
/// The folder or its files cannot be used.
pub fn open_lane(volume: &Volume, lane: LaneId, setup: &LaneSetup) -> Result<LaneParts, OpenError> {
    let mut disk = lane_disk(volume, lane).map_err(OpenError::Volume)?;
    let rules = Rules { lane, segment_bytes: setup.segment_bytes, window_bytes: setup.window_bytes(), alone: setup.part == Part::Alone };
    let recovered = recover(&mut disk, &rules).map_err(OpenError::Disk)?;
    Ok(LaneParts { lane, disk, recovered })
}

fn lane_disk(volume: &Volume, lane: LaneId) -> Result<LaneDisk, VolumeError> {
    Ok(LaneDisk::new(volume.folder(&lane_folder(lane))?, Some(volume.folder("quarantine")?)))
}

/// Least segments beyond what is kept that a lane can come to have: being sealed, being retired, being spared.
const SEGMENTS_SLACK: usize = 16;
/// Bytes beyond what is asked for that a lane may take while retention must spare its oldest segment. Who keeps that
/// appends what it needs again within milliseconds, which is all the time that the log needs to be given.
const KEPT_BYTES: u64 = 1 << 30;

impl LaneSetup {
    /// W: most bytes submitted and not yet durable, which is what the ring holds.
    #[must_use]
    pub fn window_bytes(&self) -> u64 {
        (self.slots * block::BLOCK_BYTES_MAX) as u64
    }

    /// Segments that the lane can come to have.
    fn segments_max(&self, recovered: &Recovered) -> usize {
        let kept = usize::try_from(self.limits.size_bytes.div_ceil(self.segment_bytes)).unwrap_or(usize::MAX);
        let slack = usize::try_from(KEPT_BYTES / self.segment_bytes).unwrap_or(0).max(SEGMENTS_SLACK);
        segments_max(kept, slack, recovered.segments.len(), self.part == Part::Follower)
    }
}

impl LaneParts {
    /// Joins the recovered log with its partitions and a ring.
    ///
    /// # Errors
    /// No memory for the ring, or the directory cannot be read again.
    pub fn join(
        self,
        volume: &Volume,
        setup: &LaneSetup,
        epoch: Epoch,
        partitions: Vec<Partition>,
    ) -> Result<(OpenedLane, LaneEnds), OpenError> {
        let LaneParts { lane, mut disk, mut recovered } = self;
        if setup.part != Part::Alone {
            let hint = recovered.committed_hint;
            recovered.take_back(&disk, hint).map_err(OpenError::Disk)?;
        }
        if setup.part == Part::Follower {
            recovered.reopened = reopen(&mut disk, &mut recovered).map_err(OpenError::Disk)?;
        }
        let slots_bytes = setup.slots * block::BLOCK_BYTES_MAX;
        let region = Arc::new(Region::map(slots_bytes).map_err(OpenError::Memory)?);
        let (filler, drain, readers) = slot_ring(region, setup.slots, block::BLOCK_BYTES_MAX);
        let segments_max = setup.segments_max(&recovered);
        let highest = disk.files().map_err(OpenError::Disk)?.last().map_or(0, |(file, _)| file.0);
        // As many as may be asked for: the log loop never finds it full.
        let (receipts, receipts_received) = message_ring(RECEIPTS_MAX);
        let config = Config {
            pair: setup.pair,
            lane,
            epoch,
            window_bytes: setup.window_bytes(),
            depth: setup.depth,
            blocks_max: setup.slots + 4,
            segment_bytes: setup.segment_bytes,
            segments_max,
            entries_max: sidecar::ENTRIES_MAX,
            limits: setup.limits,
        };
        let opened = OpenedLane {
            log: Log::start(config, &recovered, partitions),
            drain,
            disk,
            disk_for_files: lane_disk(volume, lane).map_err(OpenError::Volume)?,
            producer: Wake::new().map_err(OpenError::Memory)?,
            gauges: Gauges::default(),
            segment_bytes: setup.segment_bytes,
            files_max: highest + 1 + u32::try_from(segments_max).unwrap_or(u32::MAX / 2),
            receipts,
            following: setup.part == Part::Follower,
        };
        if setup.part != Part::Alone {
            let gate = &opened.log.view().gate;
            gate.set_received(recovered.committed);
            gate.set_durable(recovered.committed);
        }
        Ok((opened, LaneEnds { filler, readers, receipts: receipts_received }))
    }
}
