//! The API on a real loopback listener, asked by a client of our own, answered by a task in the place of the node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::openapi::tests as openapi;
use crate::{
    Access, Api, Ask, CallsPage, DeskOrder, Fault, GroupAct, Health, Kind, Limits, MetricsSnapshot, Pcap, TrunkAct,
    Word,
};
use explain::{Act, Alarm, AlarmRecord, Entry, ForcedView, GroupView, MemberView, Operator, Record, TierView};
use model::{Admin, CallRef, Health as Seen, Instant, Seq, Span, Wall};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

mod drill;
mod events;
mod page;

const KNOWN: CallRef = CallRef(0xdead_beef);

/// An API that serves, and its end.
struct Served {
    at: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

fn serve(limits: Limits, node: impl FnMut(Ask) + Send + 'static) -> Served {
    let (asks, mut asked) = mpsc::channel(16);
    let mut node = node;
    tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            node(ask);
        }
    });
    serve_asks(limits, asks)
}

fn serve_asks(limits: Limits, asks: mpsc::Sender<Ask>) -> Served {
    serve_for(limits, asks, watch::channel(Arc::new(Access::new(None, Vec::new(), None))).1)
}

fn serve_for(limits: Limits, asks: mpsc::Sender<Ask>, access: watch::Receiver<Arc<Access>>) -> Served {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(Api::new(asks, access, limits).serve(listener, async {
        let _ended = stopped.await;
    }));
    Served { at, stop, server }
}

impl Served {
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    /// Status, head and body.
    async fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        self.ask_for(method, path, "*/*").await
    }

    /// The same, for this type of answer.
    async fn ask_for(&self, method: &str, path: &str, accept: &str) -> (u16, String, String) {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: edge\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
        let answer = self.raw(&head).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
    }

    async fn json(&self, method: &str, path: &str) -> (u16, Value) {
        let (code, head, body) = self.ask(method, path).await;
        assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
        let answer = serde_json::from_str(&body).unwrap();
        openapi::hold(method, path, code, &answer);
        (code, answer)
    }

    /// The error of a request that must fail with this code.
    async fn error(&self, code: u16, method: &str, path: &str) -> String {
        let (found, answer) = self.json(method, path).await;
        assert_eq!(found, code, "{method} {path}: {answer}");
        assert!(answer["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{answer}");
        answer["error"].as_str().unwrap().to_owned()
    }
}

/// One call, which came at 7 µs; a page behind it lacks a shard.
fn calls_page(limit: usize, after: Option<(Instant, CallRef)>) -> CallsPage {
    let at = (Instant::from_micros(7), CallRef(1));
    if after == Some(at) {
        return CallsPage { calls: json!([]), last: None, missing: 1 };
    }
    let calls = json!([openapi::call(CallRef(1), &limit.to_string())]);
    CallsPage { calls, last: (limit == 1).then_some(at), missing: 0 }
}

/// One webhook is known, and takes what it is told.
fn tested(webhook: &str, word: Word) -> Result<Value, Fault> {
    let sentences = [word.who, word.why];
    let answer = json!({ "webhook": webhook, "taken": true, "code": 204, "took": 12_000, "sentences": sentences });
    if webhook == "pager" { Ok(answer) } else { Err(Fault::no_webhook(webhook)) }
}

