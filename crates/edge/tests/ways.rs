//! Where requests go whose connection has died: RFC 3261 §18.2.2 has it for responses, §8.1.2 and §12.2.1.1 say where requests lead.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod alone;

use act::{Binding, way_anew};
use alone::alone;
use edge::config::compile;
use edge::{Bound, Input, Output, Shard};
use model::{Instant, Name, SocketId, Span, TransportFault};
use sip::{Flow, Message, Method, Transport};
use std::net::SocketAddr;
use std::sync::Arc;

const TEXT: &str = r#"
[listen.lan]
sip = ["udp:192.0.2.10:5060", "tcp:192.0.2.10:5060"]
media = "192.0.2.10:20000-20099"
[trunk.office]
at = ["sip:198.51.100.7:5060;transport=tcp", "sip:198.51.100.8:5070;transport=tcp", "sip:198.51.100.9"]
listen = "lan"
[group.pbx]
tiers = [["office"]]
[[route]]
to = "pbx"
"#;

#[test]
fn a_request_without_its_connection_goes_to_where_it_leads_or_to_its_trunk() {
    let settings = compile(TEXT, "edge.toml", &|_| None, None).settings.expect("a good text");
    let anew = |peer: &str, hop: Option<&str>| {
        let flow = Flow { socket: SocketId(1), peer: peer.parse().unwrap(), transport: Transport::Tcp };
        let hop: Option<SocketAddr> = hop.map(|hop| hop.parse().unwrap());
        way_anew(&settings.profiles, flow, hop).peer.to_string()
    };
    for (peer, hop, to, why) in [
        ("198.51.100.8:43210", Some("198.51.100.8:5075"), "198.51.100.8:5075", "its Contact"),
        (
            "198.51.100.8:43210",
            Some("10.0.0.8:5075"),
            "198.51.100.8:5070",
            "one behind its NAT leads nowhere; its host is a target",
        ),
        ("198.51.100.8:43210", None, "198.51.100.8:5070", "a name leads nowhere either"),
        ("198.51.100.8:43210", Some("198.51.100.8:43210"), "198.51.100.8:5070", "nobody listens where it called from"),
        ("198.51.100.9:43210", None, "198.51.100.7:5060", "its host has no target by this socket: the first that has"),
        ("198.51.100.7:5060", Some("198.51.100.7:5060"), "198.51.100.7:5060", "a connection of our own: again"),
        ("203.0.113.5:43210", None, "203.0.113.5:43210", "nobody's: it will fail there"),
    ] {
        assert_eq!(anew(peer, hop), to, "{why}");
    }
}

const PHONES: &str = "[listen.lan]\nsip = [\"udp:192.0.2.10:5060\", \"tcp:192.0.2.10:5060\"]\n[trunk.office]\n\
    at = \"sip:192.0.2.20\"\nlisten = \"lan\"\n[trunk.phones]\nat = \"registered\"\nlisten = \"lan\"\n[group.phones]\n\
    tiers = [[\"phones\"]]\nalone = true\n[[route]]\nto = \"phones\"\n[registrar]\nlisten = \"lan\"\nrealm = \"example.net\"\n\
    users = \"users.csv\"\n";
const CALLED: &str = "INVITE sip:201@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
    From: <sip:1@192.0.2.20>;tag=1\r\nTo: <sip:201@192.0.2.10>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:1@192.0.2.20>\r\n\
    Content-Length: 0\r\n\r\n";

/// Requests that a shard sends, with the ways by which they leave.
fn requests(shard: &mut Shard) -> Vec<(Method, Flow)> {
    let sent = std::iter::from_fn(|| shard.poll()).filter_map(|output| match output {
        Output::Datagram(transmit) => Some((Message::parse(transmit.bytes).unwrap(), transmit.flow)),
        _ => None,
    });
    sent.filter(|(message, _)| message.is_request()).map(|(message, flow)| (message.method(), flow)).collect()
}

/// RFC 5626 §5.3: a phone is reached by its connection and by nothing else, whatever its Contact says. What is under way by it ends with it,
/// also when the shard has learnt before that the phone is not bound by it any more: of a connection's end it hears beside what other shards
/// tell of it, and a phone that has come back by another connection leaves the dead one to its time-out.
#[test]
fn a_phone_is_sought_nowhere_else_when_its_connection_ends_with_a_call_under_way() {
    let by = |port: u16| Flow { socket: SocketId(1), peer: ([203, 0, 113, 9], port).into(), transport: Transport::Tcp };
    let bound = |flow: Option<Flow>| {
        let binding = |flow| Binding {
            contact: (*b"sip:201@203.0.113.9:5070;transport=tcp").into(),
            flow,
            path: vec![],
            instance: None,
            reg_id: None,
            q: 1_000,
            call_id: (*b"r").into(),
            cseq: 1,
            expires: Instant::ZERO + Span::from_secs(600),
        };
        [Bound { aor: Name::from("201"), bindings: flow.map(binding).into_iter().collect::<Arc<[_]>>() }]
    };
    for (since, why) in [
        (bound(Some(by(40_000))), "nothing has been told of it"),
        (bound(None), "its end was told by another shard"),
        (bound(Some(by(40_001))), "the phone has come back by another"),
    ] {
        let (_, mut shard) = alone(PHONES);
        let office = Flow { socket: SocketId(0), peer: ([192, 0, 2, 20], 5_060).into(), transport: Transport::Udp };
        shard.handle(Instant::ZERO, Input::Bindings(&bound(Some(by(40_000)))));
        requests(&mut shard);
        shard.handle(Instant::ZERO, Input::Datagram { flow: office, bytes: CALLED.as_bytes() });
        assert_eq!(requests(&mut shard), [(Method::Invite, by(40_000))], "{why}");
        shard.handle(Instant::ZERO, Input::Bindings(&since));
        shard.handle(Instant::ZERO, Input::Broken { flow: by(40_000), fault: TransportFault::Broken });
        let elsewhere: Vec<_> = requests(&mut shard).into_iter().filter(|(_, to)| to.peer.port() == 5_070).collect();
        assert_eq!(elsewhere, [], "{why}");
    }
}
