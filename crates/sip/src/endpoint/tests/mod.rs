//! The endpoint against a peer written out by hand, and against itself over a bad network. All times are virtual.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod as_client;
mod as_server;
mod dialogs;
mod large;
mod pair;

use super::*;
use crate::compose::{Answer, Draft};
use crate::wire::HeaderName;
use model::{ShardId, Span};
use std::format;
use std::string::String;
use std::vec;

const SOCKET: SocketId = SocketId(0);
const US: &str = "192.0.2.1:5060";
const PEER: &str = "192.0.2.9:5070";

fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(ms)
}

fn flow_of(transport: Transport) -> Flow {
    Flow { socket: SOCKET, peer: PEER.parse().unwrap(), transport }
}

/// An endpoint and what it has sent and told, gathered.
struct Bench {
    endpoint: Endpoint,
    flow: Flow,
    sent: VecDeque<Message>,
    events: VecDeque<Event>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Transport::Udp, Limits::default())
    }

    fn with(transport: Transport, limits: Limits) -> Self {
        let mut endpoint = Endpoint::new(Minter::new(1, ShardId(0), 77, 3), limits, 5);
        endpoint.bind(SOCKET, transport, US.parse().unwrap());
        Self { endpoint, flow: flow_of(transport), sent: VecDeque::new(), events: VecDeque::new() }
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            assert_eq!(transmit.flow, self.flow, "everything goes to the one peer");
            self.sent.push_back(Message::parse(transmit.bytes).unwrap());
        }
        self.events.extend(core::iter::from_fn(|| self.endpoint.poll_event()));
    }

    fn hear(&mut self, ms: u64, text: &str) -> Result<(), Rejected> {
        let heard = self.endpoint.receive(at(ms), self.flow, text.as_bytes());
        self.drain();
        heard
    }

    fn draft(method: Method) -> Draft {
        let mut draft = Draft::new(method, b"sip:b@192.0.2.9:5070".to_vec());
        draft.headers.push("From", b"<sip:a@192.0.2.1>;tag=ours");
        draft.headers.push("To", b"<sip:b@192.0.2.9>");
        draft.headers.push("Call-ID", b"call-1");
        draft.headers.push("CSeq", format!("1 {}", method.as_str()).as_bytes());
        draft
    }

    fn request(&mut self, ms: u64, method: Method) -> (ClientKey, Message) {
        let draft = Self::draft(method);
        let client = self.endpoint.request(at(ms), self.flow, draft, &TimerSet::default()).unwrap();
        self.drain();
        (client, self.sent.pop_back().unwrap())
    }

    fn respond(&mut self, ms: u64, server: ServerKey, code: u16) {
        self.endpoint.respond(at(ms), server, Answer::new(code));
        self.drain();
    }

    /// The peer's response to a request of ours.
    fn reply(&mut self, ms: u64, request: &Message, code: u16, to_tag: &str) -> Result<(), Rejected> {
        let line = |name| String::from_utf8(request.header(name).unwrap().to_vec()).unwrap();
        let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        let text = format!(
            "SIP/2.0 {code} Said\r\nVia: {}\r\nFrom: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
            line(HeaderName::Via),
            line(HeaderName::From),
            line(HeaderName::To),
            line(HeaderName::CallId),
            line(HeaderName::CSeq),
        );
        self.hear(ms, &text)
    }

    /// Runs the timers up to `until` and says when (ms) which kind of message was sent.
    fn run(&mut self, until: u64) -> Vec<(u64, String)> {
        let mut seen = Vec::new();
        while let Some(due) = self.endpoint.deadline().filter(|due| *due <= at(until)) {
            self.endpoint.expire(due);
            self.drain();
            seen.extend(self.sent.drain(..).map(|message| (due.as_micros() / 1_000, kind(&message))));
        }
        seen
    }

    fn sent_kinds(&mut self) -> Vec<String> {
        self.sent.drain(..).map(|message| kind(&message)).collect()
    }

    fn event_kinds(&mut self) -> Vec<String> {
        self.events.drain(..).map(|event| told(&event)).collect()
    }

    fn server(&mut self) -> ServerKey {
        match self.events.pop_front() {
            Some(Event::Request { server, .. }) => server,
            other => panic!("no request but {other:?}"),
        }
    }
}

fn kind(message: &Message) -> String {
    match message.status() {
        Some(code) => format!("{code}"),
        None => message.method().as_str().into(),
    }
}

fn told(event: &Event) -> String {
    match event {
        Event::Request { message, .. } => format!("request {}", kind(message)),
        Event::Cancelled { .. } => "cancelled".into(),
        Event::Ack { .. } => "ack".into(),
        Event::Response { message, .. } => kind(message),
        Event::ClientFailed { why, .. } => format!("{why:?}"),
        Event::AckMissing { .. } => "ack missing".into(),
        Event::PrackMissing { .. } => "prack missing".into(),
    }
}

/// A request of the peer.
struct Ask {
    method: &'static str,
    branch: &'static str,
    via_params: &'static str,
    cseq: &'static str,
    to_tag: String,
    uri: &'static str,
    hops: u8,
    extra: String,
}

impl Ask {
    fn new(method: &'static str, branch: &'static str) -> Self {
        Self {
            method,
            branch,
            via_params: ";rport",
            cseq: "1",
            to_tag: String::new(),
            uri: "sip:us@192.0.2.1",
            hops: 70,
            extra: String::new(),
        }
    }

    fn text(&self) -> String {
        let Self { method, branch, via_params, cseq, to_tag, uri, hops, extra } = self;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7:5062{via_params};branch={branch}\r\nMax-Forwards: {hops}\r\n\
             From: \"P\" <sip:p@10.0.0.7>;tag=theirs\r\nTo: <sip:us@192.0.2.1>{to_tag}\r\nCall-ID: call-2\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:p@10.0.0.7:5062>\r\n{extra}Content-Length: 0\r\n\r\n"
        )
    }
}
