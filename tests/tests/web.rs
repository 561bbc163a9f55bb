//! Browsers and load balancers on real sockets: a page calls a carrier by WebSocket and either ends it; a call comes through a balancer that
//! says for whom it connects.
#![allow(clippy::expect_used, clippy::panic)]

use interop::browser::{HOST, Page, connect, header};
use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, namespace, wait_until};
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const OFFICE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 20);
const PAGE: &str = "https://phone.example";
const OFFER: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.20\r\ns=-\r\nc=IN IP4 127.0.0.20\r\nt=0 0\r\nm=audio 41000 RTP/AVP 8\r\n";

/// The usual configuration, its PBX side open to browsers and to this more.
fn for_pages(more: &str) -> String {
    let sockets = "\"udp:127.0.0.10:5060\", \"ws:127.0.0.10:8080\", \"tcp:127.0.0.10:5060\"";
    CONFIG.replace("[\"udp:127.0.0.10:5060\"]", &format!("[{sockets}]\norigins = [\"{PAGE}\"]\n{more}"))
}

fn rests(edge: &Edge) {
    wait_until("calls and ports are given back", LIMIT, || {
        let (calls, _, ports) = edge.held();
        calls == 0.0 && ports == 0.0
    });
}

#[test]
fn a_page_calls_a_carrier_and_hangs_up() {
    namespace::enter();
    let _acme = Sipp::server("server", "127.0.0.31");
    let edge = Edge::start(&for_pages(""));
    let mut page = Page::open(OFFICE, "127.0.0.10:8080", PAGE);
    let answer = page.calls(OFFER);
    assert!(header(&answer, "Contact").ends_with("127.0.0.10:8080;transport=ws>"), "{answer}");
    assert!(header(&answer, "Via").starts_with(&format!("SIP/2.0/WS {HOST};")), "{answer}");
    assert!(answer.contains("m=audio ") && answer.contains("c=IN IP4 127.0.0.10"), "audio is anchored: {answer}");
    page.hangs_up();
    rests(&edge);
}

/// The carrier's BYE finds the page by its connection: its Contact names a host that does not exist.
#[test]
fn a_carrier_hangs_up_on_a_page() {
    namespace::enter();
    let _acme = Sipp::server("server_ends", "127.0.0.31");
    let edge = Edge::start(&for_pages(""));
    let mut page = Page::open(OFFICE, "127.0.0.10:8080", PAGE);
    page.calls(OFFER);
    let bye = page.is_hung_up_on();
    assert!(
        bye.starts_with(&format!("BYE sip:page@{HOST};transport=ws SIP/2.0\r\nVia: SIP/2.0/WS 127.0.0.10:8080;")),
        "{bye}"
    );
    rests(&edge);
}

/// A page is closed in the middle of its call. Nobody can tell it anything any more; whoever is left can still hang up.
#[test]
fn a_call_whose_page_is_gone_ends_with_the_carrier() {
    namespace::enter();
    let _acme = Sipp::server("server_ends", "127.0.0.31");
    let edge = Edge::start(&for_pages(""));
    let mut page = Page::open(OFFICE, "127.0.0.10:8080", PAGE);
    page.calls(OFFER);
    drop(page);
    wait_until("the edge knows", LIMIT, || http::metric("throughline_call_moved_total") >= 1.0);
    rests(&edge);
}

/// The test is the balancer: it connects from an address of its own, says for whom, and the office's trunk is known by that.
#[test]
fn a_call_through_a_load_balancer_is_its_sources() {
    namespace::enter();
    let _acme = Sipp::server("server", "127.0.0.31");
    let edge = Edge::start(&for_pages("proxy_protocol = [\"127.0.0.99\"]"));
    let mut balanced = connect(Ipv4Addr::new(127, 0, 0, 99), "127.0.0.10:5060".parse().expect("an address"));
    let invite = format!(
        "INVITE sip:+4722334455@127.0.0.10 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.20:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:a@127.0.0.20>;tag=1\r\nTo: <sip:+4722334455@127.0.0.10>\r\nCall-ID: balanced\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:a@127.0.0.20:5060;transport=tcp>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{OFFER}",
        OFFER.len()
    );
    balanced.write_all(b"PROXY TCP4 127.0.0.20 127.0.0.10 40000 5060\r\n").expect("written");
    balanced.write_all(invite.as_bytes()).expect("written");
    let mut heard = String::new();
    while !heard.contains("SIP/2.0 200 ") {
        let mut bytes = [0; 4_096];
        let count = balanced.read(&mut bytes).expect("an answer");
        assert!(count > 0, "closed after {heard}\n{}", edge.log());
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    // Nobody else gets in by that door, whoever it says it is.
    let mut stranger = connect(OFFICE, "127.0.0.10:5060".parse().expect("an address"));
    stranger.write_all(b"PROXY TCP4 127.0.0.20 127.0.0.10 40000 5060\r\n").expect("written");
    assert!(matches!(stranger.read(&mut [0; 1]), Ok(0) | Err(_)));
    let answer = &heard[heard.find("SIP/2.0 200 ").expect("it is there")..];
    let (to, contact) = (header(answer, "To"), header(answer, "Contact"));
    let target = contact.trim_matches(['<', '>']);
    for (method, number) in [("ACK", 1), ("BYE", 2)] {
        let request = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.20:5060;branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
             From: <sip:a@127.0.0.20>;tag=1\r\nTo: {to}\r\nCall-ID: balanced\r\nCSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n"
        );
        balanced.write_all(request.as_bytes()).expect("written");
    }
    rests(&edge);
}
