//! The shape of the configuration as tables: every section, every key, its form, its default and the reason for it.
//!
//! The parser takes the known keys from here, and so do `--print-defaults` and the reference: what is not in a table
//! can neither be written nor read about. Refuses to know: how values are parsed.

/// A table of the configuration.
#[derive(Debug)]
pub struct Section {
    /// As people write it: `[trunk.NAME]`.
    pub title: &'static str,
    /// The same with an example for `NAME`.
    pub example: &'static str,
    /// What it is, in one sentence.
    pub about: &'static str,
    /// Its keys, in the order in which they are best read.
    pub keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// Form of the value in words.
    pub form: &'static str,
    /// What holds when it is not written.
    pub preset: Preset,
    /// What it does and why the default is what it is.
    pub why: &'static str,
}

/// What holds when a key is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// It must be written; an example.
    Needed(&'static str),
    /// This value, as TOML.
    Is(&'static str),
    /// Something that is no value, told in words; an example.
    Else(&'static str, &'static str),
    /// A table of its own.
    Table,
}

impl Section {
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

/// A key that must be written.
pub const fn needed(name: &'static str, form: &'static str, example: &'static str, why: &'static str) -> Key {
    Key { name, form, preset: Preset::Needed(example), why }
}

/// A key with a default.
pub const fn is(name: &'static str, form: &'static str, value: &'static str, why: &'static str) -> Key {
    Key { name, form, preset: Preset::Is(value), why }
}

/// A key whose absence means something that is no value.
pub const fn other(
    name: &'static str,
    form: &'static str,
    words: &'static str,
    example: &'static str,
    why: &'static str,
) -> Key {
    Key { name, form, preset: Preset::Else(words, example), why }
}

/// A key that holds a table.
pub const fn table(name: &'static str, why: &'static str) -> Key {
    Key { name, form: "table", preset: Preset::Table, why }
}

/// All sections, in the order of the reference.
pub(super) static SECTIONS: &[&Section] = &[
    &super::edge::EDGE,
    &super::api::API,
    &super::api::TOKEN,
    &super::webhook::WEBHOOK,
    &super::traces::TRACES,
    &super::hep::HEP,
    &super::dns::DNS,
    &super::listen::LISTEN,
    &super::guard::GUARD,
    &super::tls::LISTEN_TLS,
    &super::trunk::TRUNK,
    &super::trunk::AUTH,
    &super::tls::TRUNK_TLS,
    &super::trunk::LIMITS,
    &super::interworking::HEADERS,
    &super::interworking::NUMBERS,
    &super::interworking::RULE,
    &super::interworking::IDENTITY,
    &super::interworking::CAUSES,
    &super::register::REGISTER,
    &super::fraud::FRAUD,
    &super::probe::PROBE,
    &super::test_call::TEST_CALL,
    &super::codecs::CODECS,
    &super::calls::CALLS,
    &super::dialogs::SESSION,
    &super::audio::AUDIO,
    &super::timers::TIMERS,
    &super::health::HEALTH,
    &super::registrar::REGISTRAR,
    &super::registrar::EXPIRES,
    &super::registrar::USER,
    &super::group::GROUP,
    &super::group::FAILBACK,
    &super::route::ROUTE,
    &super::streams::STREAMS,
];

/// The top of the file.
pub(super) static ROOT: Section = Section {
    title: "the top of the file",
    example: "",
    about: "Nothing but tables.",
    keys: &[
        table("edge", "This edge."),
        table("api", "Who may look at it, and who may act."),
        table("webhook", "Who is told of alarms."),
        table("traces", "Who collects traces of calls."),
        table("hep", "Who is told each SIP message."),
        table("dns", "How names are looked up."),
        table("listen", "Local sides of the edge."),
        table("guard", "Who is kept out."),
        table("trunk", "Peers that carry calls."),
        table("registrar", "Where phones register."),
        table("user", "Who registers."),
        table("group", "What routes point to."),
        table("route", "Which calls go where."),
        table("streams", "Limits of connections."),
    ],
};

/// Another section that has this key.
pub(super) fn home_of(key: &str) -> Option<&'static Section> {
    SECTIONS.iter().copied().find(|section| section.key(key).is_some())
}
