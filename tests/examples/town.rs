//! A hundred thousand phones at the built edge: `make town`, or `cargo run --release -p interop --example town -- [PHONES] [RATE] [EXPIRES_S]`.
//!
//! Needs root, for a network namespace, and the release build of the edge.
#![allow(clippy::expect_used)]

use interop::namespace;
use interop::town::Plan;
use interop::town::drill::{self, Drill};
use model::Span;
use std::time::Duration;

fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u32>().expect("a number"));
    let phones = words.next().unwrap_or(100_000) as usize;
    let rate = words.next().unwrap_or(1_000);
    let expires_s = words.next().unwrap_or(600);
    namespace::enter();
    drill::run(Drill {
        // One phone of fifty keeps a connection.
        town: Plan { phones, by_tcp: phones / 50, expires_s, recovery: Span::from_secs(30) },
        rate,
        calls: 20,
        within: Span::from_secs(5),
        rest: Duration::from_secs(60),
        limit: Duration::from_secs(1_800),
    });
}
