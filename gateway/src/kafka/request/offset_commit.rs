//! OffsetCommit, key 8, versions 2 to 9.

use super::Rejected;
use super::heartbeat::Member;
use super::reader::Reader;

/// The request. How long to keep the offsets (before 5) is read and dropped: that is one setting for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetCommit<'a> {
    /// Who commits; one that assigns its partitions by hand has neither generation nor id.
    pub member: Member<'a>,
    /// What, in request order.
    pub topics: Vec<CommitTopic<'a>>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its partitions, in request order.
    pub partitions: Vec<CommitPartition<'a>>,
}

/// One partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitPartition<'a> {
    /// Its number.
    pub partition: i32,
    /// The offset that is to be read next.
    pub offset: i64,
    /// Epoch of the last record read (since 6), -1 for none.
    pub leader_epoch: i32,
    /// What the client wants to find again.
    pub metadata: Option<&'a str>,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<OffsetCommit<'a>, Rejected> {
    let member = Member::read(reader, version >= 7)?;
    if version <= 4 {
        reader.int64()?; // retention_time_ms
    }
    let topics = reader.array(3, |reader| {
        let name = reader.string()?;
        let partitions = reader.array(14, |reader| partition(reader, version))?;
        reader.tags()?;
        Ok(CommitTopic { name, partitions })
    })?;
    reader.tags()?;
    Ok(OffsetCommit { member, topics })
}

fn partition<'a>(reader: &mut Reader<'a>, version: i16) -> Result<CommitPartition<'a>, Rejected> {
    let (partition, offset) = (reader.int32()?, reader.int64()?);
    let leader_epoch = if version >= 6 { reader.int32()? } else { -1 };
    let metadata = reader.nullable_string()?;
    reader.tags()?;
    Ok(CommitPartition { partition, offset, leader_epoch, metadata })
}
