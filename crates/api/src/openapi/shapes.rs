//! The shapes of answers, as JSON Schema 2020-12: what OpenAPI 3.1 speaks.
//!
//! A name that ends with `?` may be missing; one whose value is `maybe` may be null. Refuses to know: which operation answers what.

mod desk;

use explain::{Alarm, Record};
use serde_json::{Map, Value, json};

/// By name.
pub(super) fn named(shape: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{shape}") })
}

/// Every shape that has a name.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    let parts = [answers(), acts(), trunks(), own_calls(), groups(), calls(), records(), desk::desk(), desk::drill()];
    for (name, shape) in parts.into_iter().flatten() {
        all.insert(name.to_owned(), shape);
    }
    Value::Object(all)
}

type Shapes = Vec<(&'static str, Value)>;

fn object(fields: &[(&str, Value)]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, shape) in fields {
        let plain = name.strip_suffix('?');
        if plain.is_none() {
            required.push(*name);
        }
        properties.insert(plain.unwrap_or(name).to_owned(), shape.clone());
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

fn list(of: Value) -> Value {
    json!({ "type": "array", "items": of })
}

fn maybe(shape: Value) -> Value {
    json!({ "anyOf": [shape, { "type": "null" }] })
}

fn text(about: &str) -> Value {
    json!({ "type": "string", "description": about })
}

fn count(about: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": about })
}

fn number(about: &str) -> Value {
    json!({ "type": "integer", "description": about })
}

fn flag(about: &str) -> Value {
    json!({ "type": "boolean", "description": about })
}

fn anything(about: &str) -> Value {
    json!({ "description": about })
}

/// A length of time.
fn span(about: &str) -> Value {
    count(&format!("{about}, in microseconds."))
}

fn wall(about: &str) -> Value {
    number(&format!("{about}, in microseconds since 1970, UTC."))
}

/// Time since the edge was started.
fn instant(about: &str) -> Value {
    count(&format!("{about}, in microseconds since the edge was started."))
}

fn word(words: &[&str], about: &str) -> Value {
    json!({ "type": "string", "enum": words, "description": about })
}

/// One word of a closed few; those with more to say are an object with the word as its only key.
fn tagged(about: &str) -> Value {
    let alone = json!({ "type": "object", "minProperties": 1, "maxProperties": 1 });
    json!({ "anyOf": [{ "type": "string" }, alone], "description": about })
}

fn score(about: &str) -> Value {
    json!({ "type": "integer", "minimum": 100, "maximum": 500, "description": format!("{about}: opinion score in hundredths, estimated.") })
}

fn reference() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{16}$", "description": "The call, in sixteen hexadecimal digits." })
}

fn code(about: &str) -> Value {
    json!({ "type": "integer", "minimum": 100, "maximum": 699, "description": about })
}

fn sentences() -> Value {
    list(text("One sentence."))
}

fn health() -> Value {
    word(&["unknown", "up", "suspect", "down", "probation"], "What is seen of it.")
}

fn admin() -> Value {
    word(&["in_service", "draining", "out_of_service"], "What the operator wants.")
}

fn wish() -> Value {
    let percent = object(&[("percent", count("So many percent of them fewer (RFC 7339)."))]);
    let cps = object(&[("cps", count("No more than so many per second (RFC 7415)."))]);
    json!({ "anyOf": [word(&["no_calls"], "None at all."), object(&[("loss", percent)]), object(&[("rate", cps)])] })
}

/// What each question answers.
fn answers() -> Shapes {
    let next = || count("Number to go on from: the next page begins with it.");
    vec![
        ("Fault", object(&[("error", text("What is wrong.")), ("hint", text("What to do."))])),
        ("Trunks", object(&[("trunks", list(named("Trunk")))])),
        (
            "Calls",
            object(&[
                ("calls", list(named("CallInProgress"))),
                ("next", maybe(text("`after` of the next page, which may turn out empty; null when there is none."))),
                ("missing", count("Shards that have not answered in time: their calls are not on this page.")),
            ]),
        ),
        ("Call", json!({ "anyOf": [named("CallInProgress"), named("CallRecord")] })),
        ("Cdrs", object(&[("cdrs", list(named("Cdr"))), ("next", next())])),
        ("WhyCall", object(&[("call", reference()), ("sentences", sentences())])),
        ("WhyTrunk", object(&[("trunk", text("Its name.")), ("sentences", sentences())])),
        ("WhyGroup", object(&[("group", text("Its name.")), ("now", named("Group")), ("sentences", sentences())])),
        (
            "Route",
            object(&[
                ("epoch", count("Epoch of the trunk table.")),
                ("order", list(text("A trunk, in the order in which they would be tried."))),
                (
                    "excluded",
                    list(json!({
                        "type": "array", "items": text("A trunk, and why it would not be tried."), "minItems": 2, "maxItems": 2,
                    })),
                ),
                ("last_resort", flag("Every candidate is Down.")),
                ("sentences", sentences()),
            ]),
        ),
        ("Journal", object(&[("entries", list(named("Entry"))), ("next", next())])),
        ("Alarms", object(&[("alarms", list(named("Alarm")))])),
        (
            "Table",
            object(&[
                ("fingerprint", count("Of the configuration.")),
                ("seq", count("Number of the last record that led to it.")),
                ("table", json!({ "type": "object", "description": "The table itself." })),
            ]),
        ),
        ("Guard", object(&[("sources", list(named("Guarded"))), ("more", count("How many more there are."))])),
        (
            "Lab",
            object(&[
                ("sentences", sentences()),
                ("trunk?", text("The carrier.")),
                ("how?", text("How it fails.")),
                ("number?", text("What was dialled.")),
                ("answered?", flag("Whether somebody answered.")),
            ]),
        ),
        ("Document", json!({ "type": "object", "required": ["openapi", "paths"] })),
        ("Alive", object(&[("alive", flag("True."))])),
        ("Ready", object(&[("ready", flag("True."))])),
    ]
}

/// What acts answer.
fn acts() -> Shapes {
    vec![
        ("Operated", object(&[("trunk", text("Its name.")), ("sentences", sentences())])),
        ("GroupOperated", object(&[("group", text("Its name.")), ("sentences", sentences())])),
        (
            "Tested",
            object(&[("trunk", text("Its name.")), ("sentences", sentences()), ("test_call", named("TestCall"))]),
        ),
        (
            "PostTested",
            object(&[
                ("webhook", text("Its name.")),
                ("taken", flag("It has taken the post.")),
                ("code", maybe(count("Status that it has answered; null when nothing was."))),
                ("took", span("From the name of its host to the answer, or to the end of the try")),
                ("sentences", sentences()),
            ]),
        ),
        ("Forgiven", object(&[("source", text("Whom.")), ("sentences", sentences())])),
        (
            "Reloaded",
            object(&[("fingerprint", text("Of the configuration, hexadecimal.")), ("sentences", sentences())]),
        ),
    ]
}

fn trunks() -> Shapes {
    let target = object(&[
        ("addr", text("Its address.")),
        ("name", maybe(text("The name in `at` that leads to it; null when `at` has its address."))),
        ("priority", count("Its turn among targets as well as it is, 0 the first.")),
        ("weight", count("Its share among those of its turn.")),
        ("health", health()),
        ("held", span("How long it has been so")),
        ("probes_good", count("Probes accepted in a row.")),
        ("probes_bad", count("Probes failed in a row.")),
        ("rtt", maybe(span("Round trip of the last answered probe"))),
        ("attempts", count("Attempts within the last minute.")),
        ("blamed", count("Of them blamed on the trunk.")),
    ]);
    let mut fields = vec![
        ("name", text("Its name.")),
        ("health", health()),
        ("admin", admin()),
        ("share", count("Its share of calls in percent.")),
        ("held", span("How long it has been so")),
        ("throttled", maybe(span("Time left in which it asks for fewer calls"))),
        ("wish", maybe(wish())),
        ("calls", count("Calls it carries now, both directions.")),
        ("test_calls", maybe(named("TestCalls"))),
        ("names?", list(named("Name"))),
        ("registration", maybe(named("Registration"))),
        ("hearing", maybe(named("Hearing"))),
        ("targets", list(named("Target"))),
    ];
    let trunk = object(&fields);
    fields.push(("line", maybe(named("TrunkLine"))));
    let one = object(&fields);
    let hearing = object(&[
        ("calls", count("Answered calls with audio through the edge that ended within five minutes.")),
        ("one_way", count("Of them, those in which nothing ever came from the trunk although the other side spoke.")),
        ("from", maybe(named("HeardOfTrunk"))),
        ("to", maybe(named("HeardOfTrunk"))),
    ]);
    let heard = object(&[
        ("calls", count("Calls with sound in this direction.")),
        ("loss_permille", count("Packets missing or too late, per thousand.")),
        ("jitter", maybe(span("Median of the calls' mean jitters"))),
        ("mos_p10", maybe(score("What nine of ten calls reach"))),
        ("mos_p50", maybe(score("What half of the calls reach"))),
    ]);
    let name = object(&[
        ("name", text("The name.")),
        ("left", span("Time until what is known of it must be renewed")),
        ("trouble", maybe(text("Why it leads nowhere, or is not renewed."))),
        ("kept", maybe(span("How long its last addresses stay in use nevertheless"))),
    ]);
    vec![
        ("Trunk", trunk),
        ("OneTrunk", one),
        ("Target", target),
        ("Hearing", hearing),
        ("HeardOfTrunk", heard),
        ("Name", name),
    ]
}

/// What the edge itself does at a trunk.
fn own_calls() -> Shapes {
    let registration = object(&[
        ("state", maybe(tagged("`registered`, `expired`, or `refused` and `no_reply` with more."))),
        ("held", span("How long it has been so")),
        ("until", maybe(wall("Until when it holds"))),
        ("sentence", text("The same in words.")),
    ]);
    let tests = object(&[
        ("good", count("As expected.")),
        ("bad", count("Otherwise.")),
        ("void", count("Not placed, or broken off by the edge.")),
        ("last", maybe(named("TestCall"))),
    ]);
    let test = object(&[
        ("target", text("Address of the target.")),
        ("ago", span("Time since its end")),
        ("result", maybe(tagged("What came of it; null when it says nothing."))),
        ("ringback", maybe(span("INVITE to ringback"))),
        ("answer", maybe(span("INVITE to answer"))),
        ("sentence", text("The same in one sentence.")),
    ]);
    vec![("Registration", registration), ("TestCalls", tests), ("TestCall", test)]
}

/// What a group has, with or without its traffic.
fn group() -> Vec<(&'static str, Value)> {
    let member = object(&[
        ("trunk", text("The trunk.")),
        ("weight", count("Its weight within the tier.")),
        ("health", health()),
        ("admin", admin()),
        ("share", count("Share of its calls it may get, in percent.")),
        ("held", span("How long its health has been so")),
        ("throttled", maybe(span("Time left in which it asks for fewer calls"))),
        ("takes", flag("It takes calls in its turn.")),
        ("next", text("What comes next, in words; empty when nothing is due.")),
    ]);
    let forced = object(&[
        ("tier", count("The tier that the operator has put first, 0 the best.")),
        ("left", span("For how long still")),
        ("who", text("Who said so; empty when nobody knows.")),
        ("why", text("Why, in his own words; empty when he gave none.")),
        ("sentence", text("The same in words.")),
    ]);
    vec![
        ("name", text("Its name.")),
        ("active", maybe(count("The tier that carries calls, 0 the best; null when only a last resort is left."))),
        ("forced", maybe(forced)),
        ("failback", text("The terms on which a recovered trunk gets calls again.")),
        ("tiers", list(object(&[("members", list(member))]))),
    ]
}

fn groups() -> Shapes {
    let guarded = object(&[
        ("source", text("Its address, its network for IPv6, address and port of a phone.")),
        ("why", tagged("`registers`, `messages`, or `shut_out` with its cause.")),
        ("held", span("For how long by now")),
        ("left", span("For how long still")),
        ("times", count("How often it has been shut out by now.")),
        ("dropped", count("Messages dropped since.")),
    ]);
    vec![("Group", object(&group())), ("Guarded", guarded)]
}

fn calls() -> Shapes {
    let attempt = object(&[
        ("target", object(&[("trunk", count("Number of the trunk.")), ("index", count("Number of the target."))])),
        ("trunk", text("Its trunk.")),
        ("call_id", text("Call-ID of that leg.")),
        ("begun", word(&["in_turn", "beside", "hedge", "forked"], "Why it was begun.")),
        ("sent", instant("INVITE sent")),
        ("first_reply", maybe(span("INVITE to the first response"))),
        ("progress", maybe(span("INVITE to the first response other than 100"))),
        ("took", span("INVITE to the end of the attempt")),
        ("outcome", tagged("How it ended.")),
        ("fault?", tagged("How a drill had broken it: then the outcome is the drill's doing.")),
    ]);
    let waiting = object(&[("trunk", text("On whom.")), ("since", span("For how long"))]);
    let plan = json!({ "type": "object", "description": "Who was to be tried, and who was not and why." });
    let in_progress = object(&[
        ("call", reference()),
        ("from", text("Trunk it came from.")),
        ("to", maybe(text("Trunk that carries it, or is being tried."))),
        ("caller", text("Calling number.")),
        ("called", text("Called number.")),
        ("state", word(&["trying", "ringing", "answered"], "How far it is.")),
        ("invited", instant("INVITE received")),
        ("age", span("Time since the INVITE")),
        ("talking", maybe(span("Time since the answer"))),
        ("plan", maybe(plan.clone())),
        (
            "attempts",
            list(json!({ "anyOf": [object(&[("over", named("Attempt"))]), object(&[("waiting", waiting)])] })),
        ),
        ("sentences", sentences()),
    ]);
    let record = object(&[
        ("call", reference()),
        ("call_id", text("Call-ID of the caller's leg.")),
        ("from", text("Trunk it came from.")),
        ("caller", text("Calling number as sent.")),
        ("called", text("Called number as sent.")),
        ("invited", instant("INVITE received")),
        ("progressed", maybe(instant("First provisional response other than 100 relayed"))),
        ("answered", maybe(instant("2xx relayed"))),
        ("ended", instant("Over")),
        ("plan", anything("`Ok` and the plan, or `Err` and why there was none.")),
        ("trunks", list(anything("Number and name of a trunk that the plan mentions."))),
        ("tiers?", list(anything("Number and tier of a trunk that was left out."))),
        ("group", maybe(text("Name of the plan's group."))),
        ("attempts", list(named("Attempt"))),
        ("ending", tagged("`cancelled`, or `refused`, `out_of_retries`, `bye` and `ended` with more.")),
        ("media", maybe(json!({ "type": "object", "description": "What passed, and what was heard of each side." }))),
        ("notes?", list(anything("What was seen and done about its audio, in order."))),
        ("drilled?", flag("It was one of a drill.")),
    ]);
    vec![("Attempt", attempt), ("CallInProgress", in_progress), ("CallRecord", record), ("Cdr", stitched())]
}

/// A call in one row with its attempts; the columns of the command line have the same names.
fn stitched() -> Value {
    let tried = object(&[
        ("trunk", text("Whom.")),
        ("target", count("Number of the target within the trunk.")),
        ("call_id", text("Call-ID of that leg.")),
        ("sent", wall("INVITE sent")),
        ("first_reply", maybe(span("INVITE to the first response"))),
        ("progress", maybe(span("INVITE to the first response other than 100"))),
        ("took", span("INVITE to the end of the attempt")),
        ("outcome", text("How it ended: `answered`, `refused`, `no_reply` and so on.")),
        ("code", maybe(code("Of the refusal or the redirection."))),
    ]);
    let mut row = vec![("seq", count("Number of its record; it only grows."))];
    row.extend(cdr());
    row.push(("tried", list(tried)));
    object(&row)
}

/// A call in one row, as billing and statistics want it.
fn cdr() -> Vec<(&'static str, Value)> {
    let heard = object(&[
        ("codec", maybe(text("Encoding name of its codec."))),
        ("packets", count("Packets received.")),
        ("loss_permille", count("Packets missing or too late, per thousand.")),
        ("jitter", maybe(span("Mean jitter"))),
        ("mos", maybe(score("As heard"))),
    ]);
    let endings = ["refused", "out_of_retries", "cancelled", "bye_caller", "bye_callee", "ended"];
    vec![
        ("call", reference()),
        ("call_id", text("Call-ID of the caller's leg.")),
        ("from", text("Trunk it came from.")),
        ("caller", text("Calling number as sent.")),
        ("called", text("Called number as sent.")),
        ("invited", wall("INVITE received")),
        ("answered", maybe(wall("2xx relayed"))),
        ("ended", wall("Over")),
        ("pdd", maybe(span("Post-dial delay: INVITE to the first response other than 100, unless that was a refusal"))),
        ("setup", maybe(span("INVITE to 2xx"))),
        ("duration", span("2xx to the end; 0 when it was never answered")),
        ("code", maybe(code("Status the caller got; null when the edge ended the call before any answer."))),
        ("ending", word(&endings, "How it ended.")),
        ("attempts", count("Attempts on the wire.")),
        ("trunk", maybe(text("Trunk that answered."))),
        ("caller_heard", maybe(heard.clone())),
        ("callee_heard", maybe(heard)),
    ]
}

fn records() -> Shapes {
    let mut record = json!({
        "type": "object", "minProperties": 1, "maxProperties": 1,
        "description": "The record under its kind. What is in it grows with versions; `sentence` says it in English.",
    });
    record["properties"] =
        Record::KINDS.into_iter().map(|kind| (kind.to_owned(), json!({ "type": "object" }))).collect();
    record["properties"]["call"] = named("CallRecord");
    let entry = object(&[
        ("seq", count("Its number; grows by one.")),
        ("at", json!({ "type": "string", "format": "date-time", "description": "When it was written down." })),
        ("wall", wall("The same")),
        ("sentence", text("What it says.")),
        ("record", record),
    ]);
    let alarm = object(&[
        ("kind", word(&Alarm::KINDS, "What is the matter.")),
        ("since", json!({ "type": "string", "format": "date-time", "description": "When it was raised." })),
        ("sentence", text("What is the matter, in words.")),
        ("alarm", tagged("The same as a value.")),
    ]);
    vec![("Entry", entry), ("Alarm", alarm)]
}
