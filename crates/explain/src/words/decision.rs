//! Words for a decision: whom, what changes, when; why, by which last observation; what happens next.

use super::next;
use super::outcome::{attempt, count, fault, fewer, hours, media, probe, registration, test_call};
use crate::record::Who;
use alloc::format;
use alloc::string::String;
use decide::{Cause, Change, Decision, Subject, Veto};
use model::{Evidence, Instant, Span, Wall, Wish};

/// Whom, what, when; why, with its count and limit; the last thing seen; what comes of it.
pub(super) fn sentence(wall: Wall, who: &Who, decision: &Decision) -> String {
    let held_back = if decision.veto.is_some() { " held back" } else { "" };
    let mut words = format!("{} {}{held_back} at {wall}:", subject(who, decision.subject), change(decision.change));
    words += &format!(" {}", cause(decision.cause));
    if let Some(last) = decision.evidence.as_ref().and_then(|seen| last(decision.cause, seen)) {
        words += &format!(", last: {last}");
    }
    match decision.veto {
        Some(by) => words += &format!("; but {}, so {}", veto(by), next::meanwhile(decision, by, &who.trunk)),
        None => {
            if let Some(next) = next::step(decision.change, decision.next_look) {
                words += &format!("; {next}");
            }
        }
    }
    // The operator's word, what becomes of it, and the peer's wish are not judged by a policy.
    let by_policy = !matches!(
        decision.cause,
        Cause::Operator | Cause::TimeOver | Cause::Reconfigured | Cause::RetryAfter | Cause::Overload { .. }
    );
    if by_policy {
        words += &format!("; policy {:08x}", decision.policy);
    }
    words
}

/// What a second policy would have decided, in the same words.
pub(super) fn shadow(wall: Wall, who: &Who, decision: &Decision) -> String {
    format!("in shadow: {}; not enforced", sentence(wall, who, decision))
}

fn subject(who: &Who, subject: Subject) -> String {
    let trunk = &who.trunk;
    match (subject, &who.target) {
        (Subject::Target(id), None) if !who.only_target => format!("target {} of trunk {trunk}", id.index),
        (Subject::Target(_), Some(target)) if !who.only_target => format!("target {target} of trunk {trunk}"),
        (Subject::Group(id), _) => {
            who.group.as_ref().map_or_else(|| format!("group number {}", id.0), |group| format!("group {group}"))
        }
        (Subject::Target(_) | Subject::Trunk(_), _) => format!("trunk {trunk}"),
    }
}

fn change(change: Change) -> String {
    match change {
        Change::Health { from, to } => format!("{} → {}", from.word(), to.word()),
        Change::Share { from, to } => format!("share {from} % → {to} %"),
        Change::Admin { from, to } => format!("{} → {}", from.words(), to.words()),
        Change::Throttle { asked: Span::ZERO, .. } => String::from("takes all its calls again"),
        Change::Throttle { asked, wish: Wish::NoCalls } => format!("throttled for {asked}"),
        Change::Throttle { wish, .. } => format!("asks for {}", fewer(wish)),
        // Tiers are counted from one where people see them.
        Change::Force { from: Some(from), to, .. } if from != to => {
            format!("forced from tier {} to tier {}", u32::from(from) + 1, u32::from(to) + 1)
        }
        Change::Force { to, .. } => format!("forced to tier {}", u32::from(to) + 1),
        Change::Release { from } => format!("released from tier {}", u32::from(from) + 1),
    }
}

fn veto(veto: Veto) -> String {
    match veto {
        Veto::LastUsable => String::from("it is the last usable trunk of a group"),
        Veto::TooManyOut { percent, limit } => format!("{percent} % of a group would be out (limit {limit} %)"),
        Veto::TooManyFlips { count, limit } => format!("it has fallen {count} times within 10 min (limit {limit})"),
        Veto::SuspectOurselves { trunks } => {
            format!("{} failed together and the fault is likely ours", self::count(trunks, "trunk", "trunks"))
        }
        Veto::ManualFailback => String::from("failback is manual and waits for the operator"),
        Veto::OutsideWindow { opens_in: Some(span) } => format!("its failback window opens in {}", hours(span)),
        Veto::OutsideWindow { opens_in: None } => String::from("its failback window is closed"),
    }
}

