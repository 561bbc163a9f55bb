//! Attempts beside each other: when a trunk falls silent under a call in set-up or ringing, another one is tried without leaving the first.
//!
//! One attempt is the *front* one: the caller hears its progress, and its ports are the callee's side of the anchor. The others run beside
//! it unheard. Whoever answers first carries the call. One rings at a time: who rings first comes forward and those begun after it are
//! left; what is older and silent stays until its own deadline, since it may still answer, and is left as soon as it rings beside one that
//! is known to ring. Refuses to know: how an attempt is sent or left.

use super::attempt::policy_of;
use super::hunt::{better, is_doubtful};
use super::{B2bua, World};
use alloc::vec::Vec;
use decide::TargetState;
use model::{AttemptOutcome, Begun, Health, Observed, Span, TargetId};

/// How often a running attempt is looked at, at least.
const WATCH: Span = Span::from_millis(500);
/// A ringing attempt that was asked so often in vain whether it still rings is lost.
const ASKS: u8 = 3;
/// How long each question waits; all of them together wait longer than any round trip.
const ASK_EVERY: Span = Span::from_millis(200);
/// Attempts looked at once when their target falls, so that no shard is held up by thousands of INVITEs. The rest are looked at by their
/// own watch, within half a second.
const MOVES_AT_ONCE: usize = 512;
/// A call that has made so many attempts tries none of its targets again.
const ATTEMPTS_MAX: usize = 8;
/// Why one is left that began to ring, or would, beside another that rings: Q.850 has a cause for those who are not awarded a call.
const RINGS_ELSEWHERE: &[u8] = b"Q.850;cause=26;text=\"Non-selected user clearing\"";

impl B2bua {
    /// The trunk table has changed. Calls that wait for a target whose health is worse than it was are looked at now, not at their next
    /// watch. It costs a walk over all targets, and over the calls in set-up only when one of them is worse.
    pub fn table_changed(&mut self, world: &mut World<'_>) {
        let doubted = doubted(world);
        let before = core::mem::replace(&mut self.doubted, doubted);
        let worse = |target: TargetId, health: Health| {
            let known = before.binary_search_by_key(&target, |(target, _)| *target).ok().map(|at| before[at].1);
            known.is_none_or(|known| known == Health::Suspect && health == Health::Down)
        };
        let fallen: Vec<TargetId> =
            self.doubted.iter().filter(|(target, health)| worse(*target, *health)).map(|(target, _)| *target).collect();
        if fallen.is_empty() {
            return;
        }
        let touched = |slot: &usize| {
            let running = self.calls.get(*slot).into_iter().flat_map(|call| call.running());
            let slot = *slot;
            running.filter(|(_, attempt)| fallen.contains(&attempt.target)).map(move |(index, _)| (slot, index))
        };
        let touched: Vec<(usize, usize)> = self.setting_up.iter().flat_map(touched).take(MOVES_AT_ONCE).collect();
        for (slot, index) in touched {
            self.look_after(world, slot, index);
        }
    }

    /// A running attempt is looked at. While it shows no progress, control is told how long it waits.
    pub(super) fn watch_attempt(&mut self, world: &mut World<'_>, slot: usize, index: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let id = call.call;
        let Some(attempt) = call.attempt_mut(index) else { return };
        attempt.watch = None;
        let (target, after, trying) = (attempt.target, world.now.since(attempt.sent), attempt.first_reply.is_some());
        if attempt.progress.is_none() {
            world.signal(target, Observed::Waiting { call: id, after, trying });
        }
        self.look_after(world, slot, index);
        let Some(attempt) = self.calls.get(slot).and_then(|call| call.attempt(index)) else { return };
        if attempt.watch.is_none() {
            let late = decide::late_after(world.paces.of(target));
            let pause = if attempt.progress.is_some() { WATCH } else { late.min(WATCH) };
            self.arm_watch(slot, index, world.now + pause);
        }
    }

