//! A drill of a live edge, among a hundred real calls a second: none of them fails because of it.
//!
//! SIPp and the carriers live on the same machine as the edge, so that a busy one fails calls that the edge did not. What a drill does is told
//! from that in two ways: the edge's own record of each call, with every trunk it met, and as many calls without a drill before it.
#![allow(clippy::expect_used)]

use interop::drills::{Bench, LIMIT, bench};
use interop::journal::{attempts, calls};
use interop::pauses::steadily;
use interop::sipp::Sipp;
use interop::wait_until;
use serde_json::Value;

/// Real calls of each half, and how many a second.
const CALLS: u32 = 7_000;
const RATE: u32 = 100;
/// Real calls that must have ended while the drill ran, for it to have run among them.
const AMONG: u64 = 2_000;

#[test]
fn among_a_hundred_real_calls_a_second_none_fails_because_of_it() {
    steadily(|| {
        let bench = bench("", "", "");
        let without = failed(half(|| ()));
        let mut found = Value::Null;
        let with = half(|| found = drill(&bench));
        for call in &with {
            let met = attempts(call).iter().find(|attempt| !attempt["fault"].is_null());
            assert!(met.is_none() && !call["plan"].to_string().contains("drilled"), "it met the drill: {call:#}");
        }
        let with = failed(with);
        assert!(with.len() <= without.len(), "{with:#?}\nand without a drill {without:#?}");
        assert!(found["cut"].is_null() && found["steps"].as_array().map(Vec::len) == Some(10), "{found:#}");
        assert!(found["real_calls"]["ended"].as_u64() > Some(AMONG), "{found:#}");
    });
}

/// As many real calls as go through while `beside` does something: the edge's record of each. A call that SIPp could not finish has one all the
/// same, unless its INVITE never came.
fn half(beside: impl FnOnce()) -> Vec<Value> {
    // A run before this one has left its own in the store.
    let known = calls().len();
    let mut caller = Sipp::caller("caller_brief", "127.0.0.20", "127.0.0.10:5060", "+4722334455", CALLS, RATE);
    beside();
    let finished = caller.finished(LIMIT);
    let (succeeded, failed) = caller.counts();
    let errors = caller.errors();
    let mut real = Vec::new();
    wait_until("all calls are recorded", LIMIT, || {
        real = calls().split_off(known);
        real.retain(|call| call["drilled"] != true);
        real.len() as u64 >= succeeded
    });
    assert!(finished || failed > 0, "SIPp has not come to its end: {succeeded}, {failed}: {errors}");
    eprintln!("{} real calls are recorded; SIPp tells of {succeeded} and {failed} that failed: {errors}", real.len());
    real
}

fn drill(bench: &Bench) -> Value {
    bench.drill(&["refuse", "503", "silent", "stall", "grey", "dns", "rtp-from", "rtp-to"]).0
}

/// Calls that nobody answered, or that the edge ended: how, and what each trunk did.
fn failed(calls: Vec<Value>) -> Vec<String> {
    let well = |call: &Value| !call["answered"].is_null() && !call["ending"]["bye"].is_null();
    let told = |call: Value| {
        let met = attempts(&call).iter().map(|attempt| format!("{}: {}", attempt["trunk"], attempt["outcome"]));
        format!("{}: {} ({})", call["call"], call["ending"], met.collect::<Vec<_>>().join(", "))
    };
    calls.into_iter().filter(|call| !well(call)).map(told).collect()
}
