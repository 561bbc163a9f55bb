//! Test calls through the built edge: its own sockets, agents as carriers, audio checked by its content at both ends.
//!
//! The carriers listen before the edge starts, as in the audio tests.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{Behaviour, Failing, Heard, Report};
use interop::agents::agent;
use interop::edge::{CONFIG, Edge};
use interop::{became_true, http, namespace, wait_until};
use model::Span;
use node::lab::{LiveAgent, Order};
use serde_json::Value;
use std::time::Duration;

const NUMBER: &str = "+4722000000";
/// What the edge plays in a test call, in hertz.
const OURS_HZ: u16 = 1_700;
const LIMIT: Duration = Duration::from_secs(60);

fn echoes() -> Behaviour {
    Behaviour { tone_hz: 440, echo_number: Some(NUMBER), ..Behaviour::default() }
}

/// The usual edge, whose carriers get test calls: acme is to answer and echo, globex to refuse with 486.
fn config() -> String {
    let test_call =
        |more: &str| format!("test_call = {{ number = \"{NUMBER}\", every = \"12h\", deadline = \"3s\"{more} }}\n");
    CONFIG
        .replace("[trunk.acme]\n", &format!("[trunk.acme]\n{}", test_call("")))
        .replace("[trunk.globex]\n", &format!("[trunk.globex]\n{}", test_call(", expect = [\"486\", \"404\"]")))
}

/// A test call; one that must wait for the end of another, which the schedule may have placed, is asked for again.
fn test_call(trunk: &str) -> Value {
    let mut answer = None;
    wait_until(&format!("a test call to {trunk}"), LIMIT, || {
        let (code, body) = http::ask("POST", &format!("/v1/trunks/{trunk}/test-call")).expect("an answer");
        assert!(matches!(code, 200 | 409), "{code}: {body}");
        answer = (code == 200).then(|| serde_json::from_str::<Value>(&body).expect("JSON"));
        answer.is_some()
    });
    answer.expect("an answer")
}

fn sentence(answer: &Value) -> &str {
    answer["sentences"][0].as_str().expect("a sentence")
}

/// What a carrier heard in its last call.
fn heard(carrier: &LiveAgent) -> Heard {
    loop {
        match carrier.reports.recv_timeout(LIMIT) {
            Ok(Report::Ended { by_us: false, heard, .. }) => return heard,
            Ok(_) => {}
            Err(_) => panic!("waited in vain for the end of the call"),
        }
    }
}

fn at_rest(edge: &Edge) {
    let rest = || matches!(edge.held(), (calls, _, ports) if calls == 0.0 && ports == 0.0);
    assert!(became_true(LIMIT, rest), "calls, transactions, ports: {:?}", edge.held());
}

#[test]
fn an_echo_number_is_heard_in_both_directions_and_its_times_are_told() {
    namespace::enter();
    let acme = agent("acme", 31, echoes());
    let _globex = agent("globex", 32, echoes());
    let edge = Edge::start(&config());
    let answer = test_call("acme");
    let good = &answer["test_call"]["result"]["good"];
    let times = ["ringback", "answer"].map(|name| good[name].as_u64().map(Span::from_micros).expect("a time"));
    assert!(times[0] >= Span::from_millis(20) && times[1] >= Span::from_millis(200), "{answer}");
    assert!(sentence(&answer).contains("our tone came back for"), "{answer}");
    let heard = heard(&acme);
    assert_eq!(heard.tone_hz, Some(OURS_HZ), "{heard:?}");
    assert!(heard.tone_for >= Span::from_millis(500), "{heard:?}");
    let shown = http::get("/v1/trunks")["trunks"][1]["test_calls"].clone();
    assert!(shown["good"].as_u64() >= Some(1) && shown["bad"].as_u64() == Some(0), "{shown}");
    assert!(http::metric("throughline_trunk_test_calls_good_total") >= 1.0);
    assert!(http::metric("throughline_trunk_test_call_answer_seconds") >= 0.2);
    let (said, done) = edge.command(&["test-call", "office"]);
    assert!(!done && said.contains("trunk `office` has no test call"), "{said}");
    at_rest(&edge);
}

