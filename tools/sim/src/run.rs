//! One seed from an empty directory through several starts.

use crate::breach::Breach;
use crate::disk::{Broken, SimDisk};
use crate::harm::Harm;
use crate::model::Model;
use crate::node::{Counts, End, Node, World};
use crate::random::Random;
use crate::regime::Regime;
use crate::restart::restart;
use crate::trace::Trace;
use crate::workload::Workload;
use headworks_format::{Epoch, LaneId, PairId};
use headworks_log::catalog::{self, Stream};
use headworks_log::recover::{Recovered, Rules};
use headworks_log::retain::Limits;
use headworks_log::{Config, Log};

/// What a run is told beside its seed.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The faults; drawn from the seed where none are named.
    pub regime: Option<Regime>,
    /// How the disk breaks its contract.
    pub broken: Broken,
    /// Whether what is called durable is looked up on the medium at once.
    pub look: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { regime: None, broken: Broken::Not, look: true }
    }
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its faults.
    pub regime: Regime,
    /// What it did.
    pub counts: Counts,
    /// The hash over all that happened.
    pub trace: u64,
    /// The promise that was broken, if any.
    pub breach: Option<Breach>,
}

/// Purposes of the streams.
const SHAPE: u64 = 1;
const WORKLOAD: u64 = 2;
const SCHEDULE: u64 = 3;
const FAULTS: u64 = 4;

/// Runs a seed.
#[must_use]
pub fn run(seed: u64, options: &Options) -> Outcome {
    let mut shape = Random::new(seed, SHAPE);
    let drawn = Regime::drawn(&mut shape);
    let regime = options.regime.unwrap_or(drawn);
    let segment_bytes = shape.pick(&[256 << 10, 384 << 10, 512 << 10]);
    let payload_bytes_max = usize::try_from(shape.within(4_000, 48_000)).expect("small");
    let mut world = World {
        disk: SimDisk::new(usize::try_from(segment_bytes).expect("small"), options.broken),
        model: Model::default(),
        workload: Workload::new(Random::new(seed, WORKLOAD), payload_bytes_max),
        schedule: Random::new(seed, SCHEDULE),
        harm: Harm::new(Random::new(seed, FAULTS), regime, segment_bytes),
        trace: Trace::default(),
        now_ns: 1_700_000_000_000_000_000,
        counts: Counts::default(),
        files_max: usize::try_from(shape.within(6, 14)).expect("small"),
        look: options.look,
    };
    let config = config(&mut shape, segment_bytes);
    let breach = starts(&mut world, &mut shape, config).err();
    world.counts.faults = world.harm.injected;
    Outcome { regime, counts: world.counts, trace: world.trace.value(), breach }
}

fn config(shape: &mut Random, segment_bytes: u64) -> Config {
    Config {
        pair: PairId(7),
        lane: LaneId(0),
        epoch: Epoch(0),
        window_bytes: shape.pick(&[128 << 10, 256 << 10, 512 << 10]),
        depth: shape.pick(&[1, 2, 4, 8]),
        blocks_max: shape.pick(&[4, 16, 70]),
        segment_bytes,
        segments_max: 10,
        entries_max: shape.pick(&[24, 200, 1_000]),
        limits: Limits { size_bytes: segment_bytes * shape.within(0, 5), age_ns: shape.chance(200).then_some(20_000_000) },
    }
}

fn starts(world: &mut World, shape: &mut Random, mut config: Config) -> Result<(), Breach> {
    let rules = Rules { lane: config.lane, segment_bytes: config.segment_bytes, window_bytes: config.window_bytes, alone: true };
    let streams_max = shape.within(1, 5);
    for start in 1..=shape.within(2, 7) {
        let recovered = restart(world, &rules)?;
        config.epoch = Epoch(u32::try_from(start).expect("few starts"));
        let log = ready(world, config, &recovered, streams_max.min(start + 1));
        let steps = match shape.below(4) {
            0 => shape.within(0, 40),
            _ => shape.within(40, 700),
        };
        let end = Node::new(world, log).run(steps, shape.chance(200))?;
        world.trace.add(30, &[start, world.now_ns]);
        if end != End::Clean {
            world.counts.crashes += 1;
        }
        // A clean stop may lose power behind it as any other.
        world.counts.torn += world.disk.crash(&mut world.schedule);
        world.harm.at_rest(&world.model, &mut world.disk);
    }
    restart(world, &rules).map(drop)
}

fn ready(world: &mut World, config: Config, recovered: &Recovered, streams: u64) -> Log {
    // The books go on where they stand on the disk.
    world.workload.counters = recovered.counters;
    let mut lanes = [recovered.partitions.clone()];
    let streams: Vec<Stream> = (0..streams).map(|number| Stream { name: format!("stream-{number}") }).collect();
    catalog::extend(&mut lanes, &streams);
    let [partitions] = lanes;
    for partition in &partitions {
        world.model.names.entry(partition.id.0).or_insert_with(|| partition.stream.clone());
    }
    world.model.next = partitions.iter().map(|partition| (partition.id.0, partition.next_offset)).collect();
    world.model.start = world.model.start.max(recovered.segments.first().map_or(recovered.next, |segment| segment.sealed.base_sequence));
    Log::start(config, recovered, partitions)
}