/// A node that knows one trunk and one call, and repeats what it was asked.
fn node(ask: Ask) {
    let gone = match ask {
        Ask::Trunks { reply } => reply.send(Ok(json!([openapi::trunk()]))).is_err(),
        Ask::Trunk { trunk, reply } if trunk == "acme" => {
            let mut one = openapi::trunk();
            one["line"] = openapi::line();
            reply.send(Ok(one)).is_err()
        }
        Ask::Trunk { trunk, reply } => reply.send(Err(Fault::no_trunk(&trunk))).is_err(),
        Ask::Calls { limit, after, reply } => reply.send(Ok(calls_page(limit, after))).is_err(),
        Ask::Call { call: KNOWN, reply } => reply.send(Ok(json!(openapi::call(KNOWN, "+4722")))).is_err(),
        Ask::Call { call, reply } => reply.send(Err(Fault::no_call(call))).is_err(),
        Ask::Pcap { call: KNOWN, reply, .. } => reply.send(Ok(said())).is_err(),
        Ask::Pcap { call, reply, .. } => reply.send(Err(Fault::no_call(call))).is_err(),
        Ask::Cdrs { from, since, limit, reply } => {
            let first = from.0.max(since.map_or(1, |since| since.as_micros().unsigned_abs() / 1_000_000));
            reply.send(Ok((first..=5).take(limit).map(openapi::stitched).collect())).is_err()
        }
        Ask::WhyCall { call: KNOWN, reply } => reply.send(Ok(vec!["answered".to_owned()])).is_err(),
        Ask::WhyCall { call, reply } => reply.send(Err(Fault::no_call(call))).is_err(),
        Ask::WhyTrunk { trunk, limit, shadow, reply } if trunk == "acme" => {
            reply.send(Ok(vec![format!("{limit}{}", if shadow { " and shadow" } else { "" })])).is_err()
        }
        Ask::WhyTrunk { trunk, reply, .. } => reply.send(Err(Fault::no_trunk(&trunk))).is_err(),
        Ask::Route { from, number, reply } => {
            let order = from.map_or_else(Vec::new, |from| vec![from]);
            let answer =
                json!({ "epoch": 1, "order": order, "excluded": [], "last_resort": false, "sentences": [number] });
            reply.send(Ok(answer)).is_err()
        }
        Ask::Guard { limit, reply } => reply.send(Ok(json!({ "sources": [], "more": limit }))).is_err(),
        Ask::Drill { what, reply } => reply.send(Ok(openapi::drill(&format!("{what:?}")))).is_err(),
        Ask::Reload { reply } => reply.send(Err(Fault::new(Kind::Conflict, "2 faults", "throughline check"))).is_err(),
        Ask::Journal { from, limit, reply } => {
            reply.send(Ok(vec![alarm(from.0, &format!("limit {limit}")), alarm(from.0 + 1, "next")])).is_err()
        }
        Ask::Group { group, reply } if group == "carriers" => reply.send(Ok(carriers())).is_err(),
        Ask::Group { group, reply } => reply.send(Err(Fault::no_group(&group))).is_err(),
        Ask::Decisions { group, trunks, limit, reply } => {
            let own = alarm(9, &format!("{} up to {limit}", trunks.join(" and ")));
            reply.send(Ok(vec![own, released(10, &group)])).is_err()
        }
        Ask::Table { reply } => reply.send(Ok(json!({ "fingerprint": 7, "seq": 4, "table": {} }))).is_err(),
        Ask::Alarms { reply } => reply.send(Ok(json!([prober_stalled()]))).is_err(),
        Ask::Events { reply } => reply.send(Ok(broadcast::channel(4).1)).is_err(),
        Ask::Extra { what, params, reply } if what == "fail" => {
            let said: Vec<String> = params.iter().map(|(name, value)| format!("{name} {value}")).collect();
            reply.send(Ok(json!({ "sentences": said }))).is_err()
        }
        Ask::Extra { reply, .. } => reply.send(Err(Fault::no_lab())).is_err(),
        Ask::Health { reply } => reply.send(Ok(Health { silent: None, unready: Some("draining".to_owned()) })).is_err(),
        Ask::Metrics { reply } => reply.send(Ok(snapshot())).is_err(),
        other => acts(other),
    };
    assert!(!gone, "the client has gone");
}

