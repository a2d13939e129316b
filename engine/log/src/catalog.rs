//! Which partitions a lane holds: what its newest checkpoint says, and what the configuration adds.

use headworks_format::{PartitionId, checkpoint};
use std::collections::{BTreeMap, BTreeSet};

/// A stream that every lane holds one partition of: partition number = lane number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Its name, 1 to 249 bytes.
    pub name: String,
}

/// Adds the partitions that the streams ask for and no lane has yet; `lanes[i]` are lane i's partitions from its newest checkpoint.
///
/// Ids are never given twice: a new one lies above every id that any lane knows.
pub fn extend(lanes: &mut [Vec<checkpoint::Partition>], streams: &[Stream]) {
    let mut next = lanes.iter().flatten().map(|partition| partition.id.0 + 1).max().unwrap_or(0);
    for stream in streams {
        for (lane, partitions) in lanes.iter_mut().enumerate() {
            if partitions.iter().any(|partition| partition.stream == stream.name) {
                continue;
            }
            let number = u32::try_from(lane).expect("lanes are at most 64");
            partitions.push(checkpoint::Partition {
                id: PartitionId(next),
                stream: stream.name.clone(),
                number,
                next_offset: 0,
                log_start: 0,
            });
            next += 1;
        }
    }
}

/// Adds the partitions that a crash left out of a topic that was being made: those below its highest number. Partition p of
/// a topic lives in lane p mod lanes; streams that listen have one in every lane and are never left so.
pub fn complete(lanes: &mut [Vec<checkpoint::Partition>]) {
    let mut next = lanes.iter().flatten().map(|partition| partition.id.0 + 1).max().unwrap_or(0);
    let mut topics: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for partition in lanes.iter().flatten() {
        topics.entry(partition.stream.clone()).or_default().insert(partition.number);
    }
    let count = u32::try_from(lanes.len()).expect("lanes are at most 64");
    for (stream, numbers) in topics {
        let highest = numbers.last().copied().unwrap_or(0);
        for number in (0..highest).filter(|number| !numbers.contains(number)) {
            let lane = &mut lanes[(number % count) as usize];
            lane.push(checkpoint::Partition { id: PartitionId(next), stream: stream.clone(), number, next_offset: 0, log_start: 0 });
            next += 1;
        }
    }
}

#[cfg(test)]
mod tests;
