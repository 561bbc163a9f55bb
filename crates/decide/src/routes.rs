//! Routes, found by the trunk a call comes from and the number it goes to.
//!
//! Made once from the list of rules, in which the first match wins. Refuses to know: groups' members, health.

use crate::policy::RouteRule;
use crate::prefixes::Prefixes;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use model::{GroupId, RouteId, TrunkId};

/// The rules that speak of one set of trunks.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Chapter {
    prefixes: Prefixes,
    /// Where they lead, each group once.
    groups: Vec<GroupId>,
}

impl Chapter {
    fn new(rules: &[RouteRule], of: &[u16]) -> Self {
        let those = || of.iter().filter_map(|route| Some((rules.get(usize::from(*route))?, *route)));
        let any = |rule: &RouteRule| rule.prefixes.is_empty().then_some("");
        let prefixes = those().flat_map(|(rule, route)| {
            rule.prefixes.iter().map(|prefix| prefix.as_str()).chain(any(rule)).map(move |prefix| (prefix, route))
        });
        let mut groups: Vec<GroupId> = those().map(|(rule, _)| rule.to).collect();
        groups.sort_unstable();
        groups.dedup();
        Self { prefixes: Prefixes::new(prefixes), groups }
    }
}

/// The list of rules as an index.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Routes {
    /// Rules that name no trunk.
    any: Chapter,
    /// Rules that name trunks; trunks that the same rules name share a chapter.
    named: Vec<Chapter>,
    /// By `TrunkId`: its chapter in `named`.
    chapter_of: Vec<Option<u32>>,
}

impl Routes {
    pub(crate) fn new(rules: &[RouteRule]) -> Self {
        let mut any: Vec<u16> = Vec::new();
        let mut by_trunk: BTreeMap<TrunkId, Vec<u16>> = BTreeMap::new();
        for (route, rule) in (0u16..).zip(rules) {
            if rule.from.is_empty() {
                any.push(route);
            }
            for trunk in &rule.from {
                by_trunk.entry(*trunk).or_default().push(route);
            }
        }
        let size = by_trunk.keys().next_back().map_or(0, |last| last.index() + 1);
        let mut chapter_of = Vec::new();
        chapter_of.resize(size, None);
        let mut named: Vec<Chapter> = Vec::new();
        let mut known: BTreeMap<Vec<u16>, u32> = BTreeMap::new();
        for (trunk, routes) in by_trunk {
            let chapter = *known.entry(routes).or_insert_with_key(|routes| {
                named.push(Chapter::new(rules, routes));
                named.len() as u32 - 1
            });
            chapter_of[trunk.index()] = Some(chapter);
        }
        Self { any: Chapter::new(rules, &any), named, chapter_of }
    }

    /// The first rule that matches.
    pub(crate) fn find(&self, from: TrunkId, number: &str) -> Option<RouteId> {
        let (named, any) = (self.named(from).and_then(|own| own.prefixes.find(number)), self.any.prefixes.find(number));
        match (named, any) {
            (Some(named), Some(any)) => Some(named.min(any)),
            (named, any) => named.or(any),
        }
        .map(RouteId)
    }

    /// Every group that calls from a trunk can be led to.
    pub(crate) fn groups_from(&self, from: TrunkId) -> impl Iterator<Item = GroupId> {
        self.named(from).into_iter().chain([&self.any]).flat_map(|chapter| chapter.groups.iter().copied())
    }

    fn named(&self, from: TrunkId) -> Option<&Chapter> {
        let chapter = self.chapter_of.get(from.index()).copied().flatten()?;
        self.named.get(chapter as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn the_index_finds_the_first_rule_that_matches(
            rules in proptest::collection::vec(
                (proptest::collection::vec(0u16..4, 0..3), proptest::collection::vec("[12]{0,3}", 0..3)), 0..12),
            number in "[12]{0,4}",
        ) {
            let rule = |(to, (from, prefixes)): (u16, (Vec<u16>, Vec<String>))| RouteRule {
                from: from.into_iter().map(TrunkId).collect(), prefixes, to: GroupId(to % 3),
            };
            let rules: Vec<RouteRule> = (0u16..).zip(rules).map(rule).collect();
            let routes = Routes::new(&rules);
            for from in (0u16..6).map(TrunkId) {
                let comes = |rule: &RouteRule| rule.from.is_empty() || rule.from.contains(&from);
                let goes = |rule: &RouteRule| {
                    rule.prefixes.is_empty() || rule.prefixes.iter().any(|prefix| number.starts_with(prefix.as_str()))
                };
                let plain = rules.iter().position(|rule| comes(rule) && goes(rule)).map(|at| RouteId(at as u16));
                prop_assert_eq!(routes.find(from, &number), plain);
                for group in (0u16..3).map(GroupId) {
                    let leads = rules.iter().any(|rule| comes(rule) && rule.to == group);
                    prop_assert!(routes.groups_from(from).any(|other| other == group) == leads);
                }
            }
        }
    }
}
