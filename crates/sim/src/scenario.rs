//! One run from one seed: draw weather, calls and faults, let it happen, come to rest, ask the oracle.
//!
//! Refuses to know: how the town is built.

use crate::fault::Schedule;
use crate::network::Weather;
use crate::oracle::Broken;
use crate::town::{AGENTS, CONFIG, Town, works};
use agent::Behaviour;
use edge::TrunkAct;
use edge::config::Settings;
use model::{Instant, Rng, Span, TrunkId};
use std::sync::Arc;

/// Calls and faults are spread over so long.
const ACTIVE: Span = Span::from_secs(90);
/// Then everything is healed, and this is enough for every timer to end: 64·T1 twice, quarantine, and some.
const REST: Span = Span::from_secs(150);

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
    /// Decisions and other entries in the journal.
    pub entries: usize,
    /// Invariants that did not hold; empty is good.
    pub broken: Vec<Broken>,
}

/// The configuration of every run, with probes or without, compiled.
///
/// # Errors
/// The rendered faults, when the simulator's own configuration no longer compiles.
pub(crate) fn settings(probed: bool, before: Option<&Settings>) -> Result<Arc<Settings>, String> {
    let quiet = || CONFIG.replace("\nat = ", "\nprobe = { on = false }\nat = ").replace("\ntest_call = ", "\n# ");
    let text = if probed { CONFIG.to_owned() } else { quiet() };
    let mut settings = compile(&text, "sim.toml", before)?;
    // A second policy with less patience runs beside it, so that every seed proves that it changes nothing.
    let other = text.replace("\nat = ", "\nhealth = { suspect_after = 1, late_calls = 1, dwell = \"5s\" }\nat = ");
    let other = compile(&other, "shadow.toml", None)?;
    settings.shadow = Some(Arc::new(edge::ShadowPolicy::new(&settings, &other)));
    Ok(Arc::new(settings))
}

fn compile(text: &str, name: &str, before: Option<&Settings>) -> Result<Settings, String> {
    let compiled = edge::config::compile(text, name, &|_| None, before);
    compiled.settings.ok_or_else(|| edge::config::render(&compiled.faults, text, name))
}

/// Runs one seed.
///
/// # Errors
/// The rendered faults, when the simulator's own configuration no longer compiles.
pub fn run(scenario: Scenario) -> Result<Outcome, String> {
    let mut rng = Rng::new(scenario.seed);
    let weather = Weather::draw(&mut rng);
    let shards = 1 + rng.below(3) as u8;
    let settled = settings(true, None)?;
    let mut town = Town::new(settled.clone(), shards, weather, scenario.seed);
    for event in agenda(&mut rng, scenario.calls) {
        town.run_until(event.at);
        event.happen(&mut town, &mut rng);
    }
    for agent in 0..AGENTS.len() {
        town.behave(agent, Behaviour { hang_up_after: Some(Span::from_secs(20)), ..works() });
    }
    town.weather(Weather::CALM);
    let end = town.now() + REST;
    town.run_until(end);
    // Probes and test calls never end by themselves, and each holds a transaction for a while.
    town.reload(settings(false, Some(&settled))?);
    let end = town.now() + QUIET;
    town.run_until(end);
    let mut left = town.left().to_vec();
    left.retain(|(_, count)| *count > 0);
    let replayed = replay_differs(&town);
    let oracle = core::mem::take(&mut town.oracle);
    let (calls, answered, entries) = (oracle.dials(), oracle.answered(), oracle.entries().len());
    let mut broken = oracle.verdict(&left);
    broken.extend(replayed);
    Ok(Outcome { seed: scenario.seed, calls, answered, entries, broken })
}

fn replay_differs(town: &Town) -> Option<Broken> {
    let shape = town.control().snapshot().settings.shape.clone();
    let replayed = explain::replay(&shape, town.oracle.entries().iter());
    (replayed != *town.control().snapshot().table)
        .then(|| Broken("the journal replayed gives another trunk table".to_owned()))
}

enum What {
    Call,
    Fault(crate::fault::Fault),
    Operate(TrunkId, TrunkAct),
}

struct Event {
    at: Instant,
    what: What,
}

impl Event {
    fn happen(&self, town: &mut Town, rng: &mut Rng) {
        match &self.what {
            What::Call => call(town, rng),
            What::Fault(fault) => town.fail(1 + fault.carrier, fault.failing),
            What::Operate(trunk, act) => town.operate(*trunk, *act),
        }
    }
}

/// One call: mostly from the PBX; short and long, patient and not, with early and with late offer.
fn call(town: &mut Town, rng: &mut Rng) {
    let agent = if rng.below(4) == 0 { 3 } else { 0 };
    let talk = Span::from_millis(100 + rng.below(4_000));
    let give_up = (rng.below(5) == 0).then(|| Span::from_millis(rng.below(2_500)));
    let number = format!("+47{}", 22_000_000 + rng.below(1_000_000));
    town.dial(agent, &number, talk, give_up, rng.below(6) == 0);
}

fn agenda(rng: &mut Rng, calls: u32) -> Vec<Event> {
    let mut events = Vec::new();
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
    events.sort_by_key(|event| event.at);
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent::Failing;

    /// Two dozen calls ring at a carrier, or are about to, when it dies without a word; a few callers a second go on calling. All are
    /// answered by the other one, and the oracle has nothing to say.
    #[test]
    fn calls_under_way_when_their_trunk_dies_are_answered_by_another() {
        for seed in 1..=5 {
            let mut town = Town::new(settings(true, None).unwrap(), 2, Weather::CALM, seed);
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
        }
    }
}
