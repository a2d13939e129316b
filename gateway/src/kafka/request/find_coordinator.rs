//! FindCoordinator, key 10, versions 0 to 4.

use super::Rejected;
use super::reader::Reader;

/// The request. The kind of key (group or transaction, since 1) is read and dropped: neither has a
/// coordinator here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindCoordinator<'a> {
    /// The keys: one before version 4, any number since.
    pub keys: Vec<&'a str>,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<FindCoordinator<'a>, Rejected> {
    let mut keys = Vec::new();
    if version <= 3 {
        keys.push(reader.string()?);
    }
    if version >= 1 {
        reader.int8()?; // key_type
    }
    if version >= 4 {
        keys = reader.array(1, Reader::string)?;
    }
    reader.tags()?;
    Ok(FindCoordinator { keys })
}
