//! THE function: what a target's health should become, by what is held of it and what has been seen.
//!
//! Pure: policy, terms, state, evidence and time in; a judgement or none out. Whether the judgement may be carried out is
//! the budget's question. Refuses to know: other trunks, tables, how evidence was gathered.

use crate::decision::{Cause, Change, Veto};
use crate::failback::{Terms, Wait};
use crate::policy::HealthPolicy;
use crate::table::TargetState;
use model::{AttemptOutcome, Evidence, Health, Instant, Share, Span};

/// On trial a target gets less patience than one in good standing: two of anything is a relapse.
const TRIAL_LIMIT: u32 = 2;
/// And a single refusal by the network: it was just probed and found listening.
const TRIAL_REFUSALS: u32 = 1;

/// What should change, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What.
    pub change: Change,
    /// Why.
    pub cause: Cause,
    /// What policy itself holds against it: only the operator may give this trunk back, or only a window.
    pub veto: Option<Veto>,
}

/// What should change about one target, if anything.
pub fn judge(
    policy: &HealthPolicy,
    terms: &Terms<'_>,
    held: &TargetState,
    seen: &Evidence,
    now: Instant,
) -> Option<Judgement> {
    match held.health() {
        Health::Unknown => unknown(policy, held, seen, now),
        Health::Up => up(policy, held, seen, now),
        Health::Suspect => suspect(policy, held, seen, now),
        Health::Down => down(policy, held, seen, now),
        Health::Probation => probation(policy, terms, held, seen, now),
    }
}

/// When time alone may change the judgement, given that nothing else happens; always later than `now`.
pub fn next_look(
    policy: &HealthPolicy,
    terms: &Terms<'_>,
    held: &TargetState,
    seen: &Evidence,
    now: Instant,
) -> Option<Instant> {
    let at = match held.health() {
        Health::Unknown | Health::Up => seen.silent_since.filter(|_| seen.calls.unheard > 0)? + policy.silence,
        Health::Suspect => quiet_since(held.since(), seen) + held.calm(policy),
        Health::Down => held.since() + held.dwell(policy),
        Health::Probation if held.share() > 0 => quiet_since(held.stepped(), seen) + policy.canary_time,
        Health::Probation => match terms.wait {
            Wait::Quiet(span) => quiet_since(held.since(), seen) + span,
            Wait::Closed { after, opens } => {
                let quiet = quiet_since(held.since(), seen) + after;
                if quiet > now { quiet } else { opens? }
            }
            Wait::Nothing | Wait::Operator => return None,
        },
    };
    (at > now).then_some(at)
}

/// Never seen, or vouched for by the operator: one good word is enough, and so is the usual bad one.
fn unknown(policy: &HealthPolicy, held: &TargetState, seen: &Evidence, now: Instant) -> Option<Judgement> {
    let fresh_probe = seen.probe.good > 0 && seen.probe.last.is_some_and(|(at, _)| at >= held.since());
    up(policy, held, seen, now)
        .or_else(|| (fresh_probe || seen.calls.good_since_mark > 0).then(|| to(held, Health::Up, Cause::FirstSeen)))
}

/// In good standing: Down needs proof, Suspect needs doubt.
fn up(policy: &HealthPolicy, held: &TargetState, seen: &Evidence, now: Instant) -> Option<Judgement> {
    // What is older than the present standing has been judged already.
    let since = held.since();
    if let Some(cause) = dead(policy, seen, since) {
        return Some(to(held, Health::Down, cause));
    }
    // Calls that fail again soon after they failed before: one more round of Suspect and calm would only cost more calls.
    // It goes Down, and comes back by Probation, where calls have to earn it.
    if let Some(cause) = calls_failed(policy, seen, since)
        && held.on_record(now, policy.forgive)
    {
        return Some(to(held, Health::Down, cause));
    }
    doubt(policy, seen, since, now).map(|cause| to(held, Health::Suspect, cause))
}

