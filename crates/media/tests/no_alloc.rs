//! The relay's path allocates nothing: counted by the allocator itself, over every verdict it can reach.
#![allow(clippy::expect_used)]

use media::{Component, Forward, PairId, Peer, Relay};
use model::{Instant, Span};
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed to the system allocator unchanged; only a counter is added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_million_packets_allocate_nothing() {
    let addr = |text: &str| -> SocketAddr { text.parse().expect("an address") };
    let (caller, callee, stranger) = (addr("192.0.2.1:4000"), addr("198.51.100.1:6000"), addr("203.0.113.66:9"));
    let mut relay = Relay::new(16);
    relay.join(PairId(0), PairId(1)).expect("free");
    relay.expect(PairId(0), &Peer { rtp: caller, rtcp: None, mux: false });
    relay.expect(PairId(1), &Peer { rtp: callee, rtcp: None, mux: false });
    let mut packet = [0u8; 172];
    let mut sent = 0u64;
    let mut now = Instant::ZERO;
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for n in 0..1_000_000u32 {
        now += Span::from_micros(100);
        (packet[0], packet[1]) = if n % 97 == 0 {
            (0x80, 200)
        } else if n % 89 == 0 {
            (0, 0)
        } else {
            (0x80, 8)
        };
        packet[2..4].copy_from_slice(&(n as u16).to_be_bytes());
        // The source changes now and then, so that continuity is written too.
        packet[8..12].copy_from_slice(&(n / 10_000).to_be_bytes());
        let (pair, from) = match n % 5 {
            0 | 1 => (PairId(0), caller),
            2 | 3 => (PairId(1), callee),
            _ if n % 10 == 4 => (PairId(0), stranger),
            _ => (PairId(7), caller),
        };
        let component = if n % 31 == 0 { Component::Rtcp } else { Component::Rtp };
        sent += u64::from(matches!(relay.forward(now, pair, component, from, &mut packet), Forward::Send { .. }));
    }
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!(after - before, 0, "allocations on the packet path");
    assert!(sent > 700_000, "most were relayed: {sent}");
    let counters = relay.counters();
    assert!(counters.third_party > 0 && counters.no_anchor > 0 && counters.not_rtp > 0 && counters.relayed_rtcp > 0);
}
