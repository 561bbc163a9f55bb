//! The worst day: the primary is dead, and the backup may carry half of what is offered. Its limits hold, what it accepts
//! succeeds, the rest is refused at once and told when to come again, and emergency calls pass.
//!
//! Limits are kept by shards: each of the edge's shards has its part, and the parts add up to the limit. So the limit is what is
//! asserted, whatever the number of shards is; what that costs, calls refused although another shard had room, is printed and bounded.
#![allow(clippy::expect_used, clippy::panic)]

use interop::edge::{CONFIG, Edge};
use interop::pauses::steadily;
use interop::sipp::{Received, Sipp};
use interop::{http, journal, let_pass, namespace, wait_until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const LAN: &str = "127.0.0.10:5060";
const OFFICE: &str = "127.0.0.20";
const ACME: &str = "127.0.0.31";
const GLOBEX: &str = "127.0.0.32";
/// Offered calls per second. Each takes 2.1 s, so about 105 would be up at once.
const RATE: u32 = 50;
const SECONDS: u32 = 20;
/// Half of the load, by either measure.
const CPS: usize = 25;
const CALLS: usize = 52;
const EMERGENCY_RATE: u32 = 5;
const EMERGENCY: &str = "112";
/// A busy machine may hand over a packet so much later than another one. The edge itself keeps its limit by a whole second, and its
/// journal says so.
const LATE_BY: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);
/// Calls refused after an attempt at a primary that has just died, at most. Until it is known to be Down, for about two seconds, a call
/// for which the backup has no room tries it all the same: half of those offered.
const TRIED_IN_VAIN: usize = 100;
/// Attempts at a primary that was dead before: none but what its trial costs.
const TOUCHED: usize = 5;

/// How the primary is gone.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dead {
    /// Nobody listens: every packet is answered by ICMP.
    Refuses,
    /// Packets vanish.
    Silent,
    /// It carries the calls of the first eight seconds, and then packets vanish.
    DiesMeanwhile,
}

/// What one run left behind.
struct Aftermath {
    dead: Dead,
    calls: Vec<Value>,
    /// What the backup received.
    backup: Vec<Received>,
    /// Seconds that those who were refused are asked to wait.
    waits: Vec<u64>,
}

#[test]
fn a_primary_that_refuses() {
    survives(Dead::Refuses);
}

#[test]
fn a_primary_that_is_silent() {
    survives(Dead::Silent);
}

#[test]
fn a_primary_that_dies_meanwhile() {
    survives(Dead::DiesMeanwhile);
}

fn survives(dead: Dead) {
    steadily(|| {
        let run = overload(dead);
        report(&run);
        its_limits_hold(&run);
        what_is_accepted_succeeds(&run);
        the_rest_is_refused_at_once(&run);
        emergency_calls_pass(&run);
        attempts_are_bounded(&run);
    });
}

fn overload(dead: Dead) -> Aftermath {
    namespace::enter();
    let acme = (dead == Dead::DiesMeanwhile).then(|| Sipp::server("server", ACME));
    if dead == Dead::Silent {
        namespace::black_hole(ACME);
    }
    let globex = Sipp::server_traced("server", GLOBEX);
    let at = format!("at = \"sip:{GLOBEX}:5060\"");
    let limits = format!("{at}\nlimits = {{ cps = {CPS}, calls = {CALLS} }}");
    let emergency = format!("name = \"test\"\nemergency = [\"{EMERGENCY}\"]");
    let edge = Edge::start(&CONFIG.replace(&at, &limits).replace("name = \"test\"", &emergency));
    if acme.is_none() {
        wait_until("the primary is known to be dead", Duration::from_secs(60), || {
            http::ask("GET", "/v1/why/trunk/acme").is_some_and(|(_, body)| body.contains("→ Down"))
        });
    }
    let (calls, urgent) = (RATE * SECONDS, EMERGENCY_RATE * SECONDS);
    let mut caller = Sipp::caller("caller_or_refused", OFFICE, LAN, "+4722334455", calls, RATE);
    let mut in_need = Sipp::caller_at("caller", (OFFICE, 5070), LAN, EMERGENCY, urgent, EMERGENCY_RATE);
    if acme.is_some() {
        let_pass(Duration::from_secs(8));
        namespace::black_hole(ACME);
    }
    let placed = caller.finished(Duration::from_secs(120));
    assert!(placed, "{dead:?}: {:?}\n{}", caller.counts(), caller.errors());
    let passed = in_need.finished(Duration::from_secs(60));
    assert!(passed, "{dead:?}: emergency calls: {:?}\n{}", in_need.counts(), in_need.errors());
    let total = usize::try_from(calls + urgent).expect("a count");
    wait_until("every call is recorded", Duration::from_secs(60), || journal::calls().len() >= total);
    let calls = journal::calls();
    let waits = caller.logged().iter().filter_map(|line| wait_of(line)).collect();
    drop(edge);
    Aftermath { dead, calls, backup: globex.received(), waits }
}

