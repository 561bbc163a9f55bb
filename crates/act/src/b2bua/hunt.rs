//! The hunt: who is tried next, what follows an attempt's end, what the caller hears when all have failed.
//!
//! What an outcome means for the hunt is decided in `decide`; what it says about the trunk goes to control as a signal, where the blame
//! is laid. The end of one attempt ends nothing while another runs beside it. Refuses to know: why a trunk is better than another.

use super::attempt::{policy_of, profile_of};
use super::call::Call;
use super::{B2bua, World};
use alloc::vec::Vec;
use decide::{Candidate, Next, SoFar};
use model::{AttemptOutcome, Begun, Health, TargetId};
use sip::Message;
use smallvec::SmallVec;

/// The indices of a call's running attempts.
type Indices = SmallVec<[usize; 4]>;

impl B2bua {
    /// Tries the next candidate, when no attempt runs: in the plan's order, but one that has fallen into doubt since gives way.
    pub(super) fn next_attempt(&mut self, world: &mut World<'_>, slot: usize) {
        self.drop_unfit(world, slot);
        let Some(call) = self.calls.get(slot) else { return };
        let fallen =
            |candidate: &Candidate| is_doubtful(world.table.health(candidate.target)) && !is_doubtful(candidate.health);
        let Some(first) = call.coming.first().copied() else { return self.give_up(world, slot, None) };
        let candidate = call.coming.iter().copied().find(|candidate| !fallen(candidate)).unwrap_or(first);
        if !call.attempts.is_empty() && !self.may_retry(world, slot) {
            // More of them would make it worse for all: the caller comes again, or goes elsewhere, soon.
            if let Some(call) = self.calls.get_mut(slot) {
                call.spared = true;
            }
            return self.refuse_call(world, slot, 503, None);
        }
        self.take_candidate(slot, candidate.target);
        self.begin_attempt(world, slot, candidate.target, Begun::InTurn, None);
        self.fork(world, slot, candidate.target);
    }

