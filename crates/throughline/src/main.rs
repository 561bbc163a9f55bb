//! The one binary: starts an edge, checks its configuration, asks a running one, plays with the lab, simulates.
//!
//! One file per command. Exit codes: 0 done, 1 a fault or a refusal, 2 wrong usage. Refuses to know: how anything works.

mod ask;
mod calls;
mod cdrs;
mod check;
mod csv;
mod deep;
mod docs;
mod drill;
mod events;
mod group;
mod guard;
mod http;
mod lab;
mod log;
mod pcap;
mod reload;
mod route;
mod run;
mod say;
mod seeds;
mod simulate;
mod table;
mod test_call;
mod top;
mod trunk;
mod trunks;
mod tune;
mod webhook;
mod why;

use clap::{CommandFactory as _, Parser, Subcommand};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LONG: &str = "\
A SIP failover edge: it stands between PBXs or phones and SIP trunks, senses what happens to calls, moves new calls to another \
trunk when one fails, keeps the audio of live calls, and explains each decision in one sentence.";

const EXAMPLES: &str = "\
Examples:
  throughline run                              the lab: an edge, two carriers and a PBX on loopback
  throughline check edge.toml                  every fault at once, with line, column and the likely fix
  throughline run edge.toml                    an edge in earnest
  throughline trunks                           health, share and calls of each trunk
  throughline top                              the same on a terminal, with causes and decisions, once a second
  throughline why trunk acme                   each change of a trunk in one sentence
  throughline pcap call 00c0ffee00c0ffee       what was said in a call, for Wireshark
  throughline events                           every record as it is written
  throughline trunk acme drain                 no new calls for acme
  throughline group force carriers 2 --for 1h  new calls by the second tier first, for an hour
  throughline guard                            who is shut out or limited, and why
  throughline test-call acme                   a call of our own through acme, heard in both directions or not
  throughline drill                            breaks each trunk for calls of its own, and proves that others stand in

Exit codes:
  0  done        1  a fault, or refused        2  wrong usage";

/// Command line of the one binary.
#[derive(Debug, Parser)]
#[command(name = "throughline", version, about = "A SIP failover edge", long_about = LONG, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// API of the running edge that is asked; the token in THROUGHLINE_TOKEN is shown to it, if there is one
    #[arg(long, global = true, value_name = "ADDR", default_value = "127.0.0.1:8060")]
    api: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Check(check::Args),
    Trunks(trunks::Args),
    Top(top::Args),
    Calls(calls::Args),
    Cdrs(cdrs::Args),
    #[command(subcommand)]
    Why(why::What),
    #[command(subcommand)]
    Pcap(pcap::What),
    Docs(docs::Args),
    Events(events::Args),
    Route(route::Args),
    Guard(guard::Args),
    Trunk(trunk::Args),
    #[command(subcommand)]
    Group(group::What),
    TestCall(test_call::Args),
    #[command(subcommand)]
    Webhook(webhook::What),
    Drill(drill::Args),
    Reload(reload::Args),
    #[command(subcommand)]
    Lab(lab::What),
    Simulate(simulate::Args),
    Tune(tune::Args),
}

/// A token on a command line would be seen by everyone on this machine.
#[allow(clippy::disallowed_methods, reason = "a secret of whoever asks, and not of the edge")]
fn token() -> Option<String> {
    std::env::var("THROUGHLINE_TOKEN").ok()
}

/// Wrong usage, and told as such.
fn no_terminal() -> ! {
    Cli::command().error(clap::error::ErrorKind::InvalidValue, top::NO_TERMINAL).exit()
}

fn main() -> ExitCode {
    let Cli { command, api } = Cli::parse();
    let api = http::Client::new(&api).with_token(token());
    let done = match command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(&args),
        Command::Trunks(args) => trunks::run(&args, &api),
        Command::Top(_) if !top::at_a_terminal() => no_terminal(),
        Command::Top(args) => top::run(&args, api),
        Command::Calls(args) => calls::run(&args, &api),
        Command::Cdrs(args) => cdrs::run(&args, &api),
        Command::Why(what) => why::run(&what, &api),
        Command::Pcap(what) => pcap::run(&what, &api),
        Command::Docs(args) => docs::run(&args),
        Command::Events(args) => events::run(&args, &api),
        Command::Route(args) => route::run(&args, &api),
        Command::Guard(args) => guard::run(&args, &api),
        Command::Trunk(args) => trunk::run(&args, &api),
        Command::Group(what) => group::run(&what, &api),
        Command::TestCall(args) => test_call::run(&args, &api),
        Command::Webhook(what) => webhook::run(&what, &api),
        Command::Drill(args) => drill::run(&args, &api),
        Command::Reload(args) => reload::run(&args, &api),
        Command::Lab(what) => lab::run(&what, &api),
        Command::Simulate(args) => simulate::run(&args),
        Command::Tune(args) => tune::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say::complain(&failure.0);
            ExitCode::from(1)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_command_has_help_with_an_example() {
        Cli::command().debug_assert();
        let mut waiting: Vec<clap::Command> = Cli::command().get_subcommands().cloned().collect();
        let mut leaves = 0;
        while let Some(mut command) = waiting.pop() {
            waiting.extend(command.get_subcommands().cloned());
            let leaf = command.get_subcommands().next().is_none();
            leaves += usize::from(leaf);
            let help = command.render_long_help().to_string();
            assert!(!leaf || help.contains("throughline "), "{} has no example:\n{help}", command.get_name());
        }
        assert_eq!(leaves, 25);
    }

    #[test]
    fn wrong_usage_ends_with_two() {
        for line in [
            "throughline",
            "throughline trunk acme explode",
            "throughline lab fail acme",
            "throughline why call",
            "throughline group force carriers 2",
            "throughline group force carriers 0 --for 5min",
            "throughline group force carriers 2 --for 25h",
            "throughline group force carriers 2 --for 1.5s",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        let cli = Cli::try_parse_from("throughline lab fail acme --how no-rtp --api 127.0.0.1:1".split(' ')).unwrap();
        assert_eq!(cli.api, "127.0.0.1:1");
    }
}
