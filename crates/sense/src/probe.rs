//! When a target is probed: its interval, its jitter, its own deadline.
//!
//! The deadline of a probe is kept here and not by the SIP transaction, whose timer (32 s, RFC 3261 §17.1.2.2) is far too
//! long to be evidence. Refuses to know: what a probe is made of.

use crate::window::Delays;
use alloc::vec::Vec;
use model::{Instant, ProbeResult, Rng, Span, TargetId};

/// Probes of one target on the wire at once.
const FLYING_MAX: usize = 4;
/// A probe that is late gets company, one after the other: whether one packet was lost or the target is, several tell at once.
const RUSH: Span = Span::from_millis(250);
/// So many unanswered in a row have told; after them the ordinary pace holds again.
const RUSH_UNTIL: u32 = 3;
/// An answer is not late before this.
const LATE_FLOOR: Span = Span::from_millis(250);
/// A learned deadline is no shorter: a spike of latency that callers hardly notice must not look like a death.
const DEADLINE_FLOOR: Span = Span::from_millis(1_000);
/// Answers before the round trip counts as known.
const KNOWN: u32 = 5;

/// How far past a deadline the prober may notice it. Later than that, it was the prober who slept, and answers may
/// be waiting unread: such a probe says nothing.
const STALL: Span = Span::from_secs(1);

/// How a target is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbePolicy {
    /// Whether at all. Without probes, only calls tell.
    pub on: bool,
    /// Order to order. Default 5 s.
    pub every: Span,
    /// More or less by this share, in percent. Default 20: probes of many trunks must not fall into step.
    pub jitter_percent: u8,
    /// Order to order while in doubt. Default 1 s.
    pub fast: Span,
    /// Order to answer, at most. Default 1.5 s: two repetitions (T1 = 500 ms) fit in it.
    pub deadline: Span,
    /// Whether the deadline follows the target's own round trip, between 1 s and `deadline`. Default yes.
    pub learned: bool,
    /// Whether probes rest while calls get through. Default no: a probe of its own is evidence of its own.
    pub idle_only: bool,
    /// Answers that count as alive; empty means any but 503.
    pub alive: Vec<CodeClass>,
}

impl Default for ProbePolicy {
    fn default() -> Self {
        Self {
            on: true,
            every: Span::from_secs(5),
            jitter_percent: 20,
            fast: Span::from_secs(1),
            deadline: Span::from_millis(1_500),
            learned: true,
            idle_only: false,
            alive: Vec::new(),
        }
    }
}

/// A status code, or a hundred of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeClass {
    /// Exactly this code.
    Code(u16),
    /// All of a class: 2 is 200 to 299.
    Class(u8),
}

impl CodeClass {
    const fn holds(self, code: u16) -> bool {
        match self {
            Self::Code(own) => own == code,
            Self::Class(class) => code / 100 == class as u16,
        }
    }
}

impl ProbePolicy {
    /// Whether a result says that the target is alive. Even a refusal is a sign of life: who answers 404 or 405 to OPTIONS
    /// has read it. Only 503 says "not now" (RFC 3261 §11.2, §21.5.4).
    pub fn is_alive(&self, result: &ProbeResult) -> bool {
        match result {
            ProbeResult::Answered { code, .. } if self.alive.is_empty() => *code != 503,
            ProbeResult::Answered { code, .. } => self.alive.iter().any(|class| class.holds(*code)),
            ProbeResult::NoReply { .. } | ProbeResult::Unreachable { .. } => false,
        }
    }
}

/// Send one OPTIONS to `target`, and report its end under the number `order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeOrder {
    /// Whom.
    pub target: TargetId,
    /// Its number.
    pub order: u64,
    /// How long it is waited for, by whoever ordered it.
    pub deadline: Span,
    /// Ordered because of doubt.
    pub fast: bool,
}

#[derive(Clone, Copy, Debug)]
struct Flying {
    order: u64,
    sent: Instant,
    ends: Instant,
    fast: bool,
    /// Sent into a silence that is over.
    excused: bool,
}

/// A probe that has ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Landed {
    pub(crate) sent: Instant,
    pub(crate) fast: bool,
}

