//! Which headers pass from one leg to the other, and which are ours to write.
//!
//! Each leg is its own dialog: whatever says where the other side is, by which way it came or what its stack can do stays on its side.
//! What is said about the call passes by the terms of both trunks (see `interworking`). Refuses to know: what headers mean.

use super::call::Attempt;
use crate::interworking::{self, Crossing, Interworking, Shown};
use crate::profile::is_urn;
use alloc::format;
use alloc::vec::Vec;
use core::net::SocketAddr;
use sip::{HeaderLines, HeaderName, Message, Method, NameAddr, SentBy, Uri};

/// Methods we serve.
pub const ALLOW: &[u8] = b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, MESSAGE, REFER, SUBSCRIBE, NOTIFY";

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
            | HeaderName::ReferTo
            | HeaderName::ReferredBy
    )
}

/// More of them, which have no name of their own in `HeaderName`: ways and abilities of a hop, names of a dialog that means nothing on
/// the other leg, Warning, which tells the host that warns, and what shards tell each other, which nobody else can say.
const OF_THE_LEG: [&[u8]; 10] = [
    b"Allow-Events",
    b"u",
    b"Path",
    b"Service-Route",
    b"Join",
    b"Target-Dialog",
    b"Warning",
    b"Authentication-Info",
    b"Proxy-Authentication-Info",
    super::between::HALF.as_bytes(),
];

/// A header of this name, in any case and form, is written on each leg by the edge alone: it cannot be configured.
pub fn is_of_a_leg(name: &[u8]) -> bool {
    is_of_the_leg(HeaderName::of(name)) || OF_THE_LEG.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Writes what passes to the other leg, by the terms of both. For an INVITE `shown` is its caller; says whether his signature was left
/// behind.
pub(super) fn pass(from: &Message, crossing: &Crossing<'_>, shown: Option<&Shown>, to: &mut HeaderLines) -> bool {
    let passing = from.headers().filter(|header| {
        let peculiar = OF_THE_LEG.iter().any(|name| header.raw_name.eq_ignore_ascii_case(name));
        !is_of_the_leg(header.name) && !peculiar
    });
    interworking::cross(from, passing, crossing, shown, to)
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

/// Methods that carry a Contact inside a dialog, and whose 2xx do: they refresh the target (RFC 3261 §12.2.1.1, RFC 3311 §5.1, RFC 6665 §4.4.1).
pub(super) const fn says_where(method: Method) -> bool {
    matches!(method, Method::Invite | Method::Update | Method::Refer | Method::Subscribe | Method::Notify)
}

/// Our Contact on a socket.
pub(super) fn push_contact(to: &mut HeaderLines, sent_by: &SentBy) {
    to.push("Contact", format!("<sip:{}{}>", sent_by.host(), sent_by.parameters()).as_bytes());
}

/// Who referred (RFC 3892): by name and number as the reader writes numbers, at our address.
pub(super) fn push_referred_by(to: &mut HeaderLines, from: &Message, crossing: &Crossing<'_>, sent_by: &SentBy) {
    for value in from.values(HeaderName::ReferredBy).take(1) {
        let party = NameAddr::of(value);
        let Ok(uri) = Uri::parse(party.uri) else { continue };
        let mut out = party.display.to_vec();
        out.extend_from_slice(if out.is_empty() { b"<" } else { b" <" });
        // "anonymous.invalid" is how RFC 3323 §4.1.1.3 says that nobody is named, and it must stay.
        if uri.host().eq_ignore_ascii_case(b"anonymous.invalid") {
            out.extend_from_slice(b"sip:anonymous@anonymous.invalid");
        } else {
            crossing.to.numbers.push_uri(
                &mut out,
                &crossing.number(uri.user()),
                format!("{}", sent_by.host()).as_bytes(),
            );
        }
        out.push(b'>');
        to.push("Referred-By", &out);
    }
}

/// From, To, Call-ID, CSeq and Contact of an attempt: the caller's name and number, our address; the called number, the target's.
pub(super) fn push_addresses(
    to: &mut HeaderLines,
    crossing: &Crossing<'_>,
    shown: &Shown,
    attempt: &Attempt,
    uri: &[u8],
    sent_by: &SentBy,
) {
    shown.push_from(crossing, &attempt.tag, to);
    let callee = [b"<", uri, b">"].concat();
    to.push("To", &callee);
    to.push("Call-ID", &attempt.call_id);
    to.push("CSeq", format!("{} INVITE", attempt.cseq).as_bytes());
    push_contact(to, sent_by);
    to.push("Allow", ALLOW);
}

/// The called number at the target as its trunk writes numbers, or the called name as it is, unless the destination has a URI of its own.
pub(super) fn request_uri(terms: &Interworking, called: &[u8], attempt: &Attempt) -> Vec<u8> {
    if let Some(uri) = &attempt.to.uri {
        return uri.clone();
    }
    uri_at(terms, called, attempt.to.flow.peer)
}

/// The called number at the trunk's host as it writes numbers, or the called name as it is. RFC 3263 §4: that a name was resolved leaves the URI as it
/// was; the address is where it is sent.
pub(super) fn uri_at(terms: &Interworking, called: &[u8], peer: SocketAddr) -> Vec<u8> {
    if is_urn(called) {
        return called.to_vec();
    }
    let mut uri = Vec::with_capacity(called.len() + 48);
    terms.numbers.push_uri(&mut uri, called, &terms.host_at(peer));
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interworking;
    use std::string::String;

    const NEUTRAL: Crossing<'static> =
        Crossing { from: &interworking::NEUTRAL, to: &interworking::NEUTRAL, emergency: false };

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
        pass(&invite(), &NEUTRAL, None, &mut lines);
        let text = String::from_utf8(lines.as_bytes().to_vec()).unwrap();
        assert_eq!(
            text,
            "P-Asserted-Identity: <sip:+4711223344@pbx>\r\nX-Account: 7\r\n folded\r\nDiversion: <sip:202@pbx>\r\n"
        );
    }
}
