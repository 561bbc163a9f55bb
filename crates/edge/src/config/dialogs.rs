//! `session = { … }` of a trunk, and what `calls = { … }` says of its provisional responses.
//!
//! Refuses to know: what a session timer does.

use super::fault::Faults;
use super::reader::Reader;
use super::schema::{Section, is};
use super::value;
use act::{DialogPolicy, EarlyMedia};
use model::Span;
use sip::{Refresher, SHORTEST, SessionPolicy};

pub(super) static SESSION: Section = Section {
    title: "session of [trunk.NAME]",
    example: "[trunk.acme.session]",
    about: "Session timers (RFC 4028), agreed with each side of a call for itself: a call whose peer has vanished ends, and so does one that \
            we have forgotten.",
    keys: &[
        is("timers", "true or false", "true", "Take part in them. Without, only `session_max` ends what never ends."),
        is(
            "expires",
            "duration",
            "\"30min\"",
            "The interval we propose, and the longest we grant. A refresh goes out at half of it.",
        ),
        is(
            "min_se",
            "duration",
            "\"90s\"",
            "The shortest interval we accept; a shorter one is refused by 422. The RFC allows none below 90 s.",
        ),
        is(
            "refresher",
            "\"auto\", \"us\" or \"them\"",
            "\"auto\"",
            "Who refreshes. Auto: whoever the peer names, and we when it names nobody. Us: also when the peer knows no session timers.",
        ),
    ],
};

const REFRESHERS: &[&str] = &["auto", "us", "them"];
pub(super) const EARLY_MEDIA: &[&str] = &["pass", "ring", "supported"];

/// Reads the trunk's `session`.
pub(super) fn read(trunk: &Reader<'_, '_>, dialogs: &mut DialogPolicy, faults: &mut Faults<'_>) {
    let Some(node) = trunk.get("session") else { return };
    let Some(reader) = Reader::open(node, &node.span(), &SESSION, faults) else { return };
    let mut policy = SessionPolicy::default();
    reader.set("expires", &mut policy.expires, faults, value::span(SHORTEST, Span::from_secs(86_400)));
    reader.set("min_se", &mut policy.min_se, faults, value::span(SHORTEST, Span::from_secs(86_400)));
    policy.refresher = match reader.read("refresher", faults, value::word(REFRESHERS)) {
        Some("us") => Some(Refresher::Us),
        Some("them") => Some(Refresher::Them),
        _ => None,
    };
    if policy.expires < policy.min_se {
        let what = format!("sessions of {} would be shorter than {}, the shortest", policy.expires, policy.min_se);
        faults.error(&reader.place("expires"), what, "`expires` of at least `min_se`", None);
    }
    let timers = reader.read("timers", faults, value::flag).unwrap_or(true);
    dialogs.session = timers.then_some(policy);
}

/// Reads `prack` and `early_media` of the trunk's `calls`.
pub(super) fn read_provisional(calls: &Reader<'_, '_>, dialogs: &mut DialogPolicy, faults: &mut Faults<'_>) {
    calls.set("prack", &mut dialogs.reliable, faults, value::flag);
    dialogs.early_media = match calls.read("early_media", faults, value::word(EARLY_MEDIA)) {
        Some("ring") => EarlyMedia::Ring,
        Some("supported") => EarlyMedia::Authorised,
        _ => EarlyMedia::Pass,
    };
}
