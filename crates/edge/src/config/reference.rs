//! The configuration told in two forms: TOML with all defaults, and a reference page.
//!
//! Both are made from the tables the parser reads by (see `schema`), so neither can tell of a key that is not there.

use super::schema::{Key, Preset, SECTIONS, Section};
use core::fmt::Write as _;

/// TOML with every key at its default and a comment with its form and reason. It compiles as it is.
pub fn print_defaults() -> String {
    let mut out = String::from(
        "# Every key with its default. What has none is commented out and shows an example.\n\
         # Tables of a trunk or group may also be written in line: probe = { every = \"5s\" }.\n",
    );
    for section in SECTIONS {
        // A table that would be empty is commented out as well: `auth` without its keys is a fault.
        let empty = section.keys.iter().all(|key| matches!(key.preset, Preset::Else(..)));
        // Writing into a `String` cannot fail.
        let _ok = writeln!(out, "\n# {}\n{}{}", section.about, if empty { "# " } else { "" }, section.example);
        for key in section.keys {
            default_line(&mut out, key);
        }
    }
    out
}

fn default_line(out: &mut String, key: &Key) {
    let Key { name, form, why, .. } = key;
    let _ok = match key.preset {
        Preset::Table => Ok(()),
        Preset::Is(value) => writeln!(out, "# {why} ({form})\n{name} = {value}"),
        Preset::Needed(example) => writeln!(out, "# {why} ({form}; needed)\n{name} = {example}"),
        Preset::Else(words, example) => {
            writeln!(out, "# {why} ({form}; when not written: {words})\n# {name} = {example}")
        }
    };
}

/// The reference page in Markdown.
pub fn reference() -> String {
    let mut out = String::from(
        "# Every key of the configuration\n\n\
         Made by `throughline check --reference`; change the tables in `crates/edge/src/config/`, not this page.\n\n\
         One TOML file. Durations carry their unit (`\"250ms\"`, `\"1.5s\"`, `\"2min\"`, `\"12h\"`), shares their sign \
         (`\"5%\"`). Where a list is asked for, a single value will do. Names are made of letters, digits, `-` and `_`.\n",
    );
    for section in SECTIONS {
        let _ok = writeln!(
            out,
            "\n## {}\n{}\n\n| key | form | default | what and why |\n|---|---|---|---|",
            section.title, section.about
        );
        for key in section.keys {
            reference_line(&mut out, section, key);
        }
    }
    out
}

fn reference_line(out: &mut String, section: &Section, key: &Key) {
    let cell = |text: &str| text.replace('|', "\\|");
    let default = match key.preset {
        Preset::Needed(_) => String::from("**needed**"),
        Preset::Is(value) => format!("`{value}`"),
        Preset::Else(words, _) => words.to_owned(),
        Preset::Table => format!("see {} of {}", key.name, section.title),
    };
    let _ok = writeln!(out, "| `{}` | {} | {} | {} |", key.name, cell(key.form), cell(&default), cell(key.why));
}
