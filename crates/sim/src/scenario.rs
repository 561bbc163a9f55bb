//! One run from one seed: draw weather, calls and faults, let it happen, come to rest, ask the oracle.
//!
//! Refuses to know: how the town is built.

use crate::fault::Schedule;
use crate::network::Weather;
use crate::oracle::Broken;
use crate::town::{AGENTS, Town, works};
use crate::variety::Variety;
use agent::Behaviour;
use edge::TrunkAct;
use edge::config::Settings;
use model::{ForceLength, Instant, Rng, Span, TrunkId};
use std::sync::Arc;

/// Calls and faults are spread over so long.
const ACTIVE: Span = Span::from_secs(90);
/// Then everything is healed, and this is enough for every timer to end: 64·T1 twice, quarantine, and some.
const REST: Span = Span::from_secs(150);

/// What is usual at a carrier is known after a hundred replies; so many calls at the start of a run in which slow ones are hedged, and so
/// long apart.
const LESSON: u64 = 120;
const LESSON_EVERY: Span = Span::from_millis(20);

/// After the last probe and the last test call: its deadline, and 64·T1 twice.
const QUIET: Span = Span::from_secs(90);

/// What one seed is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    /// Calls in the run.
    pub calls: u32,
}

/// How a run went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Calls dialled.
    pub calls: usize,
    /// Of them answered.
    pub answered: usize,
    /// Calls that were refused since every trunk that could take them was full.
    pub crowded_out: usize,
    /// Attempts begun beside another one that was merely slow.
    pub hedged: usize,
    /// Calls planned while the operator had put a tier first.
    pub forced: usize,
    /// Decisions and other entries in the journal.
    pub entries: usize,
    /// Invariants that did not hold; empty is good.
    pub broken: Vec<Broken>,
}

/// Runs one seed.
///
/// # Errors
/// The rendered faults, when the simulator's own configuration no longer compiles.
pub fn run(scenario: Scenario) -> Result<Outcome, String> {
    let mut rng = Rng::new(scenario.seed);
    let weather = Weather::draw(&mut rng);
    let shards = 1 + rng.below(3) as u8;
    let variety = Variety::draw(scenario.seed);
    let settled = variety.settings(true, None)?;
    let mut town = Town::new(settled.clone(), shards, weather, scenario.seed);
    let lesson = if variety.hedges { LESSON } else { 0 };
    for event in agenda(&mut rng, scenario.calls, lesson, scenario.seed) {
        town.run_until(event.at);
        event.happen(&mut town, &mut rng);
    }
    let left = come_to_rest(&mut town, &variety, &settled)?;
    let replayed = replay_differs(&town);
    let oracle = core::mem::take(&mut town.oracle);
    let (calls, answered, entries) = (oracle.dials(), oracle.answered(), oracle.entries().len());
    let (crowded_out, hedged, forced) = (oracle.crowded_out(), oracle.hedged(), oracle.forced());
    let mut broken = oracle.verdict(&left);
    broken.extend(replayed);
    Ok(Outcome { seed: scenario.seed, calls, answered, crowded_out, hedged, forced, entries, broken })
}

/// Heals everything and waits until every call and every timer is over; what is left all the same.
fn come_to_rest(
    town: &mut Town,
    variety: &Variety,
    settled: &Arc<Settings>,
) -> Result<Vec<(&'static str, u64)>, String> {
    for agent in 0..AGENTS.len() {
        town.behave(agent, Behaviour { hang_up_after: Some(Span::from_secs(20)), ..works() });
    }
    town.weather(Weather::CALM);
    let end = town.now() + REST;
    town.run_until(end);
    // Probes and test calls never end by themselves, and each holds a transaction for a while.
    town.reload(variety.settings(false, Some(settled))?);
    let end = town.now() + QUIET;
    town.run_until(end);
    let mut left = town.left().to_vec();
    left.retain(|(_, count)| *count > 0);
    Ok(left)
}

fn replay_differs(town: &Town) -> Option<Broken> {
    let shape = town.control().snapshot().settings.shape.clone();
    let replayed = explain::replay(&shape, town.oracle.entries().iter());
    (replayed != *town.control().snapshot().table)
        .then(|| Broken("the journal replayed gives another trunk table".to_owned()))
}

enum What {
    Call,
    /// A short call from which the edge learns how soon carriers reply.
    Lesson,
    Fault(crate::fault::Fault),
    Operate(TrunkId, TrunkAct),
    Force(u8, ForceLength),
    Release,
}

struct Event {
    at: Instant,
    what: What,
}

