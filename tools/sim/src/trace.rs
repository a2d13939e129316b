//! The running hash over everything that happens in a run: two runs of one seed are the same exactly when theirs are.

/// The hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace(u64);

impl Default for Trace {
    fn default() -> Self {
        Trace(0xcbf2_9ce4_8422_2325)
    }
}

impl Trace {
    /// Adds an event of a kind with its numbers.
    pub fn add(&mut self, kind: u64, numbers: &[u64]) {
        self.mix(kind);
        numbers.iter().for_each(|number| self.mix(*number));
    }

    /// The hash so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0
    }

    fn mix(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9fb2_1c65_1e98_df25);
        self.0 = mixed ^ (mixed >> 29);
    }
}
