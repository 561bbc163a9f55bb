//! The primary carrier is lost in five ways, and flaps, while fifty calls a second flow: no call may fail.
//!
//! All six may run at once, each in a network namespace of its own. What is asserted is what must hold on any machine: counts of
//! calls, attempts, decisions; how much later an affected call is, is measured elsewhere. A machine that stands still for a moment is none.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{Behaviour, Failing};
use interop::edge::{CONFIG, Edge};
use interop::pauses::steadily;
use interop::sipp::Sipp;
use interop::{agents, http, journal, let_pass, namespace, wait_until};
use node::lab::Order;
use serde_json::Value;
use std::time::Duration;

const RATE: u32 = 50;
const WARM: Duration = Duration::from_secs(8);
const OUTAGE: Duration = Duration::from_secs(60);
/// A doubt in the warm-up is over by then, and most of the minute is left.
const STANDING: Duration = Duration::from_secs(20);
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
            Self::Flapping => 60,
        }
    }
}

/// Calls that 40 ms of a busy machine add.
const BUSY: usize = 2;

/// What one run left behind.
struct Aftermath {
    loss: Loss,
    /// When the trunk was lost, in microseconds by the edge's own clock, or a little earlier.
    lost: u64,
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
    steadily(|| {
        let run = lose(loss);
        report(&run);
        judge(&run);
    });
}

fn lose(loss: Loss) -> Aftermath {
    namespace::enter();
    let quiet = Behaviour { failing: Some(Failing::NoRtp), ..Behaviour::default() };
    let acme = agents::agent("acme", 31, quiet);
    let _globex = Sipp::server("server", "127.0.0.32");
    let edge = Edge::start(CONFIG);
    let seconds = (WARM + OUTAGE).as_secs() as u32;
    let mut caller = Sipp::caller("caller_brief", "127.0.0.20", "127.0.0.10:5060", "+4722334455", RATE * seconds, RATE);
    let_pass(WARM);
    // A machine that stood still meanwhile has made the edge doubt everybody; that passes.
    wait_until("the trunk is in good standing", STANDING, || journal::stands("acme") && journal::stands("globex"));
    let lost = journal::now();
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
    Aftermath { loss, lost, failed, succeeded, calls, why }
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

/// Attempts at acme that were lost when it was, or since. What a machine that stood still has cost before is not what is tested.
fn lost_attempts<'a>(run: &Aftermath, call: &'a Value) -> Vec<&'a Value> {
    journal::lost_at(call, "acme").filter(|attempt| journal::over(attempt) >= run.lost).collect()
}

/// Calls that met the dead trunk: they were offered to it and never rang there.
fn touched(run: &Aftermath) -> Vec<&Value> {
    run.calls.iter().filter(|call| lost_attempts(run, call).iter().any(|attempt| !journal::rang(attempt))).collect()
}

/// Calls that rang at the trunk when it was lost.
fn caught_ringing(run: &Aftermath) -> usize {
    run.calls.iter().filter(|call| lost_attempts(run, call).iter().any(|attempt| journal::rang(attempt))).count()
}

/// How much later a call that met the dead trunk was sent to the one that answered it, in microseconds by the edge's own clock.
fn worst_cost(run: &Aftermath) -> u64 {
    // Those who hear it ring are moved too; they do not wait in silence.
    let cost = |call: &Value| {
        let answering = journal::attempts(call).iter().find(|attempt| attempt["outcome"] == "answered")?;
        answering["sent"].as_u64()?.checked_sub(call["invited"].as_u64()?)
    };
    touched(run).into_iter().filter_map(cost).max().unwrap_or(0)
}

/// How often the trunk that carries most calls of a second is another one than in the second before.
fn tier_changes(run: &Aftermath) -> usize {
    let mut by_second: std::collections::BTreeMap<u64, (usize, usize)> = std::collections::BTreeMap::new();
    for call in &run.calls {
        let second = call["invited"].as_u64().unwrap_or(0) / 1_000_000;
        if second + 2 < run.lost / 1_000_000 {
            continue;
        }
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
        "{:?}: {} succeeded, {} failed, {} touched, {} ringing, worst delay {} ms, {} tier changes",
        run.loss,
        run.succeeded,
        run.failed,
        touched(run).len(),
        caught_ringing(run),
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
        run.why.iter().any(|sentence| sentence.contains("→ Suspect") || sentence.contains("→ Down")),
        "{loss:?}: {:?}",
        run.why
    );
    assert!(tier_changes(run) <= 1, "{loss:?}: {} changes of the active tier", tier_changes(run));
    assert!(touched(run).len() <= loss.touched(), "{loss:?}: {} calls met the dead trunk", touched(run).len());
    if loss != Loss::Flapping {
        let ringing = caught_ringing(run);
        assert!(ringing <= RINGING, "{loss:?}: {ringing} calls rang at the dead trunk");
    }
    if loss == Loss::Silent {
        assert!(worst_cost(run) <= SILENT_COST_US, "{loss:?}: {} µs", worst_cost(run));
    }
}
