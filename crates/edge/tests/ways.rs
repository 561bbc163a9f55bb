//! Where requests go whose connection has died: RFC 3261 §18.2.2 has it for responses, §8.1.2 and §12.2.1.1 say where requests lead.

use act::way_anew;
use edge::config::compile;
use model::SocketId;
use sip::{Flow, Transport};
use std::net::SocketAddr;

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
