//! A town's phones, and the shards they register at: virtual time, no sockets.
//!
//! Phones behave as RFC 3261 and RFC 7616 have it: a REGISTER, the same with credentials, repeats while nothing is heard, and a pause when one is
//! asked for. Beside them an office places calls through the same shards. Refuses to know: what is expected of it.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use edge::config::{Settings, compile, users};
use edge::{Bound, Control, ControlInput, ControlOutput, Input, Output, Shard, ShardConfig, ShardLimits, steer};
use model::{Instant, Rng, Seq, ShardId, SocketId, Span, TransportFault, Wall};
use sip::auth::{Credentials, Session, Signed};
use sip::{Flow, HeaderName, Message, Transport};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

const CONFIG: &str = "[listen.lan]\nsip = \"udp:192.0.2.10:5060\"\n[trunk.office]\nat = \"sip:192.0.2.20:5060\"\nlisten = \"lan\"\n\
    [trunk.acme]\nat = \"sip:192.0.2.30:5060\"\nlisten = \"lan\"\n[trunk.phones]\nat = \"registered\"\nlisten = \"lan\"\n\
    [group.carriers]\ntiers = [[\"acme\"]]\nalone = true\n[group.phones]\ntiers = [[\"phones\"]]\nalone = true\n\
    [[route]]\nfrom = [\"office\"]\nprefixes = [\"+4\"]\nto = \"carriers\"\n[[route]]\nto = \"phones\"\n\
    [registrar]\nlisten = \"lan\"\nrealm = \"example.net\"\nusers = \"users.csv\"\nalgorithms = [\"SHA-256\"]\n";
const KEY: u64 = 7;
/// RFC 3261 §17.1.2.2: T1, T2, and 64 of T1.
const REPEATS_MS: [u64; 10] = [500, 1_000, 2_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_000, 4_500];
/// A phone that was refused, or has heard nothing, begins anew after so long.
const AGAIN_S: u64 = 30;

/// One phone.
struct Phone {
    flow: Flow,
    cseq: u32,
    /// Credentials, once it was challenged.
    line: String,
    repeats: usize,
    /// Number of what it waits for: what was set before is void.
    turn: u32,
    /// When it was registered.
    done: Option<Instant>,
}

/// What became of the crowd.
#[derive(Debug, Default)]
pub struct Outcome {
    /// REGISTERs sent, repeats among them.
    pub sent: u64,
    /// Of these, repeats.
    pub repeats: u64,
    /// Phones that were told to come again, once for each time.
    pub put_off: u64,
    /// Challenges.
    pub challenged: u64,
    /// Phones that were registered within the time, at most one second's many.
    pub busiest: u64,
    /// Calls begun, and those that were answered and ended.
    pub calls: (u64, u64),
    /// When the last phone was registered.
    pub took: Span,
}

/// The shards, the control machine, and everybody outside.
pub struct Crowd {
    control: Control,
    shards: Vec<Shard>,
    phones: Vec<Phone>,
    due: BinaryHeap<Reverse<(Instant, usize, u32)>>,
    rng: Rng,
    now: Instant,
    per_second: Vec<u64>,
    left: usize,
    /// Code of the last response to a REGISTER by itself.
    heard: Option<u16>,
    /// What is seen.
    pub outcome: Outcome,
}

fn settings(phones: usize, more: &str) -> Arc<Settings> {
    let compiled = compile(&format!("{CONFIG}{more}"), "edge.toml", &|_| None, None);
    let mut settings = compiled.settings.unwrap_or_else(|| panic!("{:?}", compiled.faults));
    let mut text = String::new();
    for phone in 0..phones {
        writeln!(text, "{phone},password,hush").unwrap();
    }
    users(&text, Arc::make_mut(settings.registrar.as_mut().unwrap())).unwrap();
    Arc::new(settings)
}

