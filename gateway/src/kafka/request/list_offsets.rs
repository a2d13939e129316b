//! ListOffsets, key 2, versions 1 to 7.

use super::Rejected;
use super::reader::Reader;

/// The request. Replica id and isolation level are read and dropped: the last stable offset is the
/// high watermark, so both isolation levels see the same end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListOffsets<'a> {
    /// Topics asked for, in request order.
    pub topics: Vec<ListOffsetsTopic<'a>>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListOffsetsTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its partitions, in request order.
    pub partitions: Vec<ListOffsetsPartition>,
}

/// One partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListOffsetsPartition {
    /// Partition number.
    pub partition: i32,
    /// The leader epoch the client believes in (since 4), -1 for none.
    pub current_leader_epoch: i32,
    /// Milliseconds since 1970, or one of the negative meanings (-1 latest, -2 earliest, ...).
    pub timestamp_ms: i64,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<ListOffsets<'a>, Rejected> {
    reader.int32()?; // replica_id
    if version >= 2 {
        reader.int8()?; // isolation_level
    }
    let topics = reader.array(3, |reader| {
        let name = reader.string()?;
        let partitions = reader.array(12, |reader| partition(reader, version))?;
        reader.tags()?;
        Ok(ListOffsetsTopic { name, partitions })
    })?;
    reader.tags()?;
    Ok(ListOffsets { topics })
}

fn partition(reader: &mut Reader<'_>, version: i16) -> Result<ListOffsetsPartition, Rejected> {
    let partition = reader.int32()?;
    let current_leader_epoch = if version >= 4 { reader.int32()? } else { -1 };
    let timestamp_ms = reader.int64()?;
    reader.tags()?;
    Ok(ListOffsetsPartition { partition, current_leader_epoch, timestamp_ms })
}
