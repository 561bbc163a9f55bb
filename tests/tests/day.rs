//! One day of outages lived twice: by the built edge with carriers that fail on real sockets, and by its own configuration in a simulation.
//!
//! What a policy does in `throughline simulate` is worth knowing only if the edge does the same. So what is decided about each trunk is
//! compared: each change of health and of share that was carried out, in order, with its cause. Live, each outage ends when
//! it has been acted upon and the next one begins when the trunk is back, however long that takes; simulated, both go by the clock.
//!
//! Two things may differ, since both are this run's: times, counts and limits of a cause; and whether a step of the ramp is earned by
//! enough good calls or by quiet time, for which the lot sends too few of them or not.
//!
//! A machine that stands still for a moment makes every trunk look late. A day on which it did is lived again if it differs.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{Behaviour, Failing};
use interop::agents::agent;
use interop::edge::Edge;
use interop::pauses::steadily;
use interop::sipp::Sipp;
use interop::{http, let_pass, namespace, wait_until};
use model::Span;
use node::lab::{LiveAgent, Order};
use serde_json::Value;
use std::collections::BTreeMap;
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
/// From when on both are silent in the scenario, in microseconds.
const NIGHT_US: u64 = 101_000_000;
/// How acme fails, one after the other, as in the scenario.
const OUTAGES: [Failing; 5] = [Failing::Silent, Failing::Closed, Failing::Unavailable, Failing::Grey, Failing::Stall];
/// Then both fall silent for so long: seven probes in vain.
const END: Duration = Duration::from_secs(5);
/// The longest that anything sent into that silence is waited for.
const WITNESSES: Duration = Duration::from_secs(3);

#[test]
fn a_day_on_real_sockets_is_the_day_that_was_simulated_and_its_journal_is_the_live_table() {
    steadily(|| {
        namespace::enter();
        let (lived, simulated) = live_a_day();
        assert_eq!(lived.day, simulated.day, "{}", lived.sentences);
        assert_eq!(lived.night, simulated.night, "{}", lived.sentences);
        assert_eq!(lived.night, [Told::SuspectsItself], "nobody is blamed when everybody is silent");
        let doubted = |told: &&Told| matches!(told, Told::Changed(change) if change.what.ends_with("suspect"));
        assert_eq!(lived.day.iter().filter(doubted).count(), 2, "silent and stalled trunks are doubted first");
        assert_eq!(lived.day.len(), OUTAGES.len() * 6 + 2, "down, on trial, three steps, and up, each time");
    });
}

/// What was decided, live and simulated.
fn live_a_day() -> (Lived, Lived) {
    let quiet =
        Behaviour { answer_after: Some(Span::from_secs(3)), failing: Some(Failing::NoRtp), ..Behaviour::default() };
    let [acme, globex] = [("acme", 31), ("globex", 32)].map(|(name, last)| agent(name, last, quiet));
    let edge = Edge::start(CONFIG);
    let simulated = simulated(&edge);
    let mut caller = Sipp::caller("caller_brief", "127.0.0.20", "127.0.0.10:5060", "+4722334455", CALLS, RATE);
    let mut day = Day::default();
    wait_until("both carriers are up", LIMIT, || day.is("acme", "up") && day.is("globex", "up"));
    let_pass(WARM);
    day.read();
    day.told.clear();
    for failing in OUTAGES {
        acme.order(Order::Behave(Behaviour { failing: Some(failing), ..quiet }));
        wait_until(&format!("acme is down: {failing:?}"), LIMIT, || day.is("acme", "down"));
        acme.order(Order::Behave(quiet));
        wait_until(&format!("acme is back: {failing:?}"), LIMIT, || day.is("acme", "up"));
    }
    let told = core::mem::take(&mut day.told);
    let night = night([&acme, &globex], quiet, &mut day);
    caller.kill();
    replays(&edge);
    let sentences = ["acme", "globex"].map(|trunk| edge.command(&["why", "trunk", trunk]).0).join("\n");
    (Lived { day: told, night, sentences }, simulated)
}

/// Both fall silent and return.
fn night(carriers: [&LiveAgent; 2], quiet: Behaviour, day: &mut Day) -> Vec<Told> {
    for carrier in carriers {
        carrier.order(Order::Behave(Behaviour { failing: Some(Failing::Silent), ..quiet }));
    }
    let_pass(END);
    for carrier in carriers {
        carrier.order(Order::Behave(quiet));
    }
    // What was sent into the silence is waited for a while longer.
    let_pass(WITNESSES);
    wait_until("both are back", LIMIT, || day.is("acme", "up") && day.is("globex", "up"));
    core::mem::take(&mut day.told)
}

