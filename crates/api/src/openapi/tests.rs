//! The document against the router, in both directions, and against every answer of these tests.

use super::{OPERATIONS, Operation, document};
use crate::desk;
use model::CallRef;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The operation that a request meets.
fn operation(method: &str, path: &str) -> Option<&'static Operation> {
    let path = path.split('?').next().unwrap();
    let of = |template: &str| {
        let (mut asked, mut known) = (path.split('/'), template.split('/'));
        loop {
            match (asked.next(), known.next()) {
                (None, None) => return true,
                (Some(asked), Some(known)) if known.starts_with('{') || asked == known => {}
                _ => return false,
            }
        }
    };
    let fits = |one: &&Operation| one.method.eq_ignore_ascii_case(method) && of(one.path);
    // One without a name in braces is meant before one with.
    let all = OPERATIONS.iter().filter(fits);
    all.min_by_key(|one| one.path.matches('{').count())
}

/// The document, in which no object may have more than it says.
fn strict(mut document: Value) -> Value {
    fn close(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.values_mut().for_each(close);
                if object.contains_key("properties") {
                    object.insert("additionalProperties".to_owned(), Value::Bool(false));
                }
            }
            Value::Array(list) => list.iter_mut().for_each(close),
            _ => {}
        }
    }
    close(&mut document["components"]["schemas"]);
    document
}

/// Holds an answer to what the document says of it. What no operation answers is a fault.
pub(crate) fn hold(method: &str, path: &str, status: u16, answer: &Value) {
    let document = strict(document());
    let known = operation(method, path).filter(|_| status != 405);
    let schema = known.map_or_else(
        || json!({ "$ref": "#/components/schemas/Fault" }),
        |operation| {
            let responses = &document["paths"][operation.path][operation.method]["responses"];
            let said = &responses[status.to_string()]["content"]["application/json"]["schema"];
            assert!(!said.is_null(), "{method} {path}: {status} is not in the document");
            said.clone()
        },
    );
    check(&document, schema, answer);
}

fn check(document: &Value, schema: Value, answer: &Value) {
    let mut faults = Vec::new();
    Checked { document }.meets(&schema, answer, "answer", &mut faults);
    assert!(faults.is_empty(), "{answer:#}\n{}", faults.join("\n"));
}

/// As much of JSON Schema as the document uses; what it does not know it refuses.
struct Checked<'a> {
    document: &'a Value,
}

impl Checked<'_> {
    fn meets(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let schema = schema.as_object().unwrap();
        for (keyword, wanted) in schema {
            let good = match keyword.as_str() {
                "description" | "format" | "maxLength" | "properties" | "additionalProperties" => true,
                "$ref" => {
                    let shape = wanted.as_str().unwrap().strip_prefix("#/components/schemas/").unwrap();
                    let shape = &self.document["components"]["schemas"][shape];
                    self.meets(shape, value, at, faults);
                    true
                }
                "type" => match wanted.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("{other} is no type"),
                },
                "enum" => wanted.as_array().unwrap().contains(value),
                "minimum" => value.as_f64().is_none() || value.as_f64() >= wanted.as_f64(),
                "maximum" => value.as_f64().is_none() || value.as_f64() <= wanted.as_f64(),
                // They speak of objects and lists alone.
                "minProperties" => {
                    value.as_object().is_none_or(|object| object.len() as u64 >= wanted.as_u64().unwrap())
                }
                "maxProperties" => {
                    value.as_object().is_none_or(|object| object.len() as u64 <= wanted.as_u64().unwrap())
                }
                "minItems" => value.as_array().is_none_or(|list| list.len() as u64 >= wanted.as_u64().unwrap()),
                "maxItems" => value.as_array().is_none_or(|list| list.len() as u64 <= wanted.as_u64().unwrap()),
                "pattern" => {
                    assert_eq!(wanted, "^[0-9a-f]{16}$", "the only one in an answer");
                    value.as_str().is_none_or(|text| text.len() == 16 && text.parse::<CallRef>().is_ok())
                }
                "required" => {
                    let mut names = wanted.as_array().unwrap().iter().filter_map(Value::as_str);
                    names.all(|name| value.get(name).is_some())
                }
                "anyOf" => wanted.as_array().unwrap().iter().any(|one| {
                    let mut none = Vec::new();
                    self.meets(one, value, at, &mut none);
                    none.is_empty()
                }),
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.meets(wanted, item, &format!("{at}[{index}]"), faults);
                    }
                    true
                }
                other => panic!("{other} is no word that is known here"),
            };
            if !good {
                faults.push(format!("{at}: {keyword} {wanted}"));
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, member) in properties.and(value.as_object()).into_iter().flatten() {
            match properties.and_then(|known| known.get(name)) {
                Some(known) => self.meets(known, member, &format!("{at}.{name}"), faults),
                None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
                    faults.push(format!("{at}: {name} is additional"));
                }
                None => {}
            }
        }
    }
}

