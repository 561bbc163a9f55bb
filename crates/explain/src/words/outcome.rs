//! Words for how probes and attempts ended, and for why a trunk is left out.

use alloc::format;
use alloc::string::{String, ToString};
use decide::Exclusion;
use model::{
    AttemptOutcome, Begun, Instant, MediaOutcome, ProbeResult, RegistrationState, Span, TestCallResult, TransportFault,
    Wish,
};

/// `1 probe`, `3 probes`.
pub fn count(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Spans of the day's length in hours and minutes, rounded up: nobody counts 192 minutes.
pub(crate) fn hours(span: Span) -> String {
    let minutes = span.as_secs().div_ceil(60);
    match (minutes / 60, minutes % 60) {
        (0, _) => format!("{span}"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// How many calls a peer asks for; reads after *asks for*.
pub fn fewer(wish: Wish) -> String {
    match wish {
        Wish::NoCalls => String::from("no calls"),
        Wish::Loss { percent } => format!("{percent} % fewer calls"),
        Wish::Rate { cps } => format!("at most {} a second", count(cps, "call", "calls")),
    }
}

/// How the network refused.
pub const fn fault(fault: TransportFault) -> &'static str {
    match fault {
        TransportFault::PortUnreachable => "port unreachable",
        TransportFault::HostUnreachable => "host unreachable",
        TransportFault::Prohibited => "administratively prohibited",
        TransportFault::TooLarge => "message too large for the path",
        TransportFault::Broken => "connection broken",
        TransportFault::TimedOut => "no connection in time",
        TransportFault::NotRead => "connection not read from",
        TransportFault::CertificateExpired => "certificate expired",
        TransportFault::CertificateUntrusted => "certificate not trusted",
        TransportFault::CertificateOfAnother => "certificate of another host",
        TransportFault::TlsFailed => "TLS not agreed on",
        TransportFault::Local => "our own socket could not send",
    }
}

/// How a probe ended.
pub fn probe(result: ProbeResult) -> String {
    match result {
        ProbeResult::Answered { code, rtt } => format!("{code} in {rtt}"),
        ProbeResult::NoReply { after } => format!("no reply in {after}"),
        ProbeResult::Unreachable { fault: by } => fault(by).to_string(),
    }
}

/// Why an attempt was begun; reads after its trunk's name.
pub const fn begun(begun: Begun) -> &'static str {
    match begun {
        Begun::InTurn => "",
        Begun::Beside => ", beside one whose trunk was in doubt",
        Begun::Forked => ", with another phone of the same user",
        Begun::Hedge => ", beside one that was slower than usual",
    }
}

/// How an attempt ended.
pub fn attempt(outcome: AttemptOutcome) -> String {
    match outcome {
        AttemptOutcome::Answered => String::from("answered"),
        AttemptOutcome::Redirected { code } => format!("redirected with {code}"),
        AttemptOutcome::Refused { code, q850, retry_after } => {
            let mut words = format!("refused with {code}");
            if let Some(cause) = q850 {
                words += &format!(", Q.850 cause {cause}");
            }
            if let Some(after) = retry_after {
                words += &format!(", Retry-After {after}");
            }
            words
        }
        AttemptOutcome::NoReply { after } => format!("no reply in {after}"),
        AttemptOutcome::Stalled { after } => format!("stalled: nothing after 100 in {after}"),
        AttemptOutcome::RingTimeout { after } => format!("rang {after} and nobody answered"),
        AttemptOutcome::WentSilent { after } => format!("rang, and fell silent within {after}"),
        AttemptOutcome::CutShort { after, replied } => {
            let heard = if replied { "nothing after 100" } else { "no reply" };
            format!("left after {after} with {heard}, since the time for the hunt was over")
        }
        AttemptOutcome::Unreachable { fault: by } => format!("unreachable: {}", fault(by)),
        AttemptOutcome::Abandoned { after, progressed } => {
            let heard = if progressed { "ringing" } else { "waiting" };
            format!("the caller gave up after {after} of {heard}")
        }
        AttemptOutcome::Outrun { after, progressed } => {
            let heard = if progressed { "ringing" } else { "waiting" };
            format!("left after {after} of {heard}, since another attempt was ahead of it")
        }
    }
}

/// What is heard of a target's audio.
pub fn media(outcome: MediaOutcome) -> String {
    match outcome {
        MediaOutcome::Good => String::from("audio is heard"),
        MediaOutcome::Silent { after } => format!("nothing heard for {after} while the other side spoke"),
        MediaOutcome::Deaf { after } => format!("by its reports nothing of what it was sent arrived for {after}"),
        MediaOutcome::Poor { mos, limit } => format!("an estimated opinion score of {mos} (limit {limit})"),
        MediaOutcome::Lossy { permille } => format!("{}.{} % of its packets lost", permille / 10, permille % 10),
    }
}

/// What has become of our registration.
pub fn registration(state: RegistrationState) -> String {
    match state {
        RegistrationState::Registered => String::from("registered"),
        RegistrationState::Refused { code } => format!("refused with {code}"),
        RegistrationState::NoReply { after } => format!("no reply in {after}"),
        RegistrationState::Expired => String::from("it ran out before it could be renewed"),
    }
}

/// How a synthetic call ended.
pub fn test_call(result: TestCallResult) -> String {
    match result {
        TestCallResult::Good { ringback, answer } => {
            let mut words = String::from("as expected");
            for (what, span) in [("ringback", ringback), ("answer", answer)] {
                if let Some(span) = span {
                    words += &format!(", {what} after {span}");
                }
            }
            words
        }
        TestCallResult::Refused { code } => format!("unexpected {code}"),
        TestCallResult::NoReply { after } => format!("no final response in {after}"),
        TestCallResult::NoTone { from_target: false, to_target: false } => {
            String::from("answered, and no tone was heard in either direction")
        }
        TestCallResult::NoTone { from_target: false, .. } => String::from("answered, and its tone was not heard here"),
        TestCallResult::NoTone { .. } => String::from("answered, and our tone was not heard there"),
        TestCallResult::Unreachable { fault: by } => format!("unreachable: {}", fault(by)),
    }
}

/// Why a trunk is left out of a plan made at `now`; reads after its name, as in `acme is draining`.
pub fn exclusion(cause: Exclusion, now: Instant) -> String {
    match cause {
        Exclusion::Down { since } => format!("is Down for {}", now.since(since)),
        Exclusion::OutsideShare { share: 0 } => String::from("is on Probation and gets no calls yet"),
        Exclusion::OutsideShare { share } => format!("is on Probation and this call is not in its {share} %"),
        Exclusion::Drilled => String::from("has no address: the drill takes it away"),
        Exclusion::NoAddress => String::from("has no address: its names lead nowhere yet"),
        Exclusion::NobodyThere => String::from("has no phone registered for the called number"),
        Exclusion::Draining => String::from("is draining"),
        Exclusion::OutOfService => String::from("is out of service"),
        Exclusion::Throttled { until } => format!("asked for no calls for another {}", until.since(now)),
        Exclusion::Overloaded { wish } => format!("asked for {}, and this is one it does not get", fewer(wish)),
        Exclusion::LostTheParty => String::from("has lost the called party in mid-call"),
        Exclusion::CameFromIt => String::from("is where the call came from"),
        Exclusion::CallLimit { limit, part } => {
            format!("carries as many calls as it may ({})", of_limit(limit, part))
        }
        Exclusion::RateLimit { limit, part } => {
            format!("was offered as many calls within a second as it may ({})", of_limit(limit, part))
        }
        Exclusion::Headroom { percent } => {
            format!("is nearly full, and its last {percent} % are kept for calls that another trunk has failed")
        }
    }
}

/// A limit, and the part of it that the shard holds when that is less.
fn of_limit(limit: u32, part: u32) -> String {
    if part == limit { format!("limit {limit}") } else { format!("{part} on this shard, of a limit of {limit}") }
}
