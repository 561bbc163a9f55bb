//! `throughline lab`: calls and failures in the lab that `throughline run` starts.

use crate::ask;
use crate::http::{Client, encode};
use crate::say::Failure;
use clap::ValueEnum;

const CALL: &str = "\
The PBX of the lab calls; the answer says how long it took and whose tone was heard.

Examples:
  throughline lab call
  throughline lab call +4722334455 --json";

const FAIL: &str = "\
Examples:
  throughline lab fail acme --how silent      packets vanish; the next call leaves by globex
  throughline lab fail acme --how grey        OPTIONS is answered, calls fail
  throughline lab fail acme --how heal        it works again";

/// Play with the lab: place calls, make its carriers fail
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// Place a call and tell what was heard
    #[command(after_help = CALL)]
    Call {
        /// The number to call
        #[arg(value_name = "NUMBER", default_value = "+4722334455")]
        number: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a carrier fail, or heal it
    #[command(after_help = FAIL)]
    Fail {
        /// The carrier: acme or globex
        #[arg(value_name = "NAME")]
        name: String,
        /// In which way
        #[arg(long, value_enum)]
        how: How,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum How {
    /// Packets vanish
    Silent,
    /// Nobody listens on the port
    Refuse,
    /// Every call is answered with 503
    #[value(name = "503")]
    Unavailable,
    /// 100, and nothing after it
    Stall,
    /// OPTIONS is answered, calls fail
    Grey,
    /// Calls are answered, no audio comes
    NoRtp,
    /// It works again
    Heal,
}

pub(crate) fn run(what: &What, api: &Client) -> Result<(), Failure> {
    match what {
        What::Call { number, json } => {
            let answer = ask::post(api, &format!("/v1/lab/call?number={}", encode(number)))?;
            if *json {
                ask::raw(&answer);
            } else {
                ask::tell(&answer, "the lab says nothing about this call");
            }
            // Scripts ask by the exit code whether the call went through.
            let answered = answer.get("answered").and_then(serde_json::Value::as_bool).unwrap_or(true);
            if answered {
                Ok(())
            } else {
                Err(Failure(String::from("the call was not answered; `throughline trunks` shows the carriers")))
            }
        }
        What::Fail { name, how } => {
            let how = how.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
            let answer = ask::post(api, &format!("/v1/lab/fail?trunk={}&how={how}", encode(name)))?;
            ask::tell(&answer, "done");
            Ok(())
        }
    }
}
