//! `throughline group`: the operator's word on a group, for a time, and why.

use crate::ask;
use crate::http::{Client, encode};
use crate::say::Failure;
use model::{ForceLength, Span};

const FORCE: &str = "\
New calls of the group try the trunks of that tier first, whatever the edge would choose, and then the others in their usual order: where
the tier is dead, no call is lost. Trunks that are Down, full, draining or out of service are passed over as ever. Calls in progress stay.
It ends when its time is over, by `throughline group release`, and when a reload takes the tier away; a restart forgets it.

Examples:
  throughline group force carriers 2 --for 30min --why 'one-way audio at acme'
                                      calls go by the second tier; the reason goes on record
  throughline group force carriers 2 --for 2h
                                      the same again, for two hours from now";

const RELEASE: &str = "\
Examples:
  throughline group release carriers --why 'acme is well again'";

/// Put a tier of a group first for a time, or no more
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Try the trunks of one tier before all others
    #[command(after_help = FORCE)]
    Force {
        /// The group
        #[arg(value_name = "NAME")]
        name: String,
        /// The tier, 1 the best
        #[arg(value_name = "TIER", value_parser = clap::value_parser!(u16).range(1..=256))]
        tier: u16,
        /// For how long at most: whole seconds, from 1s to 24h
        #[arg(long = "for", value_name = "TIME", value_parser = clap::builder::ValueParser::new(length))]
        length: Span,
        /// Why, for the record: up to 200 characters
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        why: String,
    },
    /// Try its tiers in their usual order again
    #[command(after_help = RELEASE)]
    Release {
        /// The group
        #[arg(value_name = "NAME")]
        name: String,
        /// Why, for the record: up to 200 characters
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        why: String,
    },
}

/// The API counts seconds.
fn length(text: &str) -> Result<Span, String> {
    let span = edge::config::text::duration(text, ForceLength::LEAST, ForceLength::MOST)?;
    if Span::from_secs(span.as_secs()) == span { Ok(span) } else { Err(format!("{span} is not in whole seconds")) }
}

pub(crate) fn run(what: &What, api: &Client) -> Result<(), Failure> {
    let (path, why, none) = match what {
        What::Force { name, tier, length, why } => {
            // People count from one, the API from nought.
            let (tier, seconds) = (tier - 1, length.as_secs());
            (format!("/v1/groups/{}/force?tier={tier}&for={seconds}", encode(name)), why, "nothing was forced")
        }
        What::Release { name, why } => {
            (format!("/v1/groups/{}/release", encode(name)), why, "no tier of it was forced")
        }
    };
    let answer = ask::post_why(api, &path, why)?;
    ask::tell(&answer, none);
    Ok(())
}
