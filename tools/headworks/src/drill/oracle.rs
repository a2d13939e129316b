//! What must hold whatever was done to the pair.
//!
//! ```text
//! in each run      acknowledged ⊆ stored, once, unharmed      every offset holds what it ever held, whoever serves it
//! at the end       each epoch was begun by one node, once     both directories are clean
//!                  both hold the same records below the high watermark, byte for byte, as far back as both still have them
//! ```
//!
//! An acknowledgement that a deposed primary gave is caught by the first: what it acknowledged alone is not what its successor stores.

use super::load;
use super::log::Said;
use super::rig::{HTTP, Rig, Trouble};
use crate::client;
use crate::node::Failure;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a run's clients are served is what was served before.
pub fn constant(rig: &Rig, run: u32) -> Result<(), Trouble> {
    ["events", &load::topic(run)].iter().try_for_each(|topic| load::digest(rig, topic))
}

/// Stops both nodes, and compares what they leave; what is wrong.
pub fn at_the_end(rig: &mut Rig, runs: u32) -> Result<Vec<String>, Trouble> {
    // Topics of earlier runs: what the failovers since have made of them.
    let topics: BTreeSet<String> = (0..runs).map(load::topic).collect();
    topics.iter().try_for_each(|topic| load::digest(rig, topic))?;
    let mut wrong = shared_epochs(rig);
    let leader = rig.leader().map_or(0, |(at, _)| at);
    let bounds = |at: usize| Ok::<_, Failure>(bounds(&client::get(rig.address(at, HTTP), "/api/v1/status")?));
    let (committed, follower) = (bounds(leader)?, bounds(1 - leader)?);
    for at in [1 - leader, leader] {
        rig.signal(at, Signal::SIGTERM)?;
        rig.await_end(at)?;
    }
    for at in 0..2 {
        let data = rig.node(at).data.clone();
        let (said, code) = rig.call(&["verify"], &data)?;
        if code != Some(0) {
            wrong.push(format!("node {}: verify ended with {code:?}: {}", rig.node(at).name, String::from_utf8_lossy(&said)));
        }
    }
    for ((stream, partition), (start, mark)) in committed {
        // Each node's retention takes for itself.
        let start = follower.get(&(stream.clone(), partition)).map_or(start, |(other, _)| start.max(*other));
        wrong.extend(compare(rig, &stream, partition, (start, mark))?);
    }
    Ok(wrong)
}

/// Epochs that two nodes led, or one twice.
fn shared_epochs(rig: &Rig) -> Vec<String> {
    let mut leaders: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for node in (0..2).map(|at| rig.node(at)) {
        for line in &node.lines {
            if let Said::Leading(epoch) = line.said {
                leaders.entry(epoch).or_default().push(node.name);
            }
        }
    }
    let shared = leaders.into_iter().filter(|(_, by)| by.len() > 1);
    shared.map(|(epoch, by)| format!("epoch {epoch} was begun by {}", by.join(" and "))).collect()
}

/// First offset and high watermark, by stream and partition.
fn bounds(status: &Value) -> BTreeMap<(String, u64), (u64, u64)> {
    let streams = status["streams"].as_array().map_or(&[][..], Vec::as_slice);
    let of = |stream: &Value| {
        let name = stream["name"].as_str().unwrap_or_default().to_owned();
        let partitions = stream["partitions"].as_array().cloned().unwrap_or_default();
        partitions.into_iter().filter_map(move |partition| {
            let number = |key: &str| partition[key].as_u64();
            Some(((name.clone(), number("partition")?), (number("log_start")?, number("high_watermark")?)))
        })
    };
    streams.iter().flat_map(of).collect()
}

/// The records of a partition from one offset to another, on both nodes.
fn compare(rig: &Rig, stream: &str, partition: u64, (start, mark): (u64, u64)) -> Result<Option<String>, Failure> {
    let wanted = mark.saturating_sub(start);
    let read = |at: usize| {
        let (partition, offset, count) = (partition.to_string(), start.to_string(), wanted.to_string());
        let arguments = ["cat", "--stream", stream, "--partition", &partition, "--offset", &offset, "--count", &count, "--format", "json"];
        rig.call(&arguments, &rig.node(at).data)
    };
    let ((a, _), (b, _)) = (read(0)?, read(1)?);
    let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    let place = format!("{stream} partition {partition}");
    if lines(&a) != wanted || lines(&b) != wanted {
        let (a, b) = (lines(&a), lines(&b));
        return Ok(Some(format!("{place}: {wanted} records from {start} on are committed, a holds {a} and b holds {b} of them")));
    }
    let first = a.split(|byte| *byte == b'\n').zip(b.split(|byte| *byte == b'\n')).position(|(a, b)| a != b);
    Ok(first.map(|behind| format!("{place}: record {behind} from {start} on is not the same on both nodes")))
}
