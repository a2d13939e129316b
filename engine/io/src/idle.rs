//! What a loop does after a turn that found nothing: go round again, or wait in the kernel.
//!
//! Spinning buys the wake-up time (tens of microseconds) with a whole processor, which only a loop that has one to
//! itself may spend. The policy is a value, so that a loop's code is the same under each.

/// How to pass an empty turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Never wait.
    Spin,
    /// Wait after this many empty turns in a row.
    SpinThenWait {
        /// Empty turns before the first wait.
        spins: u32,
    },
    /// Wait at once.
    Wait,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take the next turn now.
    Again,
    /// Wait for a completion or the next timer.
    Wait,
}

/// The policy and how many turns in a row were empty.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    policy: Policy,
    empty_turns: u32,
}

impl Idle {
    /// A loop that has just done work.
    #[must_use]
    pub const fn new(policy: Policy) -> Idle {
        Idle { policy, empty_turns: 0 }
    }

    /// Decides after a turn that did `work_done` things.
    pub fn next(&mut self, work_done: usize) -> Step {
        if work_done > 0 {
            self.empty_turns = 0;
            return Step::Again;
        }
        self.empty_turns = self.empty_turns.saturating_add(1);
        match self.policy {
            Policy::Spin => spin(),
            Policy::SpinThenWait { spins } if self.empty_turns <= spins => spin(),
            Policy::SpinThenWait { .. } | Policy::Wait => Step::Wait,
        }
    }
}

fn spin() -> Step {
    std::hint::spin_loop();
    Step::Again
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: Policy, work: &[usize], expected: &[Step]) {
        let mut idle = Idle::new(policy);
        let steps: Vec<Step> = work.iter().map(|done| idle.next(*done)).collect();
        assert_eq!(steps, expected, "{policy:?} over {work:?}");
    }

    #[test]
    fn spin_never_waits() {
        check(Policy::Spin, &[0, 0, 5, 0], &[Step::Again; 4]);
    }

    #[test]
    fn wait_waits_after_each_empty_turn() {
        check(Policy::Wait, &[0, 3, 0], &[Step::Wait, Step::Again, Step::Wait]);
    }

    #[test]
    fn spin_then_wait_counts_empty_turns_in_a_row() {
        let policy = Policy::SpinThenWait { spins: 2 };
        check(policy, &[0, 0, 0, 0], &[Step::Again, Step::Again, Step::Wait, Step::Wait]);
        check(policy, &[0, 0, 1, 0], &[Step::Again; 4]);
    }
}
