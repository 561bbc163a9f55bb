//! Trunks that are configured by name (RFC 3263), with a real name server and with bad ones, under calls.
#![allow(clippy::expect_used, clippy::panic)]

use interop::dns::{AT, BadServer, Manner, NameServer};
use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, journal, namespace, wait_until};
use serde_json::Value;
use std::time::Duration;

const LAN: &str = "127.0.0.10:5060";
const OFFICE: &str = "127.0.0.20";
/// The hosts of the carrier `acme`.
const A: &str = "127.0.0.31";
const B: &str = "127.0.0.33";
const C: &str = "127.0.0.34";
const D: &str = "127.0.0.35";
const NUMBER: &str = "+4722334455";
const LIMIT: Duration = Duration::from_secs(60);
/// Calls a second, where there is load.
const RATE: u32 = 50;

/// NAPTR leads to SRV, SRV to `a` before `b`.
const ZONE: &str = "acme NAPTR 10 10 \"s\" \"SIP+D2U\" \"\" _sip._udp.acme\n\
                    _sip._udp.acme SRV 10 0 5060 a\n_sip._udp.acme SRV 20 0 5060 b\n\
                    a A 127.0.0.31\nb A 127.0.0.33\nc A 127.0.0.34\n";
/// The same, with `c` instead of `a`.
const MOVED: &str = "acme NAPTR 10 10 \"s\" \"SIP+D2U\" \"\" _sip._udp.acme\n\
                     _sip._udp.acme SRV 10 0 5060 c\n_sip._udp.acme SRV 20 0 5060 b\n\
                     a A 127.0.0.31\nb A 127.0.0.33\nc A 127.0.0.34\n";

/// `acme` by name, asked of these servers; `globex` by address, behind it.
fn config(servers: &[&str]) -> String {
    let servers: Vec<String> = servers.iter().map(|ip| format!("\"{ip}:53\"")).collect();
    let dns = format!(
        "[dns]\nservers = [{}]\ntimeout = \"1s\"\nfloor = \"1s\"\nretry = \"1s\"\nnegative = \"1s\"\n\n[listen.lan]",
        servers.join(", ")
    );
    CONFIG.replacen("[listen.lan]", &dns, 1).replace("sip:127.0.0.31:5060", "sip:acme.example")
}

fn acme() -> Value {
    let answer = http::get("/v1/trunks");
    let trunks = answer["trunks"].as_array().cloned().unwrap_or_default();
    trunks.into_iter().find(|trunk| trunk["name"] == "acme").unwrap_or_else(|| panic!("no acme in {answer}"))
}

/// Hosts that `acme` leads to, best first, with their health.
fn hosts() -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let trunk = acme();
    let targets = trunk["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    targets.iter().map(|target| (text(&target["addr"]).replace(":5060", ""), text(&target["health"]))).collect()
}

fn leads_to(ips: &[&str]) -> bool {
    let hosts = hosts();
    hosts.len() == ips.len() && hosts.iter().zip(ips).all(|((host, _), ip)| host == ip)
}

fn health(ip: &str) -> String {
    hosts().into_iter().find(|(host, _)| host == ip).map(|(_, health)| health).unwrap_or_default()
}

fn name_fails() -> bool {
    http::ask("GET", "/v1/alarms").is_some_and(|(_, body)| body.contains("name_fails"))
}

/// Places brief calls one after the other; all must be answered.
fn call(calls: u32) {
    let mut caller = Sipp::caller("caller_brief", OFFICE, LAN, NUMBER, calls, 10);
    assert!(caller.finished(LIMIT), "{:?} {}", caller.counts(), caller.errors());
}

/// Calls that a carrier has got.
fn got(carrier: &Sipp) -> usize {
    carrier.received().iter().filter(|request| request.line.starts_with("INVITE")).count()
}

fn recorded(calls: usize) -> Vec<Value> {
    wait_until("the calls are recorded", LIMIT, || journal::calls().len() >= calls);
    journal::calls()
}