impl Crowd {
    /// So many phones, `house` of them behind each address; no two ports are the same.
    pub fn new(phones: usize, house: usize, shards: u8, more: &str) -> Self {
        let settings = settings(phones, more);
        let control = Control::new(Instant::ZERO, Wall::from_micros(0), settings, 1, Seq(1));
        let shard = |shard: u8| {
            let config = ShardConfig {
                shard: ShardId(shard),
                shards,
                node: 1,
                key: KEY,
                seed: u64::from(shard) + 1,
                limits: ShardLimits { calls: 1_000, pairs: 64, ..ShardLimits::default() },
            };
            Shard::new(&config, Arc::clone(control.snapshot()))
        };
        let shards = (0..shards).map(shard).collect();
        let phone = |index: usize| {
            let addr = Ipv4Addr::from_bits(0x0a00_0000 + (index / house) as u32);
            let peer = SocketAddr::from((addr, 10_000 + (index % house) as u16));
            let flow = Flow { socket: SocketId(0), peer, transport: Transport::Udp };
            Phone { flow, cseq: 0, line: String::new(), repeats: 0, turn: 0, done: None }
        };
        Self {
            control,
            shards,
            phones: (0..phones).map(phone).collect(),
            due: BinaryHeap::new(),
            rng: Rng::new(5),
            now: Instant::ZERO,
            per_second: Vec::new(),
            left: phones,
            heard: None,
            outcome: Outcome::default(),
        }
    }

    /// All phones come within `within`, and ten calls a second are placed beside them, until all are registered or `limit` has passed.
    pub fn come(&mut self, within: Span, limit: Span) {
        for phone in 0..self.phones.len() {
            let at = Instant::ZERO + Span::from_micros(self.rng.below(within.as_micros()));
            self.due.push(Reverse((at, phone, 0)));
        }
        let mut call = Instant::ZERO;
        while self.left > 0 && self.now.since(Instant::ZERO) < limit {
            let next = self.due.peek().map_or(call, |Reverse((at, ..))| *at);
            let tick = self.shards.iter().filter_map(Shard::deadline).min();
            self.now = self.now.max(next.min(call).min(tick.unwrap_or(call)));
            self.tick();
            if call <= self.now {
                self.call();
                call += Span::from_millis(100);
            }
            while let Some(Reverse((_, phone, turn))) =
                self.due.peek().copied().filter(|Reverse((at, ..))| *at <= self.now)
            {
                self.due.pop();
                self.speak(phone, turn);
            }
        }
        self.outcome.took = self.now.since(Instant::ZERO);
        self.outcome.busiest = self.per_second.iter().max().copied().unwrap_or(0);
    }

    /// A counter, of all shards.
    pub fn count(&self, name: &str) -> u64 {
        let of = |shard: &Shard| shard.view().counters.iter().find(|(known, _)| known == name).map_or(0, |(_, n)| *n);
        self.shards.iter().map(of).sum()
    }

    /// Each shard's phones that it could call.
    pub fn known(&self) -> Vec<u64> {
        self.shards.iter().map(|shard| shard.view().registered).collect()
    }

    /// What somebody has registered elsewhere, told to every shard.
    pub fn bind(&mut self, bound: Bound) {
        for shard in 0..self.shards.len() {
            self.input(shard, Input::Bindings(std::slice::from_ref(&bound)));
        }
    }

    /// One shard hears that a connection has ended.
    pub fn breaks(&mut self, shard: usize, flow: Flow) {
        self.input(shard, Input::Broken { flow, fault: TransportFault::Broken });
    }

    /// Transactions of the shard that has most.
    pub fn transactions(&self) -> u64 {
        self.shards.iter().map(|shard| shard.view().transactions).max().unwrap_or(0)
    }

    fn tick(&mut self) {
        for shard in 0..self.shards.len() {
            if self.shards[shard].deadline().is_some_and(|due| due <= self.now) {
                self.input(shard, Input::Tick);
            }
        }
    }

