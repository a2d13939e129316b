//! CreateTopics, key 19, versions 2 to 7.

use super::Rejected;
use super::reader::Reader;

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTopics<'a> {
    /// Topics to be made, in request order.
    pub topics: Vec<TopicWanted<'a>>,
    /// Only say what would be.
    pub validate_only: bool,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicWanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its partitions; -1: as many as the broker likes, or as are assigned.
    pub partitions: i32,
    /// Copies of each; -1: as the broker likes.
    pub replicas: i16,
    /// Partitions assigned to brokers by hand.
    pub assigned: usize,
    /// Names of settings asked for.
    pub settings: Vec<&'a str>,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>) -> Result<CreateTopics<'a>, Rejected> {
    let topics = reader.array(8, topic)?;
    reader.int32()?; // timeout_ms
    let validate_only = reader.boolean()?;
    reader.tags()?;
    Ok(CreateTopics { topics, validate_only })
}

fn topic<'a>(reader: &mut Reader<'a>) -> Result<TopicWanted<'a>, Rejected> {
    let name = reader.string()?;
    let (partitions, replicas) = (reader.int32()?, reader.int16()?);
    let assigned = reader.array(5, |reader| {
        reader.int32()?; // partition_index
        reader.array(4, Reader::int32)?; // broker_ids
        reader.tags()
    })?;
    let settings = reader.array(2, |reader| {
        let name = reader.string()?;
        reader.nullable_string()?; // value
        reader.tags()?;
        Ok(name)
    })?;
    reader.tags()?;
    Ok(TopicWanted { name, partitions, replicas, assigned: assigned.len(), settings })
}
