//! The shapes of what the operator's desk and a drill live by.
//!
//! Refuses to know: which operation answers what.

use super::{
    Shapes, admin, anything, cdr, count, flag, group, health, list, maybe, named, object, reference, score, span, text,
    wall, word,
};
use serde_json::{Value, json};

/// Totals and pages.
pub(super) fn desk() -> Shapes {
    let mut traffic = group();
    traffic.push(("sentence", text("Who carries calls and why.")));
    traffic.push(("attempts", list(list(count("Attempts of five minutes at a member, tier by tier.")))));
    let access = object(&[
        ("who", text("What records call him: name of a token, `local` or `anonymous`.")),
        ("role", word(&["viewer", "operator"], "What he may: look, or look and act.")),
        ("by_token", flag("He has shown a token.")),
        ("tokens", flag("There are tokens.")),
    ]);
    let view = object(&[
        ("edge", text("What this edge is called.")),
        ("at", wall("When")),
        ("seq", count("Number of the last record.")),
        ("epoch", count("Epoch of the trunk table.")),
        ("calls", count("Calls in progress.")),
        ("trunks", totals()),
        ("alarms", list(text("An alarm under way, in words."))),
        ("lines", list(named("TrunkLine"))),
        ("more", count("How many more there are behind them.")),
    ]);
    let ended = object(&[("seq", count("Number of its record.")), ("cdr", object(&cdr()))]);
    let why = json!({ "type": "string", "maxLength": 200, "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]*$",
        "description": "Why, in one line." });
    let mut said = object(&[("why?", maybe(why))]);
    said["additionalProperties"] = Value::Bool(false);
    vec![
        ("Access", access),
        ("Word", said),
        ("Desk", view),
        ("TrunkLine", line()),
        ("Groups", object(&[("groups", list(object(&traffic))), ("more", count("How many more there are."))])),
        ("Live", object(&[("all", count("Calls in progress.")), ("calls", list(live()))])),
        ("Ended", object(&[("calls", list(ended))])),
        ("Timeline", object(&[("entries", list(named("Entry"))), ("more", flag("There may be more behind them."))])),
    ]
}

fn totals() -> Value {
    let of = |about: &str| count(&format!("Trunks that are {about}."));
    object(&[
        ("all", count("All of them.")),
        ("up", of("up")),
        ("suspect", of("suspect")),
        ("down", of("down")),
        ("probation", of("on probation")),
        ("unknown", of("not seen yet")),
        ("out", of("kept out by the operator's word, and counted under nothing else")),
    ])
}

fn line() -> Value {
    object(&[
        ("name", text("Its name.")),
        ("health", health()),
        ("admin", admin()),
        ("share", count("Share of its calls that it may get, in percent.")),
        ("held", span("How long its health has been so")),
        ("calls", count("Calls it carries now.")),
        ("capacity", maybe(count("Calls it may carry."))),
        ("throttled", maybe(span("Time left in which it asks for no calls"))),
        ("attempts", count("Attempts of five minutes.")),
        ("traffic", maybe(count("Its part of the attempts of all trunks, per thousand."))),
        ("asr", maybe(count("Answer-seizure ratio of five minutes, per thousand."))),
        ("ner", maybe(count("Network effectiveness ratio of five minutes, per thousand."))),
        ("pdd", maybe(span("Mean post-dial delay of five minutes"))),
        ("mos", maybe(score("What half of the calls reach"))),
        ("cause", maybe(text("Why it is as it is; null when nothing has been decided since the start."))),
        ("next", text("What comes next; empty when nothing is due.")),
        ("unregistered", flag("Our registration there does not hold.")),
        ("probed", flag("It is probed.")),
        ("test_call", flag("It has a test call.")),
    ])
}

/// A call in progress in one line.
fn live() -> Value {
    object(&[
        ("call", reference()),
        ("from", text("Trunk it came from.")),
        ("to", maybe(text("Trunk that carries it, or is being tried."))),
        ("caller", text("Calling number.")),
        ("called", text("Called number.")),
        ("state", word(&["trying", "ringing", "answered", "ending"], "How far it is.")),
        ("age", span("Time since the INVITE")),
        ("talking", maybe(span("Time since the answer"))),
        ("attempts", count("Attempts so far.")),
    ])
}

pub(super) fn drill() -> Shapes {
    let real = object(&[
        ("ended", count("Ended since it began.")),
        ("failed", count("Of them, those that nobody answered because trunks failed.")),
    ]);
    let view = object(&[
        ("who", text("Who drills.")),
        ("age", span("For how long")),
        ("left", span("Time until it ends at the latest")),
        ("trunks", list(text("A trunk that it may break."))),
        ("all_calls", flag("It breaks them for every call.")),
        ("faults", list(anything("A trunk that is broken now, and how."))),
        ("real_calls", real),
        ("calls", list(object(&[("call", reference()), ("call_id", text("Call-ID of its caller."))]))),
    ]);
    let candidate = object(&[
        ("trunk", text("Who may be broken.")),
        ("from", text("As whose calls.")),
        ("number", text("What they dial.")),
        ("order", list(text("A trunk, in the order in which they are tried."))),
    ]);
    let at =
        json!({ "type": "object", "description": "By the name of a trunk: the address that its calls come in at." });
    let results = json!({
        "type": "object",
        "description": "By the name of a trunk: what came of its last drill.",
        "additionalProperties": object(&[
            ("ended", wall("When it ended")),
            ("why", text("Why.")),
            ("whole", flag("It was done; else it was cut short.")),
            ("passed", count("Lines that passed in the last one that was done.")),
            ("failed", count("Lines that failed in it.")),
            ("good", maybe(wall("When one passed whole"))),
        ]),
    });
    let answer = object(&[
        ("drill", maybe(view)),
        ("last", maybe(text("Why the last one ended."))),
        ("numbers?", list(text("A number that may be dialled in it."))),
        ("candidates?", list(candidate)),
        ("at?", at),
        ("results?", results),
        ("now?", wall("What the edge's clock shows")),
        ("id?", text("Its number, for whoever began it.")),
        ("mark?", text("What the Call-IDs of its calls begin with.")),
    ]);
    vec![("Drill", answer)]
}
