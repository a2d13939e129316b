//! Fetch, key 1, versions 4 to 12.

use super::Rejected;
use super::reader::Reader;

/// The request. Replica id, isolation level, rack and the topics to forget are read and dropped:
/// sessions are declined, and the last stable offset is the high watermark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch<'a> {
    /// How long to wait for `bytes_min`, in milliseconds.
    pub wait_ms_max: i32,
    /// How many bytes are worth an answer before that.
    pub bytes_min: i32,
    /// Soft limit of the whole answer in bytes.
    pub bytes_max: i32,
    /// Session (since 7), 0 for none.
    pub session_id: i32,
    /// Session epoch (since 7): 0 opens a session, -1 is without one.
    pub session_epoch: i32,
    /// Topics asked for, in request order.
    pub topics: Vec<FetchTopic<'a>>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its partitions, in request order.
    pub partitions: Vec<FetchPartition>,
}

/// One partition. The last fetched epoch (since 12) and the log start offset (since 5) are a
/// replica's business; consumers send -1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPartition {
    /// Partition number.
    pub partition: i32,
    /// The leader epoch the client believes in (since 9), -1 for none.
    pub current_leader_epoch: i32,
    /// Offset of the first record wanted.
    pub offset: i64,
    /// Soft limit for this partition in bytes.
    pub bytes_max: i32,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<Fetch<'a>, Rejected> {
    reader.int32()?; // replica_id
    let wait_ms_max = reader.int32()?;
    let bytes_min = reader.int32()?;
    let bytes_max = reader.int32()?;
    reader.int8()?; // isolation_level
    let (session_id, session_epoch) = if version >= 7 { (reader.int32()?, reader.int32()?) } else { (0, -1) };
    let topics = reader.array(3, |reader| {
        let name = reader.string()?;
        let partitions = reader.array(16, |reader| partition(reader, version))?;
        reader.tags()?;
        Ok(FetchTopic { name, partitions })
    })?;
    if version >= 7 {
        forgotten(reader)?;
    }
    if version >= 11 {
        reader.string()?; // rack_id
    }
    reader.tags()?;
    Ok(Fetch { wait_ms_max, bytes_min, bytes_max, session_id, session_epoch, topics })
}

fn partition(reader: &mut Reader<'_>, version: i16) -> Result<FetchPartition, Rejected> {
    let partition = reader.int32()?;
    let current_leader_epoch = if version >= 9 { reader.int32()? } else { -1 };
    let offset = reader.int64()?;
    if version >= 12 {
        reader.int32()?; // last_fetched_epoch
    }
    if version >= 5 {
        reader.int64()?; // log_start_offset
    }
    let bytes_max = reader.int32()?;
    reader.tags()?;
    Ok(FetchPartition { partition, current_leader_epoch, offset, bytes_max })
}

/// What a session would drop. Without sessions there is nothing to drop, but the fields must parse.
fn forgotten(reader: &mut Reader<'_>) -> Result<(), Rejected> {
    reader.array(3, |reader| {
        reader.string()?;
        reader.array(4, |reader| reader.int32().map(drop))?;
        reader.tags()
    })?;
    Ok(())
}
