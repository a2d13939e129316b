//! One seed: two blank disks, faults for a while, then none, and a last failover.

use super::faults::Kinds;
use super::world::World;
use crate::breach::{Breach, check};
use crate::disk::Broken;
use headworks_replicator::event::{Event, Order};
use headworks_replicator::shard::Role;

/// How long things go wrong: at least, at most.
const FAULTY_NS: (u64, u64) = (1_500_000_000, 3_500_000_000);
/// How long the pair may take to be whole again: restarts, a promotion, catching up.
const WHOLE_NS_MAX: u64 = 8_000_000_000;
/// How long the survivor may take to lead: silence, holdoff, one swap.
const LEADS_NS_MAX: u64 = 2_000_000_000;
/// For how many looks everything has to stay as it is: longer than anything that is under way takes.
const REST_LOOKS: u32 = 60;
/// How often it is looked.
const LOOK_NS: u64 = 10_000_000;

/// What is wrong on purpose, to show that a check can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mutant {
    /// Nothing.
    #[default]
    None,
    /// Both disks break their contract.
    Disk(Broken),
    /// The arbiter answers before it has synced.
    ArbiterForgets,
    /// The machines lack a rule.
    #[cfg(feature = "mutants")]
    Rule(headworks_replicator::Rule),
}

impl Mutant {
    /// All of them, with their names.
    #[must_use]
    pub fn all() -> Vec<(Mutant, &'static str)> {
        let all = vec![
            (Mutant::Disk(Broken::SyncLies), "sync-lies"),
            (Mutant::Disk(Broken::SyncForgetsNewest), "sync-forgets-newest"),
            (Mutant::Disk(Broken::QuarantineLies), "quarantine-lies"),
            (Mutant::ArbiterForgets, "arbiter-forgets"),
        ];
        #[cfg(feature = "mutants")]
        let all = [all, headworks_replicator::Rule::ALL.iter().map(|(rule, name)| (Mutant::Rule(*rule), *name)).collect()].concat();
        all
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Mutant> {
        Mutant::all().iter().find(|(_, known)| *known == name).map(|(mutant, _)| *mutant)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Mutant::all().iter().find(|(known, _)| *known == self).map_or("none", |(_, name)| *name)
    }
}

/// What a run is told beside its seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What is wrong on purpose.
    pub mutant: Mutant,
    /// The kinds of faults; drawn from the seed where none are named.
    pub faults: Option<Kinds>,
    /// Whether what happens is printed.
    pub is_told: bool,
}

macro_rules! counts {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// What a run did.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        impl Counts {
            /// Each count with its name.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

counts! {
    /// Things that happened.
    events,
    /// Blocks durable, on each node.
    durable,
    /// Blocks committed by who leads.
    committed,
    /// Batches acknowledged as committed.
    acked,
    /// Batches read back and compared.
    batches_read,
    /// Starts of a process.
    starts,
    /// Times that a node began to lead.
    led,
    /// Processes killed.
    kills,
    /// Losses of power.
    powers,
    /// Writes that a loss of power tore or lost.
    torn,
    /// Processes that started over.
    started_over,
    /// Processes that halted.
    halted,
    /// Calls of a disk that were refused.
    refused,
    /// Nodes that stepped down for it.
    storage_faults,
    /// Disks that held everything again behind that.
    repaired,
    /// Words of an operator for such a disk.
    vouched,
    /// Disks replaced.
    disks_replaced,
    /// Disks that were slow or full for a time.
    disks_hindered,
    /// Times that a disk was found to hang.
    disks_slow,
    /// Times that too much was uncommitted.
    backlogs,
    /// Links cut in one direction.
    cuts_of_links,
    /// Messages lost, repeated, late or held back.
    messages_harmed,
    /// Connections given up.
    lost_links,
    /// Lanes that were refused.
    refusals,
    /// Processes that stood still for a time.
    pauses,
    /// Clocks that jumped.
    jumps,
    /// Crashes of the arbiter.
    arbiter_crashes,
    /// Times that the arbiter lost its file or got an old one.
    arbiter_lies,
    /// Times that a node froze for it.
    frozen,
    /// Handovers asked for.
    switchovers,
    /// Handovers whose lead was asked back.
    asked_back,
    /// Logs cut.
    cuts,
    /// Logs begun anew.
    restarts,
    /// Times that a node said that it is alone.
    alone,
    /// Times that a node said that both are in sync.
    paired,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it did.
    pub counts: Counts,
    /// The faults that it had.
    pub faults: String,
    /// The hash over all that happened.
    pub trace: u64,
    /// The promise that was broken, if any.
    pub breach: Option<Breach>,
}

/// Runs a seed.
#[must_use]
pub fn run(seed: u64, options: &Options) -> Outcome {
    let mut world = World::new(seed, options);
    let breach = live(&mut world).err();
    let harmed = world.network.harmed;
    world.counts.messages_harmed = harmed.lost + harmed.repeated + harmed.loose + harmed.held;
    world.counts.arbiter_crashes = world.arbiter.crashes;
    Outcome { counts: world.counts, faults: world.faults.to_string(), trace: world.trace.value(), breach }
}

fn live(world: &mut World) -> Result<(), Breach> {
    let end_ns = world.schedule.within(FAULTY_NS.0, FAULTY_NS.1);
    world.until(end_ns)?;
    world.heal()?;
    whole(world)?;
    rest(world)?;
    world.same()?;
    last_failover(world)
}

/// The service resumes, and both nodes are in sync again.
fn whole(world: &mut World) -> Result<(), Breach> {
    let acked: Vec<u64> = world.clients.iter().map(|client| client.acked).collect();
    let until_ns = world.queue.now_ns + WHOLE_NS_MAX;
    while !(world.leader().is_some() && world.clients.iter().zip(&acked).all(|(client, before)| client.acked > *before)) {
        check("the pair is whole again within a bound", world.queue.now_ns < until_ns, || world.shown())?;
        world.until(world.queue.now_ns + LOOK_NS)?;
    }
    Ok(())
}

/// Nothing is sent any more, and everything arrives.
fn rest(world: &mut World) -> Result<(), Breach> {
    world.is_quiet = true;
    let (until_ns, mut looks) = (world.queue.now_ns + WHOLE_NS_MAX, 0);
    while looks < REST_LOOKS {
        looks = if world.is_at_rest() { looks + 1 } else { 0 };
        check("both logs come to rest", world.queue.now_ns < until_ns, || world.shown())?;
        world.until(world.queue.now_ns + LOOK_NS)?;
    }
    Ok(())
}

/// Whoever leads is gone for good: the other one serves everything that was ever acknowledged.
fn last_failover(world: &mut World) -> Result<(), Breach> {
    let Some(leader) = world.leader() else { return Err(Breach::new("a pair at rest has a leader", world.shown())) };
    world.nodes[leader].stays_down = true;
    let power = world.schedule.chance(500);
    world.die(leader, power, false);
    let until_ns = world.queue.now_ns + LEADS_NS_MAX;
    while !world.role(1 - leader).is_some_and(|role| matches!(role, Role::Primary(_))) {
        check("the survivor leads within a bound", world.queue.now_ns < until_ns, || world.shown())?;
        world.until(world.queue.now_ns + LOOK_NS)?;
    }
    world.tell(1 - leader, Event::Order(Order::Promote { fenced: world.nodes[leader].member.node }))?;
    world.until(world.queue.now_ns + 500_000_000)?;
    world.serves_all(1 - leader)
}