fn cause(cause: Cause) -> String {
    match cause {
        Cause::FirstSeen => String::from("first good sign of a target never seen before"),
        Cause::ProbesFailed { count: n, limit } => format!("{} failed (limit {limit})", in_row(n, "probe", "probes")),
        Cause::CallsLate { count: n, limit } => {
            let verb = if n == 1 { "was" } else { "were" };
            format!("{} within 10 s {verb} late, silent or stalled (limit {limit})", count(n, "call", "calls"))
        }
        Cause::CallsFailed { count: n, limit } => {
            format!("{} failed by the trunk's fault (limit {limit})", in_row(n, "call", "calls"))
        }
        Cause::CallsSilent { count: n, limit } => {
            format!("{} got no reply (limit {limit}) and a fast probe failed too", in_row(n, "call", "calls"))
        }
        Cause::Refused { count: n, limit } => {
            format!("{} refused by the network (limit {limit})", in_row(n, "packet", "packets"))
        }
        Cause::FailureShare { percent, limit, of } => {
            format!(
                "{percent} % of {} within 60 s failed by the trunk's fault (limit {limit} %)",
                count(of, "call", "calls")
            )
        }
        Cause::MediaSilent { count: n, limit, of } => {
            format!(
                "no audio came of it, or arrived there, in {n} of {} within 5 min (limit {limit})",
                count(of, "call", "calls")
            )
        }
        Cause::MediaLossy { count: n, limit, of } => {
            format!("its audio had holes in {n} of {} within 5 min (limit {limit})", count(of, "call", "calls"))
        }
        Cause::MediaPoor { count: n, limit, of } => {
            format!(
                "its audio had holes or too low a score in {n} of {} within 5 min (limit {limit})",
                count(of, "call", "calls")
            )
        }
        Cause::RegistrationLost { count: n, limit } => {
            format!("our registration failed {} (limit {limit})", in_row(n, "time", "times"))
        }
        Cause::TestCallsFailed { count: n, limit } => {
            format!("{} failed (limit {limit})", in_row(n, "test call", "test calls"))
        }
        Cause::Calm { probes, calm } => {
            format!("{} answered and nothing bad for {calm}", in_row(probes, "probe", "probes"))
        }
        Cause::DwellOver { dwell, probes } => {
            format!("dwell of {dwell} over and {} answered", in_row(probes, "probe", "probes"))
        }
        Cause::Stable { held } => format!("on Probation for {held} without a fault"),
        Cause::EarnedByCalls { count: n } => format!("{} since the last step", count(n, "good call", "good calls")),
        Cause::EarnedByTestCall { count: n } => format!("{} went well", in_row(n, "test call", "test calls")),
        Cause::EarnedByTime { held } => format!("nothing bad for {held}"),
        Cause::Relapse => String::from("a fault while on Probation"),
        Cause::RetryAfter => String::from("it answered 503 with Retry-After"),
        Cause::Overload { validity: Span::ZERO } => String::from("overload control, its wish is over"),
        Cause::Overload { validity } => {
            format!("overload control in its responses, for {validity} unless it says so again")
        }
        Cause::Operator => String::from("the operator said so"),
        Cause::TimeOver => String::from("the time for which the operator said so is over"),
        Cause::Reconfigured => String::from("the configuration has changed"),
    }
}

fn in_row(n: u32, one: &str, many: &str) -> String {
    let row = if n == 1 { "" } else { " in a row" };
    format!("{}{row}", count(n, one, many))
}

/// The last thing seen of the kind that the cause rests on.
fn last(cause: Cause, seen: &Evidence) -> Option<String> {
    let probed = || seen.probe.last.map(|(at, result)| (at, format!("probe: {}", probe(result))));
    let called = || seen.calls.last.map(|(at, outcome)| (at, format!("call: {}", attempt(outcome))));
    let bad_call = || seen.calls.last_bad.map(|(at, outcome)| (at, format!("call: {}", attempt(outcome))));
    let refused = || seen.transport.last.map(|(at, by)| (at, String::from(fault(by))));
    match cause {
        Cause::ProbesFailed { .. } => seen.probe.last.map(|(_, result)| probe(result)),
        Cause::CallsLate { .. } if seen.calls.late_by.is_some() => {
            seen.calls.late_by.map(|by| format!("still waiting after {by}"))
        }
        Cause::CallsLate { .. }
        | Cause::CallsFailed { .. }
        | Cause::CallsSilent { .. }
        | Cause::FailureShare { .. } => seen.calls.last_bad.map(|(_, outcome)| attempt(outcome)),
        Cause::Refused { .. } => seen.transport.last.map(|(_, by)| String::from(fault(by))),
        Cause::MediaSilent { .. } | Cause::MediaLossy { .. } | Cause::MediaPoor { .. } => {
            seen.media.last_bad.map(|(_, outcome)| media(outcome))
        }
        Cause::RegistrationLost { .. } => seen.registration.last.map(|(_, state)| registration(state)),
        Cause::TestCallsFailed { .. } | Cause::EarnedByTestCall { .. } => {
            seen.test_calls.last.map(|(_, result)| test_call(result))
        }
        Cause::FirstSeen => later(probed(), called()),
        Cause::Relapse => {
            let bad_probe = if seen.probe.bad > 0 { probed() } else { None };
            let rest = [bad_probe, bad_call(), refused()].into_iter().flatten();
            rest.max_by_key(|(at, _)| *at).map(|(_, words)| words)
        }
        Cause::Calm { .. } | Cause::DwellOver { .. } | Cause::Stable { .. } | Cause::EarnedByTime { .. } => {
            probed().map(|(_, words)| words)
        }
        Cause::EarnedByCalls { .. } => called().map(|(_, words)| words),
        Cause::RetryAfter | Cause::Overload { .. } | Cause::Operator | Cause::TimeOver | Cause::Reconfigured => None,
    }
}

fn later(a: Option<(Instant, String)>, b: Option<(Instant, String)>) -> Option<String> {
    [a, b].into_iter().flatten().max_by_key(|(at, _)| *at).map(|(_, words)| words)
}
