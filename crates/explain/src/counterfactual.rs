//! What would have been: for each trunk that a call did not try, when it would have been tried, and had what been otherwise.
//!
//! Read from the call's record alone. It follows the plan's own rule, a forced tier and then better ones first, and says "could" where a draw
//! among equals would have decided. Refuses to know: the policy of that day beyond what the record shows.

use crate::record::{AttemptRecord, CallRecord, Ending};
use crate::words::outcome::fewer;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use decide::{Candidate, Excluded, Exclusion, Plan};
use model::{AttemptOutcome, Health, Instant, TrunkId, Wall};

/// One sentence with a clause per trunk that was not tried; none when all were, or when there was no plan to follow.
pub(crate) fn otherwise(call: &CallRecord, ended: Wall) -> Option<String> {
    let Ok(plan) = &call.plan else { return None };
    let story = Story { call, plan, ended };
    let mut clauses = story.not_reached();
    clauses.extend(plan.excluded.iter().filter(|out| !story.tried(out.trunk)).map(|out| story.left_out(out)));
    (!clauses.is_empty()).then(|| format!("otherwise: {}", clauses.join("; ")))
}

struct Story<'a> {
    call: &'a CallRecord,
    plan: &'a Plan,
    ended: Wall,
}

impl Story<'_> {
    /// Candidates whose turn never came, in the order of the plan.
    fn not_reached(&self) -> Vec<String> {
        let tried = |candidate: &&Candidate| self.call.attempts.iter().any(|one| one.target == candidate.target);
        // On Probation outside its share it is told of as one that was left out.
        let told = |candidate: &&Candidate| self.plan.excluded.iter().any(|out| out.trunk == candidate.target.trunk);
        let left = || self.plan.attempts.iter().filter(|one| !tried(one) && !told(one));
        let mut clauses: Vec<String> =
            left().filter(|one| self.was_demoted(one)).map(|one| self.in_good_standing(one)).collect();
        let mut left = left().filter(|one| !self.was_demoted(one));
        let Some(next) = left.next() else { return clauses };
        clauses.push(match self.call.attempts.last() {
            Some(last) => format!("{} {}", self.candidate(next), self.had_it_gone_on(last)),
            None => format!("{} would have been tried first had the call lasted until then", self.candidate(next)),
        });
        let mut before = next;
        for after in left {
            clauses.push(format!("{} after {}", self.candidate(after), self.candidate(before)));
            before = after;
        }
        clauses
    }

    /// In doubt or Down, and so behind one of a worse tier that was tried.
    fn was_demoted(&self, candidate: &Candidate) -> bool {
        let tier = |attempt: &AttemptRecord| {
            self.plan.attempts.iter().find(|one| one.target == attempt.target).map(|one| self.rank(one.tier))
        };
        let own = self.rank(candidate.tier);
        !self.stands_well(candidate) && self.call.attempts.iter().filter_map(tier).any(|tier| tier > own)
    }

    /// The place of a tier in the order of this plan; the lower the better.
    fn rank(&self, tier: u8) -> (bool, u8) {
        (!self.is_forced(tier), tier)
    }

    fn is_forced(&self, tier: u8) -> bool {
        self.plan.forced.as_ref().is_some_and(|forced| forced.tier == tier)
    }

    /// Its tier counts: doubt does not put one of a forced tier behind, except for a call for help.
    fn stands_well(&self, candidate: &Candidate) -> bool {
        let well = matches!(candidate.health, Health::Up | Health::Unknown | Health::Probation);
        let forced = candidate.health == Health::Suspect && self.is_forced(candidate.tier) && !self.plan.emergency;
        well || forced
    }

    fn in_good_standing(&self, candidate: &Candidate) -> String {
        let health = candidate.health.word();
        format!("{} {}", self.candidate(candidate), self.turn(candidate.tier, &format!("had it not been {health}")))
    }

    /// When the next one's turn would have been, and what stood in its way.
    fn had_it_gone_on(&self, last: &AttemptRecord) -> String {
        let trunk = &last.trunk;
        let at = self.clock(last.sent + last.took);
        match last.outcome {
            AttemptOutcome::Answered => {
                format!("would have been tried at {at} had {trunk} failed instead of answering")
            }
            AttemptOutcome::Outrun { .. } => {
                format!("would have been tried at {at} had no other attempt been ahead of {trunk}")
            }
            AttemptOutcome::Abandoned { .. } => format!("was next when the caller gave up at {at}"),
            AttemptOutcome::RingTimeout { .. } => {
                format!("would have been tried at {at} had `hunt_after_progress` allowed it: someone's phone had rung")
            }
            AttemptOutcome::Refused { code, .. } | AttemptOutcome::Redirected { code }
                if !moves_on(code) && !self.rang_before(last) && !self.was_stopped() =>
            {
                format!("would have been tried at {at} had {code} been among the answers that move on (`move_on`)")
            }
            AttemptOutcome::Refused { .. }
            | AttemptOutcome::Redirected { .. }
            | AttemptOutcome::NoReply { .. }
            | AttemptOutcome::Stalled { .. }
            | AttemptOutcome::WentSilent { .. }
            | AttemptOutcome::CutShort { .. }
            | AttemptOutcome::Unreachable { .. } => {
                format!("would have been tried at {at} had {}", self.hindrance(last))
            }
        }
    }

    /// Something else than an answer has ended the hunt.
    const fn was_stopped(&self) -> bool {
        matches!(self.call.ending, Ending::OutOfRetries { .. } | Ending::Cancelled | Ending::Ended { .. })
    }

    fn hindrance(&self, last: &AttemptRecord) -> &'static str {
        match self.call.ending {
            Ending::OutOfRetries { .. } => "fewer calls been tried again just then (retry budget)",
            Ending::Cancelled => "the caller not given up",
            Ending::Ended { .. } => "the edge not ended the call",
            Ending::Refused { .. } | Ending::Bye { .. } if self.rang_before(last) => {
                "`hunt_after_progress` allowed it: someone's phone had rung"
            }
            Ending::Refused { .. } | Ending::Bye { .. } => "the time for the whole hunt not been over",
        }
    }

    /// The caller had heard a phone ring by the end of this attempt, which ends a hunt unless policy allows to go on.
    fn rang_before(&self, last: &AttemptRecord) -> bool {
        self.call.progressed.is_some_and(|at| at <= last.sent + last.took)
    }

    /// A member of the group that the plan left out.
    fn left_out(&self, out: &Excluded) -> String {
        let name = self.name(out.trunk);
        let Some(condition) = condition(out.cause, self) else {
            return format!("{name} would not have been tried in any case: the call came from it");
        };
        let Some(tier) = self.call.tiers.iter().find(|(id, _)| *id == out.trunk).map(|(_, tier)| *tier) else {
            return format!("{name} would have been a candidate {condition}");
        };
        format!("{name} {}", self.turn(tier, &condition))
    }

    /// When it would have been the turn of one of this tier in good standing.
    fn turn(&self, tier: u8, condition: &str) -> String {
        let of = |attempt: &AttemptRecord| self.plan.attempts.iter().find(|one| one.target == attempt.target);
        let better = |attempt: &&AttemptRecord| {
            of(attempt).is_some_and(|one| self.stands_well(one) && self.rank(one.tier) < self.rank(tier))
        };
        let equal = |attempt: &AttemptRecord| of(attempt).is_some_and(|one| self.stands_well(one) && one.tier == tier);
        let before: Vec<&AttemptRecord> = self.call.attempts.iter().filter(better).collect();
        let word = if self.call.attempts.iter().any(equal) { "could" } else { "would" };
        match before.last() {
            None => format!("{word} have been tried first, at {}, {condition}", self.clock(self.first_turn())),
            Some(last) if ends_hunt(last) => {
                format!("would not have been tried even {condition}: {} comes before it", last.trunk)
            }
            Some(last) => format!(
                "{word} have been tried at {}, after {}, {condition}",
                self.clock(last.sent + last.took),
                last.trunk
            ),
        }
    }

    fn first_turn(&self) -> Instant {
        self.call.attempts.first().map_or(self.call.invited, |first| first.sent)
    }

    fn tried(&self, trunk: TrunkId) -> bool {
        self.call.attempts.iter().any(|attempt| attempt.target.trunk == trunk)
    }

    fn candidate(&self, candidate: &Candidate) -> String {
        let trunk = candidate.target.trunk;
        let several = self.plan.attempts.iter().filter(|other| other.target.trunk == trunk).count() > 1;
        let name = self.name(trunk);
        if several { format!("{name} target {}", u32::from(candidate.target.index) + 1) } else { name }
    }

    fn name(&self, trunk: TrunkId) -> String {
        let found = self.call.trunks.iter().find(|(id, _)| *id == trunk);
        found.map_or_else(|| format!("trunk number {}", trunk.0), |(_, name)| name.to_string())
    }

    /// Time of day of an instant of this call.
    fn clock(&self, at: Instant) -> String {
        let micros = |span: model::Span| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let wall = if at > self.call.ended {
            self.ended.as_micros().saturating_add(micros(at.since(self.call.ended)))
        } else {
            self.ended.as_micros().saturating_sub(micros(self.call.ended.since(at)))
        };
        let (_, _, _, hour, minute, second, ms) = Wall::from_micros(wall).civil();
        format!("{hour:02}:{minute:02}:{second:02}.{ms:03}")
    }
}