/// Seconds in a line that the caller's scenario wrote down.
fn wait_of(line: &str) -> Option<u64> {
    line.strip_prefix("retry after ")?.parse().ok()
}

fn is_emergency(call: &Value) -> bool {
    call["called"] == EMERGENCY
}

/// The caller got a refusal.
fn was_refused(call: &Value) -> bool {
    call["answered"].is_null()
}

/// First INVITEs that the backup received: when, and whether for the emergency number.
fn invites(run: &Aftermath) -> Vec<(Duration, bool)> {
    let mut seen = BTreeSet::new();
    let first =
        run.backup.iter().filter(|request| request.line.starts_with("INVITE ") && seen.insert(&request.call_id));
    first.map(|request| (request.at, request.line.starts_with(&format!("INVITE sip:{EMERGENCY}@")))).collect()
}

/// The most of these times that lie within `span` of each other.
fn most_within(times: &[Duration], span: Duration) -> usize {
    let within =
        |(index, first): (usize, &Duration)| times[index..].iter().take_while(|at| **at - *first < span).count();
    times.iter().enumerate().map(within).max().unwrap_or(0)
}

/// The most calls that the backup had at once, as it saw them: from the INVITE to the BYE or CANCEL. Of ordinary calls alone, or of all.
fn most_at_once(run: &Aftermath, ordinary_only: bool) -> usize {
    let mut up: BTreeSet<&str> = BTreeSet::new();
    let mut begun: BTreeSet<&str> = BTreeSet::new();
    let mut most = 0;
    for request in &run.backup {
        let method = request.line.split(' ').next().unwrap_or_default();
        let counts = !(ordinary_only && request.line.starts_with(&format!("INVITE sip:{EMERGENCY}@")));
        match method {
            "INVITE" if counts && begun.insert(&request.call_id) => drop(up.insert(&request.call_id)),
            "BYE" | "CANCEL" => drop(up.remove(request.call_id.as_str())),
            _ => {}
        }
        most = most.max(up.len());
    }
    most
}

/// When ordinary calls were sent to the backup, by the edge's own clock.
fn sent(run: &Aftermath) -> Vec<Duration> {
    let ordinary = run.calls.iter().filter(|call| !is_emergency(call));
    let at = ordinary.flat_map(|call| journal::attempts_at(call, "globex"));
    let mut sent: Vec<Duration> =
        at.map(|attempt| Duration::from_micros(attempt["sent"].as_u64().expect("a time"))).collect();
    sent.sort_unstable();
    sent
}

fn attempts(run: &Aftermath) -> usize {
    run.calls.iter().map(|call| journal::attempts(call).len()).sum()
}

fn report(run: &Aftermath) {
    let ordinary: Vec<Duration> = invites(run).iter().filter(|(_, urgent)| !urgent).map(|(at, _)| *at).collect();
    let all: Vec<Duration> = invites(run).iter().map(|(at, _)| *at).collect();
    println!(
        "{:?}: {} calls, {} attempts, {} refused; the backup saw {} INVITEs, {} in a second at most, {} of them ordinary, and {} calls at once, {} of them ordinary",
        run.dead,
        run.calls.len(),
        attempts(run),
        run.calls.iter().filter(|call| was_refused(call)).count(),
        all.len(),
        most_within(&all, SECOND),
        most_within(&ordinary, SECOND),
        most_at_once(run, false),
        most_at_once(run, true),
    );
}

