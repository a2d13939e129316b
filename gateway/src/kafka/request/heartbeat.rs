//! Heartbeat, key 12, versions 0 to 4; and how a member names itself there, in SyncGroup and in OffsetCommit.

use super::Rejected;
use super::reader::Reader;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// The group.
    pub group: &'a str,
    /// The generation that it believes in; -1: none.
    pub generation: i32,
    /// Its id; empty: none.
    pub id: &'a str,
    /// Its name across restarts.
    pub instance: Option<&'a str>,
}

impl<'a> Member<'a> {
    /// Group, generation, id and, in versions that have it, the name.
    pub(super) fn read(reader: &mut Reader<'a>, named: bool) -> Result<Member<'a>, Rejected> {
        let (group, generation, id) = (reader.string()?, reader.int32()?, reader.string()?);
        let instance = if named { reader.nullable_string()? } else { None };
        Ok(Member { group, generation, id, instance })
    }
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<Member<'a>, Rejected> {
    let member = Member::read(reader, version >= 3)?;
    reader.tags()?;
    Ok(member)
}
