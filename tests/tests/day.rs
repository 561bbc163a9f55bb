//! One day of outages lived twice: by the built edge with carriers that fail on real sockets, and by its own configuration in a simulation.
//!
//! What a policy does in `throughline simulate` is worth knowing only if the edge does the same. So what is decided about each trunk is
//! compared: each change of health and of share that was carried out, in order, with the kind of its cause. Live, each outage ends when
//! it has been acted upon and the next one begins when the trunk is back, however long that takes; simulated, both go by the clock.
//!
//! What may differ, since chance decides between two accounts of one thing and an operator does the same about both:
//! - times, counts and limits of a cause: they are this run's;
//! - which witness of silence speaks first: late calls, silent calls or probes, see [`account`];
//! - what earns a step of the ramp: enough good calls, or quiet time when the lot sends too few;
//! - while both carriers are silent: see [`END`].
#![allow(clippy::expect_used, clippy::panic)]

use agent::{AgentConfig, Behaviour, Failing};
use interop::edge::Edge;
use interop::sipp::Sipp;
use interop::{http, let_pass, namespace, wait_until};
use model::Span;
use node::lab::{LiveAgent, Order};
use serde_json::Value;
use sip::TimerSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const CONFIG: &str = include_str!("../day/edge.toml");
const SCENARIO: &str = include_str!("../day/scenario.toml");
const RATE: u32 = 10;
/// More calls than the day is long: it ends before they do.
const CALLS: u32 = 6_000;
/// Calls teach the edge what is usual: it knows after a hundred.
const WARM: Duration = Duration::from_secs(15);
/// An event that does not come within this time does not come.
const LIMIT: Duration = Duration::from_secs(90);
/// How acme fails, one after the other, as in the scenario.
const OUTAGES: [Failing; 5] =
    [Failing::Silent, Failing::Closed, Failing::Unavailable, Failing::Grey, Failing::Stall];
/// Then both fall silent for so long.
const END: Duration = Duration::from_secs(5);

#[test]
fn a_day_on_real_sockets_is_the_day_that_was_simulated_and_its_journal_is_the_live_table() {
    namespace::enter();
    let quiet = Behaviour {
        answer_after: Some(Span::from_secs(3)),
        failing: Some(Failing::NoRtp),
        ..Behaviour::default()
    };
    let [acme, globex] = [("acme", 31), ("globex", 32)].map(|(name, last)| carrier(name, last, quiet));
    let edge = Edge::start(CONFIG);
    let simulated = simulated(&edge);
    let mut caller = Sipp::caller("caller_brief", "127.0.0.20", "127.0.0.10:5060", "+4722334455", CALLS, RATE);
    let mut day = Day::default();
    wait_until("both carriers are up", LIMIT, || day.is("acme", "up") && day.is("globex", "up"));
    let_pass(WARM);
    let begun = day.changes.len();
    for failing in OUTAGES {
        acme.order(Order::Behave(Behaviour { failing: Some(failing), ..quiet }));
        wait_until(&format!("acme is down: {failing:?}"), LIMIT, || day.is("acme", "down"));
        acme.order(Order::Behave(quiet));
        wait_until(&format!("acme is back: {failing:?}"), LIMIT, || day.is("acme", "up"));
    }
    both_silent([&acme, &globex], quiet, &mut day);
    let lived = day.changes.split_off(begun);
    for (who, story) in [("lived", &lived), ("simulated", &simulated)] {
        println!("{who}:");
        story.iter().for_each(|change| println!("    {change:?}"));
    }
    assert!(false);
    caller.kill();
    replays(&edge);
}

fn carrier(name: &str, last: u8, behaviour: Behaviour) -> LiveAgent {
    let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    let config = AgentConfig {
        user: name.to_owned(),
        sip: SocketAddr::new(ip, 5060),
        media_ip: ip,
        first_port: 40_000,
        calls: 1_000,
        seed: u64::from(last),
        timers: TimerSet::default(),
    };
    LiveAgent::start(config, behaviour).expect("an agent on loopback")
}

fn both_silent(carriers: [&LiveAgent; 2], quiet: Behaviour, day: &mut Day) {
    for carrier in carriers {
        carrier.order(Order::Behave(Behaviour { failing: Some(Failing::Silent), ..quiet }));
    }
    let_pass(END);
    for carrier in carriers {
        carrier.order(Order::Behave(quiet));
    }
    wait_until("both are back", LIMIT, || day.is("acme", "up") && day.is("globex", "up"));
}

