//! Random walks far beyond what can be searched: more records, epochs, crashes, lost links, handovers, and standbys that know
//! what is committed. Every walk prints its seed when it fails, and a seed walks the same way each time.

use super::world::{Step, World};
use crate::rules::{Rule, Rules};
use headworks_format::Epoch;

const STEPS: usize = 400;
const SEEDS: u64 = 1_000;
/// The variable that holds another number of seeds: `cargo xtask model`.
const WALKS: &str = "HEADWORKS_MODEL_WALKS";
/// A block has four bits for its epoch and four for its record; a chain has room for sixteen.
const RECORDS_MAX: u8 = 12;
const DISKS_LOST_MAX: u8 = 3;
const EPOCH_MAX: Epoch = Epoch(15);

/// Numbers that look random and are the same in every run (xorshift64*, Vigna 2016).
struct Bits(u64);

impl Bits {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits") % limit
    }
}

/// How often a step is taken, out of a hundred times that it could be: what ends everything has to be rare.
fn chance(world: &World, step: &Step) -> usize {
    match step {
        Step::Append(_) if world.records >= RECORDS_MAX => 0,
        Step::LoseDisk(_) if world.disks_lost == DISKS_LOST_MAX => 0,
        // A register of one's own goes with the disk: what is left is mostly nobody who may lead.
        Step::LoseDisk(_) if world.by_hand && world.committed.len() < 4 => 0,
        Step::LoseDisk(_) => 1,
        Step::Crash { .. } if world.by_hand => 1,
        Step::Crash { .. } => 2,
        Step::LinkLost(_) | Step::Tick(_) => 10,
        Step::Switchover(_) | Step::Promote(_) => 3,
        Step::Claim(_) => 20,
        Step::Lose(_) => 15,
        _ => 100,
    }
}

/// Walks; returns what was wrong, and how many blocks were committed.
fn walk(seed: u64, begin: World) -> Result<usize, String> {
    let mut world = World { tells_committed: true, ..begin };
    let mut bits = Bits(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut taken = Vec::new();
    for _ in 0..STEPS {
        let mut steps = world.steps();
        // Only so many messages are under way that others come to pass as well.
        while world.sent.len() > 24 {
            let oldest = bits.below(world.sent.len());
            let packet = *world.sent.iter().nth(oldest).expect("below its length");
            world.sent.remove(&packet);
        }
        steps.retain(|step| bits.below(100) < chance(&world, step));
        let Some(step) = (!steps.is_empty()).then(|| steps[bits.below(steps.len())]) else { continue };
        taken.push(step);
        world.take(step).map_err(|violation| format!("seed {seed}, after {} steps: {violation}", taken.len()))?;
        if world.asks_beyond(EPOCH_MAX) {
            break;
        }
    }
    Ok(world.committed.len())
}

/// How many walks are asked for, if any number is.
fn asked() -> Option<u64> {
    std::env::var(WALKS).ok().map(|walks| walks.parse().unwrap_or_else(|_| panic!("{WALKS}={walks}: not a number of walks")))
}

#[test]
fn random_walks_are_safe_and_get_somewhere() {
    let (mut committed, seeds) = (0, asked().unwrap_or(SEEDS));
    for seed in 1..=seeds {
        committed += walk(seed, World::new(Rules::ALL)).unwrap_or_else(|violation| panic!("{violation}"));
    }
    println!("{seeds} walks committed {committed} blocks");
    assert!(committed as u64 > seeds, "{committed} blocks committed in {seeds} walks");
}

#[test]
fn random_walks_by_hand_are_safe_and_get_somewhere() {
    let (mut committed, seeds) = (0, asked().unwrap_or(SEEDS));
    for seed in 1..=seeds {
        committed += walk(seed, World::by_hand(Rules::ALL)).unwrap_or_else(|violation| panic!("{violation}"));
    }
    println!("{seeds} walks by hand committed {committed} blocks");
    assert!(committed as u64 > seeds, "{committed} blocks committed in {seeds} walks");
}

#[test]
fn random_walks_miss_the_rules_that_matter_most() {
    for rule in [Rule::Ack, Rule::Commit, Rule::Shrink, Rule::Promote, Rule::Restart, Rule::Expand] {
        let found = (1..=20 * SEEDS).find_map(|seed| walk(seed, World::new(Rules { without: Some(rule) })).err());
        println!("without {rule:?}: {found:?}");
        assert!(found.is_some(), "no walk misses {rule:?}");
    }
    for rule in [Rule::Word, Rule::Apart] {
        let found = (1..=20 * SEEDS).find_map(|seed| walk(seed, World::by_hand(Rules { without: Some(rule) })).err());
        println!("by hand, without {rule:?}: {found:?}");
        assert!(found.is_some(), "no walk by hand misses {rule:?}");
    }
}