/// RFC 3263 §4.1, §4.2, RFC 2782: by NAPTR to SRV to addresses, and by priority between them.
#[test]
fn a_name_leads_to_its_hosts_by_priority() {
    namespace::enter();
    let _dns = NameServer::start(ZONE);
    let mut a = Sipp::server_traced("server", A);
    let b = Sipp::server_traced("server", B);
    let edge = Edge::start(&config(&[AT]));
    wait_until("the name leads to both hosts", LIMIT, || leads_to(&[A, B]));
    call(10);
    assert_eq!((got(&a), got(&b)), (10, 0), "{}", edge.log());
    a.kill();
    call(10);
    assert_eq!(got(&b), 10, "the second host carries what the first cannot: {}", edge.log());
    let (told, _) = edge.command(&["trunks"]);
    assert!(told.contains("acme.example") && told.contains(A) && told.contains(B), "{told}");
    let why = http::sentences("/v1/why/trunk/acme").join("\n");
    assert!(why.contains("acme.example leads to 127.0.0.31:5060 and 127.0.0.33:5060"), "{why}");
}

/// RFC 8767: what was known stays in use while nobody answers.
#[test]
fn a_dead_resolver_costs_no_call() {
    const CALLS: u32 = 900;
    namespace::enter();
    let mut dns = NameServer::start(&format!("$TTL 1\n{ZONE}"));
    let a = Sipp::server_traced("server", A);
    let edge = Edge::start(&config(&[AT]));
    wait_until("the name leads to both hosts", LIMIT, || leads_to(&[A, B]));
    let mut caller = Sipp::caller("caller_brief", OFFICE, LAN, NUMBER, CALLS, RATE);
    wait_until("calls flow", LIMIT, || caller.counts().0 >= 100);
    dns.kill();
    wait_until("the edge has noticed", LIMIT, name_fails);
    let noticed = caller.counts().0;
    assert!(noticed < u64::from(CALLS) - 250, "calls were placed after that too: {noticed}");
    let (told, _) = edge.command(&["trunks"]);
    assert!(told.contains("last addresses kept"), "{told}");
    assert!(caller.finished(LIMIT), "{:?}\n{}\n{}", caller.counts(), caller.errors(), edge.log());
    assert_eq!(got(&a), CALLS as usize, "none went elsewhere");
    let straight = recorded(CALLS as usize).iter().all(|call| journal::attempts(call).len() == 1);
    assert!(straight, "each was answered by its first attempt");
    dns.restart();
    wait_until("the alarm is over", LIMIT, || !name_fails());
    assert!(leads_to(&[A, B]));
}

/// The SRV set changes: calls follow, and each address keeps or begins its own health.
#[test]
fn calls_and_health_follow_the_addresses() {
    namespace::enter();
    let mut dns = NameServer::start(ZONE);
    let a = Sipp::server_traced("server", A);
    // Nobody is at `b`.
    namespace::black_hole(B);
    let c = Sipp::server_traced("server", C);
    let edge = Edge::start(&config(&[AT]));
    wait_until("the name leads to both hosts", LIMIT, || leads_to(&[A, B]));
    wait_until("the second host is known to be dead", LIMIT, || health(B) == "down" && health(A) == "up");
    let mut live = Sipp::caller_at("caller_long", (OFFICE, 5060), LAN, NUMBER, 1, 1);
    wait_until("a call is up", LIMIT, || edge.held().0 == 1.0);
    dns.rewrite(MOVED);
    let mut moved = Vec::new();
    // Its TTL is five seconds; the rest is for a machine that stands still.
    wait_until("the name leads to the other host", Duration::from_secs(25), || {
        moved = hosts();
        moved.iter().any(|(host, _)| host == C)
    });
    assert_eq!(moved.len(), 2, "{moved:?}");
    assert_eq!(moved[0].0, C, "the new one has the first turn: {moved:?}");
    assert_ne!(moved[0].1, "down", "it begins without what others have done: {moved:?}");
    assert_eq!(moved[1], (B.to_owned(), "down".to_owned()), "a dead address is dead in its new place too: {moved:?}");
    let before = got(&a);
    let mut caller = Sipp::caller_at("caller_brief", (OFFICE, 5070), LAN, NUMBER, 10, 10);
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    assert_eq!((got(&a) - before, got(&c)), (0, 10), "{}", edge.log());
    let why = http::sentences("/v1/why/trunk/acme").join("\n");
    assert!(why.contains("127.0.0.31:5060 is gone"), "{why}");
    // Whoever was on a call with the address that is gone stays on it to its end.
    assert!(live.finished(LIMIT), "{}\n{}", live.errors(), edge.log());
}