    /// When the table holds something against an attempt's target, another one is tried beside it: so a trunk that falls silent costs
    /// those in flight no more than those who come later.
    fn look_after(&mut self, world: &mut World<'_>, slot: usize, index: usize) {
        let Some(attempt) = self.calls.get(slot).and_then(|call| call.attempt(index)) else { return };
        let (target, rings) = (attempt.target, attempt.progress.is_some());
        if !is_doubtful(world.table.health(target)) {
            return;
        }
        if !rings {
            return self.accompany(world, slot);
        }
        // A trunk that refuses calls is not asked: it may refuse this one too, which it would have put through.
        if world.table.target(target).is_some_and(TargetState::is_silent) {
            self.ask_after(world, slot, index);
        }
    }

    /// An attempt rings at a trunk of which nothing is heard any more. Whether it still does, its own transaction tells: it answers a
    /// repeated INVITE with its last provisional response (RFC 3261 §17.2.1). One that says it rings is left in peace; one that has
    /// nothing to say any more would keep its caller listening to a ringback for ever.
    ///
    /// When the trunk is Down, another one is tried at the same time, and left again when this one says it rings. When the trunk is only
    /// in doubt, or this one has vouched for itself before, that waits until a question has gone unanswered, so that no phone
    /// rings twice for nothing.
    fn ask_after(&mut self, world: &mut World<'_>, slot: usize, index: usize) {
        let Some(call) = self.calls.get(slot) else { return };
        let Some(attempt) = call.attempt(index) else { return };
        let (client, target, asked, vouched) = (attempt.client, attempt.target, attempt.asked, attempt.vouched);
        if call.running().count() == 1 && (call.settled || better(world, call).is_none()) {
            return;
        }
        if asked > 0 && world.now.since(attempt.asked_at) < ASK_EVERY {
            return;
        }
        if asked >= ASKS {
            let after = world.now.since(attempt.sent);
            self.renew_hunt(world, slot);
            return self.leave(world, slot, index, AttemptOutcome::WentSilent { after });
        }
        if client.is_some_and(|client| world.endpoint.ask_again(client)) {
            self.counters.asked_after += 1;
            if let Some(attempt) = self.calls.get_mut(slot).and_then(|call| call.attempt_mut(index)) {
                attempt.asked += 1;
                attempt.asked_at = world.now;
            }
        }
        self.arm_watch(slot, index, world.now + ASK_EVERY);
        if asked > 0 || (!vouched && world.table.health(target) == Health::Down) {
            self.accompany(world, slot);
        }
    }

    /// Tries the next good candidate beside what runs, unless something runs already that is in no doubt.
    pub(super) fn accompany(&mut self, world: &mut World<'_>, slot: usize) {
        let Some(call) = self.calls.get(slot) else { return };
        let has_hope = call.running().any(|(_, attempt)| !is_doubtful(world.table.health(attempt.target)));
        if has_hope || call.settled {
            return;
        }
        if better(world, call).is_some() {
            self.renew_hunt(world, slot);
            self.start_beside(world, slot, Begun::Beside, |b2bua, world| b2bua.may_retry(world, slot));
        }
    }

    /// The first attempt is slower than usual at its trunk, and has said nothing at all.
    pub(super) fn hedge(&mut self, world: &mut World<'_>, slot: usize, index: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let alone = call.running().count() == 1;
        let Some(attempt) = call.attempt_mut(index) else { return };
        attempt.hedge = None;
        let Some(hedge) = policy_of(world, attempt.target).hedge else { return };
        if !alone || attempt.first_reply.is_some() {
            return;
        }
        let allowed = |b2bua: &mut Self, world: &World<'_>| b2bua.retries.allow_hedge(world.now, hedge);
        let hedged = self.start_beside(world, slot, Begun::Hedge, allowed);
        self.counters.hedged += u64::from(hedged);
    }

    /// Any response shows that the attempt lives, whatever was held of its trunk. True when it only says again, because it was asked,
    /// that it rings.
    pub(super) fn still_rings(&mut self, world: &mut World<'_>, slot: usize, index: usize, code: u16) -> bool {
        let Some(attempt) = self.calls.get_mut(slot).and_then(|call| call.attempt_mut(index)) else { return false };
        let lives = core::mem::take(&mut attempt.asked) > 0 && code < 200;
        let again = lives && attempt.rings_with == Some(code);
        attempt.vouched |= lives;
        if (101..200).contains(&code) {
            attempt.rings_with = Some(code);
        }
        if lives {
            self.rings_alone(world, slot, index);
        }
        again
    }

