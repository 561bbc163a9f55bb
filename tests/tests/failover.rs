//! The primary carrier is lost in five ways, and flaps, while fifty calls a second flow: no call may fail.
//!
//! All six may run at once, each in a network namespace of its own. What is asserted is what must hold on any machine: counts of
//! calls, attempts, decisions; how much later an affected call is, is measured elsewhere.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{AgentConfig, Behaviour, Failing};
use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, let_pass, namespace, wait_until};
use node::lab::{LiveAgent, Order};
use serde_json::Value;
use sip::TimerSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const RATE: u32 = 50;
const WARM: Duration = Duration::from_secs(8);
const OUTAGE: Duration = Duration::from_secs(60);
/// Calls that may meet the dead trunk before it is known to be one.
const TOUCHED: usize = 60;
/// The same for one that stalls: it answers all probes, and only ringing that never comes tells.
const TOUCHED_BY_STALL: usize = 120;
/// A first caller of a silent trunk waits for the first-reply deadline (1 s) once; as the edge's own clock saw it.
const SILENT_COST_US: u64 = 1_200_000;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    Killed,
    Silent,
    Unavailable,
    Stall,
    Grey,
    Flapping,
}

/// What one run left behind.
struct Aftermath {
    loss: Loss,
    failed: u64,
    succeeded: u64,
    calls: Vec<Value>,
    why: Vec<String>,
}

#[test]
fn killed() {
    survives(Loss::Killed);
}

#[test]
fn silent() {
    survives(Loss::Silent);
}

#[test]
fn unavailable() {
    survives(Loss::Unavailable);
}

#[test]
fn stall() {
    survives(Loss::Stall);
}

#[test]
fn grey() {
    survives(Loss::Grey);
}

#[test]
fn flapping() {
    survives(Loss::Flapping);
}

fn survives(loss: Loss) {
    let run = lose(loss);
    report(&run);
    judge(&run);
}

fn lose(loss: Loss) -> Aftermath {
    namespace::enter();
    let quiet = Behaviour { failing: Some(Failing::NoRtp), ..Behaviour::default() };
    let acme = carrier(quiet);
    let _globex = Sipp::server("server", "127.0.0.32");
    let edge = Edge::start(CONFIG);
    let seconds = (WARM + OUTAGE).as_secs() as u32;
    let mut caller = Sipp::caller("caller_brief", "127.0.0.20", "127.0.0.10:5060", "+4722334455", RATE * seconds, RATE);
    let_pass(WARM);
    match loss {
        Loss::Killed => acme.order(Order::Behave(Behaviour { failing: Some(Failing::Closed), ..quiet })),
        Loss::Silent => namespace::black_hole("127.0.0.31"),
        Loss::Unavailable => acme.order(Order::Behave(Behaviour { failing: Some(Failing::Unavailable), ..quiet })),
        Loss::Stall => acme.order(Order::Behave(Behaviour { failing: Some(Failing::Stall), ..quiet })),
        Loss::Grey => acme.order(Order::Behave(Behaviour { failing: Some(Failing::Grey), ..quiet })),
        Loss::Flapping => flap(),
    }
    let placed = caller.finished(Duration::from_secs(120));
    assert!(placed, "{:?}\n{}", caller.counts(), caller.errors());
    let (succeeded, failed) = caller.counts();
    let total = usize::try_from(RATE * seconds).expect("a count");
    wait_until("every call is recorded", Duration::from_secs(60), || http::call_records().len() >= total);
    let why = http::sentences("/v1/why/trunk/acme");
    let calls = http::call_records();
    drop(edge);
    Aftermath { loss, failed, succeeded, calls, why }
}

/// Three seconds dead, three alive, for a minute.
fn flap() {
    for _ in 0..10 {
        namespace::black_hole("127.0.0.31");
        let_pass(Duration::from_secs(3));
        namespace::heal();
        let_pass(Duration::from_secs(3));
    }
}

fn carrier(behaviour: Behaviour) -> LiveAgent {
    let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 31));
    let config = AgentConfig {
        user: "acme".to_owned(),
        sip: SocketAddr::new(ip, 5060),
        media_ip: ip,
        first_port: 40_000,
        calls: 1_000,
        seed: 31,
        timers: TimerSet::default(),
    };
    LiveAgent::start(config, behaviour).expect("an agent on loopback")
}

/// Attempts at acme that did not work out.
fn lost_attempts(call: &Value) -> Vec<&Value> {
    let attempts = call["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
    attempts.iter().filter(|attempt| attempt["trunk"] == "acme" && attempt["outcome"] != "answered").collect()
}

fn touched(run: &Aftermath) -> usize {
    run.calls.iter().filter(|call| !lost_attempts(call).is_empty()).count()
}

fn worst_cost(run: &Aftermath) -> u64 {
    // Those who hear it ring are moved too; they do not wait in silence.
    let lost = run.calls.iter().flat_map(lost_attempts).filter(|attempt| attempt["progress"].is_null());
    lost.filter_map(|attempt| attempt["took"].as_u64()).max().unwrap_or(0)
}

/// How often the trunk that carries most calls of a second is another one than in the second before.
fn tier_changes(run: &Aftermath) -> usize {
    let mut by_second: std::collections::BTreeMap<u64, (usize, usize)> = std::collections::BTreeMap::new();
    for call in &run.calls {
        let second = call["invited"].as_u64().unwrap_or(0) / 1_000_000;
        let last =
            call["attempts"].as_array().and_then(|attempts| attempts.last()).map(|attempt| attempt["trunk"].clone());
        let counts = by_second.entry(second).or_default();
        match last.as_ref().and_then(Value::as_str) {
            Some("acme") => counts.0 += 1,
            Some(_) => counts.1 += 1,
            None => {}
        }
    }
    let active: Vec<bool> = by_second.values().map(|(acme, other)| acme >= other).collect();
    active.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

fn report(run: &Aftermath) {
    println!(
        "{:?}: {} succeeded, {} failed, {} touched, worst attempt {} ms, {} tier changes",
        run.loss,
        run.succeeded,
        run.failed,
        touched(run),
        worst_cost(run) / 1_000,
        tier_changes(run)
    );
    for sentence in &run.why {
        println!("    {sentence}");
    }
}

fn judge(run: &Aftermath) {
    let loss = run.loss;
    assert_eq!(run.failed, 0, "{loss:?}: no call may fail");
    assert!(run.succeeded >= u64::from(RATE) * (WARM + OUTAGE).as_secs(), "{loss:?}: all calls were placed");
    assert!(
        run.why.iter().any(|sentence| sentence.contains("acme") && sentence.contains("→")),
        "{loss:?}: {:?}",
        run.why
    );
    let expected_changes = if loss == Loss::Flapping { 2 } else { 1 };
    assert!(tier_changes(run) <= expected_changes, "{loss:?}: {} changes of the active tier", tier_changes(run));
    if loss != Loss::Flapping {
        let limit = if loss == Loss::Stall { TOUCHED_BY_STALL } else { TOUCHED };
        assert!(touched(run) <= limit, "{loss:?}: {} calls met the dead trunk", touched(run));
    }
    if loss == Loss::Silent {
        assert!(worst_cost(run) <= SILENT_COST_US, "{loss:?}: {} µs", worst_cost(run));
    }
}
