//! All trunks with names: what each of them leads to, what must be asked for that, and what is amiss.
//!
//! A name that leads nowhere any more, or that nobody answers for, keeps the addresses it had until `stale` is over: a mistake in a zone
//! takes no trunk out. Refuses to know: health, the journal, calls.

use super::cache::{Cache, Due};
use super::locate::{Located, Search, in_order, locate};
use super::{DnsSettings, Kind, LookupFault, NamedTrunk, Question, Reply, Spot};
use model::{Instant, Name, Span, TrunkId};
use std::collections::{BTreeMap, BTreeSet};

/// Trunks with names.
pub(crate) struct Book {
    cache: Cache,
    stale: Span,
    trunks: BTreeMap<TrunkId, Watch>,
    /// Looked at anew since control asked last.
    fresh: BTreeSet<TrunkId>,
}

struct Watch {
    named: NamedTrunk,
    /// By entry; those of addresses stay empty.
    spots: Vec<Held>,
}

/// What is held of one name.
#[derive(Clone, Debug, Default)]
struct Held {
    located: Vec<Located>,
    asked: Vec<Question>,
    trouble: Option<(Instant, String)>,
}

/// How one name of a trunk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameState {
    /// The name.
    pub(crate) name: Name,
    /// Time until what is known of it is no longer fresh.
    pub(crate) left: Span,
    /// Why it leads nowhere, or is not renewed.
    pub(crate) trouble: Option<String>,
    /// How long its addresses stay in use nevertheless; none when it has none.
    pub(crate) kept: Option<Span>,
}

impl Book {
    pub(crate) fn new(settings: &DnsSettings, seed: u64) -> Self {
        let cache = Cache::new(settings.clone(), seed);
        Self { cache, stale: settings.stale, trunks: BTreeMap::new(), fresh: BTreeSet::new() }
    }

    /// Start and reload: these trunks and no others. A name that stays keeps what it leads to.
    pub(crate) fn install<'a>(
        &mut self,
        now: Instant,
        settings: &DnsSettings,
        trunks: impl IntoIterator<Item = (TrunkId, &'a NamedTrunk)>,
    ) {
        self.cache.configure(settings.clone());
        self.stale = settings.stale;
        let mut old = core::mem::take(&mut self.trunks);
        for (id, named) in trunks {
            let mut spots = vec![Held::default(); named.spots.len()];
            let before = old.remove(&id);
            for (held, spot) in spots.iter_mut().zip(&named.spots) {
                let same = before.as_ref().and_then(|watch| {
                    let index = watch.named.spots.iter().position(|old| old == spot)?;
                    watch.spots.get(index)
                });
                if let Some(same) = same {
                    held.clone_from(same);
                }
            }
            let before: Vec<Question> = before.iter().flat_map(|watch| asked(&watch.spots)).collect();
            let after: Vec<Question> = asked(&spots).collect();
            self.cache.used(now, id, &before, &after);
            self.trunks.insert(id, Watch { named: named.clone(), spots });
            self.look(now, id);
        }
        for (id, watch) in old {
            let before: Vec<Question> = asked(&watch.spots).collect();
            self.cache.used(now, id, &before, &[]);
        }
    }

    /// An answer. False when nobody asked for it.
    pub(crate) fn resolved(&mut self, now: Instant, question: &Question, reply: Reply) -> bool {
        let expected = self.cache.answer(now, question, reply);
        if expected {
            self.look_all(now, question);
        }
        expected
    }

