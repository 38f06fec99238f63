//! Numbers that look random and come again with the same seed.

use std::time::{SystemTime, UNIX_EPOCH};

/// Where a seed is taken from, to see a failure again.
const VARIABLE: &str = "PUSHVAULT_LOAD_SEED";

/// `SplitMix64`.
pub(crate) struct Random(u64);

impl Random {
    /// Starts from the seed of the environment, or from another one each time, and prints it.
    pub(crate) fn seeded() -> Self {
        let seed = match std::env::var(VARIABLE) {
            Ok(text) => text.parse().expect("the seed is a number"),
            Err(_) => u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()),
        };
        super::tell(&format!("{VARIABLE}={seed}"));
        Self(seed)
    }

    /// A generator of its own for somebody else.
    pub(crate) fn another(&mut self) -> Self {
        Self(self.number())
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap();
        usize::try_from(self.number() % bound).unwrap()
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
