//! `throughline events`: every record as it is written, one sentence a line.

use crate::ask;
use crate::http::{Client, encode};
use crate::say::{Failure, complain, tell};
use serde_json::Value;

const EXAMPLES: &str = "\
Runs until it is interrupted or the edge ends. Kinds: configured, decision, operator, call, alarm, shadow. A reader that is too
slow is told how many records it missed.

Examples:
  throughline events
  throughline events --kind decision,alarm
  throughline events --from 1200 --json | jq .record";

/// Show every decision, act, alarm and call as it is written to the journal
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only these kinds of records
    #[arg(long, value_name = "KIND,KIND", value_delimiter = ',')]
    kind: Vec<String>,
    /// Begin with this record of the journal rather than with the next one
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    /// As JSON, one record a line
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, api: &Client) -> Result<(), Failure> {
    let mut path = format!("/v1/events?kind={}", encode(&args.kind.join(",")));
    if let Some(from) = args.from {
        path += &format!("&from={from}");
    }
    let mut reader_gone = false;
    ask::lines(api, &path, &mut |line| {
        let Some(shown) = line.strip_prefix("data: ").and_then(|data| show(data, args.json)) else { return true };
        reader_gone = match shown {
            Shown::Record(text) => !tell(&text),
            Shown::Missed(text) => {
                complain(&text);
                false
            }
        };
        !reader_gone
    })?;
    if reader_gone { Ok(()) } else { Err(Failure(format!("the edge at {} has ended the stream", api.host()))) }
}

#[derive(Debug, PartialEq, Eq)]
enum Shown {
    Record(String),
    Missed(String),
}

/// The data of one event, as people or programs want it.
fn show(data: &str, json: bool) -> Option<Shown> {
    let value: Value = serde_json::from_str(data).ok()?;
    if let Some(missed) = value.get("missed").and_then(Value::as_u64) {
        let records = if missed == 1 { "record was" } else { "records were" };
        return Some(Shown::Missed(format!(
            "{missed} {records} missed here; `throughline events --from SEQ` shows what is kept"
        )));
    }
    if json {
        return Some(Shown::Record(data.to_owned()));
    }
    value.get("sentence").and_then(Value::as_str).map(|sentence| Shown::Record(sentence.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_sentence_or_its_json_and_what_is_missed_is_said_apart() {
        let data = r#"{"seq":4,"sentence":"trunk acme Up → Down"}"#;
        assert_eq!(show(data, false), Some(Shown::Record("trunk acme Up → Down".to_owned())));
        assert_eq!(show(data, true), Some(Shown::Record(data.to_owned())));
        let missed = show(r#"{"missed":1}"#, true);
        assert!(matches!(missed, Some(Shown::Missed(text)) if text.starts_with("1 record was missed")));
        assert_eq!(show("torn", false), None);
    }
}
