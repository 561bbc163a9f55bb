//! Number prefixes, each with a route: the first route that any prefix of a number has.
//!
//! Sorted once, so that a call costs one binary search however many prefixes there are. Refuses to know: who calls.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// A set of prefixes. The empty prefix stands for any number.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Prefixes {
    /// In order of the prefix.
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    prefix: Box<str>,
    /// The longest other entry that begins this one.
    shorter: Option<u32>,
    /// The first route of this prefix and of all shorter ones: a number that has this prefix has those too.
    route: u16,
}

impl Prefixes {
    /// Of each prefix the first route counts.
    pub(crate) fn new<'a>(pairs: impl Iterator<Item = (&'a str, u16)>) -> Self {
        let mut first: BTreeMap<&str, u16> = BTreeMap::new();
        for (prefix, route) in pairs {
            let known = first.entry(prefix).or_insert(route);
            *known = route.min(*known);
        }
        let mut entries: Vec<Entry> = Vec::with_capacity(first.len());
        for (prefix, own) in first {
            let shorter = last_that_begins(&entries, entries.len().checked_sub(1), prefix);
            let route = shorter.map_or(own, |index| own.min(entries[index].route));
            entries.push(Entry { prefix: prefix.into(), shorter: shorter.map(|index| index as u32), route });
        }
        Self { entries }
    }

    /// The first route that `number` has.
    pub(crate) fn find(&self, number: &str) -> Option<u16> {
        // Whatever begins the number is not behind it in order; and between such a prefix and the number there is nothing that does not
        // begin with that prefix. So the last entry not behind the number is the longest prefix of it, or leads to that.
        let after = self.entries.partition_point(|entry| *entry.prefix <= *number);
        let longest = last_that_begins(&self.entries, after.checked_sub(1), number)?;
        Some(self.entries[longest].route)
    }
}

/// From entry `from` over ever shorter ones to the one that begins `text`.
fn last_that_begins(entries: &[Entry], mut from: Option<usize>, text: &str) -> Option<usize> {
    while let Some(index) = from {
        let entry = entries.get(index)?;
        if text.starts_with(&*entry.prefix) {
            return Some(index);
        }
        from = entry.shorter.map(|shorter| shorter as usize);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::{prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn the_search_finds_what_looking_at_each_would(
            list in proptest::collection::vec("[+12]{0,5}", 0..40),
            numbers in proptest::collection::vec("[+12]{0,7}", 20),
        ) {
            let pairs = || list.iter().map(String::as_str).zip(0u16..);
            let prefixes = Prefixes::new(pairs());
            for number in &numbers {
                let plain = pairs().find(|(prefix, _)| number.starts_with(prefix)).map(|(_, route)| route);
                prop_assert_eq!(prefixes.find(number), plain, "{}", number);
            }
        }
    }
}
