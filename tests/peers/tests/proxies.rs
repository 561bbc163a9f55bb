//! Kamailio between the edge and a carrier: who record-routes stays in the path both ways, who forks is one trunk with several early dialogs.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{namespace, wait_until};
use peers::baresip::{self, Baresip};
use peers::kamailio::{ASKS, BEHIND, Kamailio, ONCE, Setup, TO_BEHIND, TO_EDGE};
use peers::matrix::{ACME, ENOUGH_MS, FAR, GLOBEX, LAN, LIMIT, NEAR, OFFICE, rests, was_tried};
use peers::party::{Party, hear_each_other};
use peers::wire::Wire;

/// Another one, or another proxy.
const BESIDE: &str = "127.0.0.42";
const TO_BOTH: &str =
    "$ru = \"sip:+4722334455@127.0.0.41:5060\"; append_branch(\"sip:+4722334455@127.0.0.42:5060\"); t_relay();";
/// How a strict router of RFC 2543 stays in the path: no `lr`.
const STRICTLY: &str = "insert_hf(\"Record-Route: <sip:127.0.0.31:5060>\\r\\n\", \"Via\");";
fn at_acme(does: &str) -> Setup<'_> {
    Setup::plain("acme", ACME, TO_EDGE, BEHIND, does)
}

fn phone<'a>(name: &'a str, ip: &'a str, user: &'a str, tone: u16) -> Baresip {
    Baresip::start(&baresip::Setup::plain(name, ip, LAN, user, tone))
}

/// A call from the PBX goes as both scenarios say, with the proxy between the edge and the carrier.
fn goes(caller: &str, server: &str, proxy: &Kamailio) {
    goes_by(&Edge::start(CONFIG), caller, server, proxy);
}

fn goes_by(edge: &Edge, caller: &str, server: &str, proxy: &Kamailio) {
    let _carrier = Sipp::server(server, BEHIND);
    let mut caller = Sipp::caller(caller, OFFICE, LAN, FAR, 1, 1);
    assert!(caller.finished(LIMIT), "{}\n{}\n{}", caller.errors(), edge.log(), proxy.log());
    rests(edge);
    was_tried(&[("acme", "answered")]);
}

/// The proxy has seen each of these requests of the edge once, inside a call and by its Route.
fn routed(proxy: &Kamailio, from: &str, methods: &[&str]) {
    for method in methods {
        assert_eq!(proxy.said(&format!("routes {method} of {from}\n")), 1, "{method}: {}", proxy.log());
    }
    assert_eq!(proxy.said("cannot place"), 0, "{}", proxy.log());
}

/// One calls the other, and each hears the other's tone.
fn they_talk(caller: &Baresip, callee: &Baresip) {
    caller.calls(FAR);
    hear_each_other(caller, callee);
}

#[test]
fn requests_inside_a_call_follow_the_route_of_a_proxy() {
    namespace::enter();
    let proxy = Kamailio::start(&at_acme(TO_BEHIND));
    goes("caller_indialog", "server_indialog", &proxy);
    routed(&proxy, "127.0.0.11", &["ACK", "INFO", "BYE"]);
}

#[test]
fn a_carrier_behind_a_proxy_ends_the_call() {
    namespace::enter();
    let proxy = Kamailio::start(&at_acme(TO_BEHIND));
    goes("caller_ended_by_callee", "server_ends", &proxy);
    routed(&proxy, "127.0.0.11", &["ACK"]);
    routed(&proxy, BEHIND, &["BYE"]);
}

#[test]
fn requests_pass_two_proxies_in_a_row() {
    namespace::enter();
    let to_next = "$du = \"sip:127.0.0.42:5060\"; t_relay();";
    let first = Kamailio::start(&Setup { onward: BESIDE, ..at_acme(to_next) });
    let to_first = "$du = \"sip:127.0.0.31:5060\"; t_relay();";
    let next = Setup { name: "next", ip: BESIDE, back: to_first, ..at_acme(TO_BEHIND) };
    let next = Kamailio::start(&next);
    goes("caller_hold", "server_hold", &first);
    for (proxy, from) in [(&first, "127.0.0.11"), (&next, ACME)] {
        routed(proxy, from, &["BYE"]);
        assert_eq!(proxy.said("routes ACK"), 3, "{}", proxy.log());
        assert_eq!(proxy.said("routes INVITE"), 2, "hold and resume: {}", proxy.log());
    }
}

