//! Random orders of events: what must hold after each of them, and that nobody waits for ever.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

#[derive(Debug, Clone)]
enum Step {
    Join { who: usize, named: bool, id_first: bool, changed: bool, known: bool },
    Sync { who: usize, stale: bool },
    Heartbeat { who: usize },
    Leave { who: usize },
    Commit { who: usize },
    Gone { which: usize },
    Pass { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..IDS.len();
    prop_oneof![
        4 => (who(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(who, named, id_first, changed, known)| Step::Join { who, named, id_first, changed, known }),
        4 => (who(), prop::bool::weighted(0.1)).prop_map(|(who, stale)| Step::Sync { who, stale }),
        2 => who().prop_map(|who| Step::Heartbeat { who }),
        1 => who().prop_map(|who| Step::Leave { who }),
        1 => who().prop_map(|who| Step::Commit { who }),
        1 => any::<usize>().prop_map(|which| Step::Gone { which }),
        3 => prop_oneof![Just(250u64), Just(3_000), Just(10_000), Just(30_000)].prop_map(|ms| Step::Pass { ms }),
    ]
}

/// The clients' side: what each knows, and which requests wait.
struct World {
    rig: Rig,
    /// The id that a client goes by, if it was told one.
    ids: [Option<String>; 5],
    fresh: usize,
    waiting: Vec<(Ticket, usize)>,
    generation: i32,
}

impl World {
    fn act(&mut self, step: &Step) {
        match *step {
            Step::Join { who, named, id_first, changed, known } => {
                self.fresh += 1;
                let id = self.ids[who].clone().filter(|_| known);
                // A name belongs to a client for good, so that names and ids do not mix by chance.
                let instance = (named && who < 2).then(|| IDS[who].to_owned());
                let names: &[&str] = if changed { &["sticky", "range"] } else { &["range"] };
                let fresh_id = format!("{}-{}", IDS[who], self.fresh);
                let join = Join {
                    member: id.unwrap_or_default(),
                    instance,
                    id_first,
                    skips_assignment: changed,
                    protocols: protocols(names),
                    ..fresh(&fresh_id)
                };
                let ticket = self.rig.join(join);
                self.waiting.push((ticket, who));
            }
            Step::Sync { who, stale } => {
                let id = self.ids[who].clone().unwrap_or_default();
                let generation = self.generation - i32::from(stale);
                let ticket = self.rig.sync(speaker(&id, generation), &[(&id, "mine")]);
                self.waiting.push((ticket, who));
            }
            Step::Heartbeat { who } => {
                let id = self.ids[who].clone().unwrap_or_default();
                self.rig.heartbeat(speaker(&id, self.generation));
            }
            Step::Leave { who } => {
                let id = self.ids[who].take().unwrap_or_default();
                self.rig.leave(vec![leaver(&id)]);
            }
            Step::Commit { who } => {
                let id = self.ids[who].clone().unwrap_or_default();
                self.rig.commit(speaker(&id, self.generation));
            }
            Step::Gone { which } => {
                if !self.waiting.is_empty() {
                    let (ticket, _) = self.waiting.remove(which % self.waiting.len());
                    self.rig.coordinator.on(self.rig.now_ms, Event::Gone(ticket, GROUP.to_owned()), &mut self.rig.answers);
                }
            }
            Step::Pass { ms } => self.rig.pass(ms),
        }
        self.hear();
    }

    /// Clients take in what they are told; each request is answered once.
    fn hear(&mut self) {
        for effect in std::mem::take(&mut self.rig.answers) {
            let place = self.waiting.iter().position(|(ticket, _)| *ticket == effect.ticket);
            let place = place.unwrap_or_else(|| panic!("{effect:?} answers nobody"));
            let (_, who) = self.waiting.remove(place);
            let Answer::Joined(joined) = effect.answer else { continue };
            match joined.error {
                ErrorCode::None => {
                    assert!(joined.generation > 0);
                    self.generation = self.generation.max(joined.generation);
                    self.ids[who] = Some(joined.member);
                }
                ErrorCode::MemberIdRequired => self.ids[who] = Some(joined.member),
                ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => self.ids[who] = None,
                _ => {}
            }
        }
    }

    /// What holds between any two events.
    fn check(&self, generation_before: i32) -> i32 {
        let Some(group) = self.rig.coordinator.describe(GROUP) else { return 0 };
        assert!(group.generation >= generation_before, "generation {} after {generation_before}", group.generation);
        let ids: BTreeSet<&str> = group.members.iter().map(|member| member.member.as_str()).collect();
        let names: Vec<_> = group.members.iter().filter_map(|member| member.instance.as_ref()).collect();
        assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "one member a name");
        assert!(group.members.len() <= BOUNDS.members_max);
        assert!(group.leader.iter().all(|leader| ids.contains(leader.as_str())), "the leader is a member");
        match group.state {
            State::Empty => assert!(ids.is_empty() && group.protocol.is_none()),
            State::Completing | State::Stable => {
                assert!(group.leader.is_some() && group.protocol.is_some() && !ids.is_empty(), "{group:?}");
            }
            State::Preparing => assert!(!ids.is_empty() || self.rig.coordinator.next_deadline_ms().is_some()),
            State::Dead => unreachable!("a dead group is not described"),
        }
        self.rig.coordinator.check();
        group.generation
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn random_orders_keep_the_invariants_and_leave_nobody_waiting(steps in proptest::collection::vec(step(), 1..80)) {
        let mut world = World { rig: Rig::new(), ids: Default::default(), fresh: 0, waiting: Vec::new(), generation: 0 };
        let mut generation = 0;
        for step in &steps {
            world.act(step);
            generation = world.check(generation);
        }
        // Everybody falls silent: all that waits is answered, and in the end nothing is left.
        for _ in 0..20 {
            world.act(&Step::Pass { ms: REBALANCE_MS });
            generation = world.check(generation);
        }
        prop_assert!(world.waiting.is_empty(), "{:?} wait for ever", world.waiting);
        prop_assert_eq!(world.rig.state(), State::Dead);
        prop_assert_eq!(world.rig.coordinator.next_deadline_ms(), None);
    }
}
