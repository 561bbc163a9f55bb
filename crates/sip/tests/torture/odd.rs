//! RFC 4475 §3.2 to §3.4: well formed, and odd to transactions or to who serves them. What only a registrar or the far end of a call
//! may refuse (an unknown scheme of credentials, of a To, a body nobody reads) must reach it whole.

use super::*;
use sip::{HeaderName, Method, Uri};

#[test]
fn badbranch() {
    // A branch that is the cookie and no more identifies nothing: the rules of RFC 2543 do, and a repeat is still a repeat.
    let mut heard = hear("4475/badbranch.dat");
    assert_eq!(heard.again(), Ok(()));
    assert_eq!(heard.endpoint.counters().absorbed_requests, 1);
    let other = String::from_utf8(heard.bytes.clone()).unwrap().replace("badbranch.", "another.");
    heard.bytes = other.into_bytes();
    heard.request = None;
    assert_eq!(heard.again(), Ok(()));
    assert!(heard.request.is_some(), "another request with the same branch is another request");
}

#[test]
fn insuf() {
    // Without Call-ID, From and To there is nothing to write an answer with.
    let endpoint = hear("4475/insuf.dat").dropped(Rejected::Malformed(Malformed::Missing));
    assert_eq!(endpoint.counters().malformed, 1);
}

#[test]
fn unkscm() {
    hear_by_tcp("4475/unkscm.dat").refused(Rejected::UnknownScheme, 416);
}

#[test]
fn novelsc() {
    hear_by_tcp("4475/novelsc.dat").refused(Rejected::UnknownScheme, 416);
}

#[test]
fn unksm2() {
    let message = hear("4475/unksm2.dat").accepted();
    assert_eq!((message.to().uri, message.from().uri), (&b"isbn:2983792873"[..], &b"http://www.example.com"[..]));
    assert_eq!(message.contact().map(|contact| contact.uri), Some(&b"name:John_Smith"[..]));
}

#[test]
fn bext01() {
    // We end the request rather than pass it on, so Require binds us and Proxy-Require does not.
    let answer = hear("4475/bext01.dat").refused(Rejected::UnknownExtension, 420);
    assert!(answer.contains("Unsupported: nothingSupportsThis, nothingSupportsThisEither\r\n"), "{answer}");
}

#[test]
fn invut() {
    let message = hear("4475/invut.dat").accepted();
    assert_eq!((message.content_type(), message.body().len()), (Some(&b"application/unknownformat"[..]), 40));
}

#[test]
fn regaut01() {
    let message = hear_by_tcp("4475/regaut01.dat").accepted();
    assert_eq!(message.named("Authorization"), Some(&b"NoOneKnowsThisScheme opaque-data=here"[..]));
}

#[test]
fn multi01() {
    hear("4475/multi01.dat").malformed(Malformed::Repeated);
}

#[test]
fn mcl01() {
    hear("4475/mcl01.dat").malformed(Malformed::Repeated);
}

#[test]
fn bcast() {
    // Its second Via is a broadcast address; sending it on would make us a loudspeaker. Two Vias are one too many (8.1.3.3).
    let endpoint = hear("4475/bcast.dat").dropped(Rejected::MisroutedResponse);
    assert_eq!(endpoint.counters().misrouted_responses, 1);
}

#[test]
fn zeromf() {
    // We are where it ends, so the hops it has left are no matter (11.2).
    let message = hear("4475/zeromf.dat").accepted();
    assert_eq!((message.method(), message.max_forwards()), (Method::Options, Some(0)));
}

#[test]
fn cparam01() {
    let message = hear("4475/cparam01.dat").accepted();
    let contact = message.contact().unwrap();
    assert_eq!(contact.uri, b"sip:+19725552222@gw1.example.net");
    assert_eq!(contact.params.get("unknownparam"), Some(&b""[..]), "the header's");
}

#[test]
fn cparam02() {
    let message = hear("4475/cparam02.dat").accepted();
    let contact = message.contact().unwrap();
    assert_eq!(contact.params.get("unknownparam"), None);
    assert_eq!(Uri::parse(contact.uri).unwrap().params().get("unknownparam"), Some(&b""[..]), "the URI's");
}

#[test]
fn regescrt() {
    let message = hear("4475/regescrt.dat").accepted();
    let uri = Uri::parse(message.contact().unwrap().uri).unwrap();
    assert_eq!((uri.user(), uri.headers()), (&b"user"[..], &b"Route=%3Csip:sip.example.com%3E"[..]));
}

#[test]
fn sdp01() {
    let message = hear("4475/sdp01.dat").accepted();
    assert_eq!(message.named("Accept"), Some(&b"text/nobodyKnowsThis"[..]), "for the far end to refuse");
    assert_eq!(message.content_type(), Some(&b"application/sdp"[..]));
}

#[test]
fn inv2543() {
    // No branch, no From tag, no Max-Forwards, no Contact, no Content-Length.
    let mut heard = hear("4475/inv2543.dat");
    assert_eq!(heard.again(), Ok(()));
    assert_eq!(heard.endpoint.counters().absorbed_requests, 1, "its repeat is known without a branch");
    let message = heard.accepted();
    assert_eq!((message.method(), message.from().tag(), message.via().branch()), (Method::Invite, None, None));
    assert_eq!((message.max_forwards(), message.header(HeaderName::ContentLength)), (None, None));
    assert!(message.body().ends_with(b"m=audio 49217 RTP/AVP 0\r\n"), "the body is what is left of the datagram");
}
