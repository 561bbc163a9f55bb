//! The journal of the running edge, and what tests ask of its calls.

use crate::http;
use serde_json::Value;

/// Every call record of the journal.
pub fn calls() -> Vec<Value> {
    let mut found = Vec::new();
    let mut from = 1;
    loop {
        let page = http::get(&format!("/v1/journal?from={from}&limit=1000"));
        let entries = page["entries"].as_array().cloned().unwrap_or_default();
        let Some(last) = entries.last().and_then(|entry| entry["seq"].as_u64()) else { return found };
        from = last + 1;
        found.extend(entries.into_iter().filter_map(|entry| entry["record"].get("call").cloned()));
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
