//! Reading one table: known keys by name, unknown ones as faults, each value with its place in the text.
//!
//! Refuses to know: what keys mean.

use super::fault::Faults;
use super::schema::{self, Preset, Section};
use super::suggest::{did_you_mean, nearest};
use super::value::found;
use core::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and its place.
pub type Node<'i> = Spanned<DeValue<'i>>;

/// Something read, with its place in the text.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// What.
    pub value: T,
    /// Where, in bytes of the text.
    pub at: Range<usize>,
}

/// One table being read.
#[derive(Debug)]
pub struct Reader<'a, 'i> {
    section: &'static Section,
    table: &'a DeTable<'i>,
    /// The words that open the table: where a missing key is reported.
    pub at: Range<usize>,
}

impl<'a, 'i> Reader<'a, 'i> {
    /// Opens a table, and reports the keys it should not have.
    pub fn open(
        node: &'a Node<'i>,
        at: &Range<usize>,
        section: &'static Section,
        faults: &mut Faults<'_>,
    ) -> Option<Self> {
        let Some(table) = node.get_ref().as_table() else {
            let expected = format!("a table with {}", super::suggest::list(section.names()));
            faults.error(&node.span(), format!("{} is {}", section.title, found(node)), expected, None);
            return None;
        };
        let reader = Self { section, table, at: at.clone() };
        reader.report_unknown(faults);
        Some(reader)
    }

    /// The top of the file.
    pub fn root(table: &'a DeTable<'i>, section: &'static Section, faults: &mut Faults<'_>) -> Self {
        let reader = Self { section, table, at: 0..0 };
        reader.report_unknown(faults);
        reader
    }

    /// The value of a key, if it is written.
    pub fn get(&self, key: &'static str) -> Option<&'a Node<'i>> {
        debug_assert!(self.section.key(key).is_some(), "{key} is missing in the table of {}", self.section.title);
        self.table.get(key)
    }

    /// Where the value of a key is written, or else where the table is opened.
    pub fn place(&self, key: &'static str) -> Range<usize> {
        self.get(key).map_or_else(|| self.at.clone(), Spanned::span)
    }

    /// The value of a key, parsed; faults are reported by `parse`.
    pub fn read<T>(
        &self,
        key: &'static str,
        faults: &mut Faults<'_>,
        parse: impl FnOnce(&Node<'i>, &mut Faults<'_>) -> Option<T>,
    ) -> Option<T> {
        parse(self.get(key)?, faults)
    }

    /// Overwrites `slot` when the key is written and good.
    pub fn set<T>(
        &self,
        key: &'static str,
        slot: &mut T,
        faults: &mut Faults<'_>,
        parse: impl FnOnce(&Node<'i>, &mut Faults<'_>) -> Option<T>,
    ) {
        if let Some(value) = self.read(key, faults, parse) {
            *slot = value;
        }
    }

    /// The value of a key that must be written.
    pub fn need<T>(
        &self,
        key: &'static str,
        faults: &mut Faults<'_>,
        parse: impl FnOnce(&Node<'i>, &mut Faults<'_>) -> Option<T>,
    ) -> Option<T> {
        if let Some(node) = self.get(key) {
            return parse(node, faults);
        }
        if self.misspelt(key) {
            // Told already, at the very word.
            return None;
        }
        let key = self.section.key(key)?;
        let fix = match key.preset {
            Preset::Needed(example) => Some(format!("add, for example, `{} = {example}`", key.name)),
            Preset::Is(_) | Preset::Else(..) | Preset::Table => None,
        };
        faults.error(&self.at, format!("`{}` is missing in {}", key.name, self.section.title), key.form, fix);
        None
    }

    /// Whether an unknown key is likely meant to be this one.
    fn misspelt(&self, key: &str) -> bool {
        let unknown =
            self.table.keys().map(|key| key.get_ref().as_ref()).filter(|word| self.section.key(word).is_none());
        unknown.into_iter().any(|word| nearest(word, self.section.names()) == Some(key))
    }

    /// A table of named tables, `[trunk.NAME]`, in the order of the text.
    pub fn named(&self, key: &'static str, faults: &mut Faults<'_>) -> Vec<(At<String>, &'a Node<'i>)> {
        let Some(node) = self.get(key) else { return Vec::new() };
        let Some(table) = node.get_ref().as_table() else {
            let what = format!("`{key}` is {}", found(node));
            faults.error(&node.span(), what, format!("tables with names, `[{key}.NAME]`"), None);
            return Vec::new();
        };
        let mut list: Vec<_> = table
            .iter()
            .map(|(name, node)| (At { value: name.get_ref().to_string(), at: name.span() }, node))
            .collect();
        list.sort_by_key(|(name, _)| name.at.start);
        list.retain(|(name, _)| is_name(name, faults));
        list
    }

    fn report_unknown(&self, faults: &mut Faults<'_>) {
        for key in self.table.keys() {
            let word = key.get_ref().as_ref();
            if self.section.key(word).is_some() {
                continue;
            }
            let fix = did_you_mean(word, self.section.names()).or_else(|| {
                let home = schema::home_of(word)?;
                Some(format!("it belongs in {}", home.title))
            });
            let what = format!("unknown key `{}` in {}", super::value::short(word), self.section.title);
            let expected = format!("one of {}", super::suggest::list(self.section.names()));
            faults.error(&key.span(), what, expected, fix);
        }
    }
}

/// Names go into addresses of the API, metrics and sentences, so they are plain.
fn is_name(name: &At<String>, faults: &mut Faults<'_>) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if (1..=64).contains(&name.value.len()) && name.value.chars().all(plain) {
        return true;
    }
    let expected = "1 to 64 letters, digits, `-` and `_`";
    faults.error(&name.at, format!("`{}` is no good name", super::value::short(&name.value)), expected, None);
    false
}

/// One value or a list of them.
pub fn many<'i, T>(
    node: &Node<'i>,
    faults: &mut Faults<'_>,
    mut parse: impl FnMut(&Node<'i>, &mut Faults<'_>) -> Option<T>,
) -> Vec<At<T>> {
    let mut one = |node: &Node<'i>, faults: &mut Faults<'_>| Some(At { value: parse(node, faults)?, at: node.span() });
    match node.get_ref() {
        DeValue::Array(list) => list.iter().filter_map(|node| one(node, faults)).collect(),
        _ => one(node, faults).into_iter().collect(),
    }
}