/// Microseconds by the edge's own clock from a caller's INVITE to our first one, and to the first ringing he hears.
fn set_up(call: &Value) -> (u64, u64) {
    let sent = journal::attempts(call).first().and_then(|attempt| attempt["sent"].as_u64());
    let since_invited = |at: Option<u64>| at.zip(call["invited"].as_u64()).map(|(at, invited)| at - invited);
    let times = since_invited(sent).zip(since_invited(call["progressed"].as_u64()));
    times.unwrap_or_else(|| panic!("never rang: {call}"))
}

/// While name servers say wrong things, or nothing, fifty calls a second are placed as before: none waits for them, and none is lost.
#[test]
fn bad_answers_delay_no_call() {
    const CALLS: u32 = 1_200;
    namespace::enter();
    let mut dns = NameServer::start(&format!("$TTL 1\n{ZONE}"));
    let a = Sipp::server_traced("server", A);
    let edge = Edge::start(&config(&[AT]));
    wait_until("the name leads to both hosts", LIMIT, || leads_to(&[A, B]));
    let mut caller = Sipp::caller("caller_brief", OFFICE, LAN, NUMBER, CALLS, RATE);
    wait_until("calls flow", LIMIT, || caller.counts().0 >= 150);
    let good = journal::now();
    dns.kill();
    for manner in [Manner::Denying, Manner::Garbage, Manner::Failing, Manner::Silent] {
        let bad = BadServer::start(AT, manner);
        // What is held has ended when it is asked for again.
        bad.wait_asked(3);
        assert!(leads_to(&[A, B]), "{manner:?} took addresses away: {:?}", hosts());
        assert!(name_fails(), "{manner:?} raises an alarm");
    }
    let bad = journal::now();
    assert!(caller.finished(LIMIT), "{:?}\n{}\n{}", caller.counts(), caller.errors(), edge.log());
    let calls = recorded(CALLS as usize);
    assert_eq!(got(&a), CALLS as usize, "none went elsewhere");
    assert!(calls.iter().all(|call| journal::attempts(call).len() == 1), "each was answered by its first attempt");
    // A shard's clock stands still in a turn, and nothing that is waited for fits into one.
    assert!(calls.iter().all(|call| set_up(call).0 < 1_000), "no call waits for an answer");
    let during = |from: u64, to: u64| {
        let invited = |call: &&Value| call["invited"].as_u64().is_some_and(|at| (from..to).contains(&at));
        let mut times: Vec<u64> = calls.iter().filter(invited).map(|call| set_up(call).1).collect();
        times.sort_unstable();
        assert!(times.len() >= 100, "{} calls", times.len());
        (times[times.len() / 2], times[times.len() * 95 / 100])
    };
    let (before, meanwhile) = (during(0, good), during(good, bad));
    println!("until it rings, median and 95th percentile in µs: {before:?} before, {meanwhile:?} meanwhile");
    // A lookup that nobody answers takes a second.
    assert!(meanwhile.0 < before.0 + 250_000, "{before:?} {meanwhile:?}");
}

/// Three hosts of one priority; then one of them and a fourth.
const THREE: &str = "$TTL 1\n_sip._udp.acme SRV 10 1 5060 a\n_sip._udp.acme SRV 10 1 5060 b\n_sip._udp.acme SRV 10 1 5060 c\n\
                     a A 127.0.0.31\nb A 127.0.0.33\nc A 127.0.0.34\nd A 127.0.0.35\n";
const OTHERS: &str = "$TTL 1\n_sip._udp.acme SRV 10 1 5060 a\n_sip._udp.acme SRV 10 1 5060 d\n\
                      a A 127.0.0.31\nb A 127.0.0.33\nc A 127.0.0.34\nd A 127.0.0.35\n";

