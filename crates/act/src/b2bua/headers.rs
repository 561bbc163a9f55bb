//! Which headers pass from one leg to the other, and which are ours to write.
//!
//! Each leg is its own dialog: whatever says where the other side is, by which way it came or what its stack can do stays on its side.
//! What is said about the call passes: identity, privacy, diversion, reason, anything we do not know. Refuses to know: what headers mean.

use super::call::Attempt;
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;
use sip::{HeaderLines, HeaderName, Message, NameAddr, Uri};

/// Methods we serve.
pub const ALLOW: &[u8] = b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE";

/// Headers that belong to one leg alone.
const fn is_of_the_leg(name: HeaderName) -> bool {
    matches!(
        name,
        HeaderName::Via
            | HeaderName::From
            | HeaderName::To
            | HeaderName::CallId
            | HeaderName::CSeq
            | HeaderName::Contact
            | HeaderName::MaxForwards
            | HeaderName::Route
            | HeaderName::RecordRoute
            | HeaderName::ContentLength
            | HeaderName::ContentType
            | HeaderName::ContentDisposition
            | HeaderName::ContentEncoding
            | HeaderName::Require
            | HeaderName::ProxyRequire
            | HeaderName::Supported
            | HeaderName::Unsupported
            | HeaderName::Allow
            | HeaderName::Accept
            | HeaderName::Authorization
            | HeaderName::ProxyAuthorization
            | HeaderName::WwwAuthenticate
            | HeaderName::ProxyAuthenticate
            | HeaderName::SessionExpires
            | HeaderName::MinSe
            | HeaderName::RSeq
            | HeaderName::RAck
            | HeaderName::Server
            | HeaderName::UserAgent
            | HeaderName::Timestamp
            | HeaderName::Replaces
    )
}

/// More of them, which have no name of their own in `HeaderName`: ways and abilities of a hop, names of a dialog that means nothing on
/// the other leg, and Warning, which tells the host that warns.
const OF_THE_LEG: [&[u8]; 9] = [
    b"Allow-Events",
    b"u",
    b"Path",
    b"Service-Route",
    b"Join",
    b"Target-Dialog",
    b"Warning",
    b"Authentication-Info",
    b"Proxy-Authentication-Info",
];

/// Copies what passes to the other leg.
pub(super) fn pass(from: &Message, to: &mut HeaderLines) {
    for header in from.headers() {
        let peculiar = OF_THE_LEG.iter().any(|name| header.raw_name.eq_ignore_ascii_case(name));
        if !is_of_the_leg(header.name) && !peculiar {
            to.push_raw(header.line);
        }
    }
}

/// Body with its type.
pub(super) fn push_body_type(from: &Message, to: &mut HeaderLines) {
    for header in from.headers() {
        if matches!(header.name, HeaderName::ContentType | HeaderName::ContentDisposition | HeaderName::ContentEncoding)
        {
            to.push_raw(header.line);
        }
    }
}

/// Our Contact on a socket.
pub(super) fn push_contact(to: &mut HeaderLines, sent_by: SocketAddr) {
    to.push("Contact", format!("<sip:{sent_by}>").as_bytes());
}

/// From, To, Call-ID, CSeq and Contact of an attempt: the caller's name and number, our address; the called number, the target's.
pub(super) fn push_addresses(
    to: &mut HeaderLines,
    invite: &Message,
    attempt: &Attempt,
    called: &[u8],
    sent_by: SocketAddr,
) {
    let from = invite.from();
    to.push("From", &party(&from, sent_by, Some(&attempt.tag)));
    let mut callee = b"<".to_vec();
    callee.extend_from_slice(&super::attempt::request_uri(called, attempt));
    callee.push(b'>');
    to.push("To", &callee);
    to.push("Call-ID", &attempt.call_id);
    to.push("CSeq", format!("{} INVITE", attempt.cseq).as_bytes());
    push_contact(to, sent_by);
    to.push("Allow", ALLOW);
}

/// A party by the same display name and user, at our address.
fn party(party: &NameAddr<'_>, sent_by: SocketAddr, tag: Option<&[u8]>) -> Vec<u8> {
    let mut out = party.display.to_vec();
    if !out.is_empty() {
        out.push(b' ');
    }
    // "anonymous.invalid" is how RFC 3323 §4.1.1.3 says that nobody is named, and it must stay.
    if let Ok(uri) = Uri::parse(party.uri)
        && uri.host().eq_ignore_ascii_case(b"anonymous.invalid")
    {
        out.extend_from_slice(b"<sip:anonymous@anonymous.invalid>");
    } else {
        let user = Uri::parse(party.uri).map(|uri| uri.user().to_vec()).unwrap_or_default();
        out.extend_from_slice(b"<sip:");
        push_user(&mut out, &user);
        out.extend_from_slice(format!("{sent_by}>").as_bytes());
    }
    if let Some(tag) = tag {
        out.extend_from_slice(b";tag=");
        out.extend_from_slice(tag);
    }
    out
}

fn push_user(out: &mut Vec<u8>, user: &[u8]) {
    if !user.is_empty() {
        out.extend_from_slice(user);
        out.push(b'@');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn invite() -> Message {
        let text = "INVITE sip:+4722334455@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1\r\n\
            Record-Route: <sip:10.0.0.1;lr>\r\nFrom: \"Ann\" <sip:201@10.0.0.9>;tag=1\r\nTo: <sip:+4722334455@192.0.2.10>\r\n\
            Call-ID: secret@10.0.0.9\r\nCSeq: 1 INVITE\r\nContact: <sip:201@10.0.0.9>\r\nUser-Agent: PBX 1.2\r\nk: 100rel, timer\r\n\
            Allow-Events: talk\r\nP-Asserted-Identity: <sip:+4711223344@pbx>\r\nX-Account: 7\r\n folded\r\nDiversion: <sip:202@pbx>\r\n\
            Content-Length: 0\r\n\r\n";
        Message::parse(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn what_is_about_the_call_passes_and_the_leg_stays_behind() {
        let mut lines = HeaderLines::new();
        pass(&invite(), &mut lines);
        let text = String::from_utf8(lines.as_bytes().to_vec()).unwrap();
        assert_eq!(
            text,
            "P-Asserted-Identity: <sip:+4711223344@pbx>\r\nX-Account: 7\r\n folded\r\nDiversion: <sip:202@pbx>\r\n"
        );
    }

    #[test]
    fn parties_keep_name_and_number_and_lose_their_address() {
        let ours = "198.51.100.1:5060".parse().unwrap();
        let out =
            |value: &'static str| String::from_utf8(party(&NameAddr::of(value.as_bytes()), ours, Some(b"t"))).unwrap();
        assert_eq!(out("\"Ann\" <sip:201@10.0.0.9;x=y>;tag=1"), "\"Ann\" <sip:201@198.51.100.1:5060>;tag=t");
        assert_eq!(out("sip:10.0.0.9"), "<sip:198.51.100.1:5060>;tag=t");
        let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
        assert_eq!(out(anonymous), std::format!("{anonymous};tag=t"));
    }
}
