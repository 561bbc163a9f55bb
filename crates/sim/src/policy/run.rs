//! One run: a scenario, a policy and a seed in; a report out.
//!
//! Refuses to know: how the report is shown.

use super::arrivals::Calls;
use super::carrier::Carrier;
use super::mind::{Clock, DAY, EdgeMind, Mind, name, tiers};
use super::peer::{Peer, PeerMind};
use super::recorded::Happened;
use super::report::{Journal, Report};
use super::scenario::Scenario;
use super::tally::Tally;
use super::world::{Parts, Source, World};
use decide::Facts;
use edge::config::Settings;
use model::{Instant, Name, Span, TrunkId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is tried on a scenario.
#[derive(Clone, Debug)]
pub enum Policy {
    /// The edge, by this configuration.
    Edge(Arc<Settings>),
    /// A peer's ways with the trunks of this configuration.
    Peer(Arc<Settings>, Peer),
}

impl Policy {
    /// Its configuration.
    pub const fn settings(&self) -> &Arc<Settings> {
        match self {
            Self::Edge(settings) | Self::Peer(settings, _) => settings,
        }
    }
}

/// The configuration of a scenario that brings none: its trunks, everything at its default.
///
/// # Errors
/// The rendered faults: a scenario's names may be none for a configuration.
pub fn settings(scenario: &Scenario) -> Result<Arc<Settings>, String> {
    let text = scenario.default_policy();
    let compiled = edge::config::compile(&text, "default policy", &|_| None, None);
    match compiled.settings {
        Some(settings) => Ok(Arc::new(settings)),
        None => Err(edge::config::render(&compiled.faults, &text, "default policy")),
    }
}

/// Runs a scenario under a policy.
///
/// # Errors
/// When they do not fit: a trunk of the scenario, or `from` of its calls, that the policy does not have, or calls that no route takes.
pub fn run(scenario: &Scenario, policy: &Policy, seed: u64) -> Result<Report, String> {
    let settings = policy.settings();
    let mut unknown: Vec<String> = scenario
        .trunks
        .iter()
        .filter(|trunk| id(settings, &trunk.name).is_none())
        .map(|trunk| format!("the policy has no trunk `{}`; name the scenario's trunks as the policy does", trunk.name))
        .collect();
    unknown.extend(stranger(scenario.calls.from.as_deref(), settings));
    if !unknown.is_empty() {
        return Err(unknown.join("\n"));
    }
    let from = caller(scenario.calls.from.as_deref().or(Some(scenario.pbx())), settings)?;
    let zero = Instant::ZERO + scenario.warm;
    let carrier = |name: &Name| {
        let own = scenario.outages.iter().filter(|outage| *outage.trunk == **name).cloned().collect();
        Carrier::new(scenario.law(name), own, zero, None)
    };
    let numbers = scenario.calls.numbers.iter().map(|(number, _)| format!("{number}12345678")).collect();
    let source = Source::Law(Calls::new(scenario, seed));
    let clock = Clock { zero, shows: DAY };
    play(scenario, policy, seed, from, Stage { source, numbers, carrier: &carrier, clock })
}

/// Runs recorded calls, with trunks as they were, under a policy.
///
/// # Errors
/// When no route of the policy takes the recorded calls.
pub fn run_recorded(happened: &Happened, policy: &Policy, seed: u64) -> Result<Report, String> {
    let settings = policy.settings();
    let (first, last) = happened.span.ok_or("the journal holds no calls: nothing can be replayed")?;
    let mut numbers: Vec<String> = Vec::new();
    let mut places: BTreeMap<&str, u16> = BTreeMap::new();
    let mut list = Vec::with_capacity(happened.calls.len());
    for call in &happened.calls {
        let next = numbers.len() as u16;
        let place = match places.get(call.called.as_str()) {
            Some(place) => *place,
            // Beyond so many numbers, calls share the last one: only its beginning matters to a route.
            None if next == u16::MAX => next - 1,
            None => {
                numbers.push(call.called.clone());
                places.insert(&call.called, next);
                next
            }
        };
        list.push((call.at, place));
    }
    let from = caller(happened.calls.first().map(|call| call.from.as_str()), settings)?;
    let zero = first;
    let (warm, length) = (first.since(Instant::ZERO), last.since(first) + Span::from_secs(1));
    let scenario = Scenario { warm, length, seed, ..Scenario::new(Vec::new()) };
    let carrier = |name: &Name| {
        let recording = happened.trunks.get(name.as_str()).cloned().unwrap_or_default();
        Carrier::new(scenario.law(name), Vec::new(), zero, Some(recording))
    };
    let source = Source::List(list.into_iter());
    let clock = Clock { zero, shows: happened.began };
    let mut report = play(&scenario, policy, seed, from, Stage { source, numbers, carrier: &carrier, clock })?;
    // Nobody knows which Down was deserved.
    report.judged = false;
    Ok(report)
}

struct Stage<'a> {
    source: Source,
    numbers: Vec<String>,
    carrier: &'a dyn Fn(&Name) -> Carrier,
    clock: Clock,
}

