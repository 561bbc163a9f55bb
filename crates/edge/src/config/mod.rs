//! Configuration: from the text people write to the settings the edge works by, or to every fault in it at once.
//!
//! One file per table of the text, each with the keys it knows; the same tables print the defaults and the reference.
//! Refuses to know: files, the environment (a lookup is passed in), the running edge.

mod api;
mod at;
mod audio;
mod build;
mod calls;
mod check;
mod codecs;
mod dialogs;
mod dns;
mod draft;
mod edge;
mod fault;
mod fraud;
mod group;
mod guard;
mod health;
mod hep;
mod interworking;
mod listen;
mod numbers;
mod probe;
mod reader;
mod reference;
mod register;
mod registrar;
mod relocate;
mod render;
mod route;
mod schema;
mod settings;
mod streams;
mod suggest;
mod test_call;
mod timers;
mod tls;
mod traces;
mod trunk;
mod url;
mod value;
mod webhook;
mod window;

#[cfg(test)]
mod tests;

pub use api::{ApiAccess, ApiRole, ApiToken};
pub use edge::{LogForm, MediaIo};
pub use fault::{Fault, Severity};
pub use hep::Collector;
pub use numbers::TargetNumbers;
pub use reference::{print_defaults, reference};
pub use registrar::users;
pub use render::{render, summary};
pub use settings::{Listen, MediaRange, Settings, Socket};
pub use streams::{ListenStreams, StreamLimits};
pub use test_call::TestCallPlan;
pub use tls::{Identity, ListenTls, TrunkTls};
pub use traces::Traces;
pub use url::Address;
pub use webhook::Webhook;

use fault::Faults;
use toml::de::DeTable;

/// The means by which a text is read, for other texts that are written like a configuration: scenarios of the simulator.
pub mod text {
    pub use super::fault::{Faults, Fix};
    pub use super::reader::{At, Node, Reader, many};
    pub use super::schema::{Key, Preset, Section, is, needed, other, table};
    pub use super::suggest::did_you_mean;
    pub use super::value::{code, count, duration, flag, percent, span, text, word};
}

/// What became of a text.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What the edge can work by; none when any fault is an error.
    pub settings: Option<Settings>,
    /// Everything found wrong or doubtful, in the order of the text.
    pub faults: Vec<Fault>,
}

/// Compiles a text. `file` is its name in faults, `env` looks up `env:NAME` secrets, `previous` is what the running edge
/// works by: trunks keep their ids by name over reloads, and listens cannot change.
pub fn compile(text: &str, file: &str, env: &dyn Fn(&str) -> Option<String>, previous: Option<&Settings>) -> Compiled {
    let (settings, faults) = read(text, file, |root, faults| {
        let draft = draft::read(root, env, faults);
        check::check(&draft, faults);
        if faults.any_error() { None } else { build::settings(draft, text, previous, faults) }
    });
    Compiled { settings, faults }
}

/// Reads a text by `tables`, which see it only when it is TOML. There is a value when no fault is an error.
pub fn read<T>(
    text: &str,
    file: &str,
    tables: impl FnOnce(&DeTable<'_>, &mut Faults<'_>) -> Option<T>,
) -> (Option<T>, Vec<Fault>) {
    let mut faults = Faults::new(text, file);
    let (root, broken) = DeTable::parse_recoverable(text);
    if !broken.is_empty() {
        grammar(text, &broken, &mut faults);
        return (None, faults.done());
    }
    let value = tables(root.get_ref(), &mut faults);
    (value.filter(|_| !faults.any_error()), faults.done())
}

/// Faults of the grammar, the first of each line: what follows on the same line is mostly its echo. The tables of a text
/// that cannot be read are not looked at, since half of a value would be found wrong for the wrong reason.
fn grammar(text: &str, broken: &[toml::de::Error], faults: &mut Faults<'_>) {
    let mut last_line = None;
    for error in broken {
        let at = error.span().unwrap_or(0..0);
        let before = text.as_bytes().iter().take(at.start);
        let line = before.filter(|byte| **byte == b'\n').count();
        if last_line != Some(line) {
            last_line = Some(line);
            faults.error(&at, format!("this is not TOML: {}", error.message()), "", hint(error.message()));
        }
    }
}

/// What is mostly behind a fault of the grammar.
fn hint(message: &str) -> Option<String> {
    if message.contains("duplicate key") {
        return Some(String::from("keep one of the two"));
    }
    (message.contains("string") || message.contains("quot")).then(|| String::from("put the value into quotes"))
}
