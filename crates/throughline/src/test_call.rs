//! `throughline test-call`: a call of our own through one trunk, and what came of it.

use crate::ask;
use crate::http::{Client, encode};
use crate::say::Failure;
use serde_json::Value;

const EXAMPLES: &str = "\
The trunk needs a number to call, `test_call = { number = \"+4722000000\" }`. The call is placed at once, by the socket that calls use, also \
to a trunk that is out of service; it hangs up as soon as it has heard what it listens for. Ends with 1 when the call is not good.

Examples:
  throughline test-call acme
  throughline test-call acme --json";

/// Place a test call through a trunk now, and tell what came of it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The trunk
    #[arg(value_name = "TRUNK")]
    trunk: String,
    /// As JSON, times in microseconds
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, api: &Client) -> Result<(), Failure> {
    let answer = ask::post(api, &format!("/v1/trunks/{}/test-call", encode(&args.trunk)))?;
    if args.json {
        ask::raw(&answer);
    }
    verdict(&answer, args.json)
}

/// A good call is well.
fn verdict(answer: &Value, told: bool) -> Result<(), Failure> {
    ask::verdict(answer, answer.pointer("/test_call/result/good").is_some(), told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_good_call_is_a_success() {
        let answer = |result: Value| json!({ "sentences": ["said"], "test_call": { "result": result } });
        assert!(verdict(&answer(json!({ "good": { "ringback": 1, "answer": 2 } })), false).is_ok());
        for bad in [json!({ "refused": { "code": 503 } }), Value::Null] {
            assert!(verdict(&answer(bad), false).is_err_and(|failure| failure.0 == "said"));
        }
    }
}
