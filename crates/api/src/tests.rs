//! The API on a real loopback listener, asked by a client of our own, answered by a task in the place of the node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::{Access, Api, Ask, DeskOrder, Fault, Health, Kind, Limits, MetricsSnapshot, TrunkAct};
use explain::{Alarm, AlarmRecord, Entry, GroupView, MemberView, Record, TierView};
use model::{Admin, CallRef, Health as Seen, Seq, Span, Wall};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

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
        let answer = self.raw(&format!("{method} {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
    }

    async fn json(&self, method: &str, path: &str) -> (u16, Value) {
        let (code, head, body) = self.ask(method, path).await;
        assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
        (code, serde_json::from_str(&body).unwrap())
    }

    /// The error of a request that must fail with this code.
    async fn error(&self, code: u16, method: &str, path: &str) -> String {
        let (found, answer) = self.json(method, path).await;
        assert_eq!(found, code, "{method} {path}: {answer}");
        assert!(answer["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{answer}");
        answer["error"].as_str().unwrap().to_owned()
    }
}

/// A node that knows one trunk and one call, and repeats what it was asked.
fn node(ask: Ask) {
    let gone = match ask {
        Ask::Trunks { reply } => reply.send(Ok(json!([{ "name": "acme" }]))).is_err(),
        Ask::Trunk { trunk, reply } if trunk == "acme" => reply.send(Ok(json!({ "name": "acme" }))).is_err(),
        Ask::Trunk { trunk, reply } => reply.send(Err(Fault::no_trunk(&trunk))).is_err(),
        Ask::Desk { query, reply } => {
            let order = if query.order == DeskOrder::Calls { "calls" } else { "other" };
            reply.send(Ok(json!([query.find, query.troubled, order, query.skip, query.limit]))).is_err()
        }
        Ask::Groups { skip, limit, reply } => reply.send(Ok(json!([skip, limit]))).is_err(),
        Ask::Live { limit, reply } => reply.send(Ok(json!([limit]))).is_err(),
        Ask::Ended { before, limit, reply } => reply.send(Ok(json!([before, limit]))).is_err(),
        Ask::Timeline { trunk, before, limit, reply } => {
            let last = before.map_or(9, |before| before.0 - 1);
            let text = format!("of {trunk:?}");
            reply.send(Ok((0..limit.min(2) as u64).map(|back| alarm(last - back, &text)).collect())).is_err()
        }
        Ask::Calls { limit, reply } => reply.send(Ok(json!([limit]))).is_err(),
        Ask::Call { call: KNOWN, reply } => reply.send(Ok(json!({ "call": KNOWN }))).is_err(),
        Ask::Call { call, reply } => reply.send(Err(Fault::no_call(call))).is_err(),
        Ask::WhyCall { call: KNOWN, reply } => reply.send(Ok(vec!["answered".to_owned()])).is_err(),
        Ask::WhyCall { call, reply } => reply.send(Err(Fault::no_call(call))).is_err(),
        Ask::WhyTrunk { trunk, limit, shadow, reply } if trunk == "acme" => {
            reply.send(Ok(vec![format!("{limit}{}", if shadow { " and shadow" } else { "" })])).is_err()
        }
        Ask::WhyTrunk { trunk, reply, .. } => reply.send(Err(Fault::no_trunk(&trunk))).is_err(),
        Ask::Route { from, number, reply } => reply.send(Ok(json!({ "from": from, "number": number }))).is_err(),
        Ask::Operate { trunk, act, word, reply } if trunk == "acme" => {
            let done = match act {
                TrunkAct::Drain => "drained",
                TrunkAct::Out => "out",
                TrunkAct::Restore => "restored",
                TrunkAct::Probe => "probed",
            };
            reply.send(Ok(json!({ "sentences": [done, word.who, word.why] }))).is_err()
        }
        Ask::Operate { trunk, reply, .. } => reply.send(Err(Fault::no_trunk(&trunk))).is_err(),
        Ask::Guard { limit, reply } => reply.send(Ok(json!({ "sources": [], "more": limit }))).is_err(),
        Ask::Forgive { source, reply, .. } => reply.send(Ok(json!({ "source": source }))).is_err(),
        Ask::TestCall { trunk, reply, .. } if trunk == "acme" => {
            reply.send(Ok(json!({ "sentences": ["good"] }))).is_err()
        }
        Ask::TestCall { trunk, reply, .. } => reply.send(Err(Fault::no_trunk(&trunk))).is_err(),
        Ask::Drill { what, reply } => reply.send(Ok(json!({ "asked": format!("{what:?}") }))).is_err(),
        Ask::Reload { reply } => reply.send(Err(Fault::new(Kind::Conflict, "2 faults", "throughline check"))).is_err(),
        Ask::Journal { from, limit, reply } => {
            reply.send(Ok(vec![alarm(from.0, &format!("limit {limit}")), alarm(from.0 + 1, "next")])).is_err()
        }
        Ask::Group { group, reply } if group == "carriers" => reply.send(Ok(carriers())).is_err(),
        Ask::Group { group, reply } => reply.send(Err(Fault::no_group(&group))).is_err(),
        Ask::Decisions { trunks, limit, reply } => {
            reply.send(Ok(vec![alarm(9, &format!("{} up to {limit}", trunks.join(" and ")))])).is_err()
        }
        Ask::Table { reply } => reply.send(Ok(json!({ "fingerprint": 7, "seq": 4, "table": {} }))).is_err(),
        Ask::Alarms { reply } => reply.send(Ok(json!([{ "kind": "prober_stalled" }]))).is_err(),
        Ask::Events { reply } => reply.send(Ok(broadcast::channel(4).1)).is_err(),
        Ask::Extra { what, params, reply } if what == "fail" => reply.send(Ok(json!(params))).is_err(),
        Ask::Extra { reply, .. } => reply.send(Err(Fault::no_lab())).is_err(),
        Ask::Health { reply } => reply.send(Ok(Health { silent: None, unready: Some("draining".to_owned()) })).is_err(),
        Ask::Metrics { reply } => reply.send(Ok(snapshot())).is_err(),
    };
    assert!(!gone, "the client has gone");
}

fn alarm(seq: u64, text: &str) -> Entry {
    let record = Record::Alarm(AlarmRecord { what: Alarm::Text { text: text.to_owned() }, over: false });
    Entry { seq: Seq(seq), wall: Wall::from_micros(1_795_521_847_112_345), record }
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
    let tiers = ["acme", "globex"].map(|trunk| TierView { members: vec![member(trunk)] }).to_vec();
    GroupView { name: "carriers".into(), active: Some(0), failback: "by hand".to_owned(), tiers }
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
    let expected = [
        ("GET", "/v1/trunks", json!({ "trunks": [{ "name": "acme" }] })),
        ("GET", "/v1/calls", json!({ "calls": [100] })),
        ("GET", "/v1/calls?limit=1000", json!({ "calls": [1000] })),
        ("GET", "/v1/calls/00000000deadbeef", json!({ "call": "00000000deadbeef" })),
        ("GET", "/v1/why/call/deadbeef", json!({ "call": "00000000deadbeef", "sentences": ["answered"] })),
        ("GET", "/v1/why/trunk/acme?limit=7", json!({ "trunk": "acme", "sentences": ["7"] })),
        ("GET", "/v1/why/trunk/acme?shadow=true", json!({ "trunk": "acme", "sentences": ["100 and shadow"] })),
        ("GET", "/v1/table", json!({ "fingerprint": 7, "seq": 4, "table": {} })),
        ("GET", "/v1/alarms", json!({ "alarms": [{ "kind": "prober_stalled" }] })),
        ("GET", "/v1/route?number=+4722&from=office", json!({ "from": "office", "number": "+4722" })),
        ("GET", "/v1/route?number=%2B4722", json!({ "from": null, "number": "+4722" })),
        ("GET", "/v1/guard?limit=7", json!({ "sources": [], "more": 7 })),
        ("POST", "/v1/guard/2001:db8::%2F64/forgive", json!({ "source": "2001:db8::/64" })),
        ("POST", "/v1/trunks/acme/drain", json!({ "sentences": ["drained", "local", ""] })),
        ("POST", "/v1/trunks/acme/out", json!({ "sentences": ["out", "local", ""] })),
        ("POST", "/v1/trunks/acme/restore", json!({ "sentences": ["restored", "local", ""] })),
        ("POST", "/v1/trunks/acme/probe", json!({ "sentences": ["probed", "local", ""] })),
        ("GET", "/v1/trunks/acme", json!({ "name": "acme" })),
        ("GET", "/v1/access", json!({ "who": "local", "role": "operator", "by_token": false, "tokens": false })),
        ("GET", "/v1/desk?find=Acme&troubled=true&order=calls&skip=50&limit=7", json!(["acme", true, "calls", 50, 7])),
        ("GET", "/v1/desk", json!(["", false, "other", 0, 100])),
        ("GET", "/v1/desk/groups?skip=20&limit=5", json!([20, 5])),
        ("GET", "/v1/desk/live?limit=9", json!([9])),
        ("GET", "/v1/desk/ended?before=70&limit=9", json!({ "calls": [70, 9] })),
        ("POST", "/v1/trunks/acme/test-call", json!({ "sentences": ["good"] })),
        ("POST", "/v1/lab/fail?trunk=acme&how=silent", json!([["trunk", "acme"], ["how", "silent"]])),
        ("GET", "/healthz", json!({ "alive": true })),
    ];
    for (method, path, answer) in expected {
        assert_eq!(served.json(method, path).await, (200, answer), "{path}");
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
        "group carriers: tier 1 (acme) carries calls",
        "failback of group carriers: by hand",
        "trunk acme (tier 1) is Up for 7 s",
        "trunk globex (tier 2) is Up for 7 s",
        "alarm at 2026-11-24T12:04:07.112Z: acme and globex up to 3",
    ];
    assert_eq!(answer["sentences"], json!(sentences));
}

/// Server-sent events as a client reads them: the fields of one event.
struct Listener {
    stream: BufReader<TcpStream>,
}

impl Listener {
    async fn open(at: SocketAddr, path: &str, header: &str) -> (u16, Self) {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: edge\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Self { stream: BufReader::new(stream) };
        let status = listener.line().await.split(' ').nth(1).unwrap().parse().unwrap();
        while !listener.line().await.is_empty() {}
        (status, listener)
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read_line(&mut line));
        read.await.expect("a line within twenty seconds").unwrap();
        line.trim_end().to_owned()
    }

    /// The next event as (id, event, data); a comment is one without fields. Chunk sizes are lines of their own.
    async fn event(&mut self) -> (String, String, Value) {
        let (mut id, mut event, mut data) = (String::new(), String::new(), Value::Null);
        loop {
            let line = self.line().await;
            match line.split_once(": ") {
                Some(("id", value)) => id = value.to_owned(),
                Some(("event", value)) => event = value.to_owned(),
                Some(("data", value)) => data = serde_json::from_str(value).unwrap(),
                _ if line.is_empty() && !event.is_empty() => return (id, event, data),
                _ if line.starts_with(':') => return (String::new(), "comment".to_owned(), Value::Null),
                _ => {}
            }
        }
    }
}

