//! Chance by law: a share, a spread, an exponential wait.
//!
//! Logarithms are computed in software, so that a run is the same on every machine. Refuses to know: what is drawn.

use model::{Rng, Span};

/// A seeded source of draws.
#[derive(Clone, Debug)]
pub(super) struct Dice(Rng);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(Rng::new(seed))
    }

    /// The draws of one thing, named by two numbers: they are the same whatever else is drawn, so that two policies meet the same luck.
    pub(super) const fn of(seed: u64, what: u64, which: u64) -> Self {
        let mut mixed = Rng::new(seed ^ what.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self::new(mixed.next_u64() ^ which.wrapping_mul(0xa076_1d64_78bd_642f))
    }

    /// True in `permille` of a thousand draws.
    pub(super) const fn permille(&mut self, permille: u32) -> bool {
        permille > 0 && self.0.below(1_000) < permille as u64
    }

    /// A number in `0..limit`.
    pub(super) const fn below(&mut self, limit: u64) -> u64 {
        self.0.below(limit)
    }

    /// About so long: between four fifths and seven fifths of it, every value as likely.
    pub(super) const fn about(&mut self, span: Span) -> Span {
        span.percent(80 + self.0.below(61))
    }

    /// The wait until something that happens once per `mean` and remembers nothing.
    pub(super) fn exponential(&mut self, mean: Span) -> Span {
        // 53 bits fill the mantissa; never zero, whose logarithm is none.
        let unit = ((self.0.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        Span::from_micros((-libm::log(unit) * mean.as_micros() as f64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponential_wait_has_its_mean_and_its_tail() {
        let (mut dice, mean) = (Dice::new(1), Span::from_secs(10));
        let waits: Vec<u64> = (0..20_000).map(|_| dice.exponential(mean).as_millis()).collect();
        let average = waits.iter().sum::<u64>() / 20_000;
        assert!((9_800..10_200).contains(&average), "{average}");
        let longer = waits.iter().filter(|wait| **wait > 10_000).count();
        assert!((7_100..7_620).contains(&longer), "1/e of them are longer than the mean: {longer}");
    }

    #[test]
    fn things_have_luck_of_their_own_and_the_same_each_time() {
        let draws = |what, which| Dice::of(7, what, which).below(1 << 40);
        assert_eq!(draws(1, 2), draws(1, 2));
        let mut all: Vec<u64> = (0..100).flat_map(|what| (0..10).map(move |which| draws(what, which))).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 1_000);
    }

    #[test]
    fn shares_and_spreads_are_kept() {
        let mut dice = Dice::new(2);
        let hits = (0..100_000).filter(|_| dice.permille(20)).count();
        assert!((1_850..2_150).contains(&hits), "{hits}");
        assert!(!(0..1_000).any(|_| dice.permille(0)));
        let spans: Vec<u64> = (0..1_000).map(|_| dice.about(Span::from_millis(100)).as_millis()).collect();
        assert!(spans.iter().all(|ms| (80..=140).contains(ms)));
    }
}