/// While fifty calls a second flow one address of three dies: its calls go to the other two, which keep their health. Then the SRV set
/// changes: calls follow within its TTL, and none is lost by it.
#[test]
fn under_load_calls_follow_the_addresses() {
    const CALLS: u32 = 1_000;
    namespace::enter();
    let mut dns = NameServer::start(THREE);
    let (a, b, c) =
        (Sipp::server_traced("server", A), Sipp::server_traced("server", B), Sipp::server_traced("server", C));
    let d = Sipp::server_traced("server", D);
    let edge = Edge::start(&config(&[AT]));
    wait_until("the name leads to three hosts", LIMIT, || hosts().len() == 3);
    let mut caller = Sipp::caller("caller_brief", OFFICE, LAN, NUMBER, CALLS, RATE);
    wait_until("each has calls", LIMIT, || [&a, &b, &c].iter().all(|host| got(host) > 20));
    namespace::black_hole(B);
    wait_until("the dead one is out", LIMIT, || matches!(health(B).as_str(), "suspect" | "down"));
    let (dead_at, at_two) = (got(&b), (got(&a), got(&c)));
    wait_until("the others have its share", LIMIT, || got(&a) > at_two.0 + 40 && got(&c) > at_two.1 + 40);
    assert_eq!((health(A).as_str(), health(C).as_str()), ("up", "up"), "health is each address's own");
    assert_eq!(got(&b), dead_at, "nobody is sent to the dead one");
    dns.rewrite(OTHERS);
    // TTL and floor are a second each.
    wait_until("the name leads elsewhere", Duration::from_secs(20), || {
        let hosts = hosts();
        hosts.len() == 2 && hosts.iter().all(|(host, _)| host == A || host == D)
    });
    let (at_c, at_d) = (got(&c), got(&d));
    wait_until("the new one has calls", LIMIT, || got(&d) > at_d + 40);
    // Those that were on their way when the update reached the shards.
    assert!(got(&c) <= at_c + 2, "{} more calls to the one that is gone", got(&c) - at_c);
    assert!(caller.finished(LIMIT), "{:?}\n{}\n{}", caller.counts(), caller.errors(), edge.log());
    assert_eq!(health(A), "up", "it stayed, with its health");
    let calls = recorded(CALLS as usize);
    let lost = |target: &str| calls.iter().filter(|call| call["ending"].to_string().contains(target)).count();
    assert_eq!(lost("refused"), 0);
    let hunted = calls.iter().filter(|call| journal::attempts(call).len() > 1).count();
    assert!((1..=40).contains(&hunted), "{hunted} calls met the dead address, and went on to another");
    let (told, good) = edge.command(&["why", "trunk", "acme"]);
    let sentence = told.lines().find(|line| line.contains("is gone") || line.contains("are gone")).unwrap_or_default();
    println!("{sentence}");
    assert!(good && sentence.contains("127.0.0.35:5060") && sentence.contains("127.0.0.34:5060"), "{told}");
}

/// Beside a good name server bad ones change nothing at all.
#[test]
fn bad_servers_lose_to_a_good_one() {
    namespace::enter();
    let bad = [
        BadServer::start("127.0.0.54", Manner::Silent),
        BadServer::start("127.0.0.55", Manner::Garbage),
        BadServer::start("127.0.0.56", Manner::Denying),
        BadServer::start("127.0.0.57", Manner::Failing),
    ];
    let mut dns = NameServer::start(ZONE);
    let _a = Sipp::server("server", A);
    // Nobody at all is at the last one.
    let servers = ["127.0.0.54", "127.0.0.55", "127.0.0.56", "127.0.0.57", AT, "127.0.0.58"];
    let edge = Edge::start(&config(&servers));
    wait_until("the name leads to both hosts", LIMIT, || leads_to(&[A, B]));
    assert!(bad.iter().all(|bad| bad.asked() > 0), "all are asked");
    call(5);
    dns.rewrite(MOVED);
    wait_until("a change is followed", LIMIT, || leads_to(&[C, B]));
    assert!(!name_fails(), "{}", edge.log());
    assert!(http::metric("throughline_dns_answered_total") > 0.0 && http::metric("throughline_dns_failed_total") > 0.0);
}

/// An edge whose name servers are not there yet starts, and calls go where there are addresses.
#[test]
fn without_an_address_calls_go_on_to_the_next_trunk() {
    namespace::enter();
    let a = Sipp::server_traced("server", A);
    let globex = Sipp::server_traced("server", "127.0.0.32");
    let edge = Edge::start(&config(&[AT]));
    wait_until("the alarm is raised", LIMIT, name_fails);
    assert!(hosts().is_empty(), "{:?}", hosts());
    call(5);
    assert_eq!(got(&globex), 5, "{}", edge.log());
    let _dns = NameServer::start(ZONE);
    wait_until("the name leads to both hosts", LIMIT, || leads_to(&[A, B]));
    wait_until("the alarm is over", LIMIT, || !name_fails());
    wait_until("the first host is up", LIMIT, || health(A) == "up");
    call(5);
    assert_eq!((got(&a), got(&globex)), (5, 5), "{}", edge.log());
}
