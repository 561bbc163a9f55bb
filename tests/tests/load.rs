//! Many calls: six hundred and fifty a second, three thousand at once. All succeed, and nothing is left afterwards.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{became_true, let_pass, namespace, wait_until};
use std::time::Duration;

/// What an edge may keep after a rush that it had not after the one before, in kilobytes: pages that a few long-lived records hold.
const KEPT_KB: u64 = 8_192;
/// Sockets of three thousand six hundred pairs at each listen, in use or at rest, a fourteenth of them to spare, and some room for calls that
/// take longer than they should.
const DESCRIPTORS_MAX: usize = 17_500;
/// After the last call: Timer H, J and L (32 s each), the quarantine of ports, and memory given back.
const REST: Duration = Duration::from_secs(120);

/// Five hundred a second that end at once, so many, and a hundred a second that talk for thirty seconds: two thousand are
/// up together. With the pairs that rest meanwhile that is some fifteen thousand sockets, of the twenty thousand files that many systems allow.
fn rush(edge: &Edge, brief: u32, long: u32) {
    let caller = |scenario, port, calls, rate| {
        Sipp::caller_at(scenario, ("127.0.0.20", port), "127.0.0.10:5060", "+4722334455", calls, rate)
    };
    let callers = [(caller("caller_brief", 5060, brief, 500), brief), (caller("caller_long", 5061, long, 100), long)];
    for (mut caller, calls) in callers {
        let good = caller.finished(Duration::from_secs(300));
        let (succeeded, failed) = caller.counts();
        println!("{succeeded} succeeded, {failed} failed; {} kB at its end", edge.memory_kb());
        assert!(good && failed == 0 && succeeded == u64::from(calls), "{succeeded} and {failed}: {}", caller.errors());
    }
}

/// Calls, transactions and ports are back at nothing. Probes come and go, so one look between them is enough.
fn rests(edge: &Edge) {
    wait_until("everything is given back", REST, || {
        let (calls, transactions, ports) = edge.held();
        calls == 0.0 && transactions <= 8.0 && ports == 0.0
    });
}

/// Memory once it does not change any more.
fn settled(edge: &Edge) -> u64 {
    let mut last = 0;
    wait_until("memory rests", REST, || {
        let_pass(Duration::from_secs(5));
        let now = edge.memory_kb();
        now.abs_diff(core::mem::replace(&mut last, now)) < 256
    });
    last
}

#[test]
fn many_calls_a_second_and_at_once_all_succeed_and_leave_nothing() {
    namespace::enter();
    let _acme = Sipp::server("server", "127.0.0.31");
    // A pair of ports rests for three seconds after its call: as many as the brief calls of that time are taken beside those of the long ones.
    let ports = CONFIG.replace("20000-27999", "10000-29999").replace("30000-37999", "30000-49999");
    let edge = Edge::start(&ports);
    // Rings, caches, and the tables of media ports, which stay open for the next rush, are filled once; from then on memory comes and goes
    // with the calls.
    rush(&edge, 5_000, 2_000);
    rests(&edge);
    let before = settled(&edge);
    println!("{before} kB before");

    rush(&edge, 25_000, 2_000);
    rests(&edge);
    let given_back = became_true(REST, || edge.memory_kb() <= before + KEPT_KB);
    assert!(given_back, "{} kB are kept, {before} kB were held before", edge.memory_kb());
    println!("{} kB and {} descriptors after rest", edge.memory_kb(), edge.descriptors());
    assert!(edge.descriptors() <= DESCRIPTORS_MAX, "more ports were opened than were needed at once");
}
