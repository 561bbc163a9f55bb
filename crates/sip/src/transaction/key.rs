//! What identifies a server transaction on the wire: RFC 3261 17.2.3, with the rules for RFC 2543 peers.
//!
//! An ACK and a CANCEL are identified like the INVITE they belong to (9.2, 17.2.3), so one look-up finds it.
//! Refuses to know: the table, and what is done with a match.

use crate::message::Message;
use crate::mint::MAGIC_COOKIE;
use crate::wire::{HeaderName, Method};
use smallvec::SmallVec;

/// Identifying bytes of a request; equal for a request and its repeats, its ACK (3xx-6xx) and its CANCEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity(SmallVec<[u8; 128]>);

impl Identity {
    pub(crate) fn of(request: &Message) -> Self {
        let via = request.via();
        let mut bytes = SmallVec::new();
        match request.method() {
            Method::Invite | Method::Ack | Method::Cancel => bytes.extend_from_slice(b"INVITE"),
            _ => bytes.extend_from_slice(request.method_text()),
        }
        match via.branch().filter(|branch| branch.len() > MAGIC_COOKIE.len() && branch.starts_with(MAGIC_COOKIE)) {
            Some(branch) => {
                // The sent-by belongs to it, because another client may use the same branch by chance or malice (17.2.3).
                bytes.push(0);
                bytes.extend_from_slice(branch);
                bytes.push(0);
                bytes.extend(via.host().iter().map(u8::to_ascii_lowercase));
                bytes.extend_from_slice(&via.port().unwrap_or(5060).to_be_bytes());
            }
            None => old_identity(request, &mut bytes),
        }
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// RFC 2543: Request-URI, Call-ID, CSeq number, From tag and the whole top Via (17.2.3). The To tag is left out, because
/// the ACK carries the one of our response, which the INVITE did not have.
fn old_identity(request: &Message, bytes: &mut SmallVec<[u8; 128]>) {
    bytes.push(1);
    let via = request.values(HeaderName::Via).next().unwrap_or_default();
    for part in [request.uri(), request.call_id(), request.from().tag().unwrap_or_default(), via] {
        bytes.extend_from_slice(part);
        bytes.push(0);
    }
    bytes.extend_from_slice(&request.cseq().number.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    fn identity(method: &str, via: &str, to_tag: &str) -> Identity {
        let text: String = format!(
            "{method} sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>{to_tag}\r\n\
             Call-ID: c\r\nCSeq: 7 {method}\r\nContent-Length: 0\r\n\r\n"
        );
        Identity::of(&Message::parse(text.into_bytes()).unwrap())
    }

    #[test]
    fn branch_sent_by_and_method_17_2_3() {
        let invite = identity("INVITE", "Host.example;branch=z9hG4bKa", "");
        assert_eq!(invite, identity("INVITE", "host.example:5060;branch=z9hG4bKa;rport", ";tag=x"));
        assert_eq!(invite, identity("ACK", "host.example;branch=z9hG4bKa", ";tag=t"));
        assert_eq!(invite, identity("CANCEL", "host.example;branch=z9hG4bKa", ""));
        assert_ne!(invite, identity("BYE", "host.example;branch=z9hG4bKa", ""));
        assert_ne!(invite, identity("INVITE", "host.example:5062;branch=z9hG4bKa", ""));
        assert_ne!(invite, identity("INVITE", "other.example;branch=z9hG4bKa", ""));
        assert_ne!(invite, identity("INVITE", "host.example;branch=z9hG4bKb", ""));
    }

    #[test]
    fn rfc_2543_peers_17_2_3() {
        let invite = identity("INVITE", "host.example;branch=1", "");
        assert_eq!(invite, identity("ACK", "host.example;branch=1", ";tag=ours"));
        assert_ne!(invite, identity("INVITE", "host.example;branch=2", ""));
        assert_ne!(invite, identity("OPTIONS", "host.example;branch=1", ""));
        // The bare cookie makes nothing unique.
        assert_ne!(identity("INVITE", "h;branch=z9hG4bK", ""), identity("INVITE", "h;branch=z9hG4bK;x=1", ""));
    }
}
