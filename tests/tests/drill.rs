//! Drills through the built edge and the built command: trunks broken for the drill alone, and nobody else's to use.
//!
//! Each way to break a trunk and each planted fault: `drill_faults.rs`.
#![allow(clippy::expect_used)]

use interop::drills::{Bench, LIMIT, bench, step};
use interop::{http, wait_until};
use serde_json::Value;

#[test]
fn a_sound_edge_passes_and_no_trunk_suffers_from_it() {
    let bench = bench("", "", "");
    let told = || http::sentences("/v1/why/trunk/acme");
    // It is written down a moment after it is so.
    wait_until("it is told that acme is up", LIMIT, || told().iter().any(|sentence| sentence.contains("→ Up")));
    let before = told().len();
    // How fast a machine is that does other things beside is not asked here.
    let plan = bench.edge.folder().join("drill.toml");
    let text = "[drill]\ngap = \"10s\"\nringback = \"20s\"\nanswer = \"20s\"\n\
         [[line]]\ntrunk = \"acme\"\nfrom = \"office\"\nnumber = \"+4722000000\"\nfaults = [\"503\"]\n";
    std::fs::write(&plan, text).expect("a plan");
    let (found, good) = bench.drill_as(&[plan.to_str().expect("a path"), "--why", "acceptance"]);
    assert!(good, "{found:#}");
    assert_eq!((found["failed"].as_u64(), found["steps"].as_array().map(Vec::len)), (Some(0), Some(3)), "{found:#}");
    assert_eq!((found["who"].as_str(), found["why"].as_str()), (Some("local"), Some("acceptance")));
    let why = step(&found, "acme broken: 503")["why"].to_string();
    assert!(why.contains("in a drill") && why.contains("(the drill breaks it: 503)"), "{why}");
    let after = told();
    let acts = &after[before..];
    assert!(acts.iter().all(|sentence| sentence.contains("drill")), "nothing was decided about acme: {acts:#?}");
    assert!(acts.iter().any(|sentence| sentence.contains("operator local (api) breaks trunk acme")), "{acts:#?}");
    assert!(http::metric("throughline_drill_signals_spared_total") > 0.0);
    assert_eq!(http::metric("throughline_drilled_calls_total"), 3.0);
    assert_eq!(http::metric("throughline_attempts_total"), 0.0, "trunks are measured by calls of people alone");
    assert!(http::get("/v1/drill")["drill"].is_null());
}

#[test]
fn a_drill_whose_command_is_gone_ends_by_itself_and_nobody_else_may_use_it() {
    let bench = bench("", "", "");
    let begun = http::ask("POST", "/v1/drill?trunks=acme&callers=office@127.0.0.1:5999").expect("an answer");
    assert_eq!(begun.0, 200, "{}", begun.1);
    let begun: Value = serde_json::from_str(&begun.1).expect("JSON");
    let id = begun["id"].as_str().expect("a number");
    let refused = |path: &str, part: &str| {
        let (code, body) = http::ask("POST", path).expect("an answer");
        assert!((400..500).contains(&code) && body.contains(part), "{path}: {code} {body}");
    };
    refused("/v1/drill?trunks=acme&callers=office@127.0.0.1:5998", "local drills already");
    refused("/v1/drill?who=x&trunks=acme&callers=office@127.0.0.1:5998", "who");
    refused(&format!("/v1/drill/{id}/break?trunk=globex&fault=silent"), "has not named trunk `globex`");
    refused("/v1/drill/1/break?trunk=acme&fault=silent", "no drill of this number");
    refused(&format!("/v1/drill/{id}/break?trunk=acme&fault=200"), "no way to break a trunk");
    let (code, _) = http::ask("POST", &format!("/v1/drill/{id}/break?trunk=acme&fault=503")).expect("an answer");
    assert_eq!(code, 200);
    let shown = http::get("/v1/drill");
    assert_eq!((shown["drill"]["faults"][0][0].as_str(), shown["id"].as_str()), (Some("acme"), None), "{shown}");
    wait_until("nothing is heard of it", LIMIT, || http::get("/v1/drill")["drill"].is_null());
    let last = http::get("/v1/drill")["last"].as_str().map(str::to_owned).expect("why");
    assert!(last.contains("nothing was heard of who began it for 10 s"), "{last}");
    drop(bench);
}

/// When a drill of acme passed last, by the edge's metrics: seconds since 1970, 0 for never.
fn passed_at() -> f64 {
    let text = http::ask("GET", "/metrics").map(|(_, body)| body).unwrap_or_default();
    let line = text.lines().find(|line| {
        line.starts_with("throughline_trunk_drill_passed_timestamp_seconds{") && line.contains("trunk=\"acme\"")
    });
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("acme can be drilled")
}

#[test]
fn a_schedule_drills_again_and_again_and_what_it_came_to_outlives_the_edge() {
    let mut bench = bench("", "", "");
    let last = |bench: &Bench| bench.edge.command(&["drill", "--last"]).0;
    assert!(last(&bench).contains("acme: never drilled"), "{}", last(&bench));
    assert_eq!(passed_at(), 0.0);
    let mut schedule = bench.edge.begins(&["drill", "--schedule", "10s", "--fault", "503"], "schedule.log");
    wait_until("it has drilled", LIMIT, || passed_at() > 0.0);
    let first = passed_at();
    wait_until("it has drilled again", LIMIT, || passed_at() > first);
    assert!(passed_at() - first > 10.0, "an interval lies between them, and their calls");
    schedule.kill().expect("our child");
    schedule.wait().expect("our child");
    let said = std::fs::read_to_string(bench.edge.folder().join("schedule.log")).expect("what it has said");
    assert!(said.matches("globex carried the call").count() >= 2 && !said.contains("FAIL"), "{said}");

    // Whatever was under way is over; the store knows what came of those that were done.
    wait_until("no drill is under way", LIMIT, || http::get("/v1/drill")["drill"].is_null());
    let kept = passed_at();
    bench.edge.signal(libc::SIGTERM);
    assert_eq!(bench.edge.ended(LIMIT), Some(0));
    bench.edge.again();
    assert_eq!(passed_at(), kept);
    assert!(last(&bench).contains("acme: passed whole "), "{}", last(&bench));
}
