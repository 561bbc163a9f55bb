//! What the interop tests need: a network namespace of their own, the built binary, SIPp, and agents on real sockets.
//!
//! Every test enters a namespace of its own, so nothing it sends leaves it and tests do not meet. They wait for events
//! with generous limits; none depends on how fast the machine is.
#![allow(clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

pub mod agents;
pub mod browser;
pub mod certificates;
pub mod dns;
pub mod drills;
pub mod edge;
pub mod flood;
pub mod http;
pub mod journal;
pub mod losses;
pub mod namespace;
pub mod pauses;
pub mod primary;
pub mod receiver;
pub mod sipp;
pub mod town;

use std::time::{Duration, Instant};

/// Waits until `done` holds, looking often.
pub fn wait_until(what: &str, limit: Duration, done: impl FnMut() -> bool) {
    assert!(became_true(limit, done), "waited {limit:?} in vain until {what}");
}

/// Whether `done` holds within the limit.
#[allow(clippy::disallowed_methods, reason = "real peers live in real time")]
pub fn became_true(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !done() {
        if start.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

/// Lets real time pass where the passing itself is the test's subject (an outage of so long).
#[allow(clippy::disallowed_methods, reason = "real peers live in real time")]
pub fn let_pass(time: Duration) {
    std::thread::sleep(time);
}
