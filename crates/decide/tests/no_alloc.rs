//! A plan allocates its own lists and nothing besides, and a judgement nothing at all: counted by the allocator itself.
#![allow(clippy::expect_used, clippy::panic)]

#[path = "../benches/region/mod.rs"]
mod region;

use model::TrunkId;
use region::Region;

#[test]
fn a_thousand_trunks_plan_without_allocating() {
    let mut region = Region::new();
    let (mut with_excluded, mut attempts, mut forced) = (0, 0, 0);
    for n in 0..20_000u32 {
        let before = allocations::made();
        let plan = region.plan(n).expect("there is always somebody");
        let took = allocations::made() - before;
        // The list of those left out grows as it needs: to 4, 8, 16.
        let excluded = match plan.excluded.len() {
            0 => 0,
            1..=4 => 1,
            5..=8 => 2,
            _ => 3,
        };
        assert!(took <= 1 + excluded, "{took} allocations for {} left out", plan.excluded.len());
        with_excluded += u32::from(excluded > 0);
        attempts += plan.attempts.len();
        forced += u32::from(plan.forced.is_some());
        let before = allocations::made();
        region.judge(TrunkId(plan.attempts[0].target.trunk.0));
        assert_eq!(allocations::made() - before, 0, "allocations of a judgement");
    }
    assert!(forced > 1_000, "{forced} plans with a tier forced");
    assert!(with_excluded > 10_000 && attempts > 100_000, "{with_excluded} plans with exclusions, {attempts} attempts");
}
