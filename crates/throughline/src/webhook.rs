//! `throughline webhook`: whether a receiver of alarms takes what it is told.

use crate::ask;
use crate::http::{Client, encode};
use crate::say::Failure;
use clap::Subcommand;
use serde_json::Value;

const EXAMPLES: &str = "\
The running edge posts it as it posts alarms: same address, same signature, same time limit. Its `status` and `kind` are `test`. It is tried once. \
Ends with 1 when it is not taken.

Examples:
  throughline webhook test pager
  throughline webhook test pager --why 'a new secret'     the reason is in the post, and on record";

/// See whether a receiver of alarms takes what it is told
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Post a test to a webhook, and tell what it answers
    #[command(after_help = EXAMPLES)]
    Test {
        /// The webhook
        #[arg(value_name = "NAME")]
        webhook: String,
        /// Why, for the record: up to 200 characters
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        why: String,
        /// As JSON, times in microseconds
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(what: &What, api: &Client) -> Result<(), Failure> {
    let What::Test { webhook, why, json } = what;
    let answer = ask::post_why(api, &format!("/v1/webhooks/{}/test", encode(webhook)), why)?;
    if *json {
        ask::raw(&answer);
    }
    verdict(&answer, *json)
}

/// Taken is well.
fn verdict(answer: &Value, told: bool) -> Result<(), Failure> {
    ask::verdict(answer, answer.get("taken") == Some(&Value::Bool(true)), told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_post_that_is_taken_is_a_success() {
        assert!(verdict(&json!({ "sentences": ["said"], "taken": true }), false).is_ok());
        for bad in [json!({ "sentences": ["said"], "taken": false }), json!({ "sentences": ["said"] })] {
            assert!(verdict(&bad, false).is_err_and(|failure| failure.0 == "said"));
        }
    }
}
