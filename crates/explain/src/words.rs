//! Words: one record, one English sentence.
//!
//! A sentence names the trunk, the change, the evidence with its count and limit, the last thing seen, and what
//! happens next. Sentences go to logs, so numbers of people are cut to their end here; `why_call` shows them in full.
//! Refuses to know: where sentences go.

pub mod alarm;
pub mod audio;
pub mod call;
mod decision;
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
    let via = &operator.via;
    let trunk = operator.trunk.as_ref().map_or("?", Name::as_str);
    match &operator.act {
        Act::Drain => format!("operator ({via}) drains trunk {trunk} at {wall}: its calls stay, it gets no new ones"),
        Act::Out => format!("operator ({via}) takes trunk {trunk} out of service at {wall}: it gets no calls"),
        Act::Restore => {
            format!("operator ({via}) restores trunk {trunk} at {wall}: it gets calls as health allows, at once")
        }
        Act::Forgive { source } => {
            format!("operator ({via}) forgives source {source} at {wall}: nothing is held against it any more")
        }
        Act::Reload { fingerprint } => {
            format!("operator ({via}) reloads the configuration at {wall}: {fingerprint:08x} is taken")
        }
        Act::ReloadRefused { faults, first } => {
            let faults = outcome::count(*faults, "fault", "faults");
            format!(
                "operator ({via}) reloads the configuration at {wall}: refused for {faults}, first: {first}; the old one stays"
            )
        }
        Act::Stop => {
            format!("operator ({via}) stops the edge at {wall}: new calls get 503, live ones are served to their end")
        }
    }
}

#[cfg(test)]
mod tests;
