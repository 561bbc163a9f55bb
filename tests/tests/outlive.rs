//! Calls that are up when their carrier is lost: whatever it was lost by, they are there when it is back, and requests inside them pass both
//! ways, by a new connection where the old one is dead.
#![allow(clippy::expect_used, clippy::panic)]

use agent::{CallNo, Report};
use interop::agents::{agent, dial, ended, expect, plays};
use interop::edge::Edge;
use interop::primary::{By, Loss, Primary};
use interop::{http, let_pass, namespace, wait_until};
use node::lab::{LiveAgent, Order};
use std::time::Duration;

const LAN: &str = "127.0.0.10:5060";
const LIMIT: Duration = Duration::from_secs(60);

/// A call that is up: what the office calls it, and what the carrier does.
struct Call {
    here: CallNo,
    there: CallNo,
}

fn answered(report: &Report) -> Option<CallNo> {
    match report {
        Report::Answered { call, .. } => Some(*call),
        _ => None,
    }
}

fn call(office: &LiveAgent, acme: &Primary) -> Call {
    office.order(dial(LAN, 1_300, None));
    Call { here: expect(office, "an answer", answered), there: expect(&acme.agent, "an ACK", answered) }
}

/// A re-INVITE by this agent is answered by the other one. 491 is its own: two have crossed, and it is sent again (RFC 3261 §14.1).
fn reinvites(agent: &LiveAgent, call: CallNo, what: &str) {
    let mut code = 491;
    while code == 491 {
        agent.order(Order::Hold(call, false));
        code = expect(agent, what, |report| match report {
            Report::Reinvited { call: which, code } if *which == call => Some(*code),
            _ => None,
        });
    }
    assert_eq!(code, 200, "{what}");
}

fn outlives(loss: Loss, by: By) {
    namespace::enter();
    let office = agent("office", 20, plays(1_000));
    let acme = Primary::start(by, &format!("outlive-{loss:?}"), plays(440));
    let _globex = agent("globex", 32, plays(850));
    // Often, so that the test is short.
    let edge = Edge::start(&acme.config.replace("[trunk.acme]", "[trunk.acme]\nprobe = { every = \"1s\" }"));
    let (one, other) = (call(&office, &acme), call(&office, &acme));
    acme.lose(loss);
    // Its probes tell that it is lost.
    wait_until("the trunk is out", LIMIT, || matches!(http::health("acme").as_str(), "suspect" | "down"));
    acme.heal(loss);
    reinvites(&acme.agent, one.there, "the carrier's re-INVITE");
    reinvites(&office, other.here, "the office's re-INVITE of the other call");
    reinvites(&office, one.here, "the office's re-INVITE");
    // Long enough to be heard.
    let_pass(Duration::from_secs(1));
    office.order(Order::HangUp(one.here));
    assert_eq!(expect(&acme.agent, "the office's BYE", ended).tone_hz, Some(1_300), "{}", edge.log());
    acme.agent.order(Order::HangUp(other.there));
    expect(&office, "its end of the first", ended);
    assert_eq!(expect(&office, "the carrier's BYE", ended).tone_hz, Some(440), "{}", edge.log());
    wait_until("calls and ports are given back", LIMIT, || {
        let (calls, _, ports) = edge.held();
        calls == 0.0 && ports == 0.0
    });
}

#[test]
fn killed_by_udp() {
    outlives(Loss::Killed, By::Udp);
}

#[test]
fn silent_by_udp() {
    outlives(Loss::Silent, By::Udp);
}

#[test]
fn mute_by_udp() {
    outlives(Loss::Mute, By::Udp);
}

#[test]
fn unavailable_by_udp() {
    outlives(Loss::Unavailable, By::Udp);
}

#[test]
fn killed_by_tcp() {
    outlives(Loss::Killed, By::Tcp);
}

#[test]
fn silent_by_tcp() {
    outlives(Loss::Silent, By::Tcp);
}

#[test]
fn mute_by_tcp() {
    outlives(Loss::Mute, By::Tcp);
}

#[test]
fn deaf_by_tcp() {
    outlives(Loss::Deaf, By::Tcp);
}

#[test]
fn unavailable_by_tcp() {
    outlives(Loss::Unavailable, By::Tcp);
}

#[test]
fn killed_by_tls() {
    outlives(Loss::Killed, By::Tls);
}

#[test]
fn silent_by_tls() {
    outlives(Loss::Silent, By::Tls);
}

#[test]
fn mute_by_tls() {
    outlives(Loss::Mute, By::Tls);
}

#[test]
fn deaf_by_tls() {
    outlives(Loss::Deaf, By::Tls);
}

#[test]
fn expired_by_tls() {
    outlives(Loss::Expired, By::Tls);
}

#[test]
fn unavailable_by_tls() {
    outlives(Loss::Unavailable, By::Tls);
}
