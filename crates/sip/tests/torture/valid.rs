//! RFC 4475 §3.1.1: valid messages, however they look.

use super::*;
use sip::{HeaderName, Method, Uri};

#[test]
fn wsinv() {
    let message = hear("4475/wsinv.dat").accepted();
    assert_eq!((message.method(), message.cseq().number, message.max_forwards()), (Method::Invite, 9, Some(68)));
    assert_eq!(message.to().uri, b"sip:vivekg@chair-dnrc.example.com");
    assert_eq!(message.to().tag(), Some(&b"1918181833n"[..]));
    assert_eq!((message.from().tag(), message.from().display), (Some(&b"98asjd8"[..]), &br#""J Rosenberg \\\"""#[..]));
    assert_eq!(message.call_id(), b"wsinv.ndaksdj@192.0.2.1");
    assert_eq!((message.via().branch(), message.values(HeaderName::Via).count()), (Some(&b"390skdjuw"[..]), 3));
    assert_eq!(message.named("NewFangledHeader"), Some(&b"newfangled value\r\n continued newfangled value"[..]));
    assert_eq!(message.named("UnknownHeaderWithUnusualValue"), Some(&b";;,,;;,;"[..]));
    assert_eq!(message.named("s"), Some(&b""[..]), "an empty subject");
    assert_eq!(message.values(HeaderName::Route).count(), 1);
    let contact = message.contact().unwrap();
    assert_eq!((contact.uri, contact.params.get("q")), (&b"sip:jdrosen@example.com"[..], Some(&b"0.33"[..])));
    assert_eq!(contact.params.get("newparam"), Some(&b"newvalue"[..]));
    assert_eq!(message.body().len(), 150);
}

#[test]
fn intmeth() {
    let message = hear_by_tcp("4475/intmeth.dat").accepted();
    assert_eq!((message.method(), message.max_forwards()), (Method::Other, Some(255)));
    assert_eq!(message.method_text(), b"!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(message.cseq().number, 139_122_385);
    let uri = Uri::parse(message.uri()).unwrap();
    assert_eq!(uri.host(), b"example.com");
    assert_eq!(message.to().display, b"\"BEL:\\\x07 NUL:\\\0 DEL:\\\x7f\"");
    assert_eq!(message.from().display, b"token1~` token2'+_ token3*%!.-");
    assert_eq!(message.from().uri, b"sip:mundane@example.com");
    assert_eq!(message.from().tag(), Some(&b"_token~1'+`*%!-."[..]));
    assert_eq!(message.call_id(), br#"intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"#);
    assert_eq!(message.named("extensionHeader-!.%*+_`'~"), Some("\u{feff}大停電".as_bytes()));
}

#[test]
fn esc01() {
    let message = hear("4475/esc01.dat").accepted();
    let uri = Uri::parse(message.uri()).unwrap();
    assert_eq!(
        (uri.scheme(), uri.user(), uri.host()),
        (&b"sip"[..], &b"sips%3Auser%40example.com"[..], &b"example.net"[..])
    );
    assert_eq!(message.to().uri, b"sip:%75se%72@example.com", "escapes stay as they came");
    let contact = Uri::parse(message.contact().unwrap().uri).unwrap();
    assert_eq!(contact.params().get("n%61me"), Some(&b"v%61lue%25%34%31"[..]));
    assert_eq!(contact.params().get("lr"), None, "an escaped name is not the name");
}

#[test]
fn escnull() {
    let message = hear("4475/escnull.dat").accepted();
    assert_eq!(message.to().uri, b"sip:null-%00-null@example.com");
    let contacts: Vec<&[u8]> = message.values(HeaderName::Contact).collect();
    assert_eq!(contacts, [&b"<sip:%00@host5.example.com>"[..], b"<sip:%00%00@host5.example.com>"], "two of them");
}

#[test]
fn esc02() {
    let message = hear_by_tcp("4475/esc02.dat").accepted();
    assert_eq!((message.method(), message.method_text()), (Method::Other, &b"RE%47IST%45R"[..]), "no REGISTER");
    assert_eq!(message.to().display, br#""%Z%45""#);
    assert_eq!(message.via().branch(), Some(&b"z9hG4bK209%fzsnel234"[..]));
    assert_eq!(message.values(HeaderName::Contact).count(), 2, "C%6Fntact is another header");
}

#[test]
fn lwsdisp() {
    let message = hear("4475/lwsdisp.dat").accepted();
    let from = message.from();
    assert_eq!(
        (from.display, from.uri, from.tag()),
        (&b"caller"[..], &b"sip:caller@example.com"[..], Some(&b"323"[..]))
    );
}

#[test]
fn longreq() {
    let message = hear_by_tcp("4475/longreq.dat").accepted();
    assert_eq!(message.values(HeaderName::Via).count(), 34);
    assert_eq!((message.via().host(), message.via().branch()), (&b"sip33.example.com"[..], None));
    assert_eq!(message.from().tag().map(<[u8]>::len), Some(155));
    assert_eq!(message.call_id().len(), "longreq.one".len() + 20 * "really".len() + "longcallid".len());
    let unknown = format!("Unknown-{}-Name", "Long".repeat(20));
    assert!(message.named(&unknown).is_some_and(|value| value.starts_with(b"unknown-longlong")));
    assert_eq!(message.body().len(), 150);
}

#[test]
fn dblreq() {
    // One datagram holds one message (18.3): what follows the first is no request of its own.
    let message = hear("4475/dblreq.dat").accepted();
    assert_eq!((message.method(), message.body()), (Method::Register, &b""[..]));
    assert_eq!(message.call_id(), b"dblreq.0ha0isndaksdj99sdfafnl3lk233412");
}

#[test]
fn semiuri() {
    let message = hear("4475/semiuri.dat").accepted();
    let uri = Uri::parse(message.uri()).unwrap();
    assert_eq!((uri.user(), uri.host()), (&b"user;par=u%40example.net"[..], &b"example.com"[..]));
    assert_eq!(uri.params().iter().count(), 0, "the parameter is the user's");
}

#[test]
fn transports() {
    let message = hear("4475/transports.dat").accepted();
    let named: Vec<String> = message
        .values(HeaderName::Via)
        .map(|value| String::from_utf8(sip::Via::parse(value).unwrap().transport().to_vec()).unwrap())
        .collect();
    assert_eq!(named, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

#[test]
fn mpart01() {
    let message = hear("4475/mpart01.dat").accepted();
    assert_eq!(message.content_type(), Some(&b"multipart/mixed;boundary=7a9cbec02ceef655"[..]));
    assert_eq!(message.body().len(), 553);
    assert!(message.body().contains(&0), "its second part is binary");
    assert!(message.body().ends_with(b"\r\n--7a9cbec02ceef655--\r\n"));
}

#[test]
fn unreason() {
    let message = Message::parse(corpus("4475/unreason.dat")).unwrap();
    assert_eq!(message.status(), Some(200));
    assert_eq!(message.reason_phrase(), "= 2**3 * 5**2 но сто девяносто девять - простое".as_bytes());
    let endpoint = hear("4475/unreason.dat").dropped(Rejected::StrayResponse);
    assert_eq!(endpoint.counters().stray_responses, 1, "well formed, and of nothing we asked");
}

#[test]
fn noreason() {
    let message = Message::parse(corpus("4475/noreason.dat")).unwrap();
    assert_eq!((message.status(), message.reason_phrase()), (Some(100), &b""[..]));
    hear("4475/noreason.dat").dropped(Rejected::StrayResponse);
}