fn play(scenario: &Scenario, policy: &Policy, seed: u64, from: TrunkId, stage: Stage<'_>) -> Result<Report, String> {
    let settings = policy.settings();
    let Stage { source, numbers, carrier, clock } = stage;
    let zero = clock.zero;
    let first = numbers.first().cloned().unwrap_or_default();
    let facts = Facts { from, number: &first, emergency: false };
    let mind = match policy {
        Policy::Edge(settings) => Mind::Edge(Box::new(EdgeMind::new(settings.clone(), clock, seed, &facts))),
        Policy::Peer(settings, peer) => {
            Mind::Peer(Box::new(PeerMind::new(peer.clone(), tiers(settings, &facts), seed)))
        }
    };
    let names: Vec<Name> = settings.names.trunks.clone();
    let there = |index: usize| settings.shape.trunk(TrunkId(index as u16)).is_some();
    let carriers = names.iter().enumerate().map(|(index, name)| there(index).then(|| carrier(name))).collect();
    let outages =
        scenario.outages.iter().filter_map(|outage| Some((id(settings, &outage.trunk)?.index(), outage.clone())));
    let tally = Tally::new(zero, scenario.length, names.len(), outages.collect());
    let parts = Parts {
        mind,
        carriers,
        names: names.clone(),
        source,
        numbers: if numbers.is_empty() { vec![String::new()] } else { numbers },
        from,
        patience: scenario.calls.patience,
        redial: scenario.calls.redial,
        tally,
        clock,
        end: Instant::ZERO + scenario.whole(),
        seed,
    };
    let (tally, journal): (Tally, Journal) = World::new(parts).run();
    let title = match policy {
        Policy::Edge(_) => "throughline",
        Policy::Peer(_, peer) => peer.name,
    };
    // Whoever only places calls carries none here.
    let shown = |index: &usize| there(*index) && *index != from.index();
    let shown: Vec<(usize, Name)> = (0..names.len()).filter(shown).map(|index| (index, names[index].clone())).collect();
    Ok(Report::new(title, seed, scenario.length, shown, tally, journal))
}

/// What is wrong with `from` in `[calls]` of a scenario: whoever names a trunk means that one, so none is taken in its place.
fn stranger(named: Option<&str>, settings: &Settings) -> Option<String> {
    let named = named.filter(|named| id(settings, named).is_none())?;
    let there = trunks(settings).map(|id| format!("`{}`", name(settings, id)));
    let there = there.collect::<Vec<_>>().join(", ");
    Some(format!("[calls] from: the policy has no trunk `{named}`; write one of {there}, or leave `from` away"))
}

/// The trunk that calls come from: the one named, or whoever the first route takes calls from.
fn caller(named: Option<&str>, settings: &Settings) -> Result<TrunkId, String> {
    let by_route = || settings.shape.routes().iter().find_map(|route| route.from.first().copied());
    named.and_then(|named| id(settings, named)).or_else(by_route).ok_or_else(|| {
        String::from("no route of the policy says where calls come from; write `from` in [calls] of the scenario")
    })
}

fn id(settings: &Settings, wanted: &str) -> Option<TrunkId> {
    trunks(settings).find(|id| *name(settings, *id) == *wanted)
}

/// The trunks that the policy has.
fn trunks(settings: &Settings) -> impl Iterator<Item = TrunkId> {
    let ids = (0..settings.names.trunks.len()).map(|index| TrunkId(index as u16));
    ids.filter(|id| settings.shape.trunk(*id).is_some())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::policy::TrunkLaw;

    /// Calls of a scenario that come from there, under a policy whose PBX is `office`.
    fn from(named: Option<&str>) -> Result<Report, String> {
        let mut scenario = Scenario::new(vec![TrunkLaw::new("acme")]);
        scenario.length = Span::from_secs(10);
        let policy = Policy::Edge(settings(&scenario).unwrap());
        scenario.calls.from = named.map(String::from);
        run(&scenario, &policy, 1)
    }

    #[test]
    fn calls_from_a_trunk_that_the_policy_has_not_are_an_error() {
        assert!(from(None).unwrap().calls > 0 && from(Some("office")).unwrap().calls > 0);
        let error = from(Some("offise")).unwrap_err();
        assert!(["`offise`", "`office`", "`acme`"].iter().all(|name| error.contains(name)), "{error}");
    }
}
