//! Malformed and hostile input on the wire: answered or dropped by rule, counted, and no live call notices.
#![allow(clippy::expect_used)]

use agent::Report;
use interop::agents::{agent, dial, ended, expect, plays};
use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{http, let_pass, namespace, wait_until};
use media::player::ToneTalker;
use media::rtcp;
use model::{Rng, Span};
use node::lab::Order;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Builder;
use std::time::Duration;

const EDGE: &str = "127.0.0.10:5060";

fn invite(call_id: &str) -> String {
    format!(
        "INVITE sip:+4722334455@127.0.0.10 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.20:5061;branch=z9hG4bK{call_id}\r\n\
         From: <sip:a@127.0.0.20>;tag=1\r\nTo: <sip:b@127.0.0.10>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:a@127.0.0.20:5061>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\n"
    )
}

/// One datagram of each kind that a scanner, a broken PBX or an attacker sends.
fn menagerie() -> Vec<(&'static str, Vec<u8>)> {
    let with_body =
        |call_id: &str, length: usize, body: &str| format!("{}Content-Length: {length}\r\n\r\n{body}", invite(call_id));
    let good = with_body("good", 0, "");
    let mut all: Vec<(&'static str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("keep-alive", b"\r\n\r\n".to_vec()),
        ("noise", (0..=255).collect()),
        ("truncated in the start line", b"INVITE sip:".to_vec()),
        ("truncated in a header", good.as_bytes()[..good.len() / 2].to_vec()),
        ("huge", format!("{}X-Fill: {}\r\n\r\n", invite("huge"), "x".repeat(60_000)).into_bytes()),
        ("a thousand headers", format!("{}{}\r\n", invite("many"), "X-A: b\r\n".repeat(1_000)).into_bytes()),
        (
            "a thousand Via",
            good.replace("From:", &("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n".repeat(1_000) + "From:"))
                .into_bytes(),
        ),
        ("two Call-IDs", good.replace("CSeq:", "Call-ID: another\r\nCSeq:").into_bytes()),
        ("Content-Length too long", with_body("long", 5_000, "v=0\r\n").into_bytes()),
        ("Content-Length too short", with_body("short", 2, "v=0\r\no=- 1 1 IN IP4 127.0.0.20\r\n").into_bytes()),
        ("Content-Length negative", good.replace("Content-Length: 0", "Content-Length: -1").into_bytes()),
        (
            "Content-Length absurd",
            good.replace("Content-Length: 0", "Content-Length: 99999999999999999999").into_bytes(),
        ),
        ("NULs", good.replace("From:", "\0\0\0From:").into_bytes()),
        ("wrong CSeq method", good.replace("CSeq: 1 INVITE", "CSeq: 1 BYE").into_bytes()),
        ("CSeq not a number", good.replace("CSeq: 1 INVITE", "CSeq: one INVITE").into_bytes()),
        ("CSeq beyond 2^32", good.replace("CSeq: 1 INVITE", "CSeq: 4294967296 INVITE").into_bytes()),
        ("unknown method", good.replace("INVITE", "JUMP").into_bytes()),
        ("SIP/3.0", good.replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia").into_bytes()),
        ("no Via", good.replace("Via:", "X-Via:").into_bytes()),
        ("no tag in From", good.replace(";tag=1", "").into_bytes()),
        ("Max-Forwards 0", good.replace("Max-Forwards: 70", "Max-Forwards: 0").into_bytes()),
        ("unknown Require", good.replace("Max-Forwards", "Require: nothing-we-know\r\nMax-Forwards").into_bytes()),
        ("tel URI", good.replace("sip:+4722334455@127.0.0.10 ", "tel:+4722334455 ").into_bytes()),
        (
            "stray response",
            b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.10:5060;branch=z9hG4bKnobody\r\nFrom: <sip:a@b>;tag=1\r\n\
           To: <sip:c@d>;tag=2\r\nCall-ID: stray\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
        ),
        (
            "stray BYE",
            good.replace("INVITE", "BYE")
                .replace("To: <sip:b@127.0.0.10>", "To: <sip:b@127.0.0.10>;tag=no")
                .into_bytes(),
        ),
        ("stray CANCEL", good.replace("INVITE", "CANCEL").into_bytes()),
        ("stray ACK", good.replace("INVITE", "ACK").into_bytes()),
    ];
    for (name, body) in [
        ("SDP that is none", "this is not SDP at all"),
        (
            "SDP with a port beyond range",
            "v=0\r\no=- 1 1 IN IP4 127.0.0.20\r\ns=-\r\nc=IN IP4 127.0.0.20\r\nt=0 0\r\nm=audio 99999 RTP/AVP 8\r\n",
        ),
        ("SDP without address", "v=0\r\no=- 1 1 IN IP4 x\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"),
        ("SDP with a hundred streams", "v=0\r\no=- 1 1 IN IP4 127.0.0.20\r\ns=-\r\nc=IN IP4 127.0.0.20\r\nt=0 0\r\n"),
    ] {
        let body = if name.contains("hundred") {
            body.to_owned() + &"m=audio 4000 RTP/AVP 8\r\n".repeat(100)
        } else {
            body.to_owned()
        };
        all.push((name, with_body(&format!("sdp{}", all.len()), body.len(), &body).into_bytes()));
    }
    all
}

#[test]
fn malformed_input_is_counted_and_hurts_no_live_call() {
    namespace::enter();
    let _acme = Sipp::server("server", "127.0.0.31");
    let edge = Edge::start(CONFIG);
    let mut caller = Sipp::caller("caller", "127.0.0.20", EDGE, "+4722334455", 60, 10);
    let socket = UdpSocket::bind("127.0.0.20:5061").expect("a socket");
    let menagerie = menagerie();
    for (_, datagram) in &menagerie {
        socket.send_to(datagram, EDGE).expect("sent");
    }
    mutants(&socket, &menagerie);
    assert!(caller.finished(Duration::from_secs(60)), "live calls went on: {}\n{}", caller.errors(), edge.log());
    let counted = http::metric("throughline_sip_rejected");
    assert!(counted >= 10.0, "rejections are counted by reason: {counted}");
    wait_until("what the half-made calls took is given back", Duration::from_secs(90), || {
        edge.held().0 == 0.0 && edge.held().2 == 0.0
    });
    let (code, _) = http::ask("GET", "/healthz").expect("the edge lives");
    assert_eq!(code, 200);
}

/// The same with bytes changed, cut and repeated, from a fixed seed.
fn mutants(socket: &UdpSocket, menagerie: &[(&'static str, Vec<u8>)]) {
    let mut rng = Rng::new(20_260_101);
    for round in 0..5_000 {
        let mut bytes = menagerie[rng.below(menagerie.len() as u64) as usize].1.clone();
        bytes.truncate(2_000);
        for _ in 0..=rng.below(4) {
            if !bytes.is_empty() {
                let at = rng.below(bytes.len() as u64) as usize;
                match rng.below(3) {
                    0 => bytes[at] = rng.next_u64() as u8,
                    1 => bytes.truncate(at),
                    _ => bytes.insert(at, rng.next_u64() as u8),
                }
            }
        }
        socket.send_to(&bytes, EDGE).expect("sent");
        if round % 50 == 0 {
            // Not faster than the edge's socket buffer can hold, so that most are really read.
            interop::let_pass(Duration::from_millis(5));
        }
    }
}

#[test]
fn strangers_are_refused() {
    namespace::enter();
    let _acme = Sipp::server("server", "127.0.0.31");
    let _edge = Edge::start(CONFIG);
    let socket = UdpSocket::bind("127.0.0.99:5060").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    let request =
        format!("{}Content-Length: 0\r\n\r\n", invite("stranger")).replace("127.0.0.20:5061", "127.0.0.99:5060");
    socket.send_to(request.as_bytes(), EDGE).expect("sent");
    let mut buffer = [0; 4_096];
    let final_code = std::iter::from_fn(|| {
        let length = socket.recv(&mut buffer).ok()?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        Some(text.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok()).unwrap_or(0))
    })
    .find(|code| *code >= 200);
    assert_eq!(final_code, Some(403));
}

#[test]
fn who_floods_the_ports_of_a_live_call_is_not_heard() {
    flooded("portable");
}

#[test]
fn who_floods_the_ports_of_a_live_call_is_not_heard_by_io_uring_either() {
    flooded("io-uring");
}

/// A third host sends sound and goodbyes to every media port there is, while two parties talk.
fn flooded(media_io: &str) {
    namespace::enter();
    let (office, acme) = (agent("office", 20, plays(1_000)), agent("acme", 31, plays(440)));
    let edge = Edge::start(&CONFIG.replace("[edge]", &format!("[edge]\nmedia_io = \"{media_io}\"")));
    office.order(dial(EDGE, 1_300, None));
    let answered = |report: &Report| match report {
        Report::Answered { call, .. } => Some(*call),
        _ => None,
    };
    let call = expect(&office, "the answer", answered);
    // Both are heard before the flood, so that both are known.
    wait_until("both speak", Duration::from_secs(60), || http::metric("throughline_media_relayed_total") >= 20.0);
    let over = Arc::new(AtomicBool::new(false));
    let told = over.clone();
    let flood = Builder::new().spawn(move || flood(&told)).expect("a thread");
    let refused = "throughline_media_dropped_third_party_total";
    wait_until("the flood reaches the call", Duration::from_secs(60), || http::metric(refused) >= 200.0);
    let_pass(Duration::from_secs(2));
    over.store(true, Ordering::Relaxed);
    let sent = flood.join().expect("the flood ends");
    office.order(Order::HangUp(call));
    for (party, tone) in [(&office, 440), (&acme, 1_300)] {
        let heard = expect(party, "the end", ended);
        assert_eq!(heard.tone_hz, Some(tone), "{heard:?}");
        assert!(heard.tone_for >= Span::from_secs(1), "{heard:?}");
        // Fifty a second are the other party's own; one of the flood's rounds alone would be more.
        assert!(heard.packets < 50 * 120, "{heard:?} of {sent} that were injected");
    }
    wait_until("the call is recorded", Duration::from_secs(60), || edge.held().0 == 0.0);
    let fallen = http::metric("throughline_node_media_fallbacks_total") > 0.0;
    if fallen {
        println!("no io_uring here: the portable path once more\n{}", edge.log());
    }
    let by_ring = http::metric("throughline_node_media_by_ring_total");
    let came = http::metric("throughline_node_media_in_total");
    assert_eq!(by_ring, if media_io == "io-uring" && !fallen { came } else { 0.0 });
    let relayed = http::metric("throughline_media_relayed_total");
    assert!(relayed < came / 4.0, "{relayed} of {came} were relayed, the rest was refused");
}

/// Says how much it has sent.
fn flood(over: &AtomicBool) -> usize {
    let socket = UdpSocket::bind("127.0.0.99:40000").expect("a socket");
    let mut talker = ToneTalker::new(850, 0xbad);
    let mut goodbye = Vec::new();
    rtcp::push_receiver(&mut goodbye, 0xbad, &[]);
    rtcp::push_bye(&mut goodbye, 0xbad);
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) {
        let sound = talker.next_packet();
        for (ip, first) in [("127.0.0.10", 20_000), ("127.0.0.11", 30_000)] {
            // Those that are open before the first call, and some that are not.
            for port in first..first + 260_u16 {
                let bytes = if port % 2 == 0 { &sound[..] } else { &goodbye };
                // A port that is not open refuses, and that is told by the next call.
                sent += usize::from(socket.send_to(bytes, (ip, port)).is_ok());
            }
        }
        let_pass(Duration::from_millis(5));
    }
    sent
}
