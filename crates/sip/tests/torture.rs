//! The messages of RFC 4475 and RFC 5118, each given to an endpoint as it comes off the wire, and what must come of it.
//!
//! One test per message, by the RFC's own name for it; a test module per RFC. What an RFC leaves open is decided here and said in
//! the test: liberal where the message has one meaning, strict where two readers could read two.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "torture/ipv6.rs"]
mod ipv6;
#[path = "torture/odd.rs"]
mod odd;
#[path = "torture/refused.rs"]
mod refused;
#[path = "torture/valid.rs"]
mod valid;

use model::{Instant, ShardId, SocketId};
use sip::{Endpoint, Event, Flow, Limits, Malformed, Message, Minter, Rejected, Transport};
use std::net::SocketAddr;
use std::path::PathBuf;

const SOCKET: SocketId = SocketId(0);

/// An endpoint that has heard one message.
struct Heard {
    endpoint: Endpoint,
    from: Flow,
    bytes: Vec<u8>,
    verdict: Result<(), Rejected>,
    /// What was handed to the user.
    request: Option<Message>,
    /// What was sent, without the 100 of an INVITE.
    answers: Vec<Vec<u8>>,
}

fn corpus(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The same message on its way from an IPv4 or IPv6 host to ours, over the transport its top Via names.
fn hear_from(name: &str, us: &str, peer: &str, transport: Transport) -> Heard {
    let bytes = corpus(name);
    let mut endpoint = Endpoint::new(Minter::new(1, ShardId(0), 77, 3), Limits::default(), 5);
    endpoint.bind(SOCKET, transport, us.parse().unwrap());
    let from = Flow { socket: SOCKET, peer: peer.parse::<SocketAddr>().unwrap(), transport };
    let mut heard = Heard { endpoint, from, bytes, verdict: Ok(()), request: None, answers: Vec::new() };
    heard.verdict = heard.again();
    heard
}

fn hear(name: &str) -> Heard {
    hear_from(name, "192.0.2.200:5060", "192.0.2.201:5060", Transport::Udp)
}

fn hear_by_tcp(name: &str) -> Heard {
    hear_from(name, "192.0.2.200:5060", "192.0.2.201:40000", Transport::Tcp)
}

impl Heard {
    /// The same bytes once more.
    fn again(&mut self) -> Result<(), Rejected> {
        let verdict = self.endpoint.receive(Instant::ZERO, self.from, &self.bytes);
        while let Some(sent) = self.endpoint.poll_transmit() {
            assert_eq!(sent.flow.peer.ip(), self.from.peer.ip(), "answers go to nobody else");
            assert!(sent.bytes.starts_with(b"SIP/2.0 ") && sent.bytes.ends_with(b"\r\n\r\n"), "it is a response");
            if !sent.bytes.starts_with(b"SIP/2.0 100 ") {
                self.answers.push(sent.bytes);
            }
        }
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Request { message, .. } => assert!(self.request.replace(message).is_none(), "told once"),
                other => panic!("nobody expects {other:?}"),
            }
        }
        verdict
    }

    /// Handed to the user, unanswered so far, every byte kept.
    fn accepted(self) -> Message {
        assert_eq!(self.verdict, Ok(()));
        assert_eq!(self.answers.len(), 0, "no answer but the user's");
        let message = self.request.expect("it is handed on");
        assert!(self.bytes.starts_with(message.bytes()), "byte for byte");
        message
    }

    /// Refused for this reason by one answer with this code, which belongs to the request; nothing handed on. The answer repeats what
    /// it answers, faults and all, so it is looked at as text.
    fn refused(self, why: Rejected, code: u16) -> String {
        assert_eq!(self.verdict, Err(why));
        assert!(self.request.is_none());
        assert_eq!(self.answers.len(), 1);
        let answer = String::from_utf8(self.answers[0].clone()).unwrap();
        assert!(answer.starts_with(&format!("SIP/2.0 {code} ")), "{answer}");
        let line = |text: &str, name: &str| text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        let asked = String::from_utf8(self.bytes).unwrap();
        assert_eq!(line(&answer, "Call-ID:"), line(&asked, "Call-ID:"));
        assert!(
            line(&answer, "To:").unwrap().contains(";tag="),
            "a final answer has a tag (RFC 3261 8.2.6.2): {answer}"
        );
        assert!(line(&answer, "Via: ").is_some());
        answer
    }

    fn malformed(self, why: Malformed) -> String {
        assert_eq!(self.endpoint.counters().malformed, 1);
        let code = if why == Malformed::Version { 505 } else { 400 };
        self.refused(Rejected::Malformed(why), code)
    }

    /// Dropped and counted: no answer, nobody told.
    fn dropped(self, why: Rejected) -> Endpoint {
        assert_eq!(self.verdict, Err(why));
        assert_eq!((self.answers.len(), self.request.is_none()), (0, true));
        self.endpoint
    }
}
