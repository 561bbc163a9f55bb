//! Whole edges under seeded faults of packets, several seeds at once.
//!
//! Each seed is a world of its own, so threads share nothing but the number of the next one; what is printed comes in the order of seeds,
//! however many ran at once. The threads are scoped: none outlives the command. Refuses to know: what an invariant is.

use crate::say::{Failure, say};
use sim::{Outcome, Scenario};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

/// What came of one seed, or why it could not be run.
type Ran = (u64, Result<Outcome, String>);

/// All seeds in sum.
#[derive(Default)]
struct Sum {
    dialled: usize,
    answered: usize,
    crowded_out: usize,
    hedged: usize,
    entries: usize,
    failed: u64,
}

/// Runs `seeds` of them from `from` on, each with so many calls, `jobs` at once.
pub(crate) fn run(from: u64, seeds: u64, calls: u32, jobs: u8) -> Result<(), Failure> {
    let end = from.saturating_add(seeds);
    let next = AtomicU64::new(from);
    let (ran, all) = mpsc::channel();
    let mut sum = Sum::default();
    let told = thread::scope(|scope| {
        for job in 0..jobs {
            let (ran, next) = (ran.clone(), &next);
            let thread = thread::Builder::new().name(format!("seeds-{job}"));
            let begun = thread.spawn_scoped(scope, move || work(next, end, calls, &ran));
            begun.map_err(|error| Failure(format!("no thread for another seed: {error}; give fewer --jobs")))?;
        }
        drop(ran);
        in_order(from, all.iter(), |seed, outcome| tell(&mut sum, seed, outcome))
    });
    // Whoever still works need not go on, and none is begun after a failure.
    told?;
    let Sum { dialled, answered, crowded_out, hedged, entries, failed } = sum;
    say(&format!(
        "{seeds} seeds: {dialled} calls, {answered} answered, {crowded_out} found every trunk full, {hedged} hedged, {entries} records"
    ));
    if failed > 0 {
        return Err(Failure(format!("{failed} seeds broke an invariant; run one again with --from SEED --seeds 1")));
    }
    Ok(())
}

/// Runs seed after seed, until there is none left or nobody listens any more.
fn work(next: &AtomicU64, end: u64, calls: u32, ran: &Sender<Ran>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end || ran.send((seed, sim::run(Scenario { seed, calls }))).is_err() {
            return;
        }
    }
}

/// Tells what comes in any order in the order of seeds. What has to wait is no more than other threads have run meanwhile.
fn in_order(from: u64, ran: impl Iterator<Item = Ran>, mut tell: impl FnMut(u64, Outcome)) -> Result<(), Failure> {
    let (mut next, mut waiting) = (from, BTreeMap::new());
    for (seed, outcome) in ran {
        waiting.insert(seed, outcome.map_err(Failure)?);
        while let Some(outcome) = waiting.remove(&next) {
            tell(next, outcome);
            next += 1;
        }
    }
    Ok(())
}

fn tell(sum: &mut Sum, seed: u64, outcome: Outcome) {
    sum.dialled += outcome.calls;
    sum.answered += outcome.answered;
    sum.crowded_out += outcome.crowded_out;
    sum.hedged += outcome.hedged;
    sum.entries += outcome.entries;
    sum.failed += u64::from(!outcome.broken.is_empty());
    for broken in &outcome.broken {
        say(&format!("seed {seed}: {}", broken.0));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn seeds_that_end_out_of_turn_are_told_in_turn() {
        let outcome =
            |seed| Ok(Outcome { seed, calls: 0, answered: 0, crowded_out: 0, hedged: 0, entries: 0, broken: vec![] });
        let mut told = Vec::new();
        let ran = [9, 7, 8, 10].map(|seed| (seed, outcome(seed)));
        in_order(7, ran.into_iter(), |seed, _| told.push(seed)).unwrap();
        assert_eq!(told, [7, 8, 9, 10]);
        let ran = [(7, Err("no edge".to_owned()))];
        assert!(in_order(7, ran.into_iter(), |_, _| {}).is_err());
    }

    #[test]
    fn each_seed_runs_once_whoever_runs_it() {
        let (next, (ran, all)) = (AtomicU64::new(3), mpsc::channel());
        thread::scope(|scope| {
            for _ in 0..2 {
                let (ran, next) = (ran.clone(), &next);
                scope.spawn(move || work(next, 7, 1, &ran));
            }
        });
        drop(ran);
        let mut seeds: Vec<u64> =
            all.iter().map(|(seed, outcome)| (outcome.unwrap().seed == seed).then_some(seed).unwrap()).collect();
        seeds.sort_unstable();
        assert_eq!(seeds, [3, 4, 5, 6]);
    }
}
