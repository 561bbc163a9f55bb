//! Words for one call: its plan, its attempts, its end. The live view of a call uses the same words.

use super::{outcome, stream};
use crate::record::{AttemptRecord, CallRecord, Direction, Ending, MediaRecord};
use crate::redact::Redacted;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use decide::{Barred, Excluded, Forced, NoPlan, Plan};
use model::{AttemptOutcome, Health, Instant, Name, Span, TrunkId, Wall};

/// The whole call as one sentence for the log, with numbers cut.
pub(super) fn summary(wall: Wall, call: &CallRecord) -> String {
    let CallRecord { call: id, from, .. } = call;
    let mut words = format!("call {id} from {from} to {} over at {wall}: ", Redacted(&call.called));
    let carried = call.attempts.iter().position(|attempt| attempt.outcome == AttemptOutcome::Answered);
    words += &ending(call, carried.and_then(|at| call.attempts.get(at)).map(|attempt| attempt.trunk.as_str()));
    let told = |wanted: fn(&AttemptOutcome) -> bool| -> Vec<String> {
        let attempts = call.attempts.iter().filter(|attempt| wanted(&attempt.outcome));
        attempts.map(|attempt| format!("{}: {}", attempt.trunk, outcome::attempt(attempt.outcome))).collect()
    };
    let failed = told(|outcome| !matches!(outcome, AttemptOutcome::Answered | AttemptOutcome::Outrun { .. }));
    let outrun = told(|outcome| matches!(outcome, AttemptOutcome::Outrun { .. }));
    if !failed.is_empty() {
        words += &format!(" (before that {})", failed.join(", "));
    }
    if !outrun.is_empty() {
        words += &format!(" (beside that {})", outrun.join(", "));
    }
    let noted = noted(call);
    if !noted.is_empty() {
        words += &format!("; {}", noted.join("; "));
    }
    words
}

/// What was seen and done about its audio while it was up, in order.
pub(crate) fn noted(call: &CallRecord) -> Vec<String> {
    let callee = call.carried().map_or("the callee", |attempt| attempt.trunk.as_str());
    call.notes.iter().map(|noted| super::audio::timed(noted, call.answered, call.from.as_str(), callee)).collect()
}

/// Who calls whom, and the plan: order, who is left out and why, last resort.
pub(crate) fn opening(call: &CallRecord) -> String {
    let CallRecord { call: id, from, caller, called, .. } = call;
    let plan = match &call.plan {
        Ok(made) => plan(made, call.group.as_ref(), &call.trunks, call.invited),
        Err(none) => no_plan(none, call.group.as_ref(), &call.trunks, call.invited),
    };
    let drilled = if call.drilled { ", in a drill" } else { "" };
    format!("call {id} from {from}: {caller} calls {called}{drilled}; {plan}")
}

/// A plan made at `now`. `names` are those of the trunks it mentions.
pub fn plan(plan: &Plan, group: Option<&Name>, names: &[(TrunkId, Name)], now: Instant) -> String {
    let group = group.map_or_else(|| format!("number {}", plan.group.0), Name::to_string);
    // Routes are counted from one where people see them, as in the file.
    let route = u32::from(plan.route.0) + 1;
    let several = |trunk| plan.attempts.iter().filter(|other| other.target.trunk == trunk).count() > 1;
    let order: Vec<String> = plan
        .attempts
        .iter()
        .map(|candidate| {
            let mut words = name(candidate.target.trunk, names);
            if several(candidate.target.trunk) {
                words += &format!(" target {}", u32::from(candidate.target.index) + 1);
            }
            if candidate.health != Health::Up {
                words += &format!(" ({})", candidate.health.word());
            }
            words
        })
        .collect();
    let order = if order.is_empty() { String::from("nobody") } else { order.join(", then ") };
    let mut words = format!("group {group} by route {route} at epoch {}: {order}", plan.epoch.0);
    if plan.last_resort {
        words += "; a last resort, since every one of them is Down";
    }
    if plan.emergency {
        words += "; an emergency call, which no limit holds back";
    }
    if let Some(by) = &plan.forced {
        words += &format!("; {}", forced(by, now));
    }
    words + &left_out(&plan.excluded, plan.unnamed, names, now)
}

/// Which tier the operator has put first, who he is and why, and for how long yet.
pub(crate) fn forced(forced: &Forced, now: Instant) -> String {
    let Forced { tier, until, word } = forced;
    let by = if word.who.is_empty() { String::new() } else { format!(" {}", word.who) };
    let because = if word.why.is_empty() { String::new() } else { format!(" (\"{}\")", word.why) };
    format!(
        "operator{by} forces tier {} for another {}{because}",
        u32::from(*tier) + 1,
        outcome::hours(until.since(now))
    )
}

/// Why there is no plan at `now`.
pub fn no_plan(none: &NoPlan, group: Option<&Name>, names: &[(TrunkId, Name)], now: Instant) -> String {
    match none {
        NoPlan::NoRoute => String::from("no route matches"),
        NoPlan::Joined { other: None } => String::from("a transfer joined its parties, and nobody was sought"),
        NoPlan::Joined { other: Some(other) } => {
            format!("a transfer joined its parties over two shards: the other half is call {other}")
        }
        NoPlan::Barred { why } => format!("the trunk it came from may not place it: {}", barred(why)),
        NoPlan::NobodyLeft { group: id, excluded, unnamed } => {
            let group = group.map_or_else(|| format!("number {}", id.0), Name::to_string);
            format!("nobody in group {group} may take it{}", left_out(excluded, *unnamed, names, now))
        }
    }
}

