//! `throughline calls`: calls in progress.

use crate::ask;
use crate::http::Client;
use crate::say::{Failure, say};
use crate::table::{rough, table};
use edge::CallView;

const EXAMPLES: &str = "\
Examples:
  throughline calls
  throughline calls --limit 1000 --json
  throughline why call 00c0ffee00c0ffee        how one of them came where it is";

/// Show calls in progress
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// As JSON, times in microseconds
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, api: &Client) -> Result<(), Failure> {
    let answer = ask::get(api, &format!("/v1/calls?limit={}", args.limit))?;
    if args.json {
        ask::raw(&answer);
        return Ok(());
    }
    let list = answer.get("calls").cloned().unwrap_or_default();
    let calls: Vec<CallView> = serde_json::from_value(list)
        .map_err(|error| Failure(format!("the edge is of another version ({error}); use the same one, or --json")))?;
    if calls.is_empty() {
        say("no calls in progress");
        return Ok(());
    }
    say(&show(&calls));
    if calls.len() >= args.limit as usize {
        say(&format!("only the first {} are shown; --limit shows more", args.limit));
    }
    Ok(())
}

fn show(calls: &[CallView]) -> String {
    let row = |call: &CallView| {
        vec![
            call.call.to_string(),
            call.from.to_string(),
            call.to.as_ref().map_or_else(|| String::from("-"), ToString::to_string),
            call.state.clone(),
            rough(call.age),
            call.talking.map_or_else(|| String::from("-"), rough),
            call.caller.clone(),
            call.called.clone(),
        ]
    };
    let rows: Vec<_> = calls.iter().map(row).collect();
    table(&["CALL", "FROM", "TO", "STATE", "AGE", "TALKING", "CALLER", "CALLED"], &rows, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{CallRef, Instant, Name, Span};

    #[test]
    fn a_call_is_a_line() {
        let call = CallView {
            call: CallRef(0xc0ffee),
            from: Name::from("office"),
            to: None,
            caller: String::from("+4755"),
            called: String::from("+4722334455"),
            state: String::from("trying"),
            invited: Instant::ZERO,
            age: Span::from_secs(2),
            talking: None,
            plan: None,
            attempts: Vec::new(),
            sentences: Vec::new(),
        };
        let wanted = "0000000000c0ffee  office  -   trying  2 s  -        +4755   +4722334455";
        assert_eq!(show(&[call]).lines().nth(1), Some(wanted));
    }
}
