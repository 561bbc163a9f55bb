//! The system's allocator with a counter for each thread: a test that links it can say how often its own code has allocated.
//!
//! What the test harness does meanwhile on threads of its own is not counted. Refuses to know: who allocates, and how much.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static MADE: Cell<u64> = const { Cell::new(0) };
}

/// Allocations and reallocations of this thread so far.
#[must_use]
pub fn made() -> u64 {
    MADE.get()
}

struct Counting;

fn count_one() {
    // A thread that is ending has no counter any more, and runs no test.
    let _ending = MADE.try_with(|made| made.set(made.get() + 1));
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