/// RFC 3261 §12.2.1.1: the strict router is the request's URI, and whom it is for is the last Route.
#[test]
fn a_strict_router_finds_its_way() {
    namespace::enter();
    let proxy = Kamailio::start(&Setup { stays: STRICTLY, ..at_acme(TO_BEHIND) });
    goes("caller_indialog", "server_indialog", &proxy);
    routed(&proxy, "127.0.0.11", &["ACK", "INFO", "BYE"]);
}

#[test]
fn a_proxy_that_forks_is_one_trunk_with_two_early_dialogs() {
    namespace::enter();
    let proxy = Kamailio::start(&at_acme(TO_BOTH));
    let early = Sipp::server("server_early", BEHIND);
    let callee = phone("callee", BESIDE, FAR, 850);
    let caller = phone("caller", OFFICE, NEAR, 1_300);
    let edge = Edge::start(CONFIG);
    they_talk(&caller, &callee);
    wait_until("the other branch is cancelled", LIMIT, || early.counts().0 == 1);
    caller.hangs_up();
    rests(&edge);
    routed(&proxy, "127.0.0.11", &["ACK", "BYE"]);
    was_tried(&[("acme", "answered")]);
}

/// A proxy keeps nothing of a call that its Route does not say: another one in its place will do.
#[test]
fn a_live_call_outlives_its_proxy() {
    namespace::enter();
    let setup = at_acme(TO_BEHIND);
    let proxy = Kamailio::start(&setup);
    let callee = phone("callee", BEHIND, FAR, 850);
    let caller = phone("caller", OFFICE, NEAR, 1_300);
    let edge = Edge::start(CONFIG);
    caller.calls(FAR);
    caller.hears(850, ENOUGH_MS);
    drop(proxy);
    callee.hears(1_300, ENOUGH_MS);
    let proxy = Kamailio::start(&setup);
    caller.hangs_up();
    rests(&edge);
    routed(&proxy, "127.0.0.11", &["BYE"]);
    was_tried(&[("acme", "answered")]);
}

/// Each of its nonces is good for one request, so it asks about every one.
fn asks(does: &str) -> Setup<'_> {
    Setup { modules: ONCE, first: ASKS, ..at_acme(does) }
}

/// The edge, with the credentials that this proxy asks for.
fn knowing() -> Edge {
    let at = "at = \"sip:127.0.0.31:5060\"";
    let knows = format!("{at}\nauth = {{ user = \"throughline\", secret = \"env:ACME\" }}");
    Edge::start_knowing(&CONFIG.replace(at, &knows), &[("ACME", "sesame")])
}

/// RFC 3261 §22.3: whoever asks is answered, whatever the request, and the PBX knows nothing of it.
#[test]
fn a_proxy_asks_for_credentials_inside_a_call_too() {
    namespace::enter();
    let proxy = Kamailio::start(&asks(TO_BEHIND));
    goes_by(&knowing(), "caller_indialog", "server_indialog", &proxy);
    for method in ["INVITE", "INFO", "BYE"] {
        assert_eq!(proxy.said(&format!("asks who sends {method}\n")), 1, "{}", proxy.log());
    }
    routed(&proxy, "127.0.0.11", &["ACK", "INFO", "BYE"]);
}

/// The same for an offer in mid-call: what was held is silent, and what was resumed is heard.
#[test]
fn a_proxy_asks_for_credentials_for_hold_and_resume() {
    namespace::enter();
    let proxy = Kamailio::start(&asks(TO_BEHIND));
    let callee = phone("callee", BEHIND, FAR, 850);
    let caller = phone("caller", OFFICE, NEAR, 1_300);
    let to_callee = Wire::from("127.0.0.11");
    let edge = knowing();
    they_talk(&caller, &callee);
    for (order, asked) in [("hold", 2), ("resume", 3)] {
        caller.command(order, "");
        wait_until("the proxy asks anew", LIMIT, || proxy.said("asks who sends INVITE\n") == asked);
        wait_until("it lets the offer pass", LIMIT, || proxy.said("routes INVITE of 127.0.0.11\n") == asked - 1);
    }
    to_callee.carries(1_300, ENOUGH_MS);
    caller.hangs_up();
    rests(&edge);
    routed(&proxy, "127.0.0.11", &["BYE"]);
    was_tried(&[("acme", "answered")]);
}