/// In doubt: proof ends it downward at once; upward it takes good probes *and* quiet, so that one that flaps stays put.
fn suspect(policy: &HealthPolicy, held: &TargetState, seen: &Evidence, now: Instant) -> Option<Judgement> {
    if let Some(cause) = dead(policy, seen, Instant::ZERO) {
        return Some(to(held, Health::Down, cause));
    }
    if let Some(cause) = calls_failed(policy, seen, held.since())
        && held.on_record(now, policy.forgive)
    {
        return Some(to(held, Health::Down, cause));
    }
    let calm = held.calm(policy);
    if now.since(quiet_since(held.since(), seen)) < calm || !risen(policy, seen) {
        return None;
    }
    // Calls failed and none has succeeded since: quiet only means that nobody was sent there, and probes are good on a
    // grey trunk too. Calls have to prove it, a few at a time.
    let unproven = seen.calls.blamed_in_row >= policy.blamed_calls || seen.calls.silent_in_row >= policy.silent_calls;
    let next = if unproven { Health::Probation } else { Health::Up };
    Some(to(held, next, Cause::Calm { probes: seen.probe.good, calm }))
}

/// Out: the dwell is served in full, whatever probes say meanwhile; then it takes good probes to be tried again.
fn down(policy: &HealthPolicy, held: &TargetState, seen: &Evidence, now: Instant) -> Option<Judgement> {
    let dwell = held.dwell(policy);
    let served = now.since(held.since()) >= dwell;
    let cause = Cause::DwellOver { dwell, probes: seen.probe.good };
    (served && risen(policy, seen)).then(|| to(held, Health::Probation, cause))
}

/// On trial: first no calls until failback, then a growing share, each step earned by good calls or, when calls are few,
/// by quiet time. Anything twice bad ends it.
fn probation(
    policy: &HealthPolicy,
    terms: &Terms<'_>,
    held: &TargetState,
    seen: &Evidence,
    now: Instant,
) -> Option<Judgement> {
    if relapsed(policy, seen, held.since()) {
        return Some(to(held, Health::Down, Cause::Relapse));
    }
    let share = held.share();
    if share == 0 {
        return failback(terms, held, seen, now);
    }
    let cause = earned(policy, held, seen, now)?;
    match terms.ramp.iter().find(|step| **step > share) {
        Some(step) => Some(Judgement { change: Change::Share { from: share, to: *step }, cause, veto: None }),
        None => Some(to(held, Health::Up, cause)),
    }
}

/// The first step of the ramp.
fn failback(terms: &Terms<'_>, held: &TargetState, seen: &Evidence, now: Instant) -> Option<Judgement> {
    let quiet = now.since(quiet_since(held.since(), seen));
    let veto = match terms.wait {
        Wait::Quiet(after) | Wait::Closed { after, .. } if quiet < after => return None,
        Wait::Quiet(_) | Wait::Nothing => None,
        Wait::Closed { opens, .. } => Some(Veto::OutsideWindow { opens_in: opens.map(|at| at.since(now)) }),
        Wait::Operator => Some(Veto::ManualFailback),
    };
    let first = terms.ramp.first().copied().unwrap_or(100).max(1);
    Some(Judgement { change: Change::Share { from: 0, to: first }, cause: Cause::Stable { held: quiet }, veto })
}

fn earned(policy: &HealthPolicy, held: &TargetState, seen: &Evidence, now: Instant) -> Option<Cause> {
    // A bad call between good ones starts the row anew, so one of every few is not good enough.
    let count = seen.calls.good_since_mark.min(seen.calls.good_in_row);
    if count >= policy.canary_calls {
        return Some(Cause::EarnedByCalls { count });
    }
    let tested = seen.test_calls.last.is_some_and(|(at, _)| at >= held.stepped());
    if tested && seen.test_calls.good > 0 {
        return Some(Cause::EarnedByTestCall { count: seen.test_calls.good });
    }
    let quiet = now.since(quiet_since(held.stepped(), seen));
    (quiet >= policy.canary_time && risen(policy, seen)).then_some(Cause::EarnedByTime { held: quiet })
}

