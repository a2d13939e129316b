//! What must hold when a node starts again: nothing durable is gone, nothing false is there, and once more is the same.

use crate::breach::{Breach, check};
use crate::disk::SimDisk;
use crate::model::Block;
use crate::node::World;
use crate::reader;
use crate::regime::Regime;
use headworks_format::block::Head;
use headworks_format::segment::{DATA_FROM, HeaderPage};
use headworks_format::sidecar::Sidecar;
use headworks_log::recover::{Recovered, Rules, recover};
use headworks_log::{Disk, verify::verify};
use std::collections::{BTreeMap, BTreeSet};

/// Recovers, now and then losing power on the way, and holds the result against the truth.
///
/// # Errors
/// A promise was broken.
pub fn restart(world: &mut World, rules: &Rules) -> Result<Recovered, Breach> {
    let mut before = Before { survivors: survivors(world), whole: whole(world), interrupted: 0 };
    let recovered = loop {
        if before.interrupted < 3 && world.schedule.chance(250) {
            world.disk.fuse = Some(u32::try_from(world.schedule.below(12)).expect("below 12"));
        }
        match recover(&mut world.disk, rules) {
            Ok(recovered) => break recovered,
            Err(error) => {
                check("recovery fails only without power", before.interrupted < 3, || error.message)?;
                before.interrupted += 1;
                world.counts.crashes += 1;
                world.counts.torn += world.disk.crash(&mut world.schedule);
            }
        }
    };
    world.disk.fuse = None;
    world.counts.holes += recovered.holes().count() as u64;
    world.counts.cut += recovered.cut_blocks;
    world.trace.add(20, &[recovered.next, recovered.segments.len() as u64, recovered.perhaps_acked_records]);
    reach(world, &recovered, &before)?;
    holes(world, &recovered, &before)?;
    let served = serve(world, &recovered)?;
    whole_is_served(world, &before, &served)?;
    books(world, &recovered, &before)?;
    again(world, rules, &recovered)?;
    clean(world, rules, &recovered)?;
    Ok(recovered)
}

/// What lay on the disk when the node started.
struct Before {
    survivors: BTreeSet<u64>,
    whole: BTreeSet<u64>,
    /// Attempts to recover that lost power: what they counted reached nobody.
    interrupted: u32,
}

/// The blocks that lie on the disk as they were written, in segments that can be told.
fn whole(world: &World) -> BTreeSet<u64> {
    let whole = |block: &Block| {
        world.disk.is_intact(block.file, block.position, block.bytes.len())
            && world.disk.should_hold(block.file, block.position, &block.bytes)
            && (block.durable || told(world, block))
    };
    let blocks = world.model.live.iter();
    blocks.filter(|(_, block)| whole(block)).map(|(sequence, _)| *sequence).collect()
}

/// The blocks not known durable that lie whole on the disk in a segment that can be told.
fn survivors(world: &World) -> BTreeSet<u64> {
    let survives = |block: &Block| {
        !block.durable
            && !block.batches.is_empty()
            && world.disk.should_hold(block.file, block.position, &block.bytes)
            && told(world, block)
    };
    let blocks = world.model.live.iter().rev();
    blocks.take_while(|(_, block)| !block.durable).filter(|(_, block)| survives(block)).map(|(sequence, _)| *sequence).collect()
}

/// Whether header page or first block of a block's segment are there, by which its file is known.
fn told(world: &World, block: &Block) -> bool {
    let mut start = world.disk.buffer(DATA_FROM + 4096);
    let bytes = start.len();
    if world.disk.read(block.file, 0, bytes, &mut start).is_err() {
        return false;
    }
    let header = start.first_chunk().map(HeaderPage::parse);
    let first = start[DATA_FROM..].first_chunk().map(Head::parse);
    matches!(header, Some(HeaderPage::Present(id)) if id.nonce == block.nonce)
        || matches!(first, Some(Ok(head)) if head.nonce() == block.nonce)
}

