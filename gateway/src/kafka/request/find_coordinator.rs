//! FindCoordinator, key 10, versions 0 to 4.

use super::Rejected;
use super::reader::Reader;

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindCoordinator<'a> {
    /// What kind the keys are of (since 1): 0 groups, 1 transactions.
    pub kind: i8,
    /// The keys: one before version 4, any number since.
    pub keys: Vec<&'a str>,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<FindCoordinator<'a>, Rejected> {
    let mut keys = Vec::new();
    if version <= 3 {
        keys.push(reader.string()?);
    }
    let kind = if version >= 1 { reader.int8()? } else { 0 };
    if version >= 4 {
        keys = reader.array(1, Reader::string)?;
    }
    reader.tags()?;
    Ok(FindCoordinator { kind, keys })
}
