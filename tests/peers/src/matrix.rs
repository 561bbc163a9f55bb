//! What most tests of the matrix share: who is where, and what is asked of the edge after a call.
//!
//! Refuses to know: which peers a test has.

use interop::edge::Edge;
use interop::{http, journal, wait_until};
use serde_json::Value;
use std::time::Duration;

/// Where the edge listens for the PBX.
pub const LAN: &str = "127.0.0.10:5060";
/// Where it listens for carriers.
pub const WAN: &str = "127.0.0.11:5060";
/// The PBX.
pub const OFFICE: &str = "127.0.0.20";
/// The first carrier, or the proxy before it.
pub const ACME: &str = "127.0.0.31";
/// The second one.
pub const GLOBEX: &str = "127.0.0.32";
/// The number of a carrier's side.
pub const FAR: &str = "+4722334455";
/// The number of the PBX.
pub const NEAR: &str = "+4799887766";
/// Longer than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(60);
/// What must have been heard of a tone to count as heard.
pub const ENOUGH_MS: u32 = 1_000;

/// The calls that are recorded, once there are so many, in order.
pub fn recorded(count: usize) -> Vec<Value> {
    wait_until(&format!("{count} calls are recorded"), LIMIT, || journal::calls().len() >= count);
    journal::calls()
}

/// Where a call was tried, and what came of it.
pub fn attempts(call: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    journal::attempts(call).iter().map(|attempt| (text(&attempt["trunk"]), text(&attempt["outcome"]))).collect()
}

/// The one call of a test was tried so, and the edge says so in words.
pub fn was_tried(wanted: &[(&str, &str)]) {
    let call = recorded(1).remove(0);
    let found = attempts(&call);
    assert_eq!(found.len(), wanted.len(), "{call}");
    for ((trunk, outcome), (at, word)) in found.iter().zip(wanted) {
        assert_eq!(trunk, at, "{call}");
        assert!(outcome.contains(word), "`{word}` was to come of it at {at}: {call}");
    }
    let id = call["call"].as_str().expect("its reference");
    let why = http::sentences(&format!("/v1/why/call/{id}")).join("\n");
    for (trunk, _) in wanted {
        assert!(why.contains(trunk), "{why}");
    }
}

/// Nothing is left of any call.
pub fn rests(edge: &Edge) {
    wait_until("calls and ports are given back", LIMIT, || {
        let (calls, _, ports) = edge.held();
        calls == 0.0 && ports == 0.0
    });
}
