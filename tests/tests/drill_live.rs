//! A drill of a live edge, among a hundred real calls a second: none of them fails because of it. Nothing else is to run beside it.
#![allow(clippy::expect_used)]

use interop::drills::{LIMIT, bench};
use interop::http;
use interop::sipp::Sipp;

#[test]
fn among_a_hundred_real_calls_a_second_none_fails_because_of_it() {
    let bench = bench("", "", "");
    let calls = 9_000;
    let mut caller = Sipp::caller("caller_brief", "127.0.0.20", "127.0.0.10:5060", "+4722334455", calls, 100);
    let (found, _) = bench.drill(&["refuse", "503", "silent", "stall", "grey", "dns", "rtp-from", "rtp-to"]);
    let finished = caller.finished(LIMIT);
    let (succeeded, failed) = caller.counts();
    assert!(finished && failed == 0 && succeeded == u64::from(calls), "{succeeded}, {failed}: {}", caller.errors());
    // A machine that does other things beside may put a trunk in doubt; what the drill must not do is harm calls, or end early.
    assert!(found["cut"].is_null() && found["steps"].as_array().map(Vec::len) == Some(10), "{found:#}");
    let real = |name: &str| found["real_calls"][name].as_u64().unwrap_or(0);
    assert!(real("ended") > 1_000 && real("failed") == 0, "{found:#}");
    let played = http::metric("throughline_call_drill_faults_total");
    assert!((1.0..=8.0).contains(&played), "the drill's own calls alone meet a fault: {played}");
}
