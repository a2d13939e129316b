//! OffsetFetch, key 9, versions 1 to 9.

use super::Rejected;
use super::reader::Reader;

/// The request. Whether offsets must be stable (since 7) is read and dropped: without transactions they always are. So are
/// the member and its epoch (9), which belong to the newer group protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetFetch<'a> {
    /// Whose: one group before version 8, any number since.
    pub groups: Vec<FetchGroup<'a>>,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchGroup<'a> {
    /// Its name.
    pub group: &'a str,
    /// Topics asked for; none means all that the group has committed (since 2).
    pub topics: Option<Vec<OffsetTopic<'a>>>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its partitions, in request order.
    pub partitions: Vec<i32>,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<OffsetFetch<'a>, Rejected> {
    let groups = if version <= 7 {
        let group = reader.string()?;
        let topics = reader.nullable_array(3, topic)?;
        if version == 1 && topics.is_none() {
            return Err(Rejected::Null);
        }
        vec![FetchGroup { group, topics }]
    } else {
        reader.array(3, |reader| {
            let group = reader.string()?;
            if version >= 9 {
                reader.nullable_string()?; // member_id
                reader.int32()?; // member_epoch
            }
            let topics = reader.nullable_array(3, topic)?;
            reader.tags()?;
            Ok(FetchGroup { group, topics })
        })?
    };
    if version >= 7 {
        reader.boolean()?; // require_stable
    }
    reader.tags()?;
    Ok(OffsetFetch { groups })
}

fn topic<'a>(reader: &mut Reader<'a>) -> Result<OffsetTopic<'a>, Rejected> {
    let name = reader.string()?;
    let partitions = reader.array(4, Reader::int32)?;
    reader.tags()?;
    Ok(OffsetTopic { name, partitions })
}
