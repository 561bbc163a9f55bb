//! `throughline route`: what would be tried for a number, without a call.

use crate::ask;
use crate::http::{Client, encode};
use crate::say::{Failure, say};
use serde_json::Value;

const EXAMPLES: &str = "\
Examples:
  throughline route +4722334455 --from office
  throughline route 112 --from office --json";

/// Show which trunks would be tried for a number, and why not the others
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The called number, as dialled
    #[arg(value_name = "NUMBER")]
    number: String,
    /// The trunk the call would come from [default: any]
    #[arg(long, value_name = "TRUNK")]
    from: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, api: &Client) -> Result<(), Failure> {
    let mut path = format!("/v1/route?number={}", encode(&args.number));
    if let Some(from) = &args.from {
        path += &format!("&from={}", encode(from));
    }
    let answer = ask::get(api, &path)?;
    if args.json {
        ask::raw(&answer);
    } else {
        say(&show(&answer));
    }
    Ok(())
}

fn show(answer: &Value) -> String {
    let list = |name: &str| answer.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut lines: Vec<String> = Vec::new();
    for (place, name) in (1..).zip(list("order").iter().filter_map(Value::as_str)) {
        lines.push(format!("{place}. {name}"));
    }
    for out in list("excluded") {
        if let [Value::String(name), Value::String(why)] = out.as_array().map(Vec::as_slice).unwrap_or_default() {
            lines.push(format!("-  {name}: {why}"));
        }
    }
    lines.extend(list("sentences").iter().filter_map(Value::as_str).map(String::from));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_then_exclusions_then_the_sentence() {
        let answer =
            json!({ "order": ["globex", "initech"], "excluded": [["acme", "out of service"]], "sentences": ["plan"] });
        assert_eq!(show(&answer), "1. globex\n2. initech\n-  acme: out of service\nplan");
    }
}
