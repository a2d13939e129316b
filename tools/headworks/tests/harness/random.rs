//! Numbers from a seed (splitmix64): the same seed is the same test.

/// A generator.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From `HEADWORKS_SEED` where it is set, else from the clock; printed, so that a failure can be run again.
    pub fn announced(test: &str) -> Random {
        let given = std::env::var("HEADWORKS_SEED").ok().map(|text| text.parse().expect("HEADWORKS_SEED is a number"));
        let seed = given.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
            u64::from(now.subsec_nanos()) ^ now.as_secs() << 20
        });
        eprintln!("{test}: HEADWORKS_SEED={seed}");
        Random(seed)
    }

    /// From this seed.
    pub fn of(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is above 0.
    pub fn below(&mut self, end: u64) -> u64 {
        assert!(end > 0, "a number below {end} of at least 1");
        self.next() % end
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        for word in bytes.chunks_mut(8) {
            word.copy_from_slice(&self.next().to_le_bytes()[..word.len()]);
        }
        bytes
    }
}
