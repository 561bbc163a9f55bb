//! What each trunk was asked to carry within five minutes, and how it went: ASR, NER and post-dial delay for people.
//!
//! Counted when an attempt ends, in periods of ten seconds, so that a thousand calls a second cost no more memory than one. What counts
//! against a trunk's health is evidence and goes by `sense`. Refuses to know: health, audio.

use model::{AttemptOutcome, Instant, Observed, Signal, Span, TrunkId};
use std::collections::{BTreeMap, VecDeque};

/// One period.
const PERIOD: Span = Span::from_secs(10);
/// Periods that count: five minutes, the running one included.
const PERIODS: u64 = 30;

/// What happened within one period, or within all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Attempts that say something.
    pub(crate) attempts: u64,
    /// Of them answered.
    pub(crate) answered: u64,
    /// Of them those that reached the called side, whatever it did with them.
    pub(crate) effective: u64,
    /// Attempts that got further than 100, and the sum of their post-dial delays.
    pub(crate) progressed: u64,
    delay_us: u64,
}

impl Tally {
    /// Answer-seizure ratio (ITU-T E.411), per thousand.
    pub(crate) fn asr(&self) -> Option<u16> {
        permille(self.answered, self.attempts)
    }

    /// Network effectiveness ratio (ITU-T E.425; RFC 6076 §4.6 has much the same as SEER), per thousand.
    pub(crate) fn ner(&self) -> Option<u16> {
        permille(self.effective, self.attempts)
    }

    /// Mean post-dial delay (RFC 6076 §4.3).
    pub(crate) fn pdd(&self) -> Option<Span> {
        self.delay_us.checked_div(self.progressed).map(Span::from_micros)
    }

    fn add(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.answered += other.answered;
        self.effective += other.effective;
        self.progressed += other.progressed;
        self.delay_us = self.delay_us.saturating_add(other.delay_us);
    }
}

fn permille(part: u64, of: u64) -> Option<u16> {
    part.saturating_mul(1_000).checked_div(of).map(|permille| permille.min(1_000) as u16)
}

/// All trunks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    trunks: BTreeMap<TrunkId, VecDeque<(u64, Tally)>>,
}

impl Traffic {
    pub(crate) fn observe(&mut self, now: Instant, signal: &Signal) {
        let tally = match signal.what {
            Observed::Progress { after, .. } => {
                Tally { progressed: 1, delay_us: after.as_micros(), ..Tally::default() }
            }
            Observed::Attempt { outcome, .. } => match reached(&outcome) {
                Some(effective) => Tally {
                    attempts: 1,
                    answered: u64::from(outcome == AttemptOutcome::Answered),
                    effective: u64::from(effective),
                    ..Tally::default()
                },
                None => return,
            },
            _ => return,
        };
        let period = period(now);
        let kept = self.trunks.entry(signal.target.trunk).or_default();
        match kept.back_mut() {
            Some((at, running)) if *at == period => running.add(&tally),
            _ => kept.push_back((period, tally)),
        }
        while kept.len() as u64 > PERIODS {
            kept.pop_front();
        }
    }

    /// Of one trunk.
    pub(crate) fn of(&self, now: Instant, trunk: TrunkId) -> Tally {
        self.trunks.get(&trunk).map(|kept| sum(now, kept)).unwrap_or_default()
    }

    /// Of all of them together.
    pub(crate) fn all(&self, now: Instant) -> Tally {
        let mut all = Tally::default();
        self.trunks.values().for_each(|kept| all.add(&sum(now, kept)));
        all
    }

    /// Trunks that are no more are forgotten.
    pub(crate) fn retain(&mut self, stays: impl Fn(TrunkId) -> bool) {
        self.trunks.retain(|trunk, _| stays(*trunk));
    }
}

fn period(at: Instant) -> u64 {
    at.as_micros() / PERIOD.as_micros()
}

fn sum(now: Instant, kept: &VecDeque<(u64, Tally)>) -> Tally {
    let mut all = Tally::default();
    let first = (period(now) + 1).saturating_sub(PERIODS);
    kept.iter().filter(|(at, _)| *at >= first).for_each(|(_, tally)| all.add(tally));
    all
}