#[test]
fn a_proxy_without_a_carrier_is_left_for_the_next_trunk() {
    namespace::enter();
    let _proxy = Kamailio::start(&at_acme("sl_send_reply(\"503\", \"No Circuit\");"));
    let callee = phone("callee", GLOBEX, FAR, 850);
    let caller = phone("caller", OFFICE, NEAR, 1_300);
    let edge = Edge::start(CONFIG);
    they_talk(&caller, &callee);
    callee.hangs_up();
    rests(&edge);
    was_tried(&[("acme", "503"), ("globex", "answered")]);
}

/// RFC 3261 §8.1.3.4: the proxy names the other carrier, and the edge calls it there without troubling the PBX.
#[test]
fn a_redirection_is_followed_to_the_other_trunk() {
    namespace::enter();
    let proxy = Kamailio::start(&at_acme(
        "append_to_reply(\"Contact: <sip:+4722334455@127.0.0.32:5060>\\r\\n\"); sl_send_reply(\"302\", \"Moved Temporarily\");",
    ));
    let callee = phone("callee", GLOBEX, FAR, 850);
    let caller = phone("caller", OFFICE, NEAR, 1_300);
    let edge = Edge::start(CONFIG);
    they_talk(&caller, &callee);
    caller.hangs_up();
    rests(&edge);
    assert_eq!(proxy.said("routes"), 0, "it has left the call: {}", proxy.log());
    was_tried(&[("acme", "302"), ("globex", "answered")]);
}

#[test]
fn early_media_of_a_trunk_that_then_fails_gives_way_to_the_next() {
    namespace::enter();
    let _early = Sipp::server("server_early_503", ACME);
    let callee = phone("callee", GLOBEX, FAR, 850);
    let caller = phone("caller", OFFICE, NEAR, 1_300);
    let config = CONFIG.replace(
        "at = \"sip:127.0.0.31:5060\"",
        "at = \"sip:127.0.0.31:5060\"\ncalls = { hunt_after_progress = true }",
    );
    let edge = Edge::start(&config);
    they_talk(&caller, &callee);
    caller.hangs_up();
    rests(&edge);
    was_tried(&[("acme", "503"), ("globex", "answered")]);
}

/// RFC 3261 §9.1: who cancels may still get an answer, which is acknowledged and ended.
#[test]
fn an_answer_that_crosses_the_cancel_is_ended() {
    namespace::enter();
    let carrier = Sipp::server("server_crossed", ACME);
    let edge = Edge::start(CONFIG);
    let mut caller = Sipp::caller("caller_cancels", OFFICE, LAN, FAR, 1, 1);
    assert!(caller.finished(LIMIT), "{}\n{}", caller.errors(), edge.log());
    wait_until("the carrier was told BYE", LIMIT, || carrier.counts() == (1, 0));
    rests(&edge);
}

/// RFC 3261 §14.2: each side of the edge refuses the other's offer while its own is open, and the caller learns nothing of it.
#[test]
fn offers_that_cross_are_both_refused_and_made_again() {
    namespace::enter();
    let carrier = Sipp::server("server_glare", ACME);
    let edge = Edge::start(CONFIG);
    let mut caller = Sipp::caller("caller_hold", OFFICE, LAN, FAR, 1, 1);
    assert!(caller.finished(LIMIT), "{}\n{}\n{}", caller.errors(), carrier.errors(), edge.log());
    assert!(carrier.logged().iter().any(|line| line.contains("491 both ways")), "{:?}", carrier.logged());
    wait_until("the carrier has seen it all", LIMIT, || carrier.counts() == (1, 0));
    rests(&edge);
}
