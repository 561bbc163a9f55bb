//! `throughline trunk`: the operator's word on a trunk, and why.

use crate::ask;
use crate::http::{Client, encode};
use crate::say::Failure;
use clap::ValueEnum;

const EXAMPLES: &str = "\
The operator's word wins over all evidence and ends only by the operator.

Examples:
  throughline trunk acme drain --why 'works on their side'
                                      its calls stay, it gets no new ones; the reason goes on record
  throughline trunk acme out          it gets no calls, and none is expected from it
  throughline trunk acme restore      calls as health allows, preferred at once
  throughline trunk acme probe        each of its targets is probed at once";

/// Drain a trunk, take it out of service, restore it, or have it probed
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The trunk
    #[arg(value_name = "NAME")]
    name: String,
    /// What to do
    #[arg(value_enum)]
    act: Act,
    /// Why, for the record: up to 200 characters
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    why: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Act {
    /// Keep its calls, give it no new ones
    Drain,
    /// Give it no calls, expect none from it
    Out,
    /// Give it calls as health allows, at once
    Restore,
    /// Probe each of its targets at once
    Probe,
}

pub(crate) fn run(args: &Args, api: &Client) -> Result<(), Failure> {
    let act = match args.act {
        Act::Drain => "drain",
        Act::Out => "out",
        Act::Restore => "restore",
        Act::Probe => "probe",
    };
    let answer = ask::post_why(api, &format!("/v1/trunks/{}/{act}", encode(&args.name)), &args.why)?;
    ask::tell(&answer, "it was so already");
    Ok(())
}
