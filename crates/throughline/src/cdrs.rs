//! `throughline cdrs`: calls that are over, one row each, for billing and statistics.
//!
//! Page by page, so that an export of any length takes little memory on either side. Refuses to know: where rows are kept.

use crate::ask;
use crate::csv;
use crate::http::{Client, encode};
use crate::say::{Failure, tell};
use explain::{CdrRow, Heard, Tried};
use model::{Span, Wall};
use serde_json::Value;

const EXAMPLES: &str = "\
CSV has a head and one line per call (RFC 4180): moments in UTC, lengths of time in seconds. What a spreadsheet would run as a
formula has an apostrophe in front; numbers such as +4722334455 stay as they are. JSON is one object a line, as GET /v1/cdrs
gives it, times in microseconds. `next` for the following export is the last `seq` and one.

Examples:
  throughline cdrs --since 2026-11-24 > calls.csv
  throughline cdrs --from 120001 --format json | jq 'select(.code == 503)'
  throughline cdrs --limit 10";

/// Rows asked for at once.
const PAGE: u64 = 500;

/// Columns of the export, in order.
const HEAD: [&str; 29] = [
    "seq",
    "call",
    "call_id",
    "from",
    "caller",
    "called",
    "invited",
    "answered",
    "ended",
    "pdd_s",
    "setup_s",
    "duration_s",
    "code",
    "ending",
    "trunk",
    "attempts",
    "tried",
    "first_trunk",
    "first_outcome",
    "caller_codec",
    "caller_packets",
    "caller_loss_permille",
    "caller_jitter_s",
    "caller_mos",
    "callee_codec",
    "callee_packets",
    "callee_loss_permille",
    "callee_jitter_s",
    "callee_mos",
];

/// Export calls that are over: one row each with its attempts
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Those alone that ended then or later: 2026-11-24, 2026-11-24T12:00:00+01:00
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Begin with this record
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    from: u64,
    /// How many at most [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// What they are written as
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
}

/// What rows are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table for spreadsheets and billing.
    Csv,
    /// One object a line.
    Json,
}

pub(crate) fn run(args: &Args, api: &Client) -> Result<(), Failure> {
    if args.format == Format::Csv && !tell(&HEAD.join(",")) {
        return Ok(());
    }
    let since = args.since.as_deref().map(|since| format!("&since={}", encode(since))).unwrap_or_default();
    let (mut from, mut left) = (args.from, args.limit.unwrap_or(u64::MAX));
    while left > 0 {
        let limit = left.min(PAGE);
        let mut page = ask::get(api, &format!("/v1/cdrs?from={from}&limit={limit}{since}"))?;
        let rows = page.get_mut("cdrs").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
        let count = rows.len() as u64;
        for row in rows {
            if !tell(&line(row, args.format)?) {
                return Ok(());
            }
        }
        let next = page.get("next").and_then(Value::as_u64).filter(|next| *next > from);
        let (true, Some(next)) = (count == limit, next) else { break };
        (from, left) = (next, left - count);
    }
    Ok(())
}

fn line(row: Value, format: Format) -> Result<String, Failure> {
    if format == Format::Json {
        return Ok(row.to_string());
    }
    let row: CdrRow = serde_json::from_value(row).map_err(|error| {
        Failure(format!("the edge is of another version ({error}); use the same one, or --format json"))
    })?;
    Ok(csv::line(cells(&row).iter().map(String::as_str)))
}

fn cells(row: &CdrRow) -> [String; 29] {
    let cdr = &row.cdr;
    let wall = |at: Option<Wall>| at.map(|at| at.to_string()).unwrap_or_default();
    let first = row.tried.first();
    let [caller_codec, caller_packets, caller_loss, caller_jitter, caller_mos] = heard(cdr.caller_heard.as_ref());
    let [callee_codec, callee_packets, callee_loss, callee_jitter, callee_mos] = heard(cdr.callee_heard.as_ref());
    [
        row.seq.0.to_string(),
        cdr.call.to_string(),
        cdr.call_id.to_string(),
        cdr.from.to_string(),
        cdr.caller.to_string(),
        cdr.called.to_string(),
        wall(Some(cdr.invited)),
        wall(cdr.answered),
        wall(Some(cdr.ended)),
        seconds(cdr.pdd),
        seconds(cdr.setup),
        seconds(Some(cdr.duration)),
        cdr.code.map(|code| code.to_string()).unwrap_or_default(),
        cdr.ending.to_string(),
        cdr.trunk.as_deref().unwrap_or_default().to_owned(),
        cdr.attempts.to_string(),
        row.tried.iter().map(stitched).collect::<Vec<_>>().join("; "),
        first.map(|first| first.trunk.clone()).unwrap_or_default(),
        first.map(|first| first.outcome.clone()).unwrap_or_default(),
        caller_codec,
        caller_packets,
        caller_loss,
        caller_jitter,
        caller_mos,
        callee_codec,
        callee_packets,
        callee_loss,
        callee_jitter,
        callee_mos,
    ]
}