/// A node that streams, and whose journal holds the records from `first` to `last`.
fn streaming(limits: Limits, first: u64, last: u64, ring: usize) -> (Served, broadcast::Sender<Arc<Entry>>) {
    let (events, _) = broadcast::channel(ring);
    let ours = events.clone();
    let served = serve(limits, move |ask| match ask {
        Ask::Events { reply } => drop(reply.send(Ok(events.subscribe()))),
        Ask::Journal { from, limit, reply } => {
            let page = (from.0.max(first)..=last).take(limit).map(|seq| alarm(seq, "kept")).collect();
            drop(reply.send(Ok(page)));
        }
        Ask::Metrics { reply } => drop(reply.send(Ok(MetricsSnapshot::new()))),
        other => node(other),
    });
    (served, ours)
}

fn send(events: &broadcast::Sender<Arc<Entry>>, seq: u64) {
    assert!(events.send(Arc::new(alarm(seq, "live"))).is_ok(), "somebody listens");
}

#[tokio::test]
async fn records_are_streamed_as_they_are_written() {
    let (served, events) = streaming(Limits::default(), 1, 0, 16);
    let (code, mut listener) = Listener::open(served.at, "/v1/events?kind=alarm,call", "").await;
    assert_eq!(code, 200);
    send(&events, 41);
    let (id, event, data) = listener.event().await;
    assert_eq!((id.as_str(), event.as_str()), ("41", "alarm"));
    assert_eq!(data["sentence"], "alarm at 2026-11-24T12:04:07.112Z: live");
    assert_eq!(data["record"]["alarm"]["over"], false);
    let operator = explain::Operator {
        trunk: None,
        act: explain::Act::Stop,
        via: "api".into(),
        who: String::new(),
        why: String::new(),
    };
    let other = Entry { record: Record::Operator(operator), ..alarm(42, "") };
    assert!(events.send(Arc::new(other)).is_ok());
    send(&events, 43);
    assert_eq!(listener.event().await.0, "43", "kinds not asked for are not told");
}