    /// A phone's turn: its first word, a repeat, or the beginning anew.
    fn speak(&mut self, index: usize, turn: u32) {
        let phone = &mut self.phones[index];
        if phone.turn != turn || phone.done.is_some() {
            return;
        }
        self.outcome.sent += 1;
        if phone.repeats == 0 {
            phone.cseq += 1;
        } else {
            self.outcome.repeats += 1;
        }
        let pause = REPEATS_MS.get(phone.repeats).copied();
        phone.repeats = if pause.is_some() { phone.repeats + 1 } else { 0 };
        let pause = Span::from_millis(pause.unwrap_or(AGAIN_S * 1_000));
        self.due.push(Reverse((self.now + pause, index, turn)));
        let (peer, cseq, line) = (phone.flow.peer, phone.cseq, &phone.line);
        let text = format!(
            "REGISTER sip:example.net SIP/2.0\r\nVia: SIP/2.0/UDP {peer};rport;branch=z9hG4bK{index}c{cseq}\r\nMax-Forwards: 70\r\n\
             From: <sip:{index}@example.net>;tag={index}\r\nTo: <sip:{index}@example.net>\r\nCall-ID: {index}@phone\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:{index}@10.0.0.5:5060>\r\nUser-Agent: Phone 1.0\r\nExpires: 3600\r\n{line}Content-Length: 0\r\n\r\n"
        );
        let flow = phone.flow;
        self.datagram(flow, text.as_bytes());
    }

    fn hear(&mut self, index: usize, message: &Message) {
        let phone = &mut self.phones[index];
        if message.cseq().number != phone.cseq || phone.done.is_some() {
            return;
        }
        phone.turn += 1;
        phone.repeats = 0;
        let pause = match message.status() {
            Some(200) => {
                phone.done = Some(self.now);
                self.left -= 1;
                let second = self.now.since(Instant::ZERO).as_secs() as usize;
                self.per_second.resize(self.per_second.len().max(second + 1), 0);
                self.per_second[second] += 1;
                return;
            }
            Some(401) => {
                self.outcome.challenged += 1;
                let credentials = Credentials { user: index.to_string(), secret: "hush".into(), realm: None };
                let signed = Signed { method: "REGISTER", uri: b"sip:example.net", body: b"" };
                let mut session = Session::open(message, &credentials, "c").unwrap();
                phone.line = String::from_utf8(session[0].sign(&credentials, &signed)).unwrap() + "\r\n";
                Span::from_millis(20)
            }
            _ => {
                self.outcome.put_off += 1;
                let asked = message
                    .header(HeaderName::RetryAfter)
                    .and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
                Span::from_secs(asked.unwrap_or(AGAIN_S))
            }
        };
        self.due.push(Reverse((self.now + pause, index, phone.turn)));
    }

    /// The office calls by the carrier; whatever the edge sends on either side is answered at once.
    fn call(&mut self) {
        self.outcome.calls.0 += 1;
        let number = self.outcome.calls.0;
        let sdp =
            "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let text = format!(
            "INVITE sip:+4722@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKo{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:a@192.0.2.20>;tag=o{number}\r\nTo: <sip:+4722@192.0.2.10>\r\nCall-ID: o{number}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:a@192.0.2.20:5060>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        self.datagram(peer("192.0.2.20:5060"), text.as_bytes());
    }

    fn office(&mut self, message: &Message) {
        let invited = message.is_request() || message.cseq().method != sip::Method::Invite;
        if invited || message.status() != Some(200) {
            self.outcome.calls.1 += u64::from(!message.is_request() && message.status() == Some(200));
            return;
        }
        for (cseq, method) in [(1, "ACK"), (2, "BYE")] {
            let text = format!(
                "{method} sip:192.0.2.10:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK{method}{1}\r\nMax-Forwards: 70\r\n\
                 From: {0}\r\nTo: {2}\r\nCall-ID: {1}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
                text_of(message, HeaderName::From),
                text_of(message, HeaderName::CallId),
                text_of(message, HeaderName::To),
            );
            self.datagram(peer("192.0.2.20:5060"), text.as_bytes());
        }
    }

