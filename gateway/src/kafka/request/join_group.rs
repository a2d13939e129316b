//! JoinGroup, key 11, versions 0 to 9.

use super::Rejected;
use super::reader::Reader;

/// The request. The reason for joining (since 8) is read and dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinGroup<'a> {
    /// The group.
    pub group: &'a str,
    /// How long the member may be silent, in ms.
    pub session_ms: i32,
    /// How long others wait for it to join again, in ms; before version 1 as long as a session.
    pub rebalance_ms: i32,
    /// Its id, empty on the first join.
    pub member: &'a str,
    /// Its name across restarts (since 5).
    pub instance: Option<&'a str>,
    /// What kind of group.
    pub protocol_type: &'a str,
    /// By the member's preference.
    pub protocols: Vec<JoinProtocol<'a>>,
}

/// A way of assigning partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinProtocol<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the member tells the leader under it.
    pub metadata: &'a [u8],
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<JoinGroup<'a>, Rejected> {
    let group = reader.string()?;
    let session_ms = reader.int32()?;
    let rebalance_ms = if version >= 1 { reader.int32()? } else { session_ms };
    let member = reader.string()?;
    let instance = if version >= 5 { reader.nullable_string()? } else { None };
    let protocol_type = reader.string()?;
    let protocols = reader.array(3, |reader| {
        let name = reader.string()?;
        let metadata = reader.nullable_bytes()?.ok_or(Rejected::Null)?;
        reader.tags()?;
        Ok(JoinProtocol { name, metadata })
    })?;
    if version >= 8 {
        reader.nullable_string()?; // reason
    }
    reader.tags()?;
    Ok(JoinGroup { group, session_ms, rebalance_ms, member, instance, protocol_type, protocols })
}
