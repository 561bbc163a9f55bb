//! The primary carrier is lost in five ways, and flaps, while fifty calls a second flow: no call may fail.
//!
//! Calls that ring through it at that moment are moved: their callers get an answer, and the second carrier's voice.
//!
//! All may run at once, each in a network namespace of its own. What is asserted is what must hold on any machine: counts of
//! calls, attempts, decisions; how much later an affected call is, is measured elsewhere.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{AgentConfig, Behaviour, Dial, Failing, Heard, Report};
use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, journal, let_pass, namespace, wait_until};
use model::Span;
use node::lab::{LiveAgent, Order};
use serde_json::Value;
use sip::TimerSet;
use std::net::SocketAddr;
use std::time::Duration;

const RATE: u32 = 50;
const WARM: Duration = Duration::from_secs(8);
const OUTAGE: Duration = Duration::from_secs(60);
/// A first caller of a silent trunk waits until his call is late there (250 ms, learned) and the trunk is judged; as the edge's own
/// clock saw it. Nominal 400 ms; the rest is what a busy machine adds.
const SILENT_COST_US: u64 = 600_000;
/// Calls that ring at any moment: they are answered after 200 ms. When their trunk is lost they are moved, and counted for
/// themselves; twice as many are allowed, since a busy machine places calls in bursts.
const RINGING: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    Killed,
    Silent,
    Unavailable,
    Stall,
    Grey,
    Flapping,
}

impl Loss {
    /// Calls that may meet the dead trunk before it is known to be one, over the whole minute. A call is placed every 20 ms, so each
    /// 100 ms that a busy machine keeps the edge from its sockets, or the journal's decider from its turn, is five calls more.
    const fn touched(self) -> usize {
        match self {
            // Two refused packets.
            Self::Killed => 5,
            // Three refused calls, and what is sent before the third answer is read.
            Self::Unavailable => 3 + BUSY,
            // The same, and canaries.
            Self::Grey => 6,
            // What is sent within 500 ms: 25 calls.
            Self::Silent => 35,
            // It answers all probes, and only ringing that never comes tells: what is sent within 1.1 s, 55 calls, and canaries.
            Self::Stall => 80,
            // The first silence, and what meets the next ones on trial.
            Self::Flapping => 120,
        }
    }
}

/// Calls that 40 ms of a busy machine add.
const BUSY: usize = 2;

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
    let acme = carrier("acme", 31, quiet);
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
    wait_until("every call is recorded", Duration::from_secs(60), || journal::calls().len() >= total);
    let why = http::sentences("/v1/why/trunk/acme");
    let calls = journal::calls();
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

fn carrier(user: &str, last: u8, behaviour: Behaviour) -> LiveAgent {
    agent(user, SocketAddr::from(([127, 0, 0, last], 5060)), behaviour)
}

fn agent(user: &str, sip: SocketAddr, behaviour: Behaviour) -> LiveAgent {
    let config = AgentConfig {
        user: user.to_owned(),
        sip,
        media_ip: sip.ip(),
        first_port: 40_000,
        calls: 1_000,
        seed: u64::from(sip.port()) + user.len() as u64,
        timers: TimerSet::default(),
    };
    LiveAgent::start(config, behaviour).expect("an agent on loopback")
}

/// Attempts at acme that did not work out.
fn lost_attempts(call: &Value) -> Vec<&Value> {
    journal::attempts_at(call, "acme").filter(|attempt| attempt["outcome"] != "answered").collect()
}

/// One that the caller heard ringing before it was lost.
fn rang(attempt: &Value) -> bool {
    !attempt["progress"].is_null()
}

/// Calls that met the dead trunk: they were offered to it and never rang there.
fn touched(run: &Aftermath) -> usize {
    run.calls.iter().filter(|call| lost_attempts(call).iter().any(|attempt| !rang(attempt))).count()
}

/// Calls that rang at the trunk when it was lost.
fn caught_ringing(calls: &[Value]) -> Vec<&Value> {
    calls.iter().filter(|call| lost_attempts(call).iter().any(|attempt| rang(attempt))).collect()
}

