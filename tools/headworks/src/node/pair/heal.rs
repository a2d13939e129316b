//! Blocks that do not hold any more are had from the other node: holes of recovery before the lanes are opened, and what readers
//! stumble over as long as the node runs.
//!
//! ```text
//! reader ─► gateway ─► hw-heal ─► which blocks ─► the other node's copies, proved ─► files thread writes ─► reader looks again
//! ```

use crate::node::failure::Failure;
use crate::node::run::spawn;
use headworks_format::PairId;
use headworks_format::sidecar::Hole;
use headworks_gateway::lanes::{Harmed, Healing};
use headworks_lane::{LaneDisk, LaneParts, Mend, Mender};
use headworks_log::blocks::extents;
use headworks_log::heal::{Harm, Unhealed, harm_at, heal};
use headworks_log::{Disk as _, LaneView, closed_view};
use headworks_replicator::link::borrowing::borrow;
use headworks_replicator::message::Fetch;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// How long each step of borrowing a block may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where copies are to be had.
#[derive(Debug, Clone, Copy)]
pub struct Lender {
    /// The other node's address for the pair.
    pub peer: SocketAddr,
    /// The pair.
    pub pair: PairId,
}

/// Why a block was not lent.
#[derive(Debug, PartialEq, Eq)]
enum Unlent {
    /// The other node does not have it either.
    Lacking,
    /// The other node did not answer.
    Unheard(String),
}

impl Lender {
    fn lend(&self, lane: u32, sequence: u64) -> Result<Vec<u8>, Unlent> {
        let fetch = Fetch { pair: self.pair, lane, sequence };
        match borrow(self.peer, fetch, PATIENCE) {
            Ok(Some(block)) => Ok(block),
            Ok(None) => Err(Unlent::Lacking),
            Err(error) => Err(Unlent::Unheard(error.to_string())),
        }
    }

    /// Heals by copies of the other node; `write` makes bytes of the file durable.
    fn heal(&self, lane: u32, harm: &Harm, write: impl FnMut(u64, &[u8]) -> Result<(), String>) -> Healing {
        let mut lacking = false;
        let copy = |sequence| {
            self.lend(lane, sequence).map_err(|unlent| {
                lacking |= unlent == Unlent::Lacking;
                match unlent {
                    Unlent::Lacking => format!("the other node does not have block {sequence} either"),
                    Unlent::Unheard(why) => format!("block {sequence} was not to be had from {}: {why}", self.peer),
                }
            })
        };
        let blocks = harm.first..harm.end;
        match heal(harm, copy, write) {
            Ok(bytes) => {
                tracing::warn!(lane, file = %harm.file, ?blocks, bytes, "blocks that did not hold are healed from the other node");
                Healing::Healed
            }
            Err(why) => {
                tracing::error!(lane, file = %harm.file, ?blocks, %why, "blocks do not hold, and are not healed");
                if lacking || matches!(why, Unhealed::Unproved { .. }) { Healing::Lost } else { Healing::Pending }
            }
        }
    }

    /// Heals the holes of a lane that is recovered and closed; how many blocks. It ends with the first of which the other node does
    /// not speak, since the others would be waited for as long.
    pub fn heal_closed(&self, lane: &mut LaneParts) -> u64 {
        let view = closed_view(lane.lane, &lane.recovered);
        let (holes, extents): (Vec<Hole>, _) = (lane.recovered.holes().copied().collect(), extents(&view));
        let mut healed = 0;
        for hole in holes {
            let Some(extent) = extents.iter().rfind(|extent| extent.base <= hole.sequence.0) else { continue };
            // Some of its blocks may have a head that can be read: those are told one by one.
            let (mut at, end) = (hole.position, hole.position + hole.bytes);
            while at < end
                && let Some(harm) = harm_at(&lane.disk, extent, lane.recovered.next, at)
            {
                match self.heal_in(lane, &harm) {
                    Healing::Healed => healed += harm.end - harm.first,
                    Healing::Lost => {}
                    Healing::Pending => return healed,
                }
                at = harm.end_position.unwrap_or(end);
            }
        }
        healed
    }

    fn heal_in(&self, lane: &mut LaneParts, harm: &Harm) -> Healing {
        let disk = &mut lane.disk;
        let write = |position, bytes: &[u8]| {
            disk.write(harm.file, position, bytes).and_then(|()| disk.sync(harm.file)).map_err(|error| error.message)
        };
        self.heal(lane.lane.0, harm, write)
    }
}

/// What healing needs of a node that runs.
pub struct Heal {
    /// Places that readers stumbled over.
    pub harmed: Receiver<Harmed>,
    /// Who writes.
    pub mender: Mender,
    /// The lanes.
    pub lanes: Vec<(Arc<LaneView>, Arc<LaneDisk>)>,
    /// Where copies are to be had.
    pub lender: Lender,
    /// Blocks healed.
    pub healed: Arc<AtomicU64>,
}

/// Starts the thread that heals what readers stumble over.
///
/// # Errors
/// No thread is to be had.
pub fn start(heal: Heal) -> Result<(), Failure> {
    spawn("hw-heal", move || {
        while let Ok(harmed) = heal.harmed.recv() {
            let healing = heal.look(&harmed);
            // The reader may have given up.
            let _gone = harmed.told.send(healing).is_err();
        }
    })
    .map(drop)
}

impl Heal {
    fn look(&self, harmed: &Harmed) -> Healing {
        let Some((view, disk)) = self.lanes.get(harmed.lane) else { return Healing::Lost };
        let extent = extents(view).into_iter().find(|extent| (extent.file, extent.nonce) == (harmed.file, harmed.nonce));
        // Given back meanwhile: the reader finds out when it looks again.
        let Some(extent) = extent else { return Healing::Healed };
        let Some(harm) = harm_at(&**disk, &extent, view.positions.durable.load(), harmed.position) else { return Healing::Lost };
        let write = |position, bytes: &[u8]| {
            let (lane, file, nonce) = (harmed.lane, harmed.file, harmed.nonce);
            self.mender.mend(Mend { lane, file, nonce, position, bytes: bytes.to_vec() })
        };
        let healing = self.lender.heal(view.lane.0, &harm, write);
        if healing == Healing::Healed {
            self.healed.fetch_add(harm.end - harm.first, Ordering::Relaxed);
        }
        healing
    }
}