    /// Tries the best candidate beside what runs, when one is good; says whether it was.
    pub(super) fn start_beside(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        begun: Begun,
        allowed: impl FnOnce(&mut Self, &World<'_>) -> bool,
    ) -> bool {
        let Some(call) = self.calls.get(slot).filter(|call| !call.settled) else { return false };
        if call.running().count() >= BESIDE_MAX {
            return false;
        }
        let Some(candidate) = better(world, call) else { return false };
        let Ok(aside) = self.take_aside(world, slot, candidate.target.trunk) else { return false };
        if !allowed(self, world) {
            aside.iter().for_each(|side| super::bridge::put_back_side(world, side));
            return false;
        }
        self.counters.beside += 1;
        self.take_candidate(slot, candidate.target);
        self.begin_attempt(world, slot, candidate.target, begun, aside);
        true
    }

    /// Candidates that were fit when the plan was made and are not any more are passed over.
    fn drop_unfit(&mut self, world: &World<'_>, slot: usize) {
        let Some(call) = self.calls.get_mut(slot) else { return };
        let (anchored, emergency) = (!call.audio.streams.is_empty(), call.emergency);
        let mut full = 0u64;
        call.coming.retain(|candidate| {
            let reachable = is_reachable(world, anchored, candidate);
            let taken = has_place(world, emergency, candidate);
            full += u64::from(reachable && !taken);
            reachable && taken
        });
        call.full |= full > 0;
        self.counters.passed_over += full;
    }

    pub(super) fn take_candidate(&mut self, slot: usize, target: TargetId) {
        if let Some(call) = self.calls.get_mut(slot) {
            call.coming.retain(|candidate| candidate.target != target);
        }
    }

    /// Whether the call may be tried once more, by the shard's retry budget.
    pub(super) fn may_retry(&mut self, world: &World<'_>, slot: usize) -> bool {
        let Some(call) = self.calls.get_mut(slot) else { return false };
        if call.emergency {
            self.retries.insist(world.now);
            return true;
        }
        // A drill takes nothing from what real calls may try.
        if call.drilled || self.retries.allow(world.now) {
            return true;
        }
        // Once per call, however often it asks.
        self.counters.retries_refused += u64::from(!call.held_back);
        call.held_back = true;
        false
    }

    /// An attempt is over; the verdict says what follows.
    pub(super) fn attempt_over(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        index: usize,
        outcome: AttemptOutcome,
        said: Option<&Message>,
    ) {
        let Some(attempt) = self.calls.get(slot).and_then(|call| call.attempt(index)) else { return };
        let (target, heard) = (attempt.target, attempt.heard);
        self.close_attempt(world, slot, index, outcome);
        let others = self.has_other_phones(world, slot, outcome);
        let Some(call) = self.calls.get_mut(slot) else { return };
        // That nobody is left now settles nothing: one that was left for another that rang may come back.
        let left = call.coming.len().max(1);
        let so_far = SoFar { elapsed: world.now.since(call.hunt_from), left, progress_relayed: heard };
        let verdict = decide::after(&policy_of(world, target), &outcome, &so_far);
        call.settled |= matches!(verdict, Next::Stop { .. }) && !others;
        // RFC 3261 §16.7 step 5: a 6xx is true everywhere, so that nobody else need be rung.
        if matches!(outcome, AttemptOutcome::Refused { code: 600.., .. }) && call.settled {
            for other in self.running(slot) {
                self.outrun(world, slot, other, index, DECLINED);
            }
        }
        self.carry_on(world, slot, said);
    }

    /// It has answered with audio that cannot be joined with the caller's: its trunk is as it is, and the next one is tried.
    pub(super) fn cannot_join(&mut self, world: &mut World<'_>, slot: usize, index: usize) {
        let outcome = AttemptOutcome::Refused { code: 488, q850: None, retry_after: None };
        self.close_attempt(world, slot, index, outcome);
        self.carry_on(world, slot, None);
    }

    /// After an attempt's end: what runs beside it takes its place, or the next one is tried, or the caller is refused.
    fn carry_on(&mut self, world: &mut World<'_>, slot: usize, said: Option<&Message>) {
        let Some(call) = self.calls.get(slot) else { return };
        // The one that rings, or else the youngest: what is older ran on a trunk in doubt.
        let rings = call.running().find(|(_, attempt)| attempt.progress.is_some());
        let heir = rings.or_else(|| call.running().next_back()).map(|(index, _)| index);
        let front_runs = call.attempt(call.front).is_some();
        match heir {
            None if !call.settled && call.has_contact() => self.next_contact(world, slot),
            None if call.settled || call.coming.is_empty() => self.give_up(world, slot, said),
            None => self.next_attempt(world, slot),
            Some(heir) => {
                if !front_runs {
                    self.inherit(world, slot, heir);
                }
                self.accompany(world, slot);
            }
        }
    }

    /// The caller hears the best of all refusals.
    fn give_up(&mut self, world: &mut World<'_>, slot: usize, said: Option<&Message>) {
        let Some(call) = self.calls.get(slot) else { return };
        let outcomes: Vec<AttemptOutcome> = call.attempts.iter().filter_map(|attempt| attempt.outcome).collect();
        // RFC 3323 §4.2: privacy that is critical and that nobody left can give is 500; a word about the called party is still better.
        let code = match decide::final_code(&outcomes) {
            500..=599 if call.exposed => 500,
            // RFC 3261 §21.4.26: it is the caller's offer that nobody can be given.
            500..=599 if call.audio.terms.unfit && outcomes.is_empty() => 488,
            code => code,
        };
        self.refuse_call(world, slot, code, said);
    }

    /// A call's running attempts, the oldest first.
    pub(super) fn running(&self, slot: usize) -> Indices {
        self.calls.get(slot).map(|call| call.running().map(|(index, _)| index).collect()).unwrap_or_default()
    }
}

/// Attempts of one call that run at once, at most: the one in doubt, its replacement, and one more when that falls into doubt as well.
const BESIDE_MAX: usize = 3;
/// Why the others are left when the called party has declined.
const DECLINED: &[u8] = b"SIP;cause=603;text=\"Declined elsewhere\"";

/// The first candidate to come that is in no doubt and has a place for the call now; beside what runs on trunks that are Down, one in
/// doubt is better too. One that is full stays a candidate: who rings at a trunk that is gone asks again until there is a place, for
/// nobody else will answer him. Whoever is on Probation and outside its share comes after those in doubt, and so is not better.
pub(super) fn better(world: &World<'_>, call: &Call) -> Option<Candidate> {
    let anchored = !call.audio.streams.is_empty();
    let first = |is_good: fn(Health) -> bool| {
        let good = |candidate: &&Candidate| {
            is_good(world.table.health(candidate.target))
                && is_reachable(world, anchored, candidate)
                && has_place(world, call.emergency, candidate)
        };
        call.coming.iter().find(good).copied()
    };
    let is_lost = || call.running().all(|(_, attempt)| world.table.health(attempt.target) == Health::Down);
    first(|health| matches!(health, Health::Up | Health::Unknown))
        .or_else(|| if is_lost() { first(|health| health == Health::Suspect) } else { None })
}

/// A reload may have taken the target away. Audio that is anchored cannot leave by a listen without an address for it.
pub(super) fn is_reachable(world: &World<'_>, anchored: bool, candidate: &Candidate) -> bool {
    (world.is_phones(candidate.target.trunk) || profile_of(world, candidate.target).is_some())
        && (!anchored || world.profiles.media_of(candidate.target.trunk).is_some())
}

pub(super) fn has_place(world: &World<'_>, emergency: bool, candidate: &Candidate) -> bool {
    decide::may_take(world.shape, world.table, world.load, emergency, world.now, candidate.target.trunk)
}

/// Something is held against it.
pub(super) const fn is_doubtful(health: Health) -> bool {
    matches!(health, Health::Suspect | Health::Down)
}
