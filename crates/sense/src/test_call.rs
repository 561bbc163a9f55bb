//! When a target gets a test call: its interval, its jitter, and the limits that keep us a polite peer.
//!
//! A test call costs the peer a channel and somebody money, and a scheduler that runs wild with INVITEs is an attack. So there are
//! limits that no configuration lifts: one call at a time per trunk, a rest between two, few at once per node. The order's own
//! deadline is a watchdog over whoever carries it out: it says nothing about the target. Refuses to know: what a test call is made of.

use crate::probe::jittered;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use model::{Instant, Rng, Span, TargetId, TestCallEvidence, TestCallResult, TrunkId};

/// Least time between the beginnings of two test calls of one trunk, whoever orders them but a person.
const REST: Span = Span::from_secs(30);
/// The same when a person asks: enough for the call before to be torn down.
const REST_ASKED: Span = Span::from_secs(5);
/// Test calls at once, over all trunks of the node.
const FLYING_MAX: usize = 2;
/// First test calls of new targets are spread over this time, so that a restart soon knows and does not call everyone at once.
const SPREAD: Span = Span::from_secs(60);

/// How often a target gets a test call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestCallPace {
    /// Order to order. Default 10 min.
    pub every: Span,
    /// More or less by this share, in percent. Default 20, as for probes.
    pub jitter_percent: u8,
    /// The longest a test call may take from its order to its report; then the order is lost.
    pub patience: Span,
}

/// Place one test call to `target`, and report its end under the number `order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestCallOrder {
    /// Whom.
    pub target: TargetId,
    /// Its number.
    pub order: u64,
    /// How long it is waited for, by whoever ordered it.
    pub deadline: Span,
    /// A person has asked for it.
    pub asked: bool,
}

/// Why a test call that a person asks for is not placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// The trunk has no test call configured.
    Unset,
    /// One to this trunk is up, or as many as may be are.
    Busy,
    /// The last one was too short a time ago.
    Rest {
        /// Time left.
        left: Span,
    },
}

/// Test calls in a row.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestCallRow(TestCallEvidence);

impl TestCallRow {
    /// One more has ended.
    fn push(&mut self, at: Instant, result: TestCallResult) {
        let row = &mut self.0;
        if matches!(result, TestCallResult::Good { .. }) {
            (row.good, row.bad) = (row.good.saturating_add(1), 0);
        } else {
            (row.good, row.bad) = (0, row.bad.saturating_add(1));
        }
        row.last = Some((at, result));
    }
}

#[derive(Clone, Debug)]
struct Slot {
    pace: TestCallPace,
    next: Instant,
    row: TestCallRow,
}

#[derive(Clone, Copy, Debug)]
struct Flying {
    target: TargetId,
    order: u64,
    ends: Instant,
}

/// The schedule of all targets.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestCalls {
    slots: BTreeMap<TargetId, Slot>,
    flying: Vec<Flying>,
    /// When a trunk's last one began; of trunks that are watched.
    begun: BTreeMap<TrunkId, Instant>,
    orders: VecDeque<TestCallOrder>,
    next_order: u64,
}

impl TestCalls {
    /// Start and reload: rows of targets that stay are kept, new ones are called within a minute.
    pub(crate) fn install(&mut self, now: Instant, targets: &[(TargetId, TestCallPace)], rng: &mut Rng) {
        let mut old = core::mem::take(&mut self.slots);
        for (target, pace) in targets {
            let slot = match old.remove(target) {
                Some(slot) => Slot { pace: *pace, next: slot.next.min(now + pace.every), ..slot },
                None => {
                    let within = SPREAD.min(pace.every).as_micros();
                    let next = now + Span::from_micros(rng.below(within.saturating_add(1)));
                    Slot { pace: *pace, next, row: TestCallRow::default() }
                }
            };
            self.slots.insert(*target, slot);
        }
        let slots = &self.slots;
        self.orders.retain(|order| slots.contains_key(&order.target));
        self.begun.retain(|trunk, _| slots.keys().any(|target| target.trunk == *trunk));
    }

    /// As soon as the limits allow; false when the target has no test call.
    pub(crate) fn soon(&mut self, now: Instant, target: TargetId) -> bool {
        let Some(slot) = self.slots.get_mut(&target) else { return false };
        slot.next = slot.next.min(now);
        true
    }

    /// At once, because a person asks; the number of the order.
    pub(crate) fn ask(&mut self, now: Instant, target: TargetId, rng: &mut Rng) -> Result<u64, NotNow> {
        if !self.slots.contains_key(&target) {
            return Err(NotNow::Unset);
        }
        if self.is_busy(target.trunk) {
            return Err(NotNow::Busy);
        }
        let rested = self.begun.get(&target.trunk).map_or(now, |begun| *begun + REST_ASKED);
        if rested > now {
            return Err(NotNow::Rest { left: rested.since(now) });
        }
        self.place(now, target, true, rng).ok_or(NotNow::Unset)
    }

