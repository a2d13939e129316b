//! Lanes that are recovered and closed, as the pair's machine sees and changes them.

use super::assemble::Ground;
use super::failure::Failure;
use super::pair::heal::Lender;
use super::pair::standing::Known;
use crate::config::Config;
use headworks_format::Sequence;
use headworks_io::fatal::Reason;
use headworks_lane::{LaneDisk, LaneParts, Part, lane_folder, open_lane};
use headworks_log::recover::{Rules, truncate};
use headworks_log::{Recovered, closed_view};
use headworks_replicator::link::host::{LaneLog, Peer};
use headworks_replicator::message::End;
use headworks_replicator::shard::Lane;
use std::sync::Arc;

/// Name of the file that remembers the other node.
const PEER_FILE: &str = "peer";

/// Where a recovered lane ends.
#[must_use]
pub fn end(recovered: &Recovered) -> End {
    End { sequence: recovered.next, chain: recovered.chain }
}

/// A recovered lane, as the machine begins with it.
#[must_use]
pub fn as_lane(lane: &LaneParts) -> Lane {
    let recovered = &lane.recovered;
    let committed = recovered.committed_hint.min(recovered.next);
    Lane { end: end(recovered), durable: recovered.next, committed, is_open: false }
}

impl Ground {
    /// A closed lane's log, to be read.
    ///
    /// # Errors
    /// Its folder cannot be used.
    pub fn closed_log(&self, lane: &LaneParts) -> Result<LaneLog<LaneDisk>, Failure> {
        let folder = self.volume.folder(&lane_folder(lane.lane))?;
        let recovered = &lane.recovered;
        Ok(LaneLog {
            view: Arc::new(closed_view(lane.lane, recovered)),
            disk: Arc::new(LaneDisk::new(folder, None)),
            readers: None,
            end: end(recovered),
            committed: recovered.committed_hint.min(recovered.next),
        })
    }

    /// Cuts a closed lane's log back; what is cut from `shared` on stands in quarantine, durably, before it goes.
    ///
    /// # Errors
    /// It could not be kept, or the disk failed.
    pub fn cut(&self, config: &Config, lane: &mut LaneParts, to: End, shared: u64) -> Result<(), Failure> {
        let setup = self.setup(config, Part::Primary);
        let rules = Rules { lane: lane.lane, segment_bytes: setup.segment_bytes, window_bytes: setup.window_bytes(), alone: false };
        let cut = truncate(&mut lane.disk, &rules, Sequence(to.sequence), Sequence(shared))
            .map_err(|error| Failure::new(Reason::Storage, format!("lane {}: {error}", lane.lane)))?;
        if cut.blocks > 0 {
            tracing::error!(
                lane = lane.lane.0,
                from = shared,
                blocks = cut.blocks,
                records = cut.records,
                copies = ?cut.copies,
                "divergent tail: cut from the log, kept in quarantine; no record that is known to be committed is among them"
            );
        }
        *lane = open_lane(&self.volume, lane.lane, &setup)?;
        if lane.recovered.next != to.sequence {
            let text = format!("lane {} was to end at block {} and ends at {}", lane.lane, to.sequence, lane.recovered.next);
            return Err(Failure::new(Reason::Bug, text));
        }
        Ok(())
    }

    /// Heals what recovery could not read, as far as the other node has it; how many blocks.
    ///
    /// # Errors
    /// A lane that was healed cannot be recovered again.
    pub fn heal(&self, config: &Config, part: Part, lender: Lender, lanes: &mut [LaneParts]) -> Result<u64, Failure> {
        let mut healed = 0;
        for lane in lanes.iter_mut().filter(|lane| lane.recovered.holes().next().is_some()) {
            let blocks = lender.heal_closed(lane);
            if blocks > 0 {
                *lane = open_lane(&self.volume, lane.lane, &self.setup(config, part))?;
            }
            healed += blocks;
        }
        Ok(healed)
    }

    /// Empties a closed lane and lets it begin behind what it had; what it held from `shared` on stands in quarantine. Below that the
    /// primary had the same, and gave it back: were it kept, its packets would be taken for some that are nowhere, and stored again.
    ///
    /// # Errors
    /// As [`Ground::cut`].
    pub fn restart(&self, config: &Config, lane: &mut LaneParts, from: End, shared: u64) -> Result<(), Failure> {
        let held = lane.recovered.next;
        if held > 0 {
            self.cut(config, lane, End::BLANK, shared)?;
        }
        tracing::warn!(lane = lane.lane.0, held, from = from.sequence, "begins anew where the primary's log begins");
        (lane.recovered.next, lane.recovered.chain) = (from.sequence, from.chain);
        lane.recovered.committed = from.sequence;
        Ok(())
    }

    /// Remembers the other node, so that clients are told of it whoever of the two is up.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn remember_peer(&self, peer: &Peer) -> Result<(), Failure> {
        let text = format!("{}\n{}\n{}\n", peer.member.node, peer.address, peer.name);
        if self.peer_file().is_some_and(|known| known == text) {
            return Ok(());
        }
        headworks_lane::replace(&self.volume, PEER_FILE, text.as_bytes())
            .map_err(|error| Failure::new(Reason::Storage, format!("cannot write {PEER_FILE}: {error}")))
    }

    /// The other node, as it was remembered.
    #[must_use]
    pub fn remembered_peer(&self) -> Option<Known> {
        let text = self.peer_file()?;
        let mut lines = text.lines();
        Some(Known { node: lines.next()?.parse().ok()?, address: lines.next()?.to_owned(), name: lines.next()?.to_owned() })
    }

    fn peer_file(&self) -> Option<String> {
        self.volume.file_path(PEER_FILE).and_then(std::fs::read_to_string).ok()
    }
}
