//! RFC 5118 §4: IPv6 in SIP.

use super::*;
use sip::{HeaderName, Method, Uri, Via};

fn hear_ipv6(name: &str) -> Heard {
    hear_from(name, "[2001:db8::10]:5060", "[2001:db8::9:1]:5060", Transport::Udp)
}

fn registered_at(name: &str) -> Option<SocketAddr> {
    let message = hear_ipv6(name).accepted();
    assert_eq!((message.method(), message.via().ip()), (Method::Register, Some("2001:db8::9:1".parse().unwrap())));
    Uri::parse(message.uri()).unwrap().socket_addr(sip::Transport::Udp)
}

#[test]
fn ipv6_good() {
    assert_eq!(registered_at("5118/ipv6-good.dat"), Some("[2001:db8::10]:5060".parse().unwrap()));
}

#[test]
fn ipv6_bad() {
    hear_ipv6("5118/ipv6-bad.dat").malformed(Malformed::RequestLine);
}

#[test]
fn port_ambiguous() {
    // What may have been meant for a port is the address's last group.
    assert_eq!(registered_at("5118/port-ambiguous.dat"), Some("[2001:db8::10:5070]:5060".parse().unwrap()));
}

#[test]
fn port_unambiguous() {
    assert_eq!(registered_at("5118/port-unambiguous.dat"), Some("[2001:db8::10]:5070".parse().unwrap()));
}

#[test]
fn via_received_param_with_delim() {
    let message = hear_ipv6("5118/via-received-param-with-delim.dat").accepted();
    assert_eq!((message.method(), message.via().branch()), (Method::Bye, Some(&b"z9hG4bKas3-111"[..])));
    assert_eq!(message.via().params().get("received"), Some(&b"[2001:db8::9:255]"[..]));
}

#[test]
fn via_received_param_no_delim() {
    let message = hear_ipv6("5118/via-received-param-no-delim.dat").accepted();
    assert_eq!(message.via().params().get("received"), Some(&b"2001:db8::9:255"[..]));
}

#[test]
fn ipv6_in_sdp() {
    let message = hear_ipv6("5118/ipv6-in-sdp.dat").accepted();
    assert_eq!(Uri::parse(message.uri()).unwrap().user(), b"user");
    assert!(message.body().windows(22).any(|line| line == b"c=IN IP6 2001:db8::20\r"));
    assert!(message.body().ends_with(b"a=rtpmap:107 H263-1998/90000\r\n"));
}

#[test]
fn mult_ip_in_header() {
    let message = hear_ipv6("5118/mult-ip-in-header.dat").accepted();
    let vias: Vec<Via<'_>> = message.values(HeaderName::Via).map(|value| Via::parse(value).unwrap()).collect();
    let hosts: Vec<_> = vias.iter().map(|via| (via.ip().unwrap().to_string(), via.port())).collect();
    let wanted = [("2001:db8::9:1", Some(6050)), ("192.0.2.1", None), ("2001:db8::9:255", None)];
    assert_eq!(hosts, wanted.map(|(host, port)| (host.to_owned(), port)));
    assert_eq!(vias[2].params().get("received"), Some(&b"192.0.2.200"[..]));
}

#[test]
fn mult_ip_in_sdp() {
    let message = hear_ipv6("5118/mult-ip-in-sdp.dat").accepted();
    let body = String::from_utf8(message.body().to_vec()).unwrap();
    let connections: Vec<&str> = body.lines().filter(|line| line.starts_with("c=")).collect();
    assert_eq!(connections, ["c=IN IP4 192.0.2.1", "c=IN IP6 2001:db8::1"]);
}

#[test]
fn ipv4_mapped_ipv6() {
    let message = hear_ipv6("5118/ipv4-mapped-ipv6.dat").accepted();
    assert_eq!((message.via().ip(), message.via().port()), (Some("::ffff:192.0.2.10".parse().unwrap()), Some(19_823)));
    let contact = Uri::parse(message.contact().unwrap().uri).unwrap();
    assert_eq!(contact.socket_addr(sip::Transport::Udp), Some("[::ffff:192.0.2.2]:5060".parse().unwrap()));
}

#[test]
fn ipv6_bug_abnf_3_colons() {
    // The grammar of RFC 3261 allowed it, so somebody may write it. It is taken; it is just no address to send to.
    let message = hear_ipv6("5118/ipv6-bug-abnf-3-colons.dat").accepted();
    let uri = Uri::parse(message.uri()).unwrap();
    assert_eq!((uri.host(), uri.socket_addr(sip::Transport::Udp)), (&b"[2001:db8:::192.0.2.1]"[..], None));
}

#[test]
fn ipv6_correct_abnf_2_colons() {
    let message = hear_ipv6("5118/ipv6-correct-abnf-2-colons.dat").accepted();
    assert_eq!(
        Uri::parse(message.uri()).unwrap().socket_addr(sip::Transport::Udp),
        Some("[2001:db8::192.0.2.1]:5060".parse().unwrap())
    );
}
