//! IPv6 on one side of the edge or on both: who calls, who is called and their audio are each of their own family.
#![allow(clippy::expect_used)]

use interop::edge::Edge;
use interop::namespace;
use interop::sipp::Sipp;
use peers::asterisk::{self, Asterisk};
use peers::baresip::{self, Baresip};
use peers::kamailio::{self, BEHIND, Kamailio, TO_BEHIND};
use peers::matrix::{ACME, FAR, LAN, LIMIT, NEAR, OFFICE, rests, was_tried};
use peers::party::{Party, call_each_other};
use peers::way::{self, Way};

const OFFICE_HZ: u16 = 1_300;
const ACME_HZ: u16 = 440;

/// A peer of one maker or the other.
#[derive(Clone, Copy)]
enum Maker {
    Asterisk,
    Baresip,
}

/// PBX and carrier call each other through the edge, each by its way.
fn over(test: &str, office: (Maker, Way), acme: (Maker, Way)) {
    namespace::enter();
    let authority = way::authority(test, office.1, acme.1);
    let files = authority.folder();
    let edge = way::config(office.1, acme.1, &files);
    let (office_at, acme_at) = (office.1.office(), acme.1.acme());
    let office = party(office, "office", &office_at, &office.1.lan(), (NEAR, OFFICE_HZ), &files);
    let acme = party(acme, "acme", &acme_at, &acme.1.wan(), (FAR, ACME_HZ), &files);
    let edge = Edge::start(&edge);
    call_each_other(&edge, office.as_ref(), acme.as_ref());
}

fn party(
    (maker, way): (Maker, Way),
    name: &str,
    ip: &str,
    edge: &str,
    (user, tone): (&str, u16),
    files: &str,
) -> Box<dyn Party> {
    let transport = way.transport;
    match maker {
        Maker::Asterisk => {
            let plain = asterisk::Setup::plain(name, ip, edge, tone);
            Box::new(Asterisk::start(&asterisk::Setup { transport, files, ..plain }))
        }
        Maker::Baresip => Box::new(Baresip::start(&baresip::Setup::plain(name, ip, edge, user, tone))),
    }
}

#[test]
fn a_pbx_over_ipv4_and_a_carrier_over_ipv6_call_each_other() {
    over("v4-v6", (Maker::Asterisk, Way::v4("udp")), (Maker::Asterisk, Way::v6("udp")));
}

#[test]
fn a_pbx_over_ipv6_and_a_carrier_over_ipv4_call_each_other() {
    over("v6-v4", (Maker::Asterisk, Way::v6("udp")), (Maker::Asterisk, Way::v4("udp")));
}

#[test]
fn a_pbx_and_a_carrier_by_tcp_over_ipv6_call_each_other() {
    over("v6-tcp", (Maker::Asterisk, Way::v6("tcp")), (Maker::Asterisk, Way::v6("tcp")));
}

#[test]
fn a_pbx_and_a_carrier_by_tls_over_ipv6_call_each_other() {
    over("v6-tls", (Maker::Asterisk, Way::v6("tls")), (Maker::Asterisk, Way::v6("tls")));
}

#[test]
fn a_phone_over_ipv6_and_one_over_ipv4_call_each_other() {
    over("phones", (Maker::Baresip, Way::v6("udp")), (Maker::Baresip, Way::v4("udp")));
}

#[test]
fn a_phone_over_ipv4_and_a_carrier_over_ipv6_call_each_other() {
    over("phone-carrier", (Maker::Baresip, Way::v4("udp")), (Maker::Asterisk, Way::v6("udp")));
}

/// A proxy between the families leaves two Record-Routes (RFC 5658 §3): the edge's ACK follows them, and so does the carrier's BYE.
#[test]
fn a_proxy_over_ipv6_before_a_carrier_over_ipv4() {
    namespace::enter();
    let (office, acme) = (Way::v4("udp"), Way::v6("udp"));
    let authority = way::authority("proxy-v6", office, acme);
    let (listens, back) = ("listen=udp:[fd00::31]:5060\n", "$du = \"sip:[fd00::11]:5060\"; t_relay();");
    let plain = kamailio::Setup::plain("acme", ACME, back, BEHIND, TO_BEHIND);
    let proxy = Kamailio::start(&kamailio::Setup { listens, ..plain });
    let _carrier = Sipp::server("server_ends", BEHIND);
    let edge = Edge::start(&way::config(office, acme, &authority.folder()));
    let mut caller = Sipp::caller("caller_ended_by_callee", OFFICE, LAN, FAR, 1, 1);
    assert!(caller.finished(LIMIT), "{}\n{}\n{}", caller.errors(), edge.log(), proxy.log());
    for routed in ["routes ACK of ", "routes BYE of 127.0.0.41\n"] {
        assert_eq!(proxy.said(routed), 1, "{routed}: {}", proxy.log());
    }
    assert_eq!(proxy.said("cannot place"), 0, "{}", proxy.log());
    rests(&edge);
    was_tried(&[("acme", "answered")]);
}
