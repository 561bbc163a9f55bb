//! What `plan` and `judge` cost per call in a large region. Printed, never asserted: `cargo bench -p decide`.
//!
//! With a number as argument that many calls are made, once and untimed, for counting instructions.
#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod region;

use model::TrunkId;
use region::Region;
use std::hint::black_box;
use std::time::Instant;

const CALLS: u32 = 200_000;
const ROUNDS: usize = 7;

fn calls(region: &mut Region, count: u32, judged: bool) {
    for n in 0..count {
        let plan = black_box(region.plan(black_box(n)));
        if judged {
            let trunk = plan.map_or(TrunkId(0), |plan| plan.attempts[0].target.trunk);
            let _judgement = black_box(region.judge(trunk));
        }
    }
}

fn best_of(mut run: impl FnMut()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        run();
        began.elapsed().as_nanos() as f64 / f64::from(CALLS)
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn main() {
    let mut region = Region::new();
    if let Some(count) = std::env::args().find_map(|arg| arg.parse().ok()) {
        return calls(&mut region, count, true);
    }
    let plan = best_of(|| calls(&mut region, CALLS, false));
    let both = best_of(|| calls(&mut region, CALLS, true));
    println!(
        "1,000 trunks in 50 groups, best of {ROUNDS} rounds: plan {plan:.0} ns, plan and judge {both:.0} ns per call"
    );
}
