//! The worst day: the primary carrier is gone, and the backup takes half of the calls that come.
//!
//! What is asserted holds on any machine: counts, the edge's own clock, and what every caller was told.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, namespace, wait_until};
use serde_json::Value;
use std::time::Duration;

/// Offered per second, and what the backup takes of it.
const RATE: u32 = 40;
const BACKUP_CPS: usize = 20;
const SECONDS: u32 = 20;
/// Calls to 112 meanwhile.
const EMERGENCIES: u32 = 40;
/// An INVITE to its refusal, in microseconds of the edge's clock: there is nothing to wait for.
const QUICK_US: u64 = 250_000;

fn config() -> String {
    let backup = "[trunk.globex]\n";
    let reception = "[trunk.reception]\nat = \"sip:127.0.0.21:5060\"\nlisten = \"lan\"\n\n";
    CONFIG
        .replace(backup, &format!("{reception}{backup}limits = {{ cps = {BACKUP_CPS} }}\n"))
        .replace("from = [\"office\"]", "from = [\"office\", \"reception\"]")
}

#[test]
fn half_the_capacity_takes_half_of_the_calls_and_every_emergency() {
    namespace::enter();
    // Nobody is at acme: the kernel refuses.
    let _globex = Sipp::server("server", "127.0.0.32");
    let edge = Edge::start(&config());
    wait_until("acme is Down", Duration::from_secs(30), || {
        edge.log().lines().any(|line| line.contains("trunk acme") && line.contains("→ Down at"))
    });
    let flood = RATE * SECONDS;
    let edge_sip = "127.0.0.10:5060";
    let mut callers = Sipp::caller("caller_brief_or_refused", "127.0.0.20", edge_sip, "+4722334455", flood, RATE);
    let mut frightened =
        Sipp::caller("caller_brief", "127.0.0.21", edge_sip, "112", EMERGENCIES, EMERGENCIES / SECONDS);
    assert!(callers.finished(Duration::from_secs(120)), "answered, or 503 with Retry-After: {}", callers.errors());
    assert!(frightened.finished(Duration::from_secs(120)), "emergency calls pass: {}", frightened.errors());
    assert_eq!(callers.counts(), (u64::from(flood), 0));
    assert_eq!(frightened.counts(), (u64::from(EMERGENCIES), 0));
    let total = (flood + EMERGENCIES) as usize;
    wait_until("every call is recorded", Duration::from_secs(60), || http::call_records().len() >= total);
    let records = http::call_records();
    drop(edge);
    judge(&records);
}

fn judge(records: &[Value]) {
    let attempts = |call: &Value| call["attempts"].as_array().map_or(0, Vec::len);
    let (refused, taken): (Vec<&Value>, Vec<&Value>) = records.iter().partition(|call| attempts(call) == 0);
    let made: usize = taken.iter().map(|call| attempts(call)).sum();
    println!("{} calls: {} taken, {} refused, {made} attempts", records.len(), taken.len(), refused.len());
    assert!(made * 10 <= records.len() * 12, "{made} attempts for {} calls", records.len());
    for call in &taken {
        assert!(call["ending"].get("bye").is_some(), "whoever is taken is served: {call}");
    }
    for call in &refused {
        assert_eq!(call["ending"]["refused"]["code"], 503, "{call}");
        let waited = time(&call["ended"]) - time(&call["invited"]);
        assert!(waited <= QUICK_US, "refused after {waited} µs: {call}");
    }
    // Half of what came in is refused; emergency calls take places too, so the others may have fewer.
    let least = (SECONDS as usize - 1) * BACKUP_CPS / 2;
    assert!(taken.len() >= least, "{} taken, at least {least} could be", taken.len());
    assert!(!refused.is_empty(), "there was more than the backup takes");
    never_exceeded(&taken);
}

/// In no second, wherever it begins, the backup was offered more than its limit; emergency calls pass it.
fn never_exceeded(taken: &[&Value]) {
    let bound = taken.iter().filter(|call| call["called"] != "112");
    let attempts = bound.filter_map(|call| call["attempts"].as_array()).flatten();
    let mut sent: Vec<u64> =
        attempts.filter(|attempt| attempt["trunk"] == "globex").map(|attempt| time(&attempt["sent"])).collect();
    sent.sort_unstable();
    assert!(!sent.is_empty(), "the backup carries calls");
    for window in sent.windows(BACKUP_CPS + 1) {
        let span = window[BACKUP_CPS] - window[0];
        assert!(span >= 1_000_000, "{} calls within {span} µs", window.len());
    }
}

fn time(value: &Value) -> u64 {
    value.as_u64().expect("a time in microseconds")
}