    /// The next question to ask.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Question> {
        loop {
            match self.cache.due(now)? {
                Due::Ask(question) => return Some(question),
                Due::Lost(question) => self.look_all(now, &question),
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.cache.deadline()
    }

    /// A trunk that has been looked at anew, and what its entries lead to.
    pub(crate) fn poll(&mut self) -> Option<(TrunkId, Vec<Vec<Located>>)> {
        let id = self.fresh.pop_first()?;
        let spots = self.trunks.get(&id).map(|watch| watch.spots.as_slice()).unwrap_or_default();
        Some((id, spots.iter().map(|held| held.located.clone()).collect()))
    }

    /// How the names of a trunk are.
    pub(crate) fn states(&self, now: Instant, trunk: TrunkId) -> Vec<NameState> {
        let Some(watch) = self.trunks.get(&trunk) else { return Vec::new() };
        let states = watch.named.spots.iter().zip(&watch.spots).filter_map(|(spot, held)| {
            let Spot::Named(named) = spot else { return None };
            let ages = held.asked.iter().filter_map(|question| self.cache.age(now, question));
            let left = ages.map(|age| age.left).min().unwrap_or(Span::ZERO);
            let since = held.trouble.as_ref().map(|(since, _)| *since);
            let kept = since.filter(|_| !held.located.is_empty()).map(|since| (since + self.stale).since(now));
            let trouble = held.trouble.as_ref().map(|(_, why)| why.clone());
            Some(NameState { name: named.host.clone(), left, trouble, kept })
        });
        states.collect()
    }

    fn look_all(&mut self, now: Instant, question: &Question) {
        for id in self.cache.users(question) {
            self.look(now, id);
        }
    }

    /// Goes through the names of a trunk by what is known now.
    fn look(&mut self, now: Instant, id: TrunkId) {
        let Some(watch) = self.trunks.get_mut(&id) else { return };
        let before: Vec<Question> = asked(&watch.spots).collect();
        for (spot, held) in watch.named.spots.iter().zip(&mut watch.spots) {
            let Spot::Named(named) = spot else { continue };
            let cache = &self.cache;
            let search = locate(named, &watch.named.ways, &|question| cache.known(now, question));
            held.follow(now, search, cache, self.stale);
        }
        let after: Vec<Question> = asked(&watch.spots).collect();
        self.cache.used(now, id, &before, &after);
        self.fresh.insert(id);
    }
}

impl Held {
    fn follow(&mut self, now: Instant, search: Search, cache: &Cache, stale: Span) {
        self.asked = search.asked;
        if search.unfinished {
            return;
        }
        let ages = || self.asked.iter().filter_map(|question| cache.age(now, question));
        // One lost answer is no news while the last one is fresh.
        let unanswered = self.asked.iter().find_map(|question| {
            let age = cache.age(now, question)?;
            // A resolver that knows no NAPTR is taken at its word: there is none.
            let no_naptr = question.kind == Kind::Naptr && age.fault == Some(LookupFault::Refused);
            age.fault.filter(|_| age.left == Span::ZERO && !no_naptr)
        });
        // SRV still names the host, so that it has no address is a mistake: it keeps those it had.
        let bare = |old: &&Located| !search.located.is_empty() && search.bare.contains(&old.host);
        let kept: Vec<Located> = self.located.iter().filter(bare).cloned().collect();
        let why = match (search.located.is_empty(), unanswered) {
            (true, None) if ages().any(|age| age.no_such_name) => Some(String::from("there is no such name")),
            (true, None) => Some(String::from("it has no address that can be reached from here")),
            (false, None) => kept.first().map(|kept| format!("its host {} has no address any more", kept.host)),
            (_, fault) => fault.map(|fault| fault.to_string()),
        };
        self.trouble = why.map(|why| (self.trouble.as_ref().map_or(now, |(since, _)| *since), why));
        let over = self.trouble.as_ref().is_some_and(|(since, _)| now.since(*since) >= stale);
        if !search.located.is_empty() || over {
            self.located = search.located;
            self.located.extend(kept.into_iter().filter(|_| !over));
            in_order(&mut self.located);
        }
    }
}

fn asked(spots: &[Held]) -> impl Iterator<Item = Question> {
    spots.iter().flat_map(|held| held.asked.iter().cloned())
}