/// `acme refused 503 0.020`: whom, how it ended, with which code, after how many seconds.
fn stitched(tried: &Tried) -> String {
    let code = tried.code.map(|code| format!(" {code}")).unwrap_or_default();
    format!("{} {}{code} {}", tried.trunk, tried.outcome, seconds(Some(tried.took)))
}

fn heard(heard: Option<&Heard<'_>>) -> [String; 5] {
    let Some(heard) = heard else { return Default::default() };
    [
        heard.codec.as_deref().unwrap_or_default().to_owned(),
        heard.packets.to_string(),
        heard.loss_permille.to_string(),
        seconds(heard.jitter),
        heard.mos.map(|mos| format!("{}.{:02}", mos.hundredths() / 100, mos.hundredths() % 100)).unwrap_or_default(),
    ]
}

/// With thousandths.
fn seconds(span: Option<Span>) -> String {
    span.map(|span| format!("{}.{:03}", span.as_secs(), span.as_micros() / 1_000 % 1_000)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    fn row() -> Value {
        json!({
            "seq": 7, "call": "00000000deadbeef", "call_id": "a,b\"c@office", "from": "office", "caller": "+4755",
            "called": "+4722", "invited": 1_795_521_847_112_345_i64, "answered": null, "ended": 1_795_521_849_000_000_i64,
            "pdd": 80_000, "setup": null, "duration": 0, "code": 503, "ending": "refused", "attempts": 2, "trunk": null,
            "caller_heard": { "codec": "PCMA", "packets": 5, "loss_permille": 4, "jitter": 3_000, "mos": 405 },
            "callee_heard": null,
            "tried": [
                { "trunk": "acme", "target": 0, "call_id": "1@edge", "sent": 0, "first_reply": null, "progress": null,
                  "took": 1_500_000, "outcome": "no_reply", "code": null },
                { "trunk": "globex", "target": 0, "call_id": "2@edge", "sent": 0, "first_reply": 20_000, "progress": null,
                  "took": 20_000, "outcome": "refused", "code": 503 },
            ],
        })
    }

    #[test]
    fn a_call_is_one_line_with_its_attempts() {
        let wanted = "7,00000000deadbeef,\"a,b\"\"c@office\",office,+4755,+4722,2026-11-24T12:04:07.112Z,,2026-11-24T12:04:09.000Z,0.080,,0.000,503,\
                      refused,,2,acme no_reply 1.500; globex refused 503 0.020,acme,no_reply,PCMA,5,4,0.003,4.05,,,,,";
        assert_eq!(line(row(), Format::Csv).unwrap(), wanted);
        assert_eq!(
            wanted.split("\"a,b\"\"c@office\"").map(|part| part.matches(',').count()).sum::<usize>(),
            HEAD.len() - 1
        );
    }

    #[test]
    fn what_a_caller_calls_himself_is_no_formula_in_a_table_and_stays_as_sent_in_json() {
        let mut row = row();
        row["caller"] = json!("=HYPERLINK(\"http://192.0.2.1\")");
        let line_of = |format| line(row.clone(), format).unwrap();
        assert!(
            line_of(Format::Csv).contains(",office,\"'=HYPERLINK(\"\"http://192.0.2.1\"\")\",+4722,"),
            "{}",
            line_of(Format::Csv)
        );
        assert_eq!(serde_json::from_str::<Value>(&line_of(Format::Json)).unwrap(), row);
    }

    #[test]
    fn as_json_it_is_what_the_api_gave() {
        assert_eq!(serde_json::from_str::<Value>(&line(row(), Format::Json).unwrap()).unwrap(), row());
    }
}