fn its_limits_hold(run: &Aftermath) {
    let dead = run.dead;
    let ordinary: Vec<Duration> = invites(run).iter().filter(|(_, urgent)| !urgent).map(|(at, _)| *at).collect();
    let received = most_within(&ordinary, SECOND - LATE_BY);
    assert!(received <= CPS, "{dead:?}: the backup received {received} calls in a second");
    let sent = most_within(&sent(run), SECOND);
    assert!(sent <= CPS, "{dead:?}: the edge sent {sent} calls in a second");
    let at_once = most_at_once(run, true);
    assert!(at_once <= CALLS, "{dead:?}: {at_once} calls at once");
    // A limit is no use if little of it is used. Each shard has a part, and a call goes to the shard its Call-ID names, so some are
    // refused by one while another has room; and emergency calls take their places first.
    let seconds = usize::try_from(SECONDS - 8).expect("a count");
    let least = (CALLS * 10 / 21 - EMERGENCY_RATE as usize) * seconds * 7 / 10;
    assert!(ordinary.len() >= least, "{dead:?}: {} of at least {least} calls", ordinary.len());
}

fn what_is_accepted_succeeds(run: &Aftermath) {
    for call in &run.calls {
        let outcomes: Vec<&Value> = journal::attempts_at(call, "globex").map(|attempt| &attempt["outcome"]).collect();
        // One that was begun beside an attempt that answered after all is left, and did not fail.
        let failed = |outcome: &&&Value| **outcome != "answered" && outcome.get("outrun").is_none();
        assert_eq!(outcomes.iter().find(failed), None, "{:?}: {call}", run.dead);
        if outcomes.iter().any(|outcome| *outcome == "answered") {
            assert_eq!(call["ending"]["bye"]["by"], "caller", "{:?}: {call}", run.dead);
        }
    }
}

fn the_rest_is_refused_at_once(run: &Aftermath) {
    let dead = run.dead;
    let refused: Vec<&Value> = run.calls.iter().filter(|call| was_refused(call)).collect();
    assert!(refused.len() >= 100, "{dead:?}: half of the load is too much, and {} calls were refused", refused.len());
    for call in &refused {
        assert_eq!(call["ending"]["refused"]["code"], 503, "{dead:?}: {call}");
    }
    let attempted = refused.iter().filter(|call| !journal::attempts(call).is_empty()).count();
    let may = if dead == Dead::DiesMeanwhile { TRIED_IN_VAIN } else { 0 };
    assert!(attempted <= may, "{dead:?}: {attempted} calls were refused after an attempt");
    assert_eq!(run.waits.len(), refused.len(), "{dead:?}: everyone who is refused is told when to come again");
    assert!(run.waits.iter().all(|wait| (5..=20).contains(wait)), "{dead:?}: {:?}", run.waits);
    let mut spread: BTreeMap<u64, usize> = BTreeMap::new();
    run.waits.iter().for_each(|wait| *spread.entry(*wait).or_default() += 1);
    let most = spread.values().max().copied().unwrap_or(0);
    assert!(spread.len() >= 6 && most * 3 <= refused.len(), "{dead:?}: they return together: {spread:?}");
}

fn emergency_calls_pass(run: &Aftermath) {
    let dead = run.dead;
    let urgent: Vec<&Value> = run.calls.iter().filter(|call| is_emergency(call)).collect();
    assert_eq!(urgent.len(), (EMERGENCY_RATE * SECONDS) as usize, "{dead:?}");
    let lost = urgent.iter().find(|call| was_refused(call));
    assert_eq!(lost, None, "{dead:?}");
    // They pass a limit that is used up, not beside one that has room.
    let beyond = most_at_once(run, false);
    let all: Vec<Duration> = invites(run).iter().map(|(at, _)| *at).collect();
    let rate = most_within(&all, SECOND);
    assert!(beyond > CALLS || rate > CPS, "{dead:?}: no limit was in their way: {beyond} at once, {rate} in a second");
}

fn attempts_are_bounded(run: &Aftermath) {
    let (calls, attempts) = (run.calls.len(), attempts(run));
    assert!(attempts * 10 <= calls * 12, "{:?}: {attempts} attempts for {calls} calls", run.dead);
    let further: usize = run.calls.iter().map(|call| journal::attempts(call).len().saturating_sub(1)).sum();
    assert!(further * 5 <= calls + 500, "{:?}: {further} further attempts for {calls} calls", run.dead);
    if run.dead != Dead::DiesMeanwhile {
        let elsewhere = run.calls.iter().flat_map(journal::attempts).filter(|attempt| attempt["trunk"] != "globex");
        assert!(elsewhere.count() <= TOUCHED, "{:?}: a primary that is Down is left alone", run.dead);
    }
}
