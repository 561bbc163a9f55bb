//! TCP and TLS, and one beside the other: Asterisk and Kamailio as they connect, are connected to, and are lost.
#![allow(clippy::expect_used)]

use interop::certificates::{Authority, Valid};
use interop::edge::{CONFIG, Edge};
use interop::sipp::Sipp;
use interop::{namespace, wait_until};
use peers::asterisk::{Asterisk, Setup};
use peers::kamailio::{self, Kamailio};
use peers::matrix::{
    ACME, FAR, GLOBEX, LAN, LIMIT, NEAR, OFFICE, attempts, hear_each_other, recorded, rests, was_tried,
};

const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;
const GLOBEX_HZ: u16 = 850;

/// Certificates for both sides of the edge and for each peer, each for its address.
fn authority(test: &str) -> Authority {
    let authority = Authority::new(test);
    let hosts = [("lan", "127.0.0.10"), ("wan", "127.0.0.11"), ("office", OFFICE), ("acme", ACME)];
    for (who, host) in hosts {
        authority.issue(who, host, Valid::Now);
    }
    authority
}

/// The edge by every transport, with the PBX and the carrier `acme` by these.
fn config(office: &str, acme: &str, files: &str) -> String {
    let mut config = CONFIG.to_owned();
    for (side, ip) in [("lan", "127.0.0.10"), ("wan", "127.0.0.11")] {
        let listens = format!("\"udp:{ip}:5060\", \"tcp:{ip}:5060\", \"tls:{ip}:5061\"]");
        let identity = format!("tls = {{ certificate = \"{files}/{side}.pem\", key = \"{files}/{side}.key\" }}");
        config = config.replace(&format!("\"udp:{ip}:5060\"]"), &format!("{listens}\n{identity}"));
    }
    for (ip, transport) in [(OFFICE, office), (ACME, acme)] {
        let at = match transport {
            "udp" => format!("at = \"sip:{ip}:5060\""),
            "tcp" => format!("at = \"sip:{ip}:5060;transport=tcp\""),
            _ => format!("at = \"sips:{ip}\"\ntls = {{ trust = \"{files}/ca.pem\" }}"),
        };
        config = config.replace(&format!("at = \"sip:{ip}:5060\""), &at);
    }
    config
}

/// Where the edge listens for this transport.
fn edge_at(ip: &str, transport: &str) -> String {
    format!("{ip}:{}", if transport == "tls" { 5061 } else { 5060 })
}

/// Both call each other, by a transport each.
fn call_each_other(test: &str, office_by: &str, acme_by: &str) {
    namespace::enter();
    let authority = authority(test);
    let files = authority.folder();
    let (to_lan, to_wan) = (edge_at("127.0.0.10", office_by), edge_at("127.0.0.11", acme_by));
    let office = Setup { transport: office_by, files: &files, ..Setup::plain("office", OFFICE, &to_lan, OFFICE_HZ) };
    let acme = Setup { name: "acme", ip: ACME, edge: &to_wan, transport: acme_by, tone: ACME_HZ, ..office };
    let (office, acme) = (Asterisk::start(&office), Asterisk::start(&acme));
    let edge = Edge::start(&config(office_by, acme_by, &files));
    office.call(FAR, "talk");
    hear_each_other((&office, OFFICE_HZ), (&acme, ACME_HZ));
    office.rests();
    acme.rests();
    acme.call(NEAR, "talk");
    hear_each_other((&office, OFFICE_HZ), (&acme, ACME_HZ));
    acme.rests();
    rests(&edge);
    let answered = |trunk: &str| vec![(trunk.to_owned(), "answered".to_owned())];
    let tried: Vec<_> = recorded(2).iter().map(attempts).collect();
    assert_eq!(tried, [answered("acme"), answered("office")]);
}

#[test]
fn a_pbx_by_tcp_and_a_carrier_by_udp_call_each_other() {
    call_each_other("tcp-udp", "tcp", "udp");
}

#[test]
fn a_pbx_by_udp_and_a_carrier_by_tcp_call_each_other() {
    call_each_other("udp-tcp", "udp", "tcp");
}

#[test]
fn a_pbx_and_a_carrier_by_tls_call_each_other() {
    call_each_other("tls-tls", "tls", "tls");
}

#[test]
fn a_pbx_by_tls_and_a_carrier_by_tcp_call_each_other() {
    call_each_other("tls-tcp", "tls", "tcp");
}

