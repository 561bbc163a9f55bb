//! An edge between two carriers that echo, and what the built command says of a drill of it.
//!
//! The carriers listen before the edge starts, as in the audio tests.

use crate::agents::agent;
use crate::edge::{CONFIG, Edge};
use crate::{http, namespace, wait_until};
use agent::Behaviour;
use node::lab::LiveAgent;
use serde_json::Value;
use std::time::Duration;

/// The number that both carriers echo.
pub const NUMBER: &str = "+4722000000";
/// Long enough for whatever is waited for.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A carrier that plays this and echoes.
pub fn echoes(tone_hz: u16) -> Behaviour {
    Behaviour { tone_hz, echo_number: Some(NUMBER), ..Behaviour::default() }
}

/// Everything that runs.
pub struct Bench {
    /// The edge.
    pub edge: Edge,
    /// The carrier that is tried first.
    pub acme: LiveAgent,
    /// The one that stands in.
    pub globex: LiveAgent,
}

/// In a namespace of its own, with these lines added to both carriers and the group.
pub fn bench(acme_keys: &str, globex_keys: &str, group_keys: &str) -> Bench {
    namespace::enter();
    let (acme, globex) = (agent("acme", 31, echoes(440)), agent("globex", 32, echoes(850)));
    let test_call = format!("test_call = {{ number = \"{NUMBER}\", every = \"12h\" }}");
    let config = CONFIG
        .replace("[trunk.acme]\n", &format!("[trunk.acme]\n{test_call}\n{acme_keys}\n"))
        .replace("[trunk.globex]\n", &format!("[trunk.globex]\n{test_call}\n{globex_keys}\n"))
        .replace("[group.carriers]\n", &format!("[group.carriers]\n{group_keys}\n"));
    let edge = Edge::start(&config);
    wait_until("both carriers are up", LIMIT, || http::health("acme") == "up" && http::health("globex") == "up");
    Bench { edge, acme, globex }
}

impl Bench {
    /// What a drill of these faults says, and whether it was good.
    pub fn drill(&self, faults: &[&str]) -> (Value, bool) {
        let mut args = Vec::new();
        faults.iter().for_each(|fault| args.extend(["--fault", fault]));
        self.drill_as(&args)
    }

    /// The same, of these arguments.
    pub fn drill_as(&self, args: &[&str]) -> (Value, bool) {
        let (said, good) = self.edge.command(&[&["drill", "--json"], args].concat());
        // What it complains of follows the document.
        let end = said.rfind("\n}").map_or(said.len(), |at| at + 2);
        let found = serde_json::from_str(&said[..end]).unwrap_or_else(|error| panic!("{error}: {said}"));
        (found, good)
    }
}

/// A step of what was found.
pub fn step<'v>(found: &'v Value, title: &str) -> &'v Value {
    let steps = found["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["title"] == title).unwrap_or_else(|| panic!("no step {title}: {found:#}"))
}

/// Its checks with this verdict.
pub fn checks<'v>(step: &'v Value, verdict: &str) -> Vec<&'v str> {
    let lines = step["lines"].as_array().expect("lines").iter();
    lines.filter(|line| line["verdict"] == verdict).filter_map(|line| line["check"].as_str()).collect()
}

/// Those that failed.
pub fn failed(step: &Value) -> Vec<&str> {
    checks(step, "failed")
}
