//! Which way requests inside a call take, and what becomes of those outside one. RFC 3261 §12.2.1.1, §16.12.1, §8.2; RFC 5627; RFC 6665.

use crate::peer::{Step, say, sdp};
use crate::world::{EDGE, Lab};
use sip::{HeaderName, Message, Method};

/// A call that carrier 1 answers by these headers; the caller's BYE as it went to it.
fn bye_after(headers: Vec<(&'static str, &'static str)>) -> (Message, std::net::SocketAddr) {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![Step { headers, ..sdp(10, 200) }]];
    lab.peers[1].acks = true;
    lab.call("+4722");
    lab.run(500);
    lab.send(0, Method::Bye, "", vec![]);
    lab.run(100);
    let bye = |sent: &&(model::Instant, std::net::SocketAddr, Message)| {
        sent.2.is_request() && sent.2.method() == Method::Bye && sent.1 != lab.peers[0].addr
    };
    let (_, to, bye) = lab.sent.iter().find(bye).expect("a BYE");
    (bye.clone(), *to)
}

fn routes(message: &Message) -> Vec<String> {
    message.values(HeaderName::Route).map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

/// §12.2.1.1: a loose router is visited, and the target stays the request URI. A double Record-Route is two visits (RFC 5658 §4).
#[test]
fn loose_routes_are_visited_in_the_reverse_of_their_record() {
    let (bye, to) =
        bye_after(vec![("Record-Route", "<sip:192.0.2.50;lr;x=far>, <sip:192.0.2.50:5070;transport=udp;lr>")]);
    assert_eq!(bye.uri(), b"sip:192.0.2.21:5060");
    assert_eq!(routes(&bye), ["<sip:192.0.2.50:5070;transport=udp;lr>", "<sip:192.0.2.50;lr;x=far>"]);
    assert_eq!(to.to_string(), "192.0.2.50:5070");
}

/// §12.2.1.1, §16.12.1: a strict router is the request URI, and the target comes last.
#[test]
fn a_strict_router_is_asked_in_its_own_name() {
    let (bye, to) = bye_after(vec![("Record-Route", "<sip:192.0.2.51:5070>")]);
    assert_eq!(bye.uri(), b"sip:192.0.2.51:5070");
    assert_eq!(routes(&bye), ["<sip:192.0.2.21:5060>"]);
    assert_eq!(to.to_string(), "192.0.2.51:5070");
}

/// §12.2.2: a re-INVITE's Contact is the target from then on, all its parameters with it (`gr` of RFC 5627, `ob` of RFC 5626); its
/// Record-Route changes nothing. `maddr` leads nowhere: the host does.
#[test]
fn a_reinvite_moves_the_target_and_not_the_route() {
    let mut lab = Lab::answered(1);
    let body = lab.peers[1].sdp();
    let flow = lab.peers[1].sessions[0].flow;
    let mut draft = lab.peers[1].sessions[0].dialog.request(Method::Invite);
    draft.headers.push("Contact", b"<sip:ann@192.0.2.21:5060;gr=urn:uuid:1;ob;maddr=192.0.2.98;transport=udp>");
    draft.headers.push("Record-Route", b"<sip:192.0.2.97;lr>");
    draft.headers.push("Content-Type", b"application/sdp");
    draft.body = body;
    lab.peers[1].endpoint.request(lab.now, flow, draft, &sip::TimerSet::default()).unwrap();
    lab.run(500);
    lab.send(0, Method::Info, "", vec![]);
    lab.run(100);
    let info = lab.peers[1].requests(Method::Info)[0];
    assert_eq!(info.uri(), b"sip:ann@192.0.2.21:5060;gr=urn:uuid:1;ob;maddr=192.0.2.98;transport=udp");
    assert!(routes(info).is_empty());
    assert!(lab.sent.iter().all(|(_, to, _)| !to.to_string().starts_with("192.0.2.9")));
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

/// RFC 6314 §4: a private address that a public peer writes is one behind its NAT, which leads nowhere from here; a public one is followed.
#[test]
fn a_private_address_of_a_public_peer_is_not_followed() {
    for (written, goes) in [
        ("<sip:10.1.2.3:5070;lr>", "192.0.2.21:5060"),
        ("<sip:192.168.7.7;lr>", "192.0.2.21:5060"),
        ("<sip:0.0.0.0;lr>", "192.0.2.21:5060"),
        ("<sip:[fd00::7]:5070;lr>", "192.0.2.21:5060"),
        ("<sip:192.0.2.50:5070;lr>", "192.0.2.50:5070"),
    ] {
        let (bye, to) = bye_after(vec![("Record-Route", written)]);
        assert_eq!(to.to_string(), goes, "{written}");
        assert_eq!(routes(&bye), [written], "what it wrote is still said to it");
    }
}

fn outside(method: &str, n: usize) -> String {
    format!(
        "{method} sip:1@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKo{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@b>;tag=o{n}\r\nTo: <sip:1@b>\r\nCall-ID: o{n}\r\nCSeq: 1 {method}\r\nContact: <sip:a@192.0.2.10>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// §8.2.1, RFC 6665 §4.1.3 and §4.2.1.1, RFC 3903 §6, RFC 3515 §2.4.2: each has the code that says what we are not.
#[test]
fn what_begins_no_call_has_its_code() {
    let cases = [("SUBSCRIBE", 489), ("PUBLISH", 489), ("NOTIFY", 481), ("REFER", 603), ("BYE", 481), ("FOO", 405)];
    for (n, (method, code)) in cases.into_iter().enumerate() {
        let mut lab = Lab::new(1);
        let office = lab.peers[0].addr;
        lab.inject(office, &outside(method, n));
        lab.run(100);
        let (_, to, answer) = lab.sent.last().expect("an answer");
        assert_eq!((answer.status(), *to), (Some(code), office), "{method}");
        if code == 405 {
            let allow = String::from_utf8(answer.header(HeaderName::Allow).unwrap().to_vec()).unwrap();
            assert!(!allow.contains(method) && allow.contains("REFER"), "{allow}");
        }
        lab.settle();
    }
}

fn text_message(n: usize) -> String {
    let text = outside("MESSAGE", n)
        .replace("sip:1@", "sip:+4722@")
        .replace("Contact: <sip:a@192.0.2.10>\r\n", "X-Odd: 1\r\n");
    text.replace("Content-Length: 0\r\n\r\n", "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi")
}

/// RFC 3428 §6: a MESSAGE goes the way of a call, to one target and, when that cannot take it, the next; its answer comes back.
#[test]
fn a_message_is_routed_like_a_call() {
    for (first, second, code) in [
        (200, 200, 200),
        (503, 200, 200),
        (503, 404, 404),
        (486, 200, 486),
        (401, 200, 200),
        (401, 407, 403),
        (302, 200, 480),
    ] {
        let mut lab = Lab::new(2);
        let office = lab.peers[0].addr;
        (lab.peers[1].outside, lab.peers[2].outside) = (first, second);
        lab.inject(office, &text_message(first.into()));
        lab.run(500);
        let got = lab.peers[1].requests(Method::Message)[0];
        assert_eq!(got.uri(), b"sip:+4722@192.0.2.21:5060");
        assert_eq!((got.body(), got.content_type()), (&b"hi"[..], Some(&b"text/plain"[..])));
        assert_eq!((got.named("X-Odd"), got.max_forwards()), (Some(&b"1"[..]), Some(69)));
        assert_eq!(got.from().uri, format!("sip:a@{}", EDGE[1]).as_bytes());
        assert!(got.contact().is_none(), "RFC 3428 §5");
        assert_eq!(lab.peers[2].requests(Method::Message).len(), usize::from(matches!(first, 503 | 401)));
        let answers: Vec<u16> =
            lab.sent.iter().filter(|(_, to, _)| *to == office).filter_map(|sent| sent.2.status()).collect();
        assert_eq!(answers, [code]);
        lab.settle();
    }
}

/// RFC 4320 §4.2: silence is no 408. A stranger is nobody, and what has no route goes nowhere.
#[test]
fn a_message_that_nobody_takes_is_refused() {
    let mut lab = Lab::new(2);
    let office = lab.peers[0].addr;
    (lab.peers[1].dead, lab.peers[2].closed) = (true, true);
    lab.inject(office, &text_message(1));
    lab.run(20_000);
    assert_eq!(lab.sent.last().unwrap().2.status(), Some(503));
    lab.settle();
    let mut lab = Lab::new(1);
    lab.inject("192.0.2.66:5060".parse().unwrap(), &text_message(2));
    lab.run(100);
    assert_eq!(lab.sent.last().unwrap().2.status(), Some(403));
    lab.route_office(|rule| rule.prefixes = vec!["+1".into()]);
    lab.inject(office, &text_message(3));
    lab.run(100);
    assert_eq!(lab.sent.last().unwrap().2.status(), Some(404));
    lab.settle();
}

/// §8.2.2.3: what is required and we lack is named; §20.32 in a call as outside.
#[test]
fn what_we_lack_is_named_inside_a_call_too() {
    let mut lab = Lab::answered(1);
    let client = lab.send_in(0, 0, Method::Info, &[("Require", "replaces, xyz")]);
    lab.run(100);
    let answer = lab.peers[0].last(client);
    assert_eq!((answer.status(), answer.header(HeaderName::Unsupported)), (Some(420), Some(&b"xyz"[..])));
    assert!(lab.peers[1].requests(Method::Info).is_empty());
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

/// §7.4: bodies, their types and dispositions, and headers nobody knows, pass as they are, either way.
#[test]
fn bodies_and_unknown_headers_pass_untouched() {
    let mut lab = Lab::answered(1);
    let body = b"\x00\x01\r\n\r\nodd".to_vec();
    let extra = [
        ("Content-Disposition", "signal;handling=optional"),
        ("Content-Encoding", "gzip"),
        ("Info-Package", "x"),
        ("X-Odd", "a;b=\"c\""),
    ];
    let client = lab.peers[1].send_with(lab.now, 0, Method::Info, "application/x-odd;v=1", body.clone(), &extra);
    lab.run(200);
    assert_eq!(lab.peers[1].codes(client), [200]);
    let info = lab.peers[0].requests(Method::Info)[0];
    assert_eq!((info.body(), info.content_type()), (&body[..], Some(&b"application/x-odd;v=1"[..])));
    for (name, value) in extra {
        assert_eq!(info.named(name), Some(value.as_bytes()), "{name}");
    }
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

/// Our Contact is our own address on each side, never a peer's.
#[test]
fn each_side_is_told_our_address_on_its_side() {
    let mut lab = Lab::new(1);
    lab.peers[1].steps = vec![vec![say(10, 180), sdp(50, 200)]];
    let client = lab.call("+4722");
    lab.run(500);
    let ours = |socket: usize| format!("sip:{}", EDGE[socket]).into_bytes();
    assert_eq!(lab.peers[0].last(client).contact().unwrap().uri, ours(0));
    assert_eq!(lab.peers[1].requests(Method::Invite)[0].contact().unwrap().uri, ours(1));
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}

/// RFC 3608 §6.1: the way that a registrar wants goes into each call and each MESSAGE to its target, and into those to no other.
#[test]
fn calls_take_the_way_that_the_registrar_of_their_target_wants() {
    let mut lab = Lab::new(2);
    let wanted = [&b"<sip:orig@a.example;lr>"[..], b"<sip:b.example;lr>"];
    let target = model::TargetId { trunk: model::TrunkId(1), index: 0 };
    let route = act::ServiceRoute { target, values: wanted.map(Box::from).into() };
    assert!(lab.service_routes.set(route.clone()) && !lab.service_routes.set(route), "said again it is no news");
    lab.peers[1].outside = 503;
    lab.peers[1].steps = vec![vec![crate::peer::say(10, 503)]];
    let client = lab.call("+4722");
    lab.run(1_000);
    assert_eq!(lab.peers[0].codes(client).last(), Some(&200));
    let office = lab.peers[0].addr;
    lab.inject(office, &text_message(1));
    lab.run(500);
    for method in [Method::Invite, Method::Message] {
        let routes =
            |peer: usize| -> Vec<&[u8]> { lab.peers[peer].requests(method)[0].values(HeaderName::Route).collect() };
        assert_eq!((routes(1), routes(2)), (wanted.to_vec(), vec![]), "{method:?}");
    }
    lab.send(0, Method::Bye, "", vec![]);
    lab.settle();
}
