//! Which tier the operator had put first, epoch by epoch, and what plans say about that.
//!
//! Read from decisions and plans alone. Refuses to know: how a plan is made.

use super::Broken;
use decide::{Candidate, Change, Decision, Exclusion, Plan, Subject};
use explain::CallRecord;
use model::{Admin, Epoch, GroupId, Health, Instant, TrunkId};

/// What was decided about a group.
#[derive(Clone, Copy, Debug)]
struct Word {
    /// From this epoch of the table on.
    from: Epoch,
    group: GroupId,
    /// The tier and when its time is over; none for a release.
    tier: Option<(u8, Instant)>,
}

/// All of a run.
#[derive(Debug, Default)]
pub(super) struct Forced {
    words: Vec<Word>,
    /// What the operator wants of trunks, from an epoch on: a call for help tries those that drain last, and its plan does not say so.
    admins: Vec<(Epoch, TrunkId, Admin)>,
}

impl Forced {
    pub(super) fn decided(&mut self, decision: &Decision) {
        if let (Subject::Trunk(trunk), Change::Admin { to, .. }) = (decision.subject, decision.change) {
            self.admins.push((decision.epoch, trunk, to));
        }
        let Subject::Group(group) = decision.subject else { return };
        let tier = match decision.change {
            Change::Force { to, length, .. } => Some((to, decision.at + length)),
            _ => None,
        };
        self.words.push(Word { from: decision.epoch, group, tier });
    }

    /// What a call's plan has that it may not: by another tier first than the one that was forced, or by one that was forced no more.
    pub(super) fn contradict(&self, call: &CallRecord) -> Option<Broken> {
        let plan = call.plan.as_ref().ok()?;
        let told = self.words.iter().rev().find(|word| word.group == plan.group && word.from <= plan.epoch);
        // A plan is made when the call comes, or while it lasts, but before its first attempt.
        let (earliest, latest) = (call.invited, call.attempts.first().map_or(call.ended, |first| first.sent));
        let told = told.and_then(|word| word.tier);
        let known = plan.forced.as_ref().map(|forced| (forced.tier, forced.until));
        let may_be = match known {
            Some((_, until)) => known == told && until > earliest,
            None => told.is_none_or(|(_, until)| until <= latest),
        };
        let wrong = if may_be { self.wrong(call, plan, known.map(|(tier, _)| tier))? } else { "not as decided" };
        Some(Broken(format!("call {}, forced {told:?}: {wrong}: {plan:?}", call.call)))
    }

    /// It is a candidate, but not in its turn.
    fn is_kept_back(&self, plan: &Plan, one: &Candidate) -> bool {
        let trunk = one.target.trunk;
        let told = self.admins.iter().rev().find(|(from, of, _)| *of == trunk && *from <= plan.epoch);
        let drains = told.is_some_and(|(_, _, admin)| *admin == Admin::Draining);
        let headroom = |cause| matches!(cause, Exclusion::Headroom { .. });
        drains || plan.excluded.iter().any(|out| out.trunk == trunk && headroom(out.cause))
    }

    /// What is wrong about the order of a plan.
    fn wrong(&self, call: &CallRecord, plan: &Plan, forced: Option<u8>) -> Option<&'static str> {
        let first = plan.attempts.first()?;
        let tried = call.attempts.first().is_none_or(|tried| tried.target == first.target);
        let kept_back = |one: &Candidate| self.is_kept_back(plan, one);
        let is_well = |one: &&Candidate| matches!(one.health, Health::Up | Health::Unknown) && !kept_back(one);
        let Some(tier) = forced else {
            let passed = plan.attempts.iter().filter(is_well).any(|one| one.tier < first.tier);
            return passed.then_some("a better tier is well and not first, and none is forced");
        };
        let lives = |one: &&Candidate| {
            let on_trial =
                matches!(one.health, Health::Suspect | Health::Probation) && !plan.emergency && !kept_back(one);
            one.tier == tier && (is_well(one) || on_trial)
        };
        if plan.attempts.iter().any(|one| lives(&one)) && (first.tier != tier || !tried) {
            return Some("the forced tier lives and was not tried first");
        }
        let known = plan.attempts.iter().map(|one| one.tier).chain(call.tiers.iter().map(|(_, tier)| *tier));
        let lost = plan.unnamed == 0 && !known.into_iter().any(|known| known == tier);
        lost.then_some("the forced tier is nowhere in it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Weather;
    use crate::town::Town;
    use crate::variety::Variety;
    use model::{ForceLength, Span};

    /// A call before, one while the second tier is forced, one after its time.
    fn watched() -> (Forced, Vec<CallRecord>) {
        let settings = Variety::plain().settings(true, None).unwrap();
        let mut town = Town::new(settings, 1, Weather::CALM, 7);
        for second in [5, 10, 30] {
            town.run_until(Instant::ZERO + Span::from_secs(second));
            if second == 10 {
                town.force(1, ForceLength::new(Span::from_secs(10)).unwrap());
            }
            town.dial(0, "+4722334455", Span::from_secs(1), None, false);
        }
        town.run_until(Instant::ZERO + Span::from_secs(60));
        let mut calls: Vec<CallRecord> = town.oracle.calls().map(|(call, _)| call.clone()).collect();
        calls.retain(|call| call.from.as_str() == "office");
        (core::mem::take(&mut town.oracle.forced), calls)
    }

    #[test]
    fn what_is_so_is_not_contradicted_and_what_is_not_is() {
        let (forced, calls) = watched();
        let tiers: Vec<u8> = calls.iter().map(|call| call.plan.as_ref().unwrap().attempts[0].tier).collect();
        assert_eq!(tiers, [0, 1, 0]);
        assert!(calls.iter().all(|call| forced.contradict(call).is_none()));
        let plan = |call: &CallRecord| call.plan.clone().unwrap();
        let with = |call: &CallRecord, change: &dyn Fn(&mut Plan)| {
            let mut plan = plan(call);
            change(&mut plan);
            CallRecord { plan: Ok(plan), ..call.clone() }
        };
        let during = plan(&calls[1]).forced;
        for (call, change) in [
            (&calls[1], &(|plan: &mut Plan| plan.forced = None) as &dyn Fn(&mut Plan)),
            (&calls[1], &|plan| plan.attempts.reverse()),
            (&calls[1], &|plan| plan.attempts.retain(|one| one.tier == 0)),
            (&calls[0], &|plan| plan.forced = during.clone()),
            (&calls[2], &|plan| plan.forced = during.clone()),
            (&calls[2], &|plan| plan.attempts.reverse()),
        ] {
            let told = with(call, change);
            assert!(forced.contradict(&told).is_some(), "{told:?}");
        }
    }
}
