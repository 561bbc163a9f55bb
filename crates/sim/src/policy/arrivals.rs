//! When calls come and whom they dial: by law, or as recorded.
//!
//! Drawn from a source of its own, so that every policy is tried on the very same calls. Refuses to know: what becomes of them.

use super::dice::Dice;
use super::scenario::{Arrivals, CallLaw, Scenario};
use model::{Instant, Span};

/// With nobody calling, the rate is looked at again so soon.
const LULL: Span = Span::from_secs(1);

/// The calls of a run, one by one.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    law: CallLaw,
    warm: Span,
    length: Span,
    dice: Dice,
    weights: u64,
    last: Instant,
}

impl Calls {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        let law = scenario.calls.clone();
        let weights = law.numbers.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let dice = Dice::new(seed ^ 0x6361_6c6c);
        Self { law, warm: scenario.warm, length: scenario.length, dice, weights, last: Instant::ZERO }
    }

    /// When the next one comes, and whom it dials, as a place in the law's list; none after the end.
    pub(super) fn next(&mut self) -> Option<(Instant, u16)> {
        let end = Instant::ZERO + self.warm + self.length;
        while self.last < end {
            let per_hour = self.per_hour(self.last);
            if per_hour == 0 {
                self.last += LULL;
                continue;
            }
            let gap = Span::from_micros(3_600_000_000 / per_hour);
            let gap = match self.law.law {
                Arrivals::Constant => gap,
                Arrivals::Poisson => self.dice.exponential(gap),
            };
            // Even a draw of nothing moves on, or a seed could stand still.
            self.last += gap.max(Span::from_micros(1));
            let at = self.last;
            return (at < end).then(|| (at, self.number()));
        }
        None
    }

    fn per_hour(&self, at: Instant) -> u64 {
        let rate = self.law.per_hour;
        // The warm-up is what the watched time begins with.
        let at = at.since(Instant::ZERO + self.warm);
        let parts = self.law.profile.len() as u64;
        let part = (parts > 0).then(|| at.as_micros() * parts / self.length.as_micros().max(1));
        let percent = part.and_then(|part| self.law.profile.get(part as usize)).copied().unwrap_or(100);
        let surge = self.law.surge.filter(|surge| at >= surge.start && at < surge.end);
        let surge = surge.map_or(100, |surge| u64::from(surge.percent));
        rate.saturating_mul(u64::from(percent)).saturating_mul(surge) / 10_000
    }

    fn number(&mut self) -> u16 {
        let mut draw = self.dice.below(self.weights.max(1));
        for (index, (_, weight)) in (0u16..).zip(&self.law.numbers) {
            if draw < u64::from(*weight) {
                return index;
            }
            draw -= u64::from(*weight);
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Surge, TrunkLaw};

    fn count(law: CallLaw) -> Vec<usize> {
        let scenario = Scenario { calls: law, warm: Span::ZERO, ..Scenario::new(vec![TrunkLaw::new("acme")]) };
        let mut calls = Calls::new(&scenario, 1);
        let mut minutes = vec![0; 10];
        while let Some((at, _)) = calls.next() {
            minutes[(at.as_micros() / 60_000_000) as usize] += 1;
        }
        minutes
    }

    #[test]
    fn a_constant_law_is_even_and_poisson_is_not() {
        let even = count(CallLaw { per_hour: 36_000, law: Arrivals::Constant, ..CallLaw::default() });
        assert!(even.iter().all(|calls| (599..=600).contains(calls)), "{even:?}");
        let random = count(CallLaw { per_hour: 36_000, ..CallLaw::default() });
        let all: usize = random.iter().sum();
        assert!((5_750..6_250).contains(&all), "{random:?}");
        assert!(random.iter().any(|calls| calls.abs_diff(600) > 8), "{random:?}");
    }

    #[test]
    fn profile_and_surge_shape_the_rate() {
        let law = CallLaw { per_hour: 36_000, law: Arrivals::Constant, ..CallLaw::default() };
        let halves = count(CallLaw { profile: vec![0, 100], ..law.clone() });
        assert!(halves[..5].iter().all(|calls| *calls == 0) && halves[6] >= 599, "{halves:?}");
        let (start, end) = (Span::from_secs(120), Span::from_secs(180));
        let rush = count(CallLaw { surge: Some(Surge { percent: 300, start, end }), ..law });
        assert!(rush[2] >= 1_795 && rush[3] <= 605, "{rush:?}");
    }

    #[test]
    fn numbers_come_by_their_weights() {
        let numbers = vec![("+4722".to_owned(), 9), ("+4790".to_owned(), 1)];
        let calls = CallLaw { per_hour: 36_000, numbers, ..CallLaw::default() };
        let scenario = Scenario { calls, ..Scenario::new(vec![TrunkLaw::new("acme")]) };
        let mut calls = Calls::new(&scenario, 2);
        let dialled: Vec<u16> = core::iter::from_fn(|| calls.next()).map(|(_, number)| number).collect();
        let rare = dialled.iter().filter(|number| **number == 1).count();
        assert!((8..12).contains(&(rare * 100 / dialled.len())), "{rare} of {}", dialled.len());
    }
}
