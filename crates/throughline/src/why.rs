//! `throughline why`: decisions in sentences.

use crate::ask;
use crate::http::{Client, encode};
use crate::say::Failure;

const CALL: &str = "\
Works for calls in progress and for those that are over, as long as the journal holds them. `throughline calls` shows the ids.

Examples:
  throughline why call 00c0ffee00c0ffee
  throughline why call 00c0ffee00c0ffee --json";

const TRUNK: &str = "\
Examples:
  throughline why trunk acme
  throughline why trunk acme --limit 5 --json
  throughline why trunk acme --shadow          and what the shadow policy would have decided";

const GROUP: &str = "\
Examples:
  throughline why group carriers
  throughline why group carriers --limit 5 --json";

/// Explain in sentences what was decided, and on what evidence
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Why a call went where it went: its plan, each attempt, its end
    #[command(after_help = CALL)]
    Call {
        /// The call: up to sixteen hexadecimal digits
        #[arg(value_name = "ID", value_parser = clap::builder::ValueParser::new(call_ref))]
        id: model::CallRef,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Why a trunk is as it is: each change of it, oldest first
    #[command(after_help = TRUNK)]
    Trunk {
        /// The trunk
        #[arg(value_name = "NAME")]
        name: String,
        /// How many changes at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// With what the shadow policy would have decided
        #[arg(long)]
        shadow: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Why a group sends calls where it does: its tiers as they are now, then each change of its members
    #[command(after_help = GROUP)]
    Group {
        /// The group
        #[arg(value_name = "NAME")]
        name: String,
        /// How many changes at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// A call as people type it.
pub(crate) fn call_ref(text: &str) -> Result<model::CallRef, String> {
    text.parse().map_err(|_| String::from("a call is up to sixteen hexadecimal digits; `throughline calls` shows them"))
}

pub(crate) fn run(what: &What, api: &Client) -> Result<(), Failure> {
    let (path, none, json) = match what {
        What::Call { id, json } => (format!("/v1/why/call/{id}"), "nothing is recorded of this call", *json),
        What::Trunk { name, limit, shadow, json } => (
            format!("/v1/why/trunk/{}?limit={limit}&shadow={shadow}", encode(name)),
            "nothing has changed since the journal began",
            *json,
        ),
        What::Group { name, limit, json } => {
            (format!("/v1/why/group/{}?limit={limit}", encode(name)), "nothing is known of this group", *json)
        }
    };
    let answer = ask::get(api, &path)?;
    if json {
        ask::raw(&answer);
    } else {
        ask::tell(&answer, none);
    }
    Ok(())
}
