//! The primary carrier is lost by TCP and by TLS while fifty calls a second flow: no call may fail, and none costs more than by UDP.
//!
//! The limits are those of `failover.rs`. What has been found out is found out in the first seconds, so outages are short; a trunk that
//! flaps is watched for longer.

use interop::losses::survives;
use interop::primary::{By, Loss};
use std::time::Duration;

const OUTAGE: Duration = Duration::from_secs(12);
const FLAPPING: Duration = Duration::from_secs(24);

#[test]
fn killed_by_tcp() {
    survives(Loss::Killed, By::Tcp, OUTAGE);
}

#[test]
fn silent_by_tcp() {
    survives(Loss::Silent, By::Tcp, OUTAGE);
}

#[test]
fn mute_by_tcp() {
    survives(Loss::Mute, By::Tcp, OUTAGE);
}

#[test]
fn deaf_by_tcp() {
    survives(Loss::Deaf, By::Tcp, OUTAGE);
}

#[test]
fn unavailable_by_tcp() {
    survives(Loss::Unavailable, By::Tcp, OUTAGE);
}

#[test]
fn stall_by_tcp() {
    survives(Loss::Stall, By::Tcp, OUTAGE);
}

#[test]
fn grey_by_tcp() {
    survives(Loss::Grey, By::Tcp, OUTAGE);
}

#[test]
fn flapping_by_tcp() {
    survives(Loss::Flapping, By::Tcp, FLAPPING);
}

#[test]
fn killed_by_tls() {
    survives(Loss::Killed, By::Tls, OUTAGE);
}

#[test]
fn silent_by_tls() {
    survives(Loss::Silent, By::Tls, OUTAGE);
}

#[test]
fn mute_by_tls() {
    survives(Loss::Mute, By::Tls, OUTAGE);
}

#[test]
fn deaf_by_tls() {
    survives(Loss::Deaf, By::Tls, OUTAGE);
}

#[test]
fn unavailable_by_tls() {
    survives(Loss::Unavailable, By::Tls, OUTAGE);
}

#[test]
fn stall_by_tls() {
    survives(Loss::Stall, By::Tls, OUTAGE);
}

#[test]
fn grey_by_tls() {
    survives(Loss::Grey, By::Tls, OUTAGE);
}

#[test]
fn flapping_by_tls() {
    survives(Loss::Flapping, By::Tls, FLAPPING);
}

#[test]
fn expired_by_tls() {
    survives(Loss::Expired, By::Tls, OUTAGE);
}