#[test]
fn no_audio_and_audio_one_way_are_told_apart() {
    namespace::enter();
    let acme = agent("acme", 31, Behaviour { failing: Some(Failing::NoRtp), ..echoes() });
    let edge = Edge::start(&config());
    let answer = test_call("acme");
    assert_eq!(answer["test_call"]["result"]["no_tone"]["from_target"], false, "{answer}");
    assert!(sentence(&answer).contains("no tone heard from it, and ours did not come back"), "{answer}");
    assert_eq!(heard(&acme).tone_hz, Some(OURS_HZ), "the edge has played all the same");
    acme.order(Order::Behave(Behaviour { echo_number: None, ..echoes() }));
    let answer = test_call("acme");
    assert_eq!(answer["test_call"]["result"]["no_tone"]["from_target"], true, "{answer}");
    assert!(sentence(&answer).contains("nothing proves that ours is heard there"), "{answer}");
    let trunks = http::get("/v1/trunks");
    assert!(trunks["trunks"][1]["test_calls"]["bad"].as_u64() >= Some(2), "{trunks}");
    at_rest(&edge);
}

#[test]
fn codes_are_good_when_they_are_expected() {
    namespace::enter();
    let busy = |code| Behaviour { refuse: Some(code), ..echoes() };
    let globex = agent("globex", 32, busy(486));
    let edge = Edge::start(&config());
    let answer = test_call("globex");
    assert!(sentence(&answer).ends_with("refused with 486, as expected"), "{answer}");
    globex.order(Order::Behave(busy(503)));
    let answer = test_call("globex");
    assert_eq!(answer["test_call"]["result"]["refused"]["code"], 503, "{answer}");
    globex.order(Order::Behave(echoes()));
    let answer = test_call("globex");
    assert_eq!(answer["test_call"]["result"]["refused"]["code"], 200, "{answer}");
    assert!(heard(&globex).tone_hz.is_none(), "ended at once");
    at_rest(&edge);
}

#[test]
fn a_silent_trunk_and_one_that_rings_for_ever_end_by_the_deadline() {
    namespace::enter();
    let acme = agent("acme", 31, Behaviour { answer_after: None, ..echoes() });
    let edge = Edge::start(&config());
    let answer = test_call("acme");
    assert!(sentence(&answer).ends_with("no answer in 3 s"), "{answer}");
    let left = |report: &Report| matches!(report, Report::Refused { code: 487, .. });
    let mut reports = std::iter::from_fn(|| acme.reports.recv_timeout(LIMIT).ok());
    assert!(reports.any(|report| left(&report)), "the ringing was cancelled");
    acme.order(Order::Behave(Behaviour { failing: Some(Failing::Silent), ..echoes() }));
    let answer = test_call("acme");
    assert_eq!(answer["test_call"]["result"]["no_reply"]["after"], 3_000_000, "{answer}");
    assert!(sentence(&answer).ends_with("no final response in 3 s"), "{answer}");
    at_rest(&edge);
}

#[test]
fn a_test_call_that_is_up_when_the_edge_stops_is_ended_by_bye() {
    namespace::enter();
    // It does not echo, so that the edge listens for as long as it may.
    let acme = agent("acme", 31, Behaviour { echo_number: None, ..echoes() });
    let mut edge = Edge::start(&config());
    // The thread lives in this namespace too; what it is told depends on whether the API outlives the answer.
    let ask = || http::ask("POST", "/v1/trunks/acme/test-call");
    let asked = std::thread::Builder::new().name("asks".to_owned()).spawn(ask).expect("a thread");
    let answered = |report: Report| matches!(report, Report::Answered { .. });
    assert!(std::iter::from_fn(|| acme.reports.recv_timeout(LIMIT).ok()).any(answered), "no call came");
    edge.signal(libc::SIGTERM);
    // How much was heard until then is chance; that the call is ended is not.
    let _end = heard(&acme);
    assert_eq!(edge.ended(LIMIT), Some(0));
    asked.join().expect("the thread that asked");
}
