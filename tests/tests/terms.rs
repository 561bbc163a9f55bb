//! What carriers are told of a call, on the wire: each checks what it gets, and a call that shows too much or too little fails.
#![allow(clippy::expect_used)]

use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{namespace, wait_until};
use std::time::Duration;

const OFFICE: (&str, &str) = (
    "127.0.0.20:5060\"",
    "numbers = { format = \"national\", country = \"47\", from = [{ prefix = \"9\", least = 9 }] }",
);
const ACME: (&str, &str) = ("127.0.0.31:5060\"", "numbers = { format = \"+e164\", uri = \"phone\" }");
const GLOBEX: (&str, &str) = (
    "127.0.0.32:5060\"",
    "numbers = { format = \"e164\" }\nheaders = { strip = [\"X-*\"], set = { X-Edge = \"throughline\" } }\n\
     identity = { trust = false, fallback = \"+4721000000\", diversion = \"history\" }",
);

#[test]
fn a_reroute_from_a_trusted_carrier_to_a_stranger_shows_each_what_it_may_know() {
    namespace::enter();
    let acme = Sipp::server("server_503_trusted", "127.0.0.31");
    let globex = Sipp::server("server_stranger", "127.0.0.32");
    let with = |text: String, (at, terms): (&str, &str)| text.replacen(at, &format!("{at}\n{terms}"), 1);
    let config = [OFFICE, ACME, GLOBEX].into_iter().fold(String::from(CONFIG), with);
    let edge = Edge::start(&config);
    let mut caller = Sipp::caller("caller_asserted", "127.0.0.20", "127.0.0.10:5060", "987654321", 1, 1);
    let good = caller.finished(Duration::from_secs(60));
    assert!(good, "{}\n{}", caller.errors(), edge.log());
    // A carrier that finds too much or too little gives its call up as failed.
    for (name, carrier) in [("acme", &acme), ("globex", &globex)] {
        wait_until(name, Duration::from_secs(20), || carrier.counts() != (0, 0));
        assert_eq!(carrier.counts(), (1, 0), "{name}: {}\n{}", carrier.errors(), edge.log());
    }
}