/// Why a trunk may not place a call.
pub(crate) fn barred(why: &Barred) -> String {
    let part = |limit: &u32, part: &u32| {
        if limit == part { String::new() } else { format!(", of which this shard has {part}") }
    };
    match why {
        Barred::Prefix { prefix } => format!("numbers that begin with {prefix} are denied"),
        Barred::NotAllowed => String::from("the number begins with none of those allowed"),
        Barred::AtOnce { limit, part: own } => format!("it has its {limit} calls at once{}", part(limit, own)),
        Barred::PerHour { limit, part: own } => {
            format!("it has begun its {limit} calls of this hour{}", part(limit, own))
        }
        Barred::Rate { limit, part: own } => format!("it calls faster than {limit} times a second{}", part(limit, own)),
    }
}

/// One attempt that is over; `number` counts from one.
pub fn attempt(number: usize, attempt: &AttemptRecord) -> String {
    let mut words = format!("attempt {number} to {}{}: ", attempt.trunk, outcome::begun(attempt.begun));
    if let Some(span) = attempt.first_reply {
        words += &format!("first reply after {span}, ");
    }
    if let Some(span) = attempt.progress {
        words += &format!("progress after {span}, ");
    }
    words += &outcome::attempt(attempt.outcome);
    if matches!(
        attempt.outcome,
        AttemptOutcome::Answered | AttemptOutcome::Redirected { .. } | AttemptOutcome::Refused { .. }
    ) {
        words += &format!(" after {}", attempt.took);
    }
    if let Some(fault) = attempt.fault {
        words += &format!(" (the drill breaks it: {})", fault.word());
    }
    words
}

/// One attempt that is still waited for; `number` counts from one.
pub fn waiting(number: usize, trunk: &str, since: Span) -> String {
    format!("attempt {number} to {trunk}: waiting for {since}")
}

/// How the call ended, and what was heard of its audio.
pub(crate) fn end(call: &CallRecord) -> String {
    let words = ending(call, None);
    match &call.media {
        Some(media) => words + "; audio: " + &audio(media),
        None => words,
    }
}

/// How the call ended; `carried` is the trunk that answered, where that is worth telling.
pub(crate) fn ending(call: &CallRecord, carried: Option<&str>) -> String {
    let mut words = String::new();
    if let Some(at) = call.progressed {
        words += &format!("rang after {}, ", at.since(call.invited));
    }
    let waited = call.ended.since(call.invited);
    let Some(answered) = call.answered else {
        return words + &unanswered(&call.ending, &waited.to_string());
    };
    let by = carried.map_or_else(String::new, |trunk| format!(" by {trunk}"));
    let talked = call.ended.since(answered);
    words += &format!("answered{by} after {}, talked {talked}, ", answered.since(call.invited));
    words
        + &match &call.ending {
            Ending::Bye { by: Direction::Caller } => String::from("ended by the caller"),
            Ending::Bye { by: Direction::Callee } => String::from("ended by the callee"),
            Ending::Ended { why } => format!("ended by the edge: {why}"),
            Ending::Refused { code } | Ending::OutOfRetries { code } => format!("ended with {code}"),
            Ending::Cancelled => String::from("cancelled by the caller as the answer came"),
        }
}

fn unanswered(ending: &Ending, waited: &str) -> String {
    match ending {
        Ending::Refused { code } => format!("the caller got {code} after {waited}"),
        Ending::OutOfRetries { code } => format!(
            "the caller got {code} after {waited} and no other trunk was tried: too many calls were being tried again"
        ),
        Ending::Cancelled => format!("the caller gave up after {waited}"),
        Ending::Bye { by: Direction::Caller } => format!("ended by the caller before any answer after {waited}"),
        Ending::Bye { by: Direction::Callee } => format!("ended by the callee before any answer after {waited}"),
        Ending::Ended { why } => format!("ended by the edge after {waited}: {why}"),
    }
}

/// What was heard of each side, the caller first: nothing in a record of before it was measured, or when nobody spoke.
pub(crate) fn heard(call: &CallRecord) -> Vec<String> {
    let Some(media) = &call.media else { return Vec::new() };
    if media.caller.is_none() && media.callee.is_none() {
        return Vec::new();
    }
    let callee = call.carried().map_or("the callee", |attempt| attempt.trunk.as_str());
    // A trunk may call itself: then its name tells nobody apart.
    let caller = if callee == call.from.as_str() { "the caller" } else { call.from.as_str() };
    let callee = if callee == call.from.as_str() { "the callee" } else { callee };
    [
        stream::heard(caller, media.caller.as_ref(), media.gap_from_caller),
        stream::heard(callee, media.callee.as_ref(), media.gap_from_callee),
    ]
    .into()
}

fn audio(media: &MediaRecord) -> String {
    let MediaRecord { from_caller, from_callee, refused, gap_from_caller, gap_from_callee, .. } = media;
    let mut words = format!("{from_caller} packets from the caller, {from_callee} from the callee");
    if *refused > 0 {
        words += &format!(", {refused} refused");
    }
    words + &format!(", longest gaps {gap_from_caller} and {gap_from_callee}")
}

fn left_out(excluded: &[Excluded], unnamed: u32, names: &[(TrunkId, Name)], now: Instant) -> String {
    if excluded.is_empty() {
        return String::new();
    }
    let told: Vec<String> = excluded
        .iter()
        .map(|one| format!("{} {}", name(one.trunk, names), outcome::exclusion(one.cause, now)))
        .collect();
    let more = if unnamed == 0 { String::new() } else { format!(", and {unnamed} more") };
    format!("; left out: {}{more}", told.join(", "))
}

fn name(trunk: TrunkId, names: &[(TrunkId, Name)]) -> String {
    let found = names.iter().find(|(id, _)| *id == trunk);
    found.map_or_else(|| format!("trunk number {}", trunk.0), |(_, name)| name.to_string())
}
