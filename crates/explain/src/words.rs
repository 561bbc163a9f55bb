//! Words: one record, one English sentence.
//!
//! A sentence names the trunk, the change, the evidence with its count and limit, the last thing seen, and what
//! happens next. Sentences go to logs, so numbers of people are cut to their end here; `why_call` shows them in full.
//! Refuses to know: where sentences go.

pub mod alarm;
pub mod audio;
pub mod call;
mod decision;
mod drill;
mod located;
mod next;
pub mod outcome;
pub mod stream;
pub mod test_call;

use crate::record::{Act, Entry, Names, Operator, Record};
use alloc::format;
use alloc::string::String;
use model::{Name, Wall};

/// The entry as one sentence, without a full stop.
pub fn sentence(entry: &Entry) -> String {
    let wall = entry.wall;
    match &entry.record {
        Record::Located(located) => located::sentence(wall, located),
        Record::Configured { fingerprint, names, start, .. } => configured(wall, *fingerprint, names, *start),
        Record::Decision { who, decision } => decision::sentence(wall, who, decision),
        Record::Operator(act) => operator(wall, act),
        Record::Call(record) => call::summary(wall, record),
        Record::Alarm(alarm) => alarm::sentence(wall, alarm),
        Record::Shadow { who, decision } => decision::shadow(wall, who, decision),
        Record::Unreadable { error } => {
            format!("a record of {wall} was written by another version and cannot be read: {error}")
        }
    }
}

fn configured(wall: Wall, fingerprint: u32, names: &Names, start: bool) -> String {
    let what = if start { "the edge started" } else { "the edge changed its configuration" };
    let (trunks, groups) = (list(&names.trunks), list(&names.groups));
    format!("{what} at {wall}: configuration {fingerprint:08x} with trunks {trunks}; groups {groups}")
}

fn list(names: &[Name]) -> String {
    // Removed trunks leave holes, which have empty names.
    let mut named = names.iter().map(Name::as_str).filter(|name| !name.is_empty());
    let Some(first) = named.next() else { return String::from("none") };
    named.fold(String::from(first), |list, name| list + ", " + name)
}

fn operator(wall: Wall, operator: &Operator) -> String {
    let Operator { trunk, act, via, who, why } = operator;
    let trunk = trunk.as_ref().map_or("?", Name::as_str);
    let by = if who.is_empty() { format!("operator ({via})") } else { format!("operator {who} ({via})") };
    let (does, then) = match act {
        Act::Drain => (format!("drains trunk {trunk}"), String::from("its calls stay, it gets no new ones")),
        Act::Out => (format!("takes trunk {trunk} out of service"), String::from("it gets no calls")),
        Act::Restore => (format!("restores trunk {trunk}"), String::from("it gets calls as health allows, at once")),
        Act::Probe => (format!("has trunk {trunk} probed"), String::from("each of its targets, at once")),
        Act::TestCall => (format!("has a test call placed to trunk {trunk}"), String::from("one, now")),
        Act::Force { group, tier, length } => (
            format!("forces group {group} to tier {}", u32::from(*tier) + 1),
            format!("for {} its trunks are tried first, then the others in their usual order", outcome::hours(*length)),
        ),
        Act::Release { group } => {
            (format!("releases group {group}"), String::from("its tiers are tried in their usual order"))
        }
        Act::TestPost { webhook } => {
            (format!("has webhook {webhook} tested"), String::from("one post now, and nothing is the matter"))
        }
        Act::Forgive { source } => {
            (format!("forgives source {source}"), String::from("nothing is held against it any more"))
        }
        Act::Reload { fingerprint } => {
            (String::from("reloads the configuration"), format!("{fingerprint:08x} is taken"))
        }
        Act::ReloadRefused { faults, first } => {
            let faults = outcome::count(*faults, "fault", "faults");
            let then = format!("refused for {faults}, first: {first}; the old one stays");
            (String::from("reloads the configuration"), then)
        }
        Act::DrillBegin { trunks, all_calls, limit } => {
            (String::from("begins a drill"), drill::begun(&list(trunks), *all_calls, *limit))
        }
        Act::DrillBreak { fault, all_calls } => {
            (format!("breaks trunk {trunk} in a drill"), drill::broken(*fault, *all_calls))
        }
        Act::DrillMend => (format!("mends trunk {trunk} in the drill"), String::from("it is as it was")),
        Act::DrillEnd { why, passed, failed, .. } => {
            (String::from("ends the drill"), drill::ended(why, *passed, *failed))
        }
        Act::Stop => {
            (String::from("stops the edge"), String::from("new calls get 503, live ones are served to their end"))
        }
    };
    let because = if why.is_empty() { String::new() } else { format!(" (\"{why}\")") };
    format!("{by} {does} at {wall}{because}: {then}")
}

#[cfg(test)]
mod tests;
