//! SyncGroup, key 14, versions 0 to 5.

use super::Rejected;
use super::heartbeat::Member;
use super::reader::Reader;

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncGroup<'a> {
    /// Who asks.
    pub member: Member<'a>,
    /// Kind of group that it believes in (since 5).
    pub protocol_type: Option<&'a str>,
    /// Protocol that it believes in (since 5).
    pub protocol: Option<&'a str>,
    /// From the leader: by member.
    pub assignments: Vec<Assignment<'a>>,
}

/// What the leader gives one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// The member's id.
    pub member: &'a str,
    /// Opaque to us.
    pub assignment: &'a [u8],
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<SyncGroup<'a>, Rejected> {
    let member = Member::read(reader, version >= 3)?;
    let (protocol_type, protocol) = if version >= 5 { (reader.nullable_string()?, reader.nullable_string()?) } else { (None, None) };
    let assignments = reader.array(3, |reader| {
        let member = reader.string()?;
        let assignment = reader.nullable_bytes()?.ok_or(Rejected::Null)?;
        reader.tags()?;
        Ok(Assignment { member, assignment })
    })?;
    reader.tags()?;
    Ok(SyncGroup { member, protocol_type, protocol, assignments })
}