/// What the operator may do to the same node; whether the client has gone.
fn acts(ask: Ask) -> bool {
    match ask {
        Ask::Operate { trunk, act, word, reply } if trunk == "acme" => {
            let done = match act {
                TrunkAct::Drain => "drained",
                TrunkAct::Out => "out",
                TrunkAct::Restore => "restored",
                TrunkAct::Probe => "probed",
            };
            reply.send(Ok(json!({ "trunk": trunk, "sentences": [done, word.who, word.why] }))).is_err()
        }
        Ask::Operate { trunk, reply, .. } => reply.send(Err(Fault::no_trunk(&trunk))).is_err(),
        Ask::OperateGroup { group, act, word, reply } if group == "carriers" => {
            let done = match act {
                GroupAct::Force { tier, length } => format!("tier {tier} for {}", length.span()),
                GroupAct::Release => "released".to_owned(),
            };
            reply.send(Ok(json!({ "group": group, "sentences": [done, word.who, word.why] }))).is_err()
        }
        Ask::OperateGroup { group, reply, .. } => reply.send(Err(Fault::no_group(&group))).is_err(),
        Ask::Forgive { source, reply, .. } => reply.send(Ok(json!({ "source": source, "sentences": [] }))).is_err(),
        Ask::TestCall { trunk, reply, .. } if trunk == "acme" => {
            let test_call = openapi::trunk()["test_calls"]["last"].clone();
            reply.send(Ok(json!({ "trunk": trunk, "sentences": ["good"], "test_call": test_call }))).is_err()
        }
        Ask::TestPost { webhook, word, reply } => reply.send(tested(&webhook, word)).is_err(),
        Ask::TestCall { trunk, reply, .. } => reply.send(Err(Fault::no_trunk(&trunk))).is_err(),
        other => desk(other),
    }
}

/// What the desk lives by, of the same node; whether the client has gone.
fn desk(ask: Ask) -> bool {
    match ask {
        Ask::Desk { query, reply } => {
            let order = if query.order == DeskOrder::Calls { "calls" } else { "other" };
            let asked = format!("{} {} {order} {} {}", query.find, query.troubled, query.skip, query.limit);
            reply.send(Ok(openapi::desk(&asked))).is_err()
        }
        Ask::Groups { skip, limit, reply } => {
            reply.send(Ok(json!({ "groups": [], "more": skip * 1_000 + limit }))).is_err()
        }
        Ask::Live { limit, reply } => reply.send(Ok(json!({ "all": limit, "calls": [] }))).is_err(),
        Ask::Ended { before, limit, reply } => {
            let cdr = openapi::cdr(&limit.to_string());
            reply.send(Ok(json!([{ "seq": before, "cdr": cdr }]))).is_err()
        }
        Ask::Timeline { trunk, before, limit, reply } => {
            let last = before.map_or(9, |before| before.0 - 1);
            let text = format!("of {trunk:?}");
            reply.send(Ok((0..limit.min(2) as u64).map(|back| alarm(last - back, &text)).collect())).is_err()
        }
        other => panic!("{other:?} is asked of nobody"),
    }
}

/// What was said in a call, of which the beginning is gone.
fn said() -> Pcap {
    let span = [0, 7_000_000].map(|more| Wall::from_micros(1_795_521_847_112_345 + more)).into();
    Pcap { file: b"packets".to_vec(), messages: 5, span, whole: false, cut: 1, left_off: 0 }
}

fn alarm(seq: u64, text: &str) -> Entry {
    let record = Record::Alarm(AlarmRecord { what: Alarm::Text { text: text.to_owned() }, over: false });
    Entry { seq: Seq(seq), wall: Wall::from_micros(1_795_521_847_112_345), record }
}

fn released(seq: u64, group: &str) -> Entry {
    let (who, why) = (String::new(), String::new());
    let act = Operator { trunk: None, act: Act::Release { group: group.into() }, via: "api".to_owned(), who, why };
    Entry { record: Record::Operator(act), ..alarm(seq, "") }
}

fn prober_stalled() -> Value {
    let since = "2026-11-24T12:04:07.112Z";
    json!({ "kind": "prober_stalled", "since": since, "sentence": "late", "alarm": "prober_stalled" })
}

fn carriers() -> GroupView {
    let member = |trunk: &str| MemberView {
        trunk: trunk.into(),
        weight: 1,
        health: Seen::Up,
        admin: Admin::InService,
        share: 100,
        held: Span::from_secs(7),
        throttled: None,
        takes: true,
        next: String::new(),
    };
    let (who, why, sentence) = ("ann".to_owned(), String::new(), "operator ann forces tier 1".to_owned());
    let forced = ForcedView { tier: 0, left: Span::from_secs(60), who, why, sentence };
    let tiers = ["acme", "globex"].map(|trunk| TierView { members: vec![member(trunk)] }).to_vec();
    GroupView { name: "carriers".into(), active: Some(0), forced: Some(forced), failback: "by hand".to_owned(), tiers }
}

