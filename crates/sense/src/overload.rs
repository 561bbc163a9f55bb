//! Overload control (RFC 7339, RFC 7415) as news: from the word of every response, what is worth a decision.
//!
//! Servers tell in each response how many calls they want, in steps of one percent and for half a second at a time. What
//! becomes of it is a decision per beginning, end and change that matters, not one per response. Each server counts its own
//! words, so those are kept per target; calls are offered to trunks, so the strictest wish among a trunk's targets is its
//! own. Refuses to know: responses, what becomes of the news.

use alloc::collections::BTreeMap;
use model::{Instant, Span, TargetId, TrunkId, Wish};

/// A wish holds for so long at least: where calls are few, half a second would be a beginning and an end with each of them.
const HOLD: Span = Span::from_secs(5);
/// A trunk's wishes are news no more often than this.
const APART: Span = Span::from_secs(1);
/// One that goes on is told again after so long, as nothing in the trunk table lasts by itself.
const AGAIN: Span = Span::from_secs(30);
/// Changes of less than so many percentage points, or percent of a rate, are no news.
const STEP: u32 = 10;

/// What has changed about a trunk's wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverloadNews {
    /// Whose.
    pub trunk: TrunkId,
    /// What it wishes now; none when it takes all calls again.
    pub wish: Option<Wish>,
    /// For how long it said so.
    pub validity: Span,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    seq: Option<u64>,
    wish: Wish,
    validity: Span,
    at: Instant,
    until: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    wish: Option<Wish>,
    at: Instant,
}

/// What all targets wish, and what has been told of it.
#[derive(Clone, Debug, Default)]
pub struct Overloads {
    heard: BTreeMap<TargetId, Heard>,
    told: BTreeMap<TrunkId, Told>,
    /// When a trunk is looked at again.
    looks: BTreeMap<TrunkId, Instant>,
    stale: u64,
}

impl Overloads {
    /// Forgets everyone who is no target any more.
    pub fn install(&mut self, known: impl Fn(TargetId) -> bool) {
        self.heard.retain(|target, _| known(*target));
        let gone = |trunk: TrunkId| !known(TargetId { trunk, index: 0 });
        self.told.retain(|trunk, _| !gone(*trunk));
        self.looks.retain(|trunk, _| !gone(*trunk));
    }

    /// The word of one response, which came from a known target. [`Overloads::due`] tells what follows from it.
    pub fn observe(&mut self, at: Instant, target: TargetId, wish: Wish, validity: Span, seq: Option<u64>) {
        // §4.4: a response that was overtaken by a newer one says nothing any more.
        // Of one that was quiet for long nothing is on its way any more, and it may have been restarted and count anew.
        let lately = self.heard.get(&target).filter(|heard| at < heard.until.max(heard.at + HOLD));
        let newest = lately.and_then(|heard| heard.seq);
        if newest.zip(seq).is_some_and(|(newest, seq)| seq < newest) {
            self.stale += 1;
            return;
        }
        let over = validity == Span::ZERO || wish == Wish::Loss { percent: 0 };
        let until = if over { at } else { at + validity.max(HOLD) };
        self.heard.insert(target, Heard { seq: seq.or(newest), wish, validity, at, until });
        self.looks.insert(target.trunk, at);
    }

    /// Something stricter holds for a trunk until then, and has taken the place of its wish: what it wishes after that is news.
    pub fn put_off(&mut self, trunk: TrunkId, until: Instant) {
        self.told.insert(trunk, Told { wish: None, at: until });
    }

    /// When [`Overloads::due`] may have something.
    pub fn deadline(&self) -> Option<Instant> {
        self.looks.values().copied().min()
    }

    /// News that is due, one trunk at a time.
    pub fn due(&mut self, now: Instant) -> Option<OverloadNews> {
        while let Some((trunk, _)) = self.looks.iter().find(|(_, at)| **at <= now) {
            let trunk = *trunk;
            let news = self.news(now, trunk);
            if news.is_some() {
                return news;
            }
        }
        None
    }

    /// Words that came too late to count.
    pub const fn stale(&self) -> u64 {
        self.stale
    }

