//! One record as one line of the log: its sentence, and fields by which programs sort lines.
//!
//! The fields are the names of the JSON form, which the guide tells; none changes its meaning. Refuses to know: in which form
//! lines are written.

use decide::Change;
use explain::{Entry, Record};
use model::Name;

/// Writes it; what an operator should hear of is a warning.
pub(super) fn log(entry: &Entry, sentence: &str) {
    let seq = entry.seq.0;
    let at = entry.wall.to_string();
    match &entry.record {
        Record::Alarm(alarm) => {
            let (trunk, group) = (alarm.what.trunk().map(Name::as_str), alarm.what.group().map(Name::as_str));
            let (kind, severity) = (alarm.what.kind(), alarm.what.severity().word());
            if alarm.over {
                tracing::info!(event = "alarm", seq, at, kind, severity, status = "over", trunk, group, "{sentence}");
            } else {
                tracing::warn!(event = "alarm", seq, at, kind, severity, status = "raised", trunk, group, "{sentence}");
            }
        }
        Record::Decision { who, decision } => {
            let (change, from, to) = change(decision.change);
            let trunk = Some(who.trunk.as_str()).filter(|trunk| !trunk.is_empty());
            let (group, target) = (who.group.as_ref().map(Name::as_str), who.target.as_deref());
            let enforced = decision.enforced();
            tracing::info!(event = "decision", seq, at, trunk, group, target, change, from, to, enforced, "{sentence}");
        }
        Record::Operator(act) => {
            let (trunk, who, via) = (act.trunk.as_ref().map(Name::as_str), act.who.as_str(), act.via.as_str());
            let group = act.group().map(Name::as_str);
            tracing::info!(event = "operator", seq, at, trunk, group, who, via, "{sentence}");
        }
        Record::Configured { start, .. } => {
            let event = if *start { "start" } else { "reload" };
            tracing::info!(event, seq, at, "{sentence}");
        }
        Record::Located(located) => {
            tracing::info!(event = "located", seq, at, trunk = located.trunk.as_str(), "{sentence}");
        }
        Record::Call(_) | Record::Shadow { .. } | Record::Unreadable { .. } => {
            tracing::info!(event = "record", seq, at, "{sentence}");
        }
    }
}

/// What changes, from what, to what.
fn change(change: Change) -> (&'static str, Option<String>, Option<String>) {
    match change {
        Change::Health { from, to } => ("health", Some(from.word().to_owned()), Some(to.word().to_owned())),
        Change::Share { from, to } => ("share", Some(from.to_string()), Some(to.to_string())),
        Change::Admin { from, to } => ("admin", Some(from.words().to_owned()), Some(to.words().to_owned())),
        Change::Throttle { asked, .. } => ("throttle", None, Some(asked.to_string())),
        // As people count.
        Change::Force { from, to, .. } => ("force", from.map(tier), Some(tier(to))),
        Change::Release { from } => ("release", Some(tier(from)), None),
    }
}

fn tier(tier: u8) -> String {
    (u32::from(tier) + 1).to_string()
}