/// A probe that was not answered by its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) sent: Instant,
    /// The deadline it had.
    pub(crate) after: Span,
    pub(crate) fast: bool,
    /// The prober itself was late, so nothing is proven.
    pub(crate) stalled: bool,
    /// It was sent into a silence that is over.
    pub(crate) excused: bool,
}

/// The schedule of one target.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    pub(crate) policy: ProbePolicy,
    next: Instant,
    last: Option<Instant>,
    last_fast: Option<Instant>,
    hurried: bool,
    fast_next: bool,
    /// In order of sending.
    flying: Vec<Flying>,
    /// Unanswered in a row.
    missed: u32,
    round_trips: Delays,
}

impl Prober {
    /// First probe at `first`.
    pub(crate) fn new(policy: ProbePolicy, first: Instant) -> Self {
        let next = if policy.on { first } else { Instant::FAR };
        Self {
            policy,
            next,
            last: None,
            last_fast: None,
            hurried: false,
            fast_next: false,
            flying: Vec::new(),
            missed: 0,
            round_trips: Delays::default(),
        }
    }

    /// A reload: the new policy holds from the next order on. Says whether probes have ended by it.
    pub(crate) fn replace(&mut self, now: Instant, policy: ProbePolicy) -> bool {
        let ends = self.policy.on && !policy.on;
        let latest = if policy.on { now + policy.every } else { Instant::FAR };
        self.next = if policy.on { self.next.min(latest) } else { latest };
        self.policy = policy;
        if ends {
            self.flying.clear();
        }
        ends
    }

    /// Faster while on; a probe at once when it begins.
    pub(crate) fn hurry(&mut self, now: Instant, on: bool) {
        if on && !self.hurried {
            self.at_once(now);
        }
        self.hurried = on;
    }

    /// A fast probe now, or as soon as the fast pace allows.
    pub(crate) fn at_once(&mut self, now: Instant) {
        if self.policy.on {
            let soonest = self.last_fast.map_or(now, |last| (last + self.policy.fast).max(now));
            self.next = self.next.min(soonest);
            self.fast_next = true;
        }
    }

    /// The next order, if it is due. `proven` is when a call got through for the last time.
    pub(crate) fn order(
        &mut self,
        now: Instant,
        target: TargetId,
        number: u64,
        proven: Option<Instant>,
        rng: &mut Rng,
    ) -> Option<ProbeOrder> {
        let rushed = self.company().is_some_and(|due| due <= now);
        if now < self.next && !rushed {
            return None;
        }
        let fast = rushed || self.fast_next || self.hurried;
        if now >= self.next {
            let pace = if self.hurried { self.policy.fast } else { self.policy.every };
            self.next = now + jittered(pace, self.policy.jitter_percent, rng);
            let rests = self.policy.idle_only && !fast;
            if rests && proven.is_some_and(|at| now.since(at) < self.policy.every) {
                return None;
            }
        }
        if self.flying.len() >= FLYING_MAX {
            return None;
        }
        let deadline = self.patience();
        self.flying.push(Flying { order: number, sent: now, ends: now + deadline, fast, excused: false });
        self.last = Some(now);
        if fast {
            self.last_fast = Some(now);
        }
        self.fast_next = false;
        Some(ProbeOrder { target, order: number, deadline, fast })
    }

    /// A probe that another prober has ordered: waited for by this one's own deadline.
    pub(crate) fn adopt(&mut self, now: Instant, order: &ProbeOrder) {
        if self.flying.len() < FLYING_MAX {
            let ends = now + self.patience();
            self.flying.push(Flying { order: order.order, sent: now, ends, fast: order.fast, excused: false });
        }
    }

    /// A probe has ended by itself; none when its deadline was earlier. `round_trip` when it was answered.
    pub(crate) fn landed(&mut self, order: u64, round_trip: Option<Span>) -> Option<Landed> {
        let index = self.flying.iter().position(|flying| flying.order == order)?;
        let flying = self.flying.remove(index);
        self.missed = 0;
        if let Some(round_trip) = round_trip {
            self.round_trips.add(round_trip);
        }
        Some(Landed { sent: flying.sent, fast: flying.fast })
    }

