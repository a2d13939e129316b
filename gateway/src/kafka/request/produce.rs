//! Produce, key 0, versions 3 to 9. The records are views of the frame, checked by `answer::produce`.

use super::Rejected;
use super::reader::Reader;

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produce<'a> {
    /// Of a transactional producer, which this broker does not serve.
    pub transactional_id: Option<&'a str>,
    /// 0 asks for no answer at all; -1 all in-sync replicas; 1 the leader.
    pub acks: i16,
    /// How long the client waits for the level that it asked for.
    pub timeout_ms: i32,
    /// Topics written to, in request order.
    pub topics: Vec<ProduceTopic<'a>>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProduceTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// The partitions written to, in request order.
    pub partitions: Vec<ProducePartition<'a>>,
}

/// What one partition is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducePartition<'a> {
    /// Its number.
    pub partition: i32,
    /// Its records: one batch, or what a client takes for one.
    pub records: Option<&'a [u8]>,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>) -> Result<Produce<'a>, Rejected> {
    let transactional_id = reader.nullable_string()?;
    let acks = reader.int16()?;
    let timeout_ms = reader.int32()?;
    let topics = reader.array(3, |reader| {
        let name = reader.string()?;
        let partitions = reader.array(5, |reader| {
            let partition = reader.int32()?;
            let records = reader.nullable_bytes()?;
            reader.tags()?;
            Ok(ProducePartition { partition, records })
        })?;
        reader.tags()?;
        Ok(ProduceTopic { name, partitions })
    })?;
    reader.tags()?;
    Ok(Produce { transactional_id, acks, timeout_ms, topics })
}