    /// An attempt says, since it was asked, that it rings: what was begun beside it is left, and whoever began to ring while nothing was
    /// heard of it, for one rings at a time. What is older and silent stays until its own deadline, since it may still answer.
    fn rings_alone(&mut self, world: &mut World<'_>, slot: usize, index: usize) {
        for other in self.running(slot) {
            let call = self.calls.get(slot);
            let rings = call.and_then(|call| call.attempt(other)).is_some_and(|attempt| attempt.progress.is_some());
            if other > index || (other < index && rings) {
                self.leave_to_come_back(world, slot, other, index);
            }
        }
        // It may have waited for its turn until now.
        if self.calls.get(slot).is_some_and(|call| call.attempt(call.front).is_none()) {
            self.inherit(world, slot, index);
        }
    }

    /// An attempt shows progress: whether it is the one the caller hears. It is, unless another one rings already. Then it is left, since
    /// one rings at a time; but while that other one is asked in vain whether it still does, this one waits for its turn.
    pub(super) fn comes_forward(&mut self, world: &mut World<'_>, slot: usize, index: usize) -> bool {
        let Some(call) = self.calls.get(slot) else { return false };
        let together = call.ring_together(world, call.front, index);
        let front = call.attempt(call.front).filter(|_| call.front != index);
        match front.map(|front| (front.progress.is_some(), front.asked > 0)) {
            None | Some((false, _)) => self.promote(world, slot, index),
            Some((true, true)) => false,
            Some((true, false)) if together => false,
            Some((true, false)) => {
                let by = call.front;
                self.leave_to_come_back(world, slot, index, by);
                false
            }
        }
    }

    /// Leaves what was begun beside an attempt that turns out to live.
    pub(super) fn leave_younger(&mut self, world: &mut World<'_>, slot: usize, index: usize) {
        for other in self.running(slot) {
            let together = self.calls.get(slot).is_some_and(|call| call.ring_together(world, other, index));
            if other > index && !together {
                self.leave_to_come_back(world, slot, other, index);
            }
        }
    }

    /// Leaves an attempt since attempt `by` rings. Its target has not failed: should the one that rings be lost later, it is a candidate
    /// again, as long as the call has not made too many attempts.
    fn leave_to_come_back(&mut self, world: &mut World<'_>, slot: usize, index: usize, by: usize) {
        self.outrun(world, slot, index, by, RINGS_ELSEWHERE);
        let Some(call) = self.calls.get_mut(slot).filter(|call| call.attempts.len() < ATTEMPTS_MAX) else { return };
        let (Ok(plan), Some(attempt)) = (call.plan.as_ref(), call.attempts.get(index)) else { return };
        let candidate = plan.attempts.iter().find(|candidate| candidate.target == attempt.target);
        if let Some(candidate) = candidate.copied() {
            call.coming.insert(0, candidate);
        }
    }

    /// The front attempt is over, and the caller hears this one from now on: first of all what it has missed.
    pub(super) fn inherit(&mut self, world: &mut World<'_>, slot: usize, index: usize) {
        if !self.promote(world, slot, index) {
            return;
        }
        let attempt = self.calls.get_mut(slot).and_then(|call| call.attempt_mut(index));
        if let Some(progress) = attempt.and_then(|attempt| attempt.unheard.take()) {
            self.relay_progress(world, slot, &progress);
        }
    }

    /// A caller who heard ringing has a hunt before him again.
    fn renew_hunt(&mut self, world: &World<'_>, slot: usize) {
        if let Some(call) = self.calls.get_mut(slot).filter(|call| call.progressed.is_some()) {
            call.hunt_from = world.now;
        }
    }
}

/// Every target in doubt or down, in order.
fn doubted(world: &World<'_>) -> Vec<(TargetId, Health)> {
    let trunks = (0..world.shape.trunks.len()).filter_map(|trunk| u16::try_from(trunk).ok()).map(model::TrunkId);
    let targets = trunks.flat_map(|trunk| {
        let states = world.table.targets(trunk).iter();
        states.filter_map(move |state| {
            let target = TargetId { trunk, index: state.index() };
            is_doubtful(state.health()).then_some((target, state.health()))
        })
    });
    targets.collect()
}