#[tokio::test]
async fn who_comes_back_gets_the_rest_from_the_journal_first_and_each_record_once() {
    let (served, events) = streaming(Limits::default(), 1, 12, 16);
    let (_, mut listener) = Listener::open(served.at, "/v1/events?from=1", "Last-Event-ID: 9\r\n").await;
    // Written while the journal is read: twelve is in both.
    send(&events, 12);
    send(&events, 13);
    for id in ["10", "11", "12", "13"] {
        assert_eq!(listener.event().await.0, id);
    }
    let (code, _) = Listener::open(served.at, "/v1/events", "Last-Event-ID: x\r\n").await;
    assert_eq!(code, 400);
}

/// Numbers begin at 1 again with a new journal, and a client keeps the one it saw last.
#[tokio::test]
async fn who_comes_back_after_the_journal_began_anew_hears_what_is_written_from_then_on() {
    let (served, events) = streaming(Limits::default(), 1, 2, 16);
    for (path, header) in [("/v1/events", "Last-Event-ID: 50000\r\n"), ("/v1/events?from=50000", "")] {
        let (_, mut listener) = Listener::open(served.at, path, header).await;
        send(&events, 3);
        send(&events, 4);
        assert_eq!((listener.event().await.0, listener.event().await.0), ("3".to_owned(), "4".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn what_a_slow_client_or_the_journal_has_lost_is_told_and_counted() {
    let (served, events) = streaming(Limits::default(), 5, 6, 4);
    let (_, mut listener) = Listener::open(served.at, "/v1/events?from=3", "").await;
    let (id, event, data) = listener.event().await;
    assert_eq!((id.as_str(), event.as_str(), &data["missed"]), ("", "missed", &json!(2)), "3 and 4 are pruned");
    assert_eq!((listener.event().await.0, listener.event().await.0), ("5".to_owned(), "6".to_owned()));
    // No turn for the reader in between: a ring of four keeps the last four of ten.
    (7..17).for_each(|seq| send(&events, seq));
    assert_eq!(listener.event().await.2["missed"], 6);
    for id in ["13", "14", "15", "16"] {
        assert_eq!(listener.event().await.0, id);
    }
    let (_, _, metrics) = served.ask("GET", "/metrics").await;
    assert!(metrics.contains("throughline_events_missed_total 8.0"), "{metrics}");
    assert!(metrics.contains("throughline_event_clients 1.0"), "{metrics}");
}

#[tokio::test]
async fn listeners_are_limited_and_a_silent_stream_stays_alive() {
    let short = Duration::from_millis(100);
    let limits = Limits { listeners: 1, keep_alive: short, idle: Duration::from_millis(400), ..Limits::default() };
    let (served, events) = streaming(limits, 1, 0, 16);
    let (_, mut listener) = Listener::open(served.at, "/v1/events", "").await;
    assert_eq!(served.error(503, "GET", "/v1/events").await, "too many listen already (limit 1)");
    // Well beyond the time in which a silent connection is closed.
    for _ in 0..8 {
        assert_eq!(listener.event().await.1, "comment");
    }
    send(&events, 1);
    while listener.event().await.1 != "alarm" {}
    drop(listener);
    // Its place is free as soon as the server has noticed.
    let mut code = 503;
    for _ in 0..100 {
        if code == 200 {
            break;
        }
        tokio::time::sleep(short).await;
        code = Listener::open(served.at, "/v1/events", "").await.0;
    }
    assert_eq!(code, 200);
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
        (404, "POST", "/v1/trunks/acme/explode", "a trunk cannot be told to `explode`"),
        (404, "POST", "/v1/lab/call", "this edge runs no lab"),
        (404, "GET", "/nothing", "there is nothing at /nothing"),
        (405, "POST", "/v1/trunks", "POST is not taken here"),
        (405, "GET", "/v1/reload", "GET is not taken here"),
        (409, "POST", "/v1/reload", "2 faults"),
        (400, "GET", "/v1/why/call/xyz", "`xyz` is no call"),
        (400, "GET", "/v1/calls?limit=1001", "`limit` is 1001"),
        (400, "GET", "/v1/calls?limit=0", "`limit` is 0"),
        (400, "GET", "/v1/journal?from=-1", "`from` is no number"),
        (400, "GET", "/v1/calls?limits=1", "there is no parameter `limits`"),
        (400, "GET", "/v1/route", "`number` is missing"),
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
async fn metrics_are_open_metrics_text() {
    let served = serve(Limits::default(), node);
    let (code, head, body) = served.ask("GET", "/metrics").await;
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
                let _sent = reply.send(Ok(json!("late")));
            });
        }
    });
    assert_eq!(served.json("POST", "/v1/lab/call").await, (200, json!("late")));
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
