//! The API described by itself, as an OpenAPI 3.1 document at `/v1/openapi.json`.
//!
//! Written by hand, one entry an operation and one shape a value, so that it reads like the reference it is; tests hold it to the router in both
//! directions, and to every answer they get. A shape lists what this version says. Later ones may say more: a reader passes over what it does
//! not know. Refuses to know: how anything is answered.

mod shapes;
#[cfg(test)]
pub(crate) mod tests;

use crate::capture::PCAP;
use serde_json::{Map, Value, json};

/// One operation: a method at a path.
pub(crate) struct Operation {
    /// `get` or `post`.
    pub(crate) method: &'static str,
    /// With names in braces.
    pub(crate) path: &'static str,
    /// What programs call it by.
    id: &'static str,
    /// What it is for.
    about: &'static str,
    /// After the question mark.
    query: &'static [Param],
    /// What success looks like.
    answer: Answer,
    /// Statuses of failure, besides those that every operation has.
    faults: &'static [u16],
    /// A body may say why.
    why: bool,
    /// Whoever asks is answered, with a token or without.
    open: bool,
}

/// The body of a success.
enum Answer {
    /// JSON of this shape.
    Json(&'static str),
    /// Server-sent events.
    Events,
    /// Text for Prometheus.
    Metrics,
    /// A file of pcap.
    Pcap,
}

/// A parameter.
#[derive(Clone, Copy)]
enum Param {
    Act,
    After,
    AllCalls,
    Before,
    Broken,
    Call,
    Callers,
    Dialled,
    Drill,
    Failed,
    Fault,
    Find,
    From,
    FromTrunk,
    How,
    Kind,
    Length,
    Limit,
    Mended,
    Name,
    Number,
    OfTrunk,
    Order,
    Passed,
    Seconds,
    Shadow,
    Since,
    Skip,
    Source,
    Tier,
    Troubled,
    Trunk,
    Trunks,
    What,
}

/// An operation that looks.
const fn get(path: &'static str, id: &'static str, about: &'static str, answer: &'static str) -> Operation {
    let answer = Answer::Json(answer);
    Operation { method: "get", path, id, about, query: &[], answer, faults: &[], why: false, open: false }
}

/// An operation that changes something.
const fn post(path: &'static str, id: &'static str, about: &'static str, answer: &'static str) -> Operation {
    Operation { method: "post", ..get(path, id, about, answer) }
}

impl Operation {
    const fn asks(self, query: &'static [Param]) -> Self {
        Self { query, ..self }
    }

    const fn fails(self, faults: &'static [u16]) -> Self {
        Self { faults, ..self }
    }

    const fn told_why(self) -> Self {
        Self { why: true, ..self }
    }