/// Proof that calls cannot be carried. Only what was seen at or after `since` counts.
fn dead(policy: &HealthPolicy, seen: &Evidence, since: Instant) -> Option<Cause> {
    let refused = seen.transport.last.is_some_and(|(at, _)| at >= since);
    if refused && seen.transport.in_row >= policy.refusals {
        return Some(Cause::Refused { count: seen.transport.in_row, limit: policy.refusals });
    }
    let probed = seen.probe.last.is_some_and(|(at, _)| at >= since && is_news(seen, at));
    if probed && seen.probe.bad >= policy.fall {
        return Some(Cause::ProbesFailed { count: seen.probe.bad, limit: policy.fall });
    }
    let called = seen.calls.last_bad.is_some_and(|(at, _)| at >= since && is_news(seen, at));
    // Silence alone may be one far network behind the trunk; that the trunk itself is silent too, a fast probe tells.
    if called && probed && seen.calls.silent_in_row >= policy.silent_calls && seen.probe.bad_fast > 0 {
        return Some(Cause::CallsSilent { count: seen.calls.silent_in_row, limit: policy.silent_calls });
    }
    if let Some(cause) = failing_share(policy, seen, since, policy.failure_share) {
        return Some(cause);
    }
    let tested = seen.test_calls.last.is_some_and(|(at, _)| at >= since);
    if tested && seen.test_calls.bad >= policy.test_calls {
        return Some(Cause::TestCallsFailed { count: seen.test_calls.bad, limit: policy.test_calls });
    }
    silent_media(policy, seen, since, policy.media_calls)
}

/// Signalling is well and nobody hears anything: to a caller that is a dead trunk.
fn silent_media(policy: &HealthPolicy, seen: &Evidence, since: Instant, limit: u32) -> Option<Cause> {
    let heard_of = seen.media.last_bad.is_some_and(|(at, _)| at >= since);
    let Share { part: count, of } = seen.media.silent;
    (heard_of && count >= limit && seen.media.silent.percent() >= policy.media_share).then_some(Cause::MediaSilent {
        count,
        limit,
        of,
    })
}

/// The first real doubt. Calls speak before probes: they are what matters, and come sooner.
fn doubt(policy: &HealthPolicy, seen: &Evidence, since: Instant, now: Instant) -> Option<Cause> {
    if let Some(cause) = calls_failed(policy, seen, since) {
        return Some(cause);
    }
    if let Some(cause) = calls_late(policy, seen, since, now) {
        return Some(cause);
    }
    let probed = seen.probe.last.is_some_and(|(at, _)| at >= since && is_news(seen, at));
    if probed && seen.probe.bad >= policy.suspect_after {
        return Some(Cause::ProbesFailed { count: seen.probe.bad, limit: policy.suspect_after });
    }
    failing_share(policy, seen, since, policy.doubt_share).or_else(|| quality_doubt(policy, seen, since))
}

/// A failure after which the target has been heard again is no news: what rows and windows still hold of an outage that is over must not
/// take down a trunk that has just returned.
fn is_news(seen: &Evidence, at: Instant) -> bool {
    seen.heard.is_none_or(|heard| heard <= at)
}

const fn is_silence(outcome: &AttemptOutcome) -> bool {
    matches!(outcome, AttemptOutcome::NoReply { .. } | AttemptOutcome::WentSilent { .. })
}

/// So large a share of recent calls failed.
fn failing_share(policy: &HealthPolicy, seen: &Evidence, since: Instant, limit: u32) -> Option<Cause> {
    let fresh = seen.calls.last_bad.is_some_and(|(at, outcome)| {
        // Whoever fails a call by its word is heard, and excused of nothing by that.
        at >= since && (!is_silence(&outcome) || is_news(seen, at))
    });
    let (percent, of) = (seen.calls.window.percent(), seen.calls.window.of);
    (fresh && of >= policy.failure_min && percent >= limit).then_some(Cause::FailureShare { percent, limit, of })
}

/// Doubt by what is seen seldom: audio, registrations, synthetic calls.
fn quality_doubt(policy: &HealthPolicy, seen: &Evidence, since: Instant) -> Option<Cause> {
    let media_limit = policy.media_calls.min(TRIAL_LIMIT);
    if let Some(cause) = silent_media(policy, seen, since, media_limit) {
        return Some(cause);
    }
    let heard_of = seen.media.last_bad.is_some_and(|(at, _)| at >= since);
    let limit = policy.media_calls;
    let enough = |of: &Share| heard_of && of.part >= limit && of.percent() >= policy.media_share;
    let Share { part: count, of } = seen.media.lossy;
    if enough(&seen.media.lossy) {
        return Some(Cause::MediaLossy { count, limit, of });
    }
    let Share { part: count, of } = seen.media.poor;
    if enough(&seen.media.poor) {
        return Some(Cause::MediaPoor { count, limit, of });
    }
    let registered = seen.registration.last.is_some_and(|(at, _)| at >= since);
    if registered && seen.registration.bad >= policy.registration_failures {
        let (count, limit) = (seen.registration.bad, policy.registration_failures);
        return Some(Cause::RegistrationLost { count, limit });
    }
    let tested = seen.test_calls.last.is_some_and(|(at, _)| at >= since);
    let limit = policy.test_calls.saturating_sub(1).max(1);
    (tested && seen.test_calls.bad >= limit).then_some(Cause::TestCallsFailed { count: seen.test_calls.bad, limit })
}

