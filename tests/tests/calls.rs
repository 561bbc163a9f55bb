//! Calls between SIPp and SIPp through the built edge: each kind of call that must work, both ways.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, namespace, wait_until};
use std::time::Duration;

const LAN: &str = "127.0.0.10:5060";
const WAN: &str = "127.0.0.11:5060";
const OFFICE: &str = "127.0.0.20";
const ACME: &str = "127.0.0.31";
const GLOBEX: &str = "127.0.0.32";
const LIMIT: Duration = Duration::from_secs(100);

/// Places `calls` calls of one kind from the PBX to the carrier `acme`, and wants them all to go as the scenarios say.
fn outbound(caller: &str, server: &str, calls: u32) {
    namespace::enter();
    let _acme = Sipp::server(server, ACME);
    let _globex = Sipp::server("server", GLOBEX);
    let edge = Edge::start(CONFIG);
    let mut caller = Sipp::caller(caller, OFFICE, LAN, "+4722334455", calls, 10);
    let good = caller.finished(LIMIT);
    assert!(good, "{:?}\n{}\n{}", caller.counts(), caller.errors(), edge.log());
    rests(&edge);
}

/// Nothing is left once the last call is over.
fn rests(edge: &Edge) {
    wait_until("calls and ports are given back", Duration::from_secs(60), || {
        let (calls, _, ports) = edge.held();
        calls == 0.0 && ports == 0.0
    });
}

#[test]
fn pbx_calls_carrier() {
    outbound("caller", "server", 20);
}

#[test]
fn carrier_calls_pbx() {
    namespace::enter();
    let _office = Sipp::server("server", OFFICE);
    let edge = Edge::start(CONFIG);
    let mut caller = Sipp::caller("caller", ACME, WAN, "+4799887766", 20, 10);
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    rests(&edge);
}

#[test]
fn the_callee_ends_the_call() {
    outbound("caller_ended_by_callee", "server_ends", 10);
}

#[test]
fn hold_and_resume() {
    outbound("caller_hold", "server_hold", 10);
}

/// RFC 5589 §6.1: acme's party is joined with globex's, who ends the call; the office hears how it went and is let go.
#[test]
fn a_blind_transfer() {
    namespace::enter();
    let acme = Sipp::server("server_transferred", ACME);
    let globex = Sipp::server("server_ends", GLOBEX);
    let transfers = "[group.referred]\ntiers = [[\"globex\"]]\nalone = true\n\n[[route]]\nfrom = [\"office\"]\nprefixes = [\"+4733\"]\nto = \"referred\"\n\n[[route]]\nfrom = [\"office\"]";
    let edge = Edge::start(&CONFIG.replacen("[[route]]\nfrom = [\"office\"]", transfers, 1));
    let mut caller = Sipp::caller("caller_refers", OFFICE, LAN, "+4722334455", 10, 10);
    let good = caller.finished(LIMIT);
    assert!(good, "{:?}\n{}\n{}", caller.counts(), caller.errors(), edge.log());
    wait_until("both parties end as they should", LIMIT, || {
        let ended = |server: &Sipp| server.counts() == (10, 0);
        ended(&acme) && ended(&globex)
    });
    rests(&edge);
}

#[test]
fn late_offer() {
    outbound("caller_late_offer", "server_late_offer", 10);
}

/// RFC 3262 on the carrier's side alone: the PBX knows nothing of it, and gets in its 200 what came in the 183.
#[test]
fn a_carrier_is_acknowledged_by_prack() {
    outbound("caller", "server_prack", 10);
}

/// RFC 3262 on the caller's side alone.
#[test]
fn a_caller_acknowledges_by_prack() {
    outbound("caller_prack", "server", 10);
}

/// RFC 4028: the shortest session there is, refreshed by us after 45 s, on the carrier's leg alone.
#[test]
fn a_session_is_refreshed() {
    outbound("caller_ended_by_callee", "server_refreshed", 5);
}

#[test]
fn options_and_info_inside_a_dialog() {
    outbound("caller_indialog", "server_indialog", 5);
}

#[test]
fn the_caller_gives_up() {
    outbound("caller_cancels", "server_rings", 10);
}

#[test]
fn busy_is_the_callees_answer_and_is_not_hunted() {
    namespace::enter();
    let _acme = Sipp::server("server_486", ACME);
    let globex = Sipp::server("server", GLOBEX);
    let edge = Edge::start(CONFIG);
    let mut caller = Sipp::caller("caller_expects_486", OFFICE, LAN, "+4722334455", 10, 10);
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    assert_eq!(globex.counts(), (0, 0), "a busy callee is busy everywhere");
    let acme = http::get("/v1/trunks");
    assert!(acme.to_string().contains("acme"), "{acme}");
    rests(&edge);
}

#[test]
fn nobody_answers() {
    namespace::enter();
    let _acme = Sipp::server("server_rings", ACME);
    let config =
        CONFIG.replace("at = \"sip:127.0.0.31:5060\"", "at = \"sip:127.0.0.31:5060\"\ncalls = { ring = \"2s\" }");
    let edge = Edge::start(&config);
    let mut caller = Sipp::caller("caller_expects_480", OFFICE, LAN, "+4722334455", 5, 10);
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    rests(&edge);
}

#[test]
fn a_503_goes_to_the_next_trunk() {
    namespace::enter();
    let _acme = Sipp::server("server_503", ACME);
    let _globex = Sipp::server("server", GLOBEX);
    let edge = Edge::start(CONFIG);
    let mut caller = Sipp::caller("caller", OFFICE, LAN, "+4722334455", 20, 10);
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    rests(&edge);
}

#[test]
fn over_ipv6() {
    namespace::enter();
    let config = CONFIG
        .replace("127.0.0.10:20000", "[fd00::10]:20000")
        .replace("127.0.0.11:30000", "[fd00::10]:30000")
        .replace("127.0.0.10:5060", "[fd00::10]:5060")
        .replace("127.0.0.11:5060", "[fd00::10]:5070")
        .replace("127.0.0.20", "[fd00::20]")
        .replace("127.0.0.31", "[fd00::31]")
        .replace("127.0.0.32", "[fd00::32]");
    let _acme = Sipp::server("server", "[fd00::31]");
    let edge = Edge::start(&config);
    let mut caller = Sipp::caller("caller", "[fd00::20]", "[fd00::10]:5060", "+4722334455", 10, 10);
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    rests(&edge);
}
