//! What came of the last drill of each trunk, as the edge keeps it; a trunk that could be drilled and never was is told too.
//!
//! Refuses to know: when the next one is due.

use crate::ask;
use crate::say::say;
use model::Wall;
use serde_json::Value;

/// Shows it.
pub(super) fn show(known: &Value, json: bool) {
    if json {
        ask::raw(&known["results"]);
    } else {
        say(&lines(known).join("\n"));
    }
}

fn lines(known: &Value) -> Vec<String> {
    let drilled = known["results"].as_object();
    let mut lines: Vec<String> = drilled.into_iter().flatten().map(|(trunk, result)| line(trunk, result)).collect();
    for one in known["candidates"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let trunk = one["trunk"].as_str().unwrap_or_default();
        let is_first = one.pointer("/order/0").and_then(Value::as_str) == Some(trunk);
        if is_first && known["results"].get(trunk).is_none() {
            lines.push(format!("{trunk}: never drilled; `throughline drill --trunk {trunk}` does it now"));
        }
    }
    if lines.is_empty() {
        lines.push(String::from(
            "nothing was ever drilled, and nothing can be: no first trunk of a group has a `test_call`",
        ));
    }
    lines
}

fn line(trunk: &str, result: &Value) -> String {
    let count = |name: &str| result[name].as_u64().unwrap_or(0);
    let (passed, failed) = (count("passed"), count("failed"));
    let lines = if passed + failed == 0 {
        String::from("no drill was ever done")
    } else {
        format!("{passed} of {} lines passed in the last that was done", passed + failed)
    };
    let good = result["good"]
        .as_i64()
        .map_or_else(|| String::from("never passed whole"), |at| format!("passed whole {}", date(at)));
    let why = result["why"].as_str().unwrap_or_default();
    format!("{trunk}: {good}; last ended {}: {why}; {lines}", date(result["ended"].as_i64().unwrap_or(0)))
}

/// UTC, to the minute.
fn date(micros: i64) -> String {
    let (year, month, day, hour, minute, ..) = Wall::from_micros(micros).civil();
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_passed_what_was_cut_short_and_what_was_never_drilled_are_told_apart() {
        let result = |good: Value, why: &str, passed: u64, failed: u64| json!({ "ended": 1_795_521_847_112_345_i64, "why": why, "whole": true, "passed": passed, "failed": failed, "good": good });
        let known = json!({
            "results": {
                "acme": result(json!(1_795_521_847_112_345_i64), "it is done", 40, 0),
                "initech": result(Value::Null, "its time is over", 0, 0),
            },
            "candidates": [
                { "trunk": "acme", "order": ["acme", "globex"] },
                { "trunk": "globex", "order": ["acme", "globex"] },
                { "trunk": "umbrella", "order": ["umbrella", "acme"] },
            ],
        });
        assert_eq!(
            lines(&known),
            [
                "acme: passed whole 2026-11-24 12:04 UTC; last ended 2026-11-24 12:04 UTC: it is done; 40 of 40 lines passed in the last that was done",
                "initech: never passed whole; last ended 2026-11-24 12:04 UTC: its time is over; no drill was ever done",
                "umbrella: never drilled; `throughline drill --trunk umbrella` does it now",
            ]
        );
        assert!(lines(&json!({}))[0].contains("test_call"));
    }
}
