//! Whole edges under seeded faults of packets, several seeds at once.
//!
//! Each seed is a world of its own, so threads share nothing but the number of the next one; what is printed comes in the order of seeds,
//! however many ran at once. The threads are scoped: none outlives the command. Refuses to know: what an invariant is.

use crate::say::{Failure, say};
use sim::{Outcome, Scenario};
use std::collections::BTreeMap;
use std::ops::Range;
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
    forced: usize,
    entries: usize,
    failed: u64,
}

/// Runs `seeds` of them from `from` on, each with so many calls, `jobs` at once.
pub(crate) fn run(from: u64, seeds: u64, calls: u32, jobs: u8) -> Result<(), Failure> {
    let end = from.saturating_add(seeds);
    let mut sum = Sum::default();
    let one = |seed| sim::run(Scenario { seed, calls });
    side_by_side(from..end, jobs, one, |seed, outcome| tell(&mut sum, seed, outcome))?;
    let Sum { dialled, answered, crowded_out, hedged, forced, entries, failed } = sum;
    say(&format!(
        "{seeds} seeds: {dialled} calls, {answered} answered, {crowded_out} found every trunk full, {hedged} hedged, {forced} with a tier \
         forced, {entries} records"
    ));
    if failed > 0 {
        return Err(Failure(format!("{failed} seeds broke an invariant; run one again with --from SEED --seeds 1")));
    }
    Ok(())
}

/// Runs `one` for each seed, so many at once, and tells of them in order, up to the first that cannot be run.
fn side_by_side(
    seeds: Range<u64>,
    jobs: u8,
    one: impl Fn(u64) -> Result<Outcome, String> + Sync,
    tell: impl FnMut(u64, Outcome),
) -> Result<(), Failure> {
    let (next, one) = (AtomicU64::new(seeds.start), &one);
    let (ran, all) = mpsc::channel();
    thread::scope(|scope| {
        for job in 0..jobs {
            let (ran, next) = (ran.clone(), &next);
            let thread = thread::Builder::new().name(format!("seeds-{job}"));
            let begun = thread.spawn_scoped(scope, move || work(next, seeds.end, one, &ran));
            begun.map_err(|error| Failure(format!("no thread for another seed: {error}; give fewer --jobs")))?;
        }
        drop(ran);
        // The receiver goes with this, before the threads are waited for: so after a failure each ends its seed and begins no other.
        in_order(seeds.start, all.into_iter(), tell)
    })
}

/// Runs seed after seed, until there is none left or nobody listens any more.
fn work(next: &AtomicU64, end: u64, one: impl Fn(u64) -> Result<Outcome, String>, ran: &Sender<Ran>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end || ran.send((seed, one(seed))).is_err() {
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
    sum.forced += outcome.forced;
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
    use std::sync::Mutex;

    fn well(seed: u64) -> Result<Outcome, String> {
        Ok(Outcome { seed, calls: 0, answered: 0, crowded_out: 0, hedged: 0, forced: 0, entries: 0, broken: vec![] })
    }

    #[test]
    fn seeds_that_end_out_of_turn_are_told_in_turn() {
        let mut told = Vec::new();
        let ran = [9, 7, 8, 10].map(|seed| (seed, well(seed)));
        in_order(7, ran.into_iter(), |seed, _| told.push(seed)).unwrap();
        assert_eq!(told, [7, 8, 9, 10]);
        let ran = [(7, Err("no edge".to_owned()))];
        assert!(in_order(7, ran.into_iter(), |_, _| {}).is_err());
    }

    #[test]
    fn each_seed_runs_once_whoever_runs_it() {
        let mut seeds = Vec::new();
        let one = |seed| sim::run(Scenario { seed, calls: 1 });
        side_by_side(3..7, 2, one, |seed, outcome| seeds.push((seed, outcome.seed))).unwrap();
        assert_eq!(seeds, [(3, 3), (4, 4), (5, 5), (6, 6)]);
    }

    /// Whoever tells is let go after the receiver; seeds beyond the one that fails wait for that, each thread at one at most.
    #[test]
    fn no_seed_is_begun_after_a_failure() {
        let (begun, (telling, gone)) = (AtomicU64::new(0), mpsc::channel::<()>());
        let gone = Mutex::new(gone);
        let one = |seed| {
            begun.fetch_add(1, Ordering::Relaxed);
            if seed > 3 {
                assert!(gone.lock().unwrap().recv().is_err(), "nothing is ever sent");
            }
            if seed == 3 { Err("no edge".to_owned()) } else { well(seed) }
        };
        let tell = move |seed, _| {
            let _kept = &telling;
            assert!(seed < 3);
        };
        assert_eq!(side_by_side(0..100, 2, one, tell).unwrap_err().0, "no edge");
        assert!(begun.load(Ordering::Relaxed) <= 6, "{begun:?}");
    }
}
