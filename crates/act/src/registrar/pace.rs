//! How many REGISTERs are served, whose first, and when the others come again.
//!
//! After a power cut all phones come at once. Serving some of each phone's two requests would finish none of them, so that who has answered
//! a challenge goes before who has not, and who is where phones were before goes before both: a flood of unknown senders delays
//! newcomers and nobody else. Whoever is put off is given a place in a line that moves as fast as phones are served (RFC 5626 §4.5 asks for such
//! a spread of those that lost their flow). Refuses to know: messages, passwords.

use model::{Instant, Rng};

/// Who asks to be served, the one that goes first last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Nobody has registered from his address lately.
    Unknown,
    /// He answers a challenge of ours: he is where he says.
    Answering,
    /// Somebody has registered by his flow, or has from his address within the last hour.
    Known,
}

impl Standing {
    /// Parts of four of a second's worth that are kept for those who go before him.
    const fn reserve(self) -> u64 {
        match self {
            Self::Unknown => 2,
            Self::Answering => 1,
            Self::Known => 0,
        }
    }
}

/// The first of those who are put off comes again after so long.
const SOONEST_S: u64 = 5;
/// Nobody's place is told more exactly than this, so that few come at once.
const SPREAD_S: u64 = 25;
/// The line is at most so long: a phone that is told more may be restarted by its user.
const LONGEST_S: u64 = 600;
/// A REGISTER, and the same again with credentials.
const REQUESTS: u64 = 2;
/// Millionths.
const ONE: u64 = 1_000_000;

/// So many a second and no more, and who waits.
#[derive(Debug, Default)]
pub(super) struct Pace {
    at: Instant,
    /// What may be served now, in millionths; at most a second's worth.
    level: u64,
    begun: bool,
    /// Requests, in millionths, of those in the line.
    waiting: u64,
}

impl Pace {
    /// Whether this one is served, at `rate` a second.
    pub(super) fn allows(&mut self, now: Instant, rate: u32, standing: Standing) -> bool {
        let whole = u64::from(rate) * ONE;
        let earned = now.since(self.at).as_micros().saturating_mul(u64::from(rate));
        self.at = self.at.max(now);
        self.level = if self.begun { self.level.saturating_add(earned).min(whole) } else { whole };
        self.waiting = self.waiting.saturating_sub(earned);
        self.begun = true;
        let kept = whole / 4 * standing.reserve();
        let serves = self.level >= kept + ONE || (self.level >= ONE && self.level >= whole);
        if serves {
            self.level -= ONE;
        }
        serves
    }

    /// Seconds after which one who is put off may come again: about when those before him have been served.
    pub(super) fn later(&mut self, rng: &mut Rng, rate: u32) -> u64 {
        self.waiting = self.waiting.saturating_add(REQUESTS * ONE);
        let line = self.waiting / (u64::from(rate.max(1)) * ONE);
        // So long a line that nobody can be told its end: anywhere in it.
        if line > LONGEST_S {
            return SOONEST_S + rng.below(LONGEST_S);
        }
        SOONEST_S + line.saturating_sub(SPREAD_S) + rng.below(SPREAD_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Span;
    use std::vec::Vec;

    fn ms(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    fn served(pace: &mut Pace, now: Instant, asked: usize, standing: Standing) -> usize {
        (0..asked).filter(|_| pace.allows(now, 100, standing)).count()
    }

    #[test]
    fn unknown_senders_leave_room_for_those_who_answer_and_for_the_known() {
        let mut pace = Pace::default();
        assert_eq!(served(&mut pace, ms(0), 1_000, Standing::Unknown), 50);
        assert_eq!(served(&mut pace, ms(0), 1_000, Standing::Answering), 25);
        assert_eq!(served(&mut pace, ms(0), 1_000, Standing::Known), 25);
        let mut known = 0;
        for second in 1..=10 {
            assert_eq!(served(&mut pace, ms(second * 1_000), 1_000, Standing::Unknown), 50);
            known += served(&mut pace, ms(second * 1_000), 100, Standing::Known);
        }
        assert_eq!(known, 500);
    }

    /// Whatever the unknown send, known ones that need no more than the rate get it.
    #[test]
    fn a_flood_takes_nothing_from_the_known() {
        let mut pace = Pace::default();
        let mut known = 0;
        for tick in 0..1_000 {
            served(&mut pace, ms(tick * 10), 50, Standing::Unknown);
            known += served(&mut pace, ms(tick * 10), usize::from(tick % 2 == 0), Standing::Known);
        }
        assert_eq!(known, 500, "each of them");
    }

    #[test]
    fn a_rate_of_one_serves_one() {
        let mut pace = Pace::default();
        let all = (0..10).map(|second| pace.allows(ms(second * 1_000), 1, Standing::Unknown));
        assert_eq!(all.filter(|served| *served).count(), 10);
    }

    #[test]
    fn the_line_moves_as_fast_as_phones_are_served() {
        let (mut pace, mut rng) = (Pace::default(), Rng::new(1));
        let mut second = [0u32; 300];
        for _ in 0..10_000 {
            second[pace.later(&mut rng, 100) as usize] += 1;
        }
        assert!(second.iter().all(|phones| *phones <= 125), "{second:?}");
        let later = second.iter().skip(35);
        assert!(later.max().is_some_and(|most| *most <= 80), "50 a second are finished: {second:?}");
    }

    #[test]
    fn the_line_grows_with_those_who_wait_and_moves_on() {
        let (mut pace, mut rng) = (Pace::default(), Rng::new(1));
        let mut told: Vec<u64> = (0..100).map(|_| pace.later(&mut rng, 100)).collect();
        assert!(told.iter().all(|s| (5..30).contains(s)), "{told:?}");
        told = (0..10_000).map(|_| pace.later(&mut rng, 100)).collect();
        let longest = told.iter().max().copied().unwrap_or(0);
        assert!((180..=206).contains(&longest), "10,100 phones are served in 202 s: {longest}");
        assert!(!pace.allows(ms(190_000), 0, Standing::Known));
        let _served = pace.allows(ms(400_000), 100, Standing::Known);
        assert!(pace.later(&mut rng, 100) < 30);
    }
}
