//! Many calls: five hundred a second for a minute, two thousand at once. All succeed, and nothing is left afterwards.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{namespace, wait_until};
use std::time::Duration;

/// After the last call: Timer D, H and L (32 s each) and the quarantine of ports.
const REST: Duration = Duration::from_secs(90);

fn place(scenario: &str, calls: u32, rate: u32) {
    namespace::enter();
    let _acme = Sipp::server("server", "127.0.0.31");
    let edge = Edge::start(CONFIG);
    let mut warm = Sipp::caller("caller_brief", "127.0.0.20", "127.0.0.10:5060", "+4722334455", 200, 100);
    assert!(warm.finished(Duration::from_secs(60)), "{}", warm.errors());
    drop(warm);
    let before = edge.memory_kb();
    let mut caller = Sipp::caller(scenario, "127.0.0.20", "127.0.0.10:5060", "+4722334455", calls, rate);
    let good = caller.finished(Duration::from_secs(300));
    let (succeeded, failed) = caller.counts();
    let peak = edge.memory_kb();
    println!(
        "{scenario}: {succeeded} succeeded, {failed} failed; memory {before} kB before, {peak} kB at the end of the load"
    );
    assert!(good && failed == 0 && succeeded == u64::from(calls), "{succeeded} and {failed}: {}", caller.errors());
    rests(&edge);
    println!("{scenario}: {} kB and {} descriptors after rest", edge.memory_kb(), edge.descriptors());
}

/// Calls, transactions and ports are back at nothing. Probes come and go, so one look between them is enough.
fn rests(edge: &Edge) {
    wait_until("everything is given back", REST, || {
        let (calls, transactions, ports) = edge.held();
        calls == 0.0 && transactions <= 8.0 && ports == 0.0
    });
}

#[test]
fn five_hundred_calls_a_second_for_a_minute() {
    place("caller_brief", 30_000, 500);
}

#[test]
fn two_thousand_calls_at_once() {
    // One hundred a second that talk for thirty seconds: three thousand are up together.
    place("caller_long", 4_000, 100);
}