    const fn open(self) -> Self {
        Self { open: true, ..self }
    }
}

/// All of them, in the order of the reference.
pub(crate) static OPERATIONS: [Operation; 39] = [
    get("/v1/access", "access", "Who asks, and what that one may.", "Access"),
    get("/v1/desk", "desk", "Totals, alarms and a page of trunks with a line each.", "Desk").asks(&[
        Param::Find,
        Param::Troubled,
        Param::Order,
        Param::Skip,
        Param::Limit,
    ]),
    get("/v1/desk/groups", "groups", "A page of groups, and where their traffic flows.", "Groups")
        .asks(&[Param::Skip, Param::Limit]),
    get("/v1/desk/live", "live", "Calls in progress, a line each.", "Live").asks(&[Param::Limit]),
    get("/v1/desk/ended", "ended", "Calls that are over, the latest first.", "Ended")
        .asks(&[Param::Before, Param::Limit]),
    get("/v1/timeline", "timeline", "Records other than calls, the latest first.", "Timeline").asks(&[
        Param::OfTrunk,
        Param::Before,
        Param::Limit,
    ]),
    get("/v1/trunks", "trunks", "Health, load and evidence of every trunk.", "Trunks"),
    get("/v1/trunks/{name}", "trunk", "One trunk, with its line of the desk.", "OneTrunk").fails(&[404]),
    post(
        "/v1/trunks/{name}/{act}",
        "operate",
        "The operator's word about a trunk: it wins over all evidence.",
        "Operated",
    )
    .told_why()
    .fails(&[404]),
    post(
        "/v1/trunks/{name}/test-call",
        "testCall",
        "Places a test call and tells, when it is over, what came of it.",
        "Tested",
    )
    .told_why()
    .fails(&[404, 409]),
    post(
        "/v1/groups/{name}/force",
        "force",
        "The operator puts a tier of a group first, for a time; the others are tried after it.",
        "GroupOperated",
    )
    .asks(&[Param::Tier, Param::Length])
    .told_why()
    .fails(&[404]),
    post("/v1/groups/{name}/release", "release", "Its tiers are tried in their usual order again.", "GroupOperated")
        .told_why()
        .fails(&[404]),
    post(
        "/v1/webhooks/{name}/test",
        "testPost",
        "Posts a test to a webhook, once, and tells what it has answered or why it has not.",
        "PostTested",
    )
    .told_why()
    .fails(&[404]),
    get("/v1/calls", "calls", "Calls in progress, in the order in which they came.", "Calls")
        .asks(&[Param::Limit, Param::After]),
    get("/v1/calls/{call}", "call", "One call: in progress, or its record when it is over.", "Call").fails(&[404]),
    Operation {
        answer: Answer::Pcap,
        ..get(
            "/v1/calls/{call}/pcap",
            "callPcap",
            "What was said in a call: the SIP messages of both its legs and all its attempts, as a file of pcap. Keys and digests are masked. \
             `Capture-Whole: no` says that its beginning is kept no more.",
            "",
        )
        .fails(&[404, 409])
    },
    get("/v1/cdrs", "cdrs", "Calls that are over, one row each with its attempts, oldest first.", "Cdrs").asks(&[
        Param::From,
        Param::Since,
        Param::Limit,
    ]),
    get("/v1/why/call/{call}", "whyCall", "Why a call went as it did.", "WhyCall").fails(&[404]),
    get("/v1/why/trunk/{name}", "whyTrunk", "Each change of a trunk, oldest first.", "WhyTrunk")
        .asks(&[Param::Limit, Param::Shadow])
        .fails(&[404]),
    get("/v1/why/group/{name}", "whyGroup", "A group as it is now, and the changes of its members.", "WhyGroup")
        .asks(&[Param::Limit])
        .fails(&[404]),
    get("/v1/route", "route", "Who would be tried now for a number; no call is placed.", "Route")
        .asks(&[Param::Number, Param::FromTrunk])
        .fails(&[404]),
    get("/v1/journal", "journal", "Records from a number on, in order.", "Journal").asks(&[Param::From, Param::Limit]),
    Operation {
        answer: Answer::Events,
        ..get("/v1/events", "events", "Every record as it is written.", "").asks(&[Param::Kind, Param::From])
    },
    get("/v1/alarms", "alarms", "Alarms under way.", "Alarms"),
    get("/v1/table", "table", "The trunk table, bit for bit, as a replay of the journal must give it.", "Table"),
    get("/v1/guard", "guard", "Whom the guard shuts out or limits, the worst first.", "Guard").asks(&[Param::Limit]),
    post("/v1/guard/{source}/forgive", "forgive", "A source that the guard keeps out is heard again.", "Forgiven")
        .told_why(),
    get("/v1/drill", "drill", "The drill under way, and what may be drilled.", "Drill"),
    post("/v1/drill", "beginDrill", "Begins a drill; `id` in the answer is what the others want.", "Drill")
        .asks(&[Param::Trunks, Param::Callers, Param::AllCalls, Param::Seconds])
        .fails(&[404, 409])
        .told_why(),
    post("/v1/drill/{drill}/break", "breakTrunk", "Breaks a trunk for the calls of the drill.", "Drill")
        .asks(&[Param::Broken, Param::Fault])
        .fails(&[404, 409]),
    post("/v1/drill/{drill}/mend", "mendTrunk", "Breaks it no more.", "Drill")
        .asks(&[Param::Mended])
        .fails(&[404, 409]),
    post("/v1/drill/{drill}/keep", "keepDrill", "Whoever began it is still there.", "Drill").fails(&[409]),
    post("/v1/drill/{drill}/end", "endDrill", "Ends it, and puts on record what came of it.", "Drill")
        .asks(&[Param::Passed, Param::Failed])
        .fails(&[409]),
    post("/v1/reload", "reload", "Reads the configuration again; one with faults changes nothing.", "Reloaded")
        .fails(&[409]),
    post("/v1/lab/{what}", "lab", "What only the lab can do: a call, a carrier that fails.", "Lab")
        .asks(&[Param::Trunk, Param::How, Param::Dialled])
        .fails(&[404]),
    get("/v1/openapi.json", "openapi", "This document.", "Document"),
    Operation { answer: Answer::Metrics, ..get("/metrics", "metrics", "Everything counted and measured.", "") },
    get("/healthz", "alive", "200 while every thread answers.", "Alive").open(),
    get("/readyz", "ready", "200 while new calls are taken.", "Ready").open(),
];

/// The document.
pub(crate) fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in &OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = operation.described();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Throughline",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "What can be seen of the edge, and what an operator may tell it.",
            "description": "Moments are microseconds since 1970 in UTC where they are called `wall`, microseconds since the \
                edge was started elsewhere. Lengths of time are microseconds. An error is `{error, hint}`: what is wrong, what to do.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        // Or none, where the configuration lets strangers in.
        "security": [{ "token": [] }, {}],
        "components": {
            "schemas": shapes::all(),
            "securitySchemes": { "token": {
                "type": "http", "scheme": "bearer",
                "description": "A token of `[api]` in the configuration; its role says whether it may only look, or act too.",
            } },
        },
    })
}

