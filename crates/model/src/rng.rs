//! Seeded pseudo-randomness for jitter, weights and tags.
//!
//! SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). Not for secrets: tokens that others must not guess carry a
//! keyed check besides. Seeded from outside, so that the simulator can repeat a run from its seed.

/// A small seeded generator.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that yields the same numbers for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..limit`; zero when `limit` is zero.
    pub const fn below(&mut self, limit: u64) -> u64 {
        // Multiply-shift; its bias of limit/2^64 is nothing beside what is drawn here.
        ((self.next_u64() as u128 * limit as u128) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_stays_below_and_reaches_every_value() {
        let mut rng = Rng::new(7);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[rng.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (800..1_200).contains(n)), "{seen:?}");
        assert_eq!(Rng::new(1).below(0), 0);
    }
}
