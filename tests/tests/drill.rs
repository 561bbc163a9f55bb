//! Drills through the built edge and the built command: trunks broken for the drill alone, calls of others untouched, planted faults found.
//!
//! The carriers listen before the edge starts, as in the audio tests.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{Behaviour, Failing};
use interop::agents::agent;
use interop::edge::{CONFIG, Edge};
use interop::{http, namespace, wait_until};
use node::lab::{LiveAgent, Order};
use serde_json::Value;
use std::time::Duration;

const NUMBER: &str = "+4722000000";
const LIMIT: Duration = Duration::from_secs(60);

fn echoes(tone_hz: u16) -> Behaviour {
    Behaviour { tone_hz, echo_number: Some(NUMBER), ..Behaviour::default() }
}

fn config() -> String {
    let test_call = format!("test_call = {{ number = \"{NUMBER}\", every = \"12h\" }}\n");
    CONFIG
        .replace("[trunk.acme]\n", &format!("[trunk.acme]\n{test_call}"))
        .replace("[trunk.globex]\n", &format!("[trunk.globex]\n{test_call}"))
}

struct Bench {
    edge: Edge,
    acme: LiveAgent,
    globex: LiveAgent,
}

fn bench() -> Bench {
    namespace::enter();
    let (acme, globex) = (agent("acme", 31, echoes(440)), agent("globex", 32, echoes(850)));
    let edge = Edge::start(&config());
    wait_until("both carriers are up", LIMIT, || http::health("acme") == "up" && http::health("globex") == "up");
    Bench { edge, acme, globex }
}

impl Bench {
    /// What a drill of these faults says, and whether it was good.
    fn drill(&self, faults: &[&str]) -> (Value, bool) {
        let mut args = vec!["drill", "--json"];
        faults.iter().for_each(|fault| args.extend(["--fault", fault]));
        let (said, good) = self.edge.command(&args);
        // What it complains of follows the document.
        let end = said.rfind("\n}").map_or(said.len(), |at| at + 2);
        let found = serde_json::from_str(&said[..end]).unwrap_or_else(|error| panic!("{error}: {said}"));
        (found, good)
    }
}

fn step<'v>(found: &'v Value, title: &str) -> &'v Value {
    let steps = found["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["title"] == title).unwrap_or_else(|| panic!("no step {title}: {found}"))
}

/// The checks of a step that failed.
fn failed(step: &Value) -> Vec<&str> {
    let lines = step["lines"].as_array().expect("lines").iter();
    lines.filter(|line| line["verdict"] == "failed").filter_map(|line| line["check"].as_str()).collect()
}

#[test]
fn a_sound_edge_passes_and_no_trunk_suffers_from_it() {
    let bench = bench();
    let before = http::sentences("/v1/why/trunk/acme").len();
    let (found, good) = bench.drill(&["refuse", "503", "silent", "stall", "grey", "dns"]);
    assert!(good, "{found:#}");
    assert_eq!((found["failed"].as_u64(), found["steps"].as_array().map(Vec::len)), (Some(0), Some(8)), "{found:#}");
    let silent = step(&found, "acme broken: silent");
    assert!(silent["ringback"].as_u64() > step(&found, "acme as it is")["ringback"].as_u64(), "{silent:#}");
    let told = silent["why"].to_string();
    assert!(told.contains("in a drill") && told.contains("(the drill breaks it: silent)"), "{told}");
    assert_eq!((http::health("acme").as_str(), http::health("globex").as_str()), ("up", "up"));
    let after = http::sentences("/v1/why/trunk/acme");
    let acts = &after[before..];
    assert!(acts.iter().all(|sentence| sentence.contains("drill")), "nothing was decided about acme: {acts:#?}");
    assert!(acts.iter().any(|sentence| sentence.contains("it answers nothing")), "{acts:#?}");
    assert!(http::metric("throughline_drill_signals_spared_total") > 0.0);
    assert_eq!(http::metric("throughline_drilled_calls_total"), 8.0);
    assert_eq!(http::metric("throughline_attempts_total"), 0.0, "trunks are measured by calls of people alone");
    assert!(http::get("/v1/drill")["drill"].is_null());
}

#[test]
fn blocked_audio_is_noticed_in_each_direction() {
    let bench = bench();
    let (found, good) = bench.drill(&["rtp-from"]);
    assert!(good, "{found:#}");
    let heard = step(&found, "acme broken: rtp-from");
    assert!(heard["why"].to_string().contains("audio of acme"), "{heard:#}");
    assert!(http::metric("throughline_media_dropped_drilled_total") > 100.0);
    assert_eq!(http::health("acme"), "up");
}

#[test]
fn planted_faults_of_the_stand_in_fail_their_lines() {
    let bench = bench();
    bench.globex.order(Order::Behave(Behaviour { failing: Some(Failing::NoRtp), ..echoes(850) }));
    let (found, good) = bench.drill(&["503"]);
    assert!(!good && failed(step(&found, "acme broken: 503")) == ["audio-from", "audio-to"], "{found:#}");
    assert!(failed(step(&found, "acme as it is")).is_empty(), "{found:#}");
    // One way: what it says is heard, and it hears nothing that it could send back.
    bench.globex.order(Order::Behave(Behaviour { echo_number: None, ..echoes(850) }));
    let (found, _) = bench.drill(&["503"]);
    assert_eq!(failed(step(&found, "acme broken: 503")), ["audio-to"], "{found:#}");
    // Credentials that it wants and nobody has configured.
    bench.globex.order(Order::Behave(Behaviour { refuse: Some(401), ..echoes(850) }));
    let (found, _) = bench.drill(&["503"]);
    let lines = failed(step(&found, "acme broken: 503"));
    assert!(lines.contains(&"stand-in"), "{found:#}");
    // And the trunk itself, while nothing is broken.
    bench.globex.order(Order::Behave(echoes(850)));
    bench.acme.order(Order::Behave(Behaviour { refuse: Some(503), ..echoes(440) }));
    let (found, _) = bench.drill(&["503"]);
    assert_eq!(failed(step(&found, "acme as it is")), ["sound"], "{found:#}");
}

#[test]
fn a_drill_whose_command_is_gone_ends_by_itself_and_nobody_else_may_use_it() {
    let bench = bench();
    let begun = http::ask("POST", "/v1/drill?who=x&trunks=acme&callers=office@127.0.0.1:5999").expect("an answer");
    assert_eq!(begun.0, 200, "{}", begun.1);
    let begun: Value = serde_json::from_str(&begun.1).expect("JSON");
    let id = begun["id"].as_str().expect("a number");
    let refused = |path: &str, part: &str| {
        let (code, body) = http::ask("POST", path).expect("an answer");
        assert!((400..500).contains(&code) && body.contains(part), "{path}: {code} {body}");
    };
    refused("/v1/drill?trunks=acme&callers=office@127.0.0.1:5998", "x drills already");
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