/// Every method at every path that the router takes, but for the files of the desk.
fn routes() -> BTreeSet<(&'static str, &'static str)> {
    let sources = [include_str!("../routes.rs"), include_str!("../views.rs")];
    let routes = sources.iter().flat_map(|source| source.split(".route(\"").skip(1));
    let split = routes.filter_map(|route| route.lines().next()?.split_once('"'));
    let methods = ["get", "post", "put", "delete", "patch"].into_iter();
    split
        .flat_map(|(path, taken)| {
            let takes = methods.clone().filter(move |method| taken.contains(&format!("{method}(")));
            takes.map(move |method| (method, path))
        })
        .collect()
}

#[test]
fn every_route_is_in_the_document_and_the_other_way_round() {
    let described: BTreeSet<_> = OPERATIONS.iter().map(|operation| (operation.method, operation.path)).collect();
    assert_eq!(routes(), described);
    let document = document();
    for (method, path) in &described {
        assert!(document["paths"][path][method].is_object(), "{method} {path}");
    }
    let ids: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), OPERATIONS.len(), "each operation has a name of its own");
}

#[test]
fn strangers_are_answered_where_the_gate_lets_them_through_and_nowhere_else() {
    for operation in &OPERATIONS {
        assert_eq!(operation.open, desk::is_open(operation.path), "{}", operation.path);
    }
}

#[test]
fn every_shape_is_there_and_used() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for name in schemas.keys() {
        assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "{name} is used by nothing");
    }
    let named = text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
    let missing: Vec<&str> = named.filter(|name| !schemas.contains_key(*name)).collect();
    assert_eq!(missing, [""; 0]);
}

fn shaped(shape: &str, value: impl serde::Serialize) {
    let schema = json!({ "$ref": format!("#/components/schemas/{shape}") });
    check(&strict(document()), schema, &serde_json::to_value(value).unwrap());
}

/// With everything that a trunk can have.
pub(crate) fn trunk() -> Value {
    let heard = json!({ "calls": 1, "loss_permille": 4, "jitter": 3_000, "mos_p10": 410, "mos_p50": null });
    let test_call = json!({
        "target": "192.0.2.1:5060", "ago": 5, "result": { "good": { "ringback": 90_000, "answer": null } },
        "ringback": 90_000, "answer": null, "sentence": "heard in both directions",
    });
    let name = json!({ "name": "sbc.acme.example", "left": 0, "trouble": "no server replied", "kept": null });
    let target = json!({
        "addr": "192.0.2.1:5060", "name": "sbc.acme.example", "priority": 0, "weight": 1, "health": "probation",
        "held": 1_000_000, "probes_good": 3, "probes_bad": 0, "rtt": 3_000, "attempts": 1, "blamed": 0,
    });
    json!({
        "name": "acme", "health": "up", "admin": "draining", "share": 25, "held": 7_000_000, "throttled": 3_000_000,
        "wish": { "loss": { "percent": 20 } }, "calls": 2,
        "test_calls": { "good": 1, "bad": 0, "void": 0, "last": test_call },
        "names": [name],
        "registration": { "state": { "refused": { "code": 403 } }, "held": 0, "until": 1, "sentence": "refused" },
        "hearing": { "calls": 1, "one_way": 0, "from": heard, "to": null },
        "targets": [target],
    })
}

