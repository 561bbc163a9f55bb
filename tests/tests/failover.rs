//! The primary carrier is lost by UDP in six ways while fifty calls a second flow: no call may fail.
//!
//! All of them may run at once, each in a network namespace of its own; `failover_streams.rs` does the same by TCP and TLS.

use interop::losses::survives;
use interop::primary::{By, Loss};
use std::time::Duration;

const OUTAGE: Duration = Duration::from_secs(60);

#[test]
fn killed() {
    survives(Loss::Killed, By::Udp, OUTAGE);
}

#[test]
fn silent() {
    survives(Loss::Silent, By::Udp, OUTAGE);
}

#[test]
fn unavailable() {
    survives(Loss::Unavailable, By::Udp, OUTAGE);
}

#[test]
fn stall() {
    survives(Loss::Stall, By::Udp, OUTAGE);
}

#[test]
fn grey() {
    survives(Loss::Grey, By::Udp, OUTAGE);
}

#[test]
fn flapping() {
    survives(Loss::Flapping, By::Udp, OUTAGE);
}