/// Calls are late. Where they got a first reply and nothing more, a few are enough. Where they got none, the trunk may be slow for a
/// moment, and each of them hunts on by its own deadline: it takes twice as many, or as long a silence as no slowness explains.
fn calls_late(policy: &HealthPolicy, seen: &Evidence, since: Instant, now: Instant) -> Option<Cause> {
    let last = seen.last_bad.filter(|at| *at >= since)?;
    let late = |count: u32, limit: u32| (count >= limit).then_some(Cause::CallsLate { count, limit });
    // A trunk that stalls says 100 to the next call, so that being heard excuses it of nothing.
    let stalled = late(seen.calls.late.saturating_sub(seen.calls.unheard), policy.late_calls);
    if stalled.is_some() || !is_news(seen, last) {
        return stalled;
    }
    let silent = seen.silent_since.is_some_and(|from| now.since(from) >= policy.silence);
    let few = policy.silent_calls.min(policy.late_calls);
    late(seen.calls.late, policy.late_calls.saturating_mul(2)).or_else(|| late(seen.calls.late, few).filter(|_| silent))
}

fn calls_failed(policy: &HealthPolicy, seen: &Evidence, since: Instant) -> Option<Cause> {
    let called = seen.calls.last_bad.is_some_and(|(at, _)| at >= since);
    (called && seen.calls.blamed_in_row >= policy.blamed_calls)
        .then_some(Cause::CallsFailed { count: seen.calls.blamed_in_row, limit: policy.blamed_calls })
}

fn relapsed(policy: &HealthPolicy, seen: &Evidence, since: Instant) -> bool {
    let refused = seen.transport.last.is_some_and(|(at, _)| at >= since);
    let probed = seen.probe.last.is_some_and(|(at, _)| at >= since);
    let called = seen.calls.last_bad.is_some_and(|(at, _)| at >= since);
    let fresh = seen.last_bad.is_some_and(|at| at >= since);
    let tested = seen.test_calls.last.is_some_and(|(at, _)| at >= since);
    (refused && seen.transport.in_row >= TRIAL_REFUSALS)
        || (tested && seen.test_calls.bad > 0)
        || silent_media(policy, seen, since, policy.media_calls.min(TRIAL_LIMIT)).is_some()
        || (probed && seen.probe.bad >= policy.suspect_after.min(TRIAL_LIMIT))
        || (called && seen.calls.blamed_in_row >= policy.blamed_calls.min(TRIAL_LIMIT))
        || (fresh && seen.calls.late >= policy.late_calls.min(TRIAL_LIMIT))
        || dead(policy, seen, since).is_some()
}

/// Enough good probes. Where probes are off there are none to wait for.
fn risen(policy: &HealthPolicy, seen: &Evidence) -> bool {
    seen.probe.good >= policy.rise || seen.probe.last.is_none()
}

/// Since when nothing bad has happened, counted from `since` at the earliest.
fn quiet_since(since: Instant, seen: &Evidence) -> Instant {
    seen.last_bad.map_or(since, |bad| bad.max(since))
}

fn to(held: &TargetState, to: Health, cause: Cause) -> Judgement {
    Judgement { change: Change::Health { from: held.health(), to }, cause, veto: None }
}

/// How long until the subject is looked at again after it entered its present state; for the record.
pub(crate) fn promised(policy: &HealthPolicy, terms: &Terms<'_>, held: &TargetState) -> Option<Span> {
    match held.health() {
        Health::Unknown | Health::Up => None,
        Health::Suspect => Some(held.calm(policy)),
        Health::Down => Some(held.dwell(policy)),
        Health::Probation if held.share() > 0 => Some(policy.canary_time),
        Health::Probation => match terms.wait {
            Wait::Quiet(span) => Some(span),
            Wait::Closed { after, opens } => Some(opens.map_or(after, |at| at.since(held.since()).max(after))),
            Wait::Nothing | Wait::Operator => None,
        },
    }
}