/// One change of the trunk table that was carried out: about whom, what, and by which kind of cause.
#[derive(Clone, Debug, PartialEq)]
struct Changed {
    trunk: String,
    what: String,
    cause: String,
}

/// What was told of a day.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Changed(Changed),
    /// Everybody fell silent: the fault is likely ours.
    SuspectsItself,
}

/// A day and its night, lived or simulated.
struct Lived {
    day: Vec<Told>,
    night: Vec<Told>,
    /// The live one in the edge's own words.
    sentences: String,
}

/// What the live journal has told so far.
#[derive(Default)]
struct Day {
    next: u64,
    told: Vec<Told>,
    health: BTreeMap<String, String>,
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
            entries.iter().for_each(|entry| self.take(&entry["record"]));
        }
    }

    fn take(&mut self, record: &Value) {
        let alarm = &record["alarm"];
        if alarm["over"] == false && alarm["what"].get("suspect_ourselves").is_some() {
            self.told.push(Told::SuspectsItself);
        }
        let decision = &record["decision"]["decision"];
        if decision.is_null() || !decision["veto"].is_null() {
            return;
        }
        let trunk = record["decision"]["who"]["trunk"].as_str().unwrap_or_default();
        if let Some(to) = decision["change"]["health"]["to"].as_str() {
            self.health.insert(trunk.to_owned(), to.to_owned());
        }
        self.told.extend(changed(trunk, &decision["change"], &decision["cause"]));
    }
}

/// A change of health or share; of what the operator or a peer asks for, none.
fn changed(trunk: &str, change: &Value, cause: &Value) -> Option<Told> {
    let (kind, step) = change.as_object()?.iter().find(|(kind, _)| matches!(kind.as_str(), "health" | "share"))?;
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let cause = cause.as_str().or_else(|| cause.as_object()?.keys().next().map(String::as_str))?;
    let what = format!("{kind} {} → {}", word(&step["from"]), word(&step["to"]));
    Some(Told::Changed(Changed { trunk: trunk.to_owned(), what, cause: named(cause).to_owned() }))
}

/// The cause by its name. What earned a step, the lot decides.
fn named(cause: &str) -> &str {
    match cause {
        "earned_by_calls" | "earned_by_time" => "earned",
        other => other,
    }
}

/// The same day under the same configuration, in virtual time.
fn simulated(edge: &Edge) -> Lived {
    let scenario = edge.folder().join("scenario.toml");
    std::fs::write(&scenario, SCENARIO).expect("a scenario file");
    let policy = edge.folder().join("edge.toml");
    let [scenario, policy] = [&scenario, &policy].map(|path| path.to_str().expect("a path in text"));
    let report = json(edge.command(&["simulate", scenario, "--policy", policy, "--json"]));
    let moments = report["moments"].as_array().expect("what was decided");
    let told = |moment: &Value| {
        if moment["alarm"] == true {
            return Some(Told::SuspectsItself);
        }
        let trunk = moment["trunk"].as_str().filter(|_| moment["enforced"] == true)?;
        changed(trunk, &moment["change"], &moment["cause"])
    };
    let by_day = |moment: &&Value| moment["at_us"].as_u64() < Some(NIGHT_US);
    let (day, night): (Vec<&Value>, Vec<&Value>) = moments.iter().partition(by_day);
    let [day, night] = [day, night].map(|moments| moments.into_iter().filter_map(told).collect());
    Lived { day, night, sentences: String::new() }
}

fn json((text, well): (String, bool)) -> Value {
    assert!(well, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// R2: the table is a fold over the journal, and the journal on disk is whole.
fn replays(edge: &Edge) {
    let live = http::get("/v1/table");
    let until = live["seq"].as_u64().expect("a number");
    let (folder, policy, last) = (edge.folder(), edge.folder().join("edge.toml"), until.to_string());
    let [folder, policy] = [&folder, &policy].map(|path| path.to_str().expect("a path in text"));
    let args = ["simulate", "--replay", folder, "--check", "--policy", policy, "--until", &last];
    let mut folded = Value::Null;
    wait_until("the journal on disk has come so far", LIMIT, || {
        folded = json(edge.command(&args));
        folded["seq"].as_u64() == Some(until)
    });
    assert!(live["table"].to_string().len() > 100, "a table worth comparing: {live}");
    assert_eq!(folded["table"].to_string(), live["table"].to_string(), "after record {until}");
}