fn snapshot() -> MetricsSnapshot {
    let mut snapshot = MetricsSnapshot::new();
    let trunk = |name: &str| [("trunk", name.to_owned())];
    snapshot.gauge("calls", "Calls in progress", &[], 3.0);
    snapshot.counter("attempts", "Attempts by outcome", &trunk("acme"), 7);
    snapshot.counter("attempts", "Attempts by outcome", &trunk("a\"b"), 9);
    snapshot.state("trunk_health", "Health", &trunk("acme"), &["up", "down"], "down");
    snapshot
}

fn quick() -> Limits {
    let short = Duration::from_millis(150);
    Limits { answer: short, extra: short, idle: short, stop: short, ..Limits::default() }
}

#[tokio::test]
async fn every_route_asks_the_node_and_repeats_its_answer() {
    let served = serve(Limits::default(), node);
    let call = |called| openapi::call(CallRef(1), called);
    let expected = [
        ("GET", "/v1/trunks", json!({ "trunks": [openapi::trunk()] })),
        ("GET", "/v1/calls", json!({ "calls": [call("100")], "next": null, "missing": 0 })),
        ("GET", "/v1/calls?limit=1000", json!({ "calls": [call("1000")], "next": null, "missing": 0 })),
        ("GET", "/v1/calls?limit=1", json!({ "calls": [call("1")], "next": "7-0000000000000001", "missing": 0 })),
        ("GET", "/v1/calls?limit=1&after=7-0000000000000001", json!({ "calls": [], "next": null, "missing": 1 })),
        ("GET", "/v1/calls/00000000deadbeef", json!(openapi::call(KNOWN, "+4722"))),
        ("GET", "/v1/why/call/deadbeef", json!({ "call": "00000000deadbeef", "sentences": ["answered"] })),
        ("GET", "/v1/why/trunk/acme?limit=7", json!({ "trunk": "acme", "sentences": ["7"] })),
        ("GET", "/v1/why/trunk/acme?shadow=true", json!({ "trunk": "acme", "sentences": ["100 and shadow"] })),
        ("GET", "/v1/table", json!({ "fingerprint": 7, "seq": 4, "table": {} })),
        ("GET", "/v1/guard?limit=7", json!({ "sources": [], "more": 7 })),
        ("POST", "/v1/guard/2001:db8::%2F64/forgive", json!({ "source": "2001:db8::/64", "sentences": [] })),
        ("POST", "/v1/trunks/acme/drain", json!({ "trunk": "acme", "sentences": ["drained", "local", ""] })),
        ("POST", "/v1/trunks/acme/out", json!({ "trunk": "acme", "sentences": ["out", "local", ""] })),
        ("POST", "/v1/trunks/acme/restore", json!({ "trunk": "acme", "sentences": ["restored", "local", ""] })),
        ("POST", "/v1/trunks/acme/probe", json!({ "trunk": "acme", "sentences": ["probed", "local", ""] })),
        (
            "POST",
            "/v1/groups/carriers/force?tier=1&for=1800",
            json!({ "group": "carriers", "sentences": ["tier 1 for 30 min", "local", ""] }),
        ),
        ("POST", "/v1/groups/carriers/release", json!({ "group": "carriers", "sentences": ["released", "local", ""] })),
        (
            "POST",
            "/v1/webhooks/pager/test",
            json!({ "webhook": "pager", "taken": true, "code": 204, "took": 12_000, "sentences": ["local", ""] }),
        ),
        ("GET", "/v1/access", json!({ "who": "local", "role": "operator", "by_token": false, "tokens": false })),
        ("GET", "/v1/desk?find=Acme&troubled=true&order=calls&skip=50&limit=7", openapi::desk("acme true calls 50 7")),
        ("GET", "/v1/desk", openapi::desk(" false other 0 100")),
        ("GET", "/v1/desk/groups?skip=20&limit=5", json!({ "groups": [], "more": 20_005 })),
        ("GET", "/v1/desk/live?limit=9", json!({ "all": 9, "calls": [] })),
        ("GET", "/v1/desk/ended?before=70&limit=9", json!({ "calls": [{ "seq": 70, "cdr": openapi::cdr("9") }] })),
        ("POST", "/v1/lab/fail?trunk=acme&how=silent", json!({ "sentences": ["trunk acme", "how silent"] })),
        ("GET", "/healthz", json!({ "alive": true })),
    ];
    for (method, path, answer) in expected {
        assert_eq!(served.json(method, path).await, (200, answer), "{path}");
    }
    assert_eq!(served.json("POST", "/v1/trunks/acme/test-call").await.1["sentences"], json!(["good"]));
    for (query, from) in [("number=+4722&from=office", json!(["office"])), ("number=%2B4722", json!([]))] {
        let (_, answer) = served.json("GET", &format!("/v1/route?{query}")).await;
        assert_eq!((&answer["order"], &answer["sentences"]), (&from, &json!(["+4722"])));
    }
    assert_eq!(served.json("GET", "/v1/trunks/acme").await.1["line"], openapi::line());
    let (code, document) = served.json("GET", "/v1/openapi.json").await;
    assert_eq!((code, &document["openapi"]), (200, &json!("3.1.0")));
}

