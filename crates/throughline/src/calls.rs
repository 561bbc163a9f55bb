//! `throughline calls`: calls in progress, read page by page.

use crate::ask;
use crate::http::Client;
use crate::say::{Failure, say};
use crate::table::{rough, table};
use edge::CallView;
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  throughline calls
  throughline calls --limit 5000 --json
  throughline why call 00c0ffee00c0ffee        how one of them came where it is";

/// Calls asked for at once.
const PAGE: usize = 1_000;

/// Show calls in progress
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// How many at most, the oldest first
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// As JSON, times in microseconds
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, api: &Client) -> Result<(), Failure> {
    let read = read(args.limit as usize, |path| ask::get(api, path))?;
    if args.json {
        ask::raw(&json!({ "calls": read.calls, "next": read.next, "missing": read.missing }));
        return Ok(());
    }
    if read.missing > 0 {
        say(&format!(
            "{} of the edge's shards have not answered: calls of theirs are missing; try again",
            read.missing
        ));
    }
    let calls: Vec<CallView> = serde_json::from_value(Value::Array(read.calls))
        .map_err(|error| Failure(format!("the edge is of another version ({error}); use the same one, or --json")))?;
    if calls.is_empty() {
        say("no calls in progress");
        return Ok(());
    }
    say(&show(&calls));
    if read.next.is_some() {
        say(&format!("only the first {} are shown; --limit shows more", args.limit));
    }
    Ok(())
}

/// What several pages have said.
#[derive(Debug, Default)]
struct Read {
    calls: Vec<Value>,
    /// Where the page after them begins, if there is one.
    next: Option<String>,
    /// The most shards that one page lacked.
    missing: u64,
}

/// The first `limit` calls. `get` asks for a page.
fn read(limit: usize, mut get: impl FnMut(&str) -> Result<Value, Failure>) -> Result<Read, Failure> {
    let mut read = Read::default();
    loop {
        let after = read.next.take().map(|next| format!("&after={next}")).unwrap_or_default();
        let most = (limit - read.calls.len()).min(PAGE);
        let mut page = get(&format!("/v1/calls?limit={most}{after}"))?;
        let mut calls = page.get_mut("calls").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
        calls.truncate(most);
        let empty = calls.is_empty();
        read.calls.append(&mut calls);
        read.missing = read.missing.max(page.get("missing").and_then(Value::as_u64).unwrap_or(0));
        read.next = page.get("next").and_then(Value::as_str).map(str::to_owned).filter(|_| !empty);
        if read.next.is_none() || read.calls.len() >= limit {
            return Ok(read);
        }
    }
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

    /// An edge with 2,500 calls, of which one shard was silent for the second page.
    fn edge(path: &str) -> Result<Value, Failure> {
        let (limit, after) = match path.strip_prefix("/v1/calls?limit=").expect("a page").split_once("&after=7-") {
            Some((limit, after)) => (limit, u64::from_str_radix(after, 16).expect("a call")),
            None => (path.strip_prefix("/v1/calls?limit=").expect("a page"), 0),
        };
        let limit: u64 = limit.parse().expect("a number");
        let calls: Vec<u64> = (after + 1..=2_500).take(limit as usize).collect();
        let last = calls.last().copied().filter(|_| calls.len() as u64 == limit);
        let next = last.map(|last| format!("7-{last:016x}"));
        Ok(json!({ "calls": calls, "next": next, "missing": u8::from(after == 1_000) }))
    }

    #[test]
    fn pages_are_read_until_there_are_no_more_or_enough() {
        for (limit, found, pages, more) in [
            (100, 100, 1, true),
            (1_000, 1_000, 1, true),
            (2_499, 2_499, 3, true),
            (2_500, 2_500, 3, true),
            (9_999, 2_500, 3, false),
        ] {
            let mut asked = 0;
            let read = read(limit, |path| {
                asked += 1;
                edge(path)
            })
            .expect("pages");
            let wanted: Vec<Value> = (1..=found).map(|call: u64| json!(call)).collect();
            assert_eq!((read.calls, asked, read.next.is_some()), (wanted, pages, more), "{limit}");
            assert_eq!(read.missing, u64::from(pages > 1), "{limit}");
        }
    }

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
