//! The journal of the running edge, and what tests ask of its calls.

use crate::http;
use serde_json::Value;

/// Every call record of the journal.
pub fn calls() -> Vec<Value> {
    records("call")
}

/// Every record of this kind in the journal, in order.
pub fn records(kind: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut from = 1;
    loop {
        let page = http::get(&format!("/v1/journal?from={from}&limit=1000"));
        let entries = page["entries"].as_array().cloned().unwrap_or_default();
        let Some(last) = entries.last().and_then(|entry| entry["seq"].as_u64()) else { return found };
        from = last + 1;
        found.extend(entries.into_iter().filter_map(|entry| entry["record"].get(kind).cloned()));
    }
}

/// Attempts of a call, in order.
pub fn attempts(call: &Value) -> &[Value] {
    call["attempts"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Attempts of a call at one trunk.
pub fn attempts_at<'a>(call: &'a Value, trunk: &'a str) -> impl Iterator<Item = &'a Value> {
    attempts(call).iter().filter(move |attempt| attempt["trunk"] == trunk)
}

/// Attempts of a call at one trunk that did not work out.
pub fn lost_at<'a>(call: &'a Value, trunk: &'a str) -> impl Iterator<Item = &'a Value> {
    attempts_at(call, trunk).filter(|attempt| attempt["outcome"] != "answered")
}

/// The caller heard an attempt ringing.
pub fn rang(attempt: &Value) -> bool {
    !attempt["progress"].is_null()
}

/// When an attempt was over, in microseconds by the edge's own clock.
pub fn over(attempt: &Value) -> u64 {
    attempt["sent"].as_u64().unwrap_or(0) + attempt["took"].as_u64().unwrap_or(0)
}

/// The end of the last call that is recorded, in microseconds by the edge's own clock: while calls flow, a little before now.
pub fn now() -> u64 {
    calls().iter().filter_map(|call| call["ended"].as_u64()).max().unwrap_or(0)
}

/// Whether the last thing decided about a trunk's health is that it is Up.
pub fn stands(trunk: &str) -> bool {
    let sentences = http::ask("GET", &format!("/v1/why/trunk/{trunk}")).map(|(_, body)| body).unwrap_or_default();
    sentences.rfind('→').is_some_and(|last| sentences[last..].starts_with("→ Up"))
}