    /// A probe whose deadline has passed.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<Overdue> {
        let index = self.flying.iter().position(|flying| flying.ends <= now)?;
        let Flying { sent, ends, fast, excused, .. } = self.flying.remove(index);
        self.missed = self.missed.saturating_add(1);
        Some(Overdue { sent, after: ends.since(sent), fast, stalled: now.since(ends) > STALL, excused })
    }

    /// A silence is over: probes that were sent into it prove nothing if they are not answered.
    pub(crate) fn heard_again(&mut self) {
        self.flying.iter_mut().for_each(|flying| flying.excused = true);
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let ends = self.flying.iter().map(|flying| flying.ends);
        ends.chain(self.policy.on.then_some(self.next)).chain(self.company()).min()
    }

    /// When the oldest probe on the wire gets company, if it is late then and does not have enough.
    fn company(&self) -> Option<Instant> {
        let oldest = self.flying.first()?;
        let enough = self.missed as usize + self.flying.len() >= RUSH_UNTIL as usize;
        if !self.policy.on || enough {
            return None;
        }
        let late = oldest.sent + self.usual().max(LATE_FLOOR).min(self.policy.deadline.percent(50));
        Some(self.last.map_or(late, |last| late.max(last + RUSH)))
    }

    /// How long an answer is waited for.
    fn patience(&self) -> Span {
        if !self.policy.learned {
            return self.policy.deadline;
        }
        self.usual().max(DEADLINE_FLOOR).min(self.policy.deadline)
    }

    /// What is late by far; the configured deadline while the round trip is not known.
    fn usual(&self) -> Span {
        self.round_trips.late_after(KNOWN, Span::ZERO).unwrap_or(self.policy.deadline)
    }
}

