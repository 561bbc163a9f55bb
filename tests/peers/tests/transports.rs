//! TCP and TLS, and one beside the other: Asterisk and Kamailio as they connect, are connected to, and are lost.
#![allow(clippy::expect_used)]

use interop::edge::Edge;
use interop::sipp::Sipp;
use interop::{namespace, wait_until};
use peers::asterisk::{Asterisk, Setup};
use peers::kamailio::{self, BEHIND, Kamailio, TO_BEHIND};
use peers::matrix::{ACME, FAR, GLOBEX, LAN, LIMIT, OFFICE, attempts, recorded, rests, was_tried};
use peers::party::{Party, call_each_other, hear_each_other};
use peers::way::{self, Way};

const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;
const GLOBEX_HZ: u16 = 850;

/// Both call each other, by a way each.
fn over(test: &str, office_by: Way, acme_by: Way) {
    namespace::enter();
    let authority = way::authority(test, office_by, acme_by);
    let files = authority.folder();
    let (office_ip, lan, acme_ip, wan) = (office_by.office(), office_by.lan(), acme_by.acme(), acme_by.wan());
    let office =
        Setup { transport: office_by.transport, files: &files, ..Setup::plain("office", &office_ip, &lan, OFFICE_HZ) };
    let acme = Setup { transport: acme_by.transport, files: &files, ..Setup::plain("acme", &acme_ip, &wan, ACME_HZ) };
    let (office, acme) = (Asterisk::start(&office), Asterisk::start(&acme));
    let edge = Edge::start(&way::config(office_by, acme_by, &files));
    call_each_other(&edge, &office, &acme);
}

#[test]
fn a_pbx_by_tcp_and_a_carrier_by_udp_call_each_other() {
    over("tcp-udp", Way::v4("tcp"), Way::v4("udp"));
}

#[test]
fn a_pbx_by_udp_and_a_carrier_by_tcp_call_each_other() {
    over("udp-tcp", Way::v4("udp"), Way::v4("tcp"));
}

#[test]
fn a_pbx_and_a_carrier_by_tls_call_each_other() {
    over("tls-tls", Way::v4("tls"), Way::v4("tls"));
}

#[test]
fn a_pbx_by_tls_and_a_carrier_by_tcp_call_each_other() {
    over("tls-tcp", Way::v4("tls"), Way::v4("tcp"));
}

/// What is on the wire goes on without the connections, and whoever speaks next connects anew.
#[test]
fn a_live_call_outlives_its_connections() {
    namespace::enter();
    let authority = way::authority("cut", Way::v4("tls"), Way::v4("tls"));
    let files = authority.folder();
    let office =
        Setup { transport: "tls", files: &files, ..Setup::plain("office", OFFICE, "127.0.0.10:5061", OFFICE_HZ) };
    let acme = Setup { name: "acme", ip: ACME, edge: "127.0.0.11:5061", tone: ACME_HZ, ..office };
    let (office, acme) = (Asterisk::start(&office), Asterisk::start(&acme));
    let edge = Edge::start(&way::config(Way::v4("tls"), Way::v4("tls"), &files));
    office.calls(FAR);
    hear_each_other(&office, &acme);
    namespace::cut(5061);
    hear_each_other(&office, &acme);
    office.hangs_up();
    acme.rests();
    rests(&edge);
    was_tried(&[("acme", "answered")]);
}

/// The carrier's process dies under its connection: the call that rings there goes on elsewhere.
#[test]
fn a_carrier_that_dies_while_it_rings_by_tcp_is_left() {
    namespace::enter();
    let authority = way::authority("dies", Way::v4("udp"), Way::v4("tcp"));
    let files = authority.folder();
    let office = Setup::plain("office", OFFICE, LAN, OFFICE_HZ);
    let takes = "exten => _[+0-9]!,1,Wait(40)\n";
    let acme = Setup { name: "acme", ip: ACME, edge: "127.0.0.11:5060", transport: "tcp", inbound: takes, ..office };
    let globex = Setup { name: "globex", ip: GLOBEX, edge: "127.0.0.11:5060", tone: GLOBEX_HZ, ..office };
    let (office, acme, globex) = (Asterisk::start(&office), Asterisk::start(&acme), Asterisk::start(&globex));
    let edge = Edge::start(&way::config(Way::v4("udp"), Way::v4("tcp"), &files));
    office.call(FAR, "talk");
    wait_until("the call is at the carrier", LIMIT, || acme.channels() == 1);
    acme.kill();
    hear_each_other(&office, &globex);
    office.rests();
    rests(&edge);
    let tried: Vec<String> = attempts(&recorded(1)[0]).into_iter().map(|(trunk, _)| trunk).collect();
    assert_eq!(tried, ["acme", "globex"]);
}

/// A proxy between two transports leaves two Record-Routes (RFC 5658): both are followed, from both sides.
fn by_way_of_a_proxy(test: &str, transport: &'static str, caller: &str, carrier: &str, routed: &[(&str, &str)]) {
    namespace::enter();
    let authority = way::authority(test, Way::v4("udp"), Way::v4(transport));
    let files = authority.folder();
    let (listens, back) = match transport {
        "tls" => (
            format!(
                "enable_tls=yes\nlisten=tls:{ACME}:5061\nloadmodule \"tls.so\"\nmodparam(\"tls\", \"certificate\", \"{files}/acme.pem\")\n\
                 modparam(\"tls\", \"private_key\", \"{files}/acme.key\")\nmodparam(\"tls\", \"ca_list\", \"{files}/ca.pem\")\n\
                 modparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\n"
            ),
            "$du = \"sip:127.0.0.11:5061;transport=tls\"; t_relay();",
        ),
        _ => (format!("listen=tcp:{ACME}:5060\n"), "$du = \"sip:127.0.0.11:5060;transport=tcp\"; t_relay();"),
    };
    let proxy = kamailio::Setup { listens: &listens, ..kamailio::Setup::plain("acme", ACME, back, BEHIND, TO_BEHIND) };
    let proxy = Kamailio::start(&proxy);
    let _carrier = Sipp::server(carrier, BEHIND);
    let edge = Edge::start(&way::config(Way::v4("udp"), Way::v4(transport), &files));
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