    fn news(&mut self, now: Instant, trunk: TrunkId) -> Option<OverloadNews> {
        let strictest = self.strictest(now, trunk);
        let wish = strictest.map(|heard| heard.wish);
        let told = self.told.get(&trunk).copied();
        let known = told.and_then(|told| told.wish);
        let changed = match (known, wish) {
            (Some(known), Some(wish)) => far(known, wish),
            (known, wish) => known.is_some() != wish.is_some(),
        };
        let since = told.map_or(Span::MAX, |told| now.since(told.at));
        if (changed && since >= APART) || (wish.is_some() && since >= AGAIN) {
            self.told.insert(trunk, Told { wish, at: now });
            self.look_at(trunk, strictest.map(|heard| heard.until.min(now + AGAIN)));
            return Some(OverloadNews { trunk, wish, validity: strictest.map_or(Span::ZERO, |heard| heard.validity) });
        }
        let at = told.map(|told| told.at + if changed { APART } else { AGAIN });
        let ends = strictest.map(|heard| heard.until);
        self.look_at(trunk, if changed || wish.is_some() { [at, ends].into_iter().flatten().min() } else { None });
        None
    }

    fn look_at(&mut self, trunk: TrunkId, at: Option<Instant>) {
        match at {
            Some(at) => self.looks.insert(trunk, at),
            None => self.looks.remove(&trunk),
        };
    }

    /// Of the targets of a trunk whose wish still holds, the one that leaves the fewest calls.
    fn strictest(&self, now: Instant, trunk: TrunkId) -> Option<Heard> {
        let targets = TargetId { trunk, index: 0 }..=TargetId { trunk, index: u8::MAX };
        let holding = self.heard.range(targets).map(|(_, heard)| *heard).filter(|heard| heard.until > now);
        holding.max_by_key(|heard| strictness(heard.wish))
    }
}

/// Loss before rate, as nobody knows how many calls will come: a trunk's targets hardly speak both.
const fn strictness(wish: Wish) -> (u8, u32) {
    match wish {
        Wish::NoCalls => (2, 0),
        Wish::Loss { percent } => (1, percent as u32),
        Wish::Rate { cps } => (0, u32::MAX - cps),
    }
}

