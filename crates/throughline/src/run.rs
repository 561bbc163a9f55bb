//! `throughline run`: an edge, until it is told to end.

use crate::log;
use crate::say::Failure;
use model::Span;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

const EXAMPLES: &str = "\
Signals:
  SIGHUP   reads the configuration again; a bad one changes nothing and the log says why
  SIGTERM  drains: live calls are served to their end, new ones get 503; a second one ends at once

The log goes to standard error, in the form that `log` of [edge] chooses. RUST_LOG sets its level (default: info).

Examples:
  throughline run                       the lab: an edge with two emulated carriers and a PBX on loopback
  throughline run /etc/throughline.toml
  RUST_LOG=debug throughline run edge.toml --shards 2 --drain-limit 600";

/// Start an edge, or the lab when no configuration is given
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The configuration; without it the lab is started
    #[arg(value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// Threads that carry calls [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    shards: Option<u8>,
    /// Longest drain in seconds before live calls are cut [default: until they end]
    #[arg(long, value_name = "SECONDS")]
    drain_limit: Option<u64>,
}

/// What the calling thread has freed goes back to the system. Without it the allocator keeps a rush's memory until the next one.
fn give_memory_back() {
    // SAFETY: the allocator's own function; it takes no pointers and may be called at any time, by any thread, for its own heap.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[allow(clippy::disallowed_methods, reason = "a service manager says in the environment where it listens")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = log::Lines { timed: !log::goes_to_journal(environment("JOURNAL_STREAM").as_deref()) };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).event_format(lines).init();
    let options = node::Options {
        config: args.config,
        shards: args.shards.map(usize::from),
        drain_limit: args.drain_limit.map(Span::from_secs),
        relief: give_memory_back,
        log: log::choose,
        supervision: node::Supervision::of(&environment, std::process::id()),
        ..node::Options::default()
    };
    node::run(&options).map_err(|fatal| Failure(fatal.to_string()))
}
