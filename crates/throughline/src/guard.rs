//! `throughline guard`: whom the guard keeps out, and the operator's word that ends it.

use crate::ask;
use crate::http::{Client, encode};
use crate::say::{Failure, say};
use crate::table::{rough, table};
use edge::{GuardedFor, GuardedView};
use explain::ShutOutCause;

const EXAMPLES: &str = "\
SINCE is how long a source is kept out or limited, ENDS IN how long it will be, DROPPED how many of its messages went no further since, TIMES \
how often it was shut out. A shut-out that follows another lasts twice as long; forgiving one forgets that too.

Examples:
  throughline guard                            the worst first
  throughline guard --limit 1000 --json
  throughline guard forgive 203.0.113.9        it is heard again, and every phone of its address";

/// Show whom the guard shuts out or limits, or forgive one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// As JSON, times in microseconds
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Hear a source again
    #[command(
        after_help = "Examples:\n  throughline guard forgive 203.0.113.9\n  throughline guard forgive 203.0.113.9:5062        that phone alone"
    )]
    Forgive {
        /// The source, as `throughline guard` shows it
        #[arg(value_name = "ADDRESS")]
        source: String,
    },
}

pub(crate) fn run(args: &Args, api: &Client) -> Result<(), Failure> {
    if let Some(What::Forgive { source }) = &args.what {
        let answer = ask::post(api, &format!("/v1/guard/{}/forgive", encode(source)))?;
        ask::tell(&answer, "nothing was held against it");
        return Ok(());
    }
    let answer = ask::get(api, &format!("/v1/guard?limit={}", args.limit))?;
    if args.json {
        ask::raw(&answer);
        return Ok(());
    }
    let list = answer.get("sources").cloned().unwrap_or_default();
    let sources: Vec<GuardedView> = serde_json::from_value(list)
        .map_err(|error| Failure(format!("the edge is of another version ({error}); use the same one, or --json")))?;
    if sources.is_empty() {
        say("nobody is shut out or limited");
        return Ok(());
    }
    say(&show(&sources));
    match answer.get("more").and_then(serde_json::Value::as_u64) {
        None | Some(0) => {}
        Some(more) => say(&format!("and {more} more, of whom less was dropped")),
    }
    Ok(())
}

fn show(sources: &[GuardedView]) -> String {
    let row = |view: &GuardedView| {
        vec![
            view.source.clone(),
            rough(view.held),
            rough(view.left),
            view.dropped.to_string(),
            view.times.to_string(),
            why(view.why).to_owned(),
        ]
    };
    let rows: Vec<_> = sources.iter().map(row).collect();
    table(&["SOURCE", "SINCE", "ENDS IN", "DROPPED", "TIMES", "WHY"], &rows, &[3, 4])
}

const fn why(why: GuardedFor) -> &'static str {
    match why {
        GuardedFor::ShutOut(ShutOutCause::Scanner) => "shut out: its software calls itself a scanner",
        GuardedFor::ShutOut(ShutOutCause::Malformed) => "shut out: broken messages",
        GuardedFor::ShutOut(ShutOutCause::Requests) => "shut out: more messages than a stranger may send",
        GuardedFor::ShutOut(ShutOutCause::Failures) => "shut out: wrong passwords, or requests inside calls of others",
        GuardedFor::Registers => "limited: more REGISTERs than a house of phones sends",
        GuardedFor::Messages => "limited: more messages than a phone may send",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Span;

    #[test]
    fn a_source_is_a_line() {
        let view = |source: &str, why| GuardedView {
            source: source.to_owned(),
            why,
            held: Span::from_secs(75),
            left: Span::from_secs(225),
            times: 1,
            dropped: 1_204,
        };
        let shown = show(&[
            view("203.0.113.9", GuardedFor::ShutOut(ShutOutCause::Failures)),
            view("2001:db8:1:2::/64", GuardedFor::Registers),
        ]);
        let mut lines = shown.lines();
        assert_eq!(lines.next(), Some("SOURCE             SINCE       ENDS IN     DROPPED  TIMES  WHY"));
        let first = "203.0.113.9        1 min 15 s  3 min 45 s     1204      1  shut out: wrong passwords, or requests inside calls of others";
        assert_eq!(lines.next(), Some(first));
        assert!(
            lines.next().is_some_and(|line| line.ends_with("limited: more REGISTERs than a house of phones sends"))
        );
    }
}