fn far(a: Wish, b: Wish) -> bool {
    match (a, b) {
        (Wish::Loss { percent: a }, Wish::Loss { percent: b }) => u32::from(a.abs_diff(b)) >= STEP,
        (Wish::Rate { cps: a }, Wish::Rate { cps: b }) => {
            u64::from(a.abs_diff(b)) * 100 >= u64::from(STEP) * u64::from(a.max(b)) && a != b
        }
        (a, b) => a != b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const ACME: TrunkId = TrunkId(1);

    fn ms(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    fn target(index: u8) -> TargetId {
        TargetId { trunk: ACME, index }
    }

    fn loss(percent: u8) -> Wish {
        Wish::Loss { percent }
    }

    /// Lets time pass by the machine's own deadlines.
    fn until(overloads: &mut Overloads, end: Instant) -> Vec<(Instant, Option<Wish>)> {
        let mut told = Vec::new();
        while let Some(now) = overloads.deadline().filter(|at| *at <= end) {
            let before = overloads.looks.clone();
            told.extend(core::iter::from_fn(|| overloads.due(now)).map(|news| (now, news.wish)));
            assert_ne!(before, overloads.looks, "a deadline that stays would be a storm");
        }
        told
    }

    fn say(overloads: &mut Overloads, at: Instant, wish: Wish) -> Vec<(Instant, Option<Wish>)> {
        overloads.observe(at, target(0), wish, Span::from_millis(500), None);
        until(overloads, at)
    }

    #[test]
    fn a_wish_begins_lasts_and_ends_by_itself() {
        let mut overloads = Overloads::default();
        overloads.observe(ms(100), target(0), loss(30), Span::from_secs(8), None);
        assert_eq!(overloads.deadline(), Some(ms(100)));
        let news = OverloadNews { trunk: ACME, wish: Some(loss(30)), validity: Span::from_secs(8) };
        assert_eq!(overloads.due(ms(100)), Some(news));
        assert_eq!(overloads.due(ms(100)), None);
        assert_eq!(until(&mut overloads, ms(60_000)), [(ms(8_100), None)]);
        assert_eq!(overloads.deadline(), None, "nothing is left to wait for");
    }

    #[test]
    fn short_validities_are_one_wish_and_one_that_goes_on_is_told_again() {
        let mut overloads = Overloads::default();
        let mut told = Vec::new();
        for at in (0..70_000).step_by(1_000) {
            told.extend(until(&mut overloads, ms(at)));
            told.extend(say(&mut overloads, ms(at), loss(30)));
        }
        told.extend(until(&mut overloads, ms(200_000)));
        let again = [ms(0), ms(30_000), ms(60_000)].map(|at| (at, Some(loss(30)))).to_vec();
        assert_eq!(told, [again, [(ms(74_000), None)].to_vec()].concat());
    }

    #[test]
    fn only_changes_that_matter_are_news_and_never_two_within_a_second() {
        let mut overloads = Overloads::default();
        assert_eq!(say(&mut overloads, ms(0), loss(30)).len(), 1);
        assert_eq!(say(&mut overloads, ms(1_500), loss(39)), []);
        assert_eq!(say(&mut overloads, ms(1_600), loss(40)), [(ms(1_600), Some(loss(40)))]);
        assert_eq!(say(&mut overloads, ms(1_700), loss(90)), []);
        assert_eq!(say(&mut overloads, ms(1_800), loss(60)), []);
        assert_eq!(until(&mut overloads, ms(2_600)), [(ms(2_600), Some(loss(60)))], "the last word, a second after");
        // A server that cannot make up its mind.
        let mut told = 0;
        for at in (3_000..13_000).step_by(20) {
            told += until(&mut overloads, ms(at)).len();
            told += say(&mut overloads, ms(at), loss(if at % 40 == 0 { 0 } else { 50 })).len();
        }
        assert!((5..=10).contains(&told), "{told} decisions in ten seconds");
    }

    /// A 503 with Retry-After has put an end to it for five seconds; the word of the first response after that holds again.
    #[test]
    fn what_was_put_off_is_news_when_it_is_said_again() {
        let mut overloads = Overloads::default();
        assert_eq!(say(&mut overloads, ms(0), loss(50)), [(ms(0), Some(loss(50)))]);
        overloads.put_off(ACME, ms(6_000));
        assert_eq!(say(&mut overloads, ms(5_500), loss(50)), [], "not yet");
        assert_eq!(say(&mut overloads, ms(6_200), loss(50)), []);
        assert_eq!(until(&mut overloads, ms(8_000)), [(ms(7_000), Some(loss(50)))], "a second after that");
    }

    #[test]
    fn it_ends_when_the_server_says_so() {
        for (wish, validity) in [(loss(0), Span::from_secs(5)), (loss(30), Span::ZERO)] {
            let mut overloads = Overloads::default();
            assert_eq!(say(&mut overloads, ms(0), loss(30)).len(), 1);
            overloads.observe(ms(2_000), target(0), wish, validity, None);
            assert_eq!(until(&mut overloads, ms(2_000)), [(ms(2_000), None)]);
        }
    }

    #[test]
    fn what_was_overtaken_says_nothing() {
        let mut overloads = Overloads::default();
        overloads.observe(ms(0), target(0), loss(50), Span::from_secs(5), Some(20));
        assert_eq!(until(&mut overloads, ms(0)), [(ms(0), Some(loss(50)))]);
        overloads.observe(ms(2_000), target(0), loss(0), Span::from_secs(5), Some(19));
        assert_eq!((until(&mut overloads, ms(2_000)), overloads.stale()), (Vec::new(), 1));
        // Another server counts by itself.
        overloads.observe(ms(2_000), target(1), loss(80), Span::from_secs(5), Some(3));
        assert_eq!(until(&mut overloads, ms(2_000)), [(ms(2_000), Some(loss(80)))], "the strictest counts");
        overloads.observe(ms(4_000), target(1), loss(0), Span::from_secs(5), Some(4));
        assert_eq!(until(&mut overloads, ms(4_000)), [(ms(4_000), Some(loss(50)))]);
        assert_eq!(until(&mut overloads, ms(5_000)), [(ms(5_000), None)]);
        overloads.observe(ms(9_100), target(0), loss(70), Span::from_secs(5), Some(1));
        assert_eq!(until(&mut overloads, ms(9_100)), [(ms(9_100), Some(loss(70)))], "restarted, it counts anew");
    }

    #[test]
    fn rates_are_compared_by_share() {
        assert!(
            !far(Wish::Rate { cps: 100 }, Wish::Rate { cps: 95 })
                && far(Wish::Rate { cps: 100 }, Wish::Rate { cps: 90 })
        );
        assert!(
            far(Wish::Rate { cps: 0 }, Wish::Rate { cps: 1 }) && !far(Wish::Rate { cps: 0 }, Wish::Rate { cps: 0 })
        );
        assert!(far(Wish::Rate { cps: 10 }, loss(10)));
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let mut overloads = Overloads::default();
        assert_eq!(say(&mut overloads, ms(0), loss(30)).len(), 1);
        overloads.install(|target| target.trunk != ACME);
        assert_eq!((overloads.deadline(), overloads.heard.len(), overloads.told.len()), (None, 0, 0));
    }
}
