//! `throughline docs`: what is made of the command line for packages: man pages and completions of shells.
//!
//! Out of the same description that the program parses by, so that none of them can tell of an option that is not there. Refuses to know:
//! where a package puts them.

use crate::Cli;
use crate::say::Failure;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use std::io;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Writes FOLDER/man/throughline*.1 and FOLDER/completions/throughline.bash, _throughline (zsh) and throughline.fish.

Examples:
  throughline docs target/docs";

/// Write man pages and completions of shells
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, hide = true)]
pub(crate) struct Args {
    /// Where to; it is made when it is missing
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    write(&args.folder)
        .map_err(|error| Failure(format!("{}: {error}; give a folder that may be written to", args.folder.display())))
}

fn write(folder: &Path) -> io::Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    std::fs::create_dir_all(&man)?;
    std::fs::create_dir_all(&completions)?;
    // Each page says `throughline trunk`, as it is typed, and not the last word alone.
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    pages(&command, &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "throughline", &completions)?;
    }
    Ok(())
}

/// The page of a command, and of all below it.
fn pages(command: &Command, folder: &Path) -> io::Result<()> {
    let title = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let source = format!("Throughline {}", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(command.clone()).title(title.clone()).section("1").source(source);
    let mut page = Vec::new();
    man.render(&mut page)?;
    std::fs::write(folder.join(format!("{title}.1")), page)?;
    let shown = command.get_subcommands().filter(|below| !below.is_hide_set());
    shown.into_iter().try_for_each(|below| pages(below, folder))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn every_command_has_a_page_and_every_shell_its_completions() {
        let folder = std::env::temp_dir().join(format!("throughline-docs-{}", std::process::id()));
        run(&Args { folder: folder.clone() }).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|_| panic!("no {name}"));
        let top = read("man/throughline.1");
        assert!(top.contains(".TH throughline 1") && top.contains("throughline\\-why(1)"), "{top}");
        let why = read("man/throughline-why-call.1");
        assert!(why.contains("throughline why call") || why.contains("throughline\\-why\\-call"), "{why}");
        assert!(read("man/throughline-check.1").contains("\\-\\-reference"));
        for (name, word) in
            [("throughline.bash", "--drain-limit"), ("_throughline", "test-call"), ("throughline.fish", "drain-limit")]
        {
            let text = read(&format!("completions/{name}"));
            assert!(text.contains(word), "{name}");
        }
        assert!(!folder.join("man/throughline-docs.1").exists(), "nobody needs it but packages");
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::write(&folder, "a file").unwrap();
        let refused = run(&Args { folder: folder.clone() }).unwrap_err();
        assert!(refused.0.contains("may be written to"), "{}", refused.0);
        std::fs::remove_file(&folder).unwrap();
    }
}
