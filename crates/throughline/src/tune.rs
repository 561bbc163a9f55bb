//! `throughline tune`: thresholds swept over a scenario, and the setting to take.

use crate::say::{Failure, say};
use crate::simulate::{read_policy, read_scenario};
use sim::policy;
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
Each threshold is turned alone, then all of them by chance, each setting over several seeds of the scenario. The table shows how
soon outages are seen, how often a trunk that did nothing was left, and how many calls were lost; the recommendation is TOML.

Examples:
  throughline tune examples/scenarios/a-bad-day.toml
  throughline tune bad-day.toml --policy edge.toml --seeds 20";

/// Sweep thresholds over a scenario and recommend a setting
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The scenario
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Where to start from: a configuration [default: the scenario's trunks, everything at its default]
    #[arg(long, value_name = "EDGE.toml")]
    policy: Option<PathBuf>,
    /// Seeds for each setting
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let scenario = read_scenario(&args.scenario)?;
    let settings = match &args.policy {
        Some(file) => Arc::new(read_policy(file)?),
        None => policy::settings(&scenario).map_err(Failure)?,
    };
    let tuned = policy::tune(&scenario, &settings, args.seeds).map_err(Failure)?;
    let trunks: Vec<String> = scenario.trunks.iter().map(|trunk| trunk.name.clone()).collect();
    say(&policy::advice(&tuned, &trunks));
    Ok(())
}