/// One change of the trunk table that was carried out: about whom, what, and by which kind of cause.
#[derive(Clone, Debug, PartialEq)]
struct Changed {
    trunk: String,
    change: String,
    cause: String,
}

/// What the journal has told so far.
#[derive(Default)]
struct Day {
    next: u64,
    changes: Vec<Changed>,
    health: std::collections::BTreeMap<String, String>,
}

impl Day {
    /// Whether that is the health of a trunk by the last of its decisions.
    fn is(&mut self, trunk: &str, health: &str) -> bool {
        self.read();
        self.health.get(trunk).is_some_and(|last| last == health)
    }

    fn read(&mut self) {
        loop {
            let page = http::get(&format!("/v1/journal?from={}&limit=1000", self.next.max(1)));
            let entries = page["entries"].as_array().cloned().unwrap_or_default();
            let Some(last) = entries.last().and_then(|entry| entry["seq"].as_u64()) else { return };
            self.next = last + 1;
            for entry in &entries {
                let found = &entry["record"]["decision"];
                let decision = &found["decision"];
                if decision.is_null() || !decision["veto"].is_null() {
                    continue;
                }
                let trunk = found["who"]["trunk"].as_str().unwrap_or_default();
                if let Some(to) = decision["change"]["health"]["to"].as_str() {
                    self.health.insert(trunk.to_owned(), to.to_owned());
                }
                self.changes.extend(changed(trunk, &decision["change"], &decision["cause"]));
            }
        }
    }
}

/// A change of health or share; of what the operator or a peer asks for, none.
fn changed(trunk: &str, change: &Value, cause: &Value) -> Option<Changed> {
    let (kind, step) = change.as_object()?.iter().find(|(kind, _)| matches!(kind.as_str(), "health" | "share"))?;
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let cause = cause.as_str().or_else(|| cause.as_object()?.keys().next().map(String::as_str))?;
    let change = format!("{kind} {} → {}", word(&step["from"]), word(&step["to"]));
    Some(Changed { trunk: trunk.to_owned(), change, cause: account(cause).to_owned() })
}

/// The cause as an operator would give an account of it.
fn account(cause: &str) -> &str {
    match cause {
        "calls_late" | "calls_silent" | "probes_failed" => "silent",
        "calls_failed" | "failure_share" => "failing",
        "earned_by_calls" | "earned_by_time" => "earned",
        other => other,
    }
}

/// The same day under the same configuration, in virtual time.
fn simulated(edge: &Edge) -> Vec<Changed> {
    let scenario = edge.folder().join("scenario.toml");
    std::fs::write(&scenario, SCENARIO).expect("a scenario file");
    let policy = edge.folder().join("edge.toml");
    let path = |path: &std::path::Path| path.to_str().expect("a path in text").to_owned();
    let (text, well) = edge.command(&["simulate", &path(&scenario), "--policy", &path(&policy), "--json"]);
    assert!(well, "{text}");
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let moments = report["moments"].as_array().expect("what was decided");
    moments.iter().for_each(|moment| println!("{}", moment["sentence"]));
    let enforced = moments.iter().filter(|moment| moment["enforced"] == true);
    enforced
        .filter_map(|moment| changed(moment["trunk"].as_str()?, &moment["change"], &moment["cause"]))
        .collect()
}

/// R2: the table is a fold over the journal, and the journal on disk is whole.
fn replays(edge: &Edge) {
    let live = http::get("/v1/table");
    let until = live["seq"].as_u64().expect("a number");
    let (folder, policy) = (edge.folder(), edge.folder().join("edge.toml"));
    let [folder, policy] = [&folder, &policy].map(|path| path.to_str().expect("a path in text"));
    let until_text = until.to_string();
    let args = ["simulate", "--replay", folder, "--check", "--policy", policy, "--until", &until_text];
    let mut folded = Value::Null;
    wait_until("the journal on disk has come so far", LIMIT, || {
        let (text, well) = edge.command(&args);
        assert!(well, "{text}");
        folded = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        folded["seq"].as_u64() == Some(until)
    });
    assert_eq!(folded["table"].to_string(), live["table"].to_string());
}
