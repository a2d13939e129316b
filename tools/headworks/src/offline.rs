//! Looking into a data directory without running a node: `verify` and `cat`.

use crate::node::{Failure, directory};
use headworks_format::LaneId;
use headworks_format::superblock::Superblock;
use headworks_io::Volume;
use headworks_io::fatal::Reason;
use headworks_lane::{LaneDisk, lane_folder};
use std::path::Path;

/// A directory opened for looking: its superblock and its lanes.
pub struct Offline {
    /// The superblock.
    pub superblock: Superblock,
    /// The lanes' directories, in order.
    pub lanes: Vec<LaneDisk>,
    /// Held so that nobody begins to write, where the look asked for that.
    _volume: Volume,
}

impl Offline {
    /// Opens a directory that no node is running on.
    ///
    /// # Errors
    /// It is in use, no data directory, or damaged.
    pub fn exclusive(path: &Path) -> Result<Offline, Failure> {
        exists(path)?;
        Offline::over(Volume::lock(path)?)
    }

    /// Opens a directory that a node may be running on.
    ///
    /// # Errors
    /// It is no data directory, or damaged.
    pub fn shared(path: &Path) -> Result<Offline, Failure> {
        exists(path)?;
        Offline::over(Volume::peek(path)?)
    }

    fn over(volume: Volume) -> Result<Offline, Failure> {
        let superblock = directory::read(&volume)?;
        let mut lanes = Vec::new();
        for lane in 0..superblock.lanes {
            lanes.push(LaneDisk::new(volume.folder(&lane_folder(LaneId(lane)))?, None));
        }
        Ok(Offline { superblock, lanes, _volume: volume })
    }
}

/// A look must not make a directory that was mistyped.
fn exists(path: &Path) -> Result<(), Failure> {
    let superblock = path.join(headworks_format::superblock::FILE_NAME);
    if superblock.exists() {
        return Ok(());
    }
    Err(Failure::new(
        Reason::Config,
        format!(
            "{} is no data directory: it has no file `{}`; name the directory that `headworks run --data` was given",
            path.display(),
            headworks_format::superblock::FILE_NAME
        ),
    ))
}