impl Operation {
    fn described(&self) -> Value {
        let in_path = self.path.split(['{', '}']).skip(1).step_by(2).filter_map(Param::of_path);
        let parameters: Vec<Value> = in_path
            .map(|param| param.described("path"))
            .chain(self.query.iter().map(|param| param.described("query")))
            .collect();
        let content = match self.answer {
            Answer::Json(shape) => json!({ "application/json": { "schema": shapes::named(shape) } }),
            Answer::Events => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
            Answer::Metrics => json!({
                "text/plain": { "schema": { "type": "string" } },
                "application/openmetrics-text": { "schema": { "type": "string" } },
            }),
            // Without a schema: OpenAPI 3.1 says so of what is no text.
            Answer::Pcap => json!({ (PCAP): {} }),
        };
        let mut responses = json!({ "200": { "description": "Done.", "content": content } });
        for status in self.statuses() {
            responses[status.to_string()] = json!({
                "description": meaning(status),
                "content": { "application/json": { "schema": shapes::named("Fault") } },
            });
        }
        let mut described = json!({
            "operationId": self.id,
            "summary": self.about,
            "parameters": parameters,
            "responses": responses,
        });
        if self.why {
            let content = json!({ "application/json": { "schema": shapes::named("Word") } });
            described["requestBody"] = json!({ "required": false, "content": content });
        }
        if self.open {
            described["security"] = json!([]);
        }
        described
    }

    /// Every status of failure.
    fn statuses(&self) -> impl Iterator<Item = u16> {
        // Wherever there is something to read there is something that cannot be read.
        let of_method: &[u16] = if self.method == "post" { &[403] } else { &[] };
        let of_strangers: &[u16] = if self.open { &[] } else { &[401] };
        let usual = [400, 413, 503].iter().chain(of_method).chain(of_strangers);
        usual.chain(self.faults).copied()
    }
}

const fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The question is wrong.",
        401 => "Not without a token that may do it.",
        403 => "This token may look alone, or a web page of another origin asks for a change.",
        404 => "There is no such thing.",
        409 => "Not as things are.",
        413 => "The body is too large.",
        _ => "Not now: the edge is busy, starting, draining or stopping.",
    }
}

impl Param {
    fn of_path(name: &str) -> Option<Self> {
        match name {
            "name" => Some(Self::Name),
            "call" => Some(Self::Call),
            "drill" => Some(Self::Drill),
            "act" => Some(Self::Act),
            "source" => Some(Self::Source),
            "what" => Some(Self::What),
            _ => None,
        }
    }

    fn described(self, place: &str) -> Value {
        let (name, about, schema) = self.of_calls().or_else(|| self.of_trunks()).unwrap_or_else(|| self.of_drills());
        let required = place == "path"
            || matches!(
                self,
                Self::Number
                    | Self::Broken
                    | Self::Mended
                    | Self::Fault
                    | Self::Trunks
                    | Self::Callers
                    | Self::Tier
                    | Self::Length
            );
        json!({ "name": name, "in": place, "required": required, "description": about, "schema": schema })
    }

    /// Which calls and records, and which part of them.
    fn of_calls(self) -> Option<Described> {
        let reference = json!({ "type": "string", "pattern": "^[0-9a-fA-F]{1,16}$" });
        Some(match self {
            Self::After => {
                let place = json!({ "type": "string", "pattern": "^[0-9]{1,19}-[0-9a-fA-F]{1,16}$" });
                ("after", "`next` of the page before; the first page when it is missing.", place)
            }
            Self::Before => {
                ("before", "Those with numbers below this one; the latest when it is missing.", number(0, u64::MAX))
            }
            Self::Call => ("call", "Its reference.", reference),
            Self::Dialled => ("number", "What the office dials; a number of the carriers when it is missing.", text()),
            Self::From => ("from", "Number of the first record: `next` of the page before.", number(0, u64::MAX)),
            Self::FromTrunk => ("from", "Trunk that the call would come from; any when it is missing.", text()),
            Self::Kind => {
                let kinds = json!({ "type": "string" });
                ("kind", "Kinds of records, with commas between them; all when it is missing.", kinds)
            }
            Self::Limit => ("limit", "Rows in the answer; 100 unless told.", number(1, 1_000)),
            Self::Number => ("number", "Called number.", text()),
            Self::Shadow => ("shadow", "With what the second policy would have decided.", json!({ "type": "boolean" })),
            Self::Since => {
                let forms = ["date-time", "date"].map(|form| json!({ "type": "string", "format": form }));
                ("since", "Those alone that ended then or later.", json!({ "anyOf": forms }))
            }
            Self::Skip => ("skip", "So many are passed over.", number(0, u64::MAX)),
            Self::Source => ("source", "As GET /v1/guard shows it.", source()),
            _ => return None,
        })
    }