/// What is on the wire goes on without the connections, and whoever speaks next connects anew.
#[test]
fn a_live_call_outlives_its_connections() {
    namespace::enter();
    let authority = authority("cut");
    let files = authority.folder();
    let office =
        Setup { transport: "tls", files: &files, ..Setup::plain("office", OFFICE, "127.0.0.10:5061", OFFICE_HZ) };
    let acme = Setup { name: "acme", ip: ACME, edge: "127.0.0.11:5061", tone: ACME_HZ, ..office };
    let (office, acme) = (Asterisk::start(&office), Asterisk::start(&acme));
    let edge = Edge::start(&config("tls", "tls", &files));
    office.command(&format!("channel originate PJSIP/{FAR}@edge extension +1@inbound"));
    hear_each_other((&office, OFFICE_HZ), (&acme, ACME_HZ));
    namespace::cut(5061);
    hear_each_other((&office, OFFICE_HZ), (&acme, ACME_HZ));
    office.command("channel request hangup all");
    acme.rests();
    rests(&edge);
    was_tried(&[("acme", "answered")]);
}

/// The carrier's process dies under its connection: the call that rings there goes on elsewhere.
#[test]
fn a_carrier_that_dies_while_it_rings_by_tcp_is_left() {
    namespace::enter();
    let authority = authority("dies");
    let files = authority.folder();
    let office = Setup::plain("office", OFFICE, LAN, OFFICE_HZ);
    let takes = "exten => _[+0-9]!,1,Wait(40)\n";
    let acme = Setup { name: "acme", ip: ACME, edge: "127.0.0.11:5060", transport: "tcp", inbound: takes, ..office };
    let globex = Setup { name: "globex", ip: GLOBEX, edge: "127.0.0.11:5060", tone: GLOBEX_HZ, ..office };
    let (office, acme, globex) = (Asterisk::start(&office), Asterisk::start(&acme), Asterisk::start(&globex));
    let edge = Edge::start(&config("udp", "tcp", &files));
    office.call(FAR, "talk");
    wait_until("the call is at the carrier", LIMIT, || acme.channels() == 1);
    acme.kill();
    hear_each_other((&office, OFFICE_HZ), (&globex, GLOBEX_HZ));
    office.rests();
    rests(&edge);
    let tried: Vec<String> = attempts(&recorded(1)[0]).into_iter().map(|(trunk, _)| trunk).collect();
    assert_eq!(tried, ["acme", "globex"]);
}

/// A proxy between two transports leaves two Record-Routes (RFC 5658): both are followed, from both sides.
fn by_way_of_a_proxy(test: &str, transport: &str, caller: &str, carrier: &str, routed: &[(&str, &str)]) {
    namespace::enter();
    let authority = authority(test);
    let files = authority.folder();
    let (listens, back) = match transport {
        "tls" => (
            format!(
                "enable_tls=yes\nlisten=tls:{ACME}:5061\nloadmodule \"tls.so\"\nmodparam(\"tls\", \"certificate\", \"{files}/acme.pem\")\n\
                 modparam(\"tls\", \"private_key\", \"{files}/acme.key\")\nmodparam(\"tls\", \"ca_list\", \"{files}/ca.pem\")\n\
                 modparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\n"
            ),
            "sip:127.0.0.11:5061;transport=tls",
        ),
        _ => (format!("listen=tcp:{ACME}:5060\n"), "sip:127.0.0.11:5060;transport=tcp"),
    };
    let does = "$du = \"sip:127.0.0.41:5060\"; t_relay();";
    let proxy = kamailio::Setup { name: "acme", ip: ACME, listens: &listens, back, onward: "127.0.0.41", does };
    let proxy = Kamailio::start(&proxy);
    let _carrier = Sipp::server(carrier, "127.0.0.41");
    let edge = Edge::start(&config("udp", transport, &files));
    let mut caller = Sipp::caller(caller, OFFICE, LAN, FAR, 1, 1);
    assert!(caller.finished(LIMIT), "{}\n{}\n{}", caller.errors(), edge.log(), proxy.log());
    for (method, from) in routed {
        assert_eq!(proxy.said(&format!("routes {method} of {from}\n")), 1, "{method}: {}", proxy.log());
    }
    assert_eq!(proxy.said("cannot place"), 0, "{}", proxy.log());
    rests(&edge);
    was_tried(&[("acme", "answered")]);
}

#[test]
fn a_proxy_by_tcp_before_a_carrier_by_udp() {
    let routed = [("ACK", "127.0.0.11"), ("INFO", "127.0.0.11"), ("BYE", "127.0.0.11")];
    by_way_of_a_proxy("proxy-tcp", "tcp", "caller_indialog", "server_indialog", &routed);
}

#[test]
fn a_proxy_by_tls_before_a_carrier_by_udp_that_ends_the_call() {
    let routed = [("ACK", "127.0.0.11"), ("BYE", "127.0.0.41")];
    by_way_of_a_proxy("proxy-tls", "tls", "caller_ended_by_callee", "server_ends", &routed);
}