#[tokio::test]
async fn call_records_come_in_pages_each_once_and_from_a_moment_on() {
    let served = serve(Limits::default(), node);
    for (query, wanted) in [("", vec![1, 2, 3, 4, 5]), ("since=1970-01-01T01:00:04+01:00", vec![4, 5])] {
        let (mut found, mut from) = (Vec::new(), 1);
        loop {
            let (code, page) = served.json("GET", &format!("/v1/cdrs?from={from}&limit=2&{query}")).await;
            assert_eq!(code, 200);
            let rows = page["cdrs"].as_array().unwrap();
            found.extend(rows.iter().map(|row| row["seq"].as_u64().unwrap()));
            if rows.is_empty() {
                assert_eq!(page["next"], from, "it stays where it is for whoever comes again");
                break;
            }
            from = page["next"].as_u64().unwrap();
        }
        assert_eq!(found, wanted, "{query}");
    }
}

#[tokio::test]
async fn the_journal_comes_in_pages_with_sentences() {
    let served = serve(Limits::default(), node);
    let (code, page) = served.json("GET", "/v1/journal?from=41&limit=2").await;
    assert_eq!((code, page["next"].as_u64()), (200, Some(43)));
    let first = &page["entries"][0];
    assert_eq!(first["seq"], 41);
    assert_eq!(first["at"], "2026-11-24T12:04:07.112Z");
    assert_eq!(first["sentence"], "alarm at 2026-11-24T12:04:07.112Z: limit 2");
    assert_eq!(first["record"]["alarm"]["what"]["text"]["text"], "limit 2");
}

#[tokio::test]
async fn a_group_is_told_as_it_is_and_then_by_what_was_decided() {
    let served = serve(Limits::default(), node);
    let (code, answer) = served.json("GET", "/v1/why/group/carriers?limit=3").await;
    assert_eq!((code, &answer["group"], &answer["now"]["active"]), (200, &json!("carriers"), &json!(0)));
    let sentences = [
        "group carriers: tier 1 (acme) carries calls, since the operator forces it",
        "group carriers: operator ann forces tier 1",
        "failback of group carriers: by hand",
        "trunk acme (tier 1) is Up for 7 s",
        "trunk globex (tier 2) is Up for 7 s",
        "alarm at 2026-11-24T12:04:07.112Z: acme and globex up to 3",
        "operator (api) releases group carriers at 2026-11-24T12:04:07.112Z: its tiers are tried in their usual order",
    ];
    assert_eq!(answer["sentences"], json!(sentences));
}

