//! The drill of failover: the primary carrier is lost in one way, by one transport, while fifty calls a second flow, and what came of it.
//!
//! What is judged is what must hold on any machine: counts of calls, attempts, decisions. Figures are printed as a row of a table.

use crate::edge::Edge;
use crate::pauses::steadily;
use crate::primary::{By, Loss, Primary};
use crate::sipp::Sipp;
use crate::{http, journal, let_pass, namespace, wait_until};
use agent::{Behaviour, Failing};
use serde_json::Value;
use std::time::Duration;

/// Calls a second.
pub const RATE: u32 = 50;
const WARM: Duration = Duration::from_secs(8);
/// A doubt in the warm-up is over by then, and most of the outage is left.
const STANDING: Duration = Duration::from_secs(20);
/// A first caller of a trunk from which nothing comes waits until his call is late there (250 ms, learned) and the trunk is judged, and
/// then it rings elsewhere; as the edge's own clock saw it. Nominal 400 ms; the rest is what a busy machine adds.
const SILENT_WAIT_US: u64 = 600_000;
/// Calls that ring at any moment: they are answered after 200 ms. When their trunk is lost they are moved, and counted for
/// themselves; twice as many are allowed, since a busy machine places calls in bursts.
const RINGING: usize = 20;
/// Calls that 40 ms of a busy machine add.
const BUSY: usize = 2;

/// Calls that may meet the dead trunk before it is known to be one, over the whole outage. A call is placed every 20 ms, so each
/// 100 ms that a busy machine keeps the edge from its sockets, or the journal's decider from its turn, is five calls more.
const fn may_meet(loss: Loss) -> usize {
    match loss {
        // Two refused packets or connections.
        Loss::Killed | Loss::Expired => 5,
        // Three refused calls, and what is sent before the third answer is read.
        Loss::Unavailable => 3 + BUSY,
        // The same, and canaries.
        Loss::Grey => 6,
        // What is sent within 500 ms: 25 calls.
        Loss::Silent | Loss::Mute | Loss::Deaf => 35,
        // It answers all probes, and only ringing that never comes tells: what is sent within 1.1 s, 55 calls, and canaries.
        Loss::Stall => 80,
        // The first silence, and what meets the next ones on trial.
        Loss::Flapping => 60,
    }
}

/// Only time tells that it is lost.
const fn is_silence(loss: Loss) -> bool {
    matches!(loss, Loss::Silent | Loss::Mute | Loss::Deaf)
}

/// What one run left behind.
struct Aftermath {
    loss: Loss,
    by: By,
    /// When the trunk was lost, in microseconds by the edge's own clock, or a little earlier.
    lost: u64,
    placed: u64,
    failed: u64,
    succeeded: u64,
    calls: Vec<Value>,
    decisions: Vec<Value>,
    why: Vec<String>,
}

/// Loses the primary carrier for so long: no call may fail, and those that meet it are no more, and wait no longer, than must be.
pub fn survives(loss: Loss, by: By, outage: Duration) {
    steadily(|| {
        let run = lose(loss, by, outage);
        report(&run);
        judge(&run);
    });
}

fn lose(loss: Loss, by: By, outage: Duration) -> Aftermath {
    namespace::enter();
    // Calls are answered; nobody listens to their audio.
    let quiet = Behaviour { failing: Some(Failing::NoRtp), ..Behaviour::default() };
    let acme = Primary::start(by, &format!("lost-{loss:?}"), quiet);
    let _globex = Sipp::server("server", "127.0.0.32");
    let edge = Edge::start(&acme.config);
    let calls = RATE * u32::try_from((WARM + outage).as_secs()).expect("a short outage");
    let mut caller = Sipp::caller("caller_brief", "127.0.0.20", "127.0.0.10:5060", "+4722334455", calls, RATE);
    let_pass(WARM);
    // A machine that stood still meanwhile has made the edge doubt everybody; that passes.
    wait_until("the trunk is in good standing", STANDING, || journal::stands("acme") && journal::stands("globex"));
    let lost = journal::now();
    match loss {
        Loss::Flapping => flap(&acme, outage),
        _ => acme.lose(loss),
    }
    let all = caller.finished(outage + Duration::from_secs(60));
    assert!(all, "{:?}\n{}", caller.counts(), caller.errors());
    let (succeeded, failed) = caller.counts();
    wait_until("every call is recorded", Duration::from_secs(60), || journal::calls().len() >= calls as usize);
    let why = http::sentences("/v1/why/trunk/acme");
    let (calls_made, decisions) = (journal::calls(), journal::records("decision"));
    drop(edge);
    Aftermath { loss, by, lost, placed: u64::from(calls), failed, succeeded, calls: calls_made, decisions, why }
}

