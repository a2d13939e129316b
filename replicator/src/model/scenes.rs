//! Where searches begin: worlds that are reached on a good day.

use super::network::{Content, Packet};
use super::node::Asked;
use super::world::{Step, World};
use crate::rules::Rules;
use crate::shard::Role;
use headworks_format::Epoch;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// Node 0 leads epoch 1, node 1 is in sync, nothing was written.
    Paired,
    /// Two records are committed on both; the appends that brought them may come once more.
    Committed,
    /// Node 0 leads alone and has committed a record that node 1, which begins to ask, does not have.
    Alone,
    /// Node 1 has everything, and node 0 has asked the arbiter to register it.
    Adding,
    /// Node 0 has lost a record that it had sent, and leads epoch 2, in which node 1 follows; the record is still under way.
    Restarted,
    /// The same, and node 1 has not heard of epoch 2 yet.
    Returning,
    /// Two records are committed on both; then node 1 loses its disk, node 0 leads epoch 2, and the new member asks.
    Replaced,
    /// By hand: node 0 leads epoch 3, node 1 is in sync and has it in its own register, nothing was written.
    ByHand,
    /// The same with a record on both; then an operator has told node 1 to lead, and node 0 lives on.
    Vouched,
    /// By hand: node 1 has followed node 0 since it was left alone, and node 0 has not registered it yet.
    Returned,
}

impl Scene {
    pub const ALL: [Scene; 10] = [
        Scene::Paired,
        Scene::Committed,
        Scene::Alone,
        Scene::Adding,
        Scene::Restarted,
        Scene::Returning,
        Scene::Replaced,
        Scene::ByHand,
        Scene::Vouched,
        Scene::Returned,
    ];

    /// How many steps from it each run of the tests can afford: some tens of thousands of states.
    pub fn steps(self) -> u32 {
        match self {
            Scene::ByHand | Scene::Vouched | Scene::Returned => 7,
            Scene::Paired | Scene::Restarted | Scene::Returning => 8,
            Scene::Committed | Scene::Adding => 9,
            Scene::Alone | Scene::Replaced => 11,
        }
    }

    /// The scene; crashes count from here.
    pub fn world(self, rules: Rules) -> World {
        // How it came about is the same whatever the rules are then.
        let mut world = match self {
            Scene::Paired => paired(),
            Scene::Committed => committed(),
            Scene::Alone => alone(),
            Scene::Adding => adding(),
            Scene::Restarted => restarted(),
            Scene::Returning => returning(),
            Scene::Replaced => replaced(),
            Scene::ByHand => by_hand(),
            Scene::Vouched => vouched(),
            Scene::Returned => returned(),
        };
        world.obey(rules);
        (world.crashes, world.words) = (0, 0);
        world
    }

    /// The highest epoch of a search from it: by hand each node takes every second one.
    pub fn epoch_max(self) -> Epoch {
        match self {
            Scene::ByHand | Scene::Vouched | Scene::Returned => Epoch(8),
            _ => Epoch(3),
        }
    }
}

fn run(world: &mut World, steps: &[Step]) {
    steps.iter().for_each(|step| world.take(*step).expect("a good day"));
}

const LEAD: [Step; 4] = [Step::Tick(0), Step::Serve(0), Step::Hear(0), Step::Persist(0)];

/// Lets everything arrive that `good` allows, until nothing changes any more.
fn arrive(world: &mut World, good: impl Fn(&World, &Step) -> bool) {
    for _ in 0..40 {
        let changes = |step: &Step| {
            let mut next = world.clone();
            next.take(*step).expect("a good day");
            next != *world
        };
        let Some(step) = world.steps().into_iter().filter(|step| good(world, step)).find(changes) else { return };
        run(world, &[step]);
    }
    panic!("it does not come to rest: {world:#?}");
}

/// What joins node 1 to node 0, but for appends.
fn joins(world: &World, step: &Step) -> bool {
    match step {
        Step::Deliver(Packet { content: Content::Welcome { epoch, .. }, .. }) => Some(*epoch) == world.nodes[0].leads(),
        Step::Deliver(Packet { content: Content::Hello { .. }, to: 0 }) => world.nodes[0].ships.is_none(),
        Step::Deliver(Packet { content: Content::Ack(_), .. }) => true,
        Step::Deliver(Packet { content: Content::Claim { .. }, .. }) => true,
        Step::Persist(_) | Step::Serve(_) | Step::Hear(_) | Step::Sync(_) => true,
        _ => false,
    }
}

fn paired() -> World {
    let mut world = World::new(Rules::ALL);
    run(&mut world, &LEAD);
    run(&mut world, &[Step::Tick(1), Step::LinkUp(1)]);
    arrive(&mut world, joins);
    let register = world.registers[0].expect("it was written");
    assert_eq!((register.epoch, register.standby), (Epoch(1), Some(world.nodes[1].member)), "{world:#?}");
    assert_eq!(world.nodes[1].shard.role(), Role::Standby);
    world.sent.clear();
    world
}

