//! `throughline pcap`: what was said in a call, as a file for Wireshark and its kin.
//!
//! Refuses to know: what is in the file.

use crate::ask;
use crate::http::{Answer, Client};
use crate::say::{Failure, complain, say};
use crate::why::call_ref;
use std::io::Write as _;
use std::path::{Path, PathBuf};

const CALL: &str = "\
SIP messages of both legs and of all attempts, in order of time; no audio. Keys of audio and digests of passwords are masked. The edge keeps
the messages of the last calls in memory, as much as `capture` in `[edge]` allows. `throughline calls` and `throughline cdrs` show the ids.

Examples:
  throughline pcap call 00c0ffee00c0ffee
  throughline pcap call 00c0ffee00c0ffee -o call.pcap
  throughline pcap call 00c0ffee00c0ffee -o - | tshark -r -";

/// Write what was said on the wire to a file for Wireshark
#[derive(Debug, clap::Subcommand)]
pub(crate) enum What {
    /// What was said in a call, in progress or over
    #[command(after_help = CALL)]
    Call {
        /// The call: up to sixteen hexadecimal digits
        #[arg(value_name = "ID", value_parser = clap::builder::ValueParser::new(call_ref))]
        id: model::CallRef,
        /// The file, `-` for standard output [default: ID.pcap]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

pub(crate) fn run(what: &What, api: &Client) -> Result<(), Failure> {
    let What::Call { id, output } = what;
    let answer = ask::fetch(api, &format!("/v1/calls/{id}/pcap"))?;
    let lines = told(&answer).ok_or_else(|| ask::stranger(api))?;
    let file = output.clone().unwrap_or_else(|| PathBuf::from(format!("{id}.pcap")));
    let fault = |error| Failure(format!("{} cannot be written ({error}); choose another file with -o", file.display()));
    if file == Path::new("-") {
        std::io::stdout().lock().write_all(&answer.body).map_err(fault)?;
        lines.iter().for_each(|line| complain(line));
        return Ok(());
    }
    std::fs::write(&file, &answer.body).map_err(fault)?;
    say(&format!("{}: {}", file.display(), lines.join("\n")));
    Ok(())
}

/// How much the file holds, in lines; none when the answer does not say.
fn told(answer: &Answer) -> Option<Vec<String>> {
    let count = |name: &str| answer.header(name).and_then(|value| value.parse::<usize>().ok());
    let (messages, cut, left_off) = (count("capture-messages")?, count("capture-cut")?, count("capture-left-off")?);
    let (first, last) = (answer.header("capture-first")?, answer.header("capture-last")?);
    let mut lines = vec![format!("{}, {first} to {last}", many(messages, "message"))];
    if answer.header("capture-whole")? != "yes" {
        lines.push("the beginning of the call is kept no more: a larger `capture` in `[edge]` keeps more".to_owned());
    }
    if cut > 0 {
        lines.push(format!("{} longer than a packet can be: cut off", many(cut, "message")));
    }
    if left_off > 0 {
        lines.push(format!("{} left off: too many for one answer", many(left_off, "message")));
    }
    Some(lines)
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn lines(head: &str) -> Option<Vec<String>> {
        let usual = "Capture-Messages: 1\r\nCapture-First: a\r\nCapture-Last: b\r\n";
        told(&Answer { status: 200, head: format!("HTTP/1.1 200 OK\r\n{usual}{head}"), body: Vec::new() })
    }

    #[test]
    fn what_is_missing_is_told() {
        let whole = lines("Capture-Whole: yes\r\nCapture-Cut: 0\r\nCapture-Left-Off: 0").unwrap();
        assert_eq!(whole, ["1 message, a to b"]);
        let torn = lines("Capture-Whole: no\r\nCapture-Cut: 1\r\nCapture-Left-Off: 20").unwrap();
        assert_eq!(torn.len(), 4);
        assert!(torn[1].contains("larger `capture`") && torn[2].starts_with("1 message longer"), "{torn:?}");
        assert!(torn[3].starts_with("20 messages left off"), "{torn:?}");
        assert_eq!(lines("Capture-Whole: yes"), None, "another edge");
    }
}
