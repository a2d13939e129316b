//! Every state within a bound, breadth first, so that what is found is found by a shortest way.
//!
//! A search begins with a scene: a world that is reached on a good day, just before what makes a rule needed.

use super::scenes::Scene;
use super::world::{Step, Violation, World};
use crate::rules::{Rule, Rules};
use headworks_format::Epoch;
use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// How far a search goes beyond its scene.
#[derive(Debug, Clone, Copy)]
struct Bound {
    steps: u32,
    records: u8,
    epoch: Epoch,
    crashes: u8,
    disks_lost: u8,
    words: u8,
}

/// What is the same for every scene.
const BOUND: Bound = Bound { steps: 0, records: 3, epoch: Epoch(0), crashes: 2, disks_lost: 1, words: 2 };
/// How far the search for a missing rule may go: it ends where it finds one.
const MUTANT: Bound = Bound { steps: 14, records: 3, epoch: Epoch(0), crashes: 1, disks_lost: 0, words: 1 };
/// The variable that holds another number of steps: `cargo xtask model`.
const STEPS: &str = "HEADWORKS_MODEL_STEPS";

/// What was found.
struct Found {
    states: usize,
    taken: usize,
    violation: Option<(Violation, Vec<Step>)>,
}

impl Bound {
    fn allows(&self, world: &World, step: &Step) -> bool {
        match step {
            Step::Append(_) => world.records < self.records,
            Step::Crash { .. } => world.crashes < self.crashes,
            Step::LoseDisk(_) => world.disks_lost < self.disks_lost,
            // To a standby, silence does what a lost link does.
            Step::LinkLost(node) => world.nodes[*node].leads().is_some(),
            Step::Switchover(_) => false,
            Step::Promote(_) => world.words < self.words,
            _ => true,
        }
    }
}

fn hash(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

fn search(start: &World, bound: &Bound) -> Found {
    let first = hash(start);
    let mut came_from: HashMap<u64, (u64, u16)> = HashMap::from([(first, (first, 0))]);
    let mut frontier = VecDeque::from([(0, start.clone())]);
    let mut taken = 0;
    while let Some((depth, world)) = frontier.pop_front() {
        let from = hash(&world);
        for (index, step) in world.steps().into_iter().enumerate().filter(|(_, step)| bound.allows(&world, step)) {
            let mut next = world.clone();
            taken += 1;
            if let Err(violation) = next.take(step) {
                let way = [way(start, &came_from, from), vec![step]].concat();
                return Found { states: came_from.len(), taken, violation: Some((violation, way)) };
            }
            let state = hash(&next);
            if !next.asks_beyond(bound.epoch) && !came_from.contains_key(&state) {
                came_from.insert(state, (from, u16::try_from(index).expect("few steps")));
                if depth + 1 < bound.steps {
                    frontier.push_back((depth + 1, next));
                }
            }
        }
    }
    Found { states: came_from.len(), taken, violation: None }
}

/// The steps from the start to a state.
fn way(start: &World, came_from: &HashMap<u64, (u64, u16)>, state: u64) -> Vec<Step> {
    let (mut back, mut at) = (Vec::new(), state);
    while at != hash(start) {
        let (before, index) = came_from[&at];
        back.push(index);
        at = before;
    }
    let mut world = start.clone();
    let step = |index: u16| {
        let step = world.steps()[usize::from(index)];
        world.take(step).expect("it was taken before");
        step
    };
    back.into_iter().rev().map(step).collect()
}

fn shown(found: &Found) -> String {
    let Some((violation, way)) = &found.violation else { return format!("{} states, {} steps taken", found.states, found.taken) };
    let lines: Vec<String> = way.iter().map(|step| format!("  {step:?}")).collect();
    format!("{violation}; {} states, {} steps from the scene:\n{}", found.states, way.len(), lines.join("\n"))
}

#[test]
fn every_state_within_the_bound_is_safe() {
    let asked = std::env::var(STEPS).ok().map(|steps| steps.parse().unwrap_or_else(|_| panic!("{STEPS}={steps}: not a number of steps")));
    for scene in Scene::ALL {
        let bound = Bound { steps: asked.unwrap_or(scene.steps()), epoch: scene.epoch_max(), ..BOUND };
        let found = search(&scene.world(Rules::ALL), &bound);
        println!("{scene:?}: {}", shown(&found));
        assert!(found.violation.is_none(), "{scene:?}: {}", shown(&found));
        assert!(found.states > 1_000, "{scene:?}: {} states are no search", found.states);
    }
}

/// A rule, and the scene in which it is missed.
const MISSED: [(Rule, Scene); 11] = [
    (Rule::Promise, Scene::Restarted),
    (Rule::PromiseFirst, Scene::Returning),
    (Rule::Append, Scene::Committed),
    (Rule::Ack, Scene::Paired),
    (Rule::Commit, Scene::Paired),
    (Rule::Shrink, Scene::Paired),
    (Rule::Unknown, Scene::Adding),
    (Rule::Promote, Scene::Alone),
    (Rule::Restart, Scene::Paired),
    (Rule::Expand, Scene::Alone),
    (Rule::Word, Scene::ByHand),
];

#[test]
fn every_rule_that_is_taken_away_is_missed() {
    for (rule, scene) in MISSED {
        let found = search(&scene.world(Rules { without: Some(rule) }), &Bound { epoch: scene.epoch_max(), ..MUTANT });
        println!("without {rule:?}, {scene:?}: {}", shown(&found));
        assert!(found.violation.is_some(), "nothing in {scene:?} misses {rule:?}: {}", shown(&found));
    }
}