#[tokio::test]
async fn errors_say_what_is_wrong_and_what_to_do() {
    let served = serve(Limits::default(), node);
    let expected = [
        (404, "GET", "/v1/calls/1", "there is no call 0000000000000001"),
        (404, "GET", "/v1/why/trunk/nobody", "there is no trunk `nobody`"),
        (404, "GET", "/v1/why/group/nobody", "there is no group `nobody`"),
        (400, "GET", "/v1/why/trunk/acme?shadow=maybe", "`shadow` is neither true nor false"),
        (400, "GET", "/v1/events?kind=decision,moon", "there is no kind `moon` of records"),
        (400, "GET", "/v1/events?from=x", "`from` is no number"),
        (404, "POST", "/v1/trunks/nobody/out", "there is no trunk `nobody`"),
        (404, "POST", "/v1/trunks/nobody/test-call", "there is no trunk `nobody`"),
        (404, "POST", "/v1/webhooks/nobody/test", "there is no webhook `nobody`"),
        (404, "POST", "/v1/trunks/acme/explode", "a trunk cannot be told to `explode`"),
        (404, "POST", "/v1/groups/nobody/release", "there is no group `nobody`"),
        (400, "POST", "/v1/groups/carriers/force?for=60", "no `tier` is named"),
        (400, "POST", "/v1/groups/carriers/force?tier=1", "`for` does not say how long"),
        (400, "POST", "/v1/groups/carriers/force?tier=256&for=60", "`tier` is 256"),
        (400, "POST", "/v1/groups/carriers/force?tier=-1&for=60", "`tier` is no number"),
        (400, "POST", "/v1/groups/carriers/force?tier=1&for=0", "`for` is 0"),
        (400, "POST", "/v1/groups/carriers/force?tier=1&for=86401", "`for` is 86401"),
        (400, "POST", "/v1/groups/carriers/force?tier=1&for=18446744073709551615", "`for` is 18446744073709551615"),
        (400, "POST", "/v1/groups/carriers/force?tier=1&for=1.5", "`for` is no number"),
        (404, "POST", "/v1/lab/call", "this edge runs no lab"),
        (404, "GET", "/nothing", "there is nothing at /nothing"),
        (405, "POST", "/v1/trunks", "POST is not taken here"),
        (405, "GET", "/v1/reload", "GET is not taken here"),
        (409, "POST", "/v1/reload", "2 faults"),
        (400, "GET", "/v1/why/call/xyz", "`xyz` is no call"),
        (400, "GET", "/v1/why/call/+1", "`+1` is no call"),
        (400, "GET", "/v1/journal?from=%2B1", "`from` is no number"),
        (400, "GET", "/v1/calls?limit=1001", "`limit` is 1001"),
        (400, "GET", "/v1/calls?limit=0", "`limit` is 0"),
        (400, "GET", "/v1/calls?after=1", "`after` is `1`, which ends no page"),
        (400, "GET", "/v1/journal?from=-1", "`from` is no number"),
        (400, "GET", "/v1/calls?limits=1", "there is no parameter `limits`"),
        (400, "GET", "/v1/route", "`number` is missing"),
        (400, "GET", "/v1/cdrs?since=yesterday", "`yesterday` is no moment"),
        (400, "GET", "/v1/desk?order=best", "`order` is none that is known"),
        (400, "GET", "/v1/desk?skip=x", "`skip` is no number"),
        (400, "GET", "/v1/timeline?before=x", "`before` is no number"),
        (404, "GET", "/v1/trunks/nobody", "there is no trunk `nobody`"),
        (400, "GET", "/v1/route?number=%00", "`number` is not fit to be one"),
        (503, "GET", "/readyz", "draining"),
    ];
    for (code, method, path, error) in expected {
        assert_eq!(served.error(code, method, path).await, error, "{path}");
    }
    let unreadable = served.error(400, "GET", "/v1/why/trunk/%ff").await;
    assert!(unreadable.starts_with("the path cannot be read"), "{unreadable}");
    let long = format!("/v1/route?number={}", "1".repeat(200));
    assert_eq!(served.error(400, "GET", &long).await, "`number` is not fit to be one");
    let (_, head, _) = served.ask("GET", "/readyz").await;
    assert!(head.to_lowercase().contains("retry-after: 1"), "{head}");
}