/// Answers about a trunk, after which a hunt goes on unless policy says otherwise.
const fn moves_on(code: u16) -> bool {
    matches!(code, 300..=399 | 401 | 407 | 408 | 500 | 502..=504)
}

const fn ends_hunt(attempt: &AttemptRecord) -> bool {
    matches!(attempt.outcome, AttemptOutcome::Answered | AttemptOutcome::Abandoned { .. })
}

/// What should have been otherwise; none when nothing could.
fn condition(cause: Exclusion, story: &Story<'_>) -> Option<String> {
    Some(match cause {
        Exclusion::Down { since } => format!("had it not been Down since {}", story.clock(since)),
        Exclusion::OutsideShare { share: 0 } => {
            String::from("had its group taken it back already: it was on Probation")
        }
        Exclusion::OutsideShare { share } => format!("had this call been in its {share} %: it was on Probation"),
        Exclusion::Drilled => String::from("had no drill taken its address away"),
        Exclusion::NoAddress => String::from("had its names led anywhere"),
        Exclusion::NobodyThere => String::from("had a phone been registered for the called number"),
        Exclusion::Draining => String::from("had the operator not been draining it"),
        Exclusion::OutOfService => String::from("had the operator not taken it out of service"),
        Exclusion::Throttled { until } => format!("had it not asked for no calls until {}", story.clock(until)),
        Exclusion::Overloaded { wish } => format!("had it not asked for {}", fewer(wish)),
        Exclusion::Headroom { percent } => format!("had it had more left than the {percent} % it keeps for hunts"),
        Exclusion::LostTheParty => String::from("had it not lost the called party in mid-call"),
        Exclusion::CameFromIt => return None,
        Exclusion::CallLimit { limit, .. } => format!("had it carried fewer than its limit of {limit} calls"),
        Exclusion::RateLimit { limit, .. } => {
            format!("had it been offered fewer than its limit of {limit} calls a second")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use alloc::sync::Arc;
    use decide::Forced;
    use model::{Span, TargetId};

    fn told(call: &CallRecord) -> String {
        otherwise(call, samples::WALL).unwrap_or_default()
    }

    /// The sample: acme (Suspect) silent at 100 s for 1 s… globex answers; initech (tier 0) Down, umbrella (tier 1) drained.
    #[test]
    fn those_left_out_are_told_with_their_time_and_condition() {
        assert_eq!(
            told(&samples::call()),
            "otherwise: initech would have been tried first, at 12:02:04.012, had it not been Down since 12:01:24.012; \
             umbrella could have been tried first, at 12:02:04.012, had the operator not been draining it"
        );
    }

    #[test]
    fn an_answer_of_a_better_tier_comes_before_whatever_was_left_out() {
        let mut call = samples::call();
        call.attempts.remove(0);
        if let Ok(plan) = &mut call.plan {
            plan.attempts.swap(0, 1);
            plan.attempts[0].tier = 0;
        }
        assert_eq!(
            told(&call),
            "otherwise: acme would have been tried at 12:02:06.012 had globex failed instead of answering; initech could \
             have been tried first, at 12:02:04.012, had it not been Down since 12:01:24.012; umbrella would not have been \
             tried even had the operator not been draining it: globex comes before it"
        );
    }

    #[test]
    fn what_ended_the_hunt_is_what_should_have_been_otherwise() {
        let mut call = samples::call();
        call.attempts.truncate(1);
        call.tiers.clear();
        (call.answered, call.progressed) = (None, None);
        if let Ok(plan) = &mut call.plan {
            plan.excluded.clear();
        }
        let refused = |code| AttemptOutcome::Refused { code, q850: None, retry_after: None };
        let cases = [
            (
                refused(404),
                Ending::OutOfRetries { code: 503 },
                "had fewer calls been tried again just then (retry budget)",
            ),
            (refused(486), Ending::Refused { code: 486 }, "had 486 been among the answers that move on (`move_on`)"),
            (call.attempts[0].outcome, Ending::Refused { code: 503 }, "had the time for the whole hunt not been over"),
            (call.attempts[0].outcome, Ending::Cancelled, "had the caller not given up"),
        ];
        for (outcome, ending, words) in cases {
            (call.attempts[0].outcome, call.ending) = (outcome, ending);
            assert_eq!(told(&call), format!("otherwise: globex would have been tried at 12:02:06.012 {words}"));
        }
        call.progressed = Some(samples::at_ms(101_000));
        assert!(told(&call).contains("had the caller not given up"), "the caller's word comes first");
        call.ending = Ending::Refused { code: 504 };
        assert!(told(&call).ends_with("had `hunt_after_progress` allowed it: someone's phone had rung"));
        call.attempts[0].outcome = AttemptOutcome::Abandoned { after: Span::from_secs(2), progressed: false };
        assert_eq!(told(&call), "otherwise: globex was next when the caller gave up at 12:02:06.012");
    }

    #[test]
    fn one_in_doubt_that_was_passed_over_is_told_when_its_turn_would_have_been() {
        let mut call = samples::call();
        call.attempts.remove(0);
        if let Ok(plan) = &mut call.plan {
            plan.attempts.swap(0, 1);
            plan.excluded.clear();
        }
        assert_eq!(
            told(&call),
            "otherwise: acme would have been tried first, at 12:02:04.012, had it not been Suspect"
        );
    }

    /// Globex, in doubt itself, is of the tier that the operator has put first.
    #[test]
    fn a_forced_tier_comes_before_better_ones() {
        let mut call = samples::call();
        call.attempts.remove(0);
        if let Ok(plan) = &mut call.plan {
            plan.attempts.swap(0, 1);
            plan.attempts[0].health = Health::Suspect;
            plan.excluded.truncate(1);
            plan.forced = Some(Forced { tier: 1, until: samples::at_ms(900_000), word: Arc::default() });
        }
        assert_eq!(
            told(&call),
            "otherwise: acme would have been tried at 12:02:06.012 had globex failed instead of answering; initech would \
             not have been tried even had it not been Down since 12:01:24.012: globex comes before it"
        );
    }

    #[test]
    fn a_trunk_that_has_lost_the_party_could_have_been_tried_had_it_not() {
        let mut call = samples::call();
        if let Ok(plan) = &mut call.plan {
            plan.excluded.truncate(1);
            plan.excluded[0].cause = Exclusion::LostTheParty;
        }
        assert_eq!(
            told(&call),
            "otherwise: initech would have been tried first, at 12:02:04.012, had it not lost the called party in mid-call"
        );
    }

    #[test]
    fn later_ones_come_after_and_nothing_is_said_when_all_were_tried() {
        let mut call = samples::call();
        call.attempts.truncate(1);
        if let Ok(plan) = &mut call.plan {
            plan.excluded.clear();
            let mut third = plan.attempts[1];
            third.target = TargetId { trunk: model::TrunkId(4), index: 0 };
            plan.attempts.push(third);
        }
        assert!(told(&call).ends_with("; initech after globex"), "{}", told(&call));
        let mut call = samples::call();
        if let Ok(plan) = &mut call.plan {
            plan.excluded.clear();
        }
        assert_eq!(otherwise(&call, samples::WALL), None);
        call.plan = Err(decide::NoPlan::NoRoute);
        assert_eq!(otherwise(&call, samples::WALL), None);
    }
}
