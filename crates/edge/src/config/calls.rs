//! `calls = { … }` of a trunk: how long one attempt may take, and what moves the hunt on.

use super::fault::Faults;
use super::reader::{At, Node, Reader, many};
use super::schema::{Section, is, other};
use super::value;
use act::DialogPolicy;
use decide::{AttemptPolicy, Hedge, Learned};
use model::Span;
use sense::BlamePolicy;

pub(super) static CALLS: Section = Section {
    title: "calls of [trunk.NAME]",
    example: "[trunk.acme.calls]",
    about: "How long one attempt may take, and what moves the hunt on to the next trunk.",
    keys: &[
        is(
            "first_reply",
            "duration, or \"learned\"",
            "\"learned\"",
            "INVITE to the first response of any kind: what a silent trunk costs its caller. Learned: four times the trunk's own 95th percentile, 250 ms to 2 s; 1 s until a hundred calls are known; 2 s for the last candidate, which nobody gains by leaving early. A duration holds for all of them.",
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
            "blamed",
            "list of codes",
            "[]",
            "Status codes of this trunk that are its own fault, though they usually speak of the called party.",
        ),
        is("excused", "list of codes", "[]", "Status codes of this trunk that are never held against it."),
        is(
            "hunt_after_progress",
            "true or false",
            "false",
            "Move on even after ringing was heard: the caller then hears it twice.",
        ),
        other(
            "hedge",
            "share",
            "off",
            "\"5%\"",
            "When no response of any kind has come by the trunk's own 95th percentile, the next one is tried beside it and who answers first wins; for at most this share of the calls of the last minute, per shard. It takes the edge off slow replies and costs attempts that were not needed.",
        ),
        is(
            "prack",
            "true or false",
            "true",
            "Provisional responses may be made to arrive (RFC 3262), on this side for itself: offered to the trunk, granted when it asks.",
        ),
        is(
            "early_media",
            "\"pass\", \"ring\" or \"supported\"",
            "\"pass\"",
            "What becomes of this trunk's audio before the answer. Ring: the caller is told to ring instead. Supported: it passes when the trunk authorises it by P-Early-Media (RFC 5009), and else the caller is told to ring.",
        ),
        is("session_max", "duration", "\"12h\"", "What never ends is ended."),
    ],
};

/// Longest call unless told otherwise.
pub(super) const SESSION_MAX: Span = Span::from_secs(12 * 3_600);
/// What a silent trunk may cost a caller before we say something.
pub(super) const PATIENCE: Span = Span::from_secs(5);

/// A hedge is a further attempt, and those are a fifth of the calls at most.
const HEDGE_MAX: u8 = 20;

/// What else the table says of calls, besides attempts and blame.
pub(super) struct Limits<'a> {
    pub(super) session_max: &'a mut Span,
    pub(super) dialogs: &'a mut DialogPolicy,
}

pub(super) fn read(
    trunk: &Reader<'_, '_>,
    attempt: &mut AttemptPolicy,
    blames: &mut BlamePolicy,
    limits: Limits<'_>,
    faults: &mut Faults<'_>,
) {
    let Some(node) = trunk.get("calls") else { return };
    let Some(reader) = Reader::open(node, &node.span(), &CALLS, faults) else { return };
    let wait = value::span(Span::from_millis(50), Span::from_secs(600));
    if let Some((fixed, learned)) = reader.read("first_reply", faults, first_reply) {
        (attempt.first_reply, attempt.learned) = (fixed, learned);
    }
    reader.set("progress", &mut attempt.progress, faults, &wait);
    reader.set("ring", &mut attempt.ring, faults, &wait);
    reader.set("hunt", &mut attempt.hunt, faults, &wait);
    reader.set("hunt_after_progress", &mut attempt.hunt_after_progress, faults, value::flag);
    attempt.hedge = reader.read("hedge", faults, value::percent(1)).map(|share| Hedge { share });
    super::dialogs::read_provisional(&reader, limits.dialogs, faults);
    reader.set("session_max", limits.session_max, faults, value::span(Span::from_secs(1), Span::from_secs(7 * 86_400)));
    let lists = [
        ("move_on", &mut attempt.move_on),
        ("stop", &mut attempt.stop),
        ("blamed", &mut blames.blamed),
        ("excused", &mut blames.excused),
    ];
    for (key, list) in lists {
        if let Some(node) = reader.get(key) {
            *list = many(node, faults, value::code).into_iter().map(|code: At<u16>| code.value).collect();
        }
    }
    dangers(&reader, attempt, faults);
}

/// A duration turns learning off; `"learned"` says what holds anyway.
fn first_reply(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<(Span, Option<Learned>)> {
    let default = AttemptPolicy::default();
    if node.get_ref().as_str() == Some("learned") {
        return Some((default.first_reply, default.learned));
    }
    Some((value::span(Span::from_millis(50), Span::from_secs(600))(node, faults)?, None))
}

fn dangers(reader: &Reader<'_, '_>, attempt: &AttemptPolicy, faults: &mut Faults<'_>) {
    if attempt.first_reply > PATIENCE {
        let what = format!("a caller waits {} in silence before a silent trunk is left", attempt.first_reply);
        let fix = Some(String::from("write \"learned\" or \"1s\""));
        faults.warn(&reader.place("first_reply"), what, format!("at most {PATIENCE}"), fix);
    }
    if attempt.hunt < attempt.first_reply {
        let what = format!(
            "the hunt ends ({}) before the first trunk's deadline ({}), so a second one is never tried",
            attempt.hunt, attempt.first_reply
        );
        faults.warn(&reader.place("hunt"), what, "several times `first_reply`", Some(String::from("write \"12s\"")));
    }
    if let Some(Hedge { share }) = attempt.hedge.filter(|hedge| hedge.share > HEDGE_MAX) {
        let what =
            format!("{share}% of the calls will hardly be hedged: the retry budget allows a fifth of them in all");
        faults.warn(&reader.place("hedge"), what, format!("at most \"{HEDGE_MAX}%\""), None);
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
