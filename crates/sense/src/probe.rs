//! When a target is probed: its interval, its jitter, its own deadline.
//!
//! The deadline of a probe is kept here and not by the SIP transaction, whose timer (32 s, RFC 3261 §17.1.2.2) is far too
//! long to be evidence. Refuses to know: what a probe is made of.

use alloc::vec::Vec;
use model::{Instant, ProbeResult, Rng, Span, TargetId};

/// Probes of one target on the wire at once.
const FLYING_MAX: usize = 4;

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
    /// Order to answer. Default 1.5 s: two repetitions (T1 = 500 ms) fit in it.
    pub deadline: Span,
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
    ends: Instant,
    fast: bool,
}

/// A probe that was not answered by its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) fast: bool,
    /// The prober itself was late, so nothing is proven.
    pub(crate) stalled: bool,
}

/// The schedule of one target.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    pub(crate) policy: ProbePolicy,
    next: Instant,
    last_fast: Option<Instant>,
    hurried: bool,
    fast_next: bool,
    flying: Vec<Flying>,
}

impl Prober {
    /// First probe at `first`.
    pub(crate) fn new(policy: ProbePolicy, first: Instant) -> Self {
        let next = if policy.on { first } else { Instant::FAR };
        Self { policy, next, last_fast: None, hurried: false, fast_next: false, flying: Vec::new() }
    }

    /// A reload: the new policy holds from the next order on.
    pub(crate) fn replace(&mut self, now: Instant, policy: ProbePolicy) {
        let latest = if policy.on { now + policy.every } else { Instant::FAR };
        self.next = if policy.on { self.next.min(latest) } else { latest };
        self.policy = policy;
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

    /// The next order, if it is due.
    pub(crate) fn order(&mut self, now: Instant, target: TargetId, number: u64, rng: &mut Rng) -> Option<ProbeOrder> {
        if now < self.next {
            return None;
        }
        let pace = if self.hurried { self.policy.fast } else { self.policy.every };
        self.next = now + jittered(pace, self.policy.jitter_percent, rng);
        if self.flying.len() >= FLYING_MAX {
            return None;
        }
        let (deadline, fast) = (self.policy.deadline, self.fast_next || self.hurried);
        self.flying.push(Flying { order: number, ends: now + deadline, fast });
        if fast {
            self.last_fast = Some(now);
        }
        self.fast_next = false;
        Some(ProbeOrder { target, order: number, deadline, fast })
    }

    /// A probe that another prober has ordered: waited for by this one's own deadline.
    pub(crate) fn adopt(&mut self, now: Instant, order: &ProbeOrder) {
        if self.flying.len() < FLYING_MAX {
            self.flying.push(Flying { order: order.order, ends: now + self.policy.deadline, fast: order.fast });
        }
    }

    /// A probe has ended by itself: whether it was a fast one; none when its deadline was earlier.
    pub(crate) fn landed(&mut self, order: u64) -> Option<bool> {
        let index = self.flying.iter().position(|flying| flying.order == order)?;
        Some(self.flying.remove(index).fast)
    }

    /// A probe whose deadline has passed.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<Overdue> {
        let index = self.flying.iter().position(|flying| flying.ends <= now)?;
        let flying = self.flying.remove(index);
        Some(Overdue { fast: flying.fast, stalled: now.since(flying.ends) > STALL })
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let ends = self.flying.iter().map(|flying| flying.ends);
        ends.chain(self.policy.on.then_some(self.next)).min()
    }
}

/// `pace` more or less by `percent`.
fn jittered(pace: Span, percent: u8, rng: &mut Rng) -> Span {
    let percent = u64::from(percent.min(100));
    let width = pace.percent(2 * percent).as_micros();
    pace.percent(100 - percent) + Span::from_micros(rng.below(width.saturating_add(1)))
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
        let policy = ProbePolicy::default();
        let answered = |code| ProbeResult::Answered { code, rtt: Span::ZERO };
        for code in [200, 401, 404, 405, 406, 481, 501] {
            assert!(policy.is_alive(&answered(code)), "{code}");
        }
        assert!(!policy.is_alive(&answered(503)));
        let narrow = ProbePolicy { alive: [CodeClass::Class(2), CodeClass::Code(405)].to_vec(), ..policy };
        assert!(narrow.is_alive(&answered(204)) && narrow.is_alive(&answered(405)) && !narrow.is_alive(&answered(404)));
    }

    #[test]
    fn pace_stays_within_the_jitter() {
        let (mut prober, mut rng) = (Prober::new(ProbePolicy::default(), at(0)), Rng::new(3));
        let mut before = at(0);
        assert!(prober.order(before, TARGET, 0, &mut rng).is_some());
        for number in 1..200 {
            let due = prober.deadline().unwrap();
            prober.landed(number - 1);
            let due = prober.deadline().unwrap_or(due);
            assert!((4_000..=6_000).contains(&due.since(before).as_millis()), "{due:?} after {before:?}");
            assert!(prober.order(due, TARGET, number, &mut rng).is_some());
            before = due;
        }
    }

    #[test]
    fn hurry_probes_at_once_and_then_each_second() {
        let policy = ProbePolicy { jitter_percent: 0, ..ProbePolicy::default() };
        let (mut prober, mut rng) = (Prober::new(policy, at(0)), Rng::new(3));
        prober.order(at(0), TARGET, 0, &mut rng).unwrap();
        prober.landed(0);
        prober.hurry(at(2_000), true);
        prober.hurry(at(2_100), true);
        assert_eq!(prober.deadline(), Some(at(2_000)));
        assert!(prober.order(at(2_000), TARGET, 1, &mut rng).is_some());
        assert_eq!(prober.landed(1), Some(true), "ordered in doubt: a fast probe");
        assert_eq!(prober.deadline(), Some(at(3_000)));
        prober.at_once(at(2_100));
        assert_eq!(prober.deadline(), Some(at(3_000)), "never faster than the fast pace");
    }

    #[test]
    fn a_prober_that_slept_proves_nothing() {
        let (mut prober, mut rng) = (Prober::new(ProbePolicy::default(), at(0)), Rng::new(3));
        prober.order(at(0), TARGET, 0, &mut rng).unwrap();
        assert_eq!(prober.overdue(at(1_499)), None);
        assert_eq!(prober.clone().overdue(at(1_500)), Some(Overdue { fast: false, stalled: false }));
        assert_eq!(prober.overdue(at(2_501)), Some(Overdue { fast: false, stalled: true }));
        assert_eq!(prober.landed(0), None, "its answer is late");
    }
}
