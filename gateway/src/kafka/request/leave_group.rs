//! LeaveGroup, key 13, versions 0 to 5.

use super::Rejected;
use super::reader::Reader;

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveGroup<'a> {
    /// The group.
    pub group: &'a str,
    /// Who leaves: one before version 3, any number since.
    pub leavers: Vec<Leaver<'a>>,
}

/// A member that leaves. The reason (since 5) is read and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaver<'a> {
    /// Its id; empty: by its name.
    pub member: &'a str,
    /// Its name across restarts (since 3).
    pub instance: Option<&'a str>,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<LeaveGroup<'a>, Rejected> {
    let group = reader.string()?;
    let leavers = if version >= 3 {
        reader.array(3, |reader| {
            let leaver = Leaver { member: reader.string()?, instance: reader.nullable_string()? };
            if version >= 5 {
                reader.nullable_string()?; // reason
            }
            reader.tags()?;
            Ok(leaver)
        })?
    } else {
        vec![Leaver { member: reader.string()?, instance: None }]
    };
    reader.tags()?;
    Ok(LeaveGroup { group, leavers })
}