impl Event {
    fn happen(&self, town: &mut Town, rng: &mut Rng) {
        match &self.what {
            What::Call => call(town, rng),
            What::Lesson => town.dial(0, "+4722000000", Span::from_millis(100), None, false),
            What::Fault(fault) => town.fail(1 + fault.carrier, fault.failing),
            What::Operate(trunk, act) => town.operate(*trunk, *act),
            What::Force(tier, length) => town.force(*tier, *length),
            What::Release => town.release(),
        }
    }
}

/// One call: mostly from the PBX; short and long, patient and not, with early and with late offer; one in sixteen for help.
fn call(town: &mut Town, rng: &mut Rng) {
    let agent = if rng.below(4) == 0 { 3 } else { 0 };
    let talk = Span::from_millis(100 + rng.below(4_000));
    let give_up = (rng.below(5) == 0).then(|| Span::from_millis(rng.below(2_500)));
    let number = format!("+47{}", 22_000_000 + rng.below(1_000_000));
    let number = if rng.below(16) == 0 { "112".to_owned() } else { number };
    town.dial(agent, &number, talk, give_up, rng.below(6) == 0);
}

fn agenda(rng: &mut Rng, calls: u32, lesson: u64, seed: u64) -> Vec<Event> {
    let lessons = (0..lesson).map(|n| Event { at: Instant::ZERO + LESSON_EVERY.times(n), what: What::Lesson });
    let mut events: Vec<Event> = lessons.collect();
    for _ in 0..calls {
        let at = Instant::ZERO + Span::from_micros(rng.below(ACTIVE.as_micros()));
        events.push(Event { at, what: What::Call });
    }
    let Schedule(faults) = Schedule::draw(rng, 2, ACTIVE);
    events.extend(faults.into_iter().map(|fault| Event { at: fault.at, what: What::Fault(fault) }));
    if rng.below(3) == 0 {
        // The operator takes one carrier out for a while, never both.
        let trunk = TrunkId(1 + rng.below(2) as u16);
        let at = Instant::ZERO + Span::from_millis(rng.below(ACTIVE.as_millis() / 2));
        let act = if rng.below(2) == 0 { TrunkAct::Drain } else { TrunkAct::Out };
        events.push(Event { at, what: What::Operate(trunk, act) });
        let back = at + Span::from_millis(rng.below(ACTIVE.as_millis() / 2));
        events.push(Event { at: back, what: What::Operate(trunk, TrunkAct::Restore) });
    }
    events.extend(words_on_the_group(seed));
    events.sort_by_key(|event| event.at);
    events
}

