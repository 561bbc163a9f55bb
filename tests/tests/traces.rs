//! Traces of calls as a collector gets them: by failover, by a collector that sulks, and beside one that is not there.
#![allow(clippy::expect_used, clippy::panic)]

use agent::Behaviour;
use interop::agents::{agent, dial, ended, expect, plays};
use interop::edge::{CONFIG, Edge};
use interop::receiver::{Manner, receiver, told};
use interop::{http, namespace, wait_until};
use model::Span;
use node::lab::LiveAgent;
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);
const TALK: Span = Span::from_secs(1);

fn calls_one(office: &LiveAgent) {
    office.order(dial("127.0.0.10:5060", 1_400, Some(TALK)));
    let heard = expect(office, "the end of the call", ended);
    assert_eq!(heard.tone_hz, Some(850), "globex is heard, whatever becomes of traces: {heard:?}");
}

/// `office`, `acme` that has too much to do, and `globex`.
fn parties() -> [LiveAgent; 3] {
    let busy = Behaviour { refuse: Some(503), ..Behaviour::default() };
    [agent("office", 20, plays(1_400)), agent("acme", 31, busy), agent("globex", 32, plays(850))]
}

fn spans(post: &Value) -> &[Value] {
    post["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans")
}

fn attribute<'v>(span: &'v Value, key: &str) -> &'v Value {
    let list = span["attributes"].as_array().expect("attributes");
    list.iter().find(|one| one["key"] == key).map_or(&Value::Null, |one| &one["value"])
}

fn counted(name: &str, what: &str) -> f64 {
    http::metric(&format!("throughline_trace_{name}_total{{what=\"{what}\"}}"))
}

#[test]
fn a_call_by_failover_is_one_trace_with_two_attempts_whatever_the_collector_does_first() {
    namespace::enter();
    let collector = receiver(4_318, &[Manner::Answers(503), Manner::Answers(200)]);
    let [office, _acme, _globex] = parties();
    let traces = "[traces]\nurl = \"http://127.0.0.1:4318/v1/traces\"\nheaders = \"env:HEADERS\"\nsample = \"0%\"\nservice = \"sbc\"\n";
    let edge = Edge::start_knowing(&(CONFIG.to_owned() + traces), &[("HEADERS", "authorization=Bearer%20sesame")]);
    calls_one(&office);
    wait_until("the trace has been taken", LIMIT, || counted("spans", "taken") == 5.0);

    let requests = collector.lock().expect("requests").clone();
    assert_eq!(requests.len(), 2, "refused for now, then taken once");
    for request in &requests {
        assert_eq!(request.line, "POST /v1/traces HTTP/1.1");
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("authorization"), "Bearer sesame");
        assert_eq!(request.body, requests[0].body);
    }
    let post = &told(&collector)[0];
    let service = &post["resourceSpans"][0]["resource"]["attributes"][0];
    assert_eq!(*service, json!({ "key": "service.name", "value": { "stringValue": "sbc" } }));
    let [root, route, acme, globex, talk] = spans(post) else { panic!("{post:#}") };
    let names = [root, route, acme, globex, talk].map(|span| span["name"].as_str().expect("a name"));
    assert_eq!(names, ["call from office", "route", "attempt acme", "attempt globex", "talk"]);
    assert_eq!(*attribute(root, "throughline.called"), json!({ "stringValue": "…455" }), "people's numbers are cut");
    assert_eq!(*attribute(acme, "sip.response.status_code"), json!({ "intValue": "503" }));
    assert_eq!(*attribute(acme, "network.peer.address"), json!({ "stringValue": "127.0.0.31" }));
    assert_eq!((&acme["status"]["code"], &globex["status"], &root["status"]), (&json!(2), &json!({}), &json!({})));
    let time = |span: &Value, key: &str| span[key].as_str().expect("text").parse::<u64>().expect("nanoseconds");
    for span in [route, acme, globex, talk] {
        assert_eq!((&span["traceId"], &span["parentSpanId"]), (&root["traceId"], &root["spanId"]));
        assert!(time(root, "startTimeUnixNano") <= time(span, "startTimeUnixNano"));
        assert!(time(span, "endTimeUnixNano") <= time(root, "endTimeUnixNano"));
    }
    let talked = time(talk, "endTimeUnixNano") - time(talk, "startTimeUnixNano");
    assert!(talked >= 900_000_000, "about a second: {talked}");

    let row = &http::get("/v1/cdrs")["cdrs"][0];
    let reference = row["call"].as_str().expect("a reference");
    let id = format!("{:016x}{reference}", row["invited"].as_i64().expect("microseconds"));
    assert_eq!(root["traceId"], id.as_str(), "the row of the call names its trace: {row}");
    assert_eq!(*attribute(root, "throughline.call"), json!({ "stringValue": reference }));
    assert_eq!((counted("calls", "told"), counted("calls", "sampled_out"), counted("calls", "lost")), (1.0, 0.0, 0.0));
    assert!(!edge.log().contains("sesame"));
}

#[test]
fn an_edge_that_ends_tells_what_it_has_gathered_and_a_share_leaves_out_what_went_well() {
    namespace::enter();
    let collector = receiver(4_318, &[Manner::Answers(200)]);
    let [office, acme, _globex] = parties();
    let traces = "[traces]\nurl = \"http://127.0.0.1:4318/v1/traces\"\nsample = \"0%\"\n";
    let mut edge = Edge::start(&(CONFIG.to_owned() + traces));
    acme.order(node::lab::Order::Behave(plays(850)));
    calls_one(&office);
    wait_until("a call without failover is left out", LIMIT, || counted("calls", "sampled_out") == 1.0);
    acme.order(node::lab::Order::Behave(Behaviour { refuse: Some(503), ..Behaviour::default() }));
    calls_one(&office);
    edge.signal(libc::SIGTERM);
    assert_eq!(edge.ended(LIMIT), Some(0));
    let posts = told(&collector);
    let roots = posts.iter().flat_map(spans).filter(|span| span.get("parentSpanId").is_none()).count();
    assert_eq!(roots, 1, "{posts:?}");
    assert!(!edge.log().contains("has not taken"), "{}", edge.log());
}

#[test]
fn without_its_collector_calls_go_on_and_what_is_dropped_is_counted() {
    namespace::enter();
    let [office, _acme, _globex] = parties();
    let traces = "[traces]\nurl = \"http://127.0.0.1:4318/v1/traces\"\ngive_up = \"1s\"\n";
    let mut edge = Edge::start(&(CONFIG.to_owned() + traces));
    calls_one(&office);
    wait_until("its spans are dropped", LIMIT, || counted("spans", "dropped_late") >= 5.0);
    calls_one(&office);
    assert_eq!((counted("spans", "taken"), counted("calls", "lost")), (0.0, 0.0));
    edge.signal(libc::SIGTERM);
    assert_eq!(edge.ended(LIMIT), Some(0), "who is not there holds up no end");
    let log = edge.log();
    assert!(log.contains("the collector of traces has not taken 5 spans"), "{log}");
}