    fn carrier(&mut self, message: &Message) {
        if !message.is_request() || message.method() == sip::Method::Ack {
            return;
        }
        let (to, tag) = (text_of(message, HeaderName::To), if message.to().tag().is_some() { "" } else { ";tag=c" });
        let sdp =
            "v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let body = if message.method() == sip::Method::Invite { sdp } else { "" };
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:c@192.0.2.30:5060>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            text_of(message, HeaderName::Via),
            text_of(message, HeaderName::From),
            text_of(message, HeaderName::CallId),
            text_of(message, HeaderName::CSeq),
            body.len()
        );
        self.datagram(peer("192.0.2.30:5060"), text.as_bytes());
    }

    /// As the node does it: the kernel chooses a shard by the flow; that one asks its guard, and passes on what is another's.
    fn datagram(&mut self, flow: Flow, bytes: &[u8]) {
        let shards = self.shards.len();
        let first = usize::from(flow.peer.port()) % shards;
        let owner = steer(KEY, shards as u8, bytes).map_or(first, |shard| shard.index());
        if owner == first {
            return self.input(owner, Input::Datagram { flow, bytes });
        }
        if self.shards[first].lets_in(self.now, flow, bytes) {
            self.input(owner, Input::Passed { flow, bytes });
        }
    }

    fn input(&mut self, shard: usize, input: Input<'_>) {
        self.shards[shard].handle(self.now, input);
        let outputs: Vec<Output> = std::iter::from_fn(|| self.shards[shard].poll()).collect();
        for output in outputs {
            match output {
                Output::Datagram(transmit) => self.arrives(transmit.flow, transmit.bytes),
                Output::Bound(bound) => self.told(ControlInput::Bound { shard: ShardId(shard as u8), bound }),
                _ => {}
            }
        }
    }

    fn told(&mut self, input: ControlInput) {
        self.control.handle(self.now, Wall::from_micros(0), input);
        while let Some(output) = self.control.poll() {
            if let ControlOutput::Bindings { except, bound } = output {
                for shard in 0..self.shards.len() {
                    if except != Some(ShardId(shard as u8)) {
                        self.input(shard, Input::Bindings(&bound));
                    }
                }
            }
        }
    }

    fn arrives(&mut self, flow: Flow, bytes: Vec<u8>) {
        let message = Message::parse(bytes).unwrap();
        match flow.peer.to_string().as_str() {
            "192.0.2.20:5060" => self.office(&message),
            "192.0.2.30:5060" => self.carrier(&message),
            _ if message.call_id().starts_with(b"once") => self.heard = message.status(),
            _ => {
                let user: Option<usize> =
                    String::from_utf8_lossy(message.call_id()).trim_end_matches("@phone").parse().ok();
                if let Some(index) = user.filter(|index| self.phones.get(*index).is_some_and(|p| p.flow == flow)) {
                    self.hear(index, &message);
                }
            }
        }
    }
}

fn peer(addr: &str) -> Flow {
    Flow { socket: SocketId(0), peer: addr.parse().unwrap(), transport: Transport::Udp }
}

fn text_of(message: &Message, name: HeaderName) -> String {
    String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned()
}

/// One REGISTER by itself, after the crowd.
impl Crowd {
    /// Somebody who knows no password tries one; the code he hears.
    pub fn guess(&mut self, from: &str, user: usize) -> Option<u16> {
        let line = "Authorization: Digest username=\"USER\", realm=\"example.net\", nonce=\"n\", uri=\"sip:example.net\", \
                    algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\", response=\"r\"\r\n";
        self.once(peer(from), user, &line.replace("USER", &user.to_string()))
    }

    /// A phone of the crowd asks anew, without credentials; the code it hears.
    pub fn renew(&mut self, phone: usize) -> Option<u16> {
        self.once(self.phones[phone].flow, phone, "")
    }

    fn once(&mut self, flow: Flow, user: usize, line: &str) -> Option<u16> {
        self.outcome.sent += 1;
        let (number, from) = (self.outcome.sent, flow.peer);
        let text = format!(
            "REGISTER sip:example.net SIP/2.0\r\nVia: SIP/2.0/UDP {from};rport;branch=z9hG4bKonce{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@example.net>;tag=1\r\nTo: <sip:{user}@example.net>\r\nCall-ID: once{number}\r\nCSeq: 1 REGISTER\r\n\
             {line}Content-Length: 0\r\n\r\n"
        );
        self.heard = None;
        self.datagram(flow, text.as_bytes());
        self.heard
    }
}
