//! The retry budget of a shard: how many attempts beyond the first its calls may make, so that a storm of failures does not double the load.
//!
//! Counted over the last 60 s in buckets of one second, of a fixed size. Refuses to know: which calls, which trunks.

use crate::policy::Hedge;
use model::Instant;

/// One-second buckets.
const BUCKETS: usize = 60;
/// Further attempts, in percent of the calls of the last 60 s. A backup that is sized for the calls bears a fifth more; twice as much, and
/// it fails as well.
const SHARE: u64 = 20;
/// And so many besides, whatever the share: the callers of the seconds until a dead trunk is judged are all tried again, and on an edge
/// with few calls a share alone would leave none of them anything.
const FREE: u64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Count {
    calls: u64,
    further: u64,
    hedges: u64,
}

/// Calls and further attempts of the last 60 s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    buckets: [Count; BUCKETS],
    total: Count,
    second: u64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { buckets: [Count::default(); BUCKETS], total: Count::default(), second: 0 }
    }
}

impl RetryBudget {
    /// A call begins.
    pub fn call(&mut self, now: Instant) {
        self.bucket(now).calls += 1;
        self.total.calls += 1;
    }

    /// Whether a call may be tried once more; if so, that is counted.
    pub fn allow(&mut self, now: Instant) -> bool {
        self.age(now);
        let allowed = (self.total.further + 1) * 100 <= self.total.calls * SHARE + FREE * 100;
        if allowed {
            self.insist(now);
        }
        allowed
    }

    /// A call is tried once more whatever the budget says.
    pub fn insist(&mut self, now: Instant) {
        self.bucket(now).further += 1;
        self.total.further += 1;
    }

    /// Whether a call whose first attempt is only late may be tried elsewhere beside it; if so, that is counted, here and as a further
    /// attempt.
    pub fn allow_hedge(&mut self, now: Instant, hedge: Hedge) -> bool {
        self.age(now);
        let allowed = (self.total.hedges + 1) * 100 <= self.total.calls * u64::from(hedge.share) && self.allow(now);
        if allowed {
            self.bucket(now).hedges += 1;
            self.total.hedges += 1;
        }
        allowed
    }

    fn bucket(&mut self, now: Instant) -> &mut Count {
        self.age(now);
        &mut self.buckets[(self.second % BUCKETS as u64) as usize]
    }

    fn age(&mut self, now: Instant) {
        let second = now.as_micros() / 1_000_000;
        let gone = second.saturating_sub(self.second).min(BUCKETS as u64);
        for step in 1..=gone {
            // Where `step` ends is the present second; what is there is 60 s old or older.
            let place = (second - gone + step) % BUCKETS as u64;
            let old = core::mem::take(&mut self.buckets[place as usize]);
            self.total.calls -= old.calls;
            self.total.further -= old.further;
            self.total.hedges -= old.hedges;
        }
        self.second = self.second.max(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Span;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    fn allowed(budget: &mut RetryBudget, now: Instant) -> u64 {
        (0..10_000).take_while(|_| budget.allow(now)).count() as u64
    }

    #[test]
    fn a_fifth_of_the_calls_and_a_hundred() {
        let mut budget = RetryBudget::default();
        assert_eq!(allowed(&mut budget, at(500)), 100, "on an edge without calls");
        (0..1_000).for_each(|_| budget.call(at(600)));
        assert_eq!(allowed(&mut budget, at(700)), 200);
        assert!(!budget.allow(at(59_999)));
    }

    #[test]
    fn what_is_sixty_seconds_old_is_forgotten() {
        let mut budget = RetryBudget::default();
        (0..500).for_each(|_| budget.call(at(1_000)));
        assert_eq!(allowed(&mut budget, at(31_000)), 200);
        assert_eq!(allowed(&mut budget, at(60_999)), 0);
        // The calls are gone, the attempts are not.
        assert_eq!(allowed(&mut budget, at(61_000)), 0);
        assert_eq!(allowed(&mut budget, at(91_000)), 100);
        assert_eq!(allowed(&mut budget, at(10_000_000)), 100, "a gap longer than the window");
    }

    #[test]
    fn what_insists_is_counted_all_the_same() {
        let mut budget = RetryBudget::default();
        (0..150).for_each(|_| budget.insist(at(0)));
        assert!(!budget.allow(at(0)));
    }

    #[test]
    fn hedges_have_a_share_of_their_own_and_no_free_ones() {
        let (mut budget, hedge) = (RetryBudget::default(), Hedge { share: 5 });
        (0..19).for_each(|_| budget.call(at(0)));
        assert!(!budget.allow_hedge(at(1), hedge), "a twentieth of nineteen calls is none");
        (0..81).for_each(|_| budget.call(at(0)));
        let hedges = (0..50).take_while(|_| budget.allow_hedge(at(2_000), hedge)).count();
        assert_eq!(hedges, 5);
        assert_eq!(allowed(&mut budget, at(2_000)), 115, "they are further attempts too");
    }

    /// The totals are those of the buckets, whatever the times are.
    #[test]
    fn totals_agree_with_their_buckets() {
        let (mut budget, mut rng) = (RetryBudget::default(), model::Rng::new(7));
        let mut now = 0;
        for _ in 0..5_000 {
            now += rng.below(3) * rng.below(4_000);
            match rng.below(3) {
                0 => budget.call(at(now)),
                1 => budget.insist(at(now)),
                _ => drop(budget.allow_hedge(at(now), Hedge { share: 50 })),
            }
            let sum = budget.buckets.iter().fold(Count::default(), |sum, one| Count {
                calls: sum.calls + one.calls,
                further: sum.further + one.further,
                hedges: sum.hedges + one.hedges,
            });
            assert_eq!(sum, budget.total);
        }
    }
}
