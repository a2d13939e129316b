//! When a lane's log came how far: by it, how long the peer is behind.
//!
//! ```text
//! marks   (end 10, 1.00 s) (end 14, 1.01 s) (end 90, 1.02 s)      peer has 12 at 1.05 s: block 12 stood here since 1.01 s, so 40 ms
//! ```
//!
//! A mark is made when it is looked and the log has moved. The number of marks is bounded: when there are too many, every second one
//! goes and the oldest stays, so that what lies far back is told more coarsely and never left out.

use std::collections::VecDeque;

/// Marks at most.
const MARKS_MAX: usize = 256;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    /// {end of the log, when it was seen there}, both rising.
    marks: VecDeque<(u64, u64)>,
}

impl Pace {
    /// The log ends here now.
    pub fn note(&mut self, end: u64, now_ns: u64) {
        if self.marks.back().is_some_and(|(last, _)| *last >= end) {
            return;
        }
        if self.marks.len() == MARKS_MAX {
            let mut place = 0;
            self.marks.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
        self.marks.push_back((end, now_ns));
    }

    /// How long the first block at or above `reached` has stood here; 0 if there is none. Marks below are forgotten.
    pub fn behind_ns(&mut self, reached: u64, now_ns: u64) -> u64 {
        while self.marks.len() > 1 && self.marks.front().is_some_and(|(end, _)| *end <= reached) {
            self.marks.pop_front();
        }
        self.marks.front().filter(|(end, _)| *end > reached).map_or(0, |(_, since_ns)| now_ns.saturating_sub(*since_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::{MARKS_MAX, Pace};

    #[test]
    fn a_peer_is_as_far_behind_as_the_first_block_that_it_lacks_is_old() {
        let mut pace = Pace::default();
        [(10, 100), (14, 110), (14, 115), (90, 120)].iter().for_each(|(end, now_ns)| pace.note(*end, *now_ns));
        assert_eq!(pace.behind_ns(9, 150), 50, "it lacks block 9, seen at 100");
        assert_eq!(pace.behind_ns(12, 150), 40, "it lacks block 12, seen at 110");
        assert_eq!(pace.behind_ns(14, 150), 30, "it lacks block 14, seen at 120");
        assert_eq!(pace.behind_ns(90, 150), 0, "it lacks nothing");
        pace.note(91, 160);
        assert_eq!(pace.behind_ns(90, 200), 40, "it lacks the newest block");
    }

    #[test]
    fn a_peer_that_stays_away_costs_a_bounded_number_of_marks_and_is_never_called_close() {
        let mut pace = Pace::default();
        (1..=100_000).for_each(|end| pace.note(end, end));
        assert!(pace.marks.len() <= MARKS_MAX, "{} marks of {MARKS_MAX}", pace.marks.len());
        assert_eq!(pace.behind_ns(0, 100_000), 99_999);
    }
}