/// A trunk in one line.
pub(crate) fn line() -> Value {
    json!({
        "name": "acme", "health": "suspect", "admin": "in_service", "share": 100, "held": 7_000_000, "calls": 2,
        "capacity": 30, "throttled": null, "attempts": 40, "traffic": 1_000, "asr": 610, "ner": 990, "pdd": 900_000,
        "mos": 431, "cause": "2 of 40 attempts were refused", "next": "", "unregistered": false, "probed": true,
        "test_call": false,
    })
}

/// A look at the edge, which is called so.
pub(crate) fn desk(edge: &str) -> Value {
    let trunks = json!({ "all": 1, "up": 0, "suspect": 1, "down": 0, "probation": 0, "unknown": 0, "out": 0 });
    json!({
        "edge": edge, "at": 1_795_521_847_112_345_i64, "seq": 9, "epoch": 2, "calls": 2, "trunks": trunks,
        "alarms": ["late"], "lines": [line()], "more": 0,
    })
}

/// A call that is over, which dialled so.
pub(crate) fn cdr(called: &str) -> Value {
    let heard = json!({ "codec": null, "packets": 5, "loss_permille": 0, "jitter": null, "mos": 431 });
    json!({
        "call": CallRef(7), "call_id": "1@office", "from": "office", "caller": "+4755", "called": called, "invited": 0,
        "answered": null, "ended": 1_000_000, "pdd": 80_000, "setup": null, "duration": 0, "code": 503,
        "ending": "refused", "attempts": 1, "trunk": null, "caller_heard": heard, "callee_heard": null,
    })
}

/// The same with its number and its attempts.
pub(crate) fn stitched(seq: u64) -> Value {
    let mut row = cdr("+4722");
    row["seq"] = json!(seq);
    row["tried"] = json!([{
        "trunk": "acme", "target": 0, "call_id": "1@edge", "sent": 0, "first_reply": null, "progress": null,
        "took": 1_000_000, "outcome": "refused", "code": 503,
    }]);
    row
}

/// A drill of somebody.
pub(crate) fn drill(who: &str) -> Value {
    let view = json!({
        "who": who, "age": 1, "left": 599_000_000, "trunks": ["acme"], "all_calls": false, "faults": [["acme", "503"]],
        "real_calls": { "ended": 4, "failed": 0 }, "calls": [{ "call": CallRef(7), "call_id": "drill-1-1@edge" }],
    });
    json!({ "drill": view, "last": null, "numbers": ["+4722"], "at": { "acme": "192.0.2.9:5060" }, "id": "1", "mark": "drill-1-" })
}

pub(crate) fn call(call: CallRef, called: &str) -> Value {
    let over = json!({
        "target": { "trunk": 1, "index": 0 }, "trunk": "acme", "call_id": "1@edge", "begun": "in_turn", "sent": 0,
        "first_reply": null, "progress": null, "took": 1_000_000, "outcome": { "no_reply": { "after": 1_000_000 } },
    });
    json!({
        "call": call, "from": "office", "to": null, "caller": "+4755", "called": called, "state": "trying", "invited": 0,
        "age": 1_000_000, "talking": null, "plan": null,
        "attempts": [{ "over": over }, { "waiting": { "trunk": "globex", "since": 5_000 } }],
        "sentences": ["no reply from acme in 1 s"],
    })
}

#[test]
fn values_have_the_shape_that_is_told() {
    shaped("Trunk", trunk());
    shaped("CallInProgress", call(CallRef(7), "+4722"));
    shaped("Desk", desk("here"));
    shaped("Drill", drill("anna"));
    for why in [json!("registers"), json!({ "shut_out": "scanner" })] {
        shaped("Guarded", json!({ "source": "192.0.2.1", "why": why, "held": 0, "left": 0, "times": 1, "dropped": 3 }));
    }
}

/// A check that passes everything would hold nobody to anything.
#[test]
#[should_panic(expected = "additional")]
fn what_is_not_told_is_a_fault() {
    let mut more = call(CallRef(7), "+4722");
    more["secret"] = json!(1);
    shaped("CallInProgress", more);
}
