//! `calls = { … }` of a trunk: how long one attempt may take, and what moves the hunt on.

use super::fault::Faults;
use super::reader::{At, Node, Reader, many};
use super::schema::{Section, is};
use super::value;
use decide::AttemptPolicy;
use model::Span;

pub(super) static CALLS: Section = Section {
    title: "calls of [trunk.NAME]",
    example: "[trunk.acme.calls]",
    about: "How long one attempt may take, and what moves the hunt on to the next trunk.",
    keys: &[
        is(
            "first_reply",
            "duration, or \"learned\"",
            "\"1s\"",
            "INVITE to the first response of any kind: what a silent trunk costs its caller. A lost packet is repaired within it.",
        ),
        is("progress", "duration", "\"6s\"", "100 to ringing or answer: after that the trunk has stalled."),
        is(
            "ring",
            "duration",
            "\"180s\"",
            "Ringing to answer. RFC 3261 §16.6 asks for more than three minutes of a proxy; people give up sooner.",
        ),
        is("hunt", "duration", "\"12s\"", "The whole hunt until something rings; a caller hangs up soon after."),
        is("move_on", "list of codes", "[]", "Status codes that move on, besides 408, 500, 502, 503 and 504."),
        is("stop", "list of codes", "[]", "Status codes that stop, though they would move on."),
        is(
            "hunt_after_progress",
            "true or false",
            "false",
            "Move on even after ringing was heard: the caller then hears it twice.",
        ),
        is("session_max", "duration", "\"12h\"", "What never ends is ended."),
    ],
};

/// Longest call unless told otherwise.
pub(super) const SESSION_MAX: Span = Span::from_secs(12 * 3_600);
/// What a silent trunk may cost a caller before we say something.
pub(super) const PATIENCE: Span = Span::from_secs(5);

pub(super) fn read(
    trunk: &Reader<'_, '_>,
    attempt: &mut AttemptPolicy,
    session_max: &mut Span,
    faults: &mut Faults<'_>,
) {
    let Some(node) = trunk.get("calls") else { return };
    let Some(reader) = Reader::open(node, &node.span(), &CALLS, faults) else { return };
    let wait = value::span(Span::from_millis(50), Span::from_secs(600));
    reader.set("first_reply", &mut attempt.first_reply, faults, first_reply);
    reader.set("progress", &mut attempt.progress, faults, &wait);
    reader.set("ring", &mut attempt.ring, faults, &wait);
    reader.set("hunt", &mut attempt.hunt, faults, &wait);
    reader.set("hunt_after_progress", &mut attempt.hunt_after_progress, faults, value::flag);
    reader.set("session_max", session_max, faults, value::span(Span::from_secs(1), Span::from_secs(7 * 86_400)));
    for (key, list) in [("move_on", &mut attempt.move_on), ("stop", &mut attempt.stop)] {
        if let Some(node) = reader.get(key) {
            *list = many(node, faults, value::code).into_iter().map(|code: At<u16>| code.value).collect();
        }
    }
    dangers(&reader, attempt, faults);
}

/// A duration; `"learned"` is understood, and said not to be acted on.
fn first_reply(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Span> {
    let default = AttemptPolicy::default().first_reply;
    if node.get_ref().as_str() == Some("learned") {
        let what = format!("accepted but not acted on yet: the deadline is {default} until deadlines are learned");
        faults.warn(&node.span(), what, "a duration", Some(String::from("write \"1s\"")));
        return Some(default);
    }
    value::span(Span::from_millis(50), Span::from_secs(600))(node, faults)
}

fn dangers(reader: &Reader<'_, '_>, attempt: &AttemptPolicy, faults: &mut Faults<'_>) {
    if attempt.first_reply > PATIENCE {
        let what = format!("a caller waits {} in silence before a silent trunk is left", attempt.first_reply);
        let fix = Some(String::from("write \"1s\""));
        faults.warn(&reader.place("first_reply"), what, format!("at most {PATIENCE}"), fix);
    }
    if attempt.hunt < attempt.first_reply {
        let what = format!(
            "the hunt ends ({}) before the first trunk's deadline ({}), so a second one is never tried",
            attempt.hunt, attempt.first_reply
        );
        faults.warn(&reader.place("hunt"), what, "several times `first_reply`", Some(String::from("write \"12s\"")));
    }
    for code in attempt.move_on.iter().filter(|code| attempt.stop.contains(code)) {
        faults.warn(
            &reader.place("stop"),
            format!("{code} is in `move_on` too; it stops"),
            "it in one of the two",
            None,
        );
    }
    for code in attempt.move_on.iter().filter(|code| matches!(code, 486 | 487 | 600..=699)) {
        let what = format!("{code} is the called party's word: another trunk will ring the same phone again");
        faults.warn(&reader.place("move_on"), what, "codes that speak of the trunk", None);
    }
}