/// The log begins where retention left it and ends behind everything durable.
fn reach(world: &mut World, recovered: &Recovered, before: &Before) -> Result<(), Breach> {
    let regime = world.harm.regime;
    let first = recovered.segments.first().map_or(recovered.next, |segment| segment.sealed.base_sequence);
    let gone = world.model.live.range(..first).find(|(sequence, block)| block.durable && **sequence >= world.model.start);
    check("only retention takes the log's start", gone.is_none() || !regime.is_strict(), || {
        format!("the log begins with {first}, retention left {}", world.model.start)
    })?;
    let left = world.model.leave(first, recovered.next);
    let lost: Vec<_> = left.iter().filter(|(_, block)| block.durable).collect();
    let counted = matches!(regime, Regime::Blocks | Regime::Checkpoints) && {
        let records: u64 = lost.iter().map(|(_, block)| block.records).sum();
        let first_harmed = lost.first().is_some_and(|(sequence, _)| !before.whole.contains(sequence));
        first_harmed && (records <= recovered.perhaps_acked_records || before.interrupted > 0)
    };
    check("durable blocks outlive a crash", lost.is_empty() || counted || !regime.is_strict(), || {
        format!("the log ends at {}, and {} durable blocks lie behind it", recovered.next, lost.len())
    })?;
    if regime == Regime::Quiet {
        for (sequence, block) in left.iter().filter(|(sequence, _)| before.survivors.contains(sequence)) {
            check("what is cut is in quarantine", in_quarantine(world, &block.bytes), || {
                format!("block {sequence} of {} survived and is nowhere", block.file)
            })?;
        }
    }
    Ok(())
}

fn in_quarantine(world: &World, bytes: &[u8]) -> bool {
    is_kept(&world.disk, bytes)
}

/// Whether a block stands in quarantine.
#[must_use]
pub fn is_kept(disk: &SimDisk, bytes: &[u8]) -> bool {
    disk.quarantined.values().any(|kept| (0..kept.len()).step_by(4096).any(|from| kept[from..].starts_with(bytes)))
}

/// Holes are where harm is; what is not in one is part of the log from now on.
fn holes(world: &mut World, recovered: &Recovered, before: &Before) -> Result<(), Breach> {
    let regime = world.harm.regime;
    for hole in recovered.holes() {
        check("a quiet run has no holes", regime != Regime::Quiet, || format!("{hole:?}"))?;
        // What retention took may come back in any state: nobody asks for it.
        let end = hole.sequence.0 + hole.blocks;
        let range = hole.sequence.0.max(world.model.start).min(end)..end;
        for (sequence, block) in world.model.live.range_mut(range) {
            block.lost = true;
            let harmed = !before.whole.contains(sequence);
            check("a hole holds harmed blocks only", harmed || !block.durable || !regime.is_strict(), || {
                format!("block {sequence} in {} is whole and in {hole:?}", block.file)
            })?;
        }
    }
    // What was neither durable nor read back was seen by nobody: its offsets may be given out again.
    world.model.drop_unseen();
    for block in world.model.live.values_mut() {
        block.durable = true;
    }
    Ok(())
}

/// Reads all that the sidecars name; the numbers of the batches that were served.
fn serve(world: &mut World, recovered: &Recovered) -> Result<BTreeSet<(u32, u64)>, Breach> {
    let regime = world.harm.regime;
    let mut served = BTreeSet::new();
    let live = world.model.batches();
    for segment in &recovered.segments {
        let sidecar = world.disk.read_sidecar(segment.sealed.file).ok().flatten().and_then(|bytes| Sidecar::parse(&bytes));
        check("every kept segment has a sidecar", sidecar.as_ref().is_some_and(|sidecar| sidecar.nonce == segment.sealed.nonce), || {
            format!("{}", segment.sealed.file)
        })?;
        for entry in sidecar.iter().flat_map(|sidecar| &sidecar.entries) {
            let Some(bytes) = reader::read(&world.disk, segment.sealed.file, segment.sealed.epoch, entry) else {
                continue;
            };
            let key = (entry.partition.0, entry.base_offset);
            let known = live.get(&key).is_some_and(|(_, known)| *known == bytes);
            let produced = || world.model.was_produced(key.0, key.1, &bytes);
            check("recovery serves what was appended and not cut", known || (!regime.is_strict() && produced()), || {
                format!("partition {}, offset {} of {}", key.0, key.1, segment.sealed.file)
            })?;
            served.insert(key);
        }
    }
    world.counts.batches_read += served.len() as u64;
    Ok(served)
}

