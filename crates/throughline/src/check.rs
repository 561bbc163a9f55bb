//! `throughline check`: everything wrong with a configuration, at once.

use crate::deep;
use crate::say::{Failure, say};
use edge::config;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Secrets named \"env:NAME\" are looked up, so run it where the edge will run. Warnings do not fail the check.

With --deep it asks this machine, the name servers and the journal what primary and backup have in common, and what would hurt a failover: run it
where the edge will run. Dangers fail the check, warnings and notes do not.

Examples:
  throughline check edge.toml
  throughline check edge.toml && throughline reload
  throughline check --deep edge.toml           shared fate, capacity, timers, ports, addresses behind NAT
  throughline check --print-defaults > all-keys.toml";

/// Check a configuration: every fault with line, column and the likely fix
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The configuration
    #[arg(value_name = "CONFIG", required_unless_present_any = ["print_defaults", "reference"])]
    config: Option<PathBuf>,
    /// Look for what would take the backup down with the primary, too
    #[arg(long, requires = "config")]
    deep: bool,
    /// What --deep finds as JSON
    #[arg(long, requires = "deep")]
    json: bool,
    /// Print every key with its default and the reason for it, as TOML
    #[arg(long)]
    print_defaults: bool,
    /// Print the reference of all keys, as Markdown
    #[arg(long, conflicts_with = "print_defaults")]
    reference: bool,
}

/// The text of a configuration, and what it means.
pub(crate) fn compile(path: &Path) -> Result<(String, config::Compiled), Failure> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure(format!("{file}: {error}; give the path of a configuration that you may read")))?;
    let compiled = config::compile(&text, &file, &secret, None);
    Ok((text, compiled))
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.print_defaults {
        say(&config::print_defaults());
    }
    if args.reference {
        say(&config::reference());
    }
    let Some(path) = &args.config else { return Ok(()) };
    let file = path.display().to_string();
    let (text, compiled) = compile(path)?;
    let shown = config::render(&compiled.faults, &text, &file);
    let Some(settings) = compiled.settings else { return Err(Failure(shown)) };
    let soon = node::files(&settings, path).map_err(|refused| Failure(format!("{shown}{}", refused.text)))?;
    if !args.json {
        soon.iter().for_each(|warning| say(&format!("warning: {warning}\n")));
        say(&shown);
    }
    if args.deep { deep::run(settings, path, args.json) } else { Ok(()) }
}

#[allow(
    clippy::disallowed_methods,
    reason = "secrets named env:NAME come from the environment, here as in a running edge"
)]
pub(crate) fn secret(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn args(config: PathBuf) -> Args {
        Args { config: Some(config), deep: false, json: false, print_defaults: false, reference: false }
    }

    fn check(name: &str, text: &str) -> Result<(), Failure> {
        let path = std::env::temp_dir().join(format!("throughline-check-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let done = run(&args(path.clone()));
        std::fs::remove_file(path).unwrap();
        done
    }

    #[test]
    fn warnings_pass_and_errors_do_not() {
        let good = include_str!("../../../examples/two-carriers.toml");
        check("good", good).unwrap();
        check("warned", &good.replace(", alone = true", "")).unwrap();
        let Failure(text) = check("bad", &good.replace("at  ", "att ")).unwrap_err();
        assert!(text.contains("did you mean `at`?") && text.ends_with("3 errors\n"), "{text}");
        let missing = run(&args("no/such/file.toml".into()));
        assert!(missing.unwrap_err().0.starts_with("no/such/file.toml: "));
    }
}
