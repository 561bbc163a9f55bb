//! A plan allocates its own lists and nothing besides, and a judgement nothing at all: counted by the allocator itself.
#![allow(clippy::expect_used, clippy::panic)]

#[path = "../benches/region/mod.rs"]
mod region;

use model::TrunkId;
use region::Region;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Of this thread alone: what the test harness does meanwhile on its own is no business of a plan.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count_one() {
    // A thread that is ending has no counter any more, and plans nothing.
    let _ending = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is handed to the system allocator unchanged; only a counter is added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_thousand_trunks_plan_without_allocating() {
    let mut region = Region::new();
    let (mut with_excluded, mut attempts) = (0, 0);
    for n in 0..20_000u32 {
        let before = ALLOCATIONS.get();
        let plan = region.plan(n).expect("there is always somebody");
        let took = ALLOCATIONS.get() - before;
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
        let before = ALLOCATIONS.get();
        region.judge(TrunkId(plan.attempts[0].target.trunk.0));
        assert_eq!(ALLOCATIONS.get() - before, 0, "allocations of a judgement");
    }
    assert!(with_excluded > 10_000 && attempts > 100_000, "{with_excluded} plans with exclusions, {attempts} attempts");
}