    /// Which trunks, and what they are told.
    fn of_trunks(self) -> Option<Described> {
        Some(match self {
            Self::Act => ("act", "What it is told.", words(&["drain", "out", "restore", "probe"])),
            Self::Find => {
                ("find", "Part of their names.", json!({ "type": "string", "maxLength": 128, "pattern": PRINTED }))
            }
            Self::How => {
                let ways = ["silent", "refuse", "503", "stall", "grey", "no-rtp", "heal"];
                ("how", "How the carrier fails.", words(&ways))
            }
            Self::Length => ("for", "Seconds until it ends by itself.", number(1, 86_400)),
            Self::Name => ("name", "Its name.", segment()),
            Self::OfTrunk => ("trunk", "Only what concerns this one.", text()),
            Self::Order => ("order", "Those in trouble first, unless told.", words(&["worst", "name", "calls"])),
            Self::Tier => ("tier", "Which tier, 0 the best.", number(0, 255)),
            Self::Troubled => ("troubled", "Only those that are not as they should be.", json!({ "type": "boolean" })),
            Self::Trunk => ("trunk", "The carrier.", text()),
            Self::What => ("what", "What is asked.", words(&["call", "fail"])),
            _ => return None,
        })
    }

    /// What a drill is told.
    fn of_drills(self) -> Described {
        let names = "^[^,\\x00-\\x1f\\x7f-\\x9f]{1,32}(?:,[^,\\x00-\\x1f\\x7f-\\x9f]{1,32}){0,7}$";
        let caller = "[^,@\\x00-\\x1f\\x7f-\\x9f]{1,32}@127\\.[0-9]\\.[0-9]\\.[0-9]:[1-9][0-9]{0,3}";
        match self {
            Self::AllCalls => ("all_calls", "Trunks are broken for every call.", json!({ "type": "boolean" })),
            Self::Callers => {
                let about = "Where its calls come from, each as the trunk it counts as, `@`, address and port; with commas between them.";
                ("callers", about, json!({ "type": "string", "pattern": format!("^{caller}(?:,{caller}){{0,1}}$") }))
            }
            Self::Drill => ("drill", "Its `id`.", json!({ "type": "string", "pattern": "^[0-9a-fA-F]{1,16}$" })),
            Self::Failed => ("failed", "Lines of it that failed.", number(0, u64::MAX)),
            Self::Fault => {
                let pattern = "^(?:dns|refuse|silent|stall|grey|rtp-from|rtp-to|[456][0-9][0-9])$";
                (
                    "fault",
                    "How it is broken: in a word, or by the code that it refuses with.",
                    json!({ "type": "string", "pattern": pattern }),
                )
            }
            Self::Passed => ("passed", "Lines of it that passed.", number(0, u64::MAX)),
            Self::Seconds => ("limit", "Seconds until it ends at the latest; 600 unless told.", number(1, 3_600)),
            Self::Trunks => {
                let about = "Names of the trunks that it may break, with commas between them.";
                ("trunks", about, json!({ "type": "string", "pattern": names }))
            }
            // Trunks that it was told of when it began.
            _ => ("trunk", "The trunk.", text()),
        }
    }
}

/// Name, meaning and schema.
type Described = (&'static str, &'static str, Value);

/// No control characters.
const PRINTED: &str = "^[^\\x00-\\x1f\\x7f-\\x9f]*$";

fn text() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 128, "pattern": PRINTED })
}

/// Part of a path: not what clients take for a way within it.
fn segment() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f/]+$" })
}

fn words(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn number(least: u64, most: u64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

/// An address, an IPv6 network, address and port of a phone.
fn source() -> Value {
    let network = "^(?:[1-9a-f][0-9a-f]{0,3}:){2}:/64$";
    let phone =
        "^(?:(?:1?[1-9]?[0-9]|2[0-4][0-9]|25[0-5])\\.){3}(?:1?[1-9]?[0-9]|2[0-4][0-9]|25[0-5]):[1-9][0-9]{0,3}$";
    json!({ "anyOf": [
        { "type": "string", "format": "ipv4" },
        { "type": "string", "format": "ipv6" },
        { "type": "string", "pattern": network },
        { "type": "string", "pattern": phone },
    ] })
}
