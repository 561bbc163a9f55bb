//! An edge between two carriers that echo, and what the built command says of a drill of it.
//!
//! The carriers listen before the edge starts, as in the audio tests.

use crate::agents::{self, agent};
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

/// Where globex is: in another network than acme, for they are to share nothing but this machine.
const GLOBEX: &str = "127.0.1.32:5060";

/// In a namespace of its own, with these lines added to both carriers and the group.
pub fn bench(acme_keys: &str, globex_keys: &str, group_keys: &str) -> Bench {
    namespace::enter();
    start(&config(acme_keys, globex_keys, group_keys))
}

/// Both carriers, and an edge of this configuration between them, in the namespace there is.
pub fn start(config: &str) -> Bench {
    let at = GLOBEX.parse().expect("an address");
    let (acme, globex) = (agent("acme", 31, echoes(440)), agents::start("globex", at, echoes(850)));
    let edge = Edge::start(config);
    wait_until("both carriers are up", LIMIT, || http::health("acme") == "up" && http::health("globex") == "up");
    Bench { edge, acme, globex }
}

/// A configuration with these lines added to both carriers and the group.
pub fn config(acme_keys: &str, globex_keys: &str, group_keys: &str) -> String {
    let test_call = format!("test_call = {{ number = \"{NUMBER}\", every = \"12h\" }}");
    CONFIG
        .replace("127.0.0.32:5060", GLOBEX)
        .replace("[trunk.acme]\n", &format!("[trunk.acme]\n{test_call}\n{acme_keys}\n"))
        .replace("[trunk.globex]\n", &format!("[trunk.globex]\n{test_call}\n{globex_keys}\n"))
        .replace("[group.carriers]\n", &format!("[group.carriers]\n{group_keys}\n"))
}

impl Bench {
    /// What a drill of these faults says, and whether it was good.
    pub fn drill(&self, faults: &[&str]) -> (Value, bool) {
        let mut args = Vec::new();
        faults.iter().for_each(|fault| args.extend(["--fault", fault]));
        self.drill_as(&args)
    }

    /// The same, and a look at the edge's own configuration.
    pub fn drill_with_config(&self, faults: &[&str]) -> (Value, bool) {
        let config = self.edge.folder().join("edge.toml");
        let mut args = vec!["--config", config.to_str().expect("a path")];
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

/// What its configuration shows of shared fate: the step that `--config` brings.
pub fn fate(found: &Value) -> &Value {
    let steps = found["steps"].as_array().expect("steps");
    let is_fate = |step: &&Value| step["title"].as_str().is_some_and(|title| title.starts_with("what stands in"));
    steps.iter().find(is_fate).unwrap_or_else(|| panic!("no look at the configuration: {found:#}"))
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
