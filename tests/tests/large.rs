//! Requests beyond 1300 bytes on real sockets (RFC 3261 §18.1.1): by TCP to a carrier that takes it, by UDP at once to one that does not.
#![allow(clippy::expect_used, clippy::panic)]

use interop::browser::Page;
use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, namespace, wait_until};
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

fn config() -> String {
    CONFIG
        .replace("[\"udp:127.0.0.10:5060\"]", "[\"udp:127.0.0.10:5060\", \"ws:127.0.0.10:8080\"]\norigins = \"*\"")
        .replace("[\"udp:127.0.0.11:5060\"]", "[\"udp:127.0.0.11:5060\", \"tcp:127.0.0.11:5060\"]")
        .replace(
            "at = \"sip:127.0.0.31:5060\"",
            "at = \"sip:127.0.0.31:5060\"\nlarge = \"tcp\"\nprobe = { every = \"300s\" }",
        )
}

/// An offer such as browsers make: many codecs, many lines.
fn offer() -> String {
    let mut offer = String::from(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.20\r\ns=-\r\nc=IN IP4 127.0.0.20\r\nt=0 0\r\nm=audio 41000 RTP/AVP 8 96 97 98 99 100\r\n",
    );
    for format in 96..=100 {
        offer.push_str(&format!("a=rtpmap:{format} telephone-event/{}000\r\n", format - 50));
        offer.push_str(&format!("a=fmtp:{format} 0-16;a-parameter-that-makes-it-long={}\r\n", "x".repeat(200)));
    }
    offer
}

fn count(what: &str) -> f64 {
    http::metric(&format!("throughline_sip_{what}_total"))
}

fn call() -> Duration {
    let mut page = Page::open(Ipv4Addr::new(127, 0, 0, 20), "127.0.0.10:8080", "https://phone.example");
    #[allow(clippy::disallowed_methods, reason = "real peers live in real time")]
    let begun = Instant::now();
    page.calls(&offer());
    let took = begun.elapsed();
    page.hangs_up();
    took
}

fn rests(edge: &Edge) {
    wait_until("calls and ports are given back", LIMIT, || {
        let (calls, _, ports) = edge.held();
        calls == 0.0 && ports == 0.0
    });
}

#[test]
fn a_large_invite_goes_by_tcp_to_a_carrier_that_takes_it() {
    namespace::enter();
    // It hears TCP alone: what comes by UDP, probes too, is lost.
    let _deaf = UdpSocket::bind("127.0.0.31:5060").expect("a socket");
    let _acme = Sipp::server_by_tcp("server", "127.0.0.31");
    let edge = Edge::start(&config());
    call();
    rests(&edge);
    assert_eq!((count("large_by_stream"), count("large_fell_back")), (1.0, 0.0));
}

#[test]
fn a_carrier_that_takes_no_tcp_gets_it_by_udp_at_once() {
    namespace::enter();
    let _acme = Sipp::server("server", "127.0.0.31");
    let edge = Edge::start(&config());
    let took = [call(), call()];
    rests(&edge);
    assert!(took.iter().all(|took| *took < Duration::from_secs(5)), "{took:?}");
    // A shard that has tried does not try again; the second call may be another shard's.
    let tried = count("large_by_stream");
    assert!((1.0..=2.0).contains(&tried) && count("large_fell_back") == tried, "{tried}");
}
