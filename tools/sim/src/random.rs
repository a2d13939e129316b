//! The one source of chance: SplitMix64 (Steele, Lea, Flood 2014), a stream for each purpose.
//!
//! Workload, schedule and faults draw from streams of their own, so that switching faults on changes what the disk does
//! and not what is asked of it: a failure can be looked at with and without them.

/// A stream of numbers that its seed determines.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream `purpose` of a run.
    #[must_use]
    pub fn new(seed: u64, purpose: u64) -> Random {
        let mut random = Random { state: seed ^ purpose.wrapping_mul(0xd1b5_4a32_d192_ed03) };
        random.draw();
        random
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is at least 1. The bias is below end / 2⁶⁴.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// An index below `end`.
    pub fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("below a usize")
    }

    /// A number from `first` to `last`, both included.
    pub fn within(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True in `parts` of 1,000 cases.
    pub fn chance(&mut self, parts: u64) -> bool {
        self.below(1_000) < parts
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }
}