fn worst_cost(run: &Aftermath) -> u64 {
    // Those who hear it ring are moved too; they do not wait in silence.
    let lost = run.calls.iter().flat_map(lost_attempts).filter(|attempt| !rang(attempt));
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
        "{:?}: {} succeeded, {} failed, {} touched, {} ringing, worst attempt {} ms, {} tier changes",
        run.loss,
        run.succeeded,
        run.failed,
        touched(run),
        caught_ringing(&run.calls).len(),
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
    assert!(tier_changes(run) <= 1, "{loss:?}: {} changes of the active tier", tier_changes(run));
    assert!(touched(run) <= loss.touched(), "{loss:?}: {} calls met the dead trunk", touched(run));
    if loss != Loss::Flapping {
        let ringing = caught_ringing(&run.calls).len();
        assert!(ringing <= RINGING, "{loss:?}: {ringing} calls rang at the dead trunk");
    }
    if loss == Loss::Silent {
        assert!(worst_cost(run) <= SILENT_COST_US, "{loss:?}: {} µs", worst_cost(run));
    }
}

#[test]
fn calls_that_ring_at_a_trunk_that_falls_silent_are_moved() {
    rescues(Loss::Silent);
}

#[test]
fn calls_that_ring_at_a_trunk_that_is_killed_are_moved() {
    rescues(Loss::Killed);
}

/// So long a carrier rings in these tests: fifty calls a second, so a hundred ring at any moment.
const RINGS_FOR: Span = Span::from_secs(2);
const SECOND_TONE_HZ: u16 = 850;

/// The primary is lost while calls ring there, and those very calls are followed.
fn rescues(loss: Loss) {
    namespace::enter();
    let slow = Behaviour { tone_hz: 440, answer_after: Some(RINGS_FOR), ..Behaviour::default() };
    let acme = carrier("acme", 31, slow);
    let _globex = carrier("globex", 32, Behaviour { tone_hz: SECOND_TONE_HZ, ..Behaviour::default() });
    let phone = agent("phone", SocketAddr::from(([127, 0, 0, 20], 5070)), Behaviour::default());
    let edge = Edge::start(CONFIG);
    let seconds = 20;
    let mut caller = Sipp::caller("caller_brief", "127.0.0.20", "127.0.0.10:5060", "+4722334455", RATE * seconds, RATE);
    let_pass(WARM);
    phone.order(Order::Dial(Dial {
        to: SocketAddr::from(([127, 0, 0, 10], 5060)),
        number: "+4722334456".to_owned(),
        late_offer: false,
        tone_hz: 1_300,
        hang_up_after: Some(Span::from_secs(3)),
        give_up_after: None,
    }));
    let_pass(Duration::from_millis(700));
    match loss {
        Loss::Killed => acme.order(Order::Behave(Behaviour { failing: Some(Failing::Closed), ..slow })),
        _ => namespace::black_hole("127.0.0.31"),
    }
    let heard = ended(&phone);
    assert!(caller.finished(Duration::from_secs(120)), "{:?}\n{}", caller.counts(), caller.errors());
    let total = usize::try_from(RATE * seconds).expect("a count") + 1;
    wait_until("every call is recorded", Duration::from_secs(60), || journal::calls().len() >= total);
    let calls = journal::calls();
    let ringing = caught_ringing(&calls);
    let moved = |call: &&&Value| {
        !call["answered"].is_null()
            && journal::attempts_at(call, "globex").any(|attempt| attempt["outcome"] == "answered")
    };
    let saved = ringing.iter().filter(moved).count();
    println!("{loss:?}: {} calls rang at the trunk when it was lost, {saved} were answered elsewhere", ringing.len());
    assert!(ringing.len() >= 25, "{loss:?}: {} calls rang", ringing.len());
    assert!(saved * 10 >= ringing.len() * 9, "{loss:?}: {saved} of {} were answered", ringing.len());
    assert_eq!(caller.counts().1, 0, "{loss:?}: no caller gets an error");
    assert!(ringing.iter().any(|call| call["called"] == "+4722334456"), "{loss:?}: the phone's call is one of them");
    assert_eq!(heard.tone_hz, Some(SECOND_TONE_HZ), "{loss:?}: {heard:?}");
    assert!(heard.tone_for >= Span::from_secs(1), "{loss:?}: {heard:?}");
    drop(edge);
}

/// What the phone has heard when its call is over.
fn ended(phone: &LiveAgent) -> Heard {
    loop {
        let report = phone.reports.recv_timeout(Duration::from_secs(60)).expect("the phone's call ends");
        match report {
            Report::Ended { heard, .. } => return heard,
            Report::Refused { .. } | Report::Failed { .. } => panic!("the phone's call was lost: {report:?}"),
            _ => {}
        }
    }
}