    /// Time has passed: orders that are due are made. Returns how many were given up because nobody reported their end.
    pub(crate) fn tick(&mut self, now: Instant, rng: &mut Rng) -> u64 {
        let before = self.flying.len();
        self.flying.retain(|flying| flying.ends > now);
        let lost = before - self.flying.len();
        while let Some(target) = self.due(now) {
            self.place(now, target, false, rng);
        }
        lost as u64
    }

    /// The next order.
    pub(crate) fn poll(&mut self) -> Option<TestCallOrder> {
        self.orders.pop_front()
    }

    /// A test call has ended; false when its order was given up before, or never made. Without a result it says nothing.
    pub(crate) fn landed(&mut self, at: Instant, target: TargetId, order: u64, result: Option<TestCallResult>) -> bool {
        let is_it = |flying: &Flying| flying.order == order && flying.target == target;
        let Some(index) = self.flying.iter().position(is_it) else { return false };
        self.flying.remove(index);
        let Some(slot) = self.slots.get_mut(&target) else { return true };
        match result {
            Some(result) => slot.row.push(at, result),
            // It is made up for, after the rest.
            None => slot.next = slot.next.min(at + REST),
        }
        true
    }

    /// A target's failures in a row are forgotten.
    pub(crate) fn forgive(&mut self, target: TargetId) {
        if let Some(slot) = self.slots.get_mut(&target) {
            slot.row.0.bad = 0;
        }
    }

    /// The row of a target.
    pub(crate) fn evidence(&self, target: TargetId) -> TestCallEvidence {
        self.slots.get(&target).map(|slot| slot.row.0.clone()).unwrap_or_default()
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let ends = self.flying.iter().map(|flying| flying.ends).min();
        let next = self.slots.keys().filter_map(|target| self.opens(*target)).min();
        [ends, next].into_iter().flatten().min()
    }

    /// The target that has waited longest of those that may be called.
    fn due(&self, now: Instant) -> Option<TargetId> {
        let due = self.slots.iter().filter(|(target, _)| self.opens(**target).is_some_and(|at| at <= now));
        due.min_by_key(|(_, slot)| slot.next).map(|(target, _)| *target)
    }

    /// When the schedule and the limits allow a call; none while another one must end first.
    fn opens(&self, target: TargetId) -> Option<Instant> {
        if self.is_busy(target.trunk) {
            return None;
        }
        let next = self.slots.get(&target)?.next;
        Some(self.begun.get(&target.trunk).map_or(next, |begun| next.max(*begun + REST)))
    }

    fn is_busy(&self, trunk: TrunkId) -> bool {
        self.flying.len() >= FLYING_MAX || self.flying.iter().any(|flying| flying.target.trunk == trunk)
    }