#[tokio::test]
async fn metrics_are_open_metrics_text_for_whoever_accepts_it() {
    let served = serve(Limits::default(), node);
    let (_, head, _) = served.ask("GET", "/metrics").await;
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
    let (code, head, body) = served.ask_for("GET", "/metrics", accept).await;
    assert_eq!(code, 200);
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    let lines: Vec<&str> = body.lines().collect();
    assert_eq!(
        lines,
        [
            "# HELP throughline_api_unauthorised Requests of those who may not.",
            "# TYPE throughline_api_unauthorised counter",
            "throughline_api_unauthorised_total 0.0",
            "# HELP throughline_attempts Attempts by outcome",
            "# TYPE throughline_attempts counter",
            "throughline_attempts_total{trunk=\"acme\"} 7.0",
            "throughline_attempts_total{trunk=\"a\\\"b\"} 9.0",
            "# HELP throughline_calls Calls in progress",
            "# TYPE throughline_calls gauge",
            "throughline_calls 3.0",
            "# HELP throughline_event_clients Clients that listen to events.",
            "# TYPE throughline_event_clients gauge",
            "throughline_event_clients 0.0",
            "# HELP throughline_event_clients_refused Clients refused, since too many listened.",
            "# TYPE throughline_event_clients_refused counter",
            "throughline_event_clients_refused_total 0.0",
            "# HELP throughline_events_missed Records that slow clients missed.",
            "# TYPE throughline_events_missed counter",
            "throughline_events_missed_total 0.0",
            "# HELP throughline_events_sent Events sent, over all clients.",
            "# TYPE throughline_events_sent counter",
            "throughline_events_sent_total 0.0",
            "# HELP throughline_trunk_health Health",
            "# TYPE throughline_trunk_health gauge",
            "throughline_trunk_health{trunk=\"acme\",state=\"up\"} 0.0",
            "throughline_trunk_health{trunk=\"acme\",state=\"down\"} 1.0",
            "# EOF",
        ]
    );
}

#[tokio::test]
async fn a_node_that_does_not_answer_holds_nobody_up() {
    let mut kept = Vec::new();
    let served = serve(quick(), move |ask| match ask {
        // A thread that hangs: the reply is neither given nor dropped.
        Ask::Health { .. } | Ask::Trunks { .. } => kept.push(ask),
        dropped => drop(dropped),
    });
    assert_eq!(served.error(503, "GET", "/healthz").await, "no answer from the edge within 150 ms");
    assert_eq!(served.error(503, "GET", "/v1/trunks").await, "no answer from the edge within 150 ms");
    assert_eq!(served.error(503, "GET", "/v1/calls").await, "the edge is too busy or stopping");
}

#[tokio::test]
async fn silent_threads_and_readiness_are_told_apart() {
    let served = serve(Limits::default(), |ask| {
        if let Ask::Health { reply } = ask {
            let silent = Some("shard 1 has not answered for 3 s".to_owned());
            let _sent = reply.send(Ok(Health { silent, unready: None }));
        }
    });
    for path in ["/healthz", "/readyz"] {
        assert_eq!(served.error(503, "GET", path).await, "shard 1 has not answered for 3 s");
    }
}

#[tokio::test]
async fn questions_do_not_pile_up() {
    let (asks, mut asked) = mpsc::channel(1);
    let served = serve_asks(quick(), asks);
    let (first, second) = tokio::join!(served.error(503, "GET", "/v1/trunks"), served.error(503, "GET", "/v1/trunks"));
    let mut both = [first, second];
    both.sort_unstable();
    assert_eq!(both, ["no answer from the edge within 150 ms", "too many questions at once"]);
    assert!(asked.recv().await.is_some());
    drop(asked);
    assert_eq!(served.error(503, "GET", "/v1/trunks").await, "the edge is stopping");
}

