//! OffsetForLeaderEpoch, key 23, versions 2 to 4.

use super::Rejected;
use super::reader::Reader;

/// The request. The replica id (since 3) is read and dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetForLeaderEpoch<'a> {
    /// Topics asked for, in request order.
    pub topics: Vec<EpochTopic<'a>>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its partitions, in request order.
    pub partitions: Vec<EpochPartition>,
}

/// One partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochPartition {
    /// Partition number.
    pub partition: i32,
    /// The leader epoch the client believes in, -1 for none.
    pub current_leader_epoch: i32,
    /// The epoch whose end is asked for.
    pub epoch: i32,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<OffsetForLeaderEpoch<'a>, Rejected> {
    if version >= 3 {
        reader.int32()?; // replica_id
    }
    let topics = reader.array(3, |reader| {
        let name = reader.string()?;
        let partitions = reader.array(12, partition)?;
        reader.tags()?;
        Ok(EpochTopic { name, partitions })
    })?;
    reader.tags()?;
    Ok(OffsetForLeaderEpoch { topics })
}

fn partition(reader: &mut Reader<'_>) -> Result<EpochPartition, Rejected> {
    let partition = reader.int32()?;
    let current_leader_epoch = reader.int32()?;
    let epoch = reader.int32()?;
    reader.tags()?;
    Ok(EpochPartition { partition, current_leader_epoch, epoch })
}