/// Whether an attempt reached the called side; none for one that says nothing: it was left for a reason of ours, gave way to a
/// redirection (RFC 6076 §4.5 leaves those out too), or its caller was gone before anything could be heard.
fn reached(outcome: &AttemptOutcome) -> Option<bool> {
    match outcome {
        AttemptOutcome::Answered | AttemptOutcome::RingTimeout { .. } => Some(true),
        // Busy, declined, not there, no such number: the called side, or what is known of it, has spoken.
        AttemptOutcome::Refused { code: 404 | 480 | 484 | 486 | 600 | 603 | 604, .. } => Some(true),
        AttemptOutcome::Abandoned { progressed: true, .. } => Some(true),
        // A challenge is a step on the way (RFC 6076 §4.5).
        AttemptOutcome::Refused { code: 401 | 407, .. } => None,
        AttemptOutcome::Refused { .. }
        | AttemptOutcome::NoReply { .. }
        | AttemptOutcome::Stalled { .. }
        | AttemptOutcome::WentSilent { .. }
        | AttemptOutcome::Unreachable { .. } => Some(false),
        AttemptOutcome::Redirected { .. }
        | AttemptOutcome::CutShort { .. }
        | AttemptOutcome::Outrun { .. }
        | AttemptOutcome::Abandoned { progressed: false, .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{CallRef, TargetId};

    fn at(s: u64) -> Instant {
        Instant::ZERO + Span::from_secs(s)
    }

    fn ended(traffic: &mut Traffic, second: u64, trunk: u16, outcome: AttemptOutcome) {
        let target = TargetId { trunk: TrunkId(trunk), index: 0 };
        let what = Observed::Attempt { call: CallRef(1), outcome };
        traffic.observe(at(second), &Signal { at: at(second), target, what });
    }

    fn refused(code: u16) -> AttemptOutcome {
        AttemptOutcome::Refused { code, q850: None, retry_after: None }
    }

    #[test]
    fn ratios_count_what_says_something_of_the_trunk() {
        let mut traffic = Traffic::default();
        let after = Span::from_secs(4);
        for outcome in [
            AttemptOutcome::Answered,
            AttemptOutcome::Answered,
            refused(486),
            refused(503),
            AttemptOutcome::NoReply { after },
            AttemptOutcome::Outrun { after, progressed: true },
            AttemptOutcome::Abandoned { after, progressed: false },
            AttemptOutcome::Redirected { code: 302 },
        ] {
            ended(&mut traffic, 1, 1, outcome);
        }
        let tally = traffic.of(at(2), TrunkId(1));
        assert_eq!((tally.attempts, tally.asr(), tally.ner()), (5, Some(400), Some(600)));
        assert_eq!(traffic.of(at(2), TrunkId(2)).asr(), None, "nothing is not zero");
    }

    #[test]
    fn delays_are_told_when_progress_comes() {
        let mut traffic = Traffic::default();
        for ms in [100, 300] {
            let target = TargetId { trunk: TrunkId(1), index: 0 };
            let what = Observed::Progress { call: CallRef(1), after: Span::from_millis(ms) };
            traffic.observe(at(1), &Signal { at: at(1), target, what });
        }
        assert_eq!(traffic.of(at(2), TrunkId(1)).pdd(), Some(Span::from_millis(200)));
    }

    #[test]
    fn five_minutes_count_and_no_more_is_kept() {
        let mut traffic = Traffic::default();
        for second in 0..1_000 {
            ended(&mut traffic, second, 1, AttemptOutcome::Answered);
            ended(&mut traffic, second, 2, refused(503));
        }
        assert_eq!(traffic.of(at(999), TrunkId(1)).attempts, 300);
        assert_eq!(traffic.all(at(999)).asr(), Some(500));
        assert_eq!(traffic.of(at(1_299), TrunkId(1)).attempts, 0, "what is old does not count");
        assert!(traffic.trunks.values().all(|kept| kept.len() as u64 <= PERIODS));
        traffic.retain(|trunk| trunk == TrunkId(1));
        assert_eq!(traffic.of(at(999), TrunkId(2)), Tally::default());
    }
}