fn whole_is_served(world: &World, before: &Before, served: &BTreeSet<(u32, u64)>) -> Result<(), Breach> {
    if !world.harm.regime.is_strict() {
        return Ok(());
    }
    for (sequence, block) in world.model.live.range(world.model.start..) {
        let whole = before.whole.contains(sequence);
        for batch in &block.batches {
            check("every whole block is served", served.contains(&(batch.partition, batch.base)) || !whole, || {
                format!("block {sequence}, partition {}, offset {}", batch.partition, batch.base)
            })?;
        }
    }
    Ok(())
}

/// Offsets go on behind everything that was not cut; names keep their numbers; counters are the last block's.
fn books(world: &mut World, recovered: &Recovered, before: &Before) -> Result<(), Breach> {
    let regime = world.harm.regime;
    let next: BTreeMap<u32, u64> = recovered.partitions.iter().map(|partition| (partition.id.0, partition.next_offset)).collect();
    if regime == Regime::Checkpoints && forgot(recovered, before) {
        // What no readable checkpoint names and no readable batch belongs to is not known any more, nor are names.
        world.model.keep_partitions(|partition| next.contains_key(&partition));
        world.model.names.clear();
        world.model.names.extend(recovered.partitions.iter().map(|partition| (partition.id.0, partition.stream.clone())));
    }
    for (partition, end) in world.model.ends() {
        let found = next.get(&partition).copied().unwrap_or(0);
        check("no offset is given out again", found >= end || !regime.is_strict(), || {
            format!("partition {partition} goes on at {found}, {end} were given out; {:?}; {:?}", recovered.partitions, recovered.notes)
        })?;
        check(
            "no offset is left out without a hole",
            found == end || !matches!(regime, Regime::Quiet | Regime::Headers | Regime::Records),
            || format!("partition {partition} goes on at {found}, {end} were given out; {:?}; {:?}", recovered.partitions, recovered.notes),
        )?;
    }
    for partition in &recovered.partitions {
        let known = world.model.names.get(&partition.id.0);
        let unnamed = partition.stream.starts_with("unnamed-");
        check(
            "partitions keep their names",
            known == Some(&partition.stream) || !regime.is_strict() || (unnamed && regime == Regime::Checkpoints),
            || format!("{partition:?} was {known:?}"),
        )?;
    }
    check(
        "the books go on at the last block",
        recovered.counters == world.model.last_counters() || matches!(regime, Regime::Blocks | Regime::Checkpoints | Regime::Mixed),
        || format!("{:?}, the last block has {:?}", recovered.counters, world.model.last_counters()),
    )?;
    world.model.next = next;
    Ok(())
}

/// Whether the newest checkpoint was harmed, which alone knows of partitions without a record in the kept segments.
fn forgot(recovered: &Recovered, before: &Before) -> bool {
    let newest = recovered.segments.last().map(|segment| segment.sealed.base_sequence);
    newest.is_none_or(|base| !before.whole.contains(&base))
}

/// Recovery of what recovery left is the same again.
fn again(world: &mut World, rules: &Rules, recovered: &Recovered) -> Result<(), Breach> {
    let second = recover(&mut world.disk, rules).map_err(|error| Breach::new("recovery can be repeated", error.message))?;
    let shape = |recovered: &Recovered| {
        let segments: Vec<_> = recovered.segments.iter().map(|segment| (segment.sealed.clone(), segment.holes.clone())).collect();
        (segments, recovered.next, recovered.chain, recovered.partitions.clone(), recovered.counters)
    };
    check("recovery repeats itself", shape(recovered) == shape(&second) && second.perhaps_acked_records == 0, || {
        format!("{:?}\nthen {:?}", shape(recovered), shape(&second))
    })
}

fn clean(world: &World, rules: &Rules, recovered: &Recovered) -> Result<(), Breach> {
    let report = verify(&world.disk, rules.lane, rules.segment_bytes, rules.window_bytes)
        .map_err(|error| Breach::new("a lane can be checked", error.message))?;
    let clean = report.damage.is_empty() && !report.torn_tail && report.end == recovered.next;
    check("a quiet run leaves no damage", clean || world.harm.regime != Regime::Quiet, || {
        format!("the log ends at {}: {report:?}; {:?}", recovered.next, recovered.notes)
    })
}
