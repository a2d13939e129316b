//! Produce, key 0, versions 3 to 9: read far enough to refuse it partition by partition. The records
//! are stepped over, never looked at.

use super::Rejected;
use super::reader::Reader;

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produce<'a> {
    /// 0 asks for no answer at all; -1 all in-sync replicas; 1 the leader.
    pub acks: i16,
    /// Topics written to, in request order.
    pub topics: Vec<ProduceTopic<'a>>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProduceTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Numbers of the partitions written to, in request order.
    pub partitions: Vec<i32>,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>) -> Result<Produce<'a>, Rejected> {
    reader.nullable_string()?; // transactional_id
    let acks = reader.int16()?;
    reader.int32()?; // timeout_ms
    let topics = reader.array(3, |reader| {
        let name = reader.string()?;
        let partitions = reader.array(5, |reader| {
            let partition = reader.int32()?;
            reader.nullable_bytes()?; // records
            reader.tags()?;
            Ok(partition)
        })?;
        reader.tags()?;
        Ok(ProduceTopic { name, partitions })
    })?;
    reader.tags()?;
    Ok(Produce { acks, topics })
}
