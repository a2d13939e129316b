//! InitProducerId, key 22, versions 0 to 4.

use super::Rejected;
use super::reader::Reader;

/// The request. The id and epoch that a producer had before (since 3) are read and dropped: it gets new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitProducerId<'a> {
    /// Of a transactional producer, which this broker does not serve.
    pub transactional_id: Option<&'a str>,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<InitProducerId<'a>, Rejected> {
    let transactional_id = reader.nullable_string()?;
    reader.int32()?; // transaction_timeout_ms
    if version >= 3 {
        reader.int64()?; // producer_id
        reader.int16()?; // producer_epoch
    }
    reader.tags()?;
    Ok(InitProducerId { transactional_id })
}
