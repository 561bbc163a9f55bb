//! Words for alarms: what is the matter, what it means for calls, what to do.

use super::outcome::count;
use crate::alarm::{Alarm, AlarmRecord, ShutOutCause};
use alloc::format;
use alloc::string::String;
use model::{Name, RegistrationState, Span, Wall};

/// One sentence.
pub(super) fn sentence(wall: Wall, alarm: &AlarmRecord) -> String {
    let (word, words) = if alarm.over { ("alarm over", over(&alarm.what)) } else { ("alarm", raised(&alarm.what)) };
    format!("{word} at {wall}: {words}")
}

/// What is the matter.
pub fn raised(alarm: &Alarm) -> String {
    match alarm {
        Alarm::SuspectOurselves { trunks, names } => format!(
            "{} ({}) failed together, so the fault is likely ours; no more of them is taken out for it, look at \
             this machine's network",
            count(*trunks, "trunk", "trunks"),
            list(names)
        ),
        Alarm::SharedFailure { names } => format!(
            "trunks {} went Down within 10 s; they may share a carrier or a path, calls go to whoever is left",
            list(names)
        ),
        Alarm::GroupHasNobody { group } => format!(
            "nobody in group {group} may take calls; those that are Down are tried as a last resort, those taken out are not"
        ),
        Alarm::RegistrationLost { trunk, state } => format!(
            "the registration at trunk {trunk} {}; calls from it may not arrive, it is tried again for ever",
            registration(*state)
        ),
        Alarm::DrillFailed { trunks, failed } => format!(
            "{} failed in the last drill of {}: others may not stand in for what was broken; `throughline drill` shows which line",
            count(*failed, "line", "lines"),
            list(trunks)
        ),
        Alarm::ProberStalled { count: n } => format!(
            "{} ended while the edge itself was late, and proved nothing; look at this machine's load",
            count(u32::try_from(*n).unwrap_or(u32::MAX), "probe", "probes")
        ),
        Alarm::JournalDropped { count: n, why } => format!(
            "{} lost to the journal: {why}; calls are not affected, look at the disk of `data`",
            if *n == 1 { String::from("1 record was") } else { format!("{n} records were") }
        ),
        Alarm::EmergencyUsed { call, from, number } => {
            format!("emergency call {call} from {number} by {from}; `throughline why call {call}` tells how it went")
        }
        Alarm::SourceShutOut { source, cause, count: n, within, length } => {
            format!("source {source} is shut out for {length}: {}", shut_out(*cause, *n, *within))
        }
        Alarm::ForeignRequest { source } => format!(
            "{source} sent a request inside a call that is not its own; it was refused and changed nothing, and whoever sent it knows \
             identifiers that only its parties should: if it is an address of a trunk, name it in that trunk's `accept`"
        ),
        Alarm::CredentialsRefused { trunk, code } => format!(
            "trunk {trunk} refuses our credentials with {code}: the trunk is alive, its `auth` is missing, wrong or barred; calls go to \
             whoever is left"
        ),
        Alarm::RegistrarMoved { trunk, before, now } => format!(
            "phones register at {now} of trunk {trunk} now, and no longer at {before}; phones notice at most that they are asked for their \
             password once more"
        ),
        Alarm::RegistrarGone { trunk } => format!(
            "no target of trunk {trunk} serves the REGISTERs of phones; those registered keep what is left of their time and call each other \
             by routes, all others are told to come again"
        ),
        Alarm::NameFails { trunk, name, why, kept: None } => {
            format!("name {name} of trunk {trunk} leads nowhere, so it has no address by it: {why}")
        }
        Alarm::NameFails { trunk, name, why, kept: Some(left) } => {
            format!("name {name} of trunk {trunk} fails: {why}; its last addresses stay in use for {left}")
        }
        Alarm::CallsBarred { trunk, why } => format!(
            "calls from trunk {trunk} are refused: {}; if nobody there dials such calls, somebody has broken in, and `throughline calls` shows \
             what is still up",
            super::call::barred(why)
        ),
        Alarm::Text { text } => text.clone(),
    }
}

fn shut_out(cause: ShutOutCause, n: u32, within: Span) -> String {
    let times = |one: &str, many: &str| format!("{} in {within}", count(n, one, many));
    match cause {
        ShutOutCause::Scanner => String::from("its software calls itself a scanner"),
        ShutOutCause::Malformed => times("malformed message", "malformed messages"),
        ShutOutCause::Requests => times("message of a stranger", "messages of a stranger"),
        ShutOutCause::Failures => {
            times("wrong password or request inside a foreign call", "wrong passwords or requests inside foreign calls")
        }
    }
}

fn over(alarm: &Alarm) -> String {
    match alarm {
        Alarm::SuspectOurselves { .. } => String::from("no trunks have failed together for 1 min"),
        Alarm::SharedFailure { names } => format!("of trunks {} no two are Down any more", list(names)),
        Alarm::GroupHasNobody { group } => format!("group {group} has somebody to take calls again"),
        Alarm::RegistrationLost { trunk, .. } => format!("the registration at trunk {trunk} holds again"),
        Alarm::DrillFailed { trunks, .. } => format!("a drill of {} has passed since", list(trunks)),
        Alarm::ProberStalled { .. } => String::from("all probes have been on time for 1 min"),
        Alarm::JournalDropped { count: n, .. } => {
            let lost = if *n == 1 { String::from("1 record was") } else { format!("{n} records were") };
            format!("no record has been lost to the journal for 1 min; {lost} lost in all")
        }
        Alarm::EmergencyUsed { .. } => String::from("no emergency call has ended for 1 min"),
        Alarm::SourceShutOut { .. } => String::from("no source has been shut out for 1 min"),
        Alarm::ForeignRequest { .. } => String::from("nobody has spoken inside a foreign call for 1 min"),
        Alarm::CredentialsRefused { trunk, .. } => {
            format!("trunk {trunk} has not refused our credentials for 1 min")
        }
        Alarm::RegistrarMoved { trunk, now, .. } => {
            format!("phones have registered at {now} of trunk {trunk} for 1 min")
        }
        Alarm::RegistrarGone { trunk } => format!("no REGISTER to trunk {trunk} has gone unserved for 1 min"),
        Alarm::NameFails { trunk, name, .. } => format!("name {name} of trunk {trunk} leads somewhere again"),
        Alarm::CallsBarred { trunk, .. } => format!("no call from trunk {trunk} has been refused for 1 min"),
        Alarm::Text { text } => text.clone(),
    }
}

/// What has become of a registration, after its name.
pub fn registration(state: RegistrationState) -> String {
    match state {
        RegistrationState::Registered => String::from("holds"),
        RegistrationState::Refused { code } => format!("was refused with {code}"),
        RegistrationState::NoReply { after } => format!("got no reply in {after}"),
        RegistrationState::Expired => String::from("has run out"),
    }
}

/// Names in a row; `no names` when none are known.
fn list(names: &[Name]) -> String {
    let mut names = names.iter().map(Name::as_str);
    let Some(first) = names.next() else { return String::from("no names known") };
    names.fold(String::from(first), |list, name| list + ", " + name)
}
