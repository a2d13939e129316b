//! Metadata, key 3, versions 0 to 12.

use super::Rejected;
use super::reader::Reader;

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// Which topics; `None` is all of them. Version 0 has no null and says "all" by an empty list,
    /// later versions mean "none" by it; that difference ends here.
    pub topics: Option<Vec<TopicAsked<'a>>>,
    /// Whether a topic that is asked for by name and does not exist may be made. Before version 4 clients had no say.
    pub may_create: bool,
}

/// A topic by name or, since version 12, by id alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicAsked<'a> {
    /// Id (since 10), all zero when the client knows none.
    pub id: [u8; 16],
    /// Name; null only beside an id.
    pub name: Option<&'a str>,
}

pub(super) fn read<'a>(reader: &mut Reader<'a>, version: i16) -> Result<Metadata<'a>, Rejected> {
    // An element takes a length (2 bytes, or 1 compact), an id since 10, and tags since 9.
    let element_bytes_min = match version {
        0..=9 => 2,
        _ => 18,
    };
    let topics = reader.nullable_array(element_bytes_min, |reader| topic(reader, version))?;
    let topics = match topics {
        None if version == 0 => return Err(Rejected::Null),
        Some(topics) if version == 0 && topics.is_empty() => None,
        topics => topics,
    };
    let may_create = if version >= 4 { reader.boolean()? } else { true };
    if (8..=10).contains(&version) {
        reader.boolean()?; // include_cluster_authorized_operations
    }
    if version >= 8 {
        reader.boolean()?; // include_topic_authorized_operations
    }
    reader.tags()?;
    Ok(Metadata { topics, may_create })
}

fn topic<'a>(reader: &mut Reader<'a>, version: i16) -> Result<TopicAsked<'a>, Rejected> {
    let id = if version >= 10 { reader.uuid()? } else { [0; 16] };
    let name = if version >= 10 { reader.nullable_string()? } else { Some(reader.string()?) };
    reader.tags()?;
    Ok(TopicAsked { id, name })
}
