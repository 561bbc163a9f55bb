//! `throughline simulate`: the same edge in virtual time, under seeded faults, with every invariant watched.

use crate::say::{Failure, say};
use sim::{Scenario, run as simulate};

const EXAMPLES: &str = "\
A run is a function of its seed: a seed that fails, fails again.

Examples:
  throughline simulate --seeds 100
  throughline simulate --from 4711 --seeds 1 --calls 200";

/// Run the edge in virtual time under seeded faults, and check what must always hold
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 20)]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    from: u64,
    /// Calls in each run
    #[arg(long, value_name = "N", default_value_t = 40)]
    calls: u32,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let (mut dialled, mut answered, mut entries, mut failed) = (0, 0, 0, 0_u64);
    for seed in args.from..args.from.saturating_add(args.seeds) {
        let outcome = simulate(Scenario { seed, calls: args.calls }).map_err(Failure)?;
        dialled += outcome.calls;
        answered += outcome.answered;
        entries += outcome.entries;
        failed += u64::from(!outcome.broken.is_empty());
        for broken in &outcome.broken {
            say(&format!("seed {seed}: {}", broken.0));
        }
    }
    say(&format!("{} seeds: {dialled} calls, {answered} answered, {entries} records", args.seeds));
    if failed > 0 {
        return Err(Failure(format!("{failed} seeds broke an invariant; run one again with --from SEED --seeds 1")));
    }
    Ok(())
}