/// Three seconds dead, three alive.
fn flap(acme: &Primary, outage: Duration) {
    for _ in 0..outage.as_secs() / 6 {
        acme.lose(Loss::Silent);
        let_pass(Duration::from_secs(3));
        acme.heal(Loss::Silent);
        let_pass(Duration::from_secs(3));
    }
}

/// Attempts at acme that were lost when it was, or since. What a machine that stood still has cost before is not what is tested.
fn lost_attempts<'a>(run: &Aftermath, call: &'a Value) -> Vec<&'a Value> {
    journal::lost_at(call, "acme").filter(|attempt| journal::over(attempt) >= run.lost).collect()
}

/// Calls that met the dead trunk: they were offered to it and never rang there.
fn touched(run: &Aftermath) -> usize {
    run.calls.iter().filter(|call| lost_attempts(run, call).iter().any(|attempt| !journal::rang(attempt))).count()
}

/// Calls that rang at the trunk when it was lost.
fn caught_ringing(run: &Aftermath) -> usize {
    run.calls.iter().filter(|call| lost_attempts(run, call).iter().any(|attempt| journal::rang(attempt))).count()
}

/// How long a caller has waited at most until he heard it ring, in microseconds by the edge's own clock, since the trunk was lost.
fn longest_wait(run: &Aftermath) -> u64 {
    let since = run.calls.iter().filter(|call| call["ended"].as_u64().unwrap_or(0) >= run.lost);
    since.filter_map(|call| call["progressed"].as_u64()?.checked_sub(call["invited"].as_u64()?)).max().unwrap_or(0)
}

/// How long after the loss the trunk was no longer first choice, in microseconds by the edge's own clock.
fn taken_out(run: &Aftermath) -> Option<u64> {
    let left = |record: &&Value| {
        let (decision, health) = (&record["decision"], &record["decision"]["change"]["health"]["to"]);
        record["who"]["trunk"] == "acme" && decision["veto"].is_null() && (health == "suspect" || health == "down")
    };
    let times = run.decisions.iter().filter(left).filter_map(|record| record["decision"]["at"].as_u64());
    times.filter_map(|at| at.checked_sub(run.lost)).min()
}

/// How often the trunk that carries most calls of a second is another one than in the second before.
fn tier_changes(run: &Aftermath) -> usize {
    let mut by_second: std::collections::BTreeMap<u64, (usize, usize)> = std::collections::BTreeMap::new();
    for call in &run.calls {
        let second = call["invited"].as_u64().unwrap_or(0) / 1_000_000;
        if second + 2 < run.lost / 1_000_000 {
            continue;
        }
        let last = journal::attempts(call).last().and_then(|attempt| attempt["trunk"].as_str());
        let counts = by_second.entry(second).or_default();
        match last {
            Some("acme") => counts.0 += 1,
            Some(_) => counts.1 += 1,
            None => {}
        }
    }
    let active: Vec<bool> = by_second.values().map(|(acme, other)| acme >= other).collect();
    active.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// A row of a table, for whoever gathers figures, and why the trunk was left.
fn report(run: &Aftermath) {
    let out = taken_out(run).map_or("never".to_owned(), |after| format!("{} ms", after / 1_000));
    println!(
        "| {:?} | {:?} | {} | {} | {} | {} | {} ms | {out} | {} |",
        run.loss,
        run.by,
        run.placed,
        run.placed - run.succeeded,
        touched(run),
        caught_ringing(run),
        longest_wait(run) / 1_000,
        tier_changes(run)
    );
    for sentence in &run.why {
        println!("    {sentence}");
    }
}

fn judge(run: &Aftermath) {
    let what = format!("{:?} by {:?}", run.loss, run.by);
    assert_eq!(run.failed, 0, "{what}: no call may fail");
    assert!(run.succeeded >= run.placed, "{what}: all calls were placed");
    assert!(taken_out(run).is_some(), "{what}: {:?}", run.why);
    assert!(tier_changes(run) <= 1, "{what}: {} changes of the active tier", tier_changes(run));
    assert!(touched(run) <= may_meet(run.loss), "{what}: {} calls met the dead trunk", touched(run));
    if run.loss != Loss::Flapping {
        let ringing = caught_ringing(run);
        assert!(ringing <= RINGING, "{what}: {ringing} calls rang at the dead trunk");
    }
    if is_silence(run.loss) {
        assert!(longest_wait(run) <= SILENT_WAIT_US, "{what}: {} µs", longest_wait(run));
    }
}
