//! `throughline reload`: the running edge reads its configuration again.

use crate::ask;
use crate::http::Client;
use crate::say::Failure;

const EXAMPLES: &str = "\
Live calls do not notice. A configuration with faults changes nothing.

Examples:
  throughline check edge.toml && throughline reload";

/// Make the running edge read its configuration again
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, api: &Client) -> Result<(), Failure> {
    let answer = ask::post(api, "/v1/reload")?;
    ask::tell(&answer, "the configuration is taken");
    Ok(())
}
