//! A town of phones at the built edge: they register, the edge is killed under them, and they have a power cut. No call is lost but those that
//! the edge was killed under.
#![allow(clippy::expect_used)]

use interop::namespace;
use interop::town::Plan;
use interop::town::drill::{self, Drill, Outcome};
use model::Span;
use std::time::Duration;

/// A thousand phones; the figures of a hundred thousand are in docs/guide/registrations.md.
#[test]
fn a_town_outlives_its_edge_and_a_power_cut_and_no_call_notices() {
    namespace::enter();
    let town = Plan { phones: 1_000, by_tcp: 50, expires_s: 60, recovery: Span::from_secs(2) };
    let outcome = drill::run(Drill {
        town,
        // Nobody is told to wait: how a crowd is paced is shown in virtual time (crates/edge/tests/registrar.rs).
        rate: 10_000,
        calls: 60,
        within: Span::from_secs(1),
        // Longer than a call lasts.
        rest: Duration::from_secs(3),
        limit: Duration::from_secs(90),
    });
    let seen = &outcome.seen;
    assert_eq!(seen.refused, 0, "{seen:?}");
    assert!(seen.accepted >= 2_050, "all came twice, those by TCP once more: {seen:?}");
    assert!(seen.broken >= 50, "every connection ends with the edge: {seen:?}");
    let Outcome { arriving, away, back, avalanche, .. } = &outcome;
    // Who calls while it is away repeats himself, and is served once it is there: it must not answer before it knows its phones.
    for (calls, when) in [(arriving, "arriving"), (away, "away"), (back, "back"), (avalanche, "power cut")] {
        assert!(calls.placed > 0 && calls.ended == calls.placed, "{when}: {calls:?}");
    }
    let up = &outcome.resting;
    assert!(up.ended > 0 && up.ended + up.all_lost() == up.placed, "each has come to an end that was seen: {up:?}");
}