fn committed() -> World {
    let mut world = paired();
    run(&mut world, &[Step::Append(0), Step::Append(0)]);
    arrive(&mut world, |world, step| joins(world, step) || matches!(step, Step::Deliver(_)));
    assert_eq!((world.committed.len(), world.nodes[1].synced), (2, 2), "{world:#?}");
    world
}

fn alone() -> World {
    let mut world = World::new(Rules::ALL);
    run(&mut world, &LEAD);
    run(&mut world, &[Step::Append(0), Step::Sync(0), Step::Tick(1)]);
    assert_eq!((world.committed.len(), world.nodes[1].blocks.len()), (1, 0), "{world:#?}");
    world
}

fn adding() -> World {
    let mut world = alone();
    run(&mut world, &[Step::LinkUp(1)]);
    let good = |world: &World, step: &Step| {
        let swaps = matches!(world.nodes[0].asked, Asked::Swap(_));
        !swaps && (joins(world, step) || matches!(step, Step::Deliver(Packet { content: Content::Append(_), .. })))
    };
    arrive(&mut world, good);
    assert!(matches!(world.nodes[0].asked, Asked::Swap(swap) if swap.register.standby.is_some()), "{world:#?}");
    world
}

fn returning() -> World {
    let mut world = World::new(Rules::ALL);
    run(&mut world, &LEAD);
    run(&mut world, &[Step::Tick(1), Step::LinkUp(1)]);
    arrive(&mut world, joins);
    run(&mut world, &[Step::Append(0), Step::Crash { node: 0, keeps_unsynced: false }]);
    run(&mut world, &LEAD);
    assert_eq!(world.nodes[0].leads(), Some(Epoch(2)), "{world:#?}");
    world
}

fn restarted() -> World {
    let mut world = returning();
    run(&mut world, &[Step::LinkUp(1)]);
    arrive(&mut world, joins);
    assert_eq!(world.nodes[1].shard.asks_or_follows(0), Some(Epoch(2)), "{world:#?}");
    world.sent.retain(|packet| matches!(packet.content, Content::Append(_)));
    assert_eq!(world.sent.len(), 1, "{world:#?}");
    world
}

fn replaced() -> World {
    let mut world = committed();
    world.sent.clear();
    run(&mut world, &[Step::LoseDisk(1), Step::Tick(1), Step::Crash { node: 0, keeps_unsynced: false }]);
    run(&mut world, &LEAD);
    run(&mut world, &[Step::LinkUp(1)]);
    assert_eq!((world.nodes[0].leads(), world.nodes[1].blocks.len()), (Some(Epoch(2)), 0), "{world:#?}");
    world
}

fn by_hand() -> World {
    let mut world = World::by_hand(Rules::ALL);
    run(&mut world, &LEAD);
    run(&mut world, &[Step::Tick(1), Step::LinkUp(1)]);
    arrive(&mut world, joins);
    let said = world.registers.map(|register| register.map(|register| (register.epoch, register.standby)));
    assert_eq!(said, [Some((Epoch(3), Some(world.nodes[1].member))); 2], "{world:#?}");
    world.sent.clear();
    world
}

fn vouched() -> World {
    let mut world = by_hand();
    run(&mut world, &[Step::Append(0)]);
    arrive(&mut world, |world, step| joins(world, step) || matches!(step, Step::Deliver(_)));
    assert_eq!(world.committed.len(), 1, "{world:#?}");
    world.sent.clear();
    run(&mut world, &[Step::Promote(1), Step::Serve(1), Step::Hear(1), Step::Persist(1)]);
    assert_eq!([0, 1].map(|node| world.nodes[node].leads()), [Some(Epoch(3)), Some(Epoch(4))], "{world:#?}");
    world
}

fn returned() -> World {
    let mut world = vouched();
    run(&mut world, &[Step::Append(1), Step::Sync(1), Step::Claim(1)]);
    let good = |world: &World, step: &Step| {
        let swaps = matches!(world.nodes[1].asked, Asked::Swap(_));
        let appends = matches!(step, Step::Deliver(Packet { content: Content::Append(_), to: 0 }));
        let asks = matches!(step, Step::Tick(0)) && world.nodes[0].shard.role() == Role::Starting;
        let dials = matches!(step, Step::LinkUp(0));
        let hello = matches!(step, Step::Deliver(Packet { content: Content::Hello { .. }, to: 1 })) && world.nodes[1].ships.is_none();
        let welcome = matches!(step, Step::Deliver(Packet { content: Content::Welcome { .. }, to: 0 }));
        !swaps && (joins(world, step) || appends || asks || dials || hello || welcome)
    };
    arrive(&mut world, good);
    let adds = matches!(world.nodes[1].asked, Asked::Swap(swap) if swap.register.standby == Some(world.nodes[0].member));
    assert!(adds, "{world:#?}");
    world
}