#[tokio::test]
async fn large_bodies_and_web_pages_are_refused() {
    let served = serve(Limits::default(), node);
    let post = "POST /v1/trunks/acme/out HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n";
    let large = served.raw(&format!("{post}Content-Length: 5000\r\n\r\n")).await;
    assert!(large.starts_with("HTTP/1.1 413") && large.contains("\"hint\""), "{large}");
    let page = served.raw(&format!("{post}Origin: https://example.com\r\n\r\n")).await;
    assert!(page.starts_with("HTTP/1.1 403") && page.contains("a web page of another origin"), "{page}");
    let plain = served.raw(&format!("{post}Content-Length: 2\r\n\r\n{{}}")).await;
    assert!(plain.starts_with("HTTP/1.1 200"), "{plain}");
    let own = post.replace("Host: edge", "Host: 127.0.0.1:8060") + "Origin: http://127.0.0.1:8060\r\n\r\n";
    let own = served.raw(&own).await;
    assert!(own.starts_with("HTTP/1.1 200"), "the edge's own page: {own}");
    let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n1388\r\n{}\r\n0\r\n\r\n", "x".repeat(5_000));
    let chunked = served.raw(&chunked).await;
    assert!(chunked.starts_with("HTTP/1.1 413"), "a length that is not told does not help: {chunked}");
}

#[tokio::test]
async fn a_client_that_dribbles_its_request_is_left() {
    let served = serve(quick(), node);
    let mut stream = TcpStream::connect(served.at).await.unwrap();
    let (mut read, mut write) = stream.split();
    let dribble = async {
        for byte in "GET /v1/trunks HTTP/1.1\r\nHost: edge\r\nX: ".bytes().chain(std::iter::repeat(b'x')) {
            if write.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut answer = Vec::new();
    let closed = async { tokio::time::timeout(Duration::from_secs(10), read.read_to_end(&mut answer)).await };
    tokio::select! {
        closed = closed => assert!(closed.is_ok(), "not closed within ten seconds"),
        () = dribble => {}
    }
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"), "it never asked anything");
}

#[tokio::test]
async fn a_slow_answer_does_not_count_against_the_client() {
    let limits = Limits { extra: Duration::from_secs(10), ..quick() };
    let served = serve(limits, |ask| {
        if let Ask::Extra { reply, .. } = ask {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(600)).await;
                let _sent = reply.send(Ok(json!({ "sentences": ["late"] })));
            });
        }
    });
    assert_eq!(served.json("POST", "/v1/lab/call").await, (200, json!({ "sentences": ["late"] })));
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_room() {
    let served = serve(Limits { connections: 1, idle: Duration::from_millis(400), ..Limits::default() }, node);
    let silent = TcpStream::connect(served.at).await.unwrap();
    // Taken in first, and holds the only place until it has been idle for too long.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let early = tokio::time::timeout(Duration::from_millis(150), served.ask("GET", "/v1/trunks")).await;
    assert!(early.is_err(), "there is no room yet");
    assert_eq!(served.ask("GET", "/v1/trunks").await.0, 200, "room once the silent one is left");
    drop(silent);
}

#[tokio::test]
async fn a_stop_ends_the_server_even_with_a_connection_that_stays() {
    let served = serve(quick(), node);
    assert_eq!(served.ask("GET", "/v1/trunks").await.0, 200);
    let _stays = TcpStream::connect(served.at).await.unwrap();
    served.stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), served.server).await;
    assert!(matches!(ended, Ok(Ok(Ok(())))), "{ended:?}");
    assert!(TcpStream::connect(served.at).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_was_said_is_a_file_and_its_head_tells_how_much_it_is() {
    let served = serve(quick(), node);
    let (code, head, body) = served.ask("GET", &format!("/v1/calls/{KNOWN}/pcap")).await;
    assert_eq!((code, body.as_str()), (200, "packets"));
    for line in [
        "content-type: application/vnd.tcpdump.pcap",
        "content-disposition: attachment; filename=\"00000000deadbeef.pcap\"",
        "capture-messages: 5",
        "capture-first: 2026-11-24T12:04:07.112Z",
        "capture-last: 2026-11-24T12:04:14.112Z",
        "capture-whole: no",
        "capture-cut: 1",
        "capture-left-off: 0",
    ] {
        assert!(head.contains(line), "{line} is not in {head}");
    }
    assert!(served.error(404, "GET", "/v1/calls/1/pcap").await.contains("no call 0000000000000001"));
    assert!(served.error(400, "GET", "/v1/calls/nonsense/pcap").await.contains("`nonsense` is no call"));
    served.error(405, "POST", "/v1/calls/1/pcap").await;
}