/// `pace` more or less by `percent`; never nothing, or a prober would order without end.
pub(crate) fn jittered(pace: Span, percent: u8, rng: &mut Rng) -> Span {
    let percent = u64::from(percent.min(100));
    let width = pace.percent(2 * percent).as_micros();
    let jittered = pace.percent(100 - percent) + Span::from_micros(rng.below(width.saturating_add(1)));
    jittered.max(Span::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: TargetId = TargetId { trunk: model::TrunkId(0), index: 0 };

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_millis(ms)
    }

    #[test]
    fn any_answer_but_503_is_a_sign_of_life() {
        // RFC 3261 §22: a challenge is an answer.
        let policy = ProbePolicy::default();
        let answered = |code| ProbeResult::Answered { code, rtt: Span::ZERO };
        for code in [200, 401, 404, 405, 406, 407, 481, 501] {
            assert!(policy.is_alive(&answered(code)), "{code}");
        }
        assert!(!policy.is_alive(&answered(503)));
        let narrow = ProbePolicy { alive: [CodeClass::Class(2), CodeClass::Code(405)].to_vec(), ..policy };
        assert!(narrow.is_alive(&answered(204)) && narrow.is_alive(&answered(405)) && !narrow.is_alive(&answered(404)));
    }

    fn order(prober: &mut Prober, ms: u64, number: u64) -> Option<ProbeOrder> {
        prober.order(at(ms), TARGET, number, None, &mut Rng::new(3))
    }

    fn steady() -> Prober {
        Prober::new(ProbePolicy { jitter_percent: 0, ..ProbePolicy::default() }, at(0))
    }

    /// Five answers of 4 ms, so that the round trip is known; the last one at 20 s.
    fn acquainted() -> Prober {
        let mut prober = steady();
        for number in 0..5 {
            assert!(order(&mut prober, number * 5_000, number).is_some());
            prober.landed(number, Some(Span::from_millis(4))).unwrap();
        }
        prober
    }

    #[test]
    fn pace_stays_within_the_jitter() {
        let (mut prober, mut rng) = (Prober::new(ProbePolicy::default(), at(0)), Rng::new(3));
        let mut before = at(0);
        assert!(prober.order(before, TARGET, 0, None, &mut rng).is_some());
        for number in 1..200 {
            prober.landed(number - 1, Some(Span::from_millis(4))).unwrap();
            let due = prober.deadline().unwrap();
            assert!((4_000..=6_000).contains(&due.since(before).as_millis()), "{due:?} after {before:?}");
            assert!(prober.order(due, TARGET, number, None, &mut rng).is_some());
            before = due;
        }
    }

    #[test]
    fn hurry_probes_at_once_and_then_each_second() {
        let mut prober = steady();
        order(&mut prober, 0, 0).unwrap();
        prober.landed(0, None).unwrap();
        prober.hurry(at(2_000), true);
        prober.hurry(at(2_100), true);
        assert_eq!(prober.deadline(), Some(at(2_000)));
        assert!(order(&mut prober, 2_000, 1).is_some());
        assert!(prober.landed(1, None).unwrap().fast, "ordered in doubt: a fast probe");
        assert_eq!(prober.deadline(), Some(at(3_000)));
        prober.at_once(at(2_100));
        assert_eq!(prober.deadline(), Some(at(3_000)), "never faster than the fast pace");
    }

    #[test]
    fn a_late_probe_gets_company_and_three_tell_within_half_a_second_of_the_first() {
        let mut prober = acquainted();
        assert_eq!(order(&mut prober, 25_000, 5).unwrap().deadline, Span::from_millis(1_000), "learned, and floored");
        assert_eq!(prober.deadline(), Some(at(25_250)));
        assert!(order(&mut prober, 25_249, 6).is_none());
        assert!(order(&mut prober, 25_250, 6).is_some());
        assert!(order(&mut prober, 25_500, 7).is_some());
        assert!(order(&mut prober, 25_900, 8).is_none(), "three are enough");
        let ends: Vec<_> =
            [26_000, 26_250, 26_500].into_iter().map(|ms| prober.overdue(at(ms)).unwrap().fast).collect();
        assert_eq!(ends, [false, true, true]);
        assert!(order(&mut prober, 30_000, 8).is_some(), "the ordinary pace holds again");
        assert_eq!(prober.deadline(), Some(at(31_000)), "and one that has been missed thrice gets no company");
    }

    #[test]
    fn a_deadline_is_learned_within_its_bounds_and_only_when_asked() {
        let mut slow = steady();
        for number in 0..5 {
            order(&mut slow, number * 5_000, number).unwrap();
            slow.landed(number, Some(Span::from_millis(900))).unwrap();
        }
        assert_eq!(order(&mut slow, 25_000, 5).unwrap().deadline, Span::from_millis(1_500));
        let mut fixed = acquainted();
        fixed.policy.learned = false;
        assert_eq!(order(&mut fixed, 25_000, 5).unwrap().deadline, Span::from_millis(1_500));
    }

    #[test]
    fn an_idle_prober_rests_while_calls_get_through() {
        let mut prober = steady();
        prober.policy.idle_only = true;
        let mut rng = Rng::new(1);
        assert!(prober.order(at(0), TARGET, 0, None, &mut rng).is_some());
        prober.landed(0, None).unwrap();
        assert!(prober.order(at(5_000), TARGET, 1, Some(at(4_000)), &mut rng).is_none());
        assert!(prober.order(at(10_000), TARGET, 1, Some(at(4_000)), &mut rng).is_some(), "and wakes when they stop");
        prober.landed(1, None).unwrap();
        prober.at_once(at(11_000));
        assert!(prober.order(at(11_000), TARGET, 2, Some(at(11_000)), &mut rng).is_some(), "or when it is asked");
    }

    #[test]
    fn a_prober_that_slept_proves_nothing() {
        let mut prober = steady();
        order(&mut prober, 0, 0).unwrap();
        let after = Span::from_millis(1_500);
        assert_eq!(prober.overdue(at(1_499)), None);
        let overdue = Overdue { sent: at(0), after, fast: false, stalled: false, excused: false };
        assert_eq!(prober.clone().overdue(at(1_500)), Some(overdue));
        assert_eq!(prober.overdue(at(2_501)), Some(Overdue { stalled: true, ..overdue }));
        assert_eq!(prober.landed(0, None), None, "its answer is late");
    }
}