    fn place(&mut self, now: Instant, target: TargetId, asked: bool, rng: &mut Rng) -> Option<u64> {
        let slot = self.slots.get_mut(&target)?;
        let order = self.next_order;
        self.next_order += 1;
        slot.next = now + jittered(slot.pace.every, slot.pace.jitter_percent, rng);
        let deadline = slot.pace.patience;
        self.begun.insert(target.trunk, now);
        self.flying.push(Flying { target, order, ends: now + deadline });
        self.orders.push_back(TestCallOrder { target, order, deadline, asked });
        Some(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::TransportFault;

    const fn target(trunk: u16, index: u8) -> TargetId {
        TargetId { trunk: TrunkId(trunk), index }
    }

    fn at(s: u64) -> Instant {
        Instant::ZERO + Span::from_secs(s)
    }

    fn calls(targets: &[TargetId], every_s: u64) -> (TestCalls, Rng) {
        let (mut calls, mut rng) = (TestCalls::default(), Rng::new(7));
        let every = Span::from_secs(every_s);
        let pace = TestCallPace { every, jitter_percent: 20, patience: Span::from_secs(28) };
        let paced: Vec<_> = targets.iter().map(|target| (*target, pace)).collect();
        calls.install(at(0), &paced, &mut rng);
        (calls, rng)
    }

    const GOOD: TestCallResult = TestCallResult::Good { ringback: None, answer: None };

    /// Lets an hour pass in which each call takes `takes`; what was ordered when.
    fn hour(calls: &mut TestCalls, rng: &mut Rng, takes: Span) -> Vec<(Instant, TestCallOrder)> {
        let mut placed: Vec<(Instant, TestCallOrder)> = Vec::new();
        let mut under_way: Vec<(Instant, TestCallOrder)> = Vec::new();
        loop {
            let ends = under_way.iter().map(|(ends, _)| *ends).min();
            let next = [calls.deadline(), ends].into_iter().flatten().min().unwrap();
            if next > at(3_600) {
                return placed;
            }
            under_way
                .retain(|(ends, order)| *ends > next || !calls.landed(next, order.target, order.order, Some(GOOD)));
            assert_eq!(calls.tick(next, rng), 0);
            while let Some(order) = calls.poll() {
                placed.push((next, order));
                under_way.push((next + takes, order));
                assert!(under_way.len() <= FLYING_MAX, "{under_way:?}");
                let same = under_way.iter().filter(|(_, other)| other.target.trunk == order.target.trunk);
                assert_eq!(same.count(), 1, "{under_way:?}");
            }
        }
    }

    #[test]
    fn a_lone_target_is_called_within_a_minute_and_then_at_its_pace() {
        let (mut calls, mut rng) = calls(&[target(0, 0)], 600);
        let placed = hour(&mut calls, &mut rng, Span::from_secs(4));
        assert!(placed[0].0 <= at(60), "{placed:?}");
        for pair in placed.windows(2) {
            assert!((480..=720).contains(&pair[1].0.since(pair[0].0).as_secs()), "{pair:?}");
        }
        assert!((5..=8).contains(&placed.len()), "{}", placed.len());
    }

    #[test]
    fn no_configuration_calls_a_trunk_twice_within_the_rest_nor_starves_a_target() {
        let targets: Vec<_> = (0..3).flat_map(|trunk| (0..4).map(move |index| target(trunk, index))).collect();
        let (mut calls, mut rng) = calls(&targets, 30);
        let placed = hour(&mut calls, &mut rng, Span::from_secs(10));
        for trunk in 0..3 {
            let of: Vec<_> = placed.iter().filter(|(_, order)| order.target.trunk == TrunkId(trunk)).collect();
            assert!(of.windows(2).all(|pair| pair[1].0.since(pair[0].0) >= REST), "{of:?}");
        }
        for one in targets {
            let count = placed.iter().filter(|(_, order)| order.target == one).count();
            assert!((20..=40).contains(&count), "{one:?} was called {count} times");
        }
    }

    #[test]
    fn an_order_that_nobody_reports_is_given_up_and_says_nothing() {
        let (mut calls, mut rng) = calls(&[target(0, 0)], 600);
        calls.tick(at(60), &mut rng);
        let order = calls.poll().unwrap();
        assert_eq!(calls.deadline(), Some(at(60) + order.deadline));
        assert_eq!(calls.tick(at(87), &mut rng), 0);
        assert_eq!(calls.tick(at(88), &mut rng), 1, "its watchdog");
        assert!(!calls.landed(at(89), order.target, order.order, Some(GOOD)), "too late");
        assert_eq!(calls.evidence(order.target), TestCallEvidence::default());
    }

    #[test]
    fn good_and_bad_are_never_both_above_zero_and_what_says_nothing_changes_neither() {
        let (mut calls, mut rng) = calls(&[target(0, 0)], 600);
        let fault = TestCallResult::Unreachable { fault: TransportFault::PortUnreachable };
        let steps =
            [(Some(GOOD), (1, 0)), (Some(fault), (0, 1)), (None, (0, 1)), (Some(fault), (0, 2)), (Some(GOOD), (1, 0))];
        for (n, (result, row)) in (0..).zip(steps) {
            let order = calls.ask(at(100 * n), target(0, 0), &mut rng).unwrap();
            assert!(calls.landed(at(100 * n + 4), target(0, 0), order, result));
            let seen = calls.evidence(target(0, 0));
            assert_eq!((seen.good, seen.bad), row, "step {n}");
        }
    }

    #[test]
    fn a_call_that_says_nothing_is_made_up_for_after_the_rest() {
        let (mut calls, mut rng) = calls(&[target(0, 0)], 600);
        calls.tick(at(60), &mut rng);
        let order = calls.poll().unwrap();
        assert!(calls.landed(at(61), order.target, order.order, None));
        assert_eq!(calls.deadline(), Some(at(61) + REST));
    }

    #[test]
    fn who_asks_is_served_at_once_but_never_beside_another_call() {
        let (mut calls, mut rng) = calls(&[target(0, 0), target(0, 1)], 600);
        assert_eq!(calls.ask(at(0), target(9, 0), &mut rng), Err(NotNow::Unset));
        let order = calls.ask(at(0), target(0, 1), &mut rng).unwrap();
        assert!(calls.poll().is_some_and(|placed| placed.asked && placed.order == order));
        assert_eq!(calls.ask(at(1), target(0, 0), &mut rng), Err(NotNow::Busy), "one trunk, one call");
        calls.landed(at(2), target(0, 1), order, Some(GOOD));
        assert_eq!(calls.ask(at(2), target(0, 0), &mut rng), Err(NotNow::Rest { left: Span::from_secs(3) }));
        assert!(calls.ask(at(5), target(0, 0), &mut rng).is_ok());
    }

    #[test]
    fn soon_is_now_or_after_the_rest() {
        let (mut calls, mut rng) = calls(&[target(0, 0)], 600);
        calls.tick(at(60), &mut rng);
        let first = calls.poll().unwrap();
        calls.landed(at(64), first.target, first.order, Some(GOOD));
        let begun = calls.begun[&TrunkId(0)];
        assert!(calls.soon(at(70), target(0, 0)) && calls.soon(at(71), target(0, 0)));
        assert_eq!(calls.deadline(), Some(begun + REST));
        calls.tick(begun + REST, &mut rng);
        assert!(calls.poll().is_some_and(|order| !order.asked), "ordered once, however often it was wished for");
        assert!(calls.poll().is_none());
        assert!(!calls.soon(at(70), target(3, 0)));
    }
}