/// In one seed of three the operator puts a tier first, in some of them twice, and takes his word back in one case of two. Drawn by a generator
/// of its own, so that the rest of a seed is the same with it and without.
fn words_on_the_group(seed: u64) -> Vec<Event> {
    let rng = &mut Rng::new(seed ^ 0xf0_4ced);
    let mut events = Vec::new();
    if rng.below(3) > 0 {
        return events;
    }
    for _ in 0..1 + rng.below(2) {
        let at = Instant::ZERO + Span::from_millis(rng.below(ACTIVE.as_millis()));
        let span = ForceLength::LEAST + Span::from_millis(rng.below(40_000));
        let Some(length) = ForceLength::new(span) else { continue };
        events.push(Event { at, what: What::Force(rng.below(2) as u8, length) });
        if rng.below(2) == 0 {
            events.push(Event { at: at + Span::from_millis(rng.below(40_000)), what: What::Release });
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::air::Air;
    use agent::Failing;

    /// Seeds whose edge has limits, whose edge hedges, and whose operator forces a tier, do what they are there for; and the oracle has nothing to say.
    #[test]
    fn full_trunks_hedges_and_forced_tiers_are_among_what_is_watched() {
        let outcomes: Vec<Outcome> = (1..=12).map(|seed| run(Scenario { seed, calls: 60 }).unwrap()).collect();
        let broken: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.broken).collect();
        assert!(broken.is_empty(), "{broken:?}");
        let (full, hedged) = (outcomes.iter().map(|one| one.crowded_out), outcomes.iter().map(|one| one.hedged));
        let forced = outcomes.iter().map(|one| one.forced);
        assert!(full.sum::<usize>() > 0 && hedged.sum::<usize>() > 0 && forced.sum::<usize>() > 0, "{outcomes:?}");
    }

    /// Two dozen calls ring at a carrier, or are about to, when it dies without a word; a few callers a second go on calling. All are
    /// answered by the other one, and the oracle has nothing to say.
    #[test]
    fn calls_under_way_when_their_trunk_dies_are_answered_by_another() {
        for seed in 1..=5 {
            let variety = Variety::plain();
            let settled = variety.settings(true, None).unwrap();
            let mut town = Town::new(settled.clone(), 2, Weather::CALM, seed);
            let slow = Behaviour { ring_after: Span::from_millis(800), ..Behaviour::default() };
            town.behave(1, Behaviour { answer_after: Some(Span::from_secs(30)), ..slow });
            town.behave(2, Behaviour { answer_after: Some(Span::from_secs(2)), ..Behaviour::default() });
            let dial = |town: &mut Town, gap: u64| {
                let next = town.now() + Span::from_millis(gap);
                town.run_until(next);
                town.dial(0, "+4722334455", Span::from_secs(5), None, false);
            };
            (0..24).for_each(|_| dial(&mut town, 100));
            town.fail(1, Some(Failing::Silent));
            (0..12).for_each(|_| dial(&mut town, 300));
            let end = town.now() + Span::from_secs(20);
            town.run_until(end);
            assert_eq!((town.oracle.dials(), town.oracle.answered()), (36, 36), "seed {seed}");
            let left = come_to_rest(&mut town, &variety, &settled).unwrap();
            assert_eq!(replay_differs(&town), None, "seed {seed}");
            assert_eq!(core::mem::take(&mut town.oracle).verdict(&left), [], "seed {seed}");
        }
    }

    /// The connection of a carrier dies while one call talks on it and three more are on their way: those are offered again by a new
    /// connection, and the live one goes on to its end by it.
    #[test]
    fn a_connection_that_dies_costs_no_call() {
        for seed in 1..=5 {
            let variety = Variety::by_tcp();
            let settled = variety.settings(true, None).unwrap();
            let mut town = Town::new(settled.clone(), 2, Weather::CALM, seed);
            (0..3).for_each(|agent| town.behave(agent, works()));
            let pass = |town: &mut Town, span| {
                let end = town.now() + span;
                town.run_until(end);
            };
            town.dial(0, "+4722000000", Span::from_secs(20), None, false);
            pass(&mut town, Span::from_secs(5));
            (1..4).for_each(|n| town.dial(0, &format!("+472233445{n}"), Span::from_secs(5), None, false));
            // The INVITEs have left the edge and have not arrived: half a millisecond each way.
            pass(&mut town, Span::from_micros(700));
            town.cut(1);
            pass(&mut town, Span::from_secs(2));
            assert_eq!((town.oracle.dials(), town.oracle.answered()), (4, 4), "seed {seed}: within two seconds");
            pass(&mut town, Span::from_secs(40));
            let took: Vec<Vec<String>> = town
                .oracle
                .entries()
                .iter()
                .filter_map(|entry| match &entry.record {
                    explain::Record::Call(call) => Some(call),
                    _ => None,
                })
                .map(|call| call.attempts.iter().map(|attempt| attempt.trunk.to_string()).collect())
                .collect();
            assert_eq!(took, vec![vec!["acme".to_owned()]; 4], "seed {seed}");
            let left = come_to_rest(&mut town, &variety, &settled).unwrap();
            assert_eq!(core::mem::take(&mut town.oracle).verdict(&left), [], "seed {seed}");
        }
    }

    /// Calls of twelve seconds, one after the other, by acme while its air is so. How soon its target was no longer Up, for which cause,
    /// and which trunk was tried first for the last call.
    fn heard_in(air: Air, variety: &Variety, seed: u64) -> (Town, Option<(Span, decide::Cause)>, Vec<String>) {
        let mut town = Town::new(variety.settings(true, None).unwrap(), 2, Weather::CALM, seed);
        (0..3).for_each(|agent| town.behave(agent, works()));
        let begun = town.now() + Span::from_secs(2);
        town.run_until(begun);
        town.air(1, air);
        for _ in 0..12 {
            town.dial(0, "+4722334455", Span::from_secs(12), None, false);
            let next = town.now() + Span::from_millis(1_500);
            town.run_until(next);
        }
        let end = town.now() + Span::from_secs(20);
        town.run_until(end);
        let entries = town.oracle.entries();
        let left = entries.iter().find_map(|entry| match &entry.record {
            explain::Record::Decision { decision, .. }
                if matches!(decision.change, decide::Change::Health { from: model::Health::Up, .. }) =>
            {
                Some((decision.at.since(begun), decision.cause))
            }
            _ => None,
        });
        let calls = entries.iter().filter_map(|entry| match &entry.record {
            explain::Record::Call(call) => Some(call.attempts[0].trunk.to_string()),
            _ => None,
        });
        let calls = calls.collect();
        (town, left, calls)
    }

    /// A carrier whose signalling is well and whose audio is dead is not Up for longer than the first calls take to show it: they are
    /// silent for three seconds, and two of them are enough for a doubt. Those after go elsewhere; healed, it comes back.
    #[test]
    fn a_carrier_whose_audio_does_not_get_through_is_left_and_comes_back() {
        for (seed, air) in [(1, Air::MUTE), (2, Air::MUTE), (3, Air::MUTE), (4, Air::DEAD), (5, Air::DEAD)] {
            let variety = Variety::plain();
            let (mut town, left, calls) = heard_in(air, &variety, seed);
            let (after, cause) = left.unwrap_or_else(|| panic!("seed {seed}: it stayed Up"));
            assert!(after < Span::from_secs(10), "seed {seed}: {after}");
            assert!(
                matches!(cause, decide::Cause::MediaSilent { .. } | decide::Cause::TestCallsFailed { .. }),
                "seed {seed}: {cause:?}"
            );
            assert_eq!((calls.len(), calls.last().map(String::as_str)), (12, Some("globex")), "seed {seed}");
            town.air(1, Air::default());
            let end = town.now() + Span::from_secs(300);
            town.run_until(end);
            town.dial(0, "+4722334455", Span::from_secs(5), None, false);
            let settled = variety.settings(true, None).unwrap();
            let rest = come_to_rest(&mut town, &variety, &settled).unwrap();
            assert_eq!(replay_differs(&town), None, "seed {seed}");
            assert_eq!(core::mem::take(&mut town.oracle).verdict(&rest), [], "seed {seed}");
        }
    }

    /// A quarter of a carrier's audio is lost. Its limit of loss allows that; the score that it is held to does not.
    #[test]
    fn a_carrier_that_sounds_worse_than_it_is_held_to_is_doubted() {
        let lossy = Air { from: 250, to: 0 };
        let held = Variety::held_to("{ loss = \"60%\", mos = \"3.1\" }");
        let (mut town, left, calls) = heard_in(lossy, &held, 6);
        let (after, cause) = left.expect("it did not stay Up");
        assert!(matches!(cause, decide::Cause::MediaPoor { limit: 3, .. }), "{cause:?}");
        assert!(after < Span::from_secs(15), "{after}");
        assert_eq!(calls.last().map(String::as_str), Some("globex"));
        assert_eq!(replay_differs(&town), None);
        let rest = come_to_rest(&mut town, &held, &held.settings(true, None).unwrap()).unwrap();
        assert_eq!(core::mem::take(&mut town.oracle).verdict(&rest), []);
        let (_, left, calls) = heard_in(lossy, &Variety::held_to("{ loss = \"60%\" }"), 6);
        assert_eq!((left, calls.last().map(String::as_str)), (None, Some("acme")), "nobody holds it to a score");
    }

    /// A trunk at which our registration does not hold is doubted, calls go to the other one, and it comes back when it is quiet.
    #[test]
    fn a_lost_registration_moves_calls_and_a_new_one_brings_them_back() {
        let variety = Variety::plain();
        let settled = variety.settings(true, None).unwrap();
        let mut town = Town::new(settled.clone(), 1, Weather::CALM, 7);
        (0..3).for_each(|agent| town.behave(agent, works()));
        let acme = settled.names.trunks.iter().position(|name| name.as_str() == "acme").unwrap();
        let acme = model::TargetId { trunk: TrunkId(acme as u16), index: 0 };
        let pass = |town: &mut Town, seconds| {
            let end = town.now() + Span::from_secs(seconds);
            town.run_until(end);
            town.control().snapshot().table.health(acme)
        };
        let first_choice = |town: &mut Town| {
            town.dial(0, "+4722334455", Span::from_secs(1), None, false);
            pass(town, 10);
            let last = town.oracle.entries().iter().rev().find_map(|entry| match &entry.record {
                explain::Record::Call(call) => Some(call.attempts[0].trunk.to_string()),
                _ => None,
            });
            last.unwrap()
        };
        assert_eq!(pass(&mut town, 10), model::Health::Up);
        assert_eq!(first_choice(&mut town), "acme");
        for _ in 0..2 {
            let state = model::RegistrationState::Expired;
            town.observe(acme, model::Observed::Registration { state, holds: Span::ZERO });
        }
        assert_eq!(pass(&mut town, 1), model::Health::Suspect);
        assert_eq!(first_choice(&mut town), "globex");
        let (state, holds) = (model::RegistrationState::Registered, Span::from_secs(600));
        town.observe(acme, model::Observed::Registration { state, holds });
        assert_eq!(pass(&mut town, 60), model::Health::Up);
        assert_eq!(first_choice(&mut town), "acme");
    }
}
