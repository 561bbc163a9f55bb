//! RFC 4475 §3.1.2: messages that are not valid. The RFC lets a receiver be liberal with some; where we are, the test says so.

use super::*;
use sip::{HeaderName, Uri};

#[test]
fn badinv01() {
    // Empty members of the Via list: an answer would have to repeat them.
    hear("4475/badinv01.dat").malformed(Malformed::LowerVia);
}

#[test]
fn clerr() {
    hear("4475/clerr.dat").malformed(Malformed::ContentLength);
}

#[test]
fn ncl() {
    hear("4475/ncl.dat").malformed(Malformed::ContentLength);
}

#[test]
fn scalar02() {
    hear_by_tcp("4475/scalar02.dat").malformed(Malformed::CSeq);
}

#[test]
fn scalarlg() {
    // A response that is malformed is dropped: nobody answers a response.
    let endpoint = hear_by_tcp("4475/scalarlg.dat").dropped(Rejected::Malformed(Malformed::CSeq));
    assert_eq!(endpoint.counters().malformed, 1);
}

#[test]
fn quotbal() {
    hear("4475/quotbal.dat").malformed(Malformed::Address);
}

#[test]
fn ltgtruri() {
    hear("4475/ltgtruri.dat").malformed(Malformed::RequestLine);
}

#[test]
fn lwsruri() {
    hear("4475/lwsruri.dat").malformed(Malformed::RequestLine);
}

#[test]
fn lwsstart() {
    hear("4475/lwsstart.dat").malformed(Malformed::RequestLine);
}

#[test]
fn trws() {
    hear_by_tcp("4475/trws.dat").malformed(Malformed::RequestLine);
}

#[test]
fn escruri() {
    // Headers in a Request-URI are not allowed. We take the request and never make headers of them.
    let message = hear("4475/escruri.dat").accepted();
    let uri = Uri::parse(message.uri()).unwrap();
    assert_eq!(
        (uri.user(), uri.host(), uri.headers()),
        (&b"user"[..], &b"example.com"[..], &b"Route=%3Csip:example.com%3E"[..])
    );
    assert_eq!(message.values(HeaderName::Route).count(), 0);
}

#[test]
fn baddate() {
    // We have no use for the date, so a wrong zone is no reason to refuse a call.
    let message = hear("4475/baddate.dat").accepted();
    assert_eq!(message.named("Date"), Some(&b"Fri, 01 Jan 2010 16:00:00 EST"[..]));
}

#[test]
fn regbadct() {
    // The brackets that are missing are inferred: only one URI can be meant.
    let message = hear("4475/regbadct.dat").accepted();
    let contact = message.contact().unwrap();
    let uri = Uri::parse(contact.uri).unwrap();
    assert_eq!((uri.host(), uri.headers()), (&b"example.com"[..], &b"Route=%3Csip:sip.example.com%3E"[..]));
    assert_eq!(contact.params.iter().count(), 0);
}

#[test]
fn badaspec() {
    // Blanks inside the brackets belong to nothing else.
    let message = hear("4475/badaspec.dat").accepted();
    assert_eq!(
        (message.to().uri, message.to().display),
        (&b"sip:t.watson@example.org"[..], &br#""Watson, Thomas""#[..])
    );
}

#[test]
fn baddn() {
    // A display name that should be quoted; From and To are no lists, so its comma divides nothing.
    let message = hear("4475/baddn.dat").accepted();
    assert_eq!((message.from().uri, message.from().tag()), (&b"sip:a.g.bell@example.com"[..], Some(&b"43"[..])));
    assert_eq!((message.to().uri, message.to().display), (&b"sip:t.watson@example.org"[..], &b"Watson, Thomas"[..]));
}

#[test]
fn badvers() {
    let answer = hear("4475/badvers.dat").malformed(Malformed::Version);
    assert!(answer.starts_with("SIP/2.0 505 "), "in the version we speak");
    assert!(answer.contains("Via: SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw;received=192.0.2.201\r\n"), "{answer}");
}

#[test]
fn mismatch01() {
    hear("4475/mismatch01.dat").malformed(Malformed::CSeq);
}

#[test]
fn mismatch02() {
    hear("4475/mismatch02.dat").malformed(Malformed::CSeq);
}

#[test]
fn bigcode() {
    hear("4475/bigcode.dat").dropped(Rejected::Malformed(Malformed::StartLine));
}
